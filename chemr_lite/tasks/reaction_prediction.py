"""Reaction prediction: reactants (and reagents) → product.

    Reactants: CC(=O)O.NCc1ccccc1     →  <answer>CC(=O)NCc1ccccc1</answer>        (amide coupling)

Only the recorded product is correct, as a multiset of canonical fragments. Headline: exact match.
"""

from chemr_lite.chemistry.groups import group_changes
from chemr_lite.chemistry.reactions import named_reaction
from chemr_lite.chemistry.wording import format_groups
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import molecules_of, parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, group_facts, repeats_question, score_structures, zero


def reaction_facts(sides: dict[str, str]) -> dict[str, str] | None:
    """Return the steps about a named reaction, None for any other.

    `sides` holds the SMILES of its `reactants` and its `product`, the side of the question first.
    """
    reactants, product = parse_smiles(sides["reactants"]), parse_smiles(sides["product"])
    if not (reactants.ok and product.ok and len(product.fragments) == 1):
        return None
    reaction = named_reaction(reactants.fragments, product.key)
    if reaction is None:
        return None
    question, answer = map(molecules_of, sides.values())
    consumed, formed = map(format_groups, group_changes(reactants.fragments, (product.key,)))
    changes = {
        "forms": reaction.formed,
        "breaks": reaction.broken,
        "changes the order of": reaction.changed,
        "leaves": reaction.leaving,
    }
    return {
        **group_facts(question, answer),
        "reaction type": reaction.name,
        "bonds": "; ".join(f"{verb} {', '.join(sorted(bonds))}" for verb, bonds in changes.items() if bonds) or "none",
        "group changes": f"{consumed} → {formed}",
        "disconnection": f"{formed} ← {consumed}",
    }


class Reaction(Task):
    """A reaction with one side missing. Only the recorded side is correct; repeating the given side earns nothing."""

    metric = "exact match"

    def score(self, answer: str, row: Row) -> Score:
        score = score_structures(answer, row["answer"])
        return score if score.correct or not repeats_question(answer, row) else zero(Reason.UNCHANGED)

    def facts(self, row: Row) -> dict[str, str] | None:
        return reaction_facts(self.sides(row))


class ReactionPrediction(Reaction):
    name = "reaction_prediction"
    instruction = "Now predict the product of this reaction."
    label = "Reactants"

    def sides(self, row: Row) -> dict[str, str]:
        return {"reactants": row["input"], "product": row["answer"]}


register(ReactionPrediction())
