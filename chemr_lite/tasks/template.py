"""Solubility: a molecule → the log10 of its solubility in water, in mol/L. A template, which nothing imports.

    SMILES: CCCCCC     →  <answer>-3.8</answer>

Copy this file and change the marked lines; README.md in this folder has all steps. The rule is ours: an answer within
half a unit is correct. Beyond that the score falls, and from two units on it is zero.
"""

from chemr_lite.chemistry.wording import describe_descriptors, describe_rings
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import CORRECT, Row, Score, Task, group_facts, zero

CORRECT_WITHIN, WORTHLESS_FROM = 0.5, 2.0  # in units of log10(mol/L)


class Solubility(Task):
    name = "solubility"  # change: lower case; macro/sub if your task has several sub-tasks
    instruction = (
        "Now predict the log10 of the solubility of this molecule in water, in mol/L. Answer with a number."  # change
    )
    label = "SMILES"  # change: what the input is called
    metric = "closeness"  # change: what the mean score is called in tables
    answers = "text"  # change: "molecule" for a SMILES, "choice" for one of a few words

    def score(self, answer: str, row: Row) -> Score:
        """Score an answer from 0 to 1. Never raise, because a model can write any text."""
        try:
            error = abs(float(answer) - float(row["answer"]))
        except ValueError:
            return zero(Reason.EMPTY if not answer.strip() else Reason.SYNTAX)
        if error <= CORRECT_WITHIN:
            return CORRECT
        if not error < WORTHLESS_FROM:  # true for NaN as well
            return zero(Reason.WRONG)
        return Score((WORTHLESS_FROM - error) / (WORTHLESS_FROM - CORRECT_WITHIN), False, Reason.WRONG)

    def facts(self, row: Row) -> dict[str, str] | None:
        """Return what RDKit knows before the answer, as {step in protocols.yaml: text}, or None."""
        parsed = parse_smiles(row["input"])
        if not parsed.ok:
            return None
        return {
            **group_facts([parsed.key]),
            "rings": describe_rings(parsed.mol),
            "descriptors": describe_descriptors(parsed.mol),
        }


register(Solubility())
