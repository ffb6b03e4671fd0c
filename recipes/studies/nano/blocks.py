"""Building blocks: small residues (R groups) that carry a functional group, a few thousand in all.

The lists are written by hand and then combined, so no data set is needed. A residue is a SMILES with one attachment
point `*`, where `attach` puts a functional group.
"""

import random
from functools import cache

from rdkit import Chem

ALKYL = [
    "*C", "*CC", "*CCC", "*C(C)C", "*CCCC", "*CC(C)C", "*C(C)(C)C", "*C1CC1", "*C1CCC1", "*C1CCCC1", "*C1CCCCC1",
    "*CC1CC1", "*CC1CCCCC1", "*CCOC", "*CCCOC", "*C1CCOCC1", "*CC(F)(F)F", "*CCSC", "*CC#N", "*CCC#N", "*CC=C",
    "*CCCCC", "*CC(C)(C)C", "*C(C)CC", "*CC1CCOCC1", "*CCN(C)C", "*CC(=O)OC", "*CCCl", "*C1CCN(C(C)=O)CC1",
]  # fmt: skip
RINGS = [
    "c1ccccc1", "c1ccncc1", "c1cccnc1", "c1ccccn1", "c1cncnc1", "c1ccsc1", "c1cccs1", "c1ccoc1", "c1ccco1",
    "c1cnn(C)c1", "c1cscn1", "c1ccc2ccccc2c1", "c1ccc2OCOc2c1",
]  # fmt: skip
SUBSTITUENTS = [
    "F", "Cl", "C", "CC", "OC", "OCC", "C(F)(F)F", "C#N", "N(C)C", "C(=O)OC", "C(C)=O", "SC", "C(C)C", "OC(F)F",
    "[N+](=O)[O-]", "NC(C)=O", "C(C)(C)C", "S(C)(=O)=O",
]  # fmt: skip
CYCLIC_AMINES = [
    "N1CCOCC1", "N1CCCCC1", "N1CCCC1", "N1CCN(C)CC1", "N1CCC1", "N1CCSCC1", "N1CCC(C)CC1", "N1CCC(F)CC1",
    "N1CCC(O)CC1", "N1CCc2ccccc2C1", "N1CCC(C#N)CC1", "N1CCC(C(=O)OC)CC1",
]  # fmt: skip

# functional group → its SMILES, from the atom that takes the place of the residue's `*`
GROUPS = {
    "acid": "C(=O)O", "amine": "N", "alcohol": "O", "phenol": "O", "aldehyde": "C=O", "bromide": "Br",
    "aryl bromide": "Br", "boronic acid": "B(O)O", "alkyne": "C#C", "sulfonyl chloride": "S(=O)(=O)Cl",
    "isocyanate": "N=C=O", "azide": "N=[N+]=[N-]", "thiol": "S", "thioamide": "C(N)=S", "bromoketone": "C(=O)CBr",
    "methyl ester": "C(=O)OC", "ethyl ester": "C(=O)OCC", "nitro": "[N+](=O)[O-]",
    "Boc amine": "NC(=O)OC(C)(C)C", "methyl ketone": "C(C)=O", "ethyl ketone": "C(=O)CC", "methylamine": "NC",
}  # fmt: skip


def _aromatic_sites(mol: Chem.Mol) -> list[int]:
    return [a.GetIdx() for a in mol.GetAtoms() if a.GetIsAromatic() and a.GetSymbol() == "C" and a.GetTotalNumHs()]


def join(residue: str, site: int, other: str) -> str:
    """Bond atom `site` of `residue`, which loses a hydrogen, to the first atom of `other`. Return canonical SMILES."""
    a, b = Chem.MolFromSmiles(residue), Chem.MolFromSmiles(other)
    both = Chem.RWMol(Chem.CombineMols(a, b))
    both.AddBond(site, a.GetNumAtoms(), Chem.BondType.SINGLE)
    Chem.SanitizeMol(both)
    return Chem.MolToSmiles(both)


@cache
def aryls(ring: str) -> tuple[str, ...]:
    """Return the residues of `ring` with up to one substituent (benzene: two), bound through any ring carbon."""
    substituted = {ring}
    for first in SUBSTITUENTS:
        substituted |= {join(ring, site, first) for site in _aromatic_sites(Chem.MolFromSmiles(ring))}
    if ring == "c1ccccc1":
        for single in list(substituted):
            sites = _aromatic_sites(Chem.MolFromSmiles(single))
            substituted |= {join(single, site, second) for site in sites for second in ("F", "C", "OC", "Cl")}
    return tuple(sorted({join(s, site, "*") for s in substituted for site in _aromatic_sites(Chem.MolFromSmiles(s))}))


def attach(residue: str, group: str) -> str:
    """Replace the `*` of `residue` by `group`, written from the atom that binds. Return canonical SMILES."""
    mol = Chem.MolFromSmiles(residue)
    star = next(a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() == 0)
    neighbour = mol.GetAtomWithIdx(star).GetNeighbors()[0].GetIdx()
    both = Chem.RWMol(Chem.CombineMols(mol, Chem.MolFromSmiles(group)))
    both.AddBond(neighbour, mol.GetNumAtoms(), Chem.BondType.SINGLE)
    both.RemoveAtom(star)
    Chem.SanitizeMol(both)
    return Chem.MolToSmiles(both)


def residue(rng: random.Random, kind: str = "any") -> str:
    """Return a random residue. `kind` is `aryl` (bound through the ring), `alkyl` (through sp3 carbon) or `any`."""
    if kind != "aryl" and rng.random() < {"alkyl": 0.6, "any": 0.35}[kind]:
        return rng.choice(ALKYL)
    aryl = rng.choice(aryls(RINGS[0] if rng.random() < 0.5 else rng.choice(RINGS)))
    spacers = {"aryl": ("",), "alkyl": ("C", "CC"), "any": ("", "", "C", "CC")}[kind]
    return attach(aryl, rng.choice(spacers) + "*")


# the kind of residue that carries a group, if not any
_KIND = {
    "alcohol": "alkyl", "bromide": "alkyl", "phenol": "aryl", "aryl bromide": "aryl", "boronic acid": "aryl",
    "nitro": "aryl", "azide": "alkyl",
}  # fmt: skip


def block(rng: random.Random, group: str) -> str:
    """Return the canonical SMILES of a random building block that carries `group`."""
    if group in ("amine", "methylamine") and rng.random() < 0.35:
        return Chem.CanonSmiles(rng.choice(CYCLIC_AMINES))
    return attach(residue(rng, _KIND.get(group, "any")), GROUPS[group])
