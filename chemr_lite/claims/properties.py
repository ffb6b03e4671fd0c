"""Readers of weights, computed properties and charges."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rdkit import Chem
from rdkit.Chem import QED, Crippen, Descriptors, rdMolDescriptors

from chemr_lite.claims.language import ASIDE, NUMBER, PART, RANGE_SIGN, any_case, number, one_of
from chemr_lite.claims.measures import mol_of
from chemr_lite.claims.passages import WIDEST_RANGE, Passage, Quantity
from chemr_lite.claims.statements import Statement, count_statement, fact_statement

# weight, LogP and the like

_LIMITS = one_of("above", "below", "under", "over", "less", "greater", "more", "limit", "than", "up to")
_GAP = rf"(?:(?!\b{_LIMITS}\b|[<>≤≥])[^.\d;\n]){{0,30}}?"  # between the property and its value
_ABOUT = r"(?P<about>about|approximately|around|roughly|~|≈|ca\.?)?"
_UNIT = r"\s*(?:g/mol|g mol|Da\b|daltons?\b|amu\b)"
_FIGURE = one_of(
    r"\d{1,3}(?:[,\u2009\u202f\u00a0]\d{3})+(?:\.\d+)?",  # 1,159.05
    rf"\d{{1,3}}(?: \d{{3}})+(?:\.\d+)?(?={_UNIT})",  # 1 159.05 g/mol
    r"\d+,\d{1,2}(?!\d)",  # 180,16
    r"\d+(?:\.\d+)?",
)
WIDEST_SPAN = 0.5  # of a range, as a share of its middle: a wider one says nothing
_BETWEEN = r"(?P<between>\bbetween\s+)?"
_TO = rf"(?:(?(between)\s+and\s+|\s*(?:-|\bto\b)\s*)(?P<high>{_FIGURE})(?!\w))?"
_VALUE = rf"{_GAP}{_BETWEEN}{_ABOUT}\s*(?P<value>[-+]?{_FIGURE}){_TO}"
_NO_LIMIT = "".join(f"(?<!{limit} )" for limit in ("above", "below", "under", "over", "than", "up to"))
_DALTONS = any_case(rf"{_NO_LIMIT}{_BETWEEN}(?<![\d.,])(?P<value>{_FIGURE}){_TO}(?P<about>){_UNIT}")
_WEIGHT = one_of(
    *("molecular weight", "molar mass", "molecular mass", "exact mass", "monoisotopic mass", "formula weight"),
    *("weighs", "a weight of", r"weight(?=\s*[:=≈~]| \d+\.\d)", "MW", r"M\.W\.", "mass"),
)


class _Property(NamedTuple):
    """How a property is written, the functions that compute it, and the tolerance beside the rounding of the figure.

    There is a tolerance because other programs estimate otherwise than RDKit.
    """

    patterns: tuple[re.Pattern, ...]
    functions: tuple[Callable[[Chem.Mol], float], ...]
    tolerance: float


_PROPERTIES = {
    "weight": _Property(
        (any_case(rf"\b{_WEIGHT}\b{_VALUE}"), _DALTONS), (Descriptors.MolWt, Descriptors.ExactMolWt), 0.06
    ),
    "LogP": _Property(
        (any_case(rf"\b(?:c?logP|log P|partition coefficient)\b(?: \(?[A-Z]\w+\)?)?{_VALUE}"),), (Crippen.MolLogP,), 0.3
    ),
    "TPSA": _Property(
        (any_case(rf"\b(?:TPSA|(?:topological )?polar surface area)\b{_VALUE}"),), (rdMolDescriptors.CalcTPSA,), 0.1
    ),
    "QED": _Property((any_case(rf"\bQED\b{_VALUE}"),), (QED.qed,), 0.05),
    "MR": _Property((any_case(rf"\b(?:MR|molar refractivity)\b{_VALUE}"),), (Crippen.MolMR,), 2.0),
}
_DONORS = any_case(
    rf"(?:(?<![\w.-])(?:(?P<low>{NUMBER}){RANGE_SIGN})?(?P<number>{NUMBER}|no|zero)\s+)?"
    r"(?:(?:hydrogen|H)[- ]bond(?:ing)?[- ])?\b(?P<kind>donor|acceptor|HBD|HBA)s?\b"
    rf"(?:\s+(?:count|number))?(?:{ASIDE}\s*(?::|=|is|of(?=\s*\d)|\|)?\s*(?P<after>{NUMBER}|none)\b(?!\s+[NO]\b)"
    r"(?:\s*(?:-|to)\s*(?P<high>\d+))?(?:(?<=\| \d) donors?)?)?"  # `| HBD | 3 donors |`
)


def read_properties(passage: Passage) -> Iterator[Statement]:
    """Read `molecular weight of 180.16`, `LogP about 1.3`, `2 donors`, `acceptors 3`."""
    for name, (patterns, functions, tolerance) in _PROPERTIES.items():
        for match in (match for pattern in patterns for match in pattern.finditer(passage.plain)):
            figures = [_plain_figure(figure) for figure in (match["value"], match["high"]) if figure]
            values, digits = [*map(float, figures)], len(figures[0].partition(".")[2])
            slack = 0.5 * 10**-digits + tolerance + (_leeway(figures[0]) if match["about"] else 0)

            def is_near(smiles: str, values=values, slack=slack, functions=functions) -> bool:
                return any(
                    min(values) - slack <= function(mol_of(smiles)) <= max(values) + slack for function in functions
                )

            kind = "weight" if name == "weight" else "property"
            is_whole = kind != "weight" or not PART.search(passage.plain[: match.end()])
            is_telling = max(values) - min(values) <= WIDEST_SPAN * abs(sum(values) / len(values))
            quantity = Quantity(1, False, is_whole and is_telling and _is_sure(passage, match))
            yield fact_statement(passage, match.span(), kind, f"{name} {' to '.join(figures)}", is_near, quantity)
    for match in _DONORS.finditer(passage.plain):
        count = match["number"] or match["after"]
        if not count:
            continue
        noun, measure = ("donors", _donors) if match["kind"].lower() in ("donor", "hbd") else ("acceptors", _acceptors)
        ends = (match["low"], match["number"]) if match["number"] else (match["after"], match["high"])
        low, high = (number(end) if end else None for end in ends)
        is_range = low is not None and high is not None
        is_sure = _is_sure(passage, match) and not (is_range and high - low > WIDEST_RANGE)
        quantity = Quantity(low if is_range else number(count), True, is_sure, most=high if is_range else None)
        yield count_statement(passage, match.span(), "property", noun, [measure], quantity)


def _leeway(figure: str) -> float:
    """Return what `about` allows: a hundredth; at most 0.5 with decimals, and 1 where the last digit is not 0."""
    return min(0.01 * abs(float(figure)), 0.5 if "." in figure else float("inf") if figure.endswith("0") else 1.0)


def _plain_figure(figure: str) -> str:
    """Return a figure as Python reads it: without separators of thousands, and with a point for a decimal comma."""
    if re.search(r",\d{1,2}$", figure) and "." not in figure:
        return figure.replace(",", ".")
    return re.sub(r"[,\s]", "", figure)


def _is_sure(passage: Passage, match: re.Match) -> bool:
    return bool(passage.step) or passage.asserts(*match.span())


def _donors(smiles: str) -> int:
    return rdMolDescriptors.CalcNumHBD(mol_of(smiles))


def _acceptors(smiles: str) -> int:
    return rdMolDescriptors.CalcNumHBA(mol_of(smiles))


# charge

_CHARGE_VALUE = (
    r"\b(?P<whole>net|overall|total)?\s*(?P<formal>formal)?\s*charge\b(?P<gap>[^.;,\d+-]{0,30}?)"
    r"(?P<value>[+-]?\d|\bzero\b|[+-]?\b(?:one|two)\b)"
)
_CHARGE_WORD = one_of(
    *(r"\bmonocation\b", r"\bdication\b", r"\bmonoanion\b", r"\bdianion\b"),
    r"\bneutral\b(?! (?:form|pH|condition|acid|amine|base))",
    *(r"\bcation(?:ic)?\b", r"\banion(?:ic)?\b", r"\bzwitterion(?:ic)?\b"),
    *(r"\bpositively charged\b", r"\bnegatively charged\b"),
    r"\b(?:net|overall|formal|(?:bears|carries|has) an?) (?:positive|negative) charge\b",
    *(r"\buncharged\b", r"\bno (?:net|overall|formal) charge\b"),
)
_CHARGE = any_case(one_of(_CHARGE_VALUE, r"(?P<before>[+-]\d)\s+charge\b", rf"(?P<word>{_CHARGE_WORD})"))
_IONS = {"monocation": 1, "dication": 2, "monoanion": -1, "dianion": -2}
_NAME_OF_AN_ION = re.compile(r"(?:ium|ate|ide) $")


def read_charge(passage: Passage) -> Iterator[Statement]:
    """Read `net charge of +1`, `neutral`, `a zwitterion`. A salt is its ions, and neutral as a whole."""
    for match in _CHARGE.finditer(passage.plain):
        quantity, subjects = passage.quantity(*match.span()), passage.subjects(match.start())
        ions = [_charges(smiles) for molecules in subjects for smiles in molecules]
        wholes = [sum(sum(_charges(smiles)) for smiles in molecules) for molecules in subjects]
        totals = wholes if match["whole"] or "whole" in (match["gap"] or "") else [*map(sum, ions), *wholes]
        denied = quantity.denied
        if match["value"] or match["before"]:
            text = (match["value"] or match["before"]).lower()
            charge = (-1 if text.startswith("-") else 1) * number(text.lstrip("+-"))
            is_true = charge in totals or bool(match["formal"] and any(charge in ion for ion in ions))
            says = f"charge {charge:+d}"
        else:
            word = match["word"].lower()
            # `the carboxylate anion`: a part of the molecule, perhaps of a zwitterion
            is_part = bool(_NAME_OF_AN_ION.search(passage.plain[: match.start()])) or word.endswith(
                ("a positive charge", "a negative charge")
            )
            is_true, says = _charge_word(word, ions, totals, is_part)
            denied = denied and not word.startswith("no ")
        supported = is_true != denied if quantity.sure else None
        says = f"{'not ' if denied else ''}{says}"
        yield Statement(match.span(), "charge", says, supported, denied, passage.where(subjects))


def _charges(smiles: str) -> list[int]:
    return [atom.GetFormalCharge() for atom in mol_of(smiles).GetAtoms()]


def _charge_word(word: str, ions: list[list[int]], totals: list[int], is_part: bool) -> tuple[bool, str]:
    """Return whether `word` is true of molecules with these charges by atom and in all, and what it says."""
    if word in _IONS:
        return _IONS[word] in totals, word
    if "cation" in word or "positive" in word:
        return any(max(ion) > 0 and (is_part or sum(ion) > 0) for ion in ions), "cation"
    if "anion" in word or "negative" in word:
        return any(min(ion) < 0 and (is_part or sum(ion) < 0) for ion in ions), "anion"
    if "zwitter" in word:
        return any(max(ion) > 0 > min(ion) for ion in ions), "zwitterion"
    return 0 in totals, "neutral"
