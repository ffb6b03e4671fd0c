"""chemr-lite: tasks, rewards, task mixing and protocols for teaching language models to reason about chemistry.

Importing this package loads RDKit and nothing heavier. Only `Chemist` and `chemr_lite.model` import torch.
"""

from chemr_lite.answers import build_prompt, parse_completion, render
from chemr_lite.claims import check_claims
from chemr_lite.rewards import reward_functions
from chemr_lite.smiles import parse_smiles, similarity
from chemr_lite.tasks import Score, get_task, list_tasks, select_tasks

__all__ = [
    "Chemist",
    "Score",
    "build_prompt",
    "check_claims",
    "get_task",
    "list_tasks",
    "parse_completion",
    "parse_smiles",
    "render",
    "reward_functions",
    "select_tasks",
    "similarity",
]
__version__ = "0.1.0"


def __getattr__(name: str):
    if name == "Chemist":
        from chemr_lite.model.chemist import Chemist  # imports torch

        return Chemist
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
