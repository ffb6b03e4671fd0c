"""Readers of formulas, atoms and bonds."""

import re
from collections.abc import Iterator
from dataclasses import replace
from math import gcd

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from chemr_lite.chemistry.structure import ELEMENTS
from chemr_lite.claims import measures
from chemr_lite.claims.language import ASIDE, NO_TERM, NUMBER, NUMBERED, PART, TALLY, any_case, number, one_of
from chemr_lite.claims.measures import mol_of
from chemr_lite.claims.passages import Passage, Quantity
from chemr_lite.claims.statements import Statement, count_statement, fact_statement

# formulas

_FORMULA = re.compile(r"(?<!\w)(?<!\w\()(?:C\d*H\d+|C\d+)(?:[A-Z][a-z]?\d*)*(?:[+-]\d?)?(?![\w-])")
_TYPESET_FORMULA = re.compile(r"(?<!\w)C(?:_\{\d+\}|_?\d+)?(?:[A-Z][a-z]?(?:_\{\d+\}|_?\d*))+(?=[}\s$.,;)])")  # LaTeX
_WHOLE_FORMULA = re.compile(r"C(?:[3-9]|\d\d)\d*H\d+")
_FORMULA_WORD = any_case(r"\bformula\b")
_EMPIRICAL = any_case(r"\b(?:empirical|simplest)\s+formula\b")


def read_formula(passage: Passage) -> Iterator[Statement]:
    """Read `C9H8O4`, also in LaTeX: `C_{9}H_8O_4`."""
    typeset = (match for match in _TYPESET_FORMULA.finditer(passage.plain) if "_" in match[0])
    for match in (*_FORMULA.finditer(passage.plain), *typeset):
        formula = re.sub("[_{}]", "", match[0])
        if not _FORMULA_WORD.search(passage.plain[: match.start()]) and not _WHOLE_FORMULA.match(formula):
            continue  # C6H5 and CH3 are groups, unless they are called formulas
        wanted, before = measures.elements_of(formula), passage.plain[: match.start()]
        kind = "empirical formula" if _EMPIRICAL.search(before) else "formula"

        def agrees(smiles: str, wanted=wanted, kind=kind) -> bool:
            counts = measures.elements_of(rdMolDescriptors.CalcMolFormula(mol_of(smiles)))
            if kind == "empirical formula":
                divisor = gcd(*counts.values())
                counts = {element: n // divisor for element, n in counts.items()}
            return counts == wanted

        quantity = passage.quantity(*match.span())
        quantity = replace(quantity, sure=quantity.sure and not PART.search(before))
        yield fact_statement(passage, match.span(), "formula", f"{kind} {formula}", agrees, quantity)


# atoms

_ELEMENTS = ELEMENTS | {"sulphur": 16}
_NAMES = sorted(_ELEMENTS)
_NO_ATOM_COUNT = one_of(  # what follows where `carbons` does not count the atoms of the molecule
    r"-",
    r"\s+(?:is|are|were)\s+(?:lost|removed|added|gone)",
    r"\s+(?:bond|longer|shorter|more|chain|linker|spacer|away|skeleton|donor|acceptor|bearing)",
    r"\s+(?:in|of) the (?:ring|chain)",
)
_ATOM_KINDS = one_of(
    r"(?P<heavy>heavy|non-hydrogen)\s+atoms?",
    r"(?P<hydrogen>hydrogen)(?:\s+atom)?s?",
    r"(?P<hetero>heteroatoms?)",
    rf"(?:(?P<kind>aromatic|sp2|sp3)\s+)?(?P<element>{'|'.join(_ELEMENTS)})(?:\s+atom)?s?",
)
_ATOM = any_case(rf"\b{_ATOM_KINDS}\b(?!(?:\s+atoms?)?{_NO_ATOM_COUNT})")
# `carbons: 9`, `carbons: 6 + 3 = 9`
_COUNT_BEHIND = any_case(
    rf"\s*(?::|=|-|\()?\s*{TALLY}(?P<number>\d+|(?<=[:=] ){NUMBER})\b{NO_TERM}(?:\s+atoms?)?(?!\s*[a-z])"
)
_HAS_A = any_case(r"\b(?:contain\w*|has|bear\w*|includ\w*)\s+an?\s+$")

# `C atoms: 9`, `carbon count is 9`
_ELEMENT_WORD = one_of("Cl", "Br", "[CHNOSPFB]", "I(?! count)", *_NAMES, *map(str.capitalize, _NAMES))
_ELEMENT_COUNT = re.compile(
    rf"\b(?P<element>{_ELEMENT_WORD})[ -]?(?:atoms?|count)(?:\s+count)?{ASIDE}"
    rf"\s*(?::|=|\||\bis\b|\bof\b)?\s*{TALLY}(?P<number>{NUMBER})\b{NO_TERM}(?! [a-z])"
)

# `contains nitrogen`, `nitrogen is present`
_HAS_OR_LACKS = one_of(
    *(r"contain\w*", "has", "have", "keeps?", "retains?", "free of", "devoid of", "lacks?", "no", "without", "any"),
    "includes?",
)
_PART_OF_A_NAME = one_of(
    *(r"\w+ed", r"\w+yl", "bonds?", "chain", "ring", "donor", "acceptor", r"bear\w+", "substituent", "group")
)
_ELEMENT_PRESENT = any_case(
    one_of(
        rf"\b{_HAS_OR_LACKS}\s+(?:an? |any |its )?(?P<element>{'|'.join(_NAMES)})(?: atoms?)?"
        rf"\b(?![ -]{_PART_OF_A_NAME}\b|-)",
        rf"\b(?P<present>{'|'.join(_NAMES)}) is (?:also )?(?P<not>not )?(?:present|found|there)\b",
    )
)
_SYMBOL = re.compile(rf"(?<![\w.,-]){NUMBER}\s+(?P<symbol>Cl|Br|[CHNOSPFIB])(?:\s+atoms?)?(?=[\s,;.)]|$)(?!\s*-)")

# `two methyls on one carbon`, `gains two hydrogens`
_ON_ONE = any_case(rf"\b(?:(?:on|at|to|from) one|(?:gain|los|add|remov)\w*\s+{NUMBER})\s+$")
_OTHER_LABEL = re.compile(r"\bR\b")

# `the benzene ring has six carbons` is no count of the molecule
_PARTS = one_of(
    *("each", "every", "both", "neither", "nor"),
    *("rings?", "chains?", "groups?", "linkers?", "substituents?", "moiety"),
    *("carbonyl", "carbon", "nitrogen", "ester", "amide", "acid", "amine", "ketone", "methyl", "phenyl"),
)
_PART_HAS = any_case(
    rf"\b{_PARTS}\b[^,;:]{{0,20}}?\b(?:has|have|contains?|bears?|carr\w+|with)\s+(?:{NUMBER}|an?|no)\s+$"
)


def read_atoms(passage: Passage) -> Iterator[Statement]:
    """Read `nine carbons`, `13 heavy atoms`, `9 C`, `hydrogens: 8`."""
    bare = re.fullmatch(r"\s*(\d+)\s*", passage.plain) if passage.fact == "hydrogens" else None
    if bare:
        quantity = Quantity(int(bare[1]), True)
        yield count_statement(passage, bare.span(1), "atoms", "hydrogen", [measures.hydrogens], quantity)
    for match in _ELEMENT_COUNT.finditer(passage.plain):
        word = match["element"]
        element = _ELEMENTS.get(word.lower()) if len(word) > 2 else Chem.GetPeriodicTable().GetAtomicNumber(word)
        quantity = Quantity(number(match["number"]), True, passage.asserts(*match.span()))
        yield count_statement(passage, match.span(), "atoms", f"{word} atoms", [_atoms(element)], quantity)
    for match in _SYMBOL.finditer(passage.plain):
        if match["symbol"] == "S" and _OTHER_LABEL.search(passage.plain):
            continue  # `one R and one S`
        element = Chem.GetPeriodicTable().GetAtomicNumber(match["symbol"])
        quantity = passage.quantity(match.start("symbol"), match.end())
        yield count_statement(passage, match.span(), "atoms", f"{match['symbol']} atoms", [_atoms(element)], quantity)
    for match in _ELEMENT_PRESENT.finditer(passage.plain):
        word = (match["element"] or match["present"]).lower()
        if word == "hydrogen" or _PART_HAS.search(passage.plain[: match.start("element")]):
            continue
        span = match.span("element") if match["element"] else match.span()
        quantity = Quantity(0, True) if match["not"] else passage.quantity(*span)
        yield count_statement(passage, span, "atoms", f"{word} atoms", [measures.atoms(_ELEMENTS[word])], quantity)
    for match in _ATOM.finditer(passage.plain):
        before = passage.plain[: match.start()]
        after = None if NUMBERED.search(before) else _COUNT_BEHIND.match(passage.plain[match.end() :])
        if not (NUMBERED.search(before) or after or _HAS_A.search(before)):
            continue
        kind, element = (match["kind"] or "").lower(), (match["element"] or "").lower()
        measure, noun = (
            (_heavy_atoms, "heavy atoms") if match["heavy"]
            else (measures.hydrogens, "hydrogen") if match["hydrogen"]
            else (measures.heteroatoms, "heteroatoms") if match["hetero"]
            else (measures.atoms(_ELEMENTS[element], kind), f"{kind} {element} atoms".lstrip())
        )  # fmt: skip
        if _PART_HAS.search(before) or _ON_ONE.search(before):
            continue
        span = match.start(), match.end() + (after.end() if after else 0)
        quantity = Quantity(number(after["number"]), True) if after else passage.quantity(*match.span())
        yield count_statement(passage, span, "atoms", noun, [measure], quantity)


def _atoms(element: int) -> measures.Measure:
    """Return a measure of the atoms of an atomic number, implicit hydrogens included."""
    return measures.hydrogens if element == 1 else measures.atoms(element)


def _heavy_atoms(smiles: str) -> int:
    return mol_of(smiles).GetNumHeavyAtoms()


# bonds

_BOND_KINDS = {"carbon-carbon double": "C=C", "carbon-carbon triple": "C#C"}
_BOND_WORDS = one_of(
    *("rotatable", "single", "double", "triple", "aromatic", "carbon-carbon (?:double|triple)"),
    *("[CSNP]=[CNOS](?: double)?", "C#[CN](?: triple)?"),
)
_BONDS = any_case(
    rf"(?P<mention>\b(?P<kind>{_BOND_WORDS})\s+bonds?\b)"
    rf"(?:{ASIDE}\s*(?:[:=|]|\bcome to\b|\bcount\b|\bare\b|\bis\b)?\s*"
    rf"{TALLY}(?P<after>{NUMBER})\b{NO_TERM}(?!\s*\w))?"
)
_SOME = any_case(rf"(?:{NUMBER}|\bno|\ban?|\bany)\s+(?:[a-z-]+\s+)?$")


def read_bonds(passage: Passage) -> Iterator[Statement]:
    """Read `three rotatable bonds`, `a triple bond`, `rotatable bonds 3`."""
    for match in _BONDS.finditer(passage.plain):
        word = match["kind"].lower()
        kind = _BOND_KINDS.get(word) or (word.split()[0].upper() if "=" in word or "#" in word else word)
        some = _SOME.search(passage.plain[: match.start()])
        if not some and not match["after"]:
            continue
        behind = match["after"] and not some
        span = match.span() if behind else match.span("mention")
        quantity = Quantity(number(match["after"]), True, passage.asserts(*span)) if behind else passage.quantity(*span)
        yield count_statement(passage, span, "bonds", f"{kind} bonds", measures.bonds(kind), quantity)
