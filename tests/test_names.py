"""The namer of nano's molecules: OPSIN, an independent parser of names, draws the molecule that was named."""

import random
import re
import shutil

import pytest

from chemr_lite import parse_smiles
from recipes.studies.nano.names import PREFIXES, _name, frames, named

RNG = random.Random(0)
MANY = [named(RNG) for _ in range(4000)]


@pytest.mark.skipif(not shutil.which("java"), reason="OPSIN needs Java (Debian: apt install default-jre-headless)")
def test_opsin_draws_what_was_named():
    from py2opsin import py2opsin

    drawn = py2opsin([molecule.name for molecule in MANY])
    wrong = [
        (molecule, smiles)
        for molecule, smiles in zip(MANY, drawn, strict=True)
        if parse_smiles(smiles or "").key != molecule.smiles
    ]
    assert not wrong, wrong[:5]


def test_a_molecule_has_one_name_and_one_description():
    for text_of in (lambda molecule: molecule.name, lambda molecule: molecule.caption):
        pairs = {(molecule.smiles, text_of(molecule)) for molecule in MANY}
        assert len({smiles for smiles, _ in pairs}) == len({text for _, text in pairs}) == len(pairs)


def test_molecules_are_canonical_and_small():
    for molecule in MANY:
        parsed = parse_smiles(molecule.smiles)
        assert parsed.key == molecule.smiles and parsed.mol.GetNumHeavyAtoms() <= 30


def test_every_frame_and_every_substituent_is_drawn():
    captions = " ".join(molecule.caption for molecule in MANY)
    assert all(f" {frame.kind} that is" in captions for frame in frames()[0])
    assert all(f"{prefix} at" in captions for prefix in PREFIXES)


@pytest.mark.parametrize(
    "core, whole, nitrogen, substituents, name",
    [
        ("benzoic acid", "{}", "", {}, "benzoic acid"),
        ("benzoic acid", "{}", "", {2: "chloro", 4: "chloro", 3: "methyl"}, "2,4-dichloro-3-methylbenzoic acid"),
        ("benzamide", "{}", "ethyl", {3: "ethyl", 4: "bromo"}, "4-bromo-N,3-diethylbenzamide"),
        ("benzamide", "{}", "2-methylpropyl", {}, "N-(2-methylpropyl)benzamide"),
        ("phenyl", "({})methanol", "", {}, "phenylmethanol"),
        (
            "phenyl",
            "({})methanol",
            "",
            {2: "trifluoromethyl", 3: "fluoro"},
            "[3-fluoro-2-(trifluoromethyl)phenyl]methanol",
        ),
        ("pyridine-3-carboxamide", "{}", "", {6: "propan-2-yl"}, "6-propan-2-ylpyridine-3-carboxamide"),
        ("hexanoic acid", "{}", "", {3: "hydroxy", 4: "methyl"}, "3-hydroxy-4-methylhexanoic acid"),
    ],
)
def test_names_follow_the_rules(core, whole, nitrogen, substituents, name):
    frame = next(f for f in frames()[0] if (f.core, f.whole, f.nitrogen) == (core, whole, nitrogen))
    assert _name(frame, substituents) == name


def test_locants_are_the_lowest():
    for molecule in MANY:
        locants = [int(number) for number in re.findall(r" at (\d)", molecule.caption)]
        if "benz" in molecule.name and locants:  # numbered in the other direction, they would not be lower
            assert sorted(locants) <= sorted(8 - locant for locant in locants)
