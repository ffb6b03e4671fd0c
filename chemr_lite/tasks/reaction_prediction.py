"""Reaction prediction: reactants (and reagents) → product.

    Reactants: CC(=O)O.NCc1ccccc1     →  <answer>CC(=O)NCc1ccccc1</answer>        (amide coupling)

Correct is the same multiset of canonical fragments as the recorded product. Headline: exact match.
"""

from collections import Counter

from chemr_lite.facts import groups_of, say_groups
from chemr_lite.reactions import identify
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, register, score_structures


def group_changes(reactants: tuple[str, ...], product: str) -> tuple[Counter, Counter]:
    """Functional groups that the reaction (consumes, forms), from the counts on both sides."""
    before, after = Counter(), Counter(dict(groups_of(product)))
    for reactant in reactants:
        before.update(dict(groups_of(reactant)))
    return before - after, after - before


class ReactionPrediction(Task):
    name = "reaction_prediction"
    instruction = "Now predict the product of this reaction."
    label = "Reactants"
    protocol = ("Functional groups", "Reaction type", "Group changes", "Product")
    metric = "exact match"

    def subjects(self, row: Row) -> list[str]:
        return [row["input"], row["answer"]]

    def score(self, answer: str, row: Row) -> Score:
        return score_structures(answer, row["answer"])

    def steps(self, row: Row) -> list[str] | None:
        reactants, product = parse_smiles(row["input"]), parse_smiles(row["answer"])
        if not (reactants.ok and product.ok and len(product.fragments) == 1):
            return None
        name = identify(reactants.fragments, product.key)
        if name is None:
            return None
        consumed, formed = group_changes(reactants.fragments, product.key)
        return [
            "; ".join(say_groups(dict(groups_of(s))) for s in row["input"].split(".")),
            name,
            f"{say_groups(consumed)} → {say_groups(formed)}",
            say_groups(dict(groups_of(product.key))),
        ]


register(ReactionPrediction())
