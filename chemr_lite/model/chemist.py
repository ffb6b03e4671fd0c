"""Ask a trained model, and know what its answer is worth.

    from chemr_lite import Chemist
    chemist = Chemist("outputs/nano/grpo")
    reply = chemist.ask("retrosynthesis", "CC(=O)Nc1ccc(O)cc1")
    reply.answer, reply.reasoning, reply.claims, reply.verdict

A question is asked in the words that the model was trained on, and the answer goes through the same gate, the same
checker of claims and, where it can be verified, the same score as in training and evaluation.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from chemr_lite.answers import build_prompt, parse_completion
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


class Chemist:
    """A model to ask: a phase's directory, a run directory (its last phase), a model folder, `nano`, or a name on the hub.

    The base is loaded in 4 bits, on the GPU where there is one. Claims are read along `protocols`, by default those that the
    phase was trained with. Raises ModelError. It may be asked from several threads; they take turns.
    """

    def __init__(self, model: str | Path, protocols: Protocols | None = None, max_new_tokens: int | None = None):
        folder = Path(model, *phases_of(Path(model))[-1:])
        adapter = folder if (folder / "adapter_config.json").exists() else None
        check_there(str(model))
        self.base = base_of(adapter) if adapter else str(model)
        self.tokenizer = load_tokenizer(self.base)
        self.model = load_base(self.base, detect_hardware())
        self._turn = threading.RLock()
        if adapter:
            self.model = with_adapter(self.model, adapter)
        self._settle(adapter, "default" if adapter else None, protocols, max_new_tokens)

    def _settle(
        self, adapter: Path | None, name: str | None, protocols: Protocols | None, max_new_tokens: int | None
    ) -> None:
        trained = _trained_with(adapter) if adapter else {}
        self.adapter, self._adapter_name = adapter, name
        self.protocols = protocols or _protocols_of(trained)
        self.max_new_tokens = max_new_tokens or trained.get("max_completion_tokens") or MAX_NEW_TOKENS

    def load_phase(self, phase: str | Path) -> "Chemist":
        """Another phase of the same run; both share one base in memory. Raises ModelError."""
        adapter = Path(phase)
        if base_of(adapter) != self.base or self.adapter is None:
            raise ModelError(f"{phase} is no adapter of the base {self.base}, which {self.adapter or 'this model'} has")
        other = object.__new__(Chemist)
        other.base, other.tokenizer, other.model, other._turn = self.base, self.tokenizer, self.model, self._turn
        name = adapter.name + str(len(self.model.peft_config))  # peft allows no dot or slash in it
        with self._turn:
            with_adapter(self.model, adapter, name=name)
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
            return answer_prompts(self.model, self.tokenizer, prompts, BATCH, self.max_new_tokens, streamer=streamer)


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
