"""Molecule design: a description → the molecule it describes.

    Description: The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid.
                                      →  <answer>CCOC(=O)c1ccc(Cl)cc1</answer>

Correct is the recorded molecule, stereochemistry included (ChEBI-20's exact match). Headline: exact match.
"""

from rdkit import Chem

from chemr_lite.facts import groups_of, say_groups, say_rings
from chemr_lite.smiles import Parsed, parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, register, score_structures


def structure_steps(parsed: Parsed) -> list[str] | None:
    """What both directions between molecule and description reason over: rings, groups and stereocentres."""
    if not parsed.ok:
        return None
    centres = Chem.FindMolChiralCenters(parsed.mol, includeUnassigned=True, useLegacyImplementation=False)
    stereo = ", ".join(f"atom {index} {label}" for index, label in centres) or "none"
    return [say_rings(parsed.mol), say_groups(dict(groups_of(parsed.key))), stereo]


class MoleculeDesign(Task):
    name = "molecule_design"
    instruction = "Now predict the molecule that fits this description."
    label = "Description"
    protocol = ("Core structure", "Key elements", "Stereochemistry")
    metric = "exact match"

    def subjects(self, row: Row) -> list[str]:
        return [row["answer"]]

    def score(self, answer: str, row: Row) -> Score:
        return score_structures(answer, row["answer"])

    def steps(self, row: Row) -> list[str] | None:
        return structure_steps(parse_smiles(row["answer"]))


register(MoleculeDesign())
