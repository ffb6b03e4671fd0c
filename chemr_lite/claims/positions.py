"""Reader of positions on a benzene ring: `the nitro group is ortho to the bromine`, `meta to the aldehyde`."""

from collections.abc import Iterator
from functools import lru_cache

from chemr_lite.claims.groups import NAMES
from chemr_lite.claims.language import any_case
from chemr_lite.claims.lexicon import GROUPS, WORDS
from chemr_lite.claims.measures import mol_of, pattern
from chemr_lite.claims.passages import Passage
from chemr_lite.claims.statements import Statement, fact_statement

_DISTANCES = {"ortho": 1, "meta": 2, "para": 3}  # bonds around the ring
_HINT = any_case(r"(?:ortho|meta|para)[ -]to\b")  # few clauses have it, and to look for all names takes long
_NOUN = r"(?: (?:group|ring|atom|substituent|oxygen|nitrogen|carbon|position|one))?"


@lru_cache(maxsize=1)  # compiled when it is first needed: with so many names it would slow the import
def _position():
    return any_case(
        rf"(?:\b(?P<first>{NAMES}){_NOUN} (?:(?:is|sits|lies|stands|located|placed) )*)?"
        rf"\b(?P<where>ortho|meta|para)[ -]to (?:the |an? |its )?(?P<second>{NAMES})\b(?!-|\w)"
    )


@lru_cache(maxsize=8192)
def _carriers(smiles: str, name: str) -> frozenset[int]:
    """Return the atoms of six-membered aromatic rings that carry a group."""
    mol, carriers = mol_of(smiles), set()
    for match in (m for part in GROUPS[name] for m in mol.GetSubstructMatches(pattern(part), maxMatches=100)):
        for ring in _rings(smiles):
            outside = [i for i in match if i not in ring]
            carriers |= {n.GetIdx() for i in outside for n in mol.GetAtomWithIdx(i).GetNeighbors()} & set(ring)
    return frozenset(carriers)


def _rings(smiles: str) -> list[tuple[int, ...]]:
    mol = mol_of(smiles)
    rings = mol.GetRingInfo().AtomRings()
    return [ring for ring in rings if len(ring) == 6 and all(mol.GetAtomWithIdx(i).GetIsAromatic() for i in ring)]


def _substituted(smiles: str) -> frozenset[int]:
    """Return the atoms of the rings that carry anything but hydrogen."""
    mol = mol_of(smiles)
    return frozenset(i for ring in _rings(smiles) for i in ring if mol.GetAtomWithIdx(i).GetDegree() > 2)


def _has(smiles: str, first: str | None, distance: int, second: str) -> bool:
    ones = _carriers(smiles, first) if first else _substituted(smiles)
    others = _carriers(smiles, second)
    for ring in _rings(smiles):
        for i, atom in enumerate(ring):
            if atom in others and {ring[(i + distance) % 6], ring[i - distance]} & ones:
                return True
    return False


def read_positions(passage: Passage) -> Iterator[Statement]:
    """Read `the nitro group is ortho to the bromine`. Of a group that no benzene ring carries nothing is read."""
    for match in _position().finditer(passage.plain) if _HINT.search(passage.plain) else ():
        names = [WORDS[word.lower()] for word in (match["first"], match["second"]) if word]
        if any(kind != "group" for kind, _ in names):
            continue
        (*first, second), distance = [name for _, name in names], _DISTANCES[match["where"].lower()]
        molecules = [smiles for side in passage.subjects(match.start()) for smiles in side]
        if not all(any(_carriers(smiles, name) for smiles in molecules) for _, name in names):
            continue

        def holds(smiles: str, first=first, distance=distance, second=second) -> bool:
            return _has(smiles, first[0] if first else None, distance, second)

        said = f"{first[0] if first else 'a substituent'} {match['where'].lower()} to {second}"
        yield fact_statement(passage, match.span(), "group", said, holds)
