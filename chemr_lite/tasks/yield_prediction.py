"""Yield prediction: is the yield of this reaction high, Yes or No?

    Reaction: Brc1ccccc1.NC1CCCCC1>>c1ccc(NC2CCCCC2)cc1     →  <answer>Yes</answer>     (rule_hindrance)

`buchwald_hartwig` and `suzuki` are measured in high-throughput experiments; a high yield is at least 60 %, as in
ChemLLMBench. `rule_hindrance` is ours and not measured: a coupling counts as high if no carbon that is coupled has a
substituent beside it. Headline: accuracy. Always answering No scores 80 % on the public tests, so read F1 and balanced
accuracy beside it.
"""

from collections.abc import Iterable

from rdkit import Chem

from chemr_lite.registry import register
from chemr_lite.smiles import molecules_of, parse_smiles
from chemr_lite.tasks.base import Row, YesNo
from chemr_lite.tasks.reaction_prediction import reaction_facts

# an aromatic carbon with a halogen or boron on it, and a substituent on the ring carbon beside it
_HINDERED = Chem.MolFromSmarts("c([Br,I,B]):c-!@[!#1]")


def well(chemicals: Iterable[str]) -> str:
    """Return one text for what is together in a well of a screen, in any order and writing, without the palladium."""
    parts = [part for part in ".".join(chemicals).split(".") if "Pd" not in part]
    mol = Chem.MolFromSmiles(".".join(parts))
    return Chem.MolToSmiles(mol) if mol else ".".join(sorted(parts))


class YieldPrediction(YesNo):
    label = "Reaction"

    def __init__(self, sub: str, instruction: str):
        self.name, self.instruction = f"yield_prediction/{sub}", instruction

    def sides(self, row: Row) -> dict[str, str]:
        reactants, _, product = row["input"].partition(">>")
        # leave out catalysts with bonds that the gate refuses
        molecules = [smiles for smiles in reactants.split(".") if parse_smiles(smiles).ok]
        return {"reactants": ".".join(molecules), "product": product}

    def subjects(self, row: Row) -> list[str]:
        # a screen has few products and repeats them under all conditions; questions of reagent selection show its wells
        return [row["input"], well([row["input"].partition(">>")[0]])]

    def facts(self, row: Row) -> dict[str, str] | None:
        sides = self.sides(row)
        facts = reaction_facts(sides)
        if facts is None:
            return None
        counts = ", ".join(map(str, hindrance(sides["reactants"])))
        return {**facts, "hindrance": f"substituents beside {counts}"}


def hindrance(reactants: str) -> list[int]:
    """Return for each of `reactants` the number of substituents beside the carbon that is coupled."""
    return [len(Chem.MolFromSmiles(smiles).GetSubstructMatches(_HINDERED)) for smiles in molecules_of(reactants)]


class Hindrance(YieldPrediction):
    def subjects(self, row: Row) -> list[str]:
        return list(self.sides(row).values())

    def facts(self, row: Row) -> dict[str, str] | None:
        facts = super().facts(row)
        return facts and {**facts, "verdict": "No" if any(hindrance(self.sides(row)["reactants"])) else "Yes"}


register(
    YieldPrediction(
        "buchwald_hartwig", "Now predict whether this Buchwald-Hartwig amination has a high yield. Answer Yes or No."
    )
)
register(YieldPrediction("suzuki", "Now predict whether this Suzuki coupling has a high yield. Answer Yes or No."))
register(Hindrance("rule_hindrance", "Now predict whether this coupling is free of hindrance. Answer Yes or No."))
