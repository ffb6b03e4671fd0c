"""How English counts, denies and supposes: the patterns by which a mention in a clause is understood.

Patterns are built from named lists of alternatives. Those without an underscore are what other files search for.
"""

import re
from functools import partial

any_case = partial(re.compile, flags=re.IGNORECASE)


def one_of(*alternatives: str) -> str:
    """Return a regular expression that matches any of `alternatives`, tried in this order."""
    return f"(?:{'|'.join(alternatives)})"


# numbers

NUMBERS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip
NUMBER = one_of(r"\d+", *NUMBERS)


def number(text: str) -> int:
    """Return what a number word or digits stand for; 0 for any other text, such as `no`."""
    text = text.strip().lower()
    return int(text) if text.isdigit() else NUMBERS.get(text, 0)


# what may stand before the number behind a thing: `carbons: 6 + 3 + 1 = 10`, `donors (by RDKit): 2`
_TERM = r"\d+(?:\s*[×x*·]\s*\d+)?(?:\s*\([^()]{1,20}\))?"
TALLY = rf"(?:{_TERM}(?:\s*\+\s*{_TERM})*\s*=\s*)?"
NO_TERM = r"(?!\s*[+×x*·]\s*\d)"  # behind a number: it is no term of a tally
_WHOLE = "product|target|precursor|molecule|compound|salt"
ASIDE = (
    rf"(?:\s*\((?:by |RDKit|Lipinski|total|overall|in all)[^()\d]{{0,30}}\)|\s+by RDKit|\s+of (?:the )?(?:{_WHOLE}))?"
)

# how many of the thing there are, from the words before it or behind it

NUMBERED = any_case(rf"(?:(?<![\w.+/-]){NUMBER}|\bno|\bzero)\s+$")

_NOT_ADJECTIVES = (
    *("and", "or", "of", "with", "in", "on", "at", "to", "the", "is", "are", "has", "a", "an"),
    *("position", "carbon", "as"),
    *NUMBERS,
)
_AT_LEAST = r"(?P<least>at least|more than|over|several|multiple|both)"
_ADJECTIVES = rf"(?P<adjectives>(?:(?!{one_of(*_NOT_ADJECTIVES)}\b)[A-Za-z][\w'/-]*\s+){{0,2}}?)"
QUANTITY = any_case(rf"(?<![\w+-])(?:{_AT_LEAST}\s+)?(?:(?<![\w.+/-])(?P<number>{NUMBER})\s+)?{_ADJECTIVES}$")

# `3 to 5 acceptors`, `between two and four rings`
RANGE_SIGN = r"\s*(?:-|\bto\b|\bor\b)\s*"
RANGE = any_case(
    rf"(?<![\w.-])(?:(?P<low>{NUMBER}){RANGE_SIGN}|between\s+(?P<least>{NUMBER})\s+and\s+)"
    rf"(?P<high>{NUMBER})\s+{_ADJECTIVES}$"
)

_NUMBERED_THINGS = ("positions?", "carbons?", "atoms?", "at", "c", "step", "rings?", "site", "locants?", "number")
NOT_A_COUNT = any_case(rf"\b{one_of(*_NUMBERED_THINGS)}\s*$")  # `position 2`

COUNT_AFTER = any_case(
    rf"{ASIDE}\s*[:=]\s*{TALLY}(?P<number>{NUMBER})\b{NO_TERM}(?!\s*(?!in (?:all|total)\b)[\w%°→-])"
)  # `Amides: 2`
INCLUDING = any_case(r"\b(?:includ\w+|excluding|incl\.|without|plus)\s+$")  # `heavy atoms including chloride: 10`
# adjectives that pick out some of the things: there may be more of them
_SOME_OF_THEM = (
    *("angular", "geminal", "vicinal", "terminal", "internal", "remaining", "other", "further", "more", "additional"),
    *("unsubstituted", "substituted", "pendant", "peripheral", "outer", "inner", "flanking", "adjacent", "distal"),
    *("proximal", "exocyclic", "endocyclic", "benzylic", "allylic", "equivalent", "such", "bridging", "equatorial"),
    *("axial", "basic", "acidic", "ring", "aryl", "neighbou?ring", "hindered", "ortho", "meta", "para"),
)
SOME_OF_THEM = any_case(rf"\b{one_of(*_SOME_OF_THEM)}\b")
# `the silicon bears two methyl groups`
PART_BEARS = any_case(
    r"\b(?:silicon|nitrogen|carbon|boron|phosphorus|sulfur|ring|end)\s+(?:atom\s+)?"
    rf"(?:bears|carries|has|holds)\s+{NUMBER}\s+$"
)
PLACED = any_case(r",?\s+(?:(?:sits?|are|is)\s+)?(?:ortho|meta|para|next|adjacent|α|β)\b")  # `one OH ortho to the acid`

# whether the thing is denied

_CONTRASTS = ("but", "however", "whereas", "while", "although", "though", "yet")
_REASONS = ("as", "since", "because", "so", "which", "giving", "forming", "to give")
_CONTINUES = one_of("it", "the", "has", "is", "carries", "bears", "contains", "its")
# where a new clause begins inside a sentence: what was denied before is not denied behind it
BREAK = any_case(
    one_of(
        rf",?\s+\b{one_of(*_CONTRASTS)}\b",
        r"\s-\s",
        r":\s",
        r"\.\.\.\s|…\s",
        rf",\s+{one_of(*_REASONS, f'and {_CONTINUES}')}\b",
    )
)

_NEGATIONS = (
    r"no(?! (?:more|less|fewer|additional|further|other)\b)",  # `no more than two` denies nothing
    r"not(?! only| more than)",
    *("without", r"lack(?:s|ing)?", r"absen(?:t|ce of)", "free of", "devoid of", "neither", "nor"),
    *("rather than", "instead of", "none of", "never", "missing", "excluding"),
)
NO = any_case(rf"\b{one_of(*_NEGATIONS)}\b|n't\b")

_NEXT_THINGS = (
    *("an?", "the", "one", "two", "three", r"\d+", "it", "this", "there"),
    *("has", "contains", "bears", "carries", "features", "is", "only", "with"),
)
# where a denial ends: `no nitrile, but`, `no nitrile and one ester`
NO_MORE = any_case(
    one_of(
        rf"(?:,|\band)\s+{one_of(*_NEXT_THINGS)}\b",
        r"\bother than\b",
        r"\bexcept\b",
        r"\bno longer\b",
    )
)

_ABSENT = one_of("absent", "missing", rf"not\s+{one_of('present', 'found', 'there', 'seen', 'in')}", "lacking")
# a denial behind the thing
NO_AFTER = any_case(
    one_of(
        rf"[\w\s/-]{{0,30}}?\b(?:(?:is|are|was|were|being)\s+{_ABSENT}|isn't|aren't)",
        r"\s*(?:does|do)(?: not|n't)\s*(?:[,.;]|$|appear|occur|exist)",
        r"\s*(?::|-|=)\s*(?:none|no|nil|absent|0|not (?:present|found|detected))\b",
        r"\s*\|\s*(?:none|no|nil|absent|0|-|not (?:present|found|detected)|✗|❌)\s*(?:\||$)",  # a row of a table
        r"\s*\(\s*(?:none|nil|absent|0)\s*\)",
        r"\s*-free\b",
    )
)

# whether anything is asserted of the molecules at hand

_LOSSES = (r"los(?:s|es|ing)\b", r"lost\b", r"fragment\w*", "peaks?", "m/z", "adducts?", r"expel\w*", r"eliminat\w+")
_SIDE_PARTS = r"(?:side[ -]chain|substituent|residue|group|leaving group|monomer|unit)s?"
# a mass or a formula behind these words is that of a part, or of what goes
PART = any_case(rf"\b{one_of(*_LOSSES)}|\b{_SIDE_PARTS}\s+(?:has|have|with|of|weighs?|contributes?|adds?|is|are)\b")

_DESCRIBED = one_of("written", "described", "called", "classified", "named")
_HYPOTHESES = (
    *(
        "if",
        r"(?<!\w )had (?:the|it)",
        "whether",
        "unless",
        "suppose",
        "were to",
        "imagine",
        "consider adding",
        "had we",
        "had there",
    ),
    *("in principle", "in theory", "without knowing", r"hypothetical\w*"),
)
_POSSIBILITIES = (
    *(
        "could",
        "might",
        "may",
        "perhaps",
        "presumably",
        "possibl[ey]",
        r"potential(?:ly)?",
        "expected",
        "ought",
        "should",
    ),
    rf"(?<!I )would(?! be {_DESCRIBED})",  # but `it would be classified as an ester`
    r"can be (?:oxidi|reduc|hydroly|convert|turn)\w*",
    *("seems?", "unclear", "unknown"),
)
_HABITS = (
    *(
        r"typical(?:ly)?",
        r"usual(?:ly)?",
        "often",
        r"general(?:ly)?",
        "commonly",
        "frequently",
        "sometimes",
        "normally",
    ),
    *("known to", "tend to", "many", "most"),
)
_COMPARISONS = (
    *("for example", r"e\.g\.", "such as", "unlike", "compared (?:with|to)", "similar to", "related to"),
    *(r"(?<!looks )(?<!look )like", "reminiscent", r"resembl\w+", r"mimic\w*"),
)
_OTHER_THINGS = (
    # `any ester` asserts nothing, unless the clause denies it
    "".join(f"(?<!{verb} )" for verb in ("lacks", "lack", "lacking", "of", "without", "contain", "have", "not"))
    + "any",
    "by-?products?",
    *("esterified with", "derived from", r"condens\w+ (?:of|with)", "protected with"),
)
_QUESTIONS = ("do i", "is there", "does (?:it|the)")
HEDGE = any_case(rf"\b{one_of(*_HYPOTHESES, *_POSSIBILITIES, *_HABITS, *_COMPARISONS, *_OTHER_THINGS, *_QUESTIONS)}\b")

# a rule of thumb, or what happens elsewhere
_RULES = (
    *(
        "limits?",
        "cut-?offs?",
        "rules?",
        "Lipinski(?:'s)? [a-z]*(?:space|violations?|filters?)",
        "Veber",
        "allows?",
        "requires?",
        "needs?",
        "thresholds?",
    ),
    *(r"criteri\w+", "guidelines?", "pH", "or (?:less|fewer|more)"),
)
RULE = re.compile(rf"\b{one_of(*_RULES)}\b")

_BOUNDS = (
    *(
        "fewer than",
        "less than",
        "at most",
        "no more than",
        "not more than",
        "up to",
        "below",
        "under",
        "above",
        "over",
    ),
    "no (?:additional|further|other)",
)
BOUND = any_case(rf"\b{one_of(*_BOUNDS)}\s+[\w-]*\s*$")

# `ester hydrolysis`, `amide-like`: another thing than an ester or an amide
_EXCEPTIONS = ("other than", "besides", "except")
_RELATIVES = (
    "oximes?",
    "hydrazones?",
    "enolates?",
    "derivatives?",
    "analog(?:ue)?s?",
    "equivalents?",
    "surrogates?",
    "(?:bio)?isosteres?",
    "mimics?",
)
_REACTIONS = (
    *("chemistry", "formation", "hydrolysis", "reduction", "oxidation", "protection", "deprotection", "coupling"),
    *("synthesis", "cleavage", "removal", "exchange", "metathesis"),
)
_ROLES = (
    *("solvents?", "base", "scavenger", "donors?", "acceptors?", r"catal\w+", "mediated", "labile", "stable"),
    *("sensitive", "work-?up", "conditions?", "receptors?", "inhibitors?", "[a-z]+ase"),
)
_OTHERS = ("precursors?", "like", "type", "as (?:a |the )?by-?products?")
NOT_THE_THING = any_case(rf"[\s-]*{one_of(*_EXCEPTIONS, *_RELATIVES, *_OTHERS, *_REACTIONS, *_ROLES)}\b")

_HAVING = (
    *(r"contain\w*", "has", "have", "having", r"bear\w*", r"feature\w*", r"include\w*", r"possess\w*"),
    *("carr(?:y|ies|ying)", "there (?:is|are)", "with", "comprises?", "consists?", r"display\w*", r"show\w*"),
)
_SEEING = ("see", r"identif\w+", "groups?:", "present", "presence", "attached", "find", "note", "spot", "count")
_AT_HAND = ("molecule", "compound", "structure", "product", "reactants?", "this", "these", "here")
ASSERTS = any_case(rf"\b{one_of(*_HAVING, *_SEEING, *_AT_HAND)}\b|:\s")
DEFINITE = any_case(r"\b(?:the|its|their|this|these|those|all|both)\s+(?:[\w-]+\s+)?$")

# `Esters are hydrolysed by …`: nobody's ester in particular
_STARTS_HERE = one_of(
    *NUMBERS, r"\d+", "several", "both", "no", "this", "the", "these", "all", "it", "its", "contains", "has", "is"
)
_GENERAL_VERBS = (
    *("can", "are", "react", "tend", "undergo", "give", "usually", "often", "of", "that", "typically", "may", "do"),
    *("cross", "form", "serve", "with", "above", "below", "prefer", "have", "like", "need", "struggle"),
)
GENERAL = re.compile(
    rf"\W*(?!(?i:{_STARTS_HERE})\b|[A-Z][a-z]?[-=#][A-Z])"  # neither `Two esters` nor `C-N bonds`
    r"(?:[A-Z][\w-]*\s+)?(?:[a-z][\w-]*\s+){0,2}?[A-Za-z][\w-]*s\s+"  # a plural, with up to three words before it
    rf"(?:also\s+|often\s+|usually\s+)?{one_of(*_GENERAL_VERBS)}\b"
)

# a hedge behind the thing: `esters can be hydrolysed`, but not `esters can be seen`
_NOTICED = one_of("seen", "identified", "found", "recogni[sz]ed", "spotted", "counted", "traced", "assigned", "read")
_HABITUALLY = one_of("the (?:limit|maximum|usual)", "generally", "usually", "often", "typically", "commonly")
_LATE_HEDGES = (
    rf"can(?! be {_NOTICED})",
    *("could", "may", "might", "would", "possibly", "perhaps", "often", "usually", "typically", "normally"),
    rf"(?:is|are) {_HABITUALLY}",
)
THEN_HEDGED = any_case(rf"\s*(?:[\w-]+\s+)?{one_of(*_LATE_HEDGES)}\b")
