"""Yield prediction: is the yield of this reaction high, Yes or No?

    Reaction: Brc1ccccc1.NC1CCCCC1>>c1ccc(NC2CCCCC2)cc1     →  <answer>Yes</answer>     (rule_hindrance)

`buchwald_hartwig` and `suzuki` are measured (high-throughput experiments; "high" is 60 % and more, as ChemLLMBench
cuts them). `rule_hindrance` is ours and no measurement: a coupling counts as high where the carbon that is coupled has
no substituent beside it. Headline: accuracy; always No scores 80 % on the public tests, so read F1 and balanced
accuracy beside it.
"""

from rdkit import Chem

from chemr_lite.reactions import identify
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import Row, YesNo, register

# an aromatic carbon with a leaving group or boron on it, and a substituent on the ring carbon beside
_HINDERED = Chem.MolFromSmarts("c([Br,I,B]):c-!@[!#1]")


class YieldPrediction(YesNo):
    label = "Reaction"

    def __init__(self, sub: str, instruction: str):
        self.name, self.instruction = f"yield_prediction/{sub}", instruction

    def sides(self, row: Row) -> dict[str, str]:
        reactants, _, product = row["input"].partition(">>")
        return {"reactants": reactants, "product": product}


def hindrance(reaction: str) -> list[int]:
    """Of each reactant of a reaction SMILES the number of substituents beside the carbon that is coupled."""
    return [len(Chem.MolFromSmiles(smiles).GetSubstructMatches(_HINDERED)) for smiles in reaction.split(">>")[0].split(".")]


class Hindrance(YieldPrediction):
    def facts(self, row: Row) -> dict[str, str] | None:
        reactants, product = map(parse_smiles, self.subjects(row))
        if not (reactants.ok and product.ok):
            return None
        counts = hindrance(row["input"])
        name = identify(reactants.fragments, product.key)
        beside = f"substituents beside {', '.join(map(str, counts))}"
        return name and {"reaction type": name, "hindrance": beside, "verdict": "No" if any(counts) else "Yes"}


register(YieldPrediction("buchwald_hartwig", "Now predict whether this Buchwald-Hartwig amination has a high yield. Answer Yes or No."))
register(YieldPrediction("suzuki", "Now predict whether this Suzuki coupling has a high yield. Answer Yes or No."))
register(Hindrance("rule_hindrance", "Now predict whether this coupling is free of hindrance. Answer Yes or No."))
