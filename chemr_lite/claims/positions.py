"""Reader of positions on a benzene ring: `the nitro group is ortho to the bromine`."""

from collections.abc import Iterator
from functools import lru_cache

from chemr_lite.claims.groups import NAMES
from chemr_lite.claims.language import any_case
from chemr_lite.claims.lexicon import GROUPS, WORDS
from chemr_lite.claims.measures import mol_of, pattern
from chemr_lite.claims.passages import Passage, Quantity
from chemr_lite.claims.statements import Statement, fact_statement

_DISTANCES = {"ortho": 1, "meta": 2, "para": 3}  # bonds around the ring
_HINT = any_case(r"(?:ortho|meta|para)[ -]to\b")  # few clauses have it, and to look for all names takes long
_NOUN = r"(?: (?:group|ring|atom|substituent|oxygen|nitrogen|carbon|position|one))?"


@lru_cache(maxsize=1)  # compiled when it is first needed: with so many names it would slow the import
def _position():
    return any_case(
        rf"\b(?P<first>{NAMES}){_NOUN} (?:(?:is|sits|lies|stands|located|placed|(?P<not>not)) )*"
        rf"(?P<where>ortho|meta|para)[ -]to (?:the |an? |its )?(?P<second>{NAMES})\b(?!-|\w)"
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


def _has(smiles: str, first: str, distance: int, second: str) -> bool:
    ones, others = _carriers(smiles, first), _carriers(smiles, second)
    for ring in _rings(smiles):
        for i, atom in enumerate(ring):
            if atom in others and {ring[(i + distance) % 6], ring[i - distance]} & ones:
                return True
    return False


def read_positions(passage: Passage) -> Iterator[Statement]:
    """Read `the nitro group is ortho to the bromine`. Of a group that no benzene ring carries nothing is read."""
    for match in _position().finditer(passage.plain) if _HINT.search(passage.plain) else ():
        (kind, first), (other_kind, second) = (WORDS[match[name].lower()] for name in ("first", "second"))
        if not kind == other_kind == "group":
            continue
        where = match["where"].lower()
        molecules = [smiles for side in passage.subjects(match.start()) for smiles in side]
        if not all(any(_carriers(smiles, name) for smiles in molecules) for name in (first, second)):
            continue

        def holds(smiles: str, first=first, distance=_DISTANCES[where], second=second) -> bool:
            return _has(smiles, first, distance, second)

        quantity = Quantity(0 if match["not"] else 1, bool(match["not"]), passage.asserts(*match.span()))
        yield fact_statement(passage, match.span(), "group", f"{first} {where} to {second}", holds, quantity)
