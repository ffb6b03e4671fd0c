"""Turn what a person asks into a row: a task with its input, or a sentence in a task's own words."""

import re

from chemr_lite.data.rows import check_row
from chemr_lite.errors import QuestionError
from chemr_lite.tasks import get_task, list_tasks
from chemr_lite.tasks.base import unreadable_molecule
from chemr_lite.tasks.open_generation import read_instruction

OPEN = "open_generation"
EXAMPLES = (
    "Ask for instance: Please add a hydroxyl to the molecule CCCCCCC. Or: Please increase the LogP value of the "
    "molecule OCCc1ccccc1. Or: Please generate a molecule with 2 carbon, 1 oxygen atoms."
)


def read_question(task: str, text: str, gold: str = "", meta: dict | None = None) -> dict:
    """Return the row that asks `text` of `task`, with the known answer `gold`, if any, and the row's `meta`.

    `open_generation` finds sub-task and `meta` in the wording of TOMG-Bench ("Please add a hydroxyl to the molecule
    CCC."). Raises QuestionError for a question that the task cannot ask, and KeyError for an unknown task.
    """
    text = text.strip()
    if not text:
        raise QuestionError("The question is empty.")
    if meta is None and task.split("/")[0] == OPEN:
        try:
            sub, meta = read_instruction(text)
        except ValueError as error:
            raise QuestionError(f"There is {error}. {EXAMPLES}") from error
        if task not in (OPEN, f"{OPEN}/{sub}"):
            raise QuestionError(f"This asks for {OPEN}/{sub}, not for {task}.")
        task = f"{OPEN}/{sub}"
    asked_task = get_task(task)
    row = {"task": asked_task.name, "input": text, "answer": gold, "meta": meta or {}}
    if gold:
        row = _with_gold(row)
    try:
        if ">>" in _form(task) and not all(asked_task.sides(row).values()):
            raise _wrong_form(task)
        unreadable = unreadable_molecule(row)
    except (ValueError, KeyError) as error:
        raise _wrong_form(task) from error
    if unreadable:
        side, smiles, reason = unreadable
        raise QuestionError(f"The {side} {smiles[:80]!r} is no molecule: {reason.words}. Give it as SMILES.")
    return row


def read_words(text: str) -> dict:
    """Return the row that `text` asks in a task's own words.

    These are the task's instruction followed by the input, as the model reads them, or an instruction of open
    generation. Raises QuestionError.
    """
    for name in list_tasks():
        words = get_task(name).question({"input": ""}).split() if name.split("/")[0] != OPEN else []
        start = words and re.match(r"\s*" + r"\s+".join(map(re.escape, words)), text)
        if start:
            return read_question(name, text[start.end() :])
    try:
        return read_question(OPEN, text)
    except QuestionError as error:
        if not text.strip():
            raise
        raise QuestionError(f"No task asks in these words: choose a task. {EXAMPLES}") from error


def _form(task: str) -> str:
    """Return how a question of `task`, one about a reaction, is written."""
    if task.startswith("yield_prediction"):
        return "reactants>>product"
    given = "Reactant: Brc1ccccc1" if task.endswith("reactant") else "Reactants: OB(O)c1ccccc1.Brc1ccccc1"
    return f"in three lines: {given} / Product: c1ccc(-c2ccccc2)cc1 / List: the candidates, with commas between them"


def _wrong_form(task: str) -> QuestionError:
    return QuestionError(f"This is not a question of {task}; it is written {_form(task)}.")


def _with_gold(row: dict) -> dict:
    try:
        return check_row(row | {"split": "test"})
    except (ValueError, KeyError) as error:
        raise QuestionError(f"The known answer cannot be used: {error}.") from error
