"""What RDKit counts in a molecule, given as SMILES. Counts are cached, since a training run repeats its molecules."""

import re
from collections.abc import Callable
from functools import lru_cache

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from chemr_lite.chemistry.groups import places_of
from chemr_lite.chemistry.structure import count_hydrogens, double_bond_labels, parse_formula, stereocentres
from chemr_lite.claims.language import NUMBERS
from chemr_lite.claims.passages import Quantity

Measure = Callable[[str], int]
"""Counts something in the molecule of a SMILES."""


@lru_cache(maxsize=8192)
def mol_of(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


@lru_cache(maxsize=1024)
def pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)


@lru_cache(maxsize=100_000)
def matches(smarts: str, smiles: str) -> int:
    """Return how often a pattern is in a molecule; counts of patterns separated by `|` are added up."""
    return sum(len(mol_of(smiles).GetSubstructMatches(pattern(part), maxMatches=100)) for part in smarts.split("|"))


@lru_cache(maxsize=100_000)
def matches_in(smarts: str, smiles: str, places: frozenset[str], mainly: bool) -> int:
    """Return how many matches of a pattern sit in one of `places` (chemr_lite.chemistry.groups.PLACES).

    With `mainly`, only the most telling place of a match counts.
    """
    mol = mol_of(smiles)
    places_of_matches = (places_of(mol, match) for match in mol.GetSubstructMatches(pattern(smarts), maxMatches=100))
    return sum(not places.isdisjoint(own[:1] if mainly else own) for own in places_of_matches)


def pattern_measures(smarts: tuple[str, ...], places: frozenset[str] = frozenset()) -> list[Measure]:
    """Return a measure for each sense of a word, anywhere in the molecule or in one of `places` only."""
    if places:
        return [
            lambda s, part=part, mainly=mainly: matches_in(part, s, places, mainly)
            for part in smarts
            for mainly in (False, True)
        ]
    return [lambda smiles, part=part: matches(part, smiles) for part in smarts]


def holds(quantity: Quantity, subjects: list[tuple[str, ...]], measures: list[Measure]) -> bool:
    """Whether some measure of some subject fits: of one molecule of a side, or of all of them together."""
    for molecules in subjects:
        for measure in measures:
            counts = [measure(smiles) for smiles in molecules]
            if any(map(quantity.fits, counts)) or quantity.fits(sum(counts)):
                return True
    return False


def hydrogens(smiles: str) -> int:
    return count_hydrogens(mol_of(smiles))


def atoms(number: int, kind: str = "") -> Measure:
    """Return a measure of the atoms of an atomic number; `kind` is "", "aromatic", "sp2" or "sp3"."""
    hybrid = {"sp2": Chem.HybridizationType.SP2, "sp3": Chem.HybridizationType.SP3}.get(kind)

    def count(smiles: str) -> int:
        same = [a for a in mol_of(smiles).GetAtoms() if a.GetAtomicNum() == number]
        return sum((kind != "aromatic" or a.GetIsAromatic()) and hybrid in (None, a.GetHybridization()) for a in same)

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


def bonds(kind: str) -> list[Measure]:
    """Return the measures of a kind of bond: `rotatable`, `single` …, `C=O`."""
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
    return pattern_measures((f"[{_ATOMIC[a]}]{order}[{_ATOMIC[b]}]",))


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
    """Return (size, aromatic, has a heteroatom, fused to another) of each ring of the smallest set."""
    mol, described = mol_of(smiles), []
    info = mol.GetRingInfo()
    for n, (members, edges) in enumerate(zip(info.AtomRings(), info.BondRings(), strict=True)):
        aromatic = all(mol.GetBondWithIdx(b).GetIsAromatic() for b in edges)
        hetero = any(mol.GetAtomWithIdx(a).GetAtomicNum() != 6 for a in members)
        described.append((len(members), aromatic, hetero, info.IsRingFused(n)))
    return tuple(described)


def rings(words: set[str]) -> Measure:
    """Return a measure of the rings that all adjectives in `words` fit: aromatic, saturated, five-membered …"""

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
"""Whether an adjective is true of a whole molecule."""


@lru_cache(maxsize=8192)
def ring_systems(smiles: str) -> tuple[int, ...]:
    """Return the number of rings of each system of rings that share atoms."""
    systems: list[tuple[set[int], int]] = []
    for ring in map(set, mol_of(smiles).GetRingInfo().AtomRings()):
        touching = [s for s in systems if s[0] & ring]
        systems = [s for s in systems if not s[0] & ring]
        systems.append((ring.union(*(s[0] for s in touching)), 1 + sum(s[1] for s in touching)))
    return tuple(n for _, n in systems)


CYCLES: dict[str, list[Measure]] = {
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
"""The measures of a word for a kind of cycle."""


def stereo_labels(smiles: str) -> tuple[str, ...]:
    """Return all R, S, E and Z labels of a molecule."""
    return (*(label for _, label in stereocentres(smiles)), *double_bond_labels(smiles))


def elements_of(formula: str) -> dict[str, int]:
    """Return the atoms by element of a molecular formula without its charge; empty where it is no formula."""
    parsed = parse_formula(re.sub(r"[+-]\d*$", "", formula))
    return parsed[0] if parsed else {}


def counts_on(sides: tuple[tuple[str, ...], tuple[str, ...]], measures: list[Measure]) -> list[tuple[int, int]]:
    """Return the total (before, after) by each measure."""
    return [(sum(map(measure, sides[0])), sum(map(measure, sides[1]))) for measure in measures]
