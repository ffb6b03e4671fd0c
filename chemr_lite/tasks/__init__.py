"""The tasks, one file per macro-task. Importing this package registers them all, in Chem-R's order."""

from chemr_lite.tasks import (  # isort: skip
    name_prediction,
    property_prediction,
    molecule_design,
    molecule_captioning,
    open_generation,
    yield_prediction,
    reaction_prediction,
    reagent_selection,
    retrosynthesis,
)
from chemr_lite.registry import get_task, list_tasks, register, select_tasks
from chemr_lite.tasks.base import Score, Task

__all__ = ["Score", "Task", "get_task", "list_tasks", "register", "select_tasks"]
