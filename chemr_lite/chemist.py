"""Ask a trained model, and know what its answer is worth.

    from chemr_lite import Chemist
    chemist = Chemist("outputs/nano/grpo")
    reply = chemist.ask("retrosynthesis", "CC(=O)Nc1ccc(O)cc1")
    reply.answer, reply.reasoning, reply.claims, reply.verdict

A question is asked in the words that the model was trained on, and the answer goes through the same gate, the same
checker of claims and, where it can be verified, the same score as in training and evaluation.
"""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from chemr_lite import models
from chemr_lite.answers import build_prompt, parse_completion
from chemr_lite.claims import Claim, check_claims
from chemr_lite.data import check_row
from chemr_lite.generation import answer
from chemr_lite.protocols import BUILT_IN, Protocols, load_protocols
from chemr_lite.reasons import Reason
from chemr_lite.rewards import score_completion
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import Score, get_task, list_tasks
from chemr_lite.tasks.base import Row, repeats_question
from chemr_lite.tasks.open_generation import read_instruction

OPEN = "open_generation"
MAX_NEW_TOKENS = 1024
EXAMPLES = (
    "Of a molecule's changes ask for instance: Please add a hydroxyl to the molecule CCC. Or: Please increase the LogP value of "
    "the molecule OCCO. Or: Please generate a molecule with 2 carbon, 1 oxygen atoms."
)
BATCH = 32


class QuestionError(ValueError):
    """A question that cannot be asked; the message says what is wrong with it, in words for the one who asks."""


@dataclass(frozen=True)
class Reply:
    """What a model said. `row` is the question in the row format, `completion` all that was written.

    `answer` is None where the format failed; `claims` are those of the reasoning, each with `supported` True, False or None;
    `valid` says whether there is an answer and, where it should be a molecule, whether the gate takes it for one, `reason` why
    not, or that it is the question's own. Whether it is right says `score`, which is None where no answer is known to compare with.
    """

    row: Row
    completion: str
    reasoning: str
    answer: str | None
    claims: list[Claim] = field(repr=False)
    valid: bool
    reason: Reason
    score: Score | None

    @property
    def verdict(self) -> str:
        """`valid`, or what is wrong, in words: a valid molecule that only repeats the question is no answer."""
        return "valid" if self.reason is Reason.CORRECT else self.reason.words


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


class Chemist:
    """A model to ask: a phase's directory, a run directory (its last phase), a model folder, `nano`, or a name on the hub.

    The base is loaded in 4 bits, on the GPU where there is one. Claims are read along `protocols`, by default those that the
    phase was trained with. Raises chemr_lite.models.ModelError. It may be asked from several threads; they take turns.
    """

    def __init__(self, model: str | Path, protocols: Protocols | None = None, max_new_tokens: int | None = None):
        folder = Path(model, *models.phases_of(Path(model))[-1:])
        adapter = folder if (folder / "adapter_config.json").exists() else None
        models.check_there(str(model))
        self.base = models.base_of(adapter) if adapter else str(model)
        self.tokenizer = models.load_tokenizer(self.base)
        self.model = models.load_base(self.base, models.detect_hardware())
        self._turn = threading.RLock()
        if adapter:
            self.model = models.with_adapter(self.model, adapter)
        self._settle(adapter, "default" if adapter else None, protocols, max_new_tokens)

    def _settle(self, adapter: Path | None, name: str | None, protocols: Protocols | None, max_new_tokens: int | None) -> None:
        trained = _trained_with(adapter) if adapter else {}
        self.adapter, self._adapter_name = adapter, name
        self.protocols = protocols or _protocols_of(trained)
        learnt = trained.get("max_completion_tokens") or trained.get("max_length")  # phases 1 and 2 know only the second
        self.max_new_tokens = max_new_tokens or learnt or MAX_NEW_TOKENS

    def beside(self, phase: str | Path) -> "Chemist":
        """Another phase of the same run; both share one base in memory. Raises ModelError."""
        adapter = Path(phase)
        if models.base_of(adapter) != self.base or self.adapter is None:
            raise models.ModelError(f"{phase} is no adapter of the base {self.base}, which {self.adapter or 'this model'} has")
        other = object.__new__(Chemist)
        other.base, other.tokenizer, other.model, other._turn = self.base, self.tokenizer, self.model, self._turn
        name = adapter.name + str(len(self.model.peft_config))  # peft allows no dot or slash in it
        with self._turn:
            models.with_adapter(self.model, adapter, name=name)
        other._settle(adapter, name, None, self.max_new_tokens)
        return other

    def ask(self, task: str, question: str, gold: str = "", meta: dict | None = None) -> Reply:
        """The greedy answer to one question of `task` (see `read_question`). Raises QuestionError, KeyError."""
        return self.ask_all([read_question(task, question, gold, meta)])[0]

    def ask_all(self, rows: Sequence[Row]) -> list[Reply]:
        """Greedy answers to many rows (`read_question` makes one), in their order, in batches."""
        completions = self._complete(rows)
        return [self.read(row, completion) for row, completion in zip(rows, completions, strict=True)]

    def stream(self, row: Row) -> Iterator[str]:
        """The completion of one row while it is written: all of its text so far, longer with each item."""
        from transformers import TextIteratorStreamer

        streamer, text = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True), ""
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(self._complete, [row], streamer)
            # where it fails it never comes to the streamer's end
            writing.add_done_callback(lambda _: streamer.text_queue.put(streamer.stop_signal))
            for piece in streamer:
                text += piece
                yield text
            writing.result()

    def read(self, row: Row, completion: str) -> Reply:
        """`completion` as a reply to `row`: taken apart, its claims checked, its answer judged."""
        parsed = parse_completion(completion)
        reason = parsed.reason
        molecule = parsed.answer is not None and get_task(row["task"]).answers == "molecule"
        if molecule:
            reason = parse_smiles(parsed.answer).reason
        can_score = row["answer"] or get_task(row["task"]).verified
        return Reply(
            row,
            completion,
            parsed.think,
            parsed.answer,
            check_claims(parsed.think, row, parsed.answer, self.protocols),
            reason is Reason.CORRECT,
            Reason.UNCHANGED if molecule and repeats_question(parsed.answer, row) else reason,
            score_completion(completion, row) if can_score else None,
        )

    def _complete(self, rows: Sequence[Row], streamer=None) -> list[str]:
        prompts = [build_prompt(get_task(row["task"]).question(row)) for row in rows]
        with self._turn:
            if self._adapter_name:
                self.model.set_adapter(self._adapter_name)
            return answer(self.model, self.tokenizer, prompts, BATCH, self.max_new_tokens, streamer=streamer)


def _trained_with(adapter: Path) -> dict:
    """The options that a phase was trained with; none where the adapter stands without its run.json."""
    try:
        return json.loads((adapter / "run.json").read_text())["options"]
    except (OSError, ValueError, KeyError):
        return {}


def _protocols_of(trained: dict) -> Protocols:
    """The protocols of a phase: nano's or the default, or its file where that is still there."""
    name = trained.get("protocols", "default").split(" (")[0]  # run.json adds a digest to a file
    return load_protocols(name if name in BUILT_IN or Path(name).is_file() else "default")
