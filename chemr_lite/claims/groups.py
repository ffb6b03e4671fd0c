"""Readers of functional groups and rings: `two esters`, `no nitrile`, `the amine is secondary`, `a five-membered ring`."""

import re
from collections.abc import Iterator

from chemr_lite.chemistry.groups import group_changes, groups_of
from chemr_lite.claims import composed, measures
from chemr_lite.claims.claim_builders import NUMBERED, Found, any_case, counted_claim, stated_claim
from chemr_lite.claims.lexicon import GROUPS, RINGS, WORDS
from chemr_lite.claims.measures import Counter, counters, counts_on
from chemr_lite.claims.passages import NUMBER, TOLD, Passage, Quantity, number
from chemr_lite.tasks.open_generation import TOMG_GROUPS
from chemr_lite.tasks.property_prediction import ALERTS

# groups and named rings

_HEADS = (
    r"(?:[ -](?:functional groups?|protecting groups?|groups?|moiet(?:y|ies)|functionalit(?:y|ies)|functions?|units?|substituents?|linkages?|bonds?|residues?|motifs?|"
    r"side[ -]chains?|fragments?|carbonyls?|C=O|nitrogens?|oxygens?|protons?|atoms?|rings?|ring systems?|cores?|nucle(?:us|i)|heterocycles?|systems?|skeletons?|tails?))?"
)
_WORD = "|".join(re.escape(word) for word in sorted(WORDS, key=len, reverse=True))
# `N-methylpiperidine` has a piperidine
_BEARING = r"(?:(?:di|tri)?(?:methyl|ethyl|phenyl|benzyl|amino|chloro|bromo|fluoro|iodo|nitro|hydroxy|methoxy|cyano|oxo|acetyl))*"
_RING_NAMES = "|".join(
    re.escape(word) for word in sorted((w for w, (kind, _) in WORDS.items() if kind == "ring"), key=len, reverse=True)
)
_MENTION = any_case(
    rf"(?<![\w=#])(?:{_BEARING}(?=(?:{_RING_NAMES})(?!\w)))?(?P<word>{_WORD})(?P<plural>e?s)?(?P<head>{_HEADS})(?![\w=#]|[+-]\])"
)  # [OH-] is no hydroxyl
_MOVE = any_case(rf"\b(?P<before>\d+)\s*(?:→|->)\s*(?P<after>\d+)\s+(?P<word>{_WORD})s?\b")
_ARROW = re.compile(r"→|->|←|<-")
# what becomes of a group in a reaction
_FATE = any_case(
    r"\s*(?:(?:is|are|was|were|gets?|has been|have been|being|already|then|now|ends? up)\s+)+(?P<not>not |never )?(?:\w+ly\s+|then\s+|now\s+|all\s+)?"
    r"(?P<lost>displaced|replaced|removed|lost|gone|cleaved|consumed|converted|reduced|oxidi[sz]ed|hydroly[sz]ed|transformed|turned|esterified|acylated|acetylated|methylated|alkylated|benzylated|protected|hydrogenated)\b|\s*(?P<became>becomes?|turns? into|disappears?|vanishes)\b"
    r"|(?: (?:of|in|from|on) the (?:reactants?|starting materials?|substrate|precursor|product|ring|molecule))?\s+(?:(?P<gone>(?:is|are) (?:no longer (?:there|present|seen|found)|gone)|(?:has|have) (?:become|been turned into))"
    r"|(?P<new>(?:is|are|was|were|has been|have been)\s+(?:newly\s+)?(?:installed|introduced|generated|created)))\b"
    r"|(?: (?:of|in|from|on) the (?:reactants?|starting materials?|substrate|precursor|ring|molecule))?\s+(?:(?:is|are|was|were|stays?|remains?)\s+)?(?:still\s+)?"
    r"(?P<kept>survives?|persists?|untouched|unchanged|unaltered|unaffected|intact|retained|preserved|carried over|kept|(?:there|present) in the product|(?<=still )(?:there|present)|remains?\b|stays?\b)"
)


# where a group sits
_PLACE = any_case(
    r"\s+(?:(?:is |are |sits? |located |directly )*(?P<where>in|on)|(?:is |are |directly )*(?:attached|bound|bonded|connected|linked) to) "
    r"(?:an?|the|its|one) (?:(?P<kind>aromatic|benzene|phenyl|aryl|aliphatic|saturated) )?(?P<what>ring|chain)\b(?! nitrogen| system)"
)
_RANK = any_case(r"\s*(?:is|(?P<becomes>becomes|turns)|remains|stays) (?:an? )?(?P<rank>primary|secondary|tertiary)\b")


def _patterns(word: str, passage: Passage) -> tuple[str, str, list[Counter]]:
    """The kind and the name of a word, and its readings; where molecules are edited TOMG-Bench's count is one of them."""
    kind, name = WORDS[word.lower()]
    edited = {"source", "result"} & set(passage.sides) and TOMG_GROUPS.get(
        word.lower().removesuffix("s"), TOMG_GROUPS.get(name)
    )
    return kind, name, counters(((GROUPS if kind == "group" else RINGS)[name]) + ((edited,) if edited else ()))


def _places(found: re.Match | None) -> frozenset[str]:
    """Those of chemr_lite.facts.PLACES that `_PLACE` found; none where it tells no place."""
    if not found:
        return frozenset()
    if found["what"].lower() == "chain":
        return frozenset({"on a chain"})
    if found["where"] == "in":
        return frozenset({"in a ring"})
    on = {
        "aliphatic": {"on an aliphatic ring"},
        "saturated": {"on an aliphatic ring"},
        "": {"on an aromatic ring", "on an aliphatic ring"},
    }
    return frozenset(on.get((found["kind"] or "").lower(), {"on an aromatic ring"}))


def read_groups(passage: Passage) -> Iterator[Found]:
    """`two esters`, `no nitrile`; before and after an arrow, in a step about what changes, what is consumed and formed."""
    arrow, sides = _ARROW.search(passage.plain), passage.before_and_after()
    for found in _MENTION.finditer(passage.plain):
        kind, name, readings = _patterns(found["word"], passage)
        plural = bool(found["plural"]) or found["head"].endswith("s")
        quantity = passage.quantity(*found.span(), plural)
        fate, rank = _FATE.match(passage.plain[found.end() :]), _RANK.match(passage.plain[found.end() :])
        end = found.end()
        if rank and name == "hydroxyl":
            name = "alcohol"
        if rank and f"{rank['rank'].lower()} {name}" in GROUPS:  # `the amine is secondary`
            _, name, readings = _patterns(f"{rank['rank']} {name}", passage)
            fate, end = None, end + rank.end()
            if rank["becomes"] and all(sides):
                more = any(after > before for before, after in counts_on(sides, readings))
                yield (found.start(), end), kind, f"{name} appears", more if quantity.sure else None, False, ""
                continue
        if arrow and passage.fact in ("group changes", "disconnection"):
            consumed = (found.start() < arrow.start()) == (passage.fact == "group changes")
            gone = [before - after for before, after in counts_on(sides, readings)]
            supported = any(quantity.fits(n if consumed else -n) for n in gone)
            yield (
                found.span(),
                kind,
                f"{'consumes' if consumed else 'forms'} {quantity} {name}",
                supported,
                quantity.denied,
                "",
            )
        elif fate and kind == "group" and all(sides) and quantity.sure and not quantity.denied:
            goes = bool(fate["lost"] or fate["became"] or fate["gone"]) != bool(fate["not"])
            counts = counts_on(sides, readings)
            if fate["new"]:
                supported, goes = any(after > before for before, after in counts), None
            else:
                supported = (
                    any(before > after for before, after in counts)
                    if goes
                    else any(before and after for before, after in counts)
                )
            says = f"{name} {'appears' if goes is None else 'goes' if goes else 'stays'}"
            yield (found.start(), end + len(fate[0])), kind, says, supported, False, ""
        else:
            sits = _PLACE.match(passage.plain, found.end()) if kind == "group" else None
            if places := _places(sits):
                readings = counters(GROUPS[name], places)
                name = f"{name} {' or '.join(sorted(places))}"
            yield counted_claim(passage, (found.start(), sits.end() if places else end), kind, name, readings, quantity)


def read_composed(passage: Passage) -> Iterator[Found]:
    """`a 3,4-dichlorobenzyl group`, `bicyclo[2.2.1]heptane`."""
    for span, kind, patterns in composed.find(passage.plain):
        yield counted_claim(passage, span, kind, passage.plain[slice(*span)].lower(), counters(patterns))


def read_moves(passage: Passage) -> Iterator[Found]:
    """`0 → 1 hydroxyl`: counted before and after."""
    sides = passage.before_and_after()
    for found in _MOVE.finditer(passage.plain) if all(sides) else ():
        kind, name, readings = _patterns(found["word"], passage)
        said = int(found["before"]), int(found["after"])
        yield found.span(), kind, f"{said[0]} → {said[1]} {name}", said in counts_on(sides, readings), False, ""


def read_none(passage: Passage) -> Iterator[Found]:
    """`none` in a step that tells groups, rings or stereocentres."""
    kind = next((kind for kind in passage.claims if kind in ("group", "ring", "stereo")), None)
    arrow = _ARROW.search(passage.plain)
    for found in re.finditer(r"\bnone\b", passage.plain) if kind and passage.fact != "check" else ():
        if arrow:
            gone, new = group_changes(*passage.before_and_after())
            consumed = (found.start() < arrow.start()) == (passage.fact == "group changes")
            yield (
                found.span(),
                "group",
                f"{'consumes' if consumed else 'forms'} no group",
                not (gone if consumed else new),
                True,
                "",
            )
        else:
            noun, count = {
                "group": ("group", lambda smiles: len(groups_of(smiles))),
                "ring": ("ring", lambda smiles: len(measures.rings_of(smiles))),
                "stereo": ("stereocentre", lambda smiles: len(measures.stereo_labels(smiles))),
            }[kind]
            if re.search(r"\balerts\s*$", passage.plain[: found.start()]):
                noun, count = "alert", lambda smiles: sum(n for group, n in groups_of(smiles) if group in ALERTS)
            yield counted_claim(passage, found.span(), kind, noun, [count], Quantity(0, True))


# rings by their kind

_RING_WORD = (
    r"(?:aromatic|aryl|heteroaromatic|aliphatic|saturated|unsaturated|non-aromatic|nonaromatic|heterocyclic|carbocyclic|alicyclic|fused|benzo-fused|"
    r"(?:three|four|five|six|seven|eight|3|4|5|6|7|8)-membered)"
)
_RING = any_case(
    rf"\b(?:(?P<words>(?:{_RING_WORD}(?:\s+|,\s*|\s+and\s+))+)(?P<other>[a-z]+\s+)??)?"
    r"(?P<noun>rings?(?: systems?)?|lactones?|lactams?|heterocycles?|heteroarenes?|carbocycles?|aromatics?)\b(?!\s*(?:size|strain|current|nitrogen|oxygen|carbon|atom|closure|opening))"
)
_IS_OF_SIZE = any_case(r"\s+is (?:an? )?(?P<size>(?:three|four|five|six|seven|eight|[3-8])-membered)\b")
_TERSE_RING = re.compile(r"\b(?P<number>\d+)\s+(?P<word>aromatic|aliphatic)\b|\brings\s+(?P<total>\d+)\b")
_CYCLE = any_case(
    r"\b(?P<word>acyclic|monocyclic|bicyclic|tricyclic|tetracyclic|polycyclic|macrocycl\w+|spiro(?:cyclic)?|bridged)\b"
)


_WHOLE = any_case(
    r"\b(?:it|molecule|compound|structure|product) is (?:fully |overall )?(?P<word>aromatic|aliphatic)\b(?! [a-z])|\b(?P<all>all(?: of (?:which|them|the rings))?(?: are|:)?(?: fully)? aromatic)\b(?!-| [a-z])"
)
_HAS_RING = any_case(
    r"\b(?:contains|has|carries|bears|includes|features|there is)\s+(?P<ring>a ring)\b(?! \w+gen| system)"
)
_OF_THEM = any_case(
    rf"\b(?P<number>{NUMBER}) of (?:them|these|the rings|the \w+ rings) (?:is |are )?(?P<word>{_RING_WORD})"
)


def read_rings(passage: Passage) -> Iterator[Found]:
    """`two aromatic rings`, `a six-membered heterocycle`, `bicyclic`; in a step about rings also `1 aromatic, 2 aliphatic`."""
    for found in _TERSE_RING.finditer(passage.plain) if "ring" in passage.claims else ():
        word = {found["word"]} if found["word"] else set()
        yield counted_claim(
            passage,
            found.span(),
            "ring",
            " ".join([*word, "ring"]),
            [measures.rings(word)],
            Quantity(int(found["number"] or found["total"]), True),
        )
    for found in _HAS_RING.finditer(passage.plain):
        yield counted_claim(
            passage,
            found.span("ring"),
            "ring",
            "ring",
            [measures.rings(set())],
            Quantity(1, False, passage.asserts(*found.span())),
        )
    for found in _WHOLE.finditer(passage.plain):
        word = "all aromatic" if found["all"] else found["word"].lower()
        yield stated_claim(passage, found.span(), "ring", word, measures.WHOLES[word], passage.quantity(*found.span()))
    for found in _OF_THEM.finditer(passage.plain):
        word = found["word"].lower()
        yield counted_claim(
            passage,
            found.span(),
            "ring",
            f"{word} ring",
            [measures.rings({word})],
            Quantity(number(found["number"]), True),
        )
    for found in _RING.finditer(passage.plain):
        words, noun = set(re.findall(_RING_WORD, (found["words"] or "").lower())), found["noun"].lower()
        size = _IS_OF_SIZE.match(passage.plain, found.end())
        words |= {size["size"].lower()} if size else set()
        if noun.startswith("lact") and not any(word.endswith("membered") for word in words):
            continue
        counted = NUMBERED.search(passage.plain[: found.start()]) or TOLD.match(passage.plain[found.end() :])
        if (noun.startswith("aromatic") or not words) and not counted:
            continue
        words |= (
            {"heterocyclic"}
            if noun.startswith("heterocycl")
            else {"heteroaromatic"}
            if noun.startswith("heteroar")
            else set()
        )
        words |= {"aromatic"} if noun.startswith("aromatic") else set()
        quantity = passage.quantity(*found.span(), noun.endswith("s"))
        if "system" in noun and "fused" in words and quantity.number:
            quantity = Quantity(1, False, quantity.sure)
        yield counted_claim(
            passage, found.span(), "ring", " ".join([*sorted(words), "ring"]), [measures.rings(words)], quantity
        )
    for found in _CYCLE.finditer(passage.plain):
        word = found["word"].lower()
        word = "spiro" if word.startswith("spiro") else "macrocyclic" if word.startswith("macro") else word
        quantity = passage.quantity(*found.span())
        quantity = quantity if quantity.denied else Quantity(1, False, quantity.sure)
        yield counted_claim(passage, found.span(), "ring", word, measures.CYCLES[word], quantity)
