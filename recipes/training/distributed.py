"""Several processes, one run: `accelerate launch --num_processes 2 recipes/grpo.py`.

The trainer deals the rows of each step out to them. All else (data, evaluation, files, messages) is the main process's
work; the others wait and get its result.
"""

import os
from collections.abc import Callable
from datetime import timedelta

WORLD_SIZE = int(os.environ.get("WORLD_SIZE", 1))  # as accelerate sets them
IS_MAIN = os.environ.get("RANK", "0") == "0"
PATIENCE = timedelta(hours=6)  # of the processes that wait, for an evaluation say


def join(cpu: bool) -> None:
    """Connect to the other processes of the run, if there are any."""
    if WORLD_SIZE > 1:
        from accelerate import PartialState

        PartialState(cpu=cpu, timeout=PATIENCE)


def on_main(do: Callable):
    """Return the result of `do`, which the main process alone calls, in all processes."""
    if WORLD_SIZE == 1:
        return do()
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([do() if IS_MAIN else None])[0]


def say(*words) -> None:
    """Print, in the main process alone."""
    if IS_MAIN:
        print(*words, flush=True)
