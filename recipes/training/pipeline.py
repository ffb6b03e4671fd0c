"""The course of a run: read options and rows, measure the base, train the phases that are missing, show the ladder.

A command passes the phases that lead up to its own: `main(__doc__, [foundation.PHASE, distill.PHASE, PHASE])`.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from safetensors import SafetensorError

from chemr_lite.data import Loaded
from chemr_lite.protocols import load_protocols
from recipes.training import command, distributed
from recipes.training.distributed import on_main, say
from recipes.training.options import Options, UsageError, make_parser, read_options
from recipes.training.quiet import silence_libraries
from recipes.training.rows import describe, load_rows
from recipes.training.time_left import TimeLeft

DISK_FULL = 8 * 2**20  # below this many free bytes a disk counts as full
REPORTS = ("none", "tensorboard", "trackio", "wandb")
EXPECTED_TIME = {"smoke": "about a minute", "nano": "about 25 minutes on two idle CPU cores"}


def accept(options: Options, rows: Loaded) -> None:
    """Accept all options: the check of a phase that has none of its own."""


@dataclass(frozen=True)
class Phase:
    """One phase of training, as its recipe defines it."""

    name: str  # foundation, distill or grpo
    # takes options, rows, backend and what estimates the time left; writes the phase's directory
    train: Callable[[Options, Loaded, str, TimeLeft], None]
    check: Callable[[Options, Loaded], None] = accept  # raises UsageError before anything is trained
    # of a phase that learns from texts: takes options and rows, returns what gives the texts to learn for a row
    completions: Callable[[Options, Loaded], Callable[[dict], list[str]]] | None = None


def main(description: str, phases: Sequence[Phase]) -> None:
    """Run `phases` with the options of the command line; the last phase is the command's own."""

    def start() -> None:
        parser = make_parser(description)
        plan_help = "train nothing; print rows, tokens, steps, memory and time of each phase"
        parser.add_argument("--plan", action="store_true", help=plan_help)
        options, parsed = read_options(parser)
        run_phases(options, parsed.preset, phases, parsed.plan)

    command.run(start)


def run_phases(options: Options, preset: str, phases: Sequence[Phase], only_plan: bool = False) -> None:
    """Run those of `phases` that are not finished, in order. Then print and write the ladder.

    With `only_plan`, print what they would take instead.
    Raises ChemrError for whatever the user can mend.
    """
    try:
        _run_phases(options, preset, phases, only_plan)
    except (OSError, RuntimeError, SafetensorError) as error:  # each library reports a failed write in its own way
        run = Path(options.output)
        free = shutil.disk_usage(run if run.exists() else ".").free
        if free > DISK_FULL:
            raise
        raise UsageError(
            f"{run}: its disk is full ({free / 2**20:.0f} MiB are free). Make room, and the same command goes on from "
            "the last whole checkpoint"
        ) from error


def _run_phases(options: Options, preset: str, phases: Sequence[Phase], only_plan: bool) -> None:
    # torch, which --help must not wait for
    from chemr_lite.model.hardware import choose_backend, detect_hardware, positions_of_base

    backend = choose_backend(options.backend)  # imports Unsloth, which must come before trl and peft
    from chemr_lite.model.load import load_tokenizer
    from recipes.training import environment, ladder
    from recipes.training.run_directory import RungDirectory
    from recipes.training.work import work_of

    started, hardware = time.time(), detect_hardware(options.model)
    distributed.join(cpu=hardware.device == "cpu")
    silence_libraries()

    # everything that can be refused is refused before anything is trained
    # --max-steps is meant for the last phase only
    options_of = {phase.name: options if phase is phases[-1] else replace(options, max_steps=0) for phase in phases}
    directories = {phase.name: RungDirectory(options_of[phase.name], phase.name) for phase in phases}
    for directory in directories.values():
        directory.check()
    missing = on_main(lambda: [name for name, directory in directories.items() if not directory.finished])
    _check_report(options.report_to)
    positions = positions_of_base(options.model)
    if positions and options.max_length > positions:
        raise UsageError(f"--max-length {options.max_length}: {options.model} reads at most {positions} tokens")
    rows = on_main(lambda: load_rows(options))
    for split, needed in (("train", "train row with an answer"), ("test", "test row")):
        if not rows.rows[split]:
            raise UsageError(f"{options.data}: no {needed} in it")
    load_protocols(options.protocols)
    phases_to_train = [phase for phase in phases if phase.name in missing]
    for phase in phases_to_train:
        phase.check(options_of[phase.name], rows)

    say(f"chemr-lite: {describe(options, rows)}")
    say(f"  {' → '.join(missing) or 'nothing left to train'} on {options.model}")
    memory = f", {hardware.memory_gb:.1f} GiB" if hardware.memory_gb else ""
    machine = f"{hardware.name}{memory}, {hardware.precision}, backend {backend}"
    say(f"  preset {preset}, {machine}; run directory {options.output}")
    if distributed.WORLD_SIZE > 1:
        say(f"  {distributed.WORLD_SIZE} processes share each step")
    say(f"  {environment.describe_versions()}")
    say(f"  {rows.summary()}")
    missing_parts = [problem for problem in rows.problems if "left out of" in problem]
    others = [problem for problem in rows.problems if problem not in missing_parts]
    for problem in missing_parts + others[:5]:
        say(f"    {problem}")
    if only_plan:
        from recipes.training import plan

        say(f"\n{plan.describe(options, preset, rows, phases, hardware)}")
        return
    say(f"  expected: {EXPECTED_TIME.get(preset, 'see --plan')}")

    works = work_of(options, rows, phases_to_train, load_tokenizer(options.model), hardware.device, rough=True)
    time_left = TimeLeft(works, hardware.device)
    on_main(lambda: measure_base(options, rows, hardware, time_left))
    for phase in phases_to_train:
        phase.train(options_of[phase.name], rows, backend, time_left)

    def show_ladder() -> None:
        folder = Path(options.output)
        rungs = ladder.collect(folder)
        caption = f"{options.model}, seed {options.seed}, greedy, {rungs[-1]['n']} held-out rows"
        text = ladder.write(folder, {"preset": preset, "seed": options.seed}, rungs, caption)
        say(f"\n{text}\n\nwritten to {folder}/ladder.json, ladder.md and ladder.png")

    on_main(show_ladder)
    say(f"done in {(time.time() - started) / 60:.1f} minutes, peak memory {environment.peak_memory_gb()} GiB")


def _check_report(name: str) -> None:
    if name not in REPORTS:
        raise UsageError(f"--report-to {name!r}: choose {', '.join(REPORTS)}")
    if name != "none" and not find_spec(name):
        raise UsageError(f"--report-to {name}: it is not installed; python -m pip install {name}")


def measure_base(options: Options, rows: Loaded, hardware, time_left: TimeLeft) -> None:
    """Let the untouched base answer the test rows, unless that was done with the same options."""
    # torch, which --help must not wait for
    from chemr_lite.model.load import load_base, load_tokenizer
    from recipes.training.evaluation import evaluate, journal_of
    from recipes.training.run_directory import RungDirectory

    directory = RungDirectory(options, "base")
    if (directory.final / "run.json").exists() and not directory.differences(directory.final):
        return
    shutil.rmtree(directory.final, ignore_errors=True)  # measured with other options
    if directory.differences(directory.partial):
        shutil.rmtree(directory.partial)
    directory.begin({"data": rows.fingerprint})
    tokenizer, model = load_tokenizer(options.model), load_base(options.model, hardware)
    predictions, started = directory.partial / "predictions.jsonl", time.time()
    goes_on = journal_of(predictions).exists()
    metrics = evaluate(
        model, tokenizer, rows.rows["test"], options, options.eval_rows, predictions, "evaluating the base"
    )
    if not goes_on:  # else this start has answered a part only
        time_left.answered("base", time.time() - started)
    directory.finish(metrics, {})
    print(f"[base] balanced {metrics['balanced']} (n = {metrics['n']})")
