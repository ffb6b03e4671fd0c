"""The readers, in the order in which they look at a clause.

A reader is a function of a Passage that yields Statements of one kind. Where two readers take the same words, the first
keeps them.
"""

from chemr_lite.claims.amounts import read_atoms, read_bonds, read_formula
from chemr_lite.claims.changes import read_bond_changes, read_reactions
from chemr_lite.claims.groups import read_composed, read_groups, read_moves, read_none
from chemr_lite.claims.positions import read_positions
from chemr_lite.claims.properties import read_charge, read_properties
from chemr_lite.claims.rings import read_rings
from chemr_lite.claims.shape import read_smiles, read_stereo

READERS = (
    read_reactions,
    read_bond_changes,
    read_moves,
    read_none,
    read_formula,
    read_charge,
    read_stereo,
    read_bonds,
    read_properties,
    read_positions,
    read_composed,
    read_groups,
    read_rings,
    read_atoms,
    read_smiles,
)
