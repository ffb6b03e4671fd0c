"""Readers of stereochemistry, and of SMILES that stand in the text."""

import re
from collections import Counter as Tally
from collections.abc import Iterator

from rdkit import Chem

from chemr_lite.chemistry.structure import scaffold, stereocentres
from chemr_lite.claims import measures
from chemr_lite.claims.claim_builders import Found, any_case, counted_claim, stated_claim
from chemr_lite.claims.measures import mol_of
from chemr_lite.claims.passages import NUMBER, Passage, Quantity
from chemr_lite.smiles import parse_smiles

# stereochemistry

_CENTRE = any_case(
    r"\b(?P<assigned>defined |specified |assigned )?(?:stereo(?:genic|chemical)?[ -]?cent(?:re|er)s?|chiral (?:cent(?:re|er)s?|carbons?(?: atoms?)?)|asymmetric (?:cent(?:re|er)s?|carbons?))\b"
)
_CHIRAL = any_case(
    r"\b(?P<word>achiral|chiral|optically active)\b(?! (?:cent|carbon|auxil|pool|HPLC|separat|resol|catal|purity|atom))"
)
_LABELS = re.compile(
    r"(?<!\w)\((?P<labels>\d*[RSEZ](?:,\s?\d*[RSEZ])*)\)|(?<![\w-])(?P<one>[RSEZ])[- ](?:configur\w+|enantiomer|isomer|geometry|alkene|olefin|stereo\w*|absolute|label\w*|at\b)"
    r"|(?:configur\w+|geometry|label|descriptor|(?:stereo)?cent(?:re|er)s?|carbon|double bond|alkene|olefin) (?:is |are |of |at \w+ is |drawn as |both )*\(?(?P<late>[RSEZ])\)?(?![\w'])|\b(?P<cis>(?i:cis|trans))(?=[- ](?:double|alkene|olefin|config|geometry|isomer|disubst|enone|chalcone|cinnam|stilbene))"
    r"|\b(?:geometry|alkene|olefin|double bond|C=C) is (?P<iscis>cis|trans)\b|\ban? (?P<kind>[EZ])(?:-| )(?=\w*(?:chalcone|enone|alkene|olefin|cinnam\w+|stilbene|enal|enoate|acrylate))"
)
_ATOM_LABEL = re.compile(r"\batom (?P<index>\d+) (?P<label>[RS?])(?!\w)")
_SOME_CENTRE = any_case(rf"(?:{NUMBER}|\bno|\ban?|\bany|\bits|\bthe only|\bwithout|\black\w*)\s+(?:[a-z-]+\s+){{0,2}}$")


def read_stereo(passage: Passage) -> Iterator[Found]:
    """`two stereocentres`, `achiral`, `(R)`, `E-configured`, `atom 3 R`."""
    for found in _ATOM_LABEL.finditer(passage.plain):
        said = int(found["index"]), found["label"]
        yield stated_claim(
            passage,
            found.span(),
            "stereo",
            f"atom {said[0]} is {said[1]}",
            lambda s, said=said: said in stereocentres(s),
            Quantity(1, False),
        )
    for found in _CENTRE.finditer(passage.plain):
        if not (
            _SOME_CENTRE.search(passage.plain[: found.start()])
            or re.match(r"\s*[:=]\s*\d", passage.plain[found.end() :])
        ):
            continue
        every, assigned = (
            (lambda s: len(stereocentres(s))),
            (lambda s: sum(label in "RS" for _, label in stereocentres(s))),
        )
        quantity = passage.quantity(*found.span())
        # one that is not assigned is still one, but `two stereocentres` may mean those that are
        readings = [assigned] if found["assigned"] else [every] if quantity.denied else [every, assigned]
        yield counted_claim(passage, found.span(), "stereo", "stereocentres", readings, quantity)
    for found in _CHIRAL.finditer(passage.plain):
        chiral = found["word"].lower() != "achiral"
        yield stated_claim(
            passage,
            found.span(),
            "stereo",
            "chiral" if chiral else "achiral",
            lambda s, chiral=chiral: bool(stereocentres(s)) == chiral,
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
        yield stated_claim(
            passage,
            found.span(),
            "stereo",
            ",".join(labels.elements()),
            lambda s, labels=labels: labels <= Tally(measures.stereo_labels(s)),
        )


# SMILES in the text

_PIECE = any_case(
    r"\b(?:fragments?|substructures?|subunits?|moiet(?:y|ies)|groups?|units?|motifs?|parts?|contains?|includes?|appears?|present|portion|segments?|pieces?|branch|"
    r"substituents?|side chains?|pattern|string|core|skeleton|tail|chain|ring)\b"
)
_SCAFFOLD = any_case(r"\b(?:scaffold|framework|Murcko)\b")


def read_smiles(passage: Passage) -> Iterator[Found]:
    """A scaffold, or a piece that is said to be in the molecule; a molecule of the row in full claims nothing."""
    for start, end, smiles in passage.smiles:
        molecules = [s for side in passage.subjects(start) for s in side]
        piece = parse_smiles(smiles)
        if ">>" in smiles:
            continue
        if _SCAFFOLD.search(passage.plain[:start]) or _SCAFFOLD.search(passage.plain[end : end + 40]):
            flat = Chem.MolToSmiles(piece.mol, isomericSmiles=False)
            yield stated_claim(
                passage,
                (start, end),
                "scaffold",
                f"scaffold {flat}",
                lambda s, flat=flat: flat == Chem.CanonSmiles(scaffold(mol_of(s))),
            )
        elif piece.key in {parse_smiles(s).key for s in molecules}:
            continue
        elif _PIECE.search(passage.plain[:start]) or _PIECE.match(passage.plain[end:].lstrip("` '\")")):
            pattern = Chem.MolFromSmarts(smiles) if "[" in smiles else None  # C(=O)[OH] means that hydrogen
            yield stated_claim(
                passage,
                (start, end),
                "fragment",
                f"piece {piece.key}",
                lambda s, piece=piece, pattern=pattern: mol_of(s).HasSubstructMatch(pattern or piece.mol),
            )
