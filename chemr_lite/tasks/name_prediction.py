"""Name prediction: between a structure, its systematic name and its molecular formula.

    SMILES: CCOC(=O)c1ccc(Cl)cc1      →  <answer>ethyl 4-chlorobenzoate</answer>   (smiles_to_iupac)
    Name: ethyl 4-chlorobenzoate      →  <answer>CCOC(=O)c1ccc(Cl)cc1</answer>     (iupac_to_smiles)
    SMILES: CCOC(=O)c1ccc(Cl)cc1      →  <answer>C9H9ClO2</answer>                 (smiles_to_formula)
    Name: ethyl 4-chlorobenzoate      →  <answer>C9H9ClO2</answer>                 (iupac_to_formula)

The two formula sub-tasks are ChemLLMBench's; Chem-R's table has the first two. Headline: exact match. Published rows
have names with stereodescriptors beside structures drawn without: what the one does not show is not asked for of the other.
Another correct name of the same molecule is not paid, as in the benchmarks: telling it needs a name parser.
"""

import re

from rdkit.Chem import rdMolDescriptors

from chemr_lite.chemistry.structure import count_atoms, count_hydrogens, parse_formula
from chemr_lite.chemistry.wording import format_counts, running_counts
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import parse_smiles, shows_stereo
from chemr_lite.tasks.base import CORRECT, Row, Score, Task, group_facts, score_structures, structure_facts, zero

MAX_NAME = 1000  # characters; the longest name in the public tests has 446
STEREO = re.compile(r"\((?:\d*[a-z]?'*[rsez]\*?,?)+\)-?", re.IGNORECASE)  # (2r,3s)-, (e)-
_DASHES = str.maketrans("‐‑‒–—−′’", "------''")  # what word processors make of a hyphen and a prime


def same_name(name: str) -> str:
    """`name` as it is compared: hyphens and primes in ASCII, one space between words, lower case."""
    return " ".join(name.translate(_DASHES).split()).lower()


def without_descriptors(name: str) -> str:
    """`name`, as `same_name` gives it, without its R, S, E and Z descriptors."""
    return STEREO.sub("", name)


class NamePrediction(Task):
    metric = "exact match"

    def __init__(self, sub: str, instruction: str, label: str, answers: str):
        self.name, self.instruction, self.label, self.answers = f"name_prediction/{sub}", instruction, label, answers


class ToName(NamePrediction):
    def score(self, answer: str, row: Row) -> Score:
        if not answer.strip():
            return zero(Reason.EMPTY)
        if len(answer) > MAX_NAME:
            return zero(Reason.TOO_LONG)
        said, wanted = same_name(answer), same_name(row["answer"])
        bare, plain = without_descriptors(said), without_descriptors(wanted)
        if said == wanted or bare == wanted:  # the answer may tell more than it was asked for
            return CORRECT
        return zero(Reason.WRONG_STEREO if bare == plain else Reason.WRONG)

    def facts(self, row: Row) -> dict[str, str] | None:
        return structure_facts(row["input"])


class ToStructure(NamePrediction):
    def sides(self, row: Row) -> dict[str, str]:
        return {"molecule": row["answer"]}

    def score(self, answer: str, row: Row) -> Score:
        score = score_structures(answer, row["answer"])
        if score.reason is Reason.WRONG_STEREO and not shows_stereo(row["answer"]):
            return CORRECT  # the name told more than the recorded structure shows
        return score

    def facts(self, row: Row) -> dict[str, str] | None:
        return structure_facts(row["answer"])


class ToFormula(NamePrediction):
    def sides(self, row: Row) -> dict[str, str]:
        return {"molecule": row["meta"].get("smiles", row["input"])}

    def score(self, answer: str, row: Row) -> Score:
        if not answer.strip():
            return zero(Reason.EMPTY)
        said = parse_formula(answer)
        if said is None:
            return zero(Reason.SYNTAX)
        return CORRECT if said == parse_formula(row["answer"]) else zero(Reason.WRONG)

    def facts(self, row: Row) -> dict[str, str] | None:
        known = parse_smiles(row["meta"].get("smiles", row["input"]))
        if not known.ok or rdMolDescriptors.CalcMolFormula(known.mol) != row["answer"]:
            return None
        counted = known.text if self.label == "SMILES" else known.key
        return {
            **group_facts(answer=[known.key]),
            "tally": running_counts(counted),
            "atoms": format_counts(count_atoms(known.mol)),
            "hydrogens": str(count_hydrogens(known.mol)),
        }


register(ToName("smiles_to_iupac", "Now predict the IUPAC name of this molecule.", "SMILES", "text"))
register(ToStructure("iupac_to_smiles", "Now predict the SMILES of this molecule.", "Name", "molecule"))
register(ToFormula("smiles_to_formula", "Now predict the molecular formula of this molecule.", "SMILES", "text"))
register(ToFormula("iupac_to_formula", "Now predict the molecular formula of this molecule.", "Name", "text"))
