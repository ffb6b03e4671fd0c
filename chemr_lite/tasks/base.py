"""The base class of tasks, the base classes that several tasks share, and the comparison of structures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rdkit import Chem

from chemr_lite.answers import build_prompt
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
from chemr_lite.smiles import parse_smiles, same_molecules, without_stereo

Row = Mapping[str, Any]  # task, input, answer, split, meta (a mapping)


@dataclass(frozen=True, slots=True)
class Score:
    """The score of an answer: its `value` in [0, 1], whether it is `correct`, and the `reason`."""

    value: float
    correct: bool
    reason: Reason


CORRECT = Score(1.0, True, Reason.CORRECT)


def zero(reason: Reason) -> Score:
    return Score(0.0, False, reason)


class Task:
    """One task or sub-task. A subclass sets these attributes and defines `score`, and `facts` if RDKit knows any."""

    name: str  # `macro` or `macro/sub`
    instruction: str  # the first line of the question
    label: str  # what the question calls the input
    metric: str  # what tables call the mean of 100 × `score(...).value`
    answers: str = "molecule"  # or `choice` or `text`
    verified: bool = False  # whether `score` needs no known answer

    @property
    def macro(self) -> str:
        return self.name.split("/")[0]

    def question(self, row: Row) -> str:
        """Return the question as the model reads it."""
        return f"{self.instruction}\n{self.label}: {row['input']}"

    def prompt(self, row: Row) -> list[dict[str, str]]:
        """Return the question as a conversation for a chat template."""
        return build_prompt(self.question(row))

    def sides(self, row: Row) -> dict[str, str]:
        """Return the molecules that the row is about by the name a trace gives them, those of the question first."""
        return {"molecule": row["input"]}

    def subjects(self, row: Row) -> list[str]:
        """Return the molecules or reactions of the row that may stand in no other split, whatever the task there."""
        return list(self.sides(row).values())

    def gold(self, row: Row) -> str | None:
        """Return the answer that scores 1.0, or None if many answers are right and `score` verifies them."""
        return row["answer"] or None

    def score(self, answer: str, row: Row) -> Score:
        """Score `answer`. Never raises, whatever `answer` is."""
        raise NotImplementedError

    def facts(self, row: Row) -> dict[str, str] | None:
        """Return the steps that RDKit can write, as {name in protocols.yaml: text}, or None."""
        return None

    def trace(self, row: Row, protocols: Protocols | None = None) -> str | None:
        """Return a grounded trace, or None: the numbered steps of the task's protocol, each computed by RDKit."""
        facts = self.facts(row)
        if not facts:
            return None
        steps = [step for step in (protocols or load_protocols()).of(self.name) if step.fact in facts]
        return "\n".join(f"{i}. **{step.heading}:** {facts[step.fact]}" for i, step in enumerate(steps, 1)) or None


class YesNo(Task):
    """A question with the answer Yes or No."""

    metric = "accuracy"
    answers = "choice"

    def score(self, answer: str, row: Row) -> Score:
        choice = answer.strip().rstrip(".").lower()  # case and a full stop do not matter
        if choice not in ("yes", "no"):
            return zero(Reason.NOT_A_CHOICE if choice else Reason.EMPTY)
        return CORRECT if choice == row["answer"].strip().lower() else zero(Reason.WRONG)


class MoleculeAndText(Task):
    """A question between a molecule and its name or description; `answers` says which of the two is the answer."""

    def sides(self, row: Row) -> dict[str, str]:
        return {"molecule": row["answer"] if self.answers == "molecule" else row["input"]}

    def facts(self, row: Row) -> dict[str, str] | None:
        parsed = parse_smiles(self.sides(row)["molecule"])
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


def unreadable_molecule(row: Row) -> tuple[str, str, Reason] | None:
    """Return side, SMILES and reason of a molecule of the question that the gate refuses; None if it refuses none.

    Raises ValueError or KeyError if the question has not the form that its task needs.
    """
    task = get_task(row["task"])
    if task.label in ("Name", "Description"):
        return None
    for side, smiles in task.sides(row).items():
        parsed = parse_smiles(smiles)
        is_answer = task.answers == "molecule" and smiles == row["answer"]
        if not parsed.ok and not is_answer:
            return side, smiles, parsed.reason
    return None


def repeats_question(answer: str, row: Row) -> bool:
    """Return whether a valid `answer` contains only molecules of the question; False if the row has no `input`."""
    if "input" not in row:
        return False
    question = get_task(row["task"]).sides({**row, "answer": ""}).values()
    fragments = parse_smiles(answer).fragments
    return bool(fragments) and set(fragments) <= {
        part for smiles in question for part in parse_smiles(smiles).fragments
    }


def score_structures(answer: str, gold: str) -> Score:
    """Score 1 if `answer` is the same multiset of molecules as `gold` (canonical fragments with stereochemistry)."""
    parsed, target = parse_smiles(answer), parse_smiles(gold)
    if not parsed.ok:
        # the gate refuses lone ions, but here the gold answer may be one
        both_lone = parsed.reason is target.reason is Reason.LONE_ATOM
        is_same = both_lone and Chem.CanonSmiles(parsed.text) == Chem.CanonSmiles(target.text)
        return CORRECT if is_same else zero(parsed.reason)
    if parsed.fragments == target.fragments:
        return CORRECT
    if len(parsed.fragments) != len(target.fragments):
        return zero(Reason.FRAGMENTS)
    if without_stereo(parsed.key) == without_stereo(target.key):
        is_same = same_molecules(parsed.fragments, target.fragments)
        return CORRECT if is_same else zero(Reason.WRONG_STEREO)
    return zero(Reason.WRONG)


def group_facts(question: Iterable[str] = (), answer: Iterable[str] = ()) -> dict[str, str]:
    """Return the steps about the functional groups of valid SMILES in the question and in the answer.

    Each side has two steps: its groups, and its groups with their places.
    """
    sides = {"groups": tuple(question), "groups of the answer": tuple(answer)}
    return {
        f"{prefix}{step}": describe_groups(*molecules, placed=bool(prefix))
        for step, molecules in sides.items()
        if molecules
        for prefix in ("", "placed ")
    }
