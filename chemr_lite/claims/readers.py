"""One reader for each kind of claim: it finds the mentions in a clause and holds them against the molecules.

A reader yields ((start, end), kind, what it says, supported, whether it denies, which molecules it is about). The order of READERS settles which of two
keeps words that both could take.
"""

import re
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

from rdkit import Chem
from rdkit.Chem import QED, Crippen, Descriptors, rdMolDescriptors

from chemr_lite.claims import composed, measures
from chemr_lite.claims.lexicon import GROUPS, REACTION_FAMILIES, REACTION_WORDS, RINGS, WORDS
from chemr_lite.claims.measures import Counter, counters, counts_on, holds, mol_of
from chemr_lite.claims.passages import NUMBER, TOLD, Passage, Quantity, number
from chemr_lite.facts import ELEMENTS, group_changes, groups_of, scaffold, stereocentres
from chemr_lite.reactions import named_reaction, thinkable
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.open_generation import TOMG_GROUPS
from chemr_lite.tasks.property_prediction import ALERTS

Found = tuple[tuple[int, int], str, str, bool | None, bool, str]
_any_case = partial(re.compile, flags=re.IGNORECASE)


def _counted(
    passage: Passage, span: tuple[int, int], kind: str, noun: str, readings: list[Counter], quantity: Quantity | None = None
) -> Found:
    """The claim that there are so many of `noun`, as `readings` count it."""
    quantity = quantity or passage.quantity(*span, plural=passage.plain[slice(*span)].endswith("s"))
    subjects = passage.subjects(span[0])
    supported = holds(quantity, subjects, readings) if quantity.sure else None
    whole = (span[0] if quantity.start is None else min(quantity.start, span[0]), span[1])
    return whole, kind, f"{quantity} {noun}", supported, quantity.denied, passage.where(subjects)


def _stated(
    passage: Passage, span: tuple[int, int], kind: str, said: str, is_so: Callable[[str], bool], quantity: Quantity | None = None
) -> Found:
    """The claim that something `is_so` of a molecule, or, where the clause denies it, that it is not."""
    quantity = quantity or passage.quantity(*span)
    subjects = passage.subjects(span[0])
    found = (smiles for molecules in subjects for smiles in {*molecules, ".".join(molecules)})  # a salt: its ions, and the whole
    supported = any(map(is_so, found)) != quantity.denied if quantity.sure else None
    return span, kind, f"{'not ' if quantity.denied else ''}{said}", supported, quantity.denied, passage.where(subjects)


# groups and named rings

_HEADS = (
    r"(?:[ -](?:functional groups?|protecting groups?|groups?|moiet(?:y|ies)|functionalit(?:y|ies)|functions?|units?|substituents?|linkages?|bonds?|residues?|motifs?|"
    r"side[ -]chains?|fragments?|carbonyls?|C=O|nitrogens?|oxygens?|protons?|atoms?|rings?|ring systems?|cores?|nucle(?:us|i)|heterocycles?|systems?|skeletons?|tails?))?"
)
_WORD = "|".join(re.escape(word) for word in sorted(WORDS, key=len, reverse=True))
# `N-methylpiperidine` has a piperidine
_BEARING = r"(?:(?:di|tri)?(?:methyl|ethyl|phenyl|benzyl|amino|chloro|bromo|fluoro|iodo|nitro|hydroxy|methoxy|cyano|oxo|acetyl))*"
_RING_NAMES = "|".join(re.escape(word) for word in sorted((w for w, (kind, _) in WORDS.items() if kind == "ring"), key=len, reverse=True))
_MENTION = _any_case(rf"(?<![\w=#])(?:{_BEARING}(?=(?:{_RING_NAMES})(?!\w)))?(?P<word>{_WORD})(?P<plural>e?s)?(?P<head>{_HEADS})(?![\w=#])")
_MOVE = _any_case(rf"\b(?P<before>\d+)\s*(?:→|->)\s*(?P<after>\d+)\s+(?P<word>{_WORD})s?\b")
_ARROW = re.compile(r"→|->|←|<-")
# what becomes of a group in a reaction
_FATE = _any_case(
    r"\s*(?:(?:is|are|was|were|gets?|has been|have been|being|already|then|now|ends? up)\s+)+(?P<not>not |never )?(?:\w+ly\s+|then\s+|now\s+|all\s+)?"
    r"(?P<lost>displaced|replaced|removed|lost|gone|cleaved|consumed|converted|reduced|oxidi[sz]ed|hydroly[sz]ed|transformed|turned|esterified|acylated|acetylated|methylated|alkylated|benzylated|protected|hydrogenated)\b|\s*(?P<became>becomes?|turns? into|disappears?|vanishes)\b"
    r"|(?: (?:of|in|from|on) the (?:reactants?|starting materials?|substrate|precursor|product|ring|molecule))?\s+(?:(?P<gone>(?:is|are) (?:no longer (?:there|present|seen|found)|gone)|(?:has|have) (?:become|been turned into))"
    r"|(?P<new>(?:is|are|was|were|has been|have been)\s+(?:newly\s+)?(?:installed|introduced|generated|created)))\b"
    r"|(?: (?:of|in|from|on) the (?:reactants?|starting materials?|substrate|precursor|ring|molecule))?\s+(?:(?:is|are|was|were|stays?|remains?)\s+)?(?:still\s+)?"
    r"(?P<kept>survives?|persists?|untouched|unchanged|unaltered|unaffected|intact|retained|preserved|carried over|kept|(?:there|present) in the product|(?<=still )(?:there|present)|remains?\b|stays?\b)"
)


# where a group sits
_PLACE = _any_case(
    r"\s+(?:(?:is |are |sits? |located |directly )*(?P<where>in|on)|(?:is |are |directly )*(?:attached|bound|bonded|connected|linked) to) "
    r"(?:an?|the|its|one) (?:(?P<kind>aromatic|benzene|phenyl|aryl|aliphatic|saturated) )?(?P<what>ring|chain)\b(?! nitrogen| system)"
)
_RANK = _any_case(r"\s*(?:is|(?P<becomes>becomes|turns)|remains|stays) (?:an? )?(?P<rank>primary|secondary|tertiary)\b")


def _patterns(word: str, passage: Passage) -> tuple[str, str, list[Counter]]:
    """The kind and the name of a word, and its readings; where molecules are edited TOMG-Bench's count is one of them."""
    kind, name = WORDS[word.lower()]
    edited = {"source", "result"} & set(passage.sides) and TOMG_GROUPS.get(word.lower().removesuffix("s"), TOMG_GROUPS.get(name))
    return kind, name, counters(((GROUPS if kind == "group" else RINGS)[name]) + ((edited,) if edited else ()))


def _places(found: re.Match | None) -> frozenset[str]:
    """Those of chemr_lite.facts.PLACES that `_PLACE` found; none where it tells no place."""
    if not found:
        return frozenset()
    if found["what"].lower() == "chain":
        return frozenset({"on a chain"})
    if found["where"] == "in":
        return frozenset({"in a ring"})
    on = {"aliphatic": {"on an aliphatic ring"}, "saturated": {"on an aliphatic ring"}, "": {"on an aromatic ring", "on an aliphatic ring"}}
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
            yield found.span(), kind, f"{'consumes' if consumed else 'forms'} {quantity} {name}", supported, quantity.denied, ""
        elif fate and kind == "group" and all(sides) and quantity.sure and not quantity.denied:
            goes = bool(fate["lost"] or fate["became"] or fate["gone"]) != bool(fate["not"])
            counts = counts_on(sides, readings)
            if fate["new"]:
                supported, goes = any(after > before for before, after in counts), None
            else:
                supported = any(before > after for before, after in counts) if goes else any(before and after for before, after in counts)
            says = f"{name} {'appears' if goes is None else 'goes' if goes else 'stays'}"
            yield (found.start(), end + len(fate[0])), kind, says, supported, False, ""
        else:
            sits = _PLACE.match(passage.plain, found.end()) if kind == "group" else None
            if places := _places(sits):
                readings = counters(GROUPS[name], places)
                name = f"{name} {' or '.join(sorted(places))}"
            yield _counted(passage, (found.start(), sits.end() if places else end), kind, name, readings, quantity)


def read_composed(passage: Passage) -> Iterator[Found]:
    """`a 3,4-dichlorobenzyl group`, `bicyclo[2.2.1]heptane`."""
    for span, kind, patterns in composed.find(passage.plain):
        yield _counted(passage, span, kind, passage.plain[slice(*span)].lower(), counters(patterns))


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
            yield found.span(), "group", f"{'consumes' if consumed else 'forms'} no group", not (gone if consumed else new), True, ""
        else:
            noun, count = {
                "group": ("group", lambda smiles: len(groups_of(smiles))),
                "ring": ("ring", lambda smiles: len(measures.rings_of(smiles))),
                "stereo": ("stereocentre", lambda smiles: len(measures.stereo_labels(smiles))),
            }[kind]
            if re.search(r"\balerts\s*$", passage.plain[: found.start()]):
                noun, count = "alert", lambda smiles: sum(n for group, n in groups_of(smiles) if group in ALERTS)
            yield _counted(passage, found.span(), kind, noun, [count], Quantity(0, True))


# rings by their kind

_RING_WORD = (
    r"(?:aromatic|aryl|heteroaromatic|aliphatic|saturated|unsaturated|non-aromatic|nonaromatic|heterocyclic|carbocyclic|alicyclic|fused|benzo-fused|"
    r"(?:three|four|five|six|seven|eight|3|4|5|6|7|8)-membered)"
)
_RING = _any_case(
    rf"\b(?:(?P<words>(?:{_RING_WORD}(?:\s+|,\s*|\s+and\s+))+)(?P<other>[a-z]+\s+)??)?"
    r"(?P<noun>rings?(?: systems?)?|lactones?|lactams?|heterocycles?|heteroarenes?|carbocycles?|aromatics?)\b(?!\s*(?:size|strain|current|nitrogen|oxygen|carbon|atom|closure|opening))"
)
_IS_OF_SIZE = _any_case(r"\s+is (?:an? )?(?P<size>(?:three|four|five|six|seven|eight|[3-8])-membered)\b")
_NUMBERED = _any_case(rf"(?:(?<![\w.-]){NUMBER}|\bno|\bzero)\s+$")
_TERSE_RING = re.compile(r"\b(?P<number>\d+)\s+(?P<word>aromatic|aliphatic)\b|\brings\s+(?P<total>\d+)\b")
_CYCLE = _any_case(r"\b(?P<word>acyclic|monocyclic|bicyclic|tricyclic|tetracyclic|polycyclic|macrocycl\w+|spiro(?:cyclic)?|bridged)\b")


_WHOLE = _any_case(
    r"\b(?:it|molecule|compound|structure|product) is (?:fully |overall )?(?P<word>aromatic|aliphatic)\b(?! [a-z])|\b(?P<all>all(?: of (?:which|them|the rings))?(?: are|:)?(?: fully)? aromatic)\b(?!-| [a-z])"
)
_HAS_RING = _any_case(r"\b(?:contains|has|carries|bears|includes|features|there is)\s+(?P<ring>a ring)\b(?! \w+gen| system)")
_OF_THEM = _any_case(rf"\b(?P<number>{NUMBER}) of (?:them|these|the rings|the \w+ rings) (?:is |are )?(?P<word>{_RING_WORD})")


def read_rings(passage: Passage) -> Iterator[Found]:
    """`two aromatic rings`, `a six-membered heterocycle`, `bicyclic`; in a step about rings also `1 aromatic, 2 aliphatic`."""
    for found in _TERSE_RING.finditer(passage.plain) if "ring" in passage.claims else ():
        word = {found["word"]} if found["word"] else set()
        yield _counted(
            passage,
            found.span(),
            "ring",
            " ".join([*word, "ring"]),
            [measures.rings(word)],
            Quantity(int(found["number"] or found["total"]), True),
        )
    for found in _HAS_RING.finditer(passage.plain):
        yield _counted(
            passage, found.span("ring"), "ring", "ring", [measures.rings(set())], Quantity(1, False, passage.asserts(*found.span()))
        )
    for found in _WHOLE.finditer(passage.plain):
        word = "all aromatic" if found["all"] else found["word"].lower()
        yield _stated(passage, found.span(), "ring", word, measures.WHOLES[word], passage.quantity(*found.span()))
    for found in _OF_THEM.finditer(passage.plain):
        word = found["word"].lower()
        yield _counted(passage, found.span(), "ring", f"{word} ring", [measures.rings({word})], Quantity(number(found["number"]), True))
    for found in _RING.finditer(passage.plain):
        words, noun = set(re.findall(_RING_WORD, (found["words"] or "").lower())), found["noun"].lower()
        size = _IS_OF_SIZE.match(passage.plain, found.end())
        words |= {size["size"].lower()} if size else set()
        if noun.startswith("lact") and not any(word.endswith("membered") for word in words):
            continue
        counted = _NUMBERED.search(passage.plain[: found.start()]) or TOLD.match(passage.plain[found.end() :])
        if (noun.startswith("aromatic") or not words) and not counted:
            continue
        words |= {"heterocyclic"} if noun.startswith("heterocycl") else {"heteroaromatic"} if noun.startswith("heteroar") else set()
        words |= {"aromatic"} if noun.startswith("aromatic") else set()
        quantity = passage.quantity(*found.span(), noun.endswith("s"))
        if "system" in noun and "fused" in words and quantity.number:
            quantity = Quantity(1, False, quantity.sure)
        yield _counted(passage, found.span(), "ring", " ".join([*sorted(words), "ring"]), [measures.rings(words)], quantity)
    for found in _CYCLE.finditer(passage.plain):
        word = found["word"].lower()
        word = "spiro" if word.startswith("spiro") else "macrocyclic" if word.startswith("macro") else word
        quantity = passage.quantity(*found.span())
        quantity = quantity if quantity.denied else Quantity(1, False, quantity.sure)
        yield _counted(passage, found.span(), "ring", word, measures.CYCLES[word], quantity)


# formula, atoms, bonds

_FORMULA = re.compile(r"(?<!\w)(?<!\w\()(?:C\d*H\d+|C\d+)(?:[A-Z][a-z]?\d*)*(?:[+-]\d?)?(?![\w-])")


def read_formula(passage: Passage) -> Iterator[Found]:
    for found in _FORMULA.finditer(passage.plain):
        said = found[0]
        if not re.search(r"\bformula\b", passage.plain[: found.start()], re.IGNORECASE) and not re.match(r"C(?:[3-9]|\d\d)\d*H\d+", said):
            continue  # C6H5 and CH3 are groups, unless they are called formulas
        wanted = measures.elements_of(said)
        yield _stated(
            passage, found.span(), "formula", f"formula {said}",
            lambda s, wanted=wanted: measures.elements_of(rdMolDescriptors.CalcMolFormula(mol_of(s))) == wanted,
        )  # fmt: skip


_ELEMENTS = ELEMENTS | {"sulphur": 16}
_ATOM = _any_case(
    rf"\b(?:(?P<heavy>heavy|non-hydrogen)\s+atoms?|(?P<hydrogen>hydrogen)(?:\s+atom)?s?|(?P<hetero>heteroatoms?)|(?:(?P<kind>aromatic|sp2|sp3)\s+)?(?P<element>{'|'.join(_ELEMENTS)})(?:\s+atom)?s?)\b"
    r"(?!-|\s+(?:is|are|were)\s+(?:lost|removed|added|gone)|\s+(?:bond|longer|shorter|more|chain|linker|spacer|away|skeleton|donor|acceptor|bearing)|\s+(?:in|of) the (?:ring|chain))"
)
_TOLD_COUNT = re.compile(
    rf"\b(?P<element>Cl|Br|[CHNOSPFB]|I(?! count)|{'|'.join(sorted(_ELEMENTS))}|{'|'.join(word.capitalize() for word in sorted(_ELEMENTS))})[ -]?(?:atoms?|count)(?:\s+count)?\s*(?::|=|\bis\b|\bof\b)?\s*(?P<number>{NUMBER})\b(?! [a-z])"
)
_BARE = _any_case(
    rf"\b(?:contain\w*|has|have|keeps?|retains?|free of|devoid of|lacks?|no|without|any|includes?)\s+(?:an? |any |its )?(?P<element>{'|'.join(sorted(_ELEMENTS))})(?: atoms?)?\b(?![ -](?:\w+ed|\w+yl|bonds?|chain|ring|donor|acceptor|bear\w+|substituent|group)\b|-)"
    rf"|\b(?P<present>{'|'.join(sorted(_ELEMENTS))}) is (?:also )?(?P<not>not )?(?:present|found|there)\b"
)
_SYMBOL = re.compile(rf"(?<![\w.,-]){NUMBER}\s+(?P<symbol>Cl|Br|[CHNOSPFIB])(?:\s+atoms?)?(?=[\s,;.)]|$)(?!\s*-)")
_TOLD_AFTER = _any_case(r"\s*(?::|=|-|\()?\s*(?P<number>\d+)\b(?!\s*(?:atoms?|[a-z]))")
_HAS_A = _any_case(r"\b(?:contain\w*|has|bear\w*|includ\w*)\s+an?\s+$")


# `the benzene ring has six carbons` is no count of the molecule
_OF_A_PART = _any_case(
    r"\b(?:each|every|both|neither|nor|rings?|chains?|groups?|linkers?|substituents?|moiety|carbonyl|carbon|nitrogen|ester|amide|acid|amine|ketone|methyl|phenyl)\b[^,;:]{0,20}?"
    rf"\b(?:has|have|contains?|bears?|carr\w+|with)\s+(?:{NUMBER}|an?|no)\s+$"
)


def read_atoms(passage: Passage) -> Iterator[Found]:
    """`nine carbons`, `13 heavy atoms`, `9 C`, `hydrogens: 8`."""
    bare = re.fullmatch(r"\s*(\d+)\s*", passage.plain) if passage.fact == "hydrogens" else None
    if bare:
        yield _counted(passage, bare.span(1), "atoms", "hydrogen", [measures.hydrogens], Quantity(int(bare[1]), True))
    for found in _TOLD_COUNT.finditer(passage.plain):
        said = found["element"]
        element = _ELEMENTS.get(said.lower()) if len(said) > 2 else Chem.GetPeriodicTable().GetAtomicNumber(said)
        count = measures.hydrogens if element == 1 else measures.atoms(element)
        quantity = Quantity(number(found["number"]), True, passage.asserts(*found.span()))
        yield _counted(passage, found.span(), "atoms", f"{said} atoms", [count], quantity)
    for found in _SYMBOL.finditer(passage.plain):
        element = Chem.GetPeriodicTable().GetAtomicNumber(found["symbol"])
        count = measures.hydrogens if element == 1 else measures.atoms(element)
        said = passage.quantity(found.start("symbol"), found.end())
        yield _counted(passage, found.span(), "atoms", f"{found['symbol']} atoms", [count], said)
    for found in _BARE.finditer(passage.plain):
        said = (found["element"] or found["present"]).lower()
        if said == "hydrogen" or _OF_A_PART.search(passage.plain[: found.start("element")]):
            continue
        span = found.span("element") if found["element"] else found.span()
        quantity = Quantity(0, True) if found["not"] else passage.quantity(*span)
        yield _counted(passage, span, "atoms", f"{said} atoms", [measures.atoms(_ELEMENTS[said])], quantity)
    for found in _ATOM.finditer(passage.plain):
        before = passage.plain[: found.start()]
        after = None if _NUMBERED.search(before) else _TOLD_AFTER.match(passage.plain[found.end() :])
        if not (_NUMBERED.search(before) or after or _HAS_A.search(before)):
            continue
        kind, element = (found["kind"] or "").lower(), (found["element"] or "").lower()
        count, noun = (
            (lambda s: mol_of(s).GetNumHeavyAtoms(), "heavy atoms") if found["heavy"]
            else (measures.hydrogens, "hydrogen") if found["hydrogen"]
            else (measures.heteroatoms, "heteroatoms") if found["hetero"]
            else (measures.atoms(_ELEMENTS[element], kind), f"{kind} {element} atoms".lstrip())
        )  # fmt: skip
        if _OF_A_PART.search(before):
            continue
        span = found.start(), found.end() + (after.end() if after else 0)
        quantity = Quantity(int(after["number"]), True) if after else passage.quantity(*found.span())
        yield _counted(passage, span, "atoms", noun, [count], quantity)


_BOND_KINDS = {"carbon-carbon double": "C=C", "carbon-carbon triple": "C#C"}
_BONDS = _any_case(
    r"\b(?P<kind>rotatable|single|double|triple|aromatic|carbon-carbon (?:double|triple)|[CSNP]=[CNOS](?: double)?|C#[CN])\s+bonds?\b(?:\s*[:=]?\s*(?P<after>\d+)\b)?"
)
_SOME = _any_case(rf"(?:{NUMBER}|\bno|\ban?|\bany)\s+(?:[a-z-]+\s+)?$")


def read_bonds(passage: Passage) -> Iterator[Found]:
    """`three rotatable bonds`, `a triple bond`, `rotatable bonds 3`."""
    for found in _BONDS.finditer(passage.plain):
        said = found["kind"].lower()
        kind = _BOND_KINDS.get(said) or (said.removesuffix(" double").upper() if "=" in said or "#" in said else said)
        some = _SOME.search(passage.plain[: found.start()])
        if not some and not found["after"]:
            continue
        span = (found.start(), found.end() if not some else found.start() + len(found[0].rstrip("0123456789 :=")))
        quantity = passage.quantity(*span) if some else Quantity(int(found["after"]), True)
        yield _counted(passage, span, "bonds", f"{kind} bonds", measures.bonds(kind), quantity)


# weight, properties, charge

_GAP = r"(?:(?!\b(?:above|below|under|over|less|greater|more|limit|than|up to)\b|[<>≤≥])[^.\d;\n]){0,30}?"
_VALUE = rf"{_GAP}(?P<about>about|approximately|around|roughly|~|≈|ca\.?)?\s*(?P<value>[-+]?\d+(?:\.\d+)?)"
_DALTON = _any_case(
    r"(?<!above )(?<!below )(?<!under )(?<!over )(?<!than )(?<!up to )(?<![\d.])(?P<value>\d+(?:\.\d+)?)\s*(?P<about>)(?:g/mol|g mol|Da\b|daltons?\b|amu\b)"
)
# what is written, what RDKit computes, and the tolerance beside the rounding of the figure: other programs estimate otherwise
_MEASURED: dict[str, tuple[re.Pattern, tuple[Callable[[Chem.Mol], float], ...], float]] = {
    "weight": (
        _any_case(rf"\b(?:molecular weight|molar mass|molecular mass|exact mass|monoisotopic mass|formula weight|weighs|a weight of|MW|M\.W\.|mass)\b{_VALUE}"),
        (Descriptors.MolWt, Descriptors.ExactMolWt), 0.06,
    ),
    "LogP": (_any_case(rf"\b(?:c?logP|log P|partition coefficient)\b(?: \(?[A-Z]\w+\)?)?{_VALUE}"), (Crippen.MolLogP,), 0.3),
    "TPSA": (_any_case(rf"\b(?:TPSA|(?:topological )?polar surface area)\b{_VALUE}"), (rdMolDescriptors.CalcTPSA,), 0.1),
    "QED": (_any_case(rf"\bQED\b{_VALUE}"), (QED.qed,), 0.05),
    "MR": (_any_case(rf"\b(?:MR|molar refractivity)\b{_VALUE}"), (Crippen.MolMR,), 2.0),
}  # fmt: skip
_DONORS = _any_case(
    rf"(?:(?<![\w.-])(?P<number>{NUMBER}|no|zero)\s+)?(?:(?:hydrogen|H)[- ]bond(?:ing)?[- ])?\b(?P<kind>donor|acceptor|HBD|HBA)s?\b(?:\s+(?:count|number))?(?:\s*(?::|=|is|of)?\s*(?P<after>\d+))?"
)


def read_properties(passage: Passage) -> Iterator[Found]:
    """`molecular weight of 180.16`, `LogP about 1.3`, `2 donors`, `acceptors 3`."""
    for name, (pattern, computed, tolerance) in _MEASURED.items():
        for found in (m for p in ((pattern, _DALTON) if name == "weight" else (pattern,)) for m in p.finditer(passage.plain)):
            value, digits = float(found["value"]), len(found["value"].partition(".")[2])
            slack = 0.5 * 10**-digits + tolerance + (0.01 * abs(value) if found["about"] else 0)
            quantity = Quantity(1, False, bool(passage.step) or passage.asserts(*found.span()))
            kind = "weight" if name == "weight" else "property"
            yield _stated(
                passage, found.span(), kind, f"{name} {found['value']}",
                lambda s, value=value, slack=slack, computed=computed: any(abs(of(mol_of(s)) - value) <= slack for of in computed), quantity,
            )  # fmt: skip
    for found in _DONORS.finditer(passage.plain):
        if not (found["number"] or found["after"]):
            continue
        donor = found["kind"].lower() in ("donor", "hbd")
        count = rdMolDescriptors.CalcNumHBD if donor else rdMolDescriptors.CalcNumHBA
        quantity = Quantity(number(found["number"] or found["after"]), True, bool(passage.step) or passage.asserts(*found.span()))
        yield _counted(
            passage, found.span(), "property", "donors" if donor else "acceptors", [lambda s, count=count: count(mol_of(s))], quantity
        )


_CHARGE = _any_case(
    r"\b(?P<whole>net|overall|total)?\s*(?P<formal>formal)?\s*charge\b(?P<gap>[^.;,\d+-]{0,30}?)(?P<value>[+-]?\d|\bzero\b|[+-]?\b(?:one|two)\b)"
    r"|(?P<before>[+-]\d)\s+charge\b|(?P<word>\bmonocation\b|\bdication\b|\bmonoanion\b|\bdianion\b|\bneutral\b(?! (?:form|pH|condition|acid|amine|base))|\bcation(?:ic)?\b|\banion(?:ic)?\b|\bzwitterion(?:ic)?\b|"
    r"\bpositively charged\b|\bnegatively charged\b|\b(?:net|overall|formal) (?:positive|negative) charge\b|\buncharged\b|\bno (?:net|overall|formal) charge\b)"
)


_IONS = {"monocation": 1, "dication": 2, "monoanion": -1, "dianion": -2}


def _charges(smiles: str) -> list[int]:
    return [atom.GetFormalCharge() for atom in mol_of(smiles).GetAtoms()]


def read_charge(passage: Passage) -> Iterator[Found]:
    """`net charge of +1`, `neutral`, `a zwitterion`. A salt is its ions, and neutral as a whole."""
    for found in _CHARGE.finditer(passage.plain):
        quantity, subjects = passage.quantity(*found.span()), passage.subjects(found.start())
        ions = [_charges(smiles) for molecules in subjects for smiles in molecules]
        wholes = [sum(sum(_charges(smiles)) for smiles in molecules) for molecules in subjects]
        totals = wholes if found["whole"] or "whole" in (found["gap"] or "") else [*map(sum, ions), *wholes]
        denied = quantity.denied
        if found["value"] or found["before"]:
            said = (found["value"] or found["before"]).lower()
            value = (-1 if said.startswith("-") else 1) * number(said.lstrip("+-"))
            is_so, says = value in totals or bool(found["formal"] and any(value in ion for ion in ions)), f"charge {value:+d}"
        else:
            word = found["word"].lower()
            part = re.search(r"(?:ium|ate|ide) $", passage.plain[: found.start()])  # of a zwitterion, perhaps
            is_so, says = (
                (_IONS[word] in totals, word) if word in _IONS
                else (any(max(ion) > 0 and (part or sum(ion) > 0) for ion in ions), "cation") if "cation" in word or "positive" in word
                else (any(min(ion) < 0 and (part or sum(ion) < 0) for ion in ions), "anion") if "anion" in word or "negative" in word
                else (any(max(ion) > 0 > min(ion) for ion in ions), "zwitterion") if "zwitter" in word
                else (0 in totals, "neutral")
            )  # fmt: skip
            denied = denied and not word.startswith("no ")
        supported = is_so != denied if quantity.sure else None
        yield found.span(), "charge", f"{'not ' if denied else ''}{says}", supported, denied, passage.where(subjects)


# stereochemistry

_CENTRE = _any_case(
    r"\b(?P<assigned>defined |specified |assigned )?(?:stereo(?:genic|chemical)?[ -]?cent(?:re|er)s?|chiral (?:cent(?:re|er)s?|carbons?(?: atoms?)?)|asymmetric (?:cent(?:re|er)s?|carbons?))\b"
)
_CHIRAL = _any_case(r"\b(?P<word>achiral|chiral|optically active)\b(?! (?:cent|carbon|auxil|pool|HPLC|separat|resol|catal|purity|atom))")
_LABELS = re.compile(
    r"(?<!\w)\((?P<labels>\d*[RSEZ](?:,\s?\d*[RSEZ])*)\)|(?<![\w-])(?P<one>[RSEZ])[- ](?:configur\w+|enantiomer|isomer|geometry|alkene|olefin|stereo\w*|absolute|label\w*|at\b)"
    r"|(?:configur\w+|geometry|label|descriptor|(?:stereo)?cent(?:re|er)s?|carbon|double bond|alkene|olefin) (?:is |are |of |at \w+ is |drawn as |both )*\(?(?P<late>[RSEZ])\)?(?![\w'])|\b(?P<cis>(?i:cis|trans))(?=[- ](?:double|alkene|olefin|config|geometry|isomer|disubst|enone|chalcone|cinnam|stilbene))"
    r"|\b(?:geometry|alkene|olefin|double bond|C=C) is (?P<iscis>cis|trans)\b|\ban? (?P<kind>[EZ])(?:-| )(?=\w*(?:chalcone|enone|alkene|olefin|cinnam\w+|stilbene|enal|enoate|acrylate))"
)
_ATOM_LABEL = re.compile(r"\batom (?P<index>\d+) (?P<label>[RS?])(?!\w)")
_SOME_CENTRE = _any_case(rf"(?:{NUMBER}|\bno|\ban?|\bany|\bits|\bthe only|\bwithout|\black\w*)\s+(?:[a-z-]+\s+){{0,2}}$")


def read_stereo(passage: Passage) -> Iterator[Found]:
    """`two stereocentres`, `achiral`, `(R)`, `E-configured`, `atom 3 R`."""
    for found in _ATOM_LABEL.finditer(passage.plain):
        said = int(found["index"]), found["label"]
        yield _stated(
            passage,
            found.span(),
            "stereo",
            f"atom {said[0]} is {said[1]}",
            lambda s, said=said: said in stereocentres(s),
            Quantity(1, False),
        )
    for found in _CENTRE.finditer(passage.plain):
        if not (_SOME_CENTRE.search(passage.plain[: found.start()]) or re.match(r"\s*[:=]\s*\d", passage.plain[found.end() :])):
            continue
        every, assigned = (lambda s: len(stereocentres(s))), (lambda s: sum(label in "RS" for _, label in stereocentres(s)))
        quantity = passage.quantity(*found.span())
        # one that is not assigned is still one, but `two stereocentres` may mean those that are
        readings = [assigned] if found["assigned"] else [every] if quantity.denied else [every, assigned]
        yield _counted(passage, found.span(), "stereo", "stereocentres", readings, quantity)
    for found in _CHIRAL.finditer(passage.plain):
        chiral = found["word"].lower() != "achiral"
        yield _stated(
            passage, found.span(), "stereo", "chiral" if chiral else "achiral", lambda s, chiral=chiral: bool(stereocentres(s)) == chiral
        )
    for found in _LABELS.finditer(passage.plain):
        said = (
            found["labels"]
            or found["one"]
            or found["late"]
            or found["kind"]
            or {"cis": "Z", "trans": "E"}[(found["cis"] or found["iscis"]).lower()]
        )
        labels = Tally(re.findall("[RSEZ]", said))
        yield _stated(
            passage,
            found.span(),
            "stereo",
            ",".join(labels.elements()),
            lambda s, labels=labels: labels <= Tally(measures.stereo_labels(s)),
        )


# SMILES in the text

_PIECE = _any_case(
    r"\b(?:fragments?|substructures?|subunits?|moiet(?:y|ies)|groups?|units?|motifs?|parts?|contains?|includes?|appears?|present|portion|segments?|pieces?|branch|"
    r"substituents?|side chains?|pattern|string|core|skeleton|tail|chain|ring)\b"
)
_SCAFFOLD = _any_case(r"\b(?:scaffold|framework|Murcko)\b")


def read_smiles(passage: Passage) -> Iterator[Found]:
    """A scaffold, or a piece that is said to be in the molecule; a molecule of the row in full claims nothing."""
    for start, end, smiles in passage.smiles:
        molecules = [s for side in passage.subjects(start) for s in side]
        piece = parse_smiles(smiles)
        if ">>" in smiles:
            continue
        if _SCAFFOLD.search(passage.plain[:start]) or _SCAFFOLD.search(passage.plain[end : end + 40]):
            flat = Chem.MolToSmiles(piece.mol, isomericSmiles=False)
            yield _stated(
                passage, (start, end), "scaffold", f"scaffold {flat}", lambda s, flat=flat: flat == Chem.CanonSmiles(scaffold(mol_of(s)))
            )
        elif piece.key in {parse_smiles(s).key for s in molecules}:
            continue
        elif _PIECE.search(passage.plain[:start]) or _PIECE.match(passage.plain[end:].lstrip("` '\")")):
            pattern = Chem.MolFromSmarts(smiles) if "[" in smiles else None  # C(=O)[OH] means that hydrogen
            yield _stated(
                passage,
                (start, end),
                "fragment",
                f"piece {piece.key}",
                lambda s, piece=piece, pattern=pattern: mol_of(s).HasSubstructMatch(pattern or piece.mol),
            )


# reactions

_REACTION = _any_case(
    rf"(?<![\w-])(?P<word>{'|'.join(re.escape(word) for word in sorted(REACTION_WORDS, key=len, reverse=True))})"
    r"(?:s|[- ](?:reactions?|oxidation|rearrangement|annulation|synthesis|condensation|olefination|couplings?|chemistry|conditions|type|step|process))?(?!\w)"
)
_MIGHT = _any_case(r"\b(?:might|could|would|may)\b")


def _reaction(passage: Passage) -> tuple[tuple[str, ...], str] | None:
    """Reactants and main product as canonical SMILES."""
    if "reactants" not in passage.sides or "product" not in passage.sides:
        return None
    return _canonical(passage.sides["reactants"], passage.sides["product"])


@lru_cache(maxsize=8192)  # every clause of a trace asks for the same
def _canonical(reactants: tuple[str, ...], product: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    return tuple(sorted(set(map(Chem.CanonSmiles, reactants)))), max(map(Chem.CanonSmiles, product), key=len)


def read_reactions(passage: Passage) -> Iterator[Found]:
    """`a Suzuki coupling`: so, if a template of that name gives the product; not so, if only others do."""
    reaction = _reaction(passage)
    for found in _REACTION.finditer(passage.plain) if reaction else ():
        names, strict = REACTION_WORDS[found["word"].lower()]
        one = found["word"].lower() not in REACTION_FAMILIES and names  # `oxidation` is more than the table knows
        quantity = passage.quantity(*found.span())
        supported: bool | None = True
        if not named_reaction(*reaction, names):
            supported = False if strict and (named_reaction(*reaction) or one and not thinkable(reaction[0], names)) else None
        if supported is not None and quantity.denied:
            supported = not supported
        sure = quantity.sure and not _MIGHT.search(passage.plain)
        says = f"{'not ' if quantity.denied else ''}{found['word'].lower()}"
        yield found.span(), "reaction", says, supported if sure else None, quantity.denied, ""


_SYMBOLS = {
    "carbon": "C", "nitrogen": "N", "oxygen": "O", "sulfur": "S", "sulphur": "S", "boron": "B", "bromine": "Br", "chlorine": "Cl", "iodine": "I", "fluorine": "F", "magnesium": "Mg",
}  # fmt: skip
_ONE_ATOM = rf"(?:Br|Cl|Mg|[CNOSBIF]|{'|'.join(_SYMBOLS)})"
_BOND = re.compile(
    rf"(?<![\w-])(?P<a>{_ONE_ATOM})(?:\([^)]{{1,8}}\))?\s?[-=#]\s?(?P<b>{_ONE_ATOM})(?:\([^)]{{1,8}}\))?(?![\w-])(?:\s+(?:single|double|sigma))?(?P<bond>\s+(?:bonds?|linkages?))?"
)
_FORMS = _any_case(r"\b(?:form\w*|creat\w+|mak(?:es?|ing)|made|new|build\w*|construct\w*|establish\w*|join\w*|disconnect\w*)\b")
_BREAKS = _any_case(
    r"\b(?:break\w*|broken|cleav\w+|los(?:es?|t|ing)|sever(?:s|ed|ing)?|rupture\w*|scission|consumed|displac\w+|replac\w+|substituted)\b"
)
_MAKING = re.compile(r"(?:\s+(?:formation|cleavage|scission|breaking))?")
_NOT_THIS_BOND = _any_case(r"\s*(?:is|are|was|were|does|do|stays?|remains?)\s+(?:not|never|intact|untouched|unchanged)\b")


def _forms(text: str, start: int, end: int, heading: str) -> bool | None:
    """Whether the verb nearest to the bond at `start` to `end` forms it or breaks it; None where there is none."""
    near = []
    for forms, verbs in ((True, _FORMS), (False, _BREAKS)):
        for verb in verbs.finditer(text, max(0, start - 60), end + 40):
            between = text[verb.end() : start] if verb.end() <= start else text[end : verb.start()]
            near.append((len(between) + 40 * bool(re.search(r"[,;]|\band\b|\bwhile\b", between)), forms))
    near = near or [(0, forms) for forms, verbs in ((True, _FORMS), (False, _BREAKS)) if verbs.search(heading)]
    return min(near)[1] if near else None


def read_bond_changes(passage: Passage) -> Iterator[Found]:
    """`a new C-N bond is formed`, `the C-Br bond is cleaved`."""
    reaction = _reaction(passage)
    for found in _BOND.finditer(passage.plain) if reaction else ():
        forms = _forms(passage.plain, *found.span(), passage.heading)
        if forms is None or not (found["bond"] or re.search(r"\bbonds?\b", f"{passage.heading} {passage.plain[: found.start()]}")):
            continue
        end = _MAKING.match(passage.plain, found.end()).end()
        pair = "-".join(sorted(_SYMBOLS.get(found[side].lower(), found[side]) for side in ("a", "b")))
        quantity, known = passage.quantity(found.start(), end), named_reaction(*reaction)
        denied = quantity.denied or bool(_NOT_THIS_BOND.match(passage.plain[found.end() :]))
        supported = None if known is None or pair in known.changed else (pair in (known.formed if forms else known.broken)) != denied
        says = f"{'not ' if denied else ''}{'forms' if forms else 'breaks'} {pair}"
        yield found.span(), "bond_change", says, supported if quantity.sure else None, denied, ""


READERS = (
    read_reactions, read_bond_changes, read_moves, read_none, read_formula, read_charge, read_stereo, read_bonds, read_properties,
    read_composed, read_groups, read_rings, read_atoms, read_smiles,
)  # fmt: skip
