"""What RDKit counts in a molecule, one SMILES at a time and cached: a training run asks the same again and again."""

import re
from collections.abc import Callable
from functools import lru_cache

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from chemr_lite.chemistry.groups import places_of
from chemr_lite.chemistry.structure import count_hydrogens, double_bond_labels, parse_formula, stereocentres
from chemr_lite.claims.passages import NUMBERS, Quantity

Counter = Callable[[str], int]  # of a SMILES


@lru_cache(maxsize=8192)
def mol_of(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


@lru_cache(maxsize=1024)
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)


@lru_cache(maxsize=100_000)
def matches(smarts: str, smiles: str) -> int:
    """How often a pattern, or any of several that exclude each other (`|`), is in a molecule."""
    return sum(len(mol_of(smiles).GetSubstructMatches(_pattern(part), maxMatches=100)) for part in smarts.split("|"))


@lru_cache(maxsize=100_000)
def matches_in(smarts: str, smiles: str, places: frozenset[str], mainly: bool) -> int:
    """How many matches of a pattern sit in one of `places` (chemr_lite.facts.PLACES), or `mainly` sit there."""
    mol = mol_of(smiles)
    found = (places_of(mol, match) for match in mol.GetSubstructMatches(_pattern(smarts), maxMatches=100))
    return sum(not places.isdisjoint(held[:1] if mainly else held) for held in found)


def counters(smarts: tuple[str, ...], places: frozenset[str] = frozenset()) -> list[Counter]:
    """A counter for each reading of a word, anywhere or in one of `places` only."""
    if places:
        return [
            lambda s, pattern=pattern, mainly=mainly: matches_in(pattern, s, places, mainly)
            for pattern in smarts
            for mainly in (False, True)
        ]
    return [lambda smiles, pattern=pattern: matches(pattern, smiles) for pattern in smarts]


def holds(quantity: Quantity, subjects: list[tuple[str, ...]], counts: list[Counter]) -> bool:
    """Whether some reading of some subject fits: one molecule of a side, or all of them together."""
    for molecules in subjects:
        for count in counts:
            found = [count(smiles) for smiles in molecules]
            if any(map(quantity.fits, found)) or quantity.fits(sum(found)):
                return True
    return False


def hydrogens(smiles: str) -> int:
    return count_hydrogens(mol_of(smiles))


def atoms(number: int, kind: str = "") -> Counter:
    """Counts the atoms of an atomic number; `kind` is "", "aromatic", "sp2" or "sp3"."""
    hybrid = {"sp2": Chem.HybridizationType.SP2, "sp3": Chem.HybridizationType.SP3}.get(kind)

    def count(smiles: str) -> int:
        found = [a for a in mol_of(smiles).GetAtoms() if a.GetAtomicNum() == number]
        return sum((kind != "aromatic" or a.GetIsAromatic()) and hybrid in (None, a.GetHybridization()) for a in found)

    return count


def heteroatoms(smiles: str) -> int:
    return sum(a.GetAtomicNum() not in (1, 6) for a in mol_of(smiles).GetAtoms())


_ATOMIC = {"C": "#6", "N": "#7", "O": "#8", "S": "#16", "P": "#15"}
_ORDERS = {
    "single": Chem.BondType.SINGLE,
    "double": Chem.BondType.DOUBLE,
    "triple": Chem.BondType.TRIPLE,
    "aromatic": Chem.BondType.AROMATIC,
}


def bonds(kind: str) -> list[Counter]:
    """The readings of a kind of bond: `rotatable`, `single` …, `C=O`."""
    if kind == "rotatable":
        options = rdMolDescriptors.NumRotatableBondsOptions
        return [
            lambda s, o=o: rdMolDescriptors.CalcNumRotatableBonds(mol_of(s), o)
            for o in (options.Strict, options.NonStrict)
        ]
    if kind in _ORDERS:
        orders = [_bond_orders] + ([_kekule_orders] if kind in ("single", "double") else [])
        return [lambda s, of=of: of(s).count(_ORDERS[kind]) for of in orders]
    a, order, b = kind
    return counters((f"[{_ATOMIC[a]}]{order}[{_ATOMIC[b]}]",))


@lru_cache(maxsize=8192)
def _bond_orders(smiles: str) -> tuple:
    return tuple(bond.GetBondType() for bond in mol_of(smiles).GetBonds())


@lru_cache(maxsize=8192)
def _kekule_orders(smiles: str) -> tuple:
    mol = Chem.Mol(mol_of(smiles))
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return tuple(bond.GetBondType() for bond in mol.GetBonds())


@lru_cache(maxsize=8192)
def rings_of(smiles: str) -> tuple[tuple[int, bool, bool, bool], ...]:
    """Per ring of the smallest set: its size, whether it is aromatic, holds a heteroatom, is fused to another."""
    mol, told = mol_of(smiles), []
    info = mol.GetRingInfo()
    for n, (members, edges) in enumerate(zip(info.AtomRings(), info.BondRings(), strict=True)):
        aromatic = all(mol.GetBondWithIdx(b).GetIsAromatic() for b in edges)
        told.append(
            (
                len(members),
                aromatic,
                any(mol.GetAtomWithIdx(a).GetAtomicNum() != 6 for a in members),
                info.IsRingFused(n),
            )
        )
    return tuple(told)


def rings(words: set[str]) -> Counter:
    """Counts the rings that all adjectives in `words` fit: aromatic, saturated, heterocyclic, five-membered …"""

    def fits(ring: tuple[int, bool, bool, bool]) -> bool:
        size, aromatic, hetero, fused = ring
        sizes = [int(w[0]) if w[0].isdigit() else NUMBERS[w.split("-")[0]] for w in words if w.endswith("-membered")]
        return (
            all(size == wanted for wanted in sizes)
            and (aromatic or not words & {"aromatic", "aryl", "heteroaromatic"})
            and not (aromatic and words & {"aliphatic", "saturated", "non-aromatic", "nonaromatic", "alicyclic"})
            and (hetero or not words & {"heteroaromatic", "heterocyclic"})
            and not (hetero and "carbocyclic" in words)
            and (fused or not words & {"fused", "benzo-fused"})
        )

    return lambda smiles: sum(map(fits, rings_of(smiles)))


WHOLES: dict[str, Callable[[str], bool]] = {
    "aromatic": lambda smiles: any(aromatic for _, aromatic, _, _ in rings_of(smiles)),
    "aliphatic": lambda smiles: not any(aromatic for _, aromatic, _, _ in rings_of(smiles)),
    "all aromatic": lambda smiles: bool(rings_of(smiles)) and all(aromatic for _, aromatic, _, _ in rings_of(smiles)),
}


@lru_cache(maxsize=8192)
def ring_systems(smiles: str) -> tuple[int, ...]:
    """The number of rings of each system of rings that share atoms."""
    systems: list[tuple[set[int], int]] = []
    for ring in map(set, mol_of(smiles).GetRingInfo().AtomRings()):
        touching = [s for s in systems if s[0] & ring]
        systems = [s for s in systems if not s[0] & ring]
        systems.append((ring.union(*(s[0] for s in touching)), 1 + sum(s[1] for s in touching)))
    return tuple(n for _, n in systems)


CYCLES: dict[str, list[Counter]] = {
    "acyclic": [lambda s: int(not ring_systems(s))],
    "polycyclic": [lambda s: sum(n > 1 for n in ring_systems(s))],
    "macrocyclic": [lambda s: sum(ring[0] >= 12 for ring in rings_of(s))],
    "spiro": [lambda s: rdMolDescriptors.CalcNumSpiroAtoms(mol_of(s))],
    "bridged": [lambda s: rdMolDescriptors.CalcNumBridgeheadAtoms(mol_of(s))],
} | {
    # `bicyclic`: a system of two rings, or two rings in all
    word: [lambda s, n=n: ring_systems(s).count(n), lambda s, n=n: int(len(rings_of(s)) == n)]
    for n, word in enumerate(("monocyclic", "bicyclic", "tricyclic", "tetracyclic"), 1)
}


def stereo_labels(smiles: str) -> tuple[str, ...]:
    """All R, S, E and Z labels of a molecule."""
    return (*(label for _, label in stereocentres(smiles)), *double_bond_labels(smiles))


def elements_of(formula: str) -> dict[str, int]:
    """Return the atoms by element of a molecular formula without its charge; empty where it is no formula."""
    parsed = parse_formula(re.sub(r"[+-]\d*$", "", formula))
    return parsed[0] if parsed else {}


def counts_on(sides: tuple[tuple[str, ...], tuple[str, ...]], readings: list[Counter]) -> list[tuple[int, int]]:
    """For each reading the total (before, after)."""
    return [(sum(map(count, sides[0])), sum(map(count, sides[1]))) for count in readings]
