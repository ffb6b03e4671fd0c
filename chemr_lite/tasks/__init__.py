"""The tasks of the benchmark, one file per macro-task. Importing this package registers them all."""

from chemr_lite.tasks import open_generation, property_prediction, reaction_prediction, retrosynthesis
from chemr_lite.tasks.base import Score, Task, get_task, list_tasks, register, select_tasks

__all__ = ["Score", "Task", "get_task", "list_tasks", "register", "select_tasks"]
__all__ += ["open_generation", "property_prediction", "reaction_prediction", "retrosynthesis"]
