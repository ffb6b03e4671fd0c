"""One run shared by several processes: `accelerate launch --num_processes 2 recipes/grpo.py`.

The trainer divides the rows of each step among them. The main process alone loads data, evaluates, writes files and
prints; the others wait for its result.
"""

import os
from collections.abc import Callable
from datetime import timedelta

WORLD_SIZE = int(os.environ.get("WORLD_SIZE", 1))  # set by accelerate, as RANK is
IS_MAIN = os.environ.get("RANK", "0") == "0"
TIMEOUT = timedelta(hours=6)  # how long the other processes wait, for instance for an evaluation


def join(cpu: bool) -> None:
    """Connect to the other processes of the run, if there are any."""
    if WORLD_SIZE > 1:
        from accelerate import PartialState  # brings torch

        PartialState(cpu=cpu, timeout=TIMEOUT)


def on_main(function: Callable):
    """Call `function` in the main process only, and return its result in all processes."""
    if WORLD_SIZE == 1:
        return function()
    from accelerate.utils import broadcast_object_list  # brings torch

    return broadcast_object_list([function() if IS_MAIN else None])[0]


def say(*words) -> None:
    """Print, in the main process only."""
    if IS_MAIN:
        print(*words, flush=True)
