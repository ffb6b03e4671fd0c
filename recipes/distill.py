"""Phase 2, distillation of chemical reasoning protocols: learn to reason in a task's steps before answering.

    python recipes/distill.py --preset nano

1. Every training row of which RDKit can tell the facts becomes `<think>1. **Step:** … </think><answer>gold</answer>`:
   a grounded trace along the protocol of its task.
2. Rows without a trace keep their answer-only form, so that no task is forgotten.
3. The adapter of phase 1 goes on learning on them.

Phase 1 runs first if its directory is missing. Left out so far: traces of a teacher model.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import options as cli


def run(options: cli.Options, data, backend: str) -> None:
    from chemr_lite import get_task, render
    from chemr_lite.protocols import load_protocols
    from recipes.sft import train

    protocols = load_protocols(options.protocols)

    def completion(row: dict) -> str:
        return render(get_task(row["task"]).trace(row, protocols), row["answer"])

    train(options, "distill", completion, data, backend)


if __name__ == "__main__":
    options, preset = cli.parse(__doc__)
    from recipes.ladder import climb

    climb(options, preset, "distill")
