"""Molecule design: a description → the molecule it describes.

    Description: The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid.
                                      →  <answer>CCOC(=O)c1ccc(Cl)cc1</answer>

Only the recorded molecule is correct, with its stereochemistry (ChEBI-20's exact match). Headline: exact match.
"""

from chemr_lite.registry import register
from chemr_lite.tasks.base import MoleculeAndText, Row, Score, score_structures


class MoleculeDesign(MoleculeAndText):
    name = "molecule_design"
    instruction = "Now predict the molecule that fits this description."
    label = "Description"
    metric = "exact match"

    def score(self, answer: str, row: Row) -> Score:
        return score_structures(answer, row["answer"])


register(MoleculeDesign())
