"""Molecule design: a description → the molecule it describes.

    Description: The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid.
                                      →  <answer>CCOC(=O)c1ccc(Cl)cc1</answer>

Correct is the recorded molecule, stereochemistry included (ChEBI-20's exact match). Headline: exact match.
"""

from chemr_lite.facts import say_rings, tell_formula, tell_groups, tell_scaffold, tell_stereo
from chemr_lite.smiles import Parsed, parse_smiles
from chemr_lite.tasks.base import Row, Score, Task, register, score_structures


def structure_facts(parsed: Parsed) -> dict[str, str] | None:
    """What both directions between molecule and description reason over: rings, groups and stereocentres."""
    if not parsed.ok:
        return None
    return {
        "rings": say_rings(parsed.mol),
        "scaffold": tell_scaffold(parsed.mol),
        "groups of the answer": tell_groups(parsed.key),
        "formula": tell_formula(parsed.mol),
        "stereocentres": tell_stereo(parsed.text),
    }


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
