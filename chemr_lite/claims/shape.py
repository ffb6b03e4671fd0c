"""Readers of stereochemistry, and of SMILES that stand in the text."""

import re
from collections import Counter
from collections.abc import Iterator

from rdkit import Chem

from chemr_lite.chemistry.structure import scaffold, stereocentres
from chemr_lite.claims import measures
from chemr_lite.claims.language import COUNT_AFTER, NO_AFTER, NUMBER, any_case, one_of
from chemr_lite.claims.measures import mol_of
from chemr_lite.claims.passages import Passage
from chemr_lite.claims.statements import Statement, count_statement, fact_statement
from chemr_lite.smiles import parse_smiles

# stereochemistry

_CENTRE_NAMES = one_of(
    r"stereo(?:genic|chemical)?[ -]?cent(?:re|er)s?",
    r"chiral (?:cent(?:re|er)s?|carbons?(?: atoms?)?)",
    r"asymmetric (?:cent(?:re|er)s?|carbons?)",
)
_CENTRE = any_case(rf"\b(?P<assigned>defined |specified |assigned )?{_CENTRE_NAMES}\b")
_DETERMINERS = (r"\bno", r"\ban?", r"\bany", r"\bits", r"\bthe only", r"\bwithout", r"\black\w*")
_SOME_CENTRE = any_case(rf"{one_of(NUMBER, *_DETERMINERS)}\s+(?:[a-z-]+\s+){{0,2}}$")
# `chiral pool` says nothing of the molecule
_CHIRAL_THINGS = ("cent", "carbon", "auxil", "pool", "HPLC", "separat", "resol", "catal", "purity", "atom")
_CHIRAL = any_case(rf"\b(?P<word>achiral|chiral|optically active)\b(?! {one_of(*_CHIRAL_THINGS)})")

_LABELLED = one_of(
    *(r"configur\w+", "enantiomer", "isomer", "geometry", "alkene", "olefin", r"stereo\w*", "absolute", r"label\w*"),
    r"at\b",
)
_BEARERS = one_of(
    *(r"configur\w+", "geometry", "label", "descriptor", "(?:stereo)?cent(?:re|er)s?", "carbon", "double bond"),
    *("alkene", "olefin"),
)
_DOUBLE_BONDS = one_of(
    *("double", "alkene", "olefin", "config", "geometry", "isomer", "disubst", "enone", "chalcone", "cinnam"),
    "stilbene",
)
_ALKENES = one_of("chalcone", "enone", "alkene", "olefin", r"cinnam\w+", "stilbene", "enal", "enoate", "acrylate")
_LABELS = re.compile(
    one_of(
        r"(?<!\w)\((?P<labels>\d*[RSEZ](?:,\s?\d*[RSEZ])*)\)",  # (2R,3S)
        rf"(?<![\w-])(?P<before>[RSEZ])[- ]{_LABELLED}",  # E-configured
        rf"{_BEARERS} (?:is |are |of |at \w+ is |drawn as |both )*\(?(?P<after>[RSEZ])\)?(?![\w'])",  # centre is R
        rf"\b(?P<cis>(?i:cis|trans))(?=[- ]{_DOUBLE_BONDS})",  # trans-alkene
        r"\b(?:[Cc]onfiguration|geometry)\b[^.;:]{0,25}?(?:: | as )\(?(?P<as>[RSEZ])\)?(?![\w'])",  # specified as Z
        r"\b(?:alkene|olefin|enone|double bond|[Gg]eometry)\b[^.;:]{0,20}?"
        r"(?:\bis|comes out|\|)\s+(?P<comes>[EZ])(?![\w'])",  # the double bond as drawn is Z
        r"\b(?:descriptor|stereocent(?:re|er))\b[^.;:,]{0,20}?\bis\s+(?P<comes_out>[RS])(?![\w'])",
        r"\breads (?P<reads>[RS])\b",
        r"\bCIP[,:]? (?P<cip>[RSEZ])(?=\.|$)",
        r"\b(?:geometry|alkene|olefin|double bond|C=C) is (?P<iscis>cis|trans)\b",
        rf"\ban? (?P<kind>[EZ])(?:-| )(?=\w*{_ALKENES})",  # an E-enone
    )
)
_CIS_TRANS = {"cis": "Z", "trans": "E"}
_LABEL_COUNT = re.compile(r"(?<!\S)\d+ (?P<label>[RSrs] centre|unassigned centre|[EZ] double bond)s?\b")


def read_stereo(passage: Passage) -> Iterator[Statement]:
    """Read `two stereocentres`, `achiral`, `(R)`, `E-configured`, `2 R centre`."""
    for match in _LABEL_COUNT.finditer(passage.plain):
        label = "?" if match["label"].startswith("unassigned") else match["label"][0]

        def count(smiles: str, label=label) -> int:
            return measures.stereo_labels(smiles).count(label)

        span = match.span("label")
        yield count_statement(passage, span, "stereo", match["label"], [count], passage.quantity(*span))
    for match in _CENTRE.finditer(passage.plain):
        before, after = passage.plain[: match.start()], passage.plain[match.end() :]
        if not (_SOME_CENTRE.search(before) or COUNT_AFTER.match(after) or NO_AFTER.match(after)):
            continue
        quantity = passage.quantity(*match.span())
        # an unassigned stereocentre is still one, but `two stereocentres` may mean those that are assigned
        readings = [_assigned] if match["assigned"] else [_centres] if quantity.denied else [_centres, _assigned]
        yield count_statement(passage, match.span(), "stereo", "stereocentres", readings, quantity)
    for match in _CHIRAL.finditer(passage.plain):
        chiral = match["word"].lower() != "achiral"

        def is_so(smiles: str, chiral=chiral) -> bool:
            return bool(stereocentres(smiles)) == chiral

        yield fact_statement(passage, match.span(), "stereo", "chiral" if chiral else "achiral", is_so)
    for match in _LABELS.finditer(passage.plain):
        text = match[match.lastgroup]  # each alternative has one group
        labels = Counter(re.findall("[RSEZ]", _CIS_TRANS.get(text.lower(), text)))

        def has_labels(smiles: str, labels=labels) -> bool:
            return labels <= Counter(measures.stereo_labels(smiles))

        yield fact_statement(passage, match.span(), "stereo", ",".join(labels.elements()), has_labels)


def _centres(smiles: str) -> int:
    return len(stereocentres(smiles))


def _assigned(smiles: str) -> int:
    return sum(label in "RS" for _, label in stereocentres(smiles))


# SMILES in the text

_PIECES = (
    *("fragments?", "substructures?", "subunits?", "moiet(?:y|ies)", "groups?", "units?", "motifs?", "parts?"),
    *("contains?", "includes?", "appears?", "present"),
    *("portion", "segments?", "pieces?", "branch", "substituents?", "side chains?", "pattern", "string", "core"),
    *("skeleton", "tail", "chain", "ring"),
)
_PIECE = any_case(rf"\b{one_of(*_PIECES)}\b")
_SCAFFOLD = any_case(r"\b(?:scaffold|framework|Murcko)\b")


def read_smiles(passage: Passage) -> Iterator[Statement]:
    """Read a scaffold, or a piece that is said to be in the molecule; a molecule of the row in full claims nothing."""
    for start, end, smiles in passage.smiles:
        molecules = [s for side in passage.subjects(start) for s in side]
        piece = parse_smiles(smiles)
        if ">>" in smiles:
            continue
        before, after = passage.plain[:start], passage.plain[end:]
        if _SCAFFOLD.search(before) or _SCAFFOLD.search(after[:40]):
            flat = Chem.MolToSmiles(piece.mol, isomericSmiles=False)

            def has_scaffold(smiles: str, flat=flat) -> bool:
                return flat == Chem.CanonSmiles(scaffold(mol_of(smiles)))

            yield fact_statement(passage, (start, end), "scaffold", f"scaffold {flat}", has_scaffold)
        elif piece.key in {parse_smiles(s).key for s in molecules}:
            continue
        elif _PIECE.search(before) or _PIECE.match(after.lstrip("` '\")")):
            pattern = Chem.MolFromSmarts(smiles) if "[" in smiles else None  # C(=O)[OH] means that hydrogen

            def has_piece(smiles: str, pattern=pattern or piece.mol) -> bool:
                return mol_of(smiles).HasSubstructMatch(pattern)

            yield fact_statement(passage, (start, end), "fragment", f"piece {piece.key}", has_piece)
