"""Properties of a structure: atoms, formulas, scaffolds, stereochemistry."""

import re
from collections import Counter
from functools import lru_cache

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

ELEMENTS = {
    "carbon": 6, "oxygen": 8, "nitrogen": 7, "sulfur": 16, "fluorine": 9, "chlorine": 17, "bromine": 35, "iodine": 53,
    "phosphorus": 15, "boron": 5, "silicon": 14, "selenium": 34, "tellurium": 52, "arsenic": 33, "antimony": 51,
    "bismuth": 83, "polonium": 84,
}  # fmt: skip

_ELEMENT = re.compile(r"([A-Z][a-z]?)([1-9][0-9]{0,3})?")
_SMALL_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹₊₋⁺⁻−", "01234567890123456789+-+--")
_TYPESETTING = re.compile(r"[_^{}$]|</?su[bp]>|\\(?:mathrm|text|ce)")
_FORMULA = re.compile(rf"(?:{_ELEMENT.pattern})+([+-](?:[1-9][0-9]|[2-9])?)?")


def parse_formula(text: str) -> tuple[Counter, str] | None:
    """Return the atoms by element and the charge (`""`, `"+"`, `"-2"`) of a molecular formula, None for other texts.

    A formula may be typeset: with subscripts in Unicode, HTML or LaTeX, and with a full stop behind it.
    """
    text = _TYPESETTING.sub("", text[:200].translate(_SMALL_DIGITS)).strip().removesuffix(".")
    match = _FORMULA.fullmatch(text) if len(text) <= 100 else None
    if not match:
        return None
    charge = match.groups()[-1] or ""
    counts: Counter = Counter()
    for element, number in _ELEMENT.findall(text.removesuffix(charge)):
        counts[element] += int(number or 1)
    return counts, charge


def count_atoms(mol: Chem.Mol) -> dict[str, int]:
    """Count the heavy atoms by element name, in the order of ELEMENTS; other elements follow by symbol."""
    names = {number: name for name, number in ELEMENTS.items()}
    counts: dict[str, int] = {}
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() > 1:
            name = names.get(atom.GetAtomicNum(), atom.GetSymbol())
            counts[name] = counts.get(name, 0) + 1
    return {name: counts[name] for name in (*ELEMENTS, *counts) if name in counts}


def count_hydrogens(mol: Chem.Mol) -> int:
    """Count all hydrogens of `mol`, explicit and implicit."""
    return sum(atom.GetTotalNumHs(includeNeighbors=True) for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1)


_WRITTEN_ATOM = re.compile(r"[-=#$:/\\().<>]*(?:\[[^]]*\]|Cl|Br|[A-Za-z])(?:[-=#$:/\\]?(?:\d|%\d\d))*")


def written_atoms(smiles: str) -> list[tuple[Chem.Atom, str]]:
    """Return the heavy atoms of a valid SMILES in the order of its text, each with its part of that text."""
    mol, parts = Chem.MolFromSmiles(smiles), _WRITTEN_ATOM.findall(smiles)
    if mol.GetNumAtoms() != len(parts):  # the text writes hydrogens as separate atoms
        return written_atoms(Chem.MolToSmiles(mol))
    return list(zip(mol.GetAtoms(), parts, strict=True))


def scaffold(mol: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold as SMILES without stereochemistry, empty for a molecule without rings."""
    return Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(mol), isomericSmiles=False)


@lru_cache(maxsize=8192)
def stereocentres(smiles: str) -> tuple[tuple[int, str], ...]:
    """Return the stereocentres of a valid SMILES as (index of the atom, label): R, S, r, s, or ? if unassigned.

    A small letter stands for a pseudo-asymmetric centre.
    """
    return tuple(
        Chem.FindMolChiralCenters(Chem.MolFromSmiles(smiles), includeUnassigned=True, useLegacyImplementation=False)
    )


@lru_cache(maxsize=8192)
def double_bond_labels(smiles: str) -> tuple[str, ...]:
    """Return E or Z for each double bond of a valid SMILES with defined stereochemistry."""
    kinds = {Chem.BondStereo.STEREOE: "E", Chem.BondStereo.STEREOZ: "Z"}
    return tuple(kinds[bond.GetStereo()] for bond in Chem.MolFromSmiles(smiles).GetBonds() if bond.GetStereo() in kinds)
