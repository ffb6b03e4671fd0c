"""Phase 1, chemical foundation training: learn the answers of all tasks, without reasoning.

    python recipes/foundation.py --preset nano

1. Every training row becomes `<think></think><answer>gold</answer>`.
2. A fresh LoRA on the 4-bit base learns to write it (loss on the completion only).

Left out: the paper's corpus, whose make-up and size are not public. Rows are those of --data.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import options as cli


def run(options: cli.Options, data, backend: str) -> None:
    from chemr_lite import render
    from recipes.sft import train

    train(options, "foundation", lambda row: [render(None, row["answer"])], data, backend)


if __name__ == "__main__":
    options, preset = cli.parse(__doc__)
    from recipes.ladder import climb

    climb(options, preset, "foundation")
