"""The gate: from a text to a molecule, or to the reason why it is none.

Everything that is paid for chemistry passes here first. RDKit alone is too generous for that: it reads the empty
string as a molecule of no atoms, "CCO and any prose" as ethanol, `*`, `[C]` and `[Xe]` as molecules, and calls
dodecane and tetradecane identical by fingerprint. `parse_smiles` never raises and is bounded in time and size,
because during training it meets every string a language model can write.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator

from chemr_lite.reasons import Reason

MAX_CHARS = 2000  # the longest SMILES in the public benchmarks is below this
MAX_HEAVY_ATOMS = 300
MAX_RING_CLOSURES = 60  # ring perception is the one step of RDKit that can take exponential time
MAX_SIMILARITY_UNLESS_SAME = 0.99

_RING_CLOSURE = re.compile(r"\[[^\]]*\]|%\d\d|%\(\d+\)|\d")
# canonical SMILES writes everyday hydrides (C, N, O, Cl …) bare; one atom left in brackets is an ion or a curiosity
_LONE_ATOM = re.compile(r"\[[^\]]+\]|\[H\]\[H\]")
# an atom in brackets that is none of the everyday elements
_UNUSUAL = re.compile(r"\[(?!\d*(?:H|B|C|N|O|F|P|S|Cl|Br|I|Si|c|n|o|s|p)(?![a-z]))")
_DUMMY = Chem.MolFromSmarts("[#0]")
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, includeChirality=True)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the gate made of a text: `mol` and its keys, or None and the `reason`.

    `key` is RDKit's canonical isomeric SMILES without atom maps; `fragments` the sorted canonical SMILES of its
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
    """Read `text` as SMILES through the gate. Never raises, whatever `text` is; results are cached."""
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
    silence = rdBase.BlockLogs()  # a training run meets thousands of bad SMILES; each would print two lines
    try:
        if len(text) > MAX_HEAVY_ATOMS:  # a shorter text cannot hold more atoms
            unchecked = Chem.MolFromSmiles(text, sanitize=False)
            if unchecked is not None and unchecked.GetNumAtoms() > MAX_HEAVY_ATOMS:
                return _refuse(text, Reason.TOO_COMPLEX)
        mol = Chem.MolFromSmiles(text)
        if mol is None:
            is_written_well = Chem.MolFromSmiles(text, sanitize=False) is not None
            return _refuse(text, Reason.CHEMISTRY if is_written_well else Reason.SYNTAX)
        return _inspect(text, mol)
    except Exception:  # noqa: BLE001 - RDKit raises many kinds of error, and a reward must survive them all
        return _refuse(text, Reason.CHEMISTRY)
    finally:
        del silence


def _inspect(text: str, mol: Chem.Mol) -> Parsed:
    if mol.HasSubstructMatch(_DUMMY):
        return _refuse(text, Reason.DUMMY_ATOM)
    if ":" in text:  # atom maps, perhaps
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        Chem.AssignStereochemistry(
            mol, cleanIt=True, force=True
        )  # two branches that only their maps told apart are the same
    if mol.GetNumHeavyAtoms() == 0:
        return _refuse(text, Reason.NO_HEAVY_ATOM)
    key = Chem.MolToSmiles(mol)
    fragments = tuple(sorted(key.split(".")))
    if all(_LONE_ATOM.fullmatch(fragment) for fragment in fragments):
        return _refuse(text, Reason.LONE_ATOM)
    if (
        _UNUSUAL.search(key) and Chem.MolFromSmiles(key) is None
    ):  # RDKit writes a few (metals in rings) so that it refuses them then
        return _refuse(text, Reason.CHEMISTRY)
    return Parsed(text, mol, key, fragments, Reason.CORRECT)


@lru_cache(maxsize=8192)
def molecules_of(text: str) -> tuple[str, ...]:
    """The dot-separated molecules of a SMILES that passes the gate, as they are written; in canonical writing where a ring
    or a branch closes across a dot (`C1.C1` is ethane)."""
    parts = tuple(text.strip().split("."))
    return parts if all(Chem.MolFromSmiles(part) is not None for part in parts) else parse_smiles(text).fragments


def _refuse(text: str, reason: Reason) -> Parsed:
    return Parsed(text, None, "", (), reason)


@lru_cache(maxsize=8192)
def skeleton(key: str) -> str:
    """Heavy atoms and bonds alone: equal for molecules that differ in hydrogens, charges, isotopes or stereochemistry."""
    mol = Chem.RWMol(Chem.MolFromSmiles(key))
    for atom in mol.GetAtoms():
        (
            atom.SetIsotope(0),
            atom.SetFormalCharge(0),
            atom.SetNumRadicalElectrons(0),
            atom.SetNumExplicitHs(0),
            atom.SetNoImplicit(True),
        )
    for index in reversed([atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 1]):
        mol.RemoveAtom(index)
    return Chem.MolToSmiles(mol, isomericSmiles=False)


def shows_stereo(smiles: str) -> bool:
    """Whether a SMILES says anything of its stereochemistry."""
    return any(mark in smiles for mark in "@/\\")


@lru_cache(maxsize=8192)
def without_stereo(key: str) -> str:
    """The canonical SMILES of `key` with its stereochemistry removed; what shows none is returned as it is."""
    mol = Chem.MolFromSmiles(key) if shows_stereo(key) else None
    return Chem.MolToSmiles(mol, isomericSmiles=False) if mol else key


@lru_cache(maxsize=8192)
def _fingerprint(key: str):
    return _MORGAN.GetSparseCountFingerprint(Chem.MolFromSmiles(key))


def similarity(a: Parsed, b: Parsed) -> float:
    """Tanimoto similarity in [0, 1] of Morgan *count* fingerprints (radius 2, with chirality).

    Counts tell dodecane from tetradecane and `CCO` from `CCO.CCO`, which bits do not. Where two different
    molecules still collide the value is capped at 0.99: similarity 1 means identity. 0 if either was refused.
    """
    if not (a.ok and b.ok):
        return 0.0
    if a.key == b.key:
        return 1.0
    return min(DataStructs.TanimotoSimilarity(_fingerprint(a.key), _fingerprint(b.key)), MAX_SIMILARITY_UNLESS_SAME)
