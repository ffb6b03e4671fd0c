"""Readers of numbers: formula, atoms, bonds, weight, properties and charge."""

import re
from collections.abc import Callable, Iterator

from rdkit import Chem
from rdkit.Chem import QED, Crippen, Descriptors, rdMolDescriptors

from chemr_lite.chemistry.structure import ELEMENTS
from chemr_lite.claims import measures
from chemr_lite.claims.claim_builders import NUMBERED, Found, any_case, counted_claim, stated_claim
from chemr_lite.claims.measures import mol_of
from chemr_lite.claims.passages import NUMBER, Passage, Quantity, number

# formula, atoms, bonds

_FORMULA = re.compile(r"(?<!\w)(?<!\w\()(?:C\d*H\d+|C\d+)(?:[A-Z][a-z]?\d*)*(?:[+-]\d?)?(?![\w-])")


def read_formula(passage: Passage) -> Iterator[Found]:
    for found in _FORMULA.finditer(passage.plain):
        said = found[0]
        if not re.search(r"\bformula\b", passage.plain[: found.start()], re.IGNORECASE) and not re.match(
            r"C(?:[3-9]|\d\d)\d*H\d+", said
        ):
            continue  # C6H5 and CH3 are groups, unless they are called formulas
        wanted = measures.elements_of(said)
        yield stated_claim(
            passage, found.span(), "formula", f"formula {said}",
            lambda s, wanted=wanted: measures.elements_of(rdMolDescriptors.CalcMolFormula(mol_of(s))) == wanted,
        )  # fmt: skip


_ELEMENTS = ELEMENTS | {"sulphur": 16}
_ATOM = any_case(
    rf"\b(?:(?P<heavy>heavy|non-hydrogen)\s+atoms?|(?P<hydrogen>hydrogen)(?:\s+atom)?s?|(?P<hetero>heteroatoms?)|(?:(?P<kind>aromatic|sp2|sp3)\s+)?(?P<element>{'|'.join(_ELEMENTS)})(?:\s+atom)?s?)\b"
    r"(?!-|\s+(?:is|are|were)\s+(?:lost|removed|added|gone)|\s+(?:bond|longer|shorter|more|chain|linker|spacer|away|skeleton|donor|acceptor|bearing)|\s+(?:in|of) the (?:ring|chain))"
)
_TOLD_COUNT = re.compile(
    rf"\b(?P<element>Cl|Br|[CHNOSPFB]|I(?! count)|{'|'.join(sorted(_ELEMENTS))}|{'|'.join(word.capitalize() for word in sorted(_ELEMENTS))})[ -]?(?:atoms?|count)(?:\s+count)?\s*(?::|=|\bis\b|\bof\b)?\s*(?P<number>{NUMBER})\b(?! [a-z])"
)
_BARE = any_case(
    rf"\b(?:contain\w*|has|have|keeps?|retains?|free of|devoid of|lacks?|no|without|any|includes?)\s+(?:an? |any |its )?(?P<element>{'|'.join(sorted(_ELEMENTS))})(?: atoms?)?\b(?![ -](?:\w+ed|\w+yl|bonds?|chain|ring|donor|acceptor|bear\w+|substituent|group)\b|-)"
    rf"|\b(?P<present>{'|'.join(sorted(_ELEMENTS))}) is (?:also )?(?P<not>not )?(?:present|found|there)\b"
)
_SYMBOL = re.compile(rf"(?<![\w.,-]){NUMBER}\s+(?P<symbol>Cl|Br|[CHNOSPFIB])(?:\s+atoms?)?(?=[\s,;.)]|$)(?!\s*-)")
_TOLD_AFTER = any_case(r"\s*(?::|=|-|\()?\s*(?P<number>\d+)\b(?!\s*(?:atoms?|[a-z]))")
_HAS_A = any_case(r"\b(?:contain\w*|has|bear\w*|includ\w*)\s+an?\s+$")


# `the benzene ring has six carbons` is no count of the molecule
_OF_A_PART = any_case(
    r"\b(?:each|every|both|neither|nor|rings?|chains?|groups?|linkers?|substituents?|moiety|carbonyl|carbon|nitrogen|ester|amide|acid|amine|ketone|methyl|phenyl)\b[^,;:]{0,20}?"
    rf"\b(?:has|have|contains?|bears?|carr\w+|with)\s+(?:{NUMBER}|an?|no)\s+$"
)


def read_atoms(passage: Passage) -> Iterator[Found]:
    """`nine carbons`, `13 heavy atoms`, `9 C`, `hydrogens: 8`."""
    bare = re.fullmatch(r"\s*(\d+)\s*", passage.plain) if passage.fact == "hydrogens" else None
    if bare:
        yield counted_claim(
            passage, bare.span(1), "atoms", "hydrogen", [measures.hydrogens], Quantity(int(bare[1]), True)
        )
    for found in _TOLD_COUNT.finditer(passage.plain):
        said = found["element"]
        element = _ELEMENTS.get(said.lower()) if len(said) > 2 else Chem.GetPeriodicTable().GetAtomicNumber(said)
        count = measures.hydrogens if element == 1 else measures.atoms(element)
        quantity = Quantity(number(found["number"]), True, passage.asserts(*found.span()))
        yield counted_claim(passage, found.span(), "atoms", f"{said} atoms", [count], quantity)
    for found in _SYMBOL.finditer(passage.plain):
        element = Chem.GetPeriodicTable().GetAtomicNumber(found["symbol"])
        count = measures.hydrogens if element == 1 else measures.atoms(element)
        said = passage.quantity(found.start("symbol"), found.end())
        yield counted_claim(passage, found.span(), "atoms", f"{found['symbol']} atoms", [count], said)
    for found in _BARE.finditer(passage.plain):
        said = (found["element"] or found["present"]).lower()
        if said == "hydrogen" or _OF_A_PART.search(passage.plain[: found.start("element")]):
            continue
        span = found.span("element") if found["element"] else found.span()
        quantity = Quantity(0, True) if found["not"] else passage.quantity(*span)
        yield counted_claim(passage, span, "atoms", f"{said} atoms", [measures.atoms(_ELEMENTS[said])], quantity)
    for found in _ATOM.finditer(passage.plain):
        before = passage.plain[: found.start()]
        after = None if NUMBERED.search(before) else _TOLD_AFTER.match(passage.plain[found.end() :])
        if not (NUMBERED.search(before) or after or _HAS_A.search(before)):
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
        yield counted_claim(passage, span, "atoms", noun, [count], quantity)


_BOND_KINDS = {"carbon-carbon double": "C=C", "carbon-carbon triple": "C#C"}
_BONDS = any_case(
    r"\b(?P<kind>rotatable|single|double|triple|aromatic|carbon-carbon (?:double|triple)|[CSNP]=[CNOS](?: double)?|C#[CN])\s+bonds?\b(?:\s*[:=]?\s*(?P<after>\d+)\b)?"
)
_SOME = any_case(rf"(?:{NUMBER}|\bno|\ban?|\bany)\s+(?:[a-z-]+\s+)?$")


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
        yield counted_claim(passage, span, "bonds", f"{kind} bonds", measures.bonds(kind), quantity)


# weight, properties, charge

_GAP = r"(?:(?!\b(?:above|below|under|over|less|greater|more|limit|than|up to)\b|[<>≤≥])[^.\d;\n]){0,30}?"
_VALUE = rf"{_GAP}(?P<about>about|approximately|around|roughly|~|≈|ca\.?)?\s*(?P<value>[-+]?\d+(?:\.\d+)?)"
_DALTON = any_case(
    r"(?<!above )(?<!below )(?<!under )(?<!over )(?<!than )(?<!up to )(?<![\d.])(?P<value>\d+(?:\.\d+)?)\s*(?P<about>)(?:g/mol|g mol|Da\b|daltons?\b|amu\b)"
)
# what is written, what RDKit computes, and the tolerance beside the rounding of the figure: other programs estimate otherwise
_MEASURED: dict[str, tuple[re.Pattern, tuple[Callable[[Chem.Mol], float], ...], float]] = {
    "weight": (
        any_case(rf"\b(?:molecular weight|molar mass|molecular mass|exact mass|monoisotopic mass|formula weight|weighs|a weight of|MW|M\.W\.|mass)\b{_VALUE}"),
        (Descriptors.MolWt, Descriptors.ExactMolWt), 0.06,
    ),
    "LogP": (any_case(rf"\b(?:c?logP|log P|partition coefficient)\b(?: \(?[A-Z]\w+\)?)?{_VALUE}"), (Crippen.MolLogP,), 0.3),
    "TPSA": (any_case(rf"\b(?:TPSA|(?:topological )?polar surface area)\b{_VALUE}"), (rdMolDescriptors.CalcTPSA,), 0.1),
    "QED": (any_case(rf"\bQED\b{_VALUE}"), (QED.qed,), 0.05),
    "MR": (any_case(rf"\b(?:MR|molar refractivity)\b{_VALUE}"), (Crippen.MolMR,), 2.0),
}  # fmt: skip
_DONORS = any_case(
    rf"(?:(?<![\w.-])(?P<number>{NUMBER}|no|zero)\s+)?(?:(?:hydrogen|H)[- ]bond(?:ing)?[- ])?\b(?P<kind>donor|acceptor|HBD|HBA)s?\b(?:\s+(?:count|number))?(?:\s*(?::|=|is|of)?\s*(?P<after>\d+))?"
)


def read_properties(passage: Passage) -> Iterator[Found]:
    """`molecular weight of 180.16`, `LogP about 1.3`, `2 donors`, `acceptors 3`."""
    for name, (pattern, computed, tolerance) in _MEASURED.items():
        for found in (
            m for p in ((pattern, _DALTON) if name == "weight" else (pattern,)) for m in p.finditer(passage.plain)
        ):
            value, digits = float(found["value"]), len(found["value"].partition(".")[2])
            slack = 0.5 * 10**-digits + tolerance + (0.01 * abs(value) if found["about"] else 0)
            quantity = Quantity(1, False, bool(passage.step) or passage.asserts(*found.span()))
            kind = "weight" if name == "weight" else "property"
            yield stated_claim(
                passage, found.span(), kind, f"{name} {found['value']}",
                lambda s, value=value, slack=slack, computed=computed: any(abs(of(mol_of(s)) - value) <= slack for of in computed), quantity,
            )  # fmt: skip
    for found in _DONORS.finditer(passage.plain):
        if not (found["number"] or found["after"]):
            continue
        donor = found["kind"].lower() in ("donor", "hbd")
        count = rdMolDescriptors.CalcNumHBD if donor else rdMolDescriptors.CalcNumHBA
        quantity = Quantity(
            number(found["number"] or found["after"]), True, bool(passage.step) or passage.asserts(*found.span())
        )
        yield counted_claim(
            passage,
            found.span(),
            "property",
            "donors" if donor else "acceptors",
            [lambda s, count=count: count(mol_of(s))],
            quantity,
        )


_CHARGE = any_case(
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
            is_so, says = (
                value in totals or bool(found["formal"] and any(value in ion for ion in ions)),
                f"charge {value:+d}",
            )
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
