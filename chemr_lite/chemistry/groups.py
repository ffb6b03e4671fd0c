"""Functional groups: their patterns, their number in a molecule, and where each sits.

The patterns of FUNCTIONAL_GROUPS exclude each other within a family: an amide is not also an amine, and an ester is not
also an ether. A `Boc-protected amine`, though a carbamate, is reported under the more specific name only.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from rdkit import Chem

# nitrogen bound to an acyl or sulfonyl group or to a heteroatom is not an amine
AMINE = "!$(N[C,S,P]=[O,S,N]);!$(N[N,O,S]);!$(NC#N)"

FUNCTIONAL_GROUPS: dict[str, str] = {
    "carboxylic acid": "[CX3](=O)[OX2H1,OX1-]",
    "acyl chloride": "[CX3](=O)[Cl]",
    "anhydride": "[CX3](=O)[OX2][CX3]=O",
    "ester": "[CX3;H1,$(C[#6])](=O)[OX2H0][#6;!$(C=O)]",
    "Boc-protected amine": "[NX3]C(=O)OC([CH3])([CH3])[CH3]",
    "carbamate": "[NX3][CX3](=O)[OX2H0][#6;!$(C([CH3])([CH3])[CH3])]",
    "carbonate": "[OX2][CX3](=O)[OX2]",
    "urea": "[NX3][CX3](=O)[NX3]",
    "imide": "[CX3](=O)[NX3][CX3](=O)",
    "amide": "[CX3;H1,$(C[#6])](=O)[NX3;!$(N(C=O)C=O)]",
    "thioamide": "[CX3](=S)[NX3]",
    "aldehyde": "[CX3H1](=O)[#6]",
    "ketone": "[#6][CX3](=O)[#6]",
    "phenol": "c[OX2H1]",
    "primary alcohol": "[CX4;H2,H3][OX2H1]",
    "secondary alcohol": "[CX4H1][OX2H1]",
    "tertiary alcohol": "[CX4H0][OX2H1]",
    "epoxide": "[OX2r3]",
    "ether": "[OX2H0;!r3]([CX4,c;!$(C(O)[F,Cl,Br,I])])[CX4,c]",
    "thiol": "[SX2H1]",
    "disulfide": "[SX2][SX2]",
    "thioether": "[SX2H0]([#6;!$(C=[O,S,N])])[#6;!$(C=[O,S,N])]",
    "sulfoxide": "[SX3](=O)([#6])[#6]",
    "sulfone": "[SX4](=O)(=O)([#6])[#6]",
    "sulfonamide": "[SX4](=O)(=O)[NX3]",
    "sulfonyl chloride": "[SX4](=O)(=O)[Cl]",
    "primary amine": f"[NX3;H2;{AMINE}][#6]",
    "secondary amine": f"[NX3;H1;{AMINE}]([#6])[#6]",
    "tertiary amine": f"[NX3;H0;{AMINE}]([#6])([#6])[#6]",
    "nitrile": "[CX2]#[NX1]",
    "isocyanate": "[NX2]=[CX2]=[OX1]",
    "azide": "[NX2]=[NX2+]=[NX1-]",
    "nitro": "[NX3+](=O)[O-]",
    "imine": "[CX3]=[NX2;!$(N[O,N])][#6]",
    "hydrazine": "[NX3;!$(N=O);!$([N+])][NX3;!$([N+])]",
    "terminal alkyne": "[CX2H1]#[CX2]",
    "internal alkyne": "[CX2H0]#[CX2H0]",
    "alkene": "[CX3]=[CX3]",
    "trifluoromethyl": "[CX4](F)(F)F",
    "aryl fluoride": "cF",
    "aryl chloride": "cCl",
    "aryl bromide": "cBr",
    "aryl iodide": "cI",
    "alkyl fluoride": "[CX4;!$(C(F)(F)F)]F",
    "alkyl chloride": "[CX4]Cl",
    "alkyl bromide": "[CX4]Br",
    "alkyl iodide": "[CX4]I",
    "boronic acid": "[#6][BX3]([OX2H1])[OX2H1]",
    "boronic ester": "[#6][BX3]([OX2H0])[OX2H0]",
    "Grignard reagent": "[#6][Mg]",
}

_PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in FUNCTIONAL_GROUPS.items()}


def functional_groups(mol: Chem.Mol) -> dict[str, int]:
    """Count the groups of FUNCTIONAL_GROUPS in `mol`, in the order of the table. Groups that it lacks are left out."""
    counts = {name: len(mol.GetSubstructMatches(pattern, maxMatches=50)) for name, pattern in _PATTERNS.items()}
    return {name: n for name, n in counts.items() if n}


@lru_cache(maxsize=8192)
def groups_of(smiles: str) -> tuple[tuple[str, int], ...]:
    """Return `functional_groups` of a valid SMILES. Cached, because traces repeat the same building blocks."""
    return tuple(functional_groups(Chem.MolFromSmiles(smiles)).items())


def group_changes(before: Iterable[str], after: Iterable[str]) -> tuple[Counter, Counter]:
    """Return the functional groups (consumed, formed) between two sets of valid SMILES, with their number."""
    old, new = (sum((Counter(dict(groups_of(smiles))) for smiles in side), Counter()) for side in (before, after))
    return old - new, new - old


_NAMES_WITH_PLACE = ("aryl", "phenol", "epoxide")  # these names already say where the group sits
PLACES = ("in a ring", "on an aromatic ring", "on an aliphatic ring", "on a chain")


def places_of(mol: Chem.Mol, atoms: Iterable[int]) -> tuple[str, ...]:
    """Return the PLACES where the group on `atoms` of `mol` sits, the most specific first.

    A group is in a ring if two of its atoms share a ring bond, or if its only atom is in a ring. It is on whatever its
    core is bound to: its heteroatoms and multiply bonded atoms, or the whole group if it has none (alkyl groups).
    """
    group, places = set(atoms), set()
    bonds = (mol.GetBondBetweenAtoms(a, b) for a in group for b in group if a < b)
    is_ring_atom = len(group) == 1 and all(mol.GetAtomWithIdx(i).IsInRing() for i in group)
    if is_ring_atom or any(bond is not None and bond.IsInRing() for bond in bonds):
        places.add("in a ring")
    core = {i for i in group if _is_core(mol.GetAtomWithIdx(i))} or group
    for neighbour in (n for i in core for n in mol.GetAtomWithIdx(i).GetNeighbors() if n.GetIdx() not in core):
        places.add(PLACES[1 if neighbour.GetIsAromatic() else 2 if neighbour.IsInRing() else 3])
    return tuple(place for place in PLACES if place in places)


def _is_core(atom: Chem.Atom) -> bool:
    if atom.GetAtomicNum() != 6:
        return True
    halogens = sum(n.GetAtomicNum() in (9, 17, 35, 53) for n in atom.GetNeighbors())
    return not atom.GetIsAromatic() and (atom.GetHybridization() != Chem.HybridizationType.SP3 or halogens > 2)


@lru_cache(maxsize=8192)
def placed_groups(smiles: str) -> tuple[tuple[str, int], ...]:
    """Count the functional groups of a valid SMILES, each with its most specific place: `ester on an aromatic ring`."""
    mol, counts = Chem.MolFromSmiles(smiles), Counter()
    for name, pattern in _PATTERNS.items():
        for atoms in mol.GetSubstructMatches(pattern, maxMatches=50):
            places = () if name.startswith(_NAMES_WITH_PLACE) else places_of(mol, atoms)
            counts[f"{name} {places[0]}" if places else name] += 1
    return tuple(counts.items())
