"""Retrosynthesis: product → the reactants of one step.

    Product: CC(=O)NCc1ccccc1         →  <answer>CC(=O)O.NCc1ccccc1</answer>      (amide coupling)

Correct is the same multiset of canonical fragments as the recorded reactants, so that neither extra molecules nor
copies are free. Headline: exact match. One product often has several right routes; like the benchmarks we hold the
answer against the recorded one.
"""

from chemr_lite.registry import register
from chemr_lite.tasks.base import Row
from chemr_lite.tasks.reaction_prediction import Reaction


class Retrosynthesis(Reaction):
    name = "retrosynthesis"
    instruction = "Now predict the reactants that give this product in one step, separated by a dot."
    label = "Product"

    def sides(self, row: Row) -> dict[str, str]:
        return {"product": row["input"], "reactants": row["answer"]}


register(Retrosynthesis())
