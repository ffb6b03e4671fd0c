"""Readers of what a reaction is called, and of the bonds that it forms and breaks."""

import re
from collections.abc import Iterator
from functools import lru_cache

from rdkit import Chem

from chemr_lite.chemistry.reactions import named_reaction, thinkable
from chemr_lite.claims.claim_builders import Found, any_case
from chemr_lite.claims.lexicon import REACTION_FAMILIES, REACTION_WORDS
from chemr_lite.claims.passages import Passage

# reactions

_REACTION = any_case(
    rf"(?<![\w-])(?P<word>{'|'.join(re.escape(word) for word in sorted(REACTION_WORDS, key=len, reverse=True))})"
    r"(?:s|[- ](?:reactions?|oxidation|rearrangement|annulation|synthesis|condensation|olefination|couplings?|chemistry|conditions|type|step|process))?(?!\w)"
)
_MIGHT = any_case(r"\b(?:might|could|would|may)\b")


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
            supported = (
                False if strict and (named_reaction(*reaction) or one and not thinkable(reaction[0], names)) else None
            )
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
_FORMS = any_case(
    r"\b(?:form\w*|creat\w+|mak(?:es?|ing)|made|new|build\w*|construct\w*|establish\w*|join\w*|disconnect\w*)\b"
)
_BREAKS = any_case(
    r"\b(?:break\w*|broken|cleav\w+|los(?:es?|t|ing)|sever(?:s|ed|ing)?|rupture\w*|scission|consumed|displac\w+|replac\w+|substituted)\b"
)
_MAKING = re.compile(r"(?:\s+(?:formation|cleavage|scission|breaking))?")
_NOT_THIS_BOND = any_case(
    r"\s*(?:is|are|was|were|does|do|stays?|remains?)\s+(?:not|never|intact|untouched|unchanged)\b"
)


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
        if forms is None or not (
            found["bond"] or re.search(r"\bbonds?\b", f"{passage.heading} {passage.plain[: found.start()]}")
        ):
            continue
        end = _MAKING.match(passage.plain, found.end()).end()
        pair = "-".join(sorted(_SYMBOLS.get(found[side].lower(), found[side]) for side in ("a", "b")))
        quantity, known = passage.quantity(found.start(), end), named_reaction(*reaction)
        denied = quantity.denied or bool(_NOT_THIS_BOND.match(passage.plain[found.end() :]))
        supported = (
            None
            if known is None or pair in known.changed
            else (pair in (known.formed if forms else known.broken)) != denied
        )
        says = f"{'not ' if denied else ''}{'forms' if forms else 'breaks'} {pair}"
        yield found.span(), "bond_change", says, supported if quantity.sure else None, denied, ""
