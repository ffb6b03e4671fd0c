"""The rows that a run trains on and is measured by, as the options choose them."""

from chemr_lite import get_task, select_tasks
from chemr_lite.data import Loaded, load
from chemr_lite.data.splits import sample
from recipes.training.options import Options, UsageError


def load_rows(options: Options) -> Loaded:
    """Return the rows that the options ask for. Raises UsageError and DataError."""
    if options.split not in ("given", "scaffold"):
        raise UsageError(f"--split {options.split!r} is neither given nor scaffold")
    tasks = _select(options.tasks, "--tasks")
    loaded = load(options.data.split(","), tasks, options.strict, options.data_root, options.split == "scaffold")
    for split in ("train", "practice") if options.train_rows else ():
        loaded.rows[split] = sample(loaded.rows[split], options.train_rows)
    return loaded


def grpo_rows(options: Options, rows: dict[str, list[dict]]) -> list[dict]:
    """Return the rows that phase 3 samples from, filtered by --grpo-tasks. Raises UsageError if none is left."""
    tasks = _select(options.grpo_tasks, "--grpo-tasks")
    chosen = [row for split in ("train", "practice") for row in rows[split] if tasks is None or row["task"] in tasks]
    if not chosen:
        raise UsageError(f"--grpo-tasks {options.grpo_tasks}: no training row of {options.data} is of these tasks")
    return chosen


def replay_rows(options: Options, rows: dict[str, list[dict]]) -> list[dict]:
    """Return the training rows that --replay-kl reads: with gold answers, and of tasks not named by --grpo-tasks."""
    practised = _select(options.grpo_tasks, "--grpo-tasks") or []
    return [row for row in rows["train"] if not get_task(row["task"]).verified and row["task"] not in practised]


def _select(names: str | None, flag: str) -> list[str] | None:
    """Return the sub-tasks that `names` stands for, None for all. Raises UsageError, which names the `flag`."""
    try:
        return select_tasks(names.split(",")) if names else None
    except KeyError as error:
        raise UsageError(f"{flag}: {error.args[0]}") from error
