"""nano's chemistry: reactions run on building blocks, and edits of molecules, all by RDKit.

`reaction` draws two blocks and runs a named reaction of chemr_lite/chemistry on them. `molecule` is the product of one.
`edit` puts a group on a molecule, takes one off or swaps two. Both the rows and the pretraining text come from these.
"""

import random
from typing import NamedTuple

from rdkit import Chem

from chemr_lite.chemistry.reactions import products
from recipes.studies.nano.blocks import block

MAX_ATOMS = 24  # heavy atoms of a product; keeps a row within about a hundred tokens

# reaction → how often it is drawn, and the blocks it starts from in the order of its template
RECIPES: dict[str, tuple[float, tuple[str, ...]]] = {
    "amide coupling": (2, ("acid", "amine")),
    "esterification": (1, ("acid", "alcohol")),
    "Suzuki coupling": (2, ("aryl bromide", "boronic acid")),
    "Buchwald-Hartwig amination": (2, ("aryl bromide", "amine")),
    "Sonogashira coupling": (1, ("aryl bromide", "alkyne")),
    "reductive amination": (2, ("aldehyde", "amine")),
    "Williamson ether synthesis": (1, ("bromide", "phenol")),
    "thioether formation": (1, ("bromide", "thiol")),
    "sulfonamide formation": (1, ("sulfonyl chloride", "amine")),
    "urea formation": (1, ("isocyanate", "amine")),
    "carbamate formation": (1, ("isocyanate", "alcohol")),
    "azide-alkyne cycloaddition": (1, ("azide", "alkyne")),
    "Hantzsch thiazole synthesis": (1, ("thioamide", "bromoketone")),
    "Boc protection": (0.5, ("amine", "Boc anhydride")),
    "Boc deprotection": (0.5, ("Boc amine",)),
    "nitro reduction": (0.5, ("nitro",)),
    "ester hydrolysis": (0.5, ("ester",)),
    "ketone reduction": (0.5, ("ketone",)),
    "alcohol oxidation": (0.5, ("alcohol",)),
}
_CHOICES = {
    "ester": ("methyl ester", "ethyl ester"),
    "ketone": ("methyl ketone", "ethyl ketone"),
    "amine": ("amine", "amine", "methylamine"),
}
BOC_ANHYDRIDE = "CC(C)(C)OC(=O)OC(=O)OC(C)(C)C"

# the groups of the editing tasks → their SMILES on a carbon that loses a hydrogen
EDIT_GROUPS = {
    "hydroxyl": ("O",), "amine": ("N",), "halo": ("F", "Cl", "Br"), "nitrile": ("C#N",), "nitro": ("[N+](=O)[O-]",),
    "carboxyl": ("C(=O)O",), "aldehyde": ("C=O",), "thiol": ("S",), "amide": ("C(N)=O",), "benzene ring": ("c1ccccc1",),
}  # fmt: skip


class Reaction(NamedTuple):
    name: str
    reactants: tuple[str, ...]  # sorted canonical SMILES
    product: str


def reaction(rng: random.Random) -> Reaction:
    """Return a random reaction that has exactly one possible product under its template."""
    names, weights = list(RECIPES), [weight for weight, _ in RECIPES.values()]
    while True:
        name = rng.choices(names, weights)[0]
        blocks = []
        for group in RECIPES[name][1]:
            group = rng.choice(_CHOICES.get(group, (group,)))
            blocks.append(BOC_ANHYDRIDE if group == "Boc anhydride" else block(rng, group))
        candidates = products(name, [Chem.MolFromSmiles(b) for b in blocks])
        if len(candidates) != 1:
            continue  # no reaction, or two sites that could react
        product = candidates.pop()
        if 6 <= Chem.MolFromSmiles(product).GetNumAtoms() <= MAX_ATOMS and product not in blocks:
            return Reaction(name, tuple(sorted(blocks)), product)


def molecule(rng: random.Random, low: int = 8, high: int = 18) -> str:
    """Return the product of a random reaction, with `low` to `high` heavy atoms."""
    while True:
        product = reaction(rng).product
        if low <= Chem.MolFromSmiles(product).GetNumAtoms() <= high:
            return product


def add_group(rng: random.Random, smiles: str, group: str) -> str | None:
    """Replace a random C–H of `smiles` by `group`, a key of EDIT_GROUPS. Return None if there is no place for it."""
    mol = Chem.MolFromSmiles(smiles)
    sites = [atom.GetIdx() for atom in mol.GetAtoms() if _takes_a_group(atom)]
    return _bond(mol, rng.choice(sites), rng.choice(EDIT_GROUPS[group])) if sites else None


def _takes_a_group(atom: Chem.Atom) -> bool:
    """Return whether `atom` is an aromatic or sp3 carbon with a hydrogen, but next to no non-aromatic N, O or S."""
    if atom.GetSymbol() != "C" or not atom.GetTotalNumHs():
        return False
    if not (atom.GetIsAromatic() or atom.GetHybridization() == Chem.HybridizationType.SP3):
        return False
    return not any(n.GetSymbol() in "NOS" and not n.GetIsAromatic() for n in atom.GetNeighbors())


def _bond(mol: Chem.Mol, site: int, fragment: str) -> str | None:
    both = Chem.RWMol(Chem.CombineMols(mol, Chem.MolFromSmiles(fragment)))
    both.AddBond(site, mol.GetNumAtoms(), Chem.BondType.SINGLE)
    if Chem.SanitizeMol(both, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
        return None
    return Chem.MolToSmiles(both)


class Edit(NamedTuple):
    """A core and two molecules with different groups at one site of it."""

    bare: str
    first_group: str
    first: str
    second_group: str
    second: str


def edit(rng: random.Random) -> Edit:
    """Return a random molecule and two that carry different groups of EDIT_GROUPS at the same place."""
    while True:
        bare = molecule(rng, 7, 16)
        mol = Chem.MolFromSmiles(bare)
        first_group, second_group = rng.sample(list(EDIT_GROUPS), 2)
        seed = rng.random()
        first = add_group(random.Random(seed), bare, first_group)
        second = add_group(random.Random(seed), bare, second_group)
        if first and second and first != second and mol:
            return Edit(bare, first_group, first, second_group, second)
