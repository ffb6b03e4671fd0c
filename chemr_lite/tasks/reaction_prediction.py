"""Reaction prediction: reactants (and reagents) → product.

    Reactants: CC(=O)O.NCc1ccccc1     →  <answer>CC(=O)NCc1ccccc1</answer>        (amide coupling)

Correct is the same multiset of canonical fragments as the recorded product. Headline: exact match.
"""

from chemr_lite.facts import group_changes, say_groups
from chemr_lite.reactions import named_reaction
from chemr_lite.reasons import Reason
from chemr_lite.smiles import molecules_of, parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, group_facts, register, repeats_question, score_structures, zero


def reaction_facts(reactants: str, product: str) -> dict[str, str] | None:
    """The steps about both sides of a reaction that the table of named reactions knows. None for any other."""
    left, right = parse_smiles(reactants), parse_smiles(product)
    if not (left.ok and right.ok and len(right.fragments) == 1):
        return None
    known = named_reaction(left.fragments, right.key)
    if known is None:
        return None
    consumed, formed = map(say_groups, group_changes(left.fragments, (right.key,)))
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


class ReactionPrediction(Task):
    name = "reaction_prediction"
    instruction = "Now predict the product of this reaction."
    label = "Reactants"
    metric = "exact match"

    def sides(self, row: Row) -> dict[str, str]:
        return {"reactants": row["input"], "product": row["answer"]}

    def score(self, answer: str, row: Row) -> Score:
        score = score_structures(answer, row["answer"])
        return score if score.correct or not repeats_question(answer, row) else zero(Reason.UNCHANGED)

    def facts(self, row: Row) -> dict[str, str] | None:
        told = reaction_facts(row["input"], row["answer"])
        return told and {**group_facts(molecules_of(row["input"]), molecules_of(row["answer"])), **told}


register(ReactionPrediction())
