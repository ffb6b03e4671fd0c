"""Questions in people's words, as rows: a task and its input, or an instruction of open generation."""

import re

from chemr_lite.data.rows import check_row
from chemr_lite.errors import QuestionError
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import get_task, list_tasks
from chemr_lite.tasks.open_generation import read_instruction

OPEN = "open_generation"
EXAMPLES = (
    "Of a molecule's changes ask for instance: Please add a hydroxyl to the molecule CCC. Or: Please increase the LogP value of "
    "the molecule OCCO. Or: Please generate a molecule with 2 carbon, 1 oxygen atoms."
)


def read_question(task: str, text: str, gold: str = "", meta: dict | None = None) -> dict:
    """The question `text` of `task` as a row. Raises QuestionError for one that cannot be asked, KeyError for no task.

    `open_generation` finds its sub-task in the wording of TOMG-Bench ("Please add a hydroxyl to the molecule CCC."). `gold` is
    the answer, where it is known, and `meta` what the row holds besides; of open generation it is read from the wording.
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
    known = get_task(task)
    row = {"task": known.name, "input": text, "answer": gold, "meta": meta or {}}
    if gold:
        row = _with_gold(row)
    if known.label in ("Name", "Description"):
        return row
    try:
        sides = known.sides(row)
    except (ValueError, KeyError) as error:
        raise QuestionError(f"This is not a question of {task}; it is written {_form(task)}.") from error
    if ">>" in _form(task) and not all(sides.values()):
        raise QuestionError(f"This is not a question of {task}; it is written {_form(task)}.")
    for side, smiles in sides.items():
        parsed = parse_smiles(smiles)
        asked_for = known.answers == "molecule" and smiles == gold
        if not parsed.ok and not asked_for:
            raise QuestionError(f"The {side} {smiles[:80]!r} is no molecule: {parsed.reason.words}. Give it as SMILES.")
    return row


def _form(task: str) -> str:
    """How the question of a task is written that is about a reaction."""
    if task.startswith("yield_prediction"):
        return "reactants>>product"
    one = "Reactant: Brc1ccccc1" if task.endswith("reactant") else "Reactants: OB(O)c1ccccc1.Brc1ccccc1"
    return f"in three lines: {one} / Product: c1ccc(-c2ccccc2)cc1 / List: the candidates, with commas between them"


def read_words(text: str) -> dict:
    """The question `text` as a row of the task whose words it uses: a task's instruction before the input, as the model
    reads it, or an instruction of open generation. Raises QuestionError."""
    for name in list_tasks():
        words = get_task(name).question({"input": ""}).split() if name.split("/")[0] != OPEN else []
        begins = words and re.match(r"\s*" + r"\s+".join(map(re.escape, words)), text)
        if begins:
            return read_question(name, text[begins.end() :])
    try:
        return read_question(OPEN, text)
    except QuestionError as error:
        if not text.strip():
            raise
        raise QuestionError(f"No task asks in these words: choose a task. {EXAMPLES}") from error


def _with_gold(row: dict) -> dict:
    try:
        return check_row(row | {"split": "test"})
    except (ValueError, KeyError) as error:
        raise QuestionError(f"The known answer cannot be used: {error}.") from error
