"""The arms of an ablation: what each of them changes in its phase."""

import random
import re
from dataclasses import fields

from chemr_lite import get_task, render
from chemr_lite.protocols import Protocols
from recipes.training.options import Options, UsageError

_HEADING = re.compile(r"^\d+\. \*\*.+?:\*\* ", re.MULTILINE)
# of an epoch: the phase makes one step, at the learning rate where the warm-up begins, which is 0
ONE_STEP = 1e-6
# phase → arm → the options it changes; the first is the one to compare with. Arms of phase 2 change the texts instead.
ARMS = {
    "distill": {"protocol": {}, "shuffled": {}, "answers": {}},
    "grpo": {
        "adaptive": {},
        "balanced": {"sampling": "balanced"},
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
    """Return the completion that `arm` of phase 2 trains on for `row`."""
    trace = None if arm == "answers" else get_task(row["task"]).trace(row, protocols)
    if trace and arm == "shuffled":
        facts = _HEADING.sub("", trace).split("\n")
        random.Random(row["input"]).shuffle(facts)
        trace = "\n".join(facts)
    return render(trace, row["answer"])


def changes(arm: str, options: Options) -> dict:
    """Return the options that `arm` of phase 3 changes, given by its name in ARMS or as OPTION=VALUE.

    Raises UsageError for an unknown option or a value of another type.
    """
    if arm in ARMS["grpo"]:
        return ARMS["grpo"][arm]
    changed = {}
    for name, _, text in (part.partition("=") for part in arm.split("+")):
        if name not in {field.name for field in fields(Options)}:
            raise UsageError(f"--arms {arm}: there is no option {name!r}; --help names them")
        current = getattr(options, name)
        read_bool = {"true": True, "false": False}.__getitem__
        read = read_bool if isinstance(current, bool) else str if current is None else type(current)
        try:
            changed[name] = read(text)
        except (ValueError, KeyError) as error:
            raise UsageError(f"--arms {arm}: {text!r} is not like {current!r}") from error
    return changed
