"""Property prediction: does the molecule have the property, Yes or No?

    SMILES: CC(=O)Oc1ccccc1C(=O)O     →  <answer>Yes</answer>                     (rule_permeable: 1 donor, 3 acceptors)

The five data sets of MoleculeNet that the benchmark uses have measured labels. The sub-tasks `rule_*` are ours: rules
on counts by RDKit, for runs without a data set. Headline: accuracy.
"""

from collections.abc import Callable

from rdkit import Chem
from rdkit.Chem import Crippen, rdMolDescriptors

from chemr_lite.chemistry.groups import groups_of
from chemr_lite.chemistry.wording import describe_descriptors, describe_rings, format_groups
from chemr_lite.registry import register
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import Row, YesNo, group_facts

ALERTS = ("aldehyde", "acyl chloride", "sulfonyl chloride", "isocyanate", "azide", "epoxide", "nitro", "alkyl bromide",
          "alkyl chloride", "thiol", "imine", "hydrazine", "disulfide", "anhydride")  # fmt: skip


class Property(YesNo):
    """A measured property: RDKit's facts lead up to the verdict but do not decide it."""

    label = "SMILES"

    def __init__(self, sub: str, instruction: str):
        self.name, self.instruction = f"property_prediction/{sub}", instruction

    def facts(self, row: Row) -> dict[str, str] | None:
        parsed = parse_smiles(row["input"])
        if not parsed.ok:
            return None
        return {
            **group_facts([parsed.key]),
            "rings": describe_rings(parsed.mol),
            "descriptors": describe_descriptors(parsed.mol),
        }


class Rule(Property):
    """A rule on counts. `judge` returns the counts as text and the verdict."""

    def __init__(self, sub: str, instruction: str, judge: Callable[[Chem.Mol], tuple[str, bool]]):
        super().__init__(sub, instruction)
        self.judge = judge

    def facts(self, row: Row) -> dict[str, str] | None:
        facts = super().facts(row)
        if facts is None:
            return None
        counts, verdict = self.judge(parse_smiles(row["input"]).mol)
        return {**facts, "counts": counts, "verdict": "Yes" if verdict else "No"}


def _permeable(mol: Chem.Mol) -> tuple[str, bool]:
    donors, acceptors = rdMolDescriptors.CalcNumHBD(mol), rdMolDescriptors.CalcNumHBA(mol)
    return f"donors {donors}, acceptors {acceptors}, together {donors + acceptors}", donors + acceptors <= 4


def _alert(mol: Chem.Mol) -> tuple[str, bool]:
    alerts = {name: n for name, n in groups_of(Chem.MolToSmiles(mol)) if name in ALERTS}
    return f"alerts {format_groups(alerts)}", bool(alerts)


def _lipophilic(mol: Chem.Mol) -> tuple[str, bool]:
    logp = Crippen.MolLogP(mol)
    return f"LogP about {round(logp)}", logp > 2.5  # nobody estimates LogP to a decimal


def _compact(mol: Chem.Mol) -> tuple[str, bool]:
    rings, rotatable = rdMolDescriptors.CalcNumRings(mol), rdMolDescriptors.CalcNumRotatableBonds(mol)
    return f"rings {rings}, rotatable bonds {rotatable} of {2 * rings}", rotatable <= 2 * rings


for sub, instruction in {
    "bbbp": "Now predict whether this molecule crosses the blood-brain barrier. Answer Yes or No.",
    "bace": "Now predict whether this molecule inhibits human beta-secretase 1. Answer Yes or No.",
    "hiv": "Now predict whether this molecule inhibits HIV replication. Answer Yes or No.",
    "clintox": "Now predict whether this molecule failed clinical trials for toxicity. Answer Yes or No.",
    "tox21": "Now predict whether this molecule is toxic in the Tox21 assay SR-p53. Answer Yes or No.",
}.items():
    register(Property(sub, instruction))

for sub, instruction, judge in (
    (
        "rule_permeable",
        "Now predict whether hydrogen-bond donors and acceptors are at most four together. Answer Yes or No.",
        _permeable,
    ),
    ("rule_alert", "Now predict whether this molecule has a reactive group. Answer Yes or No.", _alert),
    (
        "rule_lipophilic",
        "Now predict whether the Crippen LogP of this molecule is above 2.5. Answer Yes or No.",
        _lipophilic,
    ),
    (
        "rule_compact",
        "Now predict whether this molecule has at most two rotatable bonds for each ring. Answer Yes or No.",
        _compact,
    ),
):
    register(Rule(sub, instruction, judge))
