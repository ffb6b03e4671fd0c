"""Cut a trace into clauses: the molecules that each is about, how many of a thing it claims, and what it denies."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chemr_lite.claims import language
from chemr_lite.claims.language import number
from chemr_lite.protocols import Step
from chemr_lite.smiles import parse_smiles

MAX_CLAUSE = 500  # characters; a longer clause is cut, since the work in it grows with the square of its length
NEAR = 200  # characters before and after a mention that decide how it is meant
WIDEST_RANGE = 2  # `0 to 9 rings` says nothing, and would be a cheap way to be right
Span = tuple[int, int]
Sides = Mapping[str, tuple[str, ...]]
"""The molecules of a row as SMILES, by side: reactants and product, source and result, or one side only."""

# one character for one, so that places stay what they are
_PLAIN = str.maketrans("‐‑‒–—−₀₁₂₃₄₅₆₇₈₉’≡", "------0123456789'#")
_BOLD_HEADING = r"(?:[-*#>]+[ \t]+)?(?:\d+[.)][ \t]*)?\*\*(?P<name>[^*\n]{2,60}?):?\*\*:?"  # `2. **Rings:**`
_HASH_HEADING = r"#+[ \t]+(?P<title>[^\n]{2,60})"
_HEADING = re.compile(rf"[ \t]*{_BOLD_HEADING}|[ \t]*{_HASH_HEADING}")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z*(\[\d\x00-]|$)|(?<=\?)\s+|;\s+")
_SOMETHING = re.compile(r"[\w\x00]")
_SIDE_WORDS = {
    "product": r"\bproducts?\b|\btarget\b|\bfinal (?:molecule|compound)\b",
    "reactants": r"\breactants?\b|\bstarting materials?\b|\bprecursors?\b|\bsubstrates?\b|\bcoupling partners?\b",
    "source": r"\bsource\b|\boriginal\b|\bstarting (?:molecule|structure|compound)\b|\bbefore\b",
    "result": r"\bresult\w*\b|\bmodified\b|\bnew (?:molecule|compound)\b|\bafter\b",
}
_NO_WORD = r"(?!)"  # never matches
_LOCANT = re.compile(r"\d['′]?-$")  # `no 2'-hydroxyl` denies one place only
_DESCRIBES_SMILES = re.compile(r"[`'\"\s]*(?:\(|:|is\b|has\b|contains\b|bears\b|-)[^.]*")  # `CCO (ethanol) has …`


@dataclass(frozen=True, slots=True)
class Quantity:
    """`number` of something, at least or exactly, or up to `most`.

    `sure` is False where nothing is asserted of the molecules at hand. `start` is where the number stands in the
    clause, None where there is none before the mention.
    """

    number: int
    exactly: bool
    sure: bool = True
    start: int | None = None
    most: int | None = None

    @property
    def denied(self) -> bool:
        return self.exactly and self.number == 0 and not self.most

    def fits(self, count: int) -> bool:
        if self.most is not None:
            return self.number <= count <= self.most
        return count == self.number if self.exactly else count >= self.number

    def __str__(self) -> str:
        if self.most is not None:
            return f"{self.number} to {self.most}"
        return f"{'' if self.exactly else '≥'}{self.number}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A clause. `plain` is its text with every SMILES blanked out, `at` its place in the trace."""

    plain: str
    at: int
    smiles: tuple[tuple[int, int, str], ...]  # (start, end, SMILES) in the clause
    sides: Sides
    about: tuple[str, ...]  # the side or sides meant where the clause names none
    step: Step | None  # the protocol's step, None in free text
    heading: str  # in lower case
    only: int | None = None  # index of the molecule of its side that the clause is about, None for all

    @property
    def claims(self) -> tuple[str, ...]:
        return self.step.claims if self.step else ()

    @property
    def fact(self) -> str:
        return self.step.fact if self.step else ""

    def before_and_after(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the molecules before and after a reaction or an edit; empty where the row has none."""
        before = self.sides.get("reactants") or self.sides.get("source") or ()
        return before, self.sides.get("product") or self.sides.get("result") or ()

    def subjects(self, start: int) -> list[tuple[str, ...]]:
        """Return the molecules that a mention at `start` is about: a tuple for each side in question."""
        earlier = [smiles for smiles in self.smiles if smiles[1] <= start]
        if earlier and _DESCRIBES_SMILES.fullmatch(self.plain[earlier[-1][1] : start]):
            known = {parse_smiles(smiles).key for molecules in self.sides.values() for smiles in molecules}
            if parse_smiles(earlier[-1][2]).key in known:
                return [(earlier[-1][2],)]
        about = self.about
        places = {
            side: [match.start() for match in re.finditer(_side_words(side), self.plain, re.IGNORECASE)]
            for side in self.sides
        }
        named = {side: starts for side, starts in places.items() if starts}
        if len(named) == 1:
            about = tuple(named)
        elif named:  # the side named last before the mention, else all that are named
            nearest = [
                (max(s for s in starts if s < start), side) for side, starts in named.items() if starts[0] < start
            ]
            about = (max(nearest)[1],) if nearest else tuple(named)
        if self.only is not None and len(about) == 1:
            return [(self.sides[about[0]][self.only],)]
        return [self.sides[side] for side in about]

    def where(self, subjects: list[tuple[str, ...]]) -> str:
        """Return the SMILES of `subjects` for `Claim.about`; empty where the row has one side, read as a whole."""
        if len(self.sides) < 2 and self.only is None:
            return ""
        return " or ".join(dict.fromkeys(".".join(molecules) for molecules in subjects))

    def quantity(self, start: int, end: int, plural: bool = False) -> Quantity:
        """Return how many of the thing mentioned at `start` to `end` the clause claims."""
        before, after = self._around(start, end)
        breaks = [match.end() for match in language.BREAK.finditer(before)]
        clause = before[breaks[-1] if breaks else 0 :]
        count, exactly, place, has_number, most = 1, False, None, False, None
        match, interval = language.QUANTITY.search(clause), language.RANGE.search(clause)
        if interval and not language.NOT_A_COUNT.search(clause[: interval.start()]):
            count, most = number(interval["low"] or interval["least"]), number(interval["high"])
            exactly, has_number, place = True, True, start - len(clause) + interval.start()
        elif match and match["number"] and not language.NOT_A_COUNT.search(clause[: match.start("number")]):
            count, has_number = number(match["number"]), True
            some = language.SOME_OF_THEM.search(match["adjectives"]) or language.PLACED.match(after)
            some = some or language.PART_BEARS.search(clause)
            exactly = match["least"] is None and not some
            place = start - len(clause) + match.start("number")
        elif match and match["least"]:
            count = 1 if match["least"].lower() in ("at least", "more than", "over") else 2
        if (count_after := language.COUNT_AFTER.match(after)) and not language.INCLUDING.search(before):
            count, exactly, has_number = number(count_after["number"]), True, True
        denials = [match.end() for match in language.NO.finditer(clause)]
        denied = (
            bool(denials) and not language.NO_MORE.search(clause, denials[-1]) or bool(language.NO_AFTER.match(after))
        )
        sure = bool(self.step) or self.asserts(start, end, clause, plural and not has_number and not denied)
        sure = sure and (most is None or most - count <= WIDEST_RANGE)
        sure = sure and not (denied and _LOCANT.search(before))
        return Quantity(0, True, sure) if denied else Quantity(count, exactly, sure, place, most)

    def asserts(self, start: int, end: int, clause: str = "", bare_plural: bool = False) -> bool:
        """Whether the mention says something of the molecules at hand: no question, hypothesis or general truth."""
        before, after = self._around(start, end)
        if (
            "?" in self.plain
            or language.RULE.search(re.split(r"[,:;]", before)[-1] + re.split(r"[,:;]", after)[0])
            or language.BOUND.search(before)
            or language.HEDGE.search(before)
            or language.NOT_THE_THING.match(after)
            or language.GENERAL.match(self.plain)
        ):
            return False
        definite = language.DEFINITE.search(clause)
        return bool(definite or language.ASSERTS.search(before)) or not (
            language.THEN_HEDGED.match(after) or bare_plural
        )

    def _around(self, start: int, end: int) -> tuple[str, str]:
        return self.plain[max(0, start - NEAR) : start], self.plain[end : end + NEAR]


def passages(trace: str, steps: Mapping[str, Step], sides: Sides) -> Iterator[Passage]:
    """Yield the clauses of `trace`.

    `steps` are the protocol's by heading in lower case; `sides` begin with the side of the question.
    """
    if not sides:
        return
    text = trace.translate(_PLAIN)
    spans = find_smiles(text, {smiles for molecules in sides.values() for smiles in molecules})
    plain = text
    for start, end, _ in spans:
        plain = plain[:start] + "\x00" * (end - start) + plain[end:]
    names = tuple(sides)
    about, step, heading = names, None, ""
    for start, end in _lines(plain):
        match = _HEADING.match(plain, start, end)
        if match:
            heading = (match["name"] or match["title"]).strip().lower()
            step, about, start = steps.get(heading), names, match.end()
            if step:
                about = {"question": names[:1], "answer": names[-1:], "both": names}[step.about]
            elif named := [side for side in names if re.search(_side_words(side), heading)]:
                about = tuple(named[:1])
        cuts = [start, *(m.end() for m in _END.finditer(plain, start, end)), end]
        cuts = [place for a, b in zip(cuts, cuts[1:], strict=False) for place in _shorten(plain, a, b)] + [end]
        pieces = [(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if _SOMETHING.search(plain, a, b)]
        members = len(sides[about[0]]) if len(about) == 1 else 0
        for n, (a, b) in enumerate(pieces):
            inside = tuple((s - a, e - a, smiles) for s, e, smiles in spans if a <= s and e <= b)
            # `carboxylic acid; primary amine` lists the molecules one by one
            only = n if step and 1 < members == len(pieces) else None
            yield Passage(plain[a:b], a, inside, sides, about, step, heading, only)


def _side_words(side: str) -> str:
    return _SIDE_WORDS.get(side, _NO_WORD)


def _shorten(text: str, start: int, end: int) -> Iterator[int]:
    """Yield where the parts of a clause begin: one longer than MAX_CLAUSE is cut, if possible at a comma or a space."""
    while start < end:
        yield start
        limit = start + MAX_CLAUSE
        if limit >= end:
            return
        ends = (text.rfind(", ", start, limit), text.rfind(" ", start, limit), limit - 1)
        start = next(place for place in ends if place > start) + 1


def _lines(text: str) -> Iterator[Span]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line.rstrip("\r\n"))
        start += len(line)


_TOKEN = re.compile(r"[A-Za-z0-9@+\-\[\]()=#$/\\%.:*>]+")
_ORGANIC = re.compile(r"(?:Br|Cl|[BCNOPSFIbcnops])+")
_ATOM_PAIR = re.compile(r"[A-Z][a-z]?[-=#][A-Z][a-z]?(?:[-=#][A-Z][a-z]?)?")
_SMILES_SIGNS = re.compile(r"[=#\[\]@/\\]|\(.*\)|[a-zA-Z]\d")


def find_smiles(text: str, known: set[str]) -> list[tuple[int, int, str]]:
    """Return the (start, end, SMILES) of molecules and pieces of them in `text`: no words, formulas or bonds like C-N.

    A word that is in `known` or in backticks need not look like SMILES.
    """
    matches = []
    for token in _TOKEN.finditer(text):
        word, start = token[0], token.start()
        while word and (word[-1] in ".:-*" or (word[-1] == ")" and word.count(")") > word.count("("))):
            word = word[:-1]
        while word and (word[0] in ".:-*" or (word[0] == "(" and word.count("(") > word.count(")"))):
            word, start = word[1:], start + 1
        if not word or word.isdigit() or _ATOM_PAIR.fullmatch(word):
            continue
        quoted = text[start - 1 : start] == "`" == text[start + len(word) : start + len(word) + 1]
        shaped = _SMILES_SIGNS.search(word) or (len(word) >= 4 and _ORGANIC.fullmatch(word))
        if (word in known or quoted or shaped) and (">>" in word or parse_smiles(word).ok):
            matches.append((start, start + len(word), word))
    return matches
