"""Molecule design: a description → the molecule it describes.

    Description: The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid.
                                      →  <answer>CCOC(=O)c1ccc(Cl)cc1</answer>

Correct is the recorded molecule, stereochemistry included (ChEBI-20's exact match). Headline: exact match.
"""

from chemr_lite.registry import register
from chemr_lite.tasks.base import Row, Score, Task, score_structures, structure_facts


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
        return structure_facts(row["answer"])


register(MoleculeDesign())
