"""The registry of tasks by name. Importing `chemr_lite.tasks` fills it, in Chem-R's order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

TASKS: dict = {}  # name → chemr_lite.tasks.Task; no annotation, because the tasks import this module


def register(task):
    """Add `task` to the registry under its name and return it. Raises ValueError if the name is taken."""
    if task.name in TASKS:
        raise ValueError(f"a task named {task.name!r} is registered already")
    TASKS[task.name] = task
    return task


def list_tasks() -> list[str]:
    """Return the names of all registered tasks."""
    return list(TASKS)


def get_task(name: str):
    """Return the task of that name. Raises KeyError with the nearest names if there is none."""
    if name not in TASKS:
        near = get_close_matches(str(name), TASKS, n=3, cutoff=0.3)
        raise KeyError(f"no task {name!r}; nearest: {', '.join(near) or 'none'}. All: {', '.join(TASKS)}")
    return TASKS[name]


def select_tasks(names: Iterable[str]) -> list[str]:
    """Replace the names of macro-tasks by those of their sub-tasks: `["open_generation", "retrosynthesis"]` gives ten.

    Keeps the order and drops repeats. Raises KeyError with the nearest names if a name is unknown.
    """
    selected = []
    for name in names:
        sub_tasks = [task for task in TASKS if task == name or task.startswith(name + "/")]
        selected += sub_tasks or [get_task(name).name]  # get_task raises
    return list(dict.fromkeys(selected))


def balance_shares(tasks: Sequence[str]) -> dict[str, float]:
    """Return the share of each sub-task in the balanced score, summing to 1.

    All macro-tasks have equal shares, and so have the sub-tasks within each.
    """
    macros = {task: get_task(task).macro for task in tasks}
    sizes = Counter(macros.values())
    return {task: 1 / len(sizes) / sizes[macros[task]] for task in tasks}
