"""The options of the recipes: one dataclass, filled from a preset, then a YAML file, then the command line.

Each field names the first rung of the ladder that it influences. From that follows what a run directory compares
(`deciding`), and which options may change between two starts of a run. This module imports fast, for --help.
"""

import argparse
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args

import yaml

from chemr_lite.errors import ChemrError
from chemr_lite.mixing import SAMPLING, SCALING
from chemr_lite.model.folders import PHASES

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
PRESETS = ("smoke", "nano", "135m", "8gb", "t4", "t4-long", "24gb", "80gb")
RUNGS = ("base", *PHASES)  # of the ladder, in order; each starts from the one before
SECTIONS = {
    "base": "model, data and measurement: the same for all rungs of one ladder",
    "foundation": "training, from phase 1 on",
    "distill": "phase 2",
    "grpo": "phase 3",
    None: "may change between two starts of one run",
}


class UsageError(ChemrError):
    """A command that cannot be carried out as it was given."""


def option(default, text: str, rung: str | None):
    """Return a field of Options with its default, its help and the first rung that it influences.

    `rung` is None for an option that influences no result, so that it may change between two starts of one run.
    """
    return field(default=default, metadata={"help": text, "rung": rung})


@dataclass
class Options:
    # model, data and measurement
    model: str = option("nano", "base model: nano (embedded), a folder, or a name on the Hugging Face hub", "base")
    data: str = option(
        "nano",
        "rows, several separated by commas: nano, a file, a folder, a public data set (chemllmbench, chebi20, "
        "uspto50k, uspto-forward, tomg, yields, smolinstruct), or chemr for all of these but the last",
        "base",
    )
    data_root: str | None = option(
        None, "folder with the files of the public data sets; default: they are downloaded", "base"
    )
    split: str = option(
        "given", "given: as the data says; scaffold: property rows are split anew by Bemis-Murcko scaffold", "base"
    )
    tasks: str | None = option(
        None, "use these tasks or macro-tasks only, separated by commas; default: all in the data", "base"
    )
    protocols: str = option(
        "default",
        "steps that traces follow and claims are read along: default, nano, or a YAML file like "
        "chemr_lite/protocols.yaml",
        "base",
    )
    eval_rows: int = option(120, "test rows per macro-task to answer after each phase", "base")
    max_completion_tokens: int = option(128, "cut completions here, in evaluation and in phase 3", "base")

    # training, from phase 1 on
    seed: int = option(0, "random seed of the adapter, the order of the rows and sampling", "foundation")
    lora_r: int = option(32, "rank of the LoRA adapter; its scale is 1 (alpha = r)", "foundation")
    max_length: int = option(
        256, "limit on prompt plus completion, in tokens; longer training rows are skipped and counted", "foundation"
    )
    train_rows: int = option(
        0, "limit on training rows per macro-task, and on those without an answer; 0: no limit", "foundation"
    )
    max_steps: int = option(
        0, "stop the last phase of the command after this many optimiser steps; 0: no limit", "foundation"
    )
    foundation_epochs: float = option(2.0, "phase 1: passes over the training rows", "foundation")
    foundation_learning_rate: float = option(2e-3, "phase 1: learning rate at its peak", "foundation")
    sft_batch_size: int = option(64, "phases 1 and 2: rows per optimiser step", "foundation")

    # phase 2
    distill_epochs: float = option(2.0, "passes over the training rows", "distill")
    distill_learning_rate: float = option(2e-3, "learning rate at its peak", "distill")
    traces: str = option(
        "grounded",
        "reasoning to learn from: grounded (RDKit's traces), a .jsonl of traces instead, as teach.py writes it, or "
        "grounded,FILE for both",
        "distill",
    )

    # phase 3
    grpo_steps: int = option(100, "optimiser steps", "grpo")
    grpo_tasks: str | None = option(
        None, "practise these tasks or macro-tasks only, separated by commas; default: all", "grpo"
    )
    grpo_learning_rate: float = option(1e-4, "learning rate at its peak", "grpo")
    prompts_per_step: int = option(16, "different prompts per step", "grpo")
    num_generations: int = option(8, "completions per prompt, at least 2: one group of GRPO", "grpo")
    temperature: float = option(1.0, "sampling temperature; higher values make groups more varied", "grpo")
    beta: float = option(0.04, "weight of the KL to phase 2", "grpo")
    replay_kl: float = option(
        0.0, "weight of a second KL to phase 2, on training texts of tasks with gold answers; 0: off", "grpo"
    )
    sampling: str = option("adaptive", f"how often each task is asked: {', '.join(SAMPLING)}", "grpo")
    scaling: str = option("group-floor", f"what rewards are divided by: {', '.join(SCALING)}", "grpo")
    grounding_reward: float = option(
        0.0, "share of the reward that depends on the claims in the reasoning, from 0 to 1", "grpo"
    )
    validation_steps: int = option(25, "steps between greedy checks on validation rows; 0: no checks", "grpo")

    # may change between two starts
    output: str | None = option(None, "run directory; default: outputs/<preset>", None)
    backend: str | None = option(None, "what loads the model: unsloth or hf; default: unsloth on CUDA, else hf", None)
    strict: bool = option(False, "stop at the first bad row instead of skipping it", None)
    eval_batch_size: int = option(64, "prompts answered at once in evaluation", None)
    sft_micro_batch: int = option(64, "phases 1 and 2: rows per forward pass; less needs less memory", None)
    grpo_micro_batch: int = option(
        64, "phase 3: completions per forward pass; must divide prompts_per_step × num_generations", None
    )
    save_steps: int = option(50, "steps between checkpoints", None)
    max_hours: float = option(
        0.0, "stop with a checkpoint this many hours after the start (exit status 75); 0: no limit", None
    )
    report_to: str = option("none", "live curves, if installed: tensorboard, trackio, wandb, or none", None)

    @property
    def longest(self) -> int:
        """The tokens of the longest sequence that the model must read: a prompt and a whole completion."""
        return self.max_length + self.max_completion_tokens


def deciding(options: Options, rung: str) -> dict:
    """Return by name the options that influence `rung`: its own and those of the rungs before it."""
    before = RUNGS[: RUNGS.index(rung) + 1]
    names = [f.name for f in fields(Options) if f.metadata["rung"] in before]
    return {name: value for name, value in asdict(options).items() if name in names}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Shows defaults, except where an option is off by default."""

    def _get_help_string(self, action):
        shown = action.default not in (None, False, "", argparse.SUPPRESS) and action.option_strings
        return f"{action.help} [%(default)s]" if shown and action.dest != "help" else action.help


def make_parser(description: str, names: Collection[str] | None = None) -> argparse.ArgumentParser:
    """Return a parser with --preset, --config and the options called `names` (None: all).

    A command may add its own arguments before it passes the parser to `read_options`.
    """
    parser = argparse.ArgumentParser(
        prog=f"python {sys.argv[0]}",
        usage="%(prog)s [options]",
        description=description,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="options that suit your hardware; default: nano without a GPU, else the largest preset that fits",
    )
    parser.add_argument("--config", help="YAML file whose keys are these options; overrides the preset")
    for rung, title in SECTIONS.items():
        group = parser.add_argument_group(title)
        for f in fields(Options):
            if f.metadata["rung"] == rung and (names is None or f.name in names):
                _add_option(group, f)
    return parser


def _add_option(group, f) -> None:
    flag, kind = "--" + f.name.replace("_", "-"), _type_of(f)
    if kind is bool:
        group.add_argument(flag, type=truth, nargs="?", const=True, default=f.default, help=f.metadata["help"])
    else:
        group.add_argument(flag, type=kind, default=f.default, metavar=kind.__name__.upper(), help=f.metadata["help"])


def _type_of(f) -> type:
    """Return the type of a field, without None."""
    return next(kind for kind in get_args(f.type) if kind is not NoneType) if isinstance(f.type, UnionType) else f.type


def truth(text: str) -> bool:
    """Return the boolean that `true` or `false` stands for. Raises argparse.ArgumentTypeError for anything else."""
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


def read_options(
    parser: argparse.ArgumentParser, arguments: list[str] | None = None
) -> tuple[Options, argparse.Namespace]:
    """Return the options from preset, `--config` and `arguments` (later ones win), and the whole parsed namespace.

    The namespace also holds `preset` and what the command has added. Raises UsageError for a file that cannot be used.
    """
    known = parser.parse_known_args(arguments)[0]  # --help and a wrong value end here
    preset, chosen = known.preset or preset_for_this_machine(), {}
    for path in (CONFIGS / f"{preset}.yaml", *([Path(known.config)] if known.config else [])):
        chosen |= _read_yaml(path)
    parser.set_defaults(**chosen, preset=preset)
    parsed = parser.parse_args(arguments)
    options = Options(**{f.name: getattr(parsed, f.name, f.default) for f in fields(Options)})
    options.output = options.output or f"outputs/{preset}"
    return options, parsed


def _read_yaml(path: Path) -> dict:
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: must hold lines of the form `option: value`")
    unknown = set(values) - {f.name for f in fields(Options)}
    if unknown:
        raise UsageError(f"{path}: unknown {', '.join(sorted(unknown))}; the options are those of --help")
    return values


def preset_for_this_machine() -> str:
    """Return nano without a CUDA device, else the largest preset that fits into the memory of the first one."""
    from chemr_lite.model.hardware import detect_hardware  # torch, which --help must not wait for

    hardware = detect_hardware()
    if hardware.device == "cpu":
        return "nano"
    fitting = [name for name, needed in (("80gb", 70), ("24gb", 20), ("t4", 14)) if hardware.memory_gb > needed]
    return fitting[0] if fitting else "8gb"
