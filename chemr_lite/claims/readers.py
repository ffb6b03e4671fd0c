"""All readers, one for each kind of claim: each finds the mentions in a clause and holds them against the molecules.

A reader yields ((start, end), kind, what it says, supported, whether it denies, which molecules it is about). The order of READERS settles which of two
keeps words that both could take.
"""

from chemr_lite.claims.amounts import read_atoms, read_bonds, read_charge, read_formula, read_properties
from chemr_lite.claims.changes import read_bond_changes, read_reactions
from chemr_lite.claims.groups import read_composed, read_groups, read_moves, read_none, read_rings
from chemr_lite.claims.shape import read_smiles, read_stereo

READERS = (
    read_reactions, read_bond_changes, read_moves, read_none, read_formula, read_charge, read_stereo, read_bonds, read_properties,
    read_composed, read_groups, read_rings, read_atoms, read_smiles,
)  # fmt: skip
