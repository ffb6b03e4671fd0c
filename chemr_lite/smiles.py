"""The gate: turn a text into a molecule, or say why it is not one.

Every answer that can earn a reward for chemistry passes through here first. RDKit alone is too generous for that: it
reads the empty string as a molecule without atoms, "CCO and any prose" as ethanol, and `*`, `[C]` and `[Xe]` as
molecules, and its fingerprint bits cannot tell dodecane from tetradecane. `parse_smiles` never raises and is bounded
in time and size, because training feeds it every string that a language model can write.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator

from chemr_lite.reasons import Reason

MAX_CHARS = 2000  # the longest SMILES in the public benchmarks is below this
MAX_HEAVY_ATOMS = 300
MAX_RING_CLOSURES = 60  # ring perception is the only step of RDKit that can take exponential time
MAX_SIMILARITY_UNLESS_SAME = 0.99
REWRITINGS = 4
_KNOWN_TO_INCHI = {1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53}  # H, B, C, N, O, F, Si, P, S, Cl, Se, Br, I

_RING_CLOSURE = re.compile(r"\[[^\]]*\]|%\d\d|%\(\d+\)|\d")
# canonical SMILES writes common hydrides (C, N, O, Cl …) bare; a single atom in brackets is an ion or a curiosity
_LONE_ATOM = re.compile(r"\[[^\]]+\]|\[H\]\[H\]")
# an atom in brackets that is not one of the common elements
_UNUSUAL = re.compile(r"\[(?!\d*(?:H|B|C|N|O|F|P|S|Cl|Br|I|Si|c|n|o|s|p)(?![a-z]))")
_DUMMY = Chem.MolFromSmarts("[#0]")
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, includeChirality=True)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The gate's verdict on a text: `mol` with its keys, or None with the `reason` for the refusal.

    `key` is RDKit's canonical isomeric SMILES without atom maps. `fragments` are the sorted canonical SMILES of its
    dot-separated parts, so that two multisets of molecules are equal exactly when their `fragments` are.
    """

    text: str
    mol: Chem.Mol | None
    key: str
    fragments: tuple[str, ...]
    reason: Reason

    @property
    def ok(self) -> bool:
        return self.mol is not None


def parse_smiles(text: str) -> Parsed:
    """Read `text` as SMILES through the gate. Never raises, whatever `text` is. Results are cached."""
    if not isinstance(text, str):
        return _refuse("", Reason.EMPTY)
    text = text.strip()
    if not text:
        return _refuse(text, Reason.EMPTY)
    if len(text) > MAX_CHARS:
        return _refuse(text[:MAX_CHARS], Reason.TOO_LONG)
    return _parse(text)


@lru_cache(maxsize=8192)
def _parse(text: str) -> Parsed:
    if any(c.isspace() for c in text):
        return _refuse(text, Reason.INNER_WHITESPACE)
    if ">" in text:
        return _refuse(text, Reason.REACTION_ARROW)
    if not text.isascii() or not text.isprintable() or "~" in text:  # look-alikes, control characters, RDKit's any-bond
        return _refuse(text, Reason.SYNTAX)
    closures = sum(1 for token in _RING_CLOSURE.findall(text) if token[0] != "[")
    if closures > 2 * MAX_RING_CLOSURES:
        return _refuse(text, Reason.TOO_COMPLEX)
    silence = rdBase.BlockLogs()  # each of the thousands of bad SMILES in a training run would print two lines
    try:
        if len(text) > MAX_HEAVY_ATOMS:  # a shorter text cannot hold more atoms
            unchecked = Chem.MolFromSmiles(text, sanitize=False)
            if unchecked is not None and unchecked.GetNumAtoms() > MAX_HEAVY_ATOMS:
                return _refuse(text, Reason.TOO_COMPLEX)
        mol = Chem.MolFromSmiles(text)
        if mol is None:
            has_valid_syntax = Chem.MolFromSmiles(text, sanitize=False) is not None
            return _refuse(text, Reason.CHEMISTRY if has_valid_syntax else Reason.SYNTAX)
        return _inspect(text, mol)
    except Exception:  # noqa: BLE001 - RDKit raises many kinds of error, and a reward must survive them all
        return _refuse(text, Reason.CHEMISTRY)
    finally:
        del silence


def _inspect(text: str, mol: Chem.Mol) -> Parsed:
    if mol.HasSubstructMatch(_DUMMY):
        return _refuse(text, Reason.DUMMY_ATOM)
    if ":" in text:  # there may be atom maps
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        # two branches that differ only in their atom maps make no stereocentre
        Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
    if mol.GetNumHeavyAtoms() == 0:
        return _refuse(text, Reason.NO_HEAVY_ATOM)
    key = Chem.MolToSmiles(mol)
    fragments = tuple(sorted(key.split(".")))
    if all(_LONE_ATOM.fullmatch(fragment) for fragment in fragments):
        return _refuse(text, Reason.LONE_ATOM)
    # RDKit cannot read back some of the SMILES that it writes, such as those of metals in rings
    if _UNUSUAL.search(key) and Chem.MolFromSmiles(key) is None:
        return _refuse(text, Reason.CHEMISTRY)
    return Parsed(text, mol, key, fragments, Reason.CORRECT)


@lru_cache(maxsize=8192)
def molecules_of(text: str) -> tuple[str, ...]:
    """Return the dot-separated molecules of a SMILES that passes the gate, as they are written.

    Where a ring closes across a dot (`C1.C1` is ethane), return the canonical fragments instead.
    """
    parts = tuple(text.strip().split("."))
    return parts if all(Chem.MolFromSmiles(part) is not None for part in parts) else parse_smiles(text).fragments


def _refuse(text: str, reason: Reason) -> Parsed:
    return Parsed(text, None, "", (), reason)


@lru_cache(maxsize=8192)
def skeleton(key: str) -> str:
    """Return the heavy atoms and bonds of `key` as SMILES, without hydrogens, charges, isotopes and stereochemistry."""
    mol = Chem.RWMol(Chem.MolFromSmiles(key))
    for atom in mol.GetAtoms():
        atom.SetIsotope(0)
        atom.SetFormalCharge(0)
        atom.SetNumRadicalElectrons(0)
        atom.SetNumExplicitHs(0)
        atom.SetNoImplicit(True)
    for index in reversed([atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 1]):
        mol.RemoveAtom(index)
    return Chem.MolToSmiles(mol, isomericSmiles=False)


def shows_stereo(smiles: str) -> bool:
    """Return whether a SMILES states any stereochemistry."""
    return any(mark in smiles for mark in "@/\\")


def key_or_text(text: str) -> str:
    """Return the canonical SMILES of a text that passes the gate, and any other text unchanged."""
    return parse_smiles(text).key or text


@lru_cache(maxsize=8192)
def without_stereo(key: str) -> str:
    """Return the canonical SMILES of `key` without its stereochemistry."""
    mol = Chem.MolFromSmiles(key) if shows_stereo(key) else None
    return Chem.MolToSmiles(mol, isomericSmiles=False) if mol else key


def same_molecules(fragments: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two lists of canonical SMILES are the same multiset of molecules, stereochemistry included."""
    left = list(others)
    for fragment in fragments:
        twin = next((other for other in left if _same_molecule(fragment, other)), None)
        if twin is None:
            return False
        left.remove(twin)
    return not left


@lru_cache(maxsize=8192)
def _same_molecule(key: str, other: str) -> bool:
    """Return whether two canonical SMILES are one molecule, also where RDKit's canonical form is not unique.

    Of some bridged molecules RDKit writes another "canonical" SMILES each time it reads its own, because it takes
    atoms for stereocentres that are none (rdkit issues 6420 and 8862). So two SMILES are also equal if rewriting one
    leads to the other, or if their InChIs with fixed hydrogens agree. InChI does not know the geometry of metals.
    """
    if key == other:
        return True
    if without_stereo(key) != without_stereo(other):
        return False
    if not _rewritten(key).isdisjoint(_rewritten(other)):
        return True
    mol, other_mol = Chem.MolFromSmiles(key), Chem.MolFromSmiles(other)
    if any(atom.GetAtomicNum() not in _KNOWN_TO_INCHI for atom in mol.GetAtoms()):
        return False
    silence = rdBase.BlockLogs()
    inchi = Chem.MolToInchi(mol, options="/FixedH")
    is_same = bool(inchi) and inchi == Chem.MolToInchi(other_mol, options="/FixedH")
    del silence
    return is_same


def _rewritten(key: str) -> set[str]:
    """Return what RDKit makes of `key` by writing and reading it again and again, at most REWRITINGS times."""
    forms = [key]
    while len(forms) <= REWRITINGS and (mol := Chem.MolFromSmiles(forms[-1])) is not None:
        form = Chem.MolToSmiles(mol)
        if form in forms:
            break
        forms.append(form)
    return set(forms)


@lru_cache(maxsize=8192)
def _fingerprint(key: str):
    return _MORGAN.GetSparseCountFingerprint(Chem.MolFromSmiles(key))


def similarity(a: Parsed, b: Parsed) -> float:
    """Return the Tanimoto similarity in [0, 1] of Morgan *count* fingerprints (radius 2, with chirality).

    Counts tell dodecane from tetradecane and `CCO` from `CCO.CCO`; bits do not. Different molecules get at most 0.99,
    even where their fingerprints collide: similarity 1 means identity. Returns 0 if the gate refused either text.
    """
    if not (a.ok and b.ok):
        return 0.0
    if a.key == b.key:
        return 1.0
    return min(DataStructs.TanimotoSimilarity(_fingerprint(a.key), _fingerprint(b.key)), MAX_SIMILARITY_UNLESS_SAME)
