"""How every command starts and ends: one GPU unless several processes were launched, errors as one line."""

import os
import sys
from collections.abc import Callable

from chemr_lite.errors import ChemrError


def run(main: Callable[[], None]) -> None:
    """Call `main`; an error that the user can mend becomes one line on stderr and exit status 2."""
    if "LOCAL_RANK" not in os.environ:  # the trainer refuses two visible GPUs unless accelerate launched it
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    try:
        main()
    except ChemrError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
