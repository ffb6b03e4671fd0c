"""Phase 2, distillation of chemical reasoning protocols: learn to reason in a task's steps before answering.

    python recipes/distill.py --preset nano
    python recipes/distill.py --traces grounded,traces.jsonl        # a larger model's traces too: see recipes/teach.py

1. Every training row of which RDKit knows the facts becomes `<think>1. **Step:** … </think><answer>gold</answer>`: a
   grounded trace along the protocol of its task. A file of traces stands in the place of RDKit's (`--traces FILE`), or
   beside them (`--traces grounded,FILE`).
2. Rows without a trace keep their answer-only form, so that no task is forgotten.
3. The adapter of phase 1 goes on learning on them.

Phase 1 runs first if its directory is missing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import get_task, render
from chemr_lite.data import Loaded
from chemr_lite.protocols import load_protocols
from recipes import foundation
from recipes.training.distributed import say
from recipes.training.options import Options, UsageError
from recipes.training.pipeline import Phase, main
from recipes.training.traces import read_traces


def check(options: Options, rows: Loaded) -> None:
    """Raise UsageError for --traces that cannot be used."""
    sources(options)


def sources(options: Options) -> tuple[bool, dict[tuple[str, str], list[str]]]:
    """Return whether RDKit's traces are used beside those of a file, and the completions of the file by (task, input)."""
    *first, last = options.traces.split(",")
    if options.traces == "grounded":
        return True, {}
    if first not in ([], ["grounded"]) or last == "grounded":
        raise UsageError(f"--traces {options.traces}: give grounded, a .jsonl of traces, or grounded,FILE")
    return bool(first), read_traces(Path(last))


def train(options: Options, rows: Loaded, backend: str) -> None:
    """Train phase 2 and write its directory. Raises UsageError where no trace belongs to a training row."""
    from recipes.training import sft  # brings torch and trl, which --help must not wait for

    protocols, training = load_protocols(options.protocols), rows.rows["train"]
    with_grounded, written = sources(options)
    if written and not any((row["task"], row["input"]) in written for row in training):
        raise UsageError(f"--traces {options.traces}: none of its traces belongs to a training row of --data")

    def completions(row: dict) -> list[str]:
        traces = written.get((row["task"], row["input"]), [])
        grounded = get_task(row["task"]).trace(row, protocols) if with_grounded or not traces else None
        # an answer alone only where there is no reasoning at all
        return [*traces, render(grounded, row["answer"])] if grounded or not traces else traces

    bare = sorted({row["task"] for row in training if not protocols.of(row["task"])} - {task for task, _ in written})
    if bare:
        say(
            f"[distill] no steps in the protocols {options.protocols}, so answers alone: {', '.join(bare)} (--protocols)"
        )
    sft.train(options, "distill", completions, rows, backend)


PHASE = Phase("distill", train, check)

if __name__ == "__main__":
    main(__doc__, [foundation.PHASE, PHASE])
