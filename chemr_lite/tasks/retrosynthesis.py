"""Retrosynthesis: product → the reactants of one step.

    Product: CC(=O)NCc1ccccc1         →  <answer>CC(=O)O.NCc1ccccc1</answer>      (amide coupling)

Correct is the same multiset of canonical fragments as the recorded reactants, so that neither extra molecules nor
copies are free. Headline: exact match. One product often has several right routes; like the benchmarks we hold the
answer against the recorded one.
"""

from chemr_lite.reasons import Reason
from chemr_lite.smiles import molecules_of
from chemr_lite.tasks.base import Row, Score, Task, group_facts, register, repeats_question, score_structures, zero
from chemr_lite.tasks.reaction_prediction import reaction_facts


class Retrosynthesis(Task):
    name = "retrosynthesis"
    instruction = "Now predict the reactants that give this product in one step, separated by a dot."
    label = "Product"
    metric = "exact match"

    def sides(self, row: Row) -> dict[str, str]:
        return {"product": row["input"], "reactants": row["answer"]}

    def score(self, answer: str, row: Row) -> Score:
        score = score_structures(answer, row["answer"])
        return score if score.correct or not repeats_question(answer, row) else zero(Reason.UNCHANGED)

    def facts(self, row: Row) -> dict[str, str] | None:
        told = reaction_facts(row["answer"], row["input"])
        return told and {**group_facts(molecules_of(row["input"]), molecules_of(row["answer"])), **told}


register(Retrosynthesis())
