"""Named reactions as SMARTS templates, which map reactants to the product and leave out agents.

`identify` names a given reaction by running the templates, so a trace never names a reaction that does not give its
product. REACTIONS holds the templates that also generate nano's reactions. FURTHER holds more general templates for the
same names and further names, which recorded reactions need.
"""

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rdkit import Chem, rdBase
from rdkit.Chem import AllChem

from chemr_lite.smiles import without_stereo

# nucleophilic nitrogen: it has a hydrogen, is not acylated and not bound to a heteroatom
_N = "NX3;!H0;!$(N[C,S,P]=[O,S,N]);!$(N[N,O,S]);!$(NC#N)"

REACTIONS: dict[str, str] = {
    "amide coupling": f"[CX3:1](=[O:2])[OX2H1].[{_N}:3]>>[C:1](=[O:2])[N:3]",
    "esterification": "[CX3:1](=[O:2])[OX2H1].[CX4:4][OX2H1:3]>>[C:1](=[O:2])[O:3][C:4]",
    "Suzuki coupling": "[c:1][Br,I].[c:2][BX3]([OX2])[OX2]>>[c:1]-[c:2]",
    "Buchwald-Hartwig amination": f"[c:1][Br,I].[{_N}:2]>>[c:1][N:2]",
    "Sonogashira coupling": "[c:1][Br,I].[CX2H1:2]#[CX2:3]>>[c:1][C:2]#[C:3]",
    "reductive amination": f"[CX3H1:1](=O)[#6:2].[{_N}:3]>>[CH2:1]([#6:2])[N:3]",
    "Williamson ether synthesis": "[CX4;H2,H3:1][Br,I].[c:2][OX2H1:3]>>[C:1][O:3][c:2]",
    "thioether formation": "[CX4;H2,H3:1][Br,I].[SX2H1:2]>>[C:1][S:2]",
    "sulfonamide formation": f"[SX4:1](=[O:2])(=[O:3])[Cl].[{_N}:4]>>[S:1](=[O:2])(=[O:3])[N:4]",
    "urea formation": f"[NX2:1]=[CX2:2]=[O:3].[{_N}:4]>>[NH:1][C:2](=[O:3])[N:4]",
    "carbamate formation": "[NX2:1]=[CX2:2]=[O:3].[CX4:5][OX2H1:4]>>[NH:1][C:2](=[O:3])[O:4][C:5]",
    "azide-alkyne cycloaddition": "[NX2:1]=[N+:2]=[N-:3].[CX2H1:4]#[CX2:5]>>[n:1]1[cH:4][c:5][n+0:3][n+0:2]1",
    "Hantzsch thiazole synthesis": "[CX3:1](=[SX1:2])[NH2:3].[CX3:4](=O)[CH2:5]Br>>[c:1]1[s:2][cH:5][c:4][n:3]1",
    "Grignard addition": "[CX3H1:1](=[O:2])[#6:3].[#6:4][Mg][Br,Cl]>>[CH:1]([OH:2])([#6:3])[#6:4]",
    "Boc protection": f"[{_N}:1].CC(C)(C)OC(=O)OC(=O)OC(C)(C)C>>[N:1]C(=O)OC(C)(C)C",
    "Boc deprotection": "[NX3:1]C(=O)OC([CH3])([CH3])[CH3]>>[N:1]",
    "nitro reduction": "[c:1][N+:2](=O)[O-]>>[c:1][NH2+0:2]",
    "ester hydrolysis": "[#6:4][CX3:1](=[O:2])[OX2:3][CH3,$([CH2][CH3])]>>[#6:4][C:1](=[O:2])[OH:3]",
    "ketone reduction": "[#6:1][CX3:2](=[O:3])[#6:4]>>[#6:1][CH:2]([OH:3])[#6:4]",
    "alcohol oxidation": "[#6:3][CX4H2:1][OX2H1:2]>>[#6:3][CH:1]=[O:2]",
}

_LEAVING = "Cl,Br,I,$([OX2]S(=O)(=O))"  # leaving groups on carbon: halides and sulfonates
_TRIFLATE = "$([OX2]S(=O)(=O)C(F)(F)F)"

FURTHER: dict[str, tuple[str, ...]] = {
    # further templates for names of REACTIONS
    "amide coupling": ("[CX3:1](=[O:2])[OX2H1,OX1-].[#7;!H0:3]>>[C:1](=[O:2])[#7:3]",),
    "esterification": ("[CX3:1](=[O:2])[OX2H1,OX1-].[#6:4][OX2H1:3]>>[C:1](=[O:2])[O:3][#6:4]",),
    "Suzuki coupling": (f"[#6;!$(C=O):1][Cl,Br,I,{_TRIFLATE}].[#6:2][B]>>[#6:1]-[#6:2]",),
    "Buchwald-Hartwig amination": (f"[c:1][Br,I,{_TRIFLATE}].[#7;!H0:2]>>[c:1]-[#7:2]",),
    "Sonogashira coupling": (f"[#6:1][Cl,Br,I,{_TRIFLATE}].[CX2H1:2]#[CX2:3]>>[#6:1][C:2]#[C:3]",),
    "reductive amination": (
        "[#6:3][CX3:1](=O)[#6:2].[NX3;!H0:4]>>[CH:1]([#6:3])([#6:2])[N:4]",
        "[CX3H2:1]=O.[NX3;!H0:4]>>[CH3:1][N:4]",
    ),
    "sulfonamide formation": ("[SX4:1](=[O:2])(=[O:3])[Cl,F].[#7;!H0:4]>>[S:1](=[O:2])(=[O:3])[#7:4]",),
    "urea formation": (
        "[NX2:1]=[CX2:2]=[O:3].[#7;!H0:4]>>[NH:1][C:2](=[O:3])[#7:4]",
        "[#7:1][CX3:2](=[O:3])[Cl,$([OX2]c),$(n1ccnc1)].[#7;!H0:4]>>[#7:1][C:2](=[O:3])[#7:4]",
    ),
    "carbamate formation": ("[#7;!H0:1].[CX3:2](=[O:3])([OX2:4])[Cl,$([OX2]c),$(n1ccnc1)]>>[#7:1][C:2](=[O:3])[O:4]",),
    "Grignard addition": ("[CX3:1]=[O:2].[#6:4][Mg,Li,$([Mg][Cl,Br,I])]>>[C:1]([OH:2])[#6:4]",),
    "Boc protection": ("[#7;!H0:1].CC(C)(C)OC(=O)[$(O),Cl,$(n)]>>[#7:1]C(=O)OC(C)(C)C",),
    "Boc deprotection": ("[#7:1]C(=O)OC(C)(C)C>>[#7:1]",),
    "nitro reduction": ("[#6:1][N+:2](=O)[O-]>>[#6:1][NH2+0:2]",),
    "ester hydrolysis": (
        "[CX3:1](=[O:2])[OX2:3][#6;!$(C=O)]>>[C:1](=[O:2])[OH:3]",
        "[#6:2][OX2:1][CX3](=O)[#6]>>[#6:2][OH:1]",
    ),
    "ketone reduction": ("[#6:1][CX3:2](=[O:3])[#6:4]>>[#6:1][C:2]([OH:3])[#6:4]",),
    "alcohol oxidation": (
        "[#6:3][CX4H1:1]([OX2H1:2])[#6:4]>>[#6:3][C:1](=[O:2])[#6:4]",
        "[#6:3][CX4H2:1][OX2H1:2]>>[#6:3][C:1](=[O:2])O",
    ),
    # acyl transfer
    "N-acylation": (
        "[#6:4][CX3:1](=[O:2])[Cl,Br,F,$([OX2]C=O),$([OX2]N),$([OX2]c)].[#7;!H0:3]>>[#6:4][C:1](=[O:2])[#7:3]",
        "[CX3H1:1](=[O:2])[OX2]C=O.[#7;!H0:3]>>[CH:1](=[O:2])[#7:3]",
    ),
    "O-acylation": ("[#6:5][CX3:1](=[O:2])[Cl,Br,$([OX2]C=O)].[#6:4][OX2H1:3]>>[#6:5][C:1](=[O:2])[O:3][#6:4]",),
    "ester aminolysis": ("[#6:4][CX3:1](=[O:2])[OX2][CX4].[#7;!H0:3]>>[#6:4][C:1](=[O:2])[#7:3]",),
    "transesterification": ("[#6:5][CX3:1](=[O:2])[OX2][CX4].[#6:4][OX2H1:3]>>[#6:5][C:1](=[O:2])[O:3][#6:4]",),
    # substitution at alkyl and aryl carbon
    "N-alkylation": (f"[CX4:1][{_LEAVING}].[#7;!H0:2]>>[C:1][#7:2]",),
    "O-alkylation": (f"[CX4:1][{_LEAVING}].[#6:3][OX2H1,OX1-:2]>>[C:1][O:2][#6:3]",),
    "S-alkylation": (
        f"[CX4:1][{_LEAVING}].[#16;H1,-1:2]>>[C:1][S+0:2]",
        f"[CX4:1][{_LEAVING}].[SX1:2]=[#6:3][#7;!H0:4]>>[C:1][S:2][#6:3]=[#7:4]",
    ),
    "Mitsunobu reaction": (
        "[CX4:1][OX2H1].[#6;!$([CX4]):3][OX2H1:2]>>[C:1][O:2][#6:3]",
        "[CX4:1][OX2H1].[#7;!H0;$(N(C=O)C=O),$(NS(=O)=O),$([nH]):2]>>[C:1][#7:2]",
    ),
    "SNAr amination": ("[#6;a:1][F,Cl,$([#16](=O)(=O)C),$([#16](=O)C)].[#7;!H0:2]>>[#6:1]-[#7:2]",),
    "SNAr etherification": ("[#6;a:1][F,Cl,Br,I].[#6:3][OX2H1,OX1-:2]>>[#6:1][O+0:2][#6:3]",),
    "SNAr thioetherification": ("[#6;a:1][F,Cl,Br,I].[#6:3][SX2H1,SX1-:2]>>[#6:1][S+0:2][#6:3]",),
    "cyanation": ("[#6;a:1][F,Cl,Br,I]>>[#6:1]C#N", f"[CX4:1][{_LEAVING}]>>[C:1]C#N"),
    "azide substitution": (f"[CX4:1][{_LEAVING}]>>[C:1]N=[N+]=[N-]",),
    # cross-couplings
    "Heck reaction": (f"[c:1][Cl,Br,I,{_TRIFLATE}].[CH2,CH1:2]=[CX3:3]>>[c:1][C:2]=[C:3]",),
    "Stille coupling": (f"[#6:1][Cl,Br,I,{_TRIFLATE}].[#6:2][Sn]>>[#6:1]-[#6:2]",),
    "Negishi coupling": (f"[#6:1][Cl,Br,I,{_TRIFLATE}].[#6:2][Zn]>>[#6:1]-[#6:2]",),
    "Miyaura borylation": (f"[c:1][Cl,Br,I,{_TRIFLATE}].[B:2][B]>>[c:1][B:2]",),
    # condensations and additions
    "Wittig olefination": ("[#6:1]=O.[#6:2]=[PX4]>>[#6:1]=[#6:2]", "[#6:1]=O.[CX4:2][PX4,PX4+]>>[#6:1]=[#6:2]"),
    "Knoevenagel condensation": (
        "[CX3:1]=O.[CX4;H2:2][CX3:3]=[O:4]>>[C:1]=[C:2][C:3]=[O:4]",
        "[CX3:1]=O.[CX4;H2:2]C#[N:4]>>[C:1]=[C:2]C#[N:4]",
    ),
    "imine formation": ("[CX3:1]=O.[NX3;H2:2]>>[C:1]=[N:2]",),
    "Michael addition": ("[CX3:1]=[CX3:2][CX3:3]=[O:4].[#7,#16;!H0:5]>>[*:5][C:1][C:2][C:3]=[O:4]",),
    "epoxide opening": ("[CX4:1]1[OX2:2][CX4:3]1.[#7,#8,#16;!H0:4]>>[C:1]([OH:2])[C:3][*:4]",),
    "epoxidation": ("[CX3:1]=[CX3:2]>>[C:1]1O[C:2]1",),
    "Friedel-Crafts acylation": ("[cH:1].[CX3:2](=[O:3])[Cl,Br,$([OX2]C=O)]>>[c:1][C:2]=[O:3]",),
    "thiourea formation": ("[NX2:1]=[CX2:2]=[SX1:3].[#7;!H0:4]>>[NH:1][C:2](=[S:3])[#7:4]",),
    # protection, deprotection and cleavage
    "sulfonylation": ("[#6:2][OX2H1:1].[SX4:3](=[O:4])(=[O:5])[Cl,$([OX2]S)]>>[#6:2][O:1][S:3](=[O:4])=[O:5]",),
    "silylation": ("[#6:2][OX2H1:1].[SiX4:3][Cl,$([OX2]S)]>>[#6:2][O:1][Si:3]",),
    "silyl ether cleavage": ("[#6:2][OX2:1][SiX4]>>[#6:2][OH:1]",),
    "Cbz deprotection": ("[#7:1]C(=O)OCc1ccccc1>>[#7:1]",),
    "benzyl ether cleavage": ("[#6:2][OX2:1][CH2]c>>[#6:2][OH:1]",),
    "N-debenzylation": ("[#7:1][CH2]c1ccccc1>>[#7:1]",),
    "ether cleavage": ("[#6;!$(C=O):2][OX2:1][CX4]>>[#6:2][OH:1]",),
    "amide hydrolysis": ("[#7:3][CX3](=O)[#6]>>[#7:3]", "[CX3:1](=[O:2])[#7]>>[C:1](=[O:2])[OH]"),
    "phthalimide deprotection": ("[#6:1][NX3:2]1C(=O)c2ccccc2C1=O>>[#6:1][NH2:2]",),
    "acetal hydrolysis": ("[CX4:1]([OX2:2][#6])[OX2][#6]>>[C:1]=[O:2]",),
    # reductions, and the hydrolysis of nitriles
    "aldehyde reduction": ("[#6:3][CX3H1:1]=[O:2]>>[#6:3][CH2:1][OH:2]",),
    "ester reduction": ("[#6:3][CX3:1](=[O:2])[OX2][#6]>>[#6:3][CH2:1][OH:2]",),
    "acid reduction": ("[#6:3][CX3:1](=[O:2])[OX2H1]>>[#6:3][CH2:1][OH:2]",),
    "amide reduction": ("[CX3:1](=O)[#7:2]>>[CH2:1][#7:2]",),
    "nitrile reduction": ("[CX2:1]#[NX1:2]>>[CH2:1][NH2:2]",),
    "nitrile hydrolysis": ("[#6:3][CX2:1]#[NX1:2]>>[#6:3][C:1](=O)[NH2:2]", "[#6:3][CX2:1]#[NX1]>>[#6:3][C:1](=O)O"),
    "azide reduction": ("[#6:1][NX2:2]=[N+]=[N-]>>[#6:1][NH2:2]",),
    "hydrogenation": (
        "[#6;!a:1]=[#6;!a:2]>>[#6:1]-[#6:2]",
        "[CX2:1]#[CX2:2]>>[C:1][C:2]",
        "[CX2:1]#[CX2:2]>>[C:1]=[C:2]",
    ),
    # functional group interconversions
    "dehalogenation": ("[c:1][Cl,Br,I]>>[c:1]",),
    "decarboxylation": ("[#6:1][CX3](=O)[OX2H1]>>[#6:1]",),
    "acyl chloride formation": ("[#6:3][CX3:1](=[O:2])[OX2H1]>>[#6:3][C:1](=[O:2])Cl",),
    "alcohol chlorination": (
        "[CX4:1][OX2H1]>>[C:1]Cl",
        "[c:1][OX2H1]>>[c:1]Cl",
        "[#6;r6:1](=O)[nH:2]>>[#6:1](Cl)=,:[n:2]",
    ),
    "alcohol bromination": ("[CX4:1][OX2H1]>>[C:1]Br",),
    "aromatic bromination": ("[cH:1]>>[c:1]Br",),
    "aromatic chlorination": ("[cH:1]>>[c:1]Cl",),
    "aromatic iodination": ("[cH:1]>>[c:1]I",),
    "aromatic nitration": ("[cH:1]>>[c:1][N+](=O)[O-]",),
    "alkyl bromination": ("[CX4;!H0:1]>>[C:1]Br",),
    # oxidations
    "thioether oxidation": (
        "[#6:2][SX2:1][#6:3]>>[#6:2][S:1](=O)(=O)[#6:3]",
        "[#6:2][SX2:1][#6:3]>>[#6:2][S:1](=O)[#6:3]",
    ),
    "N-oxidation": ("[nX2:1]>>[n+:1][O-]",),
}

# the usual reagent of a reaction, for reactions that have a single one; ours, for exercises only and not as a procedure
USUAL_REAGENT: dict[str, str] = {
    "amide coupling": "CCN=C=NCCCN(C)C",
    "esterification": "O=S(=O)(O)O",
    "Suzuki coupling": "O=C([O-])[O-].[K+].[K+]",
    "Buchwald-Hartwig amination": "CC(C)(C)[O-].[Na+]",
    "Sonogashira coupling": "[Cu]I",
    "reductive amination": "N#C[BH3-].[Na+]",
    "sulfonamide formation": "c1ccncc1",
    "Boc deprotection": "O=C(O)C(F)(F)F",
    "nitro reduction": "[Fe]",
    "ester hydrolysis": "[Li+].[OH-]",
    "ketone reduction": "[BH4-].[Na+]",
    "alcohol oxidation": "O=[Mn]=O",
}

TEMPLATES = {name: AllChem.ReactionFromSmarts(smarts) for name, smarts in REACTIONS.items()}
_ALL = [
    *TEMPLATES.items(),
    *((name, AllChem.ReactionFromSmarts(smarts)) for name, templates in FURTHER.items() for smarts in templates),
]
NAMES = tuple(dict.fromkeys(name for name, _ in _ALL))


class Identified(NamedTuple):
    """A named reaction and what it does. A bond is written as `C-N`, with the symbols in alphabetical order."""

    name: str
    formed: frozenset[str]
    broken: frozenset[str]  # bonds of atoms that are in the product
    changed: frozenset[str]  # bonds whose order changes
    leaving: frozenset[str]  # SMILES of the parts of the reactants that are not in the product


def products(name: str, reactants: list[Chem.Mol], limit: int = 20) -> set[str]:
    """Run a template of REACTIONS on `reactants`, in its order, and return the canonical SMILES of the products."""
    return {smiles for smiles, _ in _outcomes(TEMPLATES[name], reactants, limit)}


def _outcomes(
    template: AllChem.ChemicalReaction, reactants: list[Chem.Mol], limit: int = 50
) -> Iterator[tuple[str, Chem.Mol]]:
    """Yield the products of `template` as canonical SMILES and molecule, without those that fail to sanitise."""
    if len(reactants) != template.GetNumReactantTemplates():
        return
    silence = rdBase.BlockLogs()
    for outcome in template.RunReactants(reactants, maxProducts=limit):
        mol = outcome[0]
        if Chem.SanitizeMol(mol, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE:
            yield Chem.MolToSmiles(mol), mol
    del silence


@lru_cache(maxsize=20_000)
def named_reaction(reactants: tuple[str, ...], product: str, only: tuple[str, ...] = NAMES) -> Identified | None:
    """Return the first named reaction (with a name in `only`) that gives `product` from some of `reactants`, or None.

    All molecules are canonical SMILES. They are compared without stereochemistry, because the templates do not predict
    it. At most the eight largest are tried, because salts and solvents are small.
    """
    largest = sorted(set(reactants) - {product}, key=lambda s: (-len(s), s))[:8]
    mols = [Chem.MolFromSmiles(without_stereo(smiles)) for smiles in largest]
    target = without_stereo(product)
    for name, template in _ALL:
        if name not in only:
            continue
        candidates = [[n for n, mol in enumerate(mols) if mol.HasSubstructMatch(part)] for part in _parts(template)]
        for chosen in itertools.product(*candidates):
            if len(set(chosen)) < len(chosen):
                continue
            for smiles, mol in _outcomes(template, [mols[n] for n in chosen]):
                if smiles == target:
                    return Identified(name, *_bond_changes([mols[n] for n in chosen], mol))
    return None


def _parts(template: AllChem.ChemicalReaction) -> list[Chem.Mol]:
    """Return the pattern of each reactant of `template`."""
    return [template.GetReactantTemplate(i) for i in range(template.GetNumReactantTemplates())]


@lru_cache(maxsize=20_000)
def thinkable(reactants: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Return whether `reactants` (SMILES) could undergo a reaction of one of `names`, whatever its product."""
    mols = [Chem.MolFromSmiles(smiles) for smiles in reactants]
    return any(
        all(any(mol.HasSubstructMatch(part) for mol in mols) for part in _parts(template))
        for name, template in _ALL
        if name in names
    )


def identify(reactants: tuple[str, ...], product: str) -> str | None:
    """Return the name of the reaction that gives `product` from some of `reactants` (canonical SMILES), or None."""
    reaction = named_reaction(reactants, product)
    return reaction and reaction.name


def _bond_changes(reactants: list[Chem.Mol], product: Chem.Mol) -> tuple[frozenset[str], ...]:
    """Return the last four fields of Identified. `product` must come from RDKit's RunReactants on `reactants`.

    RDKit marks each atom of the product with the atom of the reactants that it was. An atom is named here by
    (number of its reactant, index), and by (-1, index in the product) if the template adds it.
    """
    origins = [
        (atom.GetIntProp("react_idx"), atom.GetIntProp("react_atom_idx"))
        if atom.HasProp("react_atom_idx")
        else (-1, atom.GetIdx())
        for atom in product.GetAtoms()
    ]
    kept = set(origins)
    symbols = dict(zip(origins, (atom.GetSymbol() for atom in product.GetAtoms()), strict=True))
    before = {}
    for n, mol in enumerate(reactants):
        symbols |= {(n, atom.GetIdx()): atom.GetSymbol() for atom in mol.GetAtoms()}
        before |= {
            frozenset(((n, b.GetBeginAtomIdx()), (n, b.GetEndAtomIdx()))): b.GetBondType() for b in mol.GetBonds()
        }
    after = {
        frozenset((origins[b.GetBeginAtomIdx()], origins[b.GetEndAtomIdx()])): b.GetBondType()
        for b in product.GetBonds()
    }

    def is_new_order(bond: frozenset) -> bool:
        orders = before[bond], after[bond]
        return orders[0] != orders[1] and Chem.BondType.AROMATIC not in orders

    def written(bonds) -> frozenset[str]:
        return frozenset("-".join(sorted(symbols[atom] for atom in bond)) for bond in bonds)

    return (
        written(bond for bond in after if bond not in before),
        written(bond for bond in before if bond not in after and bond & kept),
        written(bond for bond in after if bond in before and is_new_order(bond)),
        frozenset(part for n, mol in enumerate(reactants) for part in _lost(mol, {i for m, i in kept if m == n})),
    )


def _lost(mol: Chem.Mol, kept: set[int]) -> list[str]:
    """Return the SMILES of the parts of a reactant that are not in the product."""
    lost = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetIdx() not in kept]
    return Chem.MolFragmentToSmiles(mol, lost).split(".") if lost else []
