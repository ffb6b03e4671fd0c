"""The register of tasks by name. Importing `chemr_lite.tasks` fills it, in Chem-R's order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Protocol, TypeVar


class Named(Protocol):
    """Anything with a task's name, `macro` or `macro/sub`."""

    name: str


T = TypeVar("T", bound=Named)
TASKS: dict = {}


def register(task: T) -> T:
    """Add `task` to the register under its name. Raises ValueError if the name is taken."""
    if task.name in TASKS:
        raise ValueError(f"a task named {task.name!r} is registered already")
    TASKS[task.name] = task
    return task


def list_tasks() -> list[str]:
    """Return the names of all registered tasks."""
    return list(TASKS)


def get_task(name: str):
    """Return the task of that name. Raises KeyError with the nearest names where there is none."""
    if name not in TASKS:
        near = get_close_matches(str(name), TASKS, n=3, cutoff=0.3)
        raise KeyError(f"no task {name!r}; nearest: {', '.join(near) or 'none'}. All: {', '.join(TASKS)}")
    return TASKS[name]


def select_tasks(names: Iterable[str]) -> list[str]:
    """Expand names of macro-tasks and check all: `["retrosynthesis", "open_generation"]` → names of sub-tasks, in order.

    Raises KeyError with the nearest names for one that is unknown.
    """
    chosen = []
    for name in names:
        members = [task for task in TASKS if task == name or task.startswith(name + "/")]
        chosen += members or [get_task(name).name]  # get_task raises with the nearest names
    return list(dict.fromkeys(chosen))


def balance_shares(tasks: Sequence[str]) -> dict[str, float]:
    """Return each sub-task's share of the balanced score: macro-tasks count alike, and sub-tasks alike within each."""
    macro = {task: get_task(task).macro for task in tasks}
    members = Counter(macro.values())
    return {task: 1 / len(members) / members[macro[task]] for task in tasks}
