"""Names with locants, too many for a list: `3,4-dichlorobenzyl`, `para-methoxyphenyl`, `bicyclo[2.2.1]heptane`."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations

from chemr_lite.claims.language import any_case, one_of
from chemr_lite.claims.lexicon import load_table

_table = load_table("substituted_benzenes.yaml")
_SUBSTITUENTS: dict[str, str] = _table["substituents"]
_PARENTS: dict[str, str] = _table["parents"]
_MULTIPLIERS = {"": 1, "mono": 1, "di": 2, "tri": 3, "tetra": 4, "penta": 5}
_LOCANTS = {"ortho": 2, "o": 2, "meta": 3, "m": 3, "para": 4, "p": 4}


def _longest_first(names: dict[str, str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


def _substituent(n: int) -> str:
    """Return the pattern of the nth substituent, such as `3,4-dichloro` or `4-(trifluoromethyl)`."""
    locants = rf"(?P<locants{n}>(?:[2-6](?:,[2-6])*|ortho|meta|para|o|m|p)-)?"
    multiplier = rf"(?P<multiplier{n}>mono|di|tri|tetra|penta)?"
    return rf"(?:{locants}{multiplier}\(?(?P<name{n}>{_longest_first(_SUBSTITUENTS)})\)?)"


_BENZENE = any_case(
    r"(?<![\w,=#])(?<!\d-)"
    rf"{_substituent(1)}(?:-?{_substituent(2)})?"
    rf"(?P<parent>{_longest_first(_PARENTS)})"
    rf"(?:s|(?:[ -]{one_of('group', 'ring', 'moiety', 'unit', 'substituent', 'arm', 'tail')}s?))?(?!\w)"
)
_BICYCLE = any_case(
    r"(?<!\w)bicyclo\[(\d)\.(\d)\.(\d)\]\w*"
    rf"(?: {one_of('skeleton', 'core', 'system', 'framework', 'cage')})?"
)


def find(text: str) -> Iterator[tuple[tuple[int, int], str, tuple[str, ...]]]:
    """Yield ((start, end), kind of claim, SMARTS) of each such name in `text`. At least one SMARTS must match."""
    for match in _BENZENE.finditer(text):
        parts = [(match[f"locants{n}"], match[f"multiplier{n}"], match[f"name{n}"]) for n in (1, 2)]
        substituents = tuple(_lower(part) for part in parts if part[-1])
        if patterns := _benzene(substituents, match["parent"].lower()):
            yield match.span(), "group", patterns
    for match in _BICYCLE.finditer(text):
        yield match.span(), "ring", (bicycle(*map(int, match.groups())),)


def _lower(part: tuple[str | None, str | None, str]) -> tuple[str, str, str]:
    locants, multiplier, name = part
    return (locants or "").lower().rstrip("-"), (multiplier or "").lower(), name.lower()


@lru_cache(maxsize=1024)
def _benzene(substituents: tuple[tuple[str, str, str], ...], parent: str) -> tuple[str, ...]:
    """Return the SMARTS of a benzene with `substituents` (locants, multiplier, name), one for each way to read it.

    Empty where the locants do not agree with the multiplier.
    """
    choices: list[list[dict[int, str]]] = []  # for each substituent the ways to place it on the ring's atoms 2 to 6
    for locants, multiplier, name in substituents:
        number, smarts = _MULTIPLIERS[multiplier], _SUBSTITUENTS[name]
        if locants:
            places = [_LOCANTS[locants]] if locants in _LOCANTS else [int(place) for place in locants.split(",")]
            if len(places) != number:
                return ()
            choices.append([dict.fromkeys(places, smarts)])
        else:
            choices.append([dict.fromkeys(places, smarts) for places in combinations(range(2, 7), number)])
    rings = choices[0]
    if len(choices) == 2:
        rings = [first | second for first in choices[0] for second in choices[1] if not first.keys() & second.keys()]
    return tuple(dict.fromkeys(_smarts(ring, parent) for ring in rings))


def _smarts(ring: dict[int, str], parent: str) -> str:
    """Return the SMARTS of a benzene with the substituents in `ring`, by atom, and that of `parent` on atom 1."""
    atoms = "".join(f"c({ring[n]})" if n in ring else "c" for n in range(2, 6))
    last = f"c1({ring[6]})" if 6 in ring else "c1"
    return f"c1({_PARENTS[parent]}){atoms}{last}"


def bicycle(*bridges: int) -> str:
    """Return the SMARTS of two bridgeheads joined by three chains of so many atoms, of any kind.

    The lengths are those in the brackets of the name.
    """
    long, middle, short = sorted(bridges, reverse=True)
    last = "~*" * (short - 1) + "~*~2" if short else "~2"
    chain = "~*" * (middle - 1) + "~*~1"
    return f"*~1~2{'~*' * long}~*({chain}){last}" if short else f"*~1~2{'~*' * long}~*~2{chain}"
