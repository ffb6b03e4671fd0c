"""The arms of an ablation: what each changes of a phase."""

import random
import re
from dataclasses import fields

from chemr_lite import get_task, render
from chemr_lite.protocols import Protocols
from recipes.training.options import Options, UsageError

_HEADING = re.compile(r"^\d+\. \*\*.+?:\*\* ", re.MULTILINE)
ONE_STEP = 1e-6  # of an epoch: a phase makes one step, at the learning rate where warming up begins, which is 0
ARMS = {  # of each phase, the one that the others are compared with first; of phase 3 the options that an arm changes
    "distill": {"protocol": {}, "shuffled": {}, "answers": {}},
    "grpo": {
        "adaptive": {},
        "uniform": {"sampling": "uniform"},
        "mt-grpo": {"sampling": "mt-grpo"},
        "group": {"scaling": "group"},
        "task": {"scaling": "task"},
        "gdpo": {"scaling": "gdpo"},
        "none": {"scaling": "none"},
        "no-replay": {"replay_kl": 0.0},
        "no-foundation": {"foundation_epochs": ONE_STEP},
        "no-distill": {"distill_epochs": ONE_STEP},
        "sft": {},
    },
}


def completion(arm: str, row: dict, protocols: Protocols) -> str:
    """Return what `arm` of phase 2 teaches a model to write for `row`."""
    trace = None if arm == "answers" else get_task(row["task"]).trace(row, protocols)
    if trace and arm == "shuffled":
        facts = _HEADING.sub("", trace).split("\n")
        random.Random(row["input"]).shuffle(facts)
        trace = "\n".join(facts)
    return render(trace, row["answer"])


def changes(arm: str, options: Options) -> dict:
    """Return the options that `arm` of phase 3 changes, by its name in ARMS or as OPTION=VALUE. Raises UsageError."""
    if arm in ARMS["grpo"]:
        return ARMS["grpo"][arm]
    changed = {}
    for name, _, text in (part.partition("=") for part in arm.split("+")):
        if name not in {f.name for f in fields(Options)}:
            raise UsageError(f"--arms {arm}: there is no option {name!r}; --help names them")
        before = getattr(options, name)
        truth = {"true": True, "false": False}.__getitem__
        read = truth if isinstance(before, bool) else str if before is None else type(before)
        try:
            changed[name] = read(text)
        except (ValueError, KeyError) as error:
            raise UsageError(f"--arms {arm}: {text!r} is not like {before!r}") from error
    return changed
