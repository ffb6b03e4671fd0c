"""Phase 1, chemical foundation training: learn the answers of all tasks, without reasoning.

    python recipes/foundation.py --preset nano

1. Every training row becomes `<think></think><answer>gold</answer>`.
2. A new LoRA adapter on the 4-bit base learns to write that. The loss counts the completion only.

Left out: the paper's corpus, because we could not read what it holds or how large it is. The rows are those of --data.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import render
from chemr_lite.data import Loaded
from recipes.training.options import Options
from recipes.training.pipeline import Phase, main
from recipes.training.time_left import TimeLeft


def completions(options: Options, rows: Loaded) -> Callable[[dict], list[str]]:
    """Return what gives the texts to learn for a row: its answer, without reasoning."""
    return lambda row: [render(None, row["answer"])]


def train(options: Options, rows: Loaded, backend: str, time_left: TimeLeft) -> None:
    """Train phase 1 and write its directory."""
    from recipes.training import sft  # torch and trl, which --help must not wait for

    sft.train(options, "foundation", completions(options, rows), rows, backend, time_left)


PHASE = Phase("foundation", train, completions=completions)

if __name__ == "__main__":
    main(__doc__, [PHASE])
