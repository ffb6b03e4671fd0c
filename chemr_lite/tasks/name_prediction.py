"""Name prediction: between a structure, its systematic name and its molecular formula.

    SMILES: CCOC(=O)c1ccc(Cl)cc1      →  <answer>ethyl 4-chlorobenzoate</answer>   (smiles_to_iupac)
    Name: ethyl 4-chlorobenzoate      →  <answer>CCOC(=O)c1ccc(Cl)cc1</answer>     (iupac_to_smiles)
    SMILES: CCOC(=O)c1ccc(Cl)cc1      →  <answer>C9H9ClO2</answer>                 (smiles_to_formula)
    Name: ethyl 4-chlorobenzoate      →  <answer>C9H9ClO2</answer>                 (iupac_to_formula)

Chem-R's table has the first two; the formula sub-tasks are ChemLLMBench's. Headline: exact match. Some published rows
pair a name with stereodescriptors and a structure without stereochemistry, so what one does not show is not demanded of
the other. Another correct name of the same molecule earns nothing, as in the benchmarks: it takes a name parser to
recognise one.
"""

import re
import unicodedata

from rdkit.Chem import rdMolDescriptors

from chemr_lite.chemistry.structure import count_atoms, count_hydrogens, parse_formula
from chemr_lite.chemistry.wording import format_counts, running_counts
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import parse_smiles, shows_stereo
from chemr_lite.tasks.base import CORRECT, MoleculeAndText, Row, Score, group_facts, score_structures, zero

MAX_NAME = 1000  # characters; the longest name in the public tests has 446
# (2r,3s)-, (e)-; behind a letter and without a hyphen or a digit it is a locant of fused rings: benzo(e)pyrene
_DESCRIPTORS = r"(?:\d*[a-z]?'*[rsez]\*?,?)+"
STEREO = re.compile(
    rf"(?<![a-z])\({_DESCRIPTORS}\)-?|\({_DESCRIPTORS}\)-|\((?=[^()]*\d){_DESCRIPTORS}\)", re.IGNORECASE
)
_DASHES = str.maketrans("‐‑‒–—−′’", "------''")  # typographic hyphens and primes
_GREEK = str.maketrans(
    {letter: unicodedata.name(letter).split()[-1].lower() for letter in "αβγδεζηθικλμνξοπρστυφχψωΔΩ"} | {"λ": "lambda"}
)
_DOTTED_GREEK = re.compile(r"\.(alpha|beta|gamma|delta|epsilon|omega)\.")  # as Chemical Abstracts writes them


def normalise(name: str) -> str:
    """Normalise a name for comparison.

    ASCII hyphens and primes, Greek letters written out, single spaces but none behind a comma, lower case.
    """
    plain = name.translate(_DASHES).translate(_GREEK).lower()
    return re.sub(r",\s+(?=\d)", ",", " ".join(_DOTTED_GREEK.sub(r"\1", plain).split()))


def without_descriptors(name: str) -> str:
    """Remove the R, S, E and Z descriptors from a normalised name."""
    return STEREO.sub("", name)


class NamePrediction(MoleculeAndText):
    metric = "exact match"

    def __init__(self, sub: str, instruction: str, label: str, answers: str):
        self.name, self.instruction, self.label, self.answers = f"name_prediction/{sub}", instruction, label, answers


class ToName(NamePrediction):
    def score(self, answer: str, row: Row) -> Score:
        if not answer.strip():
            return zero(Reason.EMPTY)
        if len(answer) > MAX_NAME:
            return zero(Reason.TOO_LONG)
        name, gold = normalise(answer), normalise(row["answer"])
        flat_name, flat_gold = without_descriptors(name), without_descriptors(gold)
        if gold in (name, flat_name):  # the answer may state stereochemistry that the gold name leaves out
            return CORRECT
        return zero(Reason.WRONG_STEREO if flat_name == flat_gold else Reason.WRONG)


class ToStructure(NamePrediction):
    def score(self, answer: str, row: Row) -> Score:
        score = score_structures(answer, row["answer"])
        if score.reason is Reason.WRONG_STEREO and not shows_stereo(row["answer"]):
            return CORRECT  # the answer follows the name, which states more than the recorded structure
        return score


class ToFormula(NamePrediction):
    def sides(self, row: Row) -> dict[str, str]:
        return {"molecule": row["meta"].get("smiles", row["input"])}

    def score(self, answer: str, row: Row) -> Score:
        if not answer.strip():
            return zero(Reason.EMPTY)
        formula = parse_formula(answer)
        if formula is None:
            return zero(Reason.SYNTAX)
        return CORRECT if formula == parse_formula(row["answer"]) else zero(Reason.WRONG)

    def facts(self, row: Row) -> dict[str, str] | None:
        parsed = parse_smiles(self.sides(row)["molecule"])
        if not parsed.ok or rdMolDescriptors.CalcMolFormula(parsed.mol) != row["answer"]:
            return None
        smiles = parsed.text if self.label == "SMILES" else parsed.key
        return {
            **group_facts(answer=[parsed.key]),
            "tally": running_counts(smiles),
            "atoms": format_counts(count_atoms(parsed.mol)),
            "hydrogens": str(count_hydrogens(parsed.mol)),
        }


register(ToName("smiles_to_iupac", "Now predict the IUPAC name of this molecule.", "SMILES", "text"))
register(ToStructure("iupac_to_smiles", "Now predict the SMILES of this molecule.", "Name", "molecule"))
register(ToFormula("smiles_to_formula", "Now predict the molecular formula of this molecule.", "SMILES", "text"))
register(ToFormula("iupac_to_formula", "Now predict the molecular formula of this molecule.", "Name", "text"))
