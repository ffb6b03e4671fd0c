"""Names with locants: what is read of them, and what it matches."""

import pytest
from rdkit import Chem

from chemr_lite.claims import composed


@pytest.mark.parametrize(
    "text, smiles, matches",
    [
        ("a 2,4-dichlorophenyl ring", "OC(=O)COc1ccc(Cl)cc1Cl", True),
        ("the 3,4-dichlorophenyl", "OC(=O)COc1ccc(Cl)cc1Cl", False),
        ("para-chlorophenyl", "COC(=O)C(N)c1ccccc1Cl", False),
        ("an ortho-chlorophenyl group", "COC(=O)C(N)c1ccccc1Cl", True),
        ("3-chloro-4-fluoroaniline", "Nc1ccc(F)c(Cl)c1", True),
        ("4-chloro-3-fluoroaniline", "Nc1ccc(F)c(Cl)c1", False),
        ("4-(trifluoromethyl)benzoic acid", "OC(=O)c1ccc(C(F)(F)F)cc1", True),
        ("p-methoxybenzyl", "COc1ccc(CN)cc1", True),
        ("p-methoxybenzoyl", "COc1ccc(CN)cc1", False),
        ("a dichlorophenyl", "Clc1cc(Cl)cc(C)c1", True),
        ("a trichlorophenyl", "Clc1cc(Cl)cc(C)c1", False),
        ("2,6-difluorobenzamide", "NC(=O)c1c(F)cccc1F", True),
        ("bicyclo[2.2.1]heptane", "CC1(C)C2CCC1(C)C(=O)C2", True),
        ("bicyclo[2.2.2]octane", "CC1(C)C2CCC1(C)C(=O)C2", False),
        ("bicyclo[4.4.0]decane skeleton", "C1CCC2CCCCC2C1", True),
        ("bicyclo[3.1.0]hexane", "C1CC2CC2C1", True),
    ],
)
def test_a_name_and_what_it_matches(text, smiles, matches):
    ((_, _, patterns),) = composed.find(text)
    assert any(Chem.MolFromSmiles(smiles).HasSubstructMatch(Chem.MolFromSmarts(p)) for p in patterns) == matches


@pytest.mark.parametrize(
    "text", ["2,4-chlorophenyl", "4-dichlorophenyl", "a phenyl ring", "chlorobenzene", "7-chlorophenyl", "bicyclo[2.2]"]
)
def test_other_names_and_impossible_locants_are_not_read(text):
    assert not list(composed.find(text))
