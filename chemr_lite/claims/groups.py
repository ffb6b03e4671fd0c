"""Readers of functional groups and named rings: `two esters`, `no nitrile`, `the amine is secondary`."""

import re
from collections.abc import Iterator
from functools import lru_cache

from chemr_lite.chemistry.groups import group_changes, groups_of
from chemr_lite.claims import composed, measures
from chemr_lite.claims.language import any_case, one_of
from chemr_lite.claims.lexicon import GROUPS, RINGS, WORDS
from chemr_lite.claims.measures import Measure, counts_on, pattern_measures
from chemr_lite.claims.passages import Passage, Quantity
from chemr_lite.claims.statements import Statement, count_statement
from chemr_lite.tasks.open_generation import TOMG_GROUPS
from chemr_lite.tasks.property_prediction import ALERTS


def _longest_first(words: list[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


# the noun that may follow: `amide bond`, `ester carbonyl`
_NOUNS = (
    *("functional groups?", "protecting groups?", "groups?", "moiet(?:y|ies)", "functionalit(?:y|ies)", "functions?"),
    *("units?", "substituents?", "linkages?", "bonds?", "residues?", "motifs?", "side[ -]chains?", "fragments?"),
    *("carbonyls?", "C=O", "nitrogens?", "oxygens?", "protons?", "atoms?"),
    *("rings?", "ring systems?", "cores?", "nucle(?:us|i)", "heterocycles?", "systems?", "skeletons?", "tails?"),
)
NAMES = _longest_first(list(WORDS))
_RING_NAMES = _longest_first([word for word, (kind, _) in WORDS.items() if kind == "ring"])
# `N-methylpiperidine` has a piperidine
_PREFIXES = (
    *("methyl", "ethyl", "phenyl", "benzyl", "amino", "chloro", "bromo", "fluoro", "iodo", "nitro", "hydroxy"),
    *("methoxy", "cyano", "oxo", "acetyl"),
)
_PREFIXED_RING = rf"(?:(?:di|tri)?{one_of(*_PREFIXES)})*(?=(?:{_RING_NAMES})(?!\w))"
_MENTION = any_case(
    # neither the ether of `TBS (tert-butyldimethylsilyl) ether` nor the methyl of `pyridin-3-yl methyl`
    rf"(?<![\w=#])(?<!silyl\) )(?!(?<=-yl )methyl)(?:{_PREFIXED_RING})?(?P<word>{NAMES})(?P<plural>(?-i:e?s))?"
    rf"(?P<noun>(?:[ -]{one_of(*_NOUNS)})?)"
    r"(?![\w=#]|[+-]\]| count\b)"  # [OH-] is no hydroxyl
)
_ARROW = re.compile(r"→|->|←|<-")

# what becomes of a group in a reaction

_LOST = (
    *("displaced", "replaced", "removed", "lost", "gone", "cleaved", "consumed", "converted", "reduced"),
    *("oxidi[sz]ed", "hydroly[sz]ed", "transformed", "turned", "esterified", "acylated", "acetylated", "methylated"),
    *("alkylated", "benzylated", "protected", "hydrogenated"),
)
_KEPT = (
    *("survives?", "persists?", "untouched", "unchanged", "unaltered", "unaffected", "intact", "retained", "preserved"),
    *("carried over", "kept", "(?:there|present) in the product", "(?<=still )(?:there|present)"),
    *(r"remains?\b", r"stays?\b"),
)
_AUXILIARIES = (
    *("is", "are", "was", "were", "gets?", "has been", "have been", "being"),
    *("already", "then", "now", r"ends? up"),
)
_ADVERB = r"(?:\w+ly\s+|then\s+|now\s+|all\s+)?"
_BE = "is|are|was|were"
_OWNERS = one_of("reactants?", "starting materials?", "substrate", "precursor", "product", "ring", "molecule")
_OWNERS_BEFORE = one_of("reactants?", "starting materials?", "substrate", "precursor", "ring", "molecule")
_OF = "(?: (?:of|in|from|on) the {})?"
_NO_LONGER = r"(?:is|are) (?:no longer (?:there|present|seen|found)|gone)"
_FATE = any_case(
    one_of(
        # `is then hydrolysed`
        rf"\s*(?:{one_of(*_AUXILIARIES)}\s+)+(?P<not>not |never )?{_ADVERB}(?P<lost>{'|'.join(_LOST)})\b",
        # `disappears`
        r"\s*(?P<became>becomes?|turns? into|disappears?|vanishes)\b",
        # `of the reactant is gone`, `in the product is newly formed`
        rf"{_OF.format(_OWNERS)}\s+"
        rf"(?:(?P<gone>{_NO_LONGER}|(?:has|have) (?:become|been turned into))"
        rf"|(?P<new>(?:{_BE}|has been|have been)\s+(?:newly\s+)?(?:installed|introduced|generated|created)))\b",
        # `of the reactant is still intact`; `in the product is present` says no more than that it is there
        rf"{_OF.format(_OWNERS_BEFORE)}\s+"
        rf"(?:(?:{_BE}|stays?|remains?)\s+)?(?:still\s+)?(?P<kept>{'|'.join(_KEPT)})",
    )
)

# where a group sits

_BOUND = "(?:is |are |directly )*(?:attached|bound|bonded|connected|linked) to"
_PLACE = any_case(
    rf"\s+(?:(?:is |are |sits? |located |directly )*(?P<where>in|on)|{_BOUND}) (?:an?|the|its|one) "
    r"(?:(?P<kind>aromatic|benzene|phenyl|aryl|aliphatic|saturated) )?(?P<what>ring|chain)\b(?! nitrogen| system)"
)
_RANK = any_case(
    r"\s*(?:is|(?P<becomes>becomes|turns)|remains|stays) (?:an? )?"
    r"(?P<rank>primary|secondary|tertiary|internal|terminal)\b"
)


def _look_up(word: str, passage: Passage) -> tuple[str, str, list[Measure]]:
    """Return the kind and the name of a word, and its measures.

    Where molecules are edited, the count of TOMG-Bench is one of them.
    """
    kind, name = WORDS[word.lower()]
    patterns = (GROUPS if kind == "group" else RINGS)[name]
    if {"source", "result"} & set(passage.sides):
        benchmark = TOMG_GROUPS.get(word.lower().removesuffix("s"), TOMG_GROUPS.get(name))
        patterns += (benchmark,) if benchmark else ()
    return kind, name, pattern_measures(patterns)


def _places(match: re.Match | None) -> frozenset[str]:
    """Return those of chemr_lite.chemistry.groups.PLACES that `_PLACE` matched; none without a match."""
    if not match:
        return frozenset()
    if match["what"].lower() == "chain":
        return frozenset({"on a chain"})
    if match["where"] == "in":
        return frozenset({"in a ring"})
    kind = (match["kind"] or "").lower()
    if not kind:
        return frozenset({"on an aromatic ring", "on an aliphatic ring"})
    return frozenset({"on an aliphatic ring" if kind in ("aliphatic", "saturated") else "on an aromatic ring"})


def read_groups(passage: Passage) -> Iterator[Statement]:
    """Read `two esters`, `no nitrile`; around an arrow, in a step about changes, what is consumed and formed."""
    arrow = _ARROW.search(passage.plain) if passage.fact in ("group changes", "disconnection") else None
    for match in _MENTION.finditer(passage.plain):
        yield _read_mention(passage, match, arrow)


def _read_mention(passage: Passage, match: re.Match, arrow: re.Match | None) -> Statement:
    sides = passage.before_and_after()
    kind, name, readings = _look_up(match["word"], passage)
    start, end = match.span()
    quantity = passage.quantity(start, end, plural=bool(match["plural"]) or match["noun"].endswith("s"))
    fate, rank = _FATE.match(passage.plain[end:]), _RANK.match(passage.plain[end:])
    if rank and name == "hydroxyl":
        name = "alcohol"
    if rank and f"{rank['rank'].lower()} {name}" in GROUPS:  # `the amine is secondary`
        _, name, readings = _look_up(f"{rank['rank']} {name}", passage)
        fate, end = None, end + rank.end()
        if rank["becomes"] and all(sides):
            more = any(after > before for before, after in counts_on(sides, readings))
            return Statement((start, end), kind, f"{name} appears", more if quantity.sure else None)
    if arrow:
        consumed = _is_consumed(passage, match, arrow)
        lost = [before - after for before, after in counts_on(sides, readings)]
        supported = any(quantity.fits(n if consumed else -n) for n in lost)
        says = f"{'consumes' if consumed else 'forms'} {quantity} {name}"
        return Statement(match.span(), kind, says, supported, quantity.denied)
    if fate and kind == "group" and all(sides) and quantity.sure and not quantity.denied:
        verb, supported = _check_fate(fate, counts_on(sides, readings))
        return Statement((start, end + len(fate[0])), kind, f"{name} {verb}", supported)
    place = _PLACE.match(passage.plain, match.end()) if kind == "group" else None
    if places := _places(place):
        readings, end = pattern_measures(GROUPS[name], places), place.end()
        name = f"{name} {' or '.join(sorted(places))}"
    return count_statement(passage, (start, end), kind, name, readings, quantity)


def _is_consumed(passage: Passage, match: re.Match, arrow: re.Match) -> bool:
    """Whether `match` stands on the reactants' side of the arrow, which a disconnection has on the right."""
    return (match.start() < arrow.start()) == (passage.fact == "group changes")


def _check_fate(fate: re.Match, counts: list[tuple[int, int]]) -> tuple[str, bool]:
    """Return what a match of `_FATE` says, and whether one of the (before, after) counts supports it."""
    if fate["new"]:
        return "appears", any(after > before for before, after in counts)
    if bool(fate["lost"] or fate["became"] or fate["gone"]) != bool(fate["not"]):
        return "goes", any(before > after for before, after in counts)
    return "stays", any(before and after for before, after in counts)


def read_composed(passage: Passage) -> Iterator[Statement]:
    """Read `a 3,4-dichlorobenzyl group`, `bicyclo[2.2.1]heptane`."""
    for span, kind, patterns in composed.find(passage.plain):
        yield count_statement(passage, span, kind, passage.plain[slice(*span)].lower(), pattern_measures(patterns))


@lru_cache(maxsize=1)  # compiled when it is first needed: with so many names it would slow the import
def _move() -> re.Pattern:
    return any_case(rf"\b(?P<before>\d+)\s*(?:→|->)\s*(?P<after>\d+)\s+(?P<word>{NAMES})s?\b")


def read_moves(passage: Passage) -> Iterator[Statement]:
    """Read `0 → 1 hydroxyl`: counted before and after."""
    sides = passage.before_and_after()
    for match in _move().finditer(passage.plain) if all(sides) else ():
        kind, name, readings = _look_up(match["word"], passage)
        counts = int(match["before"]), int(match["after"])
        says = f"{counts[0]} → {counts[1]} {name}"
        yield Statement(match.span(), kind, says, counts in counts_on(sides, readings))


_NONE_OF = {
    "group": ("group", lambda smiles: len(groups_of(smiles))),
    "ring": ("ring", lambda smiles: len(measures.rings_of(smiles))),
    "stereo": ("stereocentre", lambda smiles: len(measures.stereo_labels(smiles))),
}


def read_none(passage: Passage) -> Iterator[Statement]:
    """Read `none` in a step about groups, rings or stereocentres."""
    kind = next((kind for kind in passage.claims if kind in _NONE_OF), None)
    arrow = _ARROW.search(passage.plain)
    for match in re.finditer(r"\bnone\b", passage.plain) if kind and passage.fact != "check" else ():
        if arrow:
            lost, new = group_changes(*passage.before_and_after())
            consumed = _is_consumed(passage, match, arrow)
            says = f"{'consumes' if consumed else 'forms'} no group"
            yield Statement(match.span(), "group", says, not (lost if consumed else new), denies=True)
            continue
        noun, measure = _NONE_OF[kind]
        if re.search(r"\balerts\s*$", passage.plain[: match.start()]):
            noun, measure = "alert", _alerts
        yield count_statement(passage, match.span(), kind, noun, [measure], Quantity(0, True))


def _alerts(smiles: str) -> int:
    return sum(n for group, n in groups_of(smiles) if group in ALERTS)
