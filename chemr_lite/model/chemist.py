"""Ask a trained model, and see what its answer is worth.

    from chemr_lite import Chemist
    chemist = Chemist("outputs/nano/grpo")
    reply = chemist.ask("retrosynthesis", "CC(=O)Nc1ccc(O)cc1")
    reply.answer, reply.reasoning, reply.claims, reply.verdict

A question is put in the words that the model was trained on. Its answer goes through the same gate and claim checker as
in training and evaluation and, where it can be verified, gets the same score.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from transformers import TextIteratorStreamer

from chemr_lite.answers import parse_completion
from chemr_lite.claims import Claim, check_claims
from chemr_lite.errors import ModelError
from chemr_lite.model.adapters import with_adapter
from chemr_lite.model.folders import base_of, check_there, phases_of
from chemr_lite.model.generation import answer_prompts
from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_base, load_tokenizer
from chemr_lite.model.questions import read_question
from chemr_lite.protocols import BUILT_IN, Protocols, load_protocols
from chemr_lite.reasons import Reason
from chemr_lite.rewards import score_completion
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import Score, get_task
from chemr_lite.tasks.base import Row, repeats_question

MAX_NEW_TOKENS = 1024
BATCH = 32


@dataclass(frozen=True)
class Reply:
    """A model's reply to one question, taken apart and judged."""

    row: Row  # the question, in the row format
    completion: str  # all that the model wrote
    reasoning: str
    answer: str | None  # None if the format is wrong
    claims: list[Claim] = field(repr=False)  # of the reasoning; `supported` is True, False or None
    valid: bool  # whether there is an answer and, if it should be a molecule, the gate accepts it
    reason: Reason  # why it is not valid, or that it repeats a molecule of the question
    score: Score | None  # whether it is correct; None if there is nothing to verify it with

    @property
    def verdict(self) -> str:
        """Return `valid`, or in words what is wrong. A valid molecule that only repeats the question is wrong."""
        return "valid" if self.reason is Reason.CORRECT else self.reason.words


class Chemist:
    """A model that answers questions.

    `model` is the directory of a phase, a run directory (which stands for its last phase), a model folder, `nano`, or a
    name on the hub. The base is loaded in 4 bits, on the GPU if there is one. Claims are read along `protocols`, by
    default those that the phase was trained with. Several threads may ask; they take turns. Raises ModelError.
    """

    def __init__(self, model: str | Path, protocols: Protocols | None = None, max_new_tokens: int | None = None):
        folder = Path(model, *phases_of(Path(model))[-1:])
        adapter = folder if (folder / "adapter_config.json").exists() else None
        check_there(str(model))
        self.base = base_of(adapter) if adapter else str(model)
        self.tokenizer = load_tokenizer(self.base)
        self.model = load_base(self.base, detect_hardware(self.base))
        self._turn = threading.RLock()
        if adapter:
            self.model = with_adapter(self.model, adapter)
        self._configure(adapter, "default" if adapter else None, protocols, max_new_tokens)

    def _configure(
        self, adapter: Path | None, name: str | None, protocols: Protocols | None, max_new_tokens: int | None
    ) -> None:
        options = _options_of(adapter) if adapter else {}
        self.adapter, self._adapter_name = adapter, name
        self.protocols = protocols or _protocols_of(options)
        self.max_new_tokens = max_new_tokens or options.get("max_completion_tokens") or MAX_NEW_TOKENS

    def load_phase(self, phase: str | Path) -> "Chemist":
        """Return a Chemist for another phase of the same run; both share one base in memory. Raises ModelError."""
        adapter = Path(phase)
        if base_of(adapter) != self.base or self.adapter is None:
            raise ModelError(f"{phase} is no adapter of the base {self.base}, which {self.adapter or 'this model'} has")
        chemist = object.__new__(Chemist)
        chemist.base, chemist.tokenizer, chemist.model = self.base, self.tokenizer, self.model
        chemist._turn = self._turn
        name = adapter.name + str(len(self.model.peft_config))  # a path would have dots and slashes, which peft forbids
        with self._turn:
            with_adapter(self.model, adapter, name=name)
        chemist._configure(adapter, name, None, self.max_new_tokens)
        return chemist

    def ask(self, task: str, question: str, gold: str = "", meta: dict | None = None) -> Reply:
        """Answer one question of `task` greedily (see `read_question`). Raises QuestionError and KeyError."""
        return self.ask_all([read_question(task, question, gold, meta)])[0]

    def ask_all(self, rows: Sequence[Row]) -> list[Reply]:
        """Answer many rows greedily, in batches, and return the replies in order. `read_question` makes a row."""
        completions = self._complete(rows)
        return [self.read(row, completion) for row, completion in zip(rows, completions, strict=True)]

    def stream(self, row: Row) -> Iterator[str]:
        """Yield the whole text so far of the greedy completion of one row, longer each time, as it is generated."""
        streamer, text = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True), ""
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(self._complete, [row], streamer)
            # generation that fails never ends the stream itself
            writing.add_done_callback(lambda _: streamer.text_queue.put(streamer.stop_signal))
            for piece in streamer:
                text += piece
                yield text
            writing.result()

    def read(self, row: Row, completion: str) -> Reply:
        """Return `completion` as a reply to `row`: taken apart, its claims checked, its answer judged."""
        parsed = parse_completion(completion)
        reason = parsed.reason
        is_molecule = parsed.answer is not None and get_task(row["task"]).answers == "molecule"
        if is_molecule:
            reason = parse_smiles(parsed.answer).reason
        can_score = row["answer"] or get_task(row["task"]).verified
        return Reply(
            row=row,
            completion=completion,
            reasoning=parsed.think,
            answer=parsed.answer,
            claims=check_claims(parsed.think, row, parsed.answer, self.protocols),
            valid=reason is Reason.CORRECT,
            reason=Reason.UNCHANGED if is_molecule and repeats_question(parsed.answer, row) else reason,
            score=score_completion(completion, row) if can_score else None,
        )

    def _complete(self, rows: Sequence[Row], streamer=None) -> list[str]:
        prompts = [get_task(row["task"]).prompt(row) for row in rows]
        with self._turn:
            if self._adapter_name:
                self.model.set_adapter(self._adapter_name)
            return answer_prompts(self.model, self.tokenizer, prompts, BATCH, self.max_new_tokens, streamer=streamer)


def _options_of(adapter: Path) -> dict:
    """Return the options that a phase was trained with, or nothing for an adapter without its run.json."""
    try:
        return json.loads((adapter / "run.json").read_text())["options"]
    except (OSError, ValueError, KeyError):
        return {}


def _protocols_of(options: dict) -> Protocols:
    """Return the protocols of a phase, or the default ones if its file no longer exists."""
    name = options.get("protocols", "default").split(" (")[0]  # run.json adds a digest to a file's name
    return load_protocols(name if name in BUILT_IN or Path(name).is_file() else "default")
