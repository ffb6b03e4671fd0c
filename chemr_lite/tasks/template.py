"""Solubility: a molecule → the logarithm of its solubility in water, in mol/L. A template: nothing imports it.

    SMILES: CCCCCC     →  <answer>-3.8</answer>

Copy this file under the name of your task and change what is marked; README.md beside it says how to go on. Ours: an
answer within half a unit is correct, and one that is farther off earns less and less, nothing from two units on.
"""

from chemr_lite.chemistry.wording import describe_descriptors, describe_rings
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, group_facts, zero

CORRECT_WITHIN, WORTHLESS_FROM = 0.5, 2.0  # in units of log10(mol/L)


class Solubility(Task):
    name = "solubility"  # change: in lower case; macro/sub where your task has several sub-tasks
    instruction = (
        "Now predict the log10 of the solubility of this molecule in water, in mol/L. Answer with a number."  # change
    )
    label = "SMILES"  # change: what the input is called
    metric = "closeness"  # change: what the mean score is called in tables
    answers = "text"  # change: "molecule" if the answer is a SMILES, "choice" if it is one of a few words

    def score(self, answer: str, row: Row) -> Score:
        """What an answer is worth, from 0 to 1, and why. It meets every text that a model can write: never raise."""
        try:
            apart = abs(float(answer) - float(row["answer"]))
        except ValueError:
            return zero(Reason.EMPTY if not answer.strip() else Reason.SYNTAX)
        value = max(0.0, 1 - max(0.0, apart - CORRECT_WITHIN) / (WORTHLESS_FROM - CORRECT_WITHIN))
        if not value > 0:  # also for what is not a finite number
            return zero(Reason.WRONG)
        return Score(value, apart <= CORRECT_WITHIN, Reason.CORRECT if apart <= CORRECT_WITHIN else Reason.WRONG)

    def facts(self, row: Row) -> dict[str, str] | None:
        """What RDKit can say before the answer, by the names of the steps in protocols.yaml; None where it knows nothing."""
        parsed = parse_smiles(row["input"])
        if not parsed.ok:
            return None
        return {
            **group_facts([parsed.key]),
            "rings": describe_rings(parsed.mol),
            "descriptors": describe_descriptors(parsed.mol),
        }


register(Solubility())
