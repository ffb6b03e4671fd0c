"""The wording of grounded traces: facts that RDKit computes, as short texts.

Models learn these texts, and `chemr_lite.claims` reads them back: to change one is to change the training data.
"""

from collections import Counter
from collections.abc import Mapping

from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

from chemr_lite.chemistry.groups import groups_of, placed_groups
from chemr_lite.chemistry.structure import double_bond_labels, scaffold, stereocentres, written_atoms


def format_counts(counts: Mapping[str, int]) -> str:
    """`{"carbon": 2, "oxygen": 1}` → `2 carbon, 1 oxygen`; `none` if all are zero."""
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "none"


def describe_rings(mol: Chem.Mol) -> str:
    aromatic = rdMolDescriptors.CalcNumAromaticRings(mol)
    return format_counts({"aromatic": aromatic, "aliphatic": rdMolDescriptors.CalcNumRings(mol) - aromatic})


def format_groups(groups: dict[str, int]) -> str:
    """`{"ester": 2, "phenol": 1}` → `2 ester, phenol`; `none` if empty."""
    return ", ".join(name if n == 1 else f"{n} {name}" for name, n in groups.items()) or "none"


def describe_groups(*molecules: str, placed: bool = False) -> str:
    """Describe the functional groups of each valid SMILES; with `placed`, say also where each group sits."""
    return "; ".join(
        format_groups(dict(placed_groups(smiles) if placed else groups_of(smiles))) for smiles in molecules
    )


def describe_formula(mol: Chem.Mol) -> str:
    return f"formula {rdMolDescriptors.CalcMolFormula(mol)}, molecular weight {Descriptors.MolWt(mol):.1f}"


def describe_scaffold(mol: Chem.Mol) -> str:
    return f"scaffold {scaffold(mol) or 'none'}"


def describe_stereo(smiles: str) -> str:
    """Count the stereocentres of a valid SMILES by label, and its double bonds that are E or Z.

    Their atoms are not named: small models write a list of atoms on without an end.
    """
    centres = Counter(label for _, label in stereocentres(smiles))
    bonds = Counter(double_bond_labels(smiles))
    names = {label: f"{label} centre" for label in "RSrs"} | {"?": "unassigned centre"}
    return format_counts(
        {name: centres[label] for label, name in names.items()}
        | {f"{label} double bond": bonds[label] for label in "EZ"}
    )


def describe_descriptors(mol: Chem.Mol) -> str:
    """Describe weight, Crippen LogP, TPSA, donors, acceptors and rotatable bonds, the basics of medicinal chemistry."""
    return (
        f"molecular weight {Descriptors.MolWt(mol):.1f}, "
        f"LogP {Crippen.MolLogP(mol):.1f}, "
        f"TPSA {rdMolDescriptors.CalcTPSA(mol):.1f}, "
        f"donors {rdMolDescriptors.CalcNumHBD(mol)}, "
        f"acceptors {rdMolDescriptors.CalcNumHBA(mol)}, "
        f"rotatable bonds {rdMolDescriptors.CalcNumRotatableBonds(mol)}"
    )


def running_counts(smiles: str) -> str:
    """Write a valid SMILES atom by atom, each with the running counts of its element and of hydrogens, if it has any.

    `CC=O` is `C 1 3,C 2 4,=O 1`.
    """
    counts, hydrogens, entries = Counter(), 0, []
    for atom, text in written_atoms(smiles):
        counts[atom.GetSymbol()] += 1
        attached = atom.GetTotalNumHs(includeNeighbors=True)
        hydrogens += attached
        entries.append(f"{text} {counts[atom.GetSymbol()]}" + (f" {hydrogens}" if attached else ""))
    return ",".join(entries)
