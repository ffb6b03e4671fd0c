"""How every command starts and ends: on one GPU unless several processes were launched, with errors as one line."""

import os
import sys
import time
from collections.abc import Callable

from chemr_lite.errors import ChemrError

STOPPED = 75  # exit status where --max-hours or the system ended training: EX_TEMPFAIL of sysexits.h, try it again
STARTED = time.time()  # of the program; importing torch and trl comes later and can take minutes


def run(main: Callable[[], None]) -> None:
    """Call `main`. Print an error that the user can mend as one line on stderr, and exit with status 2."""
    if "LOCAL_RANK" not in os.environ:  # without accelerate launch the trainer refuses two visible GPUs
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    try:
        main()
    except ChemrError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
