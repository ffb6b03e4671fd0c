"""Phase 2, distillation of chemical reasoning protocols: learn to reason in a task's steps before answering.

    python recipes/distill.py --preset nano
    python recipes/distill.py --traces grounded,traces.jsonl   # also a larger model's traces: see recipes/teach.py

1. Where RDKit knows the facts of a training row, the row becomes a grounded trace along the protocol of its task:
   `<think>1. **Step:** … </think><answer>gold</answer>`. Traces from a file replace RDKit's (`--traces FILE`) or join
   them (`--traces grounded,FILE`).
2. Rows without a trace keep the form of phase 1, so that no task is forgotten.
3. The adapter of phase 1 is trained on.

Phase 1 runs first if its directory is missing.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import get_task, render
from chemr_lite.data import Loaded
from chemr_lite.protocols import load_protocols
from recipes import foundation
from recipes.training.distributed import say
from recipes.training.options import Options, UsageError
from recipes.training.pipeline import Phase, main
from recipes.training.time_left import TimeLeft
from recipes.training.traces import read_traces


def check(options: Options, rows: Loaded) -> None:
    """Raise UsageError if --traces cannot be used, before phase 1 is trained."""
    sources(options)


def sources(options: Options) -> tuple[bool, dict[tuple[str, str], list[str]]]:
    """Read --traces. Return whether RDKit's traces are always used, and the file's completions by (task, input).

    Raises UsageError for a value or a file that cannot be used.
    """
    *first, last = options.traces.split(",")
    if options.traces == "grounded":
        return True, {}
    if first not in ([], ["grounded"]) or last == "grounded":
        raise UsageError(f"--traces {options.traces}: give grounded, a .jsonl of traces, or grounded,FILE")
    return bool(first), read_traces(Path(last))


def completions(options: Options, rows: Loaded) -> Callable[[dict], list[str]]:
    """Return what gives the texts to learn for a row: its traces, or its answer where there is none.

    Raises UsageError if no trace of the file matches a training row.
    """
    protocols = load_protocols(options.protocols)
    always_grounded, from_file = sources(options)
    known = [*rows.rows["train"], *rows.rows["practice"]]
    if from_file and not any((row["task"], row["input"]) in from_file for row in known):
        raise UsageError(f"--traces {options.traces}: none of its traces belongs to a training row of --data")

    def texts(row: dict) -> list[str]:
        traces = from_file.get((row["task"], row["input"]), [])
        if traces and not always_grounded:
            return traces
        grounded = get_task(row["task"]).trace(row, protocols)
        # the bare answer serves only where there is no reasoning at all
        return [*traces, render(grounded, row["answer"])] if grounded or not traces else traces

    return texts


def with_traces(options: Options, rows: Loaded) -> Loaded:
    """Return `rows` with more training rows: those that phase 3 would practise, where --traces has a trace of them."""
    _, from_file = sources(options)
    practised = [row for row in rows.rows["practice"] if (row["task"], row["input"]) in from_file]
    return replace(rows, rows=rows.rows | {"train": rows.rows["train"] + practised})


def train(options: Options, rows: Loaded, backend: str, time_left: TimeLeft) -> None:
    """Train phase 2 and write its directory."""
    from recipes.training import sft  # torch and trl, which --help must not wait for

    protocols, (_, from_file) = load_protocols(options.protocols), sources(options)
    without_steps = {row["task"] for row in rows.rows["train"] if not protocols.of(row["task"])}
    if bare := sorted(without_steps - {task for task, _ in from_file}):
        say(
            f"[distill] answers without reasoning: {', '.join(bare)}; the protocols {options.protocols} have no steps "
            "for them (--protocols)"
        )
    sft.train(options, "distill", completions(options, rows), with_traces(options, rows), backend, time_left)


PHASE = Phase("distill", train, check, completions)

if __name__ == "__main__":
    main(__doc__, [foundation.PHASE, PHASE])
