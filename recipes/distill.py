"""Phase 2, distillation of chemical reasoning protocols: learn to reason in a task's steps before answering.

    python recipes/distill.py --preset nano
    python recipes/distill.py --traces both --teacher-url http://localhost:8000/v1 --teacher-model NAME

1. Every training row of which RDKit can tell the facts becomes `<think>1. **Step:** … </think><answer>gold</answer>`:
   a grounded trace along the protocol of its task. With a teacher, the traces that it writes along the same protocol and
   that pass the filter (recipes/teacher.py) stand in their place (`--traces teacher`) or beside them (`both`).
2. Rows without a trace keep their answer-only form, so that no task is forgotten.
3. The adapter of phase 1 goes on learning on them.

Phase 1 runs first if its directory is missing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import options as cli


def run(options: cli.Options, data, backend: str) -> None:
    from chemr_lite import get_task, render, splits
    from chemr_lite.protocols import load_protocols
    from recipes import processes, teacher
    from recipes.sft import train

    protocols, rows = load_protocols(options.protocols), data.rows["train"]
    path = None if options.traces == "grounded" else Path(options.traces)
    if options.traces in ("teacher", "both"):
        asked = splits.sample(rows, options.teacher_rows, options.seed)
        path = processes.first(lambda: teacher.synthesise(asked, options, protocols))
    written = teacher.read_traces(path, rows) if path else {}

    def completions(row: dict) -> list[str]:
        traces = written.get((row["task"], row["input"]), [])
        grounded = None if traces and options.traces != "both" else get_task(row["task"]).trace(row, protocols)
        # an answer alone only where there is no reasoning at all
        return [*traces, render(grounded, row["answer"])] if grounded or not traces else traces

    bare = sorted({row["task"] for row in rows if not protocols.of(row["task"])} - {task for task, _ in written})
    if bare:
        print(f"[distill] no steps in the protocols {options.protocols}, so answers alone: {', '.join(bare)} (--protocols)")
    train(options, "distill", completions, data, backend)


if __name__ == "__main__":
    options, preset = cli.parse(__doc__)
    from recipes.ladder import climb

    climb(options, preset, "distill")
