"""What a task is, the register of all of them, and the comparison of structures that several share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rdkit import Chem

from chemr_lite.chemistry.structure import count_atoms
from chemr_lite.chemistry.wording import (
    describe_formula,
    describe_groups,
    describe_rings,
    describe_scaffold,
    describe_stereo,
    format_counts,
)
from chemr_lite.protocols import Protocols, load_protocols
from chemr_lite.reasons import Reason
from chemr_lite.registry import get_task
from chemr_lite.smiles import parse_smiles, without_stereo

Row = Mapping[str, Any]  # task, input, answer, split, meta (a mapping)


@dataclass(frozen=True, slots=True)
class Score:
    """What an answer is worth: `value` in [0, 1], whether it is `correct`, and why."""

    value: float
    correct: bool
    reason: Reason


CORRECT = Score(1.0, True, Reason.CORRECT)


def zero(reason: Reason) -> Score:
    return Score(0.0, False, reason)


class Task:
    """One sub-task. A subclass gives `name`, `instruction`, `label`, `metric` and the methods below.

    `instruction` is the sentence of the question and `label` names the input; `metric` names what the mean of
    `score(...).value` × 100 is called in tables; `answers` is `molecule`, `choice` or `text`; `verified` says that `score`
    needs no known answer.
    """

    name: str
    instruction: str
    label: str
    metric: str
    answers: str = "molecule"
    verified: bool = False

    @property
    def macro(self) -> str:
        return self.name.split("/")[0]

    def question(self, row: Row) -> str:
        """The question as the model reads it."""
        return f"{self.instruction}\n{self.label}: {row['input']}"

    def sides(self, row: Row) -> dict[str, str]:
        """The molecules the row is about, under the name that a trace would call them, those of the question first."""
        return {"molecule": row["input"]}

    def subjects(self, row: Row) -> list[str]:
        """What no other split may hold, in a row of any task: the molecules or reactions the row is about."""
        return list(self.sides(row).values())

    def gold(self, row: Row) -> str | None:
        """The answer that scores 1.0, or None where many answers are right and `score` verifies them."""
        return row["answer"] or None

    def score(self, answer: str, row: Row) -> Score:
        """What `answer` is worth for `row`. Never raises on any `answer`."""
        raise NotImplementedError

    def facts(self, row: Row) -> dict[str, str] | None:
        """The text of each step that RDKit can write, by the step's name in protocols.yaml; None where it knows nothing."""
        return None

    def trace(self, row: Row, protocols: Protocols | None = None) -> str | None:
        """A grounded trace: the numbered steps of the task's protocol, every fact computed by RDKit, or None."""
        facts = self.facts(row)
        if not facts:
            return None
        told = [
            (step.heading, facts[step.fact])
            for step in (protocols or load_protocols()).of(self.name)
            if step.fact in facts
        ]
        return "\n".join(f"{i}. **{heading}:** {text}" for i, (heading, text) in enumerate(told, 1)) or None


class YesNo(Task):
    """A question answered by Yes or No."""

    metric = "accuracy"
    answers = "choice"

    def score(self, answer: str, row: Row) -> Score:
        said = answer.strip().rstrip(".").lower()  # case and a full stop do not matter
        if said not in ("yes", "no"):
            return zero(Reason.NOT_A_CHOICE if said else Reason.EMPTY)
        return CORRECT if said == row["answer"].strip().lower() else zero(Reason.WRONG)


def repeats_question(answer: str, row: Row) -> bool:
    """Whether a valid `answer` holds nothing but molecules of the question; False where a reward does not know the question."""
    if "input" not in row:
        return False
    asked = get_task(row["task"]).sides({**row, "answer": ""}).values()
    said = parse_smiles(answer).fragments
    return bool(said) and set(said) <= {fragment for smiles in asked for fragment in parse_smiles(smiles).fragments}


def score_structures(answer: str, gold: str) -> Score:
    """1 if `answer` is the same multiset of molecules as `gold` (canonical fragments, stereochemistry included)."""
    parsed, target = parse_smiles(answer), parse_smiles(gold)
    if not parsed.ok:
        # a lone ion is nothing to be paid for, unless it is what was asked for
        lone = parsed.reason is target.reason is Reason.LONE_ATOM
        return (
            CORRECT if lone and Chem.CanonSmiles(parsed.text) == Chem.CanonSmiles(target.text) else zero(parsed.reason)
        )
    if parsed.fragments == target.fragments:
        return CORRECT
    if len(parsed.fragments) != len(target.fragments):
        return zero(Reason.FRAGMENTS)
    if without_stereo(parsed.key) == without_stereo(target.key):
        return zero(Reason.WRONG_STEREO)
    return zero(Reason.WRONG)


def group_facts(question: Iterable[str] = (), answer: Iterable[str] = ()) -> dict[str, str]:
    """The steps that tell functional groups, plainly and with their places, of valid SMILES in the question and the answer."""
    sides = {"groups": tuple(question), "groups of the answer": tuple(answer)}
    return {
        f"{manner}{step}": describe_groups(*molecules, placed=bool(manner))
        for step, molecules in sides.items()
        if molecules
        for manner in ("", "placed ")
    }


def structure_facts(smiles: str) -> dict[str, str] | None:
    """The steps that tell a molecule, whichever way a task goes between it and a name or a description."""
    parsed = parse_smiles(smiles)
    if not parsed.ok:
        return None
    return {
        **group_facts(answer=[parsed.key]),
        "rings": describe_rings(parsed.mol),
        "scaffold": describe_scaffold(parsed.mol),
        "atoms": format_counts(count_atoms(parsed.mol)),
        "formula": describe_formula(parsed.mol),
        "stereocentres": describe_stereo(parsed.text),
    }
