"""Molecule design: a description → the molecule it describes.

    Description: The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid.
                                      →  <answer>CCOC(=O)c1ccc(Cl)cc1</answer>

Correct is the recorded molecule, stereochemistry included (ChEBI-20's exact match). Headline: exact match.
"""

from rdkit import Chem

from chemr_lite.facts import say_rings, tell_groups
from chemr_lite.smiles import Parsed, parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, register, score_structures


def structure_facts(parsed: Parsed) -> dict[str, str] | None:
    """What both directions between molecule and description reason over: rings, groups and stereocentres."""
    if not parsed.ok:
        return None
    centres = Chem.FindMolChiralCenters(parsed.mol, includeUnassigned=True, useLegacyImplementation=False)
    stereo = ", ".join(f"atom {index} {label}" for index, label in centres) or "none"
    return {"rings": say_rings(parsed.mol), "groups of the answer": tell_groups(parsed.key), "stereocentres": stereo}


class MoleculeDesign(Task):
    name = "molecule_design"
    instruction = "Now predict the molecule that fits this description."
    label = "Description"
    metric = "exact match"

    def sides(self, row: Row) -> dict[str, str]:
        return {"molecule": row["answer"]}

    def score(self, answer: str, row: Row) -> Score:
        return score_structures(answer, row["answer"])

    def facts(self, row: Row) -> dict[str, str] | None:
        return structure_facts(parse_smiles(row["answer"]))


register(MoleculeDesign())
