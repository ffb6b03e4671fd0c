"""Yield prediction: is the yield of this reaction high, Yes or No?

    Reaction: Brc1ccccc1.NC1CCCCC1>>c1ccc(NC2CCCCC2)cc1     →  <answer>Yes</answer>     (rule_hindrance)

`buchwald_hartwig` and `suzuki` are measured (high-throughput experiments; "high" is 60 % and more, as ChemLLMBench
cuts them). `rule_hindrance` is ours and no measurement: a coupling counts as high where the carbon that is coupled has
no substituent beside it. Headline: accuracy; always No scores 80 % on the public tests, so read F1 and balanced
accuracy beside it.
"""

from rdkit import Chem

from chemr_lite.registry import register
from chemr_lite.smiles import molecules_of, parse_smiles
from chemr_lite.tasks.base import Row, YesNo, group_facts
from chemr_lite.tasks.reaction_prediction import reaction_facts

# an aromatic carbon with a leaving group or boron on it, and a substituent on the ring carbon beside
_HINDERED = Chem.MolFromSmarts("c([Br,I,B]):c-!@[!#1]")


class YieldPrediction(YesNo):
    label = "Reaction"

    def __init__(self, sub: str, instruction: str):
        self.name, self.instruction = f"yield_prediction/{sub}", instruction

    def sides(self, row: Row) -> dict[str, str]:
        reactants, _, product = row["input"].partition(">>")
        # catalysts drawn with bonds that RDKit alone reads are left out
        return {
            "reactants": ".".join(part for part in reactants.split(".") if parse_smiles(part).ok),
            "product": product,
        }

    def subjects(self, row: Row) -> list[str]:
        return [row["input"]]  # a screen repeats its few products under all conditions

    def facts(self, row: Row) -> dict[str, str] | None:
        reactants, product = self.sides(row).values()
        told = reaction_facts(reactants, product)
        if told is None:
            return None
        beside = ", ".join(map(str, hindrance(reactants)))
        return {
            **group_facts(molecules_of(reactants), molecules_of(product)),
            **told,
            "hindrance": f"substituents beside {beside}",
        }


def hindrance(reactants: str) -> list[int]:
    """Of each of `reactants` the number of substituents beside the carbon that is coupled."""
    return [len(Chem.MolFromSmiles(smiles).GetSubstructMatches(_HINDERED)) for smiles in molecules_of(reactants)]


class Hindrance(YieldPrediction):
    def subjects(self, row: Row) -> list[str]:
        return list(self.sides(row).values())

    def facts(self, row: Row) -> dict[str, str] | None:
        known = super().facts(row)
        return known and {**known, "verdict": "No" if any(hindrance(self.sides(row)["reactants"])) else "Yes"}


register(
    YieldPrediction(
        "buchwald_hartwig", "Now predict whether this Buchwald-Hartwig amination has a high yield. Answer Yes or No."
    )
)
register(YieldPrediction("suzuki", "Now predict whether this Suzuki coupling has a high yield. Answer Yes or No."))
register(Hindrance("rule_hindrance", "Now predict whether this coupling is free of hindrance. Answer Yes or No."))
