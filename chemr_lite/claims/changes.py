"""Readers of what a reaction is called, and of the bonds that it forms and breaks."""

import re
from collections.abc import Iterator
from functools import lru_cache

from rdkit import Chem

from chemr_lite.chemistry.reactions import named_reaction, thinkable
from chemr_lite.claims.language import any_case, one_of
from chemr_lite.claims.lexicon import REACTION_FAMILIES, REACTION_WORDS
from chemr_lite.claims.passages import Passage
from chemr_lite.claims.statements import Statement

# names of reactions

_REACTION_NAMES = "|".join(re.escape(word) for word in sorted(REACTION_WORDS, key=len, reverse=True))
_REACTION_NOUNS = one_of(
    *("reactions?", "oxidation", "rearrangement", "annulation", "synthesis", "condensation", "olefination"),
    *("couplings?", "chemistry", "conditions", "type", "step", "process"),
)
_REACTION = any_case(rf"(?<![\w-])(?P<word>{_REACTION_NAMES})(?:s|[- ]{_REACTION_NOUNS})?(?!\w)")
_MIGHT = any_case(r"\b(?:might|could|would|may)\b")


def _reaction(passage: Passage) -> tuple[tuple[str, ...], str] | None:
    """Return reactants and main product as canonical SMILES; None where the row is no reaction."""
    if "reactants" not in passage.sides or "product" not in passage.sides:
        return None
    return _canonical(passage.sides["reactants"], passage.sides["product"])


@lru_cache(maxsize=8192)  # every clause of a trace needs the same
def _canonical(reactants: tuple[str, ...], product: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    return tuple(sorted(set(map(Chem.CanonSmiles, reactants)))), max(map(Chem.CanonSmiles, product), key=len)


def read_reactions(passage: Passage) -> Iterator[Statement]:
    """Read `a Suzuki coupling`: true if a template of that name gives the product, false if only others do."""
    reaction = _reaction(passage)
    for match in _REACTION.finditer(passage.plain) if reaction else ():
        word = match["word"].lower()
        quantity = passage.quantity(*match.span())
        supported = _is_called(reaction, word)
        if supported is not None and quantity.denied:
            supported = not supported
        sure = quantity.sure and not _MIGHT.search(passage.plain)
        says = f"{'not ' if quantity.denied else ''}{word}"
        yield Statement(match.span(), "reaction", says, supported if sure else None, quantity.denied)


def _is_called(reaction: tuple[tuple[str, ...], str], word: str) -> bool | None:
    """Whether `word` names the reaction; None where the table of named reactions cannot decide."""
    names, strict = REACTION_WORDS[word]
    if named_reaction(*reaction, names):
        return True
    # `oxidation` is more than the table knows, so what its members need decides nothing
    is_one_reaction = word not in REACTION_FAMILIES and names
    if strict and (named_reaction(*reaction) or (is_one_reaction and not thinkable(reaction[0], names))):
        return False
    return None


# bonds

_SYMBOLS = {
    "carbon": "C", "nitrogen": "N", "oxygen": "O", "sulfur": "S", "sulphur": "S", "boron": "B", "bromine": "Br",
    "chlorine": "Cl", "iodine": "I", "fluorine": "F", "magnesium": "Mg",
}  # fmt: skip
_ATOM = one_of("Br", "Cl", "Mg", "[CNOSBIF]", *_SYMBOLS)
_NOTE = r"(?:\([^)]{1,8}\))?"  # `C(sp2)-N`
_BOND = re.compile(
    rf"(?<![\w-])(?P<a>{_ATOM}){_NOTE}\s?[-=#]\s?(?P<b>{_ATOM}){_NOTE}(?![\w-])"
    r"(?:\s+(?:single|double|sigma))?(?P<bond>\s+(?:bonds?|linkages?))?"
)
_FORMING = (
    *(r"form\w*", r"creat\w+", "mak(?:es?|ing)", "made", "new", r"build\w*", r"construct\w*", r"establish\w*"),
    *(r"join\w*", r"disconnect\w*"),  # a disconnection thinks of the bond that the reaction forms
)
_BREAKING = (
    *(r"break\w*", "broken", r"cleav\w+", "los(?:es?|t|ing)", "sever(?:s|ed|ing)?", r"rupture\w*", "scission"),
    *("consumed", r"displac\w+", r"replac\w+", "substituted"),
)
_FORMS = any_case(rf"\b{one_of(*_FORMING)}\b")
_BREAKS = any_case(rf"\b{one_of(*_BREAKING)}\b")
_PROCESS = re.compile(r"(?:\s+(?:formation|cleavage|scission|breaking))?")
_STAYS = one_of("not", "never", "intact", "untouched", "unchanged")
_NOT_THIS_BOND = any_case(rf"\s*(?:is|are|was|were|does|do|stays?|remains?)\s+{_STAYS}\b")


def _forms(text: str, start: int, end: int, heading: str) -> bool | None:
    """Whether the verb nearest to the bond at `start` to `end` forms it or breaks it; None where there is none."""
    near = []
    for forms, verbs in ((True, _FORMS), (False, _BREAKS)):
        for verb in verbs.finditer(text, max(0, start - 60), end + 40):
            between = text[verb.end() : start] if verb.end() <= start else text[end : verb.start()]
            near.append((len(between) + 40 * bool(re.search(r"[,;]|\band\b|\bwhile\b", between)), forms))
    near = near or [(0, forms) for forms, verbs in ((True, _FORMS), (False, _BREAKS)) if verbs.search(heading)]
    return min(near)[1] if near else None


def read_bond_changes(passage: Passage) -> Iterator[Statement]:
    """Read `a new C-N bond is formed`, `the C-Br bond is cleaved`."""
    reaction = _reaction(passage)
    for match in _BOND.finditer(passage.plain) if reaction else ():
        forms = _forms(passage.plain, *match.span(), passage.heading)
        before = f"{passage.heading} {passage.plain[: match.start()]}"
        if forms is None or not (match["bond"] or re.search(r"\bbonds?\b", before)):
            continue
        end = _PROCESS.match(passage.plain, match.end()).end()
        pair = "-".join(sorted(_SYMBOLS.get(match[side].lower(), match[side]) for side in ("a", "b")))
        quantity, known = passage.quantity(match.start(), end), named_reaction(*reaction)
        denied = quantity.denied or bool(_NOT_THIS_BOND.match(passage.plain[match.end() :]))
        supported = None
        if quantity.sure and known is not None and pair not in known.changed:
            supported = (pair in (known.formed if forms else known.broken)) != denied
        says = f"{'not ' if denied else ''}{'forms' if forms else 'breaks'} {pair}"
        yield Statement(match.span(), "bond_change", says, supported, denied)
