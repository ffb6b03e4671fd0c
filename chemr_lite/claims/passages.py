"""A trace cut into clauses: what each speaks of, how many of a thing it claims, whether it denies it or only supposes it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chemr_lite.protocols import Step
from chemr_lite.smiles import parse_smiles

MAX_CLAUSE = 500  # characters; a longer one is cut, since the work in a clause grows with the square of its length
NEAR = 200  # characters before and after a mention that decide how it is meant
Span = tuple[int, int]

# one character for one, so that places stay what they are
_PLAIN = str.maketrans("‐‑‒–—−₀₁₂₃₄₅₆₇₈₉’≡", "------0123456789'#")
_HEADING = re.compile(
    r"[ \t]*(?:[-*#>]+[ \t]+)?(?:\d+[.)][ \t]*)?\*\*(?P<name>[^*\n]{2,60}?):?\*\*:?|[ \t]*#+[ \t]+(?P<title>[^\n]{2,60})"
)
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z*(\[\d\x00-]|$)|;\s+")
_SIDE_WORDS = {
    "product": r"\bproducts?\b|\btarget\b|\bfinal (?:molecule|compound)\b",
    "reactants": r"\breactants?\b|\bstarting materials?\b|\bprecursors?\b|\bsubstrates?\b|\bcoupling partners?\b",
    "source": r"\bsource\b|\boriginal\b|\bstarting (?:molecule|structure|compound)\b|\bbefore\b",
    "result": r"\bresult\w*\b|\bmodified\b|\bnew (?:molecule|compound)\b|\bafter\b",
}

NUMBERS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip
NUMBER = rf"(?:\d+|{'|'.join(NUMBERS)})"


def number(text: str) -> int:
    """`7`, `seven` and `no` as numbers."""
    text = text.strip().lower()
    return int(text) if text.isdigit() else NUMBERS.get(text, 0)


@dataclass(frozen=True, slots=True)
class Quantity:
    """`number` of something, at least or exactly; `sure` is False where nothing is asserted of the molecules at hand.
    `start` is where the number stands in the clause, None where there is none before the mention."""

    number: int
    exactly: bool
    sure: bool = True
    start: int | None = None

    @property
    def denied(self) -> bool:
        return self.exactly and self.number == 0

    def fits(self, count: int) -> bool:
        return count == self.number if self.exactly else count >= self.number

    def __str__(self) -> str:
        return f"{'' if self.exactly else '≥'}{self.number}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A clause. `plain` is its text with every SMILES blanked out, `at` its place in the trace."""

    plain: str
    at: int
    smiles: tuple[tuple[int, int, str], ...]  # (start, end, SMILES) in the clause
    sides: Mapping[str, tuple[str, ...]]  # the molecules of the row, by side
    about: tuple[str, ...]  # the side or sides meant where the clause names none
    step: Step | None  # the protocol's step, None in free text
    heading: str  # in lower case
    only: int | None = None  # it speaks of the nth molecule of its side

    @property
    def claims(self) -> tuple[str, ...]:
        return self.step.claims if self.step else ()

    @property
    def fact(self) -> str:
        return self.step.fact if self.step else ""

    def before_and_after(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The molecules before and after a reaction or an edit; empty where the row has none."""
        return self.sides.get("reactants") or self.sides.get("source") or (), self.sides.get(
            "product"
        ) or self.sides.get("result") or ()

    def subjects(self, start: int) -> list[tuple[str, ...]]:
        """The molecules that a mention at `start` is about: a tuple for each side in question."""
        own = [smiles for smiles in self.smiles if smiles[1] <= start]
        if own and _TELLS_OF.fullmatch(self.plain[own[-1][1] : start]):
            known = {parse_smiles(smiles).key for molecules in self.sides.values() for smiles in molecules}
            if parse_smiles(own[-1][2]).key in known:
                return [(own[-1][2],)]
        about = self.about
        places = {
            side: [m.start() for m in re.finditer(_SIDE_WORDS.get(side, r"(?!)"), self.plain, re.IGNORECASE)]
            for side in self.sides
        }
        named = {side: found for side, found in places.items() if found}
        if len(named) == 1:
            about = tuple(named)
        elif named:
            before = [(max(p for p in found if p < start), side) for side, found in named.items() if found[0] < start]
            about = (max(before)[1],) if before else tuple(named)
        if self.only is not None and len(about) == 1:
            return [(self.sides[about[0]][self.only],)]
        return [self.sides[side] for side in about]

    def where(self, subjects: list[tuple[str, ...]]) -> str:
        """Which molecules a claim is about, in words; empty where the row has but one."""
        return (
            ""
            if len(self.sides) < 2 and self.only is None
            else " or ".join(".".join(molecules) for molecules in subjects)
        )

    def quantity(self, start: int, end: int, plural: bool = False) -> Quantity:
        """How many of the thing mentioned at `start` to `end` there are said to be."""
        before, after = self.plain[max(0, start - NEAR) : start], self.plain[end : end + NEAR]
        breaks = [m.end() for m in _BREAK.finditer(before)]
        clause = before[breaks[-1] if breaks else 0 :]
        counted = _QUANTITY.search(clause)
        many, exactly, said, place = 1, False, None, None
        if counted and counted["number"] and not _NOT_A_COUNT.search(clause[: counted.start("number")]):
            said = counted["number"]
            many, exactly, place = number(said), counted["least"] is None, start - len(clause) + counted.start("number")
        elif counted and counted["least"]:
            many = 1 if counted["least"].lower() in ("at least", "more than", "over") else 2
        told = TOLD.match(after)  # `Amides: 2`
        if told:
            many, exactly, said = number(told["number"]), True, told["number"]
        nos = [m.end() for m in _NO.finditer(clause)]
        denied = bool(nos) and not _NO_MORE.search(clause, nos[-1]) or bool(_NO_AFTER.match(after))
        sure = bool(self.step) or self.asserts(start, end, clause, plural and not said and not denied)
        return Quantity(0, True, sure) if denied else Quantity(many, exactly, sure, place)

    def asserts(self, start: int, end: int, clause: str = "", bare_plural: bool = False) -> bool:
        """Whether the mention says something of the molecules at hand: no question, hypothesis or general truth."""
        before, after = self.plain[max(0, start - NEAR) : start], self.plain[end : end + NEAR]
        if (
            "?" in self.plain
            or _RULE.search(re.split(r"[,:;]", before)[-1] + re.split(r"[,:;]", after)[0])
            or _BOUND.search(before)
            or _HEDGE.search(before)
            or _NOT_THE_THING.match(after)
            or _GENERAL.match(self.plain)
        ):
            return False
        definite = _DEFINITE.search(clause)
        return bool(definite or _ASSERTS.search(before)) or not (_THEN_HEDGED.match(after) or bare_plural)


_TELLS_OF = re.compile(r"[`'\"\s]*(?:\(|:|is\b|has\b|contains\b|bears\b|-)[^.]*")
# where a new clause begins inside a sentence: what was denied before is not denied behind it
_BREAK = re.compile(
    r",?\s+\b(?:but|however|whereas|while|although|though|yet)\b|\s-\s|:\s"
    r"|,\s+(?:as|since|because|so|which|giving|forming|to give|and (?:it|the|has|is|carries|bears|contains|its))\b", re.IGNORECASE,
)  # fmt: skip
_NOT_ADJECTIVES = "and|or|of|with|in|on|at|to|the|is|are|has|a|an|position|carbon|as|" + "|".join(NUMBERS)
_QUANTITY = re.compile(
    r"(?<![\w-])(?:(?P<least>at least|more than|over|several|multiple|both)\s+)?"
    rf"(?:(?<![\w.-])(?P<number>{NUMBER})\s+)?(?P<adjectives>(?:(?!(?:{_NOT_ADJECTIVES})\b)[A-Za-z][\w'/-]*\s+){{0,2}}?)$",
    re.IGNORECASE,
)
_NOT_A_COUNT = re.compile(r"\b(?:positions?|carbons?|atoms?|at|c|step|rings?|site|locants?|number)\s*$", re.IGNORECASE)
TOLD = re.compile(rf"\s*[:=]\s*(?P<number>{NUMBER})\b(?!\s*[\w%°→-])", re.IGNORECASE)
_NO = re.compile(
    r"\b(?:no(?! (?:more|less|fewer|additional|further|other)\b)|not(?! only| more than)|without|lack(?:s|ing)?|absen(?:t|ce of)|free of|devoid of|neither|nor|rather than|instead of|none of|never|missing|excluding)\b|n't\b",
    re.IGNORECASE,
)
_NO_MORE = re.compile(
    r"(?:,|\band)\s+(?:an?|the|one|two|three|\d+|it|this|there|has|contains|bears|carries|features|is|only|with)\b|\bother than\b|\bexcept\b|\bno longer\b",
    re.IGNORECASE,
)
_NO_AFTER = re.compile(
    r"[\w\s/-]{0,30}?\b(?:(?:is|are|was|were|being)\s+(?:absent|missing|not\s+(?:present|found|there|seen|in)|lacking)|isn't|aren't)"
    r"|\s*(?:does|do)(?: not|n't)\s*(?:[,.;]|$|appear|occur|exist)|\s*(?::|-|=)\s*(?:none|no|absent|0)\b|\s*-free\b", re.IGNORECASE,
)  # fmt: skip
_HEDGE = re.compile(
    r"\b(?:if|(?<!I )would(?! be (?:written|described|called|classified|named))|could|might|may|perhaps|possibl[ey]|whether|unless|suppose|typical(?:ly)?|usual(?:ly)?|often|general(?:ly)?|for example|e\.g\.|such as|unlike|"
    r"compared (?:with|to)|similar to|(?<!looks )(?<!look )like|commonly|frequently|sometimes|normally|(?<!lacks )(?<!lack )(?<!lacking )(?<!of )(?<!without )(?<!contain )(?<!have )(?<!not )any|should|were to|imagine|consider adding|reminiscent|resembl\w+|mimic\w*|related to|"
    r"known to|tend to|many|most|by-?products?|had we|in principle|in theory|had there|without knowing|hypothetical\w*|potential(?:ly)?|expected|ought|seems?|unclear|unknown|do i|"
    r"is there|does (?:it|the)|can be (?:oxidi|reduc|hydroly|convert|turn)\w*)\b", re.IGNORECASE,
)  # fmt: skip
# a rule of thumb, or what happens elsewhere
_RULE = re.compile(
    r"\b(?:limits?|cut-?offs?|rules?|Lipinski|Veber|allows?|requires?|needs?|thresholds?|criteri\w+|guidelines?|pH|or (?:less|fewer|more))\b"
)
_BOUND = re.compile(
    r"\b(?:fewer than|less than|at most|no more than|not more than|up to|below|under|above|over|no (?:additional|further|other))\s+[\w-]*\s*$",
    re.IGNORECASE,
)
# `ester hydrolysis`, `amide-like`: another thing than an ester or an amide
_NOT_THE_THING = re.compile(
    r"[\s-]*(?:other than|besides|except|derivatives?|analog(?:ue)?s?|equivalents?|surrogates?|(?:bio)?isosteres?|mimics?|precursors?|like|type|chemistry|formation|hydrolysis|reduction|oxidation|"
    r"protection|deprotection|coupling|synthesis|cleavage|removal|exchange|metathesis|solvents?|base|scavenger|donors?|acceptors?|catal\w+|mediated|labile|stable|sensitive|"
    r"work-?up|conditions?|receptors?|inhibitors?|[a-z]+ase)\b", re.IGNORECASE,
)  # fmt: skip
_ASSERTS = re.compile(
    r"\b(?:contain\w*|has|have|having|bear\w*|feature\w*|include\w*|possess\w*|carr(?:y|ies|ying)|there (?:is|are)|see|identif\w+|show\w*|with|comprises?|consists?|display\w*|"
    r"groups?:|present|presence|attached|find|note|spot|count|molecule|compound|structure|product|reactants?|this|these|here)\b|:\s", re.IGNORECASE,
)  # fmt: skip
_DEFINITE = re.compile(r"\b(?:the|its|their|this|these|those|all|both)\s+(?:[\w-]+\s+)?$", re.IGNORECASE)
# `Esters are hydrolysed by …`: nobody's ester in particular
_GENERAL = re.compile(
    rf"\W*(?!(?i:{'|'.join(NUMBERS)}|\d+|several|both|no|this|the|these|all|it|its|contains|has|is)\b|[A-Z][a-z]?[-=#][A-Z])(?:[A-Z][\w-]*\s+)?(?:[a-z][\w-]*\s+){{0,2}}?[A-Za-z][\w-]*s\s+(?:also\s+|often\s+|usually\s+)?"
    r"(?:can|are|react|tend|undergo|give|usually|often|of|that|typically|may|do|cross|form|serve|with|above|below|prefer|have|like|need|struggle)\b"
)
_THEN_HEDGED = re.compile(
    r"\s*(?:[\w-]+\s+)?(?:can(?! be (?:seen|identified|found|recogni[sz]ed|spotted|counted|traced|assigned|read))|could|may|might|would|possibly|perhaps|often|usually|typically|(?:is|are) (?:the (?:limit|maximum|usual)|generally|usually|often|typically|commonly))\b",
    re.IGNORECASE,
)


_SOMETHING = re.compile(r"[\w\x00]")


def passages(trace: str, steps: Mapping[str, Step], sides: Mapping[str, tuple[str, ...]]) -> Iterator[Passage]:
    """The clauses of `trace`. `steps` are the protocol's by heading, `sides` the molecules of the row by side, those of the question first."""
    if not sides:
        return
    text = trace.translate(_PLAIN)
    spans = find_smiles(text, {smiles for molecules in sides.values() for smiles in molecules})
    plain = text
    for start, end, _ in spans:
        plain = plain[:start] + "\x00" * (end - start) + plain[end:]
    names = tuple(sides)
    about, step, said = names, None, ""
    for start, end in _lines(plain):
        heading = _HEADING.match(plain, start, end)
        if heading:
            said = (heading["name"] or heading["title"]).strip().lower()
            step, about, start = steps.get(said), names, heading.end()
            if step:
                about = {"question": names[:1], "answer": names[-1:], "both": names}[step.about]
            elif named := [side for side in names if re.search(_SIDE_WORDS.get(side, r"(?!)"), said)]:
                about = tuple(named[:1])
        cuts = [start, *(m.end() for m in _END.finditer(plain, start, end)), end]
        cuts = [place for a, b in zip(cuts, cuts[1:], strict=False) for place in _shorten(plain, a, b)] + [end]
        pieces = [(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if _SOMETHING.search(plain, a, b)]
        members = len(sides[about[0]]) if len(about) == 1 else 0
        for n, (a, b) in enumerate(pieces):
            inside = tuple((s - a, e - a, smiles) for s, e, smiles in spans if a <= s and e <= b)
            # `carboxylic acid; primary amine` tells of each molecule in turn
            only = n if step and 1 < members == len(pieces) else None
            yield Passage(plain[a:b], a, inside, sides, about, step, said, only)


def _shorten(text: str, start: int, end: int) -> Iterator[int]:
    """Where the parts of a clause begin: behind a comma or a space, where there is one, once it is longer than MAX_CLAUSE."""
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
_TELLING = re.compile(r"[=#\[\]@/\\]|\(.*\)|[a-zA-Z]\d")


def find_smiles(text: str, known: set[str]) -> list[tuple[int, int, str]]:
    """Where `text` writes molecules or pieces of them as SMILES, as (start, end, SMILES): not words, formulas or bonds like C-N."""
    found = []
    for token in _TOKEN.finditer(text):
        word, start = token[0], token.start()
        while word and (word[-1] in ".:-*" or (word[-1] == ")" and word.count(")") > word.count("("))):
            word = word[:-1]
        while word and (word[0] in ".:-*" or (word[0] == "(" and word.count("(") > word.count(")"))):
            word, start = word[1:], start + 1
        if not word or word.isdigit() or _ATOM_PAIR.fullmatch(word):
            continue
        quoted = text[start - 1 : start] == "`" == text[start + len(word) : start + len(word) + 1]
        shaped = _TELLING.search(word) or (len(word) >= 4 and _ORGANIC.fullmatch(word))
        if (word in known or quoted or shaped) and (">>" in word or parse_smiles(word).ok):
            found.append((start, start + len(word), word))
    return found
