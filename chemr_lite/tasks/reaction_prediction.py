"""Reaction prediction: reactants (and reagents) → product.

    Reactants: CC(=O)O.NCc1ccccc1     →  <answer>CC(=O)NCc1ccccc1</answer>        (amide coupling)

Correct is the same multiset of canonical fragments as the recorded product. Headline: exact match.
"""

from chemr_lite.chemistry.groups import group_changes
from chemr_lite.chemistry.reactions import named_reaction
from chemr_lite.chemistry.wording import format_groups
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import molecules_of, parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, group_facts, repeats_question, score_structures, zero


def reaction_facts(reactants: str, product: str) -> dict[str, str] | None:
    """The steps about both sides of a reaction that the table of named reactions knows. None for any other."""
    left, right = parse_smiles(reactants), parse_smiles(product)
    if not (left.ok and right.ok and len(right.fragments) == 1):
        return None
    known = named_reaction(left.fragments, right.key)
    if known is None:
        return None
    consumed, formed = map(format_groups, group_changes(left.fragments, (right.key,)))
    bonds = "; ".join(
        f"{verb} {', '.join(sorted(pairs))}"
        for verb, pairs in (
            ("forms", known.formed),
            ("breaks", known.broken),
            ("changes the order of", known.changed),
            ("leaves", known.leaving),
        )
        if pairs
    )
    return {
        "reaction type": known.name,
        "bonds": bonds or "none",
        "group changes": f"{consumed} → {formed}",
        "disconnection": f"{formed} ← {consumed}",
    }


class Reaction(Task):
    """A reaction with one side missing: correct is the recorded one, and the other side back is no answer."""

    metric = "exact match"

    def score(self, answer: str, row: Row) -> Score:
        score = score_structures(answer, row["answer"])
        return score if score.correct or not repeats_question(answer, row) else zero(Reason.UNCHANGED)

    def facts(self, row: Row) -> dict[str, str] | None:
        sides = self.sides(row)
        known = reaction_facts(sides["reactants"], sides["product"])
        return known and {**group_facts(molecules_of(row["input"]), molecules_of(row["answer"])), **known}


class ReactionPrediction(Reaction):
    name = "reaction_prediction"
    instruction = "Now predict the product of this reaction."
    label = "Reactants"

    def sides(self, row: Row) -> dict[str, str]:
        return {"reactants": row["input"], "product": row["answer"]}


register(ReactionPrediction())
