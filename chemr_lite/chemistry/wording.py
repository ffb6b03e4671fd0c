"""The wording of grounded traces: what RDKit finds in a molecule, as short text."""

from collections import Counter
from collections.abc import Mapping

from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

from chemr_lite.chemistry.groups import groups_of, placed_groups
from chemr_lite.chemistry.structure import double_bond_labels, scaffold, stereocentres, written_atoms


def format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "none"


def describe_rings(mol: Chem.Mol) -> str:
    aromatic = rdMolDescriptors.CalcNumAromaticRings(mol)
    return format_counts({"aromatic": aromatic, "aliphatic": rdMolDescriptors.CalcNumRings(mol) - aromatic})


def format_groups(groups: dict[str, int]) -> str:
    """`{"ester": 2, "phenol": 1}` → `2 ester, phenol`; `none` where there is nothing to tell."""
    return ", ".join(name if n == 1 else f"{n} {name}" for name, n in groups.items()) or "none"


def describe_groups(*molecules: str, placed: bool = False) -> str:
    """The functional groups of valid SMILES in words, one molecule after the other, on demand each with its place."""
    return "; ".join(
        format_groups(dict(placed_groups(smiles) if placed else groups_of(smiles))) for smiles in molecules
    )


def describe_formula(mol: Chem.Mol) -> str:
    return f"formula {rdMolDescriptors.CalcMolFormula(mol)}, molecular weight {Descriptors.MolWt(mol):.1f}"


def describe_scaffold(mol: Chem.Mol) -> str:
    return f"scaffold {scaffold(mol) or 'none'}"


def describe_stereo(smiles: str) -> str:
    """Each stereocentre of a valid SMILES by its atom's number, from 0, with its label; each double bond that is E or Z."""
    centres = [f"atom {index} {label}" for index, label in stereocentres(smiles)]
    return ", ".join([*centres, *(f"double bond {label}" for label in double_bond_labels(smiles))]) or "none"


def describe_descriptors(mol: Chem.Mol) -> str:
    """What medicinal chemists look at first: weight, Crippen LogP, TPSA, donors, acceptors, rotatable bonds."""
    return (
        f"molecular weight {Descriptors.MolWt(mol):.1f}, LogP {Crippen.MolLogP(mol):.1f}, TPSA {rdMolDescriptors.CalcTPSA(mol):.1f}, "
        f"donors {rdMolDescriptors.CalcNumHBD(mol)}, acceptors {rdMolDescriptors.CalcNumHBA(mol)}, rotatable bonds {rdMolDescriptors.CalcNumRotatableBonds(mol)}"
    )


def running_counts(smiles: str) -> str:
    """A valid SMILES atom by atom, each with the number of its element so far, and that of hydrogens where it has some:
    `CC=O` is `C 1 3,C 2 4,=O 1`."""
    seen, hydrogens, said = Counter(), 0, []
    for atom, text in written_atoms(smiles):
        seen[atom.GetSymbol()] += 1
        own = atom.GetTotalNumHs(includeNeighbors=True)
        hydrogens += own
        said.append(f"{text} {seen[atom.GetSymbol()]}" + (f" {hydrogens}" if own else ""))
    return ",".join(said)
