"""Retrosynthesis: product → the reactants of one step.

    Product: CC(=O)NCc1ccccc1         →  <answer>CC(=O)O.NCc1ccccc1</answer>      (amide coupling)

Correct is the same multiset of canonical fragments as the recorded reactants, so that neither extra molecules nor
copies are free. Headline: exact match. One product often has several right routes; like the benchmarks we hold the
answer against the recorded one.
"""

from chemr_lite.facts import groups_of, say_groups
from chemr_lite.reactions import identify
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, register, score_structures
from chemr_lite.tasks.reaction_prediction import group_changes


class Retrosynthesis(Task):
    name = "retrosynthesis"
    instruction = "Now predict the reactants that give this product in one step, separated by a dot."
    label = "Product"
    protocol = ("Product analysis", "Reaction type", "Disconnection", "Reactants")
    metric = "exact match"

    def subjects(self, row: Row) -> list[str]:
        return [row["input"], row["answer"]]

    def score(self, answer: str, row: Row) -> Score:
        return score_structures(answer, row["answer"])

    def steps(self, row: Row) -> list[str] | None:
        reactants, product = parse_smiles(row["answer"]), parse_smiles(row["input"])
        if not (reactants.ok and product.ok and len(product.fragments) == 1):
            return None
        name = identify(reactants.fragments, product.key)
        if name is None:
            return None
        consumed, formed = group_changes(reactants.fragments, product.key)
        return [
            say_groups(dict(groups_of(product.key))),
            name,
            f"{say_groups(formed)} ← {say_groups(consumed)}",
            "; ".join(say_groups(dict(groups_of(s))) for s in row["answer"].split(".")),
        ]


register(Retrosynthesis())
