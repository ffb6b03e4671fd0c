"""The options of every recipe: one dataclass, filled from a preset, then a YAML file, then the command line.

Importing this stays light (no torch), so that --help answers at once.
"""

import logging
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path

logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # as chemr_lite.models, which not every recipe loads first
CONFIGS = Path(__file__).parent / "configs"
PRESETS = ("smoke", "nano", "t4", "24gb", "80gb")


class UsageError(SystemExit):
    """Ends the run with one line on stderr and exit status 2."""

    def __init__(self, message: str):
        print(f"error: {message}", file=sys.stderr)
        super().__init__(2)


def option(default, text: str):
    return field(default=default, metadata={"help": text})


@dataclass
class Options:
    # model
    model: str = option("nano", "base model: nano (embedded), a folder, or a name on the Hugging Face hub")
    backend: str | None = option(None, "unsloth or hf; by default unsloth on CUDA, hf elsewhere")
    lora_r: int = option(32, "rank of the adapter")
    lora_alpha: int = option(32, "scale of the adapter; its output is multiplied by alpha / r")
    max_length: int = option(256, "tokens of prompt and completion together; longer training rows are left out and counted")

    # data
    data: str = option(
        "nano",
        "nano; a public data set (chemllmbench, chebi20, uspto50k, uspto-forward, tomg, yields, smolinstruct, all); a file or a "
        "folder; or several, separated by commas",
    )
    data_root: str | None = option(None, "folder with the files of the public data sets, read instead of downloading them")
    split: str = option("given", "given: the split of the data; scaffold: properties are split anew by Bemis-Murcko scaffold")
    tasks: str | None = option(None, "tasks or macro-tasks separated by commas; default: all that the data has")
    protocols: str = option(
        "default",
        "reasoning protocols, which traces are written along and claims read along: default, nano, or a YAML file made after "
        "chemr_lite/protocols.yaml",
    )
    strict: bool = option(False, "stop at the first bad row instead of leaving it out")
    train_rows: int = option(0, "training rows per macro-task, spread over its sub-tasks, and as many without an answer; 0: all")
    eval_rows: int = option(120, "test rows per macro-task after each phase")
    validation_rows: int = option(48, "validation rows per macro-task in the checks while training")
    eval_batch_size: int = option(64, "prompts answered at once in evaluation")

    # training
    output: str | None = option(None, "run directory; default: outputs/<preset>")
    seed: int = option(0, "seed of the adapter, of the order of rows and of sampling")
    max_steps: int = option(0, "stop this recipe's own phase after so many steps; 0: as configured")
    max_hours: float = option(0.0, "stop cleanly, to go on later, so many hours after the start; 0: never")
    report_to: str = option("none", "live curves besides log.jsonl: tensorboard, trackio or wandb, each to be installed; or none")
    rehearsal: bool | None = option(
        None, "try the largest step that can come before training, so that memory runs out at once; default: on a GPU"
    )
    save_steps: int = option(50, "steps between checkpoints")
    foundation_epochs: float = option(2.0, "phase 1: passes over the training rows, answers only")
    foundation_learning_rate: float = option(2e-3, "phase 1")
    distill_epochs: float = option(2.0, "phase 2: passes over the training rows, with reasoning")
    distill_learning_rate: float = option(2e-3, "phase 2")
    traces: str = option(
        "grounded", "phase 2 learns from: grounded (RDKit's traces), teacher, both, or a .jsonl of traces (task, input, completion)"
    )
    teacher_url: str | None = option(None, "address of a server that speaks the OpenAI protocol, up to and with /v1; key in CHEMR_API_KEY")
    teacher_model: str | None = option(None, "name of the teacher there")
    teacher_rows: int = option(1000, "training rows of each macro-task that the teacher is asked about")
    teacher_samples: int = option(1, "traces per row")
    teacher_temperature: float = option(0.7, "of the teacher, where there is more than one sample")
    teacher_max_tokens: int = option(1500, "tokens after which the teacher's answer is cut")
    teacher_budget: int = option(0, "tokens, prompts and answers together, after which the teacher is asked no more; 0: none")
    teacher_price: str = option("", "what a million tokens cost, in and out, for the estimate: 0.5,1.5")
    teacher_concurrency: int = option(8, "requests under way at once")
    least_grounding: float = option(0.9, "share of a trace's claims that must be supported for it to be kept")
    sft_batch_size: int = option(64, "phases 1 and 2: rows per optimiser step")
    sft_micro_batch: int = option(64, "phases 1 and 2: rows per forward pass")
    grpo_steps: int = option(100, "phase 3: optimiser steps")
    grpo_tasks: str | None = option(None, "phase 3: practise these tasks or macro-tasks only, separated by commas; default: all")
    grpo_learning_rate: float = option(1e-4, "phase 3")
    prompts_per_step: int = option(16, "phase 3: different prompts per step")
    num_generations: int = option(8, "phase 3: completions per prompt")
    grpo_micro_batch: int = option(64, "phase 3: completions per forward pass; divides prompts_per_step × num_generations")
    max_completion_tokens: int = option(128, "phase 3 and evaluation: completions are cut here")
    temperature: float = option(1.0, "phase 3: of sampling")
    beta: float = option(0.04, "phase 3: weight of the KL to the phase-2 adapter (with Unsloth: to the base model)")
    anchor: float = option(
        0.0, "phase 3: weight of a second KL to phase 2, on training texts (RDKit's traces) of tasks whose answers are known"
    )
    max_grad_norm: float = option(0.2, "phase 3: gradient clipping")
    sampling: str = option("adaptive", "phase 3: shares of the tasks: adaptive, uniform, proportional, temperature or mt-grpo")
    scaling: str = option("group-floor", "phase 3: what rewards are divided by: group-floor, group, task, gdpo or none")
    vllm: bool = option(False, "phase 3, with Unsloth: sample with vLLM, which has to be installed besides")
    oversampling: int = option(
        1, "phase 3, on a CPU: so many times more completions are sampled, and those that differ most in reward are trained on"
    )
    grounding_reward: float = option(0.0, "phase 3: share of the reward that the claims in the reasoning earn, from 0 to 1")
    validation_steps: int = option(25, "phase 3: steps between greedy checks on validation rows; 0: none")


def parse(description: str, args: list[str] | None = None, kind: type[Options] = Options) -> tuple[Options, str]:
    """Options (of `kind`, which may add some) from `--preset`, `--config` and the command line, later ones winning; also the preset's name."""
    import argparse
    import copy
    import os

    import yaml
    from trl import TrlParser

    class Help(argparse.RawDescriptionHelpFormatter):
        def _format_action_invocation(self, action):  # trl adds each option with underscores too
            shown = copy.copy(action)
            shown.option_strings = [text for text in action.option_strings if "_" not in text]
            return super()._format_action_invocation(shown)

    parser = TrlParser(kind, usage="python recipes/%(prog)s [options]", description=description, formatter_class=Help, allow_abbrev=False)
    parser.add_argument(
        "--preset", choices=PRESETS, help="sizes for your hardware; default: nano without a GPU, else the largest that fits"
    )
    parser.add_argument("--config", help="YAML file whose keys are these options; overrides the preset")
    if "LOCAL_RANK" not in os.environ:  # the trainer refuses two visible GPUs unless accelerate launched it
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    args = list(sys.argv[1:] if args is None else args)
    known = parser.parse_known_args(args)[0]
    preset = known.preset or preset_for_this_machine()
    for path in (CONFIGS / f"{preset}.yaml", *([Path(known.config)] if known.config else [])):
        try:
            values = yaml.safe_load(path.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise UsageError(f"{path}: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict):
            raise UsageError(f"{path}: must hold `option: value` lines")
        unknown = set(values) - {f.name for f in fields(kind)}
        if unknown:
            raise UsageError(f"{path}: unknown {', '.join(sorted(unknown))}; the options are those of --help")
        parser.set_defaults_with_config(**values)
    values = vars(parser.parse_args(args))
    options = kind(**{f.name: values[f.name] for f in fields(kind)})
    options.output = options.output or f"outputs/{preset}"
    return options, preset


def preset_for_this_machine() -> str:
    """nano without a CUDA device, else the largest preset whose memory the first one has."""
    if "--help" in sys.argv or "-h" in sys.argv:
        return "nano"  # asking for help must not load torch
    from chemr_lite.models import detect_hardware

    hardware = detect_hardware()
    if hardware.device == "cpu":
        return "nano"
    return "80gb" if hardware.memory_gb > 70 else "24gb" if hardware.memory_gb > 20 else "t4"
