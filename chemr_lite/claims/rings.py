"""Readers of rings by their kind: `two aromatic rings`, `a six-membered heterocycle`, `bicyclic`."""

import re
from collections.abc import Iterator

from chemr_lite.claims import measures
from chemr_lite.claims.language import COUNT_AFTER, NUMBER, NUMBERED, any_case, number, one_of
from chemr_lite.claims.passages import Passage, Quantity
from chemr_lite.claims.statements import Statement, count_statement, fact_statement

_SIZES = ("three", "four", "five", "six", "seven", "eight")
_ADJECTIVE = one_of(
    *("aromatic", "aryl", "heteroaromatic", "aliphatic", "saturated", "unsaturated", "non-aromatic", "nonaromatic"),
    *("heterocyclic", "carbocyclic", "alicyclic", "fused", "benzo-fused"),
    rf"{one_of(*_SIZES, *'345678')}-membered",
)
_NOUNS = (
    "rings?(?: systems?)?",
    "lactones?",
    "lactams?",
    "heterocycles?",
    "heteroarenes?",
    "carbocycles?",
    "aromatics?",
)
_NO_RING = one_of(r"[NOS]\b", "size", "strain", "current", "nitrogen", "oxygen", "carbon", "atom", "closure", "opening")
_RING = any_case(
    rf"\b(?:(?P<words>(?:{_ADJECTIVE}(?:\s+|,\s*|\s+and\s+))+)(?:[a-z]+\s+)??)?"
    rf"(?P<noun>{'|'.join(_NOUNS)})\b(?!\s*{_NO_RING})"
)
_IS_OF_SIZE = any_case(rf"\s+is (?:an? )?(?P<size>(?:{'|'.join(_SIZES)}|[3-8])-membered)\b")
# `rings four in all`, `aromatic rings two;`, but no numbering: `aromatic ring 1, the phenyl`
_COUNTED = any_case(rf"(?<=s)\s+(?P<number>{NUMBER})\b(?:\s+in (?:all|total)\b|(?=\s*(?:[.;|]|$)))")
_TERSE_RING = re.compile(r"\b(?P<number>\d+)\s+(?P<word>aromatic|aliphatic)\b|\brings\s+(?P<total>\d+)\b")
_CYCLE_WORDS = (
    *("acyclic", "monocyclic", "bicyclic", "tricyclic", "tetracyclic", "polycyclic"),
    *(r"macrocycl\w+", "spiro(?:cyclic)?", "bridged"),
)
_CYCLE = any_case(rf"\b(?P<word>{'|'.join(_CYCLE_WORDS)})\b")
_WHOLE_IS = (
    r"\b(?:it|molecule|compound|structure|product) is (?:fully |overall )?(?P<word>aromatic|aliphatic)\b(?! [a-z])"
)
_ALL_ARE = r"\b(?P<all>all(?: of (?:which|them|the rings))?(?: are|:)?(?: fully)? aromatic)\b(?!-| [a-z])"
_WHOLE = any_case(one_of(_WHOLE_IS, _ALL_ARE))
_HAS = one_of("contains", "has", "carries", "bears", "includes", "features", "there is")
_HAS_RING = any_case(rf"\b{_HAS}\s+(?P<ring>a ring)\b(?! \w+gen| system)")
_OF_THEM = any_case(
    rf"\b(?P<number>{NUMBER}) of (?:them|these|the rings|the \w+ rings) (?:is |are )?(?P<word>{_ADJECTIVE})"
)


def read_rings(passage: Passage) -> Iterator[Statement]:
    """Read `two aromatic rings`, `bicyclic`, `all are aromatic`; in a step about rings also `1 aromatic`."""
    if "ring" in passage.claims:
        yield from _read_terse(passage)
    for match in _HAS_RING.finditer(passage.plain):
        quantity = Quantity(1, False, passage.asserts(*match.span()))
        yield count_statement(passage, match.span("ring"), "ring", "ring", [measures.rings(set())], quantity)
    for match in _WHOLE.finditer(passage.plain):
        word = "all aromatic" if match["all"] else match["word"].lower()
        yield fact_statement(passage, match.span(), "ring", word, measures.WHOLES[word])
    for match in _OF_THEM.finditer(passage.plain):
        word, quantity = match["word"].lower(), Quantity(number(match["number"]), True)
        yield count_statement(passage, match.span(), "ring", f"{word} ring", [measures.rings({word})], quantity)
    yield from _read_described(passage)
    for match in _CYCLE.finditer(passage.plain):
        word = match["word"].lower()
        word = "spiro" if word.startswith("spiro") else "macrocyclic" if word.startswith("macro") else word
        quantity = passage.quantity(*match.span())
        quantity = quantity if quantity.denied else Quantity(1, False, quantity.sure)
        yield count_statement(passage, match.span(), "ring", word, measures.CYCLES[word], quantity)


def _read_terse(passage: Passage) -> Iterator[Statement]:
    """Read `1 aromatic, 2 aliphatic`, `rings 3`."""
    for match in _TERSE_RING.finditer(passage.plain):
        words = {match["word"]} if match["word"] else set()
        quantity = Quantity(int(match["number"] or match["total"]), True)
        yield count_statement(passage, match.span(), "ring", _noun(words), [measures.rings(words)], quantity)


def _read_described(passage: Passage) -> Iterator[Statement]:
    """Read `two fused aromatic rings`, `a six-membered heterocycle`, `the lactone is five-membered`."""
    for match in _RING.finditer(passage.plain):
        words, noun = set(re.findall(_ADJECTIVE, (match["words"] or "").lower())), match["noun"].lower()
        size = _IS_OF_SIZE.match(passage.plain, match.end())
        words |= {size["size"].lower()} if size else set()
        if noun.startswith("lact") and not any(word.endswith("membered") for word in words):
            continue
        before, after = passage.plain[: match.start()], passage.plain[match.end() :]
        numbered = NUMBERED.search(before)
        behind = None if numbered else _COUNTED.match(passage.plain, match.end())
        counted = numbered or COUNT_AFTER.match(after) or behind
        if (noun.startswith("aromatic") or not words) and not counted:
            continue
        if noun.startswith("heterocycl"):
            words.add("heterocyclic")
        elif noun.startswith("heteroar"):
            words.add("heteroaromatic")
        elif noun.startswith("aromatic"):
            words.add("aromatic")
        quantity = passage.quantity(*match.span(), noun.endswith("s"))
        if behind:
            quantity = Quantity(number(behind["number"]), True, passage.asserts(*match.span()))
        if "system" in noun and "fused" in words and quantity.number:
            quantity = Quantity(1, False, quantity.sure)
        yield count_statement(passage, match.span(), "ring", _noun(words), [measures.rings(words)], quantity)


def _noun(words: set[str]) -> str:
    return " ".join([*sorted(words), "ring"])
