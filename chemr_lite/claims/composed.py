"""Names that are put together, so that no list could hold them: `3,4-dichlorobenzyl`, `para-methoxyphenyl`, `bicyclo[2.2.1]heptane`.

`find` yields where a text has one, and the SMARTS of which at least one must match.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations

_SUBSTITUENTS = {
    "fluoro": "F", "chloro": "Cl", "bromo": "Br", "iodo": "I", "nitro": "[N+](=O)[O-]", "cyano": "C#N", "amino": "[#7X3]",
    "hydroxy": "[OX2,OX1-]", "methoxy": "[OX2][CH3]", "ethoxy": "[OX2][CH2][CH3]", "trifluoromethoxy": "[OX2]C(F)(F)F", "trifluoromethyl": "C(F)(F)F",
    "tert-butyl": "C([CH3])([CH3])[CH3]", "methyl": "[#6X4]", "ethyl": "[CH2][CH3]", "isopropyl": "[CH]([CH3])[CH3]", "dimethylamino": "N([CH3])[CH3]",
}  # fmt: skip
_HEADS = {  # what the first atom of the ring bears
    "phenyl": "[*]", "benzyl": "[CX4]", "benzylic": "[CX4]", "benzoyl": "[CX3]=O", "benzamide": "[CX3]=O", "benzoate": "[CX3]=O", "benzoic acid": "[CX3]=O", "benzaldehyde": "[CX3]=O",
    "benzonitrile": "C#N", "aniline": "[#7]", "anilino": "[#7]", "anilide": "[#7]", "phenol": "[#8]", "phenoxy": "[#8]", "anisole": "[OX2][CH3]", "benzenesulfonyl": "[SX4]", "phenylsulfonyl": "[SX4]",
    "benzenesulfonamide": "[SX4]", "phenylboronic acid": "[B]", "phenethyl": "[CH2][CH2]",
}  # fmt: skip
_MANY = {"": 1, "mono": 1, "di": 2, "tri": 3, "tetra": 4, "penta": 5}
_PLACES = {"ortho": 2, "o": 2, "meta": 3, "m": 3, "para": 4, "p": 4}

_any_of = "|".join
_ONE = rf"(?:(?P<places{{0}}>(?:[2-6](?:,[2-6])*|ortho|meta|para|o|m|p)-)?(?P<many{{0}}>mono|di|tri|tetra|penta)?\(?(?P<name{{0}}>{_any_of(sorted(_SUBSTITUENTS, key=len, reverse=True))})\)?)"
_PHENYL = re.compile(
    rf"(?<![\w,=#])(?<!\d-){_ONE.format(1)}(?:-?{_ONE.format(2)})?(?P<head>{_any_of(sorted(_HEADS, key=len, reverse=True))})(?:s|(?:[ -](?:group|ring|moiety|unit|substituent|arm|tail)s?))?(?!\w)",
    re.IGNORECASE,
)
_BICYCLO = re.compile(
    r"(?<!\w)bicyclo\[(\d)\.(\d)\.(\d)\]\w*(?: (?:skeleton|core|system|framework|cage))?", re.IGNORECASE
)


def find(text: str) -> Iterator[tuple[tuple[int, int], str, tuple[str, ...]]]:
    """((start, end), kind of claim, SMARTS) of each such name in `text`."""
    for found in _PHENYL.finditer(text):
        parts = [
            (found[f"places{n}"] or "", found[f"many{n}"] or "", found[f"name{n}"]) for n in (1, 2) if found[f"name{n}"]
        ]
        if patterns := _phenyl(tuple(part.lower() for part in sum(parts, ())), found["head"].lower()):
            yield found.span(), "group", patterns
    for found in _BICYCLO.finditer(text):
        yield found.span(), "ring", (bicycle(*map(int, found.groups())),)


@lru_cache(maxsize=1024)
def _phenyl(parts: tuple[str, ...], head: str) -> tuple[str, ...]:
    """The SMARTS of a ring so substituted, one for each way to read it; none where the numbers do not agree."""
    wanted: list[list[dict[int, str]]] = []
    for at in range(0, len(parts), 3):
        places, many, name = parts[at].rstrip("-"), _MANY[parts[at + 1]], _SUBSTITUENTS[parts[at + 2]]
        if places:
            told = [_PLACES[places]] if places in _PLACES else [int(place) for place in places.split(",")]
            if len(told) != many:
                return ()
            wanted.append([dict.fromkeys(told, name)])
        else:
            wanted.append([dict.fromkeys(chosen, name) for chosen in combinations(range(2, 7), many)])
    rings = (
        wanted[0]
        if len(wanted) == 1
        else [one | other for one in wanted[0] for other in wanted[1] if not one.keys() & other.keys()]
    )
    return tuple(dict.fromkeys(_ring(ring, head) for ring in rings))


def _ring(ring: dict[int, str], head: str) -> str:
    bearing = "".join(f"c({ring[n]})" if n in ring else "c" for n in range(2, 6))
    return f"c1({_HEADS[head]}){bearing}c1({ring[6]})" if 6 in ring else f"c1({_HEADS[head]}){bearing}c1"


def bicycle(*bridges: int) -> str:
    """SMARTS of two bridgeheads joined by three chains of so many atoms, of any kind, as the name's brackets give them."""
    long, middle, short = sorted(bridges, reverse=True)
    last = "~*" * (short - 1) + "~*~2" if short else "~2"
    chain = "~*" * (middle - 1) + "~*~1"
    return f"*~1~2{'~*' * long}~*({chain}){last}" if short else f"*~1~2{'~*' * long}~*~2{chain}"
