"""The gate: what it accepts, what it refuses and why, and that no text makes it raise or hang."""

import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from chemr_lite.reasons import Reason
from chemr_lite.smiles import MAX_CHARS, MAX_HEAVY_ATOMS, MAX_RING_CLOSURES, parse_smiles, similarity, without_stereo

LIMIT_S = 0.25  # processor time for any text


def timed(text):
    start = time.process_time()
    parsed = parse_smiles(text)
    return parsed, time.process_time() - start


ACCEPTED = [
    pytest.param("CCO", "CCO", id="plain"),
    pytest.param("OCC", "CCO", id="other-writing-same-key"),
    pytest.param("C1=CC=CC=C1", "c1ccccc1", id="kekule-form-is-aromatic"),
    pytest.param("  CCO\n", "CCO", id="outer-white-space"),
    pytest.param("[CH3:1][CH2:2][OH:3]", "CCO", id="atom-maps-ignored"),
    pytest.param(
        "[CH3:1][C@@H:2]([NH2:4])[C:3](=[O:5])[OH:6]",
        Chem.CanonSmiles("C[C@@H](N)C(=O)O"),
        id="atom-maps-keep-real-stereo",
    ),
    pytest.param("[H]C([H])([H])O", "CO", id="explicit-hydrogens"),
    pytest.param("[2H]C([2H])([2H])O", "[2H]C([2H])([2H])O", id="isotopes-count"),
    pytest.param("C", "C", id="methane-is-a-molecule"),
    pytest.param("O", "O", id="water-is-a-molecule"),
    pytest.param("[CH4]", "C", id="brackets-that-say-nothing"),
    pytest.param("[Na+].CC(=O)[O-]", "CC(=O)[O-].[Na+]", id="salt-with-a-molecule-in-it"),
    pytest.param("C%10CC%10", "C1CC1", id="two-digit-ring-closure"),
    pytest.param("F/C=C\\F", Chem.CanonSmiles("F\\C=C/F"), id="double-bond-stereo"),
    pytest.param("[13CH3]" + "[13CH2]" * 150 + "O", None, id="digits-in-brackets-are-no-rings"),
    pytest.param("C" * MAX_HEAVY_ATOMS, None, id="largest-chain"),
    pytest.param("C1CC1" * MAX_RING_CLOSURES, None, id="most-rings"),
]


@pytest.mark.parametrize("text, key", ACCEPTED)
def test_accepts(text, key):
    parsed = parse_smiles(text)
    assert parsed.ok and parsed.reason is Reason.CORRECT
    if key is not None:
        assert parsed.key == key
    assert parsed.fragments == tuple(sorted(parsed.key.split(".")))


REFUSED = [
    pytest.param("", Reason.EMPTY, id="empty"),
    pytest.param(" \t\n", Reason.EMPTY, id="white-space-only"),
    pytest.param("CCO is the product", Reason.INNER_WHITESPACE, id="prose-after-a-blank"),
    pytest.param("CCO\nCCN", Reason.INNER_WHITESPACE, id="two-lines"),
    pytest.param("CCO\tname", Reason.INNER_WHITESPACE, id="name-after-a-tab"),
    pytest.param("CC\u00a0O", Reason.INNER_WHITESPACE, id="no-break-space"),
    pytest.param("CCO |$;;$|", Reason.INNER_WHITESPACE, id="cxsmiles-extension"),
    pytest.param("The answer is ethanol", Reason.INNER_WHITESPACE, id="prose-alone"),
    pytest.param("ethanol", Reason.SYNTAX, id="a-name"),
    pytest.param("*", Reason.DUMMY_ATOM, id="dummy-atom"),
    pytest.param("[*:1]CCO", Reason.DUMMY_ATOM, id="dummy-atom-on-a-molecule"),
    pytest.param("[#0]C", Reason.DUMMY_ATOM, id="dummy-atom-by-number"),
    pytest.param("[C]", Reason.LONE_ATOM, id="lone-carbon"),
    pytest.param("[Xe]", Reason.LONE_ATOM, id="lone-xenon"),
    pytest.param("[CH3]", Reason.LONE_ATOM, id="lone-radical"),
    pytest.param("[Cl-]", Reason.LONE_ATOM, id="lone-ion"),
    pytest.param("[Na+].[Cl-]", Reason.LONE_ATOM, id="only-lone-ions"),
    pytest.param("[H]", Reason.NO_HEAVY_ATOM, id="hydrogen-atom"),
    pytest.param("[H][H]", Reason.NO_HEAVY_ATOM, id="hydrogen-molecule"),
    pytest.param("[H+]", Reason.NO_HEAVY_ATOM, id="proton"),
    pytest.param("CCO>>CC=O", Reason.REACTION_ARROW, id="reaction"),
    pytest.param("CCO>O>CC=O", Reason.REACTION_ARROW, id="reaction-with-agent"),
    pytest.param("CN->[Cu]", Reason.REACTION_ARROW, id="dative-arrow"),
    pytest.param("\u0421\u0421\u041e", Reason.SYNTAX, id="cyrillic-look-alikes"),
    pytest.param("C\u039fC", Reason.SYNTAX, id="greek-look-alike"),
    pytest.param("\uff23\uff23\uff2f", Reason.SYNTAX, id="full-width-letters"),
    pytest.param("CCO\u200b", Reason.SYNTAX, id="zero-width-space"),
    pytest.param("C\u00b2", Reason.SYNTAX, id="superscript-digit"),
    pytest.param("C\x00O", Reason.SYNTAX, id="nul-inside"),
    pytest.param("C1CC", Reason.SYNTAX, id="open-ring"),
    pytest.param("CC(C", Reason.SYNTAX, id="open-branch"),
    pytest.param("CC)C", Reason.SYNTAX, id="closed-branch-never-opened"),
    pytest.param("CCO.", Reason.SYNTAX, id="dot-at-the-end"),
    pytest.param("[Qq]C", Reason.SYNTAX, id="no-such-element"),
    pytest.param("CC[C@@@H]", Reason.SYNTAX, id="bad-chirality-mark"),
    pytest.param("C(C)(C)(C)(C)C", Reason.CHEMISTRY, id="pentavalent-carbon"),
    pytest.param("c1cccc1", Reason.CHEMISTRY, id="cannot-be-kekulised"),
    pytest.param("F=F", Reason.CHEMISTRY, id="divalent-fluorine"),
    pytest.param("C" * (MAX_CHARS + 1), Reason.TOO_LONG, id="one-character-too-long"),
    pytest.param("C" * (MAX_HEAVY_ATOMS + 1), Reason.TOO_COMPLEX, id="one-atom-too-many"),
    pytest.param("C1CC1" * (MAX_RING_CLOSURES + 1), Reason.TOO_COMPLEX, id="one-ring-too-many"),
]


@pytest.mark.parametrize("text, reason", REFUSED)
def test_refuses(text, reason):
    parsed = parse_smiles(text)
    assert not parsed.ok and parsed.reason is reason
    assert (parsed.key, parsed.fragments) == ("", ())


@pytest.mark.parametrize("value", [None, 3, 2.5, b"CCO", ["CCO"], {"smiles": "CCO"}, Chem.MolFromSmiles("CCO")])
def test_what_is_no_text_is_refused(value):
    assert parse_smiles(value).reason is Reason.EMPTY  # and no TypeError for unhashable values


def test_white_space_around_does_not_count_towards_the_length():
    assert parse_smiles(" " * MAX_CHARS + "CCO").ok


@pytest.mark.parametrize("text", ["CCO\x00", "CCO\x7f", "\x00CCO"])
def test_control_characters_are_no_smiles(text):
    assert parse_smiles(text).reason is Reason.SYNTAX


@pytest.mark.parametrize(
    "mapped, plain",
    [
        pytest.param("[CH3:1][C@H](O)[CH3:2]", "CC(C)O", id="centre-that-only-the-maps-make"),
        pytest.param("[CH3:1]/[CH:2]=[C:3](/[CH3:4])[CH3:5]", "CC=C(C)C", id="double-bond-that-only-the-maps-make"),
    ],
)
def test_atom_maps_make_no_stereochemistry(mapped, plain):
    """Two methyls that differ only in their atom maps make no stereocentre, so a mapped answer must match."""
    assert parse_smiles(mapped).key == parse_smiles(plain).key


UNREADABLE = [
    pytest.param("CCOc1~occ1N", id="any-bond"),
    pytest.param("CN(C)c1~[te]c(Cl)ccc1C=O", id="any-bond-in-a-ring"),
    pytest.param("C[Na]C=1cc(C(C=O)CSC)nn[Al]1", id="metal-ring"),
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_key_can_be_read_back(text):
    """RDKit refuses some of the SMILES that it writes, but all code behind the gate reads the key again."""
    parsed = parse_smiles(text)
    assert not parsed.ok or Chem.MolFromSmiles(parsed.key) is not None


@pytest.mark.parametrize(
    "text", ["CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O.Cl", "F/C=C/Cl", "O=c1cccc[nH]1", "[O-][n+]1ccccc1", "CC#N"]
)
def test_the_key_is_a_fixed_point(text):
    key = parse_smiles(text).key
    assert parse_smiles(key).key == key
    for seed in range(5):
        other = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(text), 1, randomSeed=seed + 1)[0]
        assert parse_smiles(other).key == key


# similarity


@pytest.mark.parametrize(
    "a, b",
    [
        pytest.param("C" * 12, "C" * 14, id="dodecane-tetradecane"),
        pytest.param("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", id="l-and-d-alanine"),
        pytest.param("C[C@H](N)C(=O)O", "CC(N)C(=O)O", id="alanine-without-its-stereo"),
        pytest.param("CCO", "CCO.CCO.CCO", id="copies"),
        pytest.param("O=c1cccc[nH]1", "Oc1ccccn1", id="2-pyridone-2-hydroxypyridine"),
        pytest.param("C/C=C/C", "C/C=C\\C", id="e-and-z-butene"),
        pytest.param("C" * 150, "C" * 151, id="long-chains"),
        pytest.param("CCO", "[2H]CCO", id="an-isotope"),
    ],
)
def test_different_molecules_have_different_keys_and_similarity_below_one(a, b):
    a, b = parse_smiles(a), parse_smiles(b)
    assert a.ok and b.ok
    assert a.key != b.key
    assert 0 < similarity(a, b) < 1
    assert similarity(a, b) == similarity(b, a)


@pytest.mark.parametrize(
    "a, b", [("OCC", "CCO"), ("C1=CC=CC=C1", "c1ccccc1"), ("Cl.CCN", "CCN.Cl"), ("[CH3:7]O", "CO")]
)
def test_one_molecule_in_two_writings_has_similarity_one(a, b):
    assert similarity(parse_smiles(a), parse_smiles(b)) == 1.0


def test_copies_cost_similarity():
    ethanol = parse_smiles("CCO")
    once, twice, thrice = (similarity(ethanol, parse_smiles(".".join(["CCO"] * n))) for n in (1, 2, 3))
    assert once > twice > thrice


@pytest.mark.parametrize("refused", ["", "*", "[Xe]", "not a molecule", "C1CC"])
def test_a_refused_text_is_similar_to_nothing(refused):
    bad = parse_smiles(refused)
    assert similarity(bad, parse_smiles("CCO")) == similarity(parse_smiles("CCO"), bad) == similarity(bad, bad) == 0.0


def test_without_stereo_removes_both_kinds():
    assert without_stereo(parse_smiles("C[C@H](N)/C=C/F").key) == parse_smiles("CC(N)C=CF").key


# bounds

OPEN_RINGS = "[Fe]12345678" + "9[Fe]%10%11%12%13%14%15%16%171[Fe]%18%19%20%21%22%23%242%10"  # cut off in the middle
FULLERENE = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3c3c8c4c4"
    "c9c5c1c1c6c2c3c41"
)
LONG = [
    pytest.param("(" * 2000, id="open-branches"),
    pytest.param("[" * 2000, id="open-brackets"),
    pytest.param("C(" * 999, id="nested-and-never-closed"),
    pytest.param("C(" * 299 + "C" + ")" * 299, id="nested-and-closed"),
    pytest.param("1" * 2000, id="digits"),
    pytest.param("%99" * 600, id="two-digit-closures"),
    pytest.param("C" + "123456789" * 200, id="one-atom-closes-every-ring"),
    pytest.param(OPEN_RINGS, id="open-rings-between-metals"),
    pytest.param(FULLERENE, id="fullerene"),
    pytest.param(FULLERENE.upper(), id="saturated-cage"),
    pytest.param("c1ccc2" * 29 + "c1ccccc1", id="fused-and-broken"),
    pytest.param("C1CC1" * 60, id="sixty-rings"),
    pytest.param("c1ccc(cc1)-" * 40 + "C", id="polyphenyl"),
    pytest.param(".".join(["CC"] * 150), id="many-fragments"),
    pytest.param("C." * 999 + "C", id="too-many-fragments"),
    pytest.param(".".join(["[C@H](F)(Cl)Br"] * 75), id="chiral-fragments"),
    pytest.param("C" + "[C@H](F)" * 149, id="stereo-chain"),
    pytest.param("[C@H]1(F)" + "[C@@H](F)" * 118 + "[C@H]1F", id="stereo-ring"),
    pytest.param("C" + "/C=C" * 149, id="polyene-with-stereo"),
    pytest.param("N[C@@H](CC(=O)O)C(=O)" * 35 + "O", id="peptide"),
    pytest.param("C=1" * 600, id="bonds-and-digits"),
    pytest.param("[Fe+3]" * 330, id="metal-chain"),
    pytest.param("C" * 1_000_000, id="a-million-characters"),
    pytest.param(" ." * 1000, id="dots-and-blanks"),
]


@pytest.mark.parametrize("text", LONG)
def test_long_texts_are_bounded_in_time(text):
    parse_smiles("CCO")
    parsed, seconds = timed(text)
    assert seconds < LIMIT_S
    assert parsed.ok == (parsed.reason is Reason.CORRECT)


def test_similarity_of_the_largest_molecules_is_bounded_in_time():
    pairs = [("C" * 300, "C" * 299 + "O"), ("C=C" * 150, "C#C" * 150), (FULLERENE, "C1CC1" * 60)]
    similarity(parse_smiles("CCO"), parse_smiles("CCN"))
    for a, b in pairs:
        start = time.process_time()
        assert 0 <= similarity(parse_smiles(a), parse_smiles(b)) < 1
        assert time.process_time() - start < 2 * LIMIT_S


# Two thirds of the texts resemble SMILES: those of single characters mostly fail to parse, those of pieces do not.
CHARACTERS = st.sampled_from([*"CCCNOSPFBIcnos()[]=#-+@/\\.%123456789*>:H ", "Cl", "[C@H]", "[nH]", "c1ccccc1", "[O-]"])
PIECES = st.sampled_from([
    "C", "O", "N", "c1ccccc1", "C(=O)", "(F)", "(C)", "=C", "#N", ".", "[C@H](F)", "[Fe]", "/C=C/", "C1CC1",
    "[Na+].[O-]",
])  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(CHARACTERS, max_size=40).map("".join),
    st.lists(PIECES, min_size=1, max_size=12).map("".join),
)


@settings(max_examples=10_000, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
@example("\ud800")  # half of a surrogate pair cannot be encoded
@example("\x00")
def test_no_text_raises_or_takes_long(text):
    parsed, seconds = timed(text)
    assert seconds < LIMIT_S
    assert parsed.ok == (parsed.reason is Reason.CORRECT) == bool(parsed.key)
    if parsed.ok:
        assert parsed.mol.GetNumHeavyAtoms() >= 1
        assert not any(c.isspace() for c in text.strip())
