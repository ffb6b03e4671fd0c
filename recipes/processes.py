"""Several processes, one run: `accelerate launch --num_processes 2 recipes/grpo.py`.

The trainer deals the rows of each step out to them. All else, data, evaluation, files and words, is the first one's; the
others wait and are told what came of it.
"""

import os
import sys
from collections.abc import Callable
from datetime import timedelta

NUMBER = int(os.environ.get("WORLD_SIZE", 1))  # as accelerate sets them
FIRST = os.environ.get("RANK", "0") == "0"
PATIENCE = timedelta(hours=6)  # of those that wait, for an evaluation say


def join(cpu: bool) -> None:
    """Find the other processes, and leave the words to the first."""
    if NUMBER == 1:
        return
    from accelerate import PartialState

    PartialState(cpu=cpu, timeout=PATIENCE)
    if not FIRST:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives


def first(do: Callable):
    """What `do` returns in the first process, for all of them; the others do not run it."""
    if NUMBER == 1:
        return do()
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([do() if FIRST else None])[0]
