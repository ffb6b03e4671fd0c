"""Retrosynthesis: product → the reactants of one step.

    Product: CC(=O)NCc1ccccc1         →  <answer>CC(=O)O.NCc1ccccc1</answer>      (amide coupling)

Only the recorded reactants are correct, as a multiset of canonical fragments: extra molecules and copies are errors. A
product often has several right routes, but like the benchmarks we accept only the recorded one. Headline: exact match.
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
