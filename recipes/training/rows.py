"""The rows that a run trains on and is measured by, as the options choose them."""

from collections import Counter

from chemr_lite import get_task, select_tasks
from chemr_lite.data import Loaded, load
from chemr_lite.data.splits import sample
from recipes.training.kept_rows import kept
from recipes.training.options import Options, UsageError


def load_rows(options: Options) -> Loaded:
    """Return the rows that the options ask for. Raises UsageError and DataError.

    With --train-rows the split "practice" also has rows with an answer that are not among the training rows.
    """
    if options.split not in ("given", "scaffold"):
        raise UsageError(f"--split {options.split!r} is neither given nor scaffold")
    tasks, names, root = _select(options.tasks, "--tasks"), options.data.split(","), options.data_root
    choices = tasks, options.strict, root, options.split == "scaffold"
    loaded = kept(lambda: load(names, *choices), names, root, *choices)
    if options.train_rows:
        answered, unanswered = loaded.rows["train"], loaded.rows["practice"]
        loaded.rows["train"] = sample(answered, options.train_rows)
        chosen = set(map(id, loaded.rows["train"]))
        others = [row for row in answered if id(row) not in chosen]
        loaded.rows["practice"] = sample(unanswered, options.train_rows) + sample(others, options.train_rows)
    return loaded


def describe(options: Options, rows: Loaded) -> str:
    """Return one line: which data, how many training rows of each macro-task, and what phase 3 practises besides."""
    counts = Counter(get_task(row["task"]).macro for row in rows.rows["train"])
    data = "nano's toy exercises" if options.data == "nano" else options.data
    shown = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in counts.items())
    practice = len(rows.rows["practice"])
    more = f"; phase 3 also practises {practice:,} rows that phases 1 and 2 do not see" if practice else ""
    return f"data {data}: rows to train on: {shown}{more}"


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
