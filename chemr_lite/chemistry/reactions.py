"""Named reactions as SMARTS: what builds nano's reactions, and what a trace may call a real one.

Each template maps reactants to the product, agents left out. `identify` finds the name of a given reaction by running
the templates, so a trace never names a reaction that does not give its product. Where recorded reactions need more than
one template for a name, or a name that nano does not use, it stands in FURTHER.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import product as every
from typing import NamedTuple

from rdkit import Chem, rdBase
from rdkit.Chem import AllChem

from chemr_lite.smiles import without_stereo

# nitrogen that acts as a nucleophile: has a hydrogen, is not acylated and not bound to a heteroatom
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

_LEAVING = "Cl,Br,I,$([OX2]S(=O)(=O))"  # on carbon: halides and sulfonates
_TRIFLATE = "$([OX2]S(=O)(=O)C(F)(F)F)"

FURTHER: dict[str, tuple[str, ...]] = {
    "amide coupling": ("[CX3:1](=[O:2])[OX2H1,OX1-].[#7;!H0:3]>>[C:1](=[O:2])[#7:3]",),
    "esterification": ("[CX3:1](=[O:2])[OX2H1,OX1-].[#6:4][OX2H1:3]>>[C:1](=[O:2])[O:3][#6:4]",),
    "Suzuki coupling": (f"[#6;!$(C=O):1][Cl,Br,I,{_TRIFLATE}].[#6:2][B]>>[#6:1]-[#6:2]",),
    "Buchwald-Hartwig amination": (f"[c:1][Br,I,{_TRIFLATE}].[#7;!H0:2]>>[c:1]-[#7:2]",),
    "Sonogashira coupling": (f"[#6:1][Cl,Br,I,{_TRIFLATE}].[CX2H1:2]#[CX2:3]>>[#6:1][C:2]#[C:3]",),
    "reductive amination": ("[#6:3][CX3:1](=O)[#6:2].[NX3;!H0:4]>>[CH:1]([#6:3])([#6:2])[N:4]", "[CX3H2:1]=O.[NX3;!H0:4]>>[CH3:1][N:4]"),
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
    "ester hydrolysis": ("[CX3:1](=[O:2])[OX2:3][#6;!$(C=O)]>>[C:1](=[O:2])[OH:3]", "[#6:2][OX2:1][CX3](=O)[#6]>>[#6:2][OH:1]"),
    "ketone reduction": ("[#6:1][CX3:2](=[O:3])[#6:4]>>[#6:1][C:2]([OH:3])[#6:4]",),
    "alcohol oxidation": ("[#6:3][CX4H1:1]([OX2H1:2])[#6:4]>>[#6:3][C:1](=[O:2])[#6:4]", "[#6:3][CX4H2:1][OX2H1:2]>>[#6:3][C:1](=[O:2])O"),
    # names of their own
    "N-acylation": ("[#6:4][CX3:1](=[O:2])[Cl,Br,F,$([OX2]C=O),$([OX2]N),$([OX2]c)].[#7;!H0:3]>>[#6:4][C:1](=[O:2])[#7:3]", "[CX3H1:1](=[O:2])[OX2]C=O.[#7;!H0:3]>>[CH:1](=[O:2])[#7:3]"),
    "O-acylation": ("[#6:5][CX3:1](=[O:2])[Cl,Br,$([OX2]C=O)].[#6:4][OX2H1:3]>>[#6:5][C:1](=[O:2])[O:3][#6:4]",),
    "ester aminolysis": ("[#6:4][CX3:1](=[O:2])[OX2][CX4].[#7;!H0:3]>>[#6:4][C:1](=[O:2])[#7:3]",),
    "transesterification": ("[#6:5][CX3:1](=[O:2])[OX2][CX4].[#6:4][OX2H1:3]>>[#6:5][C:1](=[O:2])[O:3][#6:4]",),
    "N-alkylation": (f"[CX4:1][{_LEAVING}].[#7;!H0:2]>>[C:1][#7:2]",),
    "O-alkylation": (f"[CX4:1][{_LEAVING}].[#6:3][OX2H1,OX1-:2]>>[C:1][O:2][#6:3]",),
    "S-alkylation": (f"[CX4:1][{_LEAVING}].[#16;H1,-1:2]>>[C:1][S+0:2]", f"[CX4:1][{_LEAVING}].[SX1:2]=[#6:3][#7;!H0:4]>>[C:1][S:2][#6:3]=[#7:4]"),
    "Mitsunobu reaction": ("[CX4:1][OX2H1].[#6;!$([CX4]):3][OX2H1:2]>>[C:1][O:2][#6:3]", "[CX4:1][OX2H1].[#7;!H0;$(N(C=O)C=O),$(NS(=O)=O),$([nH]):2]>>[C:1][#7:2]"),
    "SNAr amination": ("[#6;a:1][F,Cl,$([#16](=O)(=O)C),$([#16](=O)C)].[#7;!H0:2]>>[#6:1]-[#7:2]",),
    "SNAr etherification": ("[#6;a:1][F,Cl,Br,I].[#6:3][OX2H1,OX1-:2]>>[#6:1][O+0:2][#6:3]",),
    "SNAr thioetherification": ("[#6;a:1][F,Cl,Br,I].[#6:3][SX2H1,SX1-:2]>>[#6:1][S+0:2][#6:3]",),
    "cyanation": ("[#6;a:1][F,Cl,Br,I]>>[#6:1]C#N", f"[CX4:1][{_LEAVING}]>>[C:1]C#N"),
    "azide substitution": (f"[CX4:1][{_LEAVING}]>>[C:1]N=[N+]=[N-]",),
    "Heck reaction": (f"[c:1][Cl,Br,I,{_TRIFLATE}].[CH2,CH1:2]=[CX3:3]>>[c:1][C:2]=[C:3]",),
    "Stille coupling": (f"[#6:1][Cl,Br,I,{_TRIFLATE}].[#6:2][Sn]>>[#6:1]-[#6:2]",),
    "Negishi coupling": (f"[#6:1][Cl,Br,I,{_TRIFLATE}].[#6:2][Zn]>>[#6:1]-[#6:2]",),
    "Miyaura borylation": (f"[c:1][Cl,Br,I,{_TRIFLATE}].[B:2][B]>>[c:1][B:2]",),
    "Wittig olefination": ("[#6:1]=O.[#6:2]=[PX4]>>[#6:1]=[#6:2]", "[#6:1]=O.[CX4:2][PX4,PX4+]>>[#6:1]=[#6:2]"),
    "Knoevenagel condensation": ("[CX3:1]=O.[CX4;H2:2][CX3:3]=[O:4]>>[C:1]=[C:2][C:3]=[O:4]", "[CX3:1]=O.[CX4;H2:2]C#[N:4]>>[C:1]=[C:2]C#[N:4]"),
    "imine formation": ("[CX3:1]=O.[NX3;H2:2]>>[C:1]=[N:2]",),
    "Michael addition": ("[CX3:1]=[CX3:2][CX3:3]=[O:4].[#7,#16;!H0:5]>>[*:5][C:1][C:2][C:3]=[O:4]",),
    "epoxide opening": ("[CX4:1]1[OX2:2][CX4:3]1.[#7,#8,#16;!H0:4]>>[C:1]([OH:2])[C:3][*:4]",),
    "epoxidation": ("[CX3:1]=[CX3:2]>>[C:1]1O[C:2]1",),
    "Friedel-Crafts acylation": ("[cH:1].[CX3:2](=[O:3])[Cl,Br,$([OX2]C=O)]>>[c:1][C:2]=[O:3]",),
    "thiourea formation": ("[NX2:1]=[CX2:2]=[SX1:3].[#7;!H0:4]>>[NH:1][C:2](=[S:3])[#7:4]",),
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
    "aldehyde reduction": ("[#6:3][CX3H1:1]=[O:2]>>[#6:3][CH2:1][OH:2]",),
    "ester reduction": ("[#6:3][CX3:1](=[O:2])[OX2][#6]>>[#6:3][CH2:1][OH:2]",),
    "acid reduction": ("[#6:3][CX3:1](=[O:2])[OX2H1]>>[#6:3][CH2:1][OH:2]",),
    "amide reduction": ("[CX3:1](=O)[#7:2]>>[CH2:1][#7:2]",),
    "nitrile reduction": ("[CX2:1]#[NX1:2]>>[CH2:1][NH2:2]",),
    "nitrile hydrolysis": ("[#6:3][CX2:1]#[NX1:2]>>[#6:3][C:1](=O)[NH2:2]", "[#6:3][CX2:1]#[NX1]>>[#6:3][C:1](=O)O"),
    "azide reduction": ("[#6:1][NX2:2]=[N+]=[N-]>>[#6:1][NH2:2]",),
    "hydrogenation": ("[#6;!a:1]=[#6;!a:2]>>[#6:1]-[#6:2]", "[CX2:1]#[CX2:2]>>[C:1][C:2]", "[CX2:1]#[CX2:2]>>[C:1]=[C:2]"),
    "dehalogenation": ("[c:1][Cl,Br,I]>>[c:1]",),
    "decarboxylation": ("[#6:1][CX3](=O)[OX2H1]>>[#6:1]",),
    "acyl chloride formation": ("[#6:3][CX3:1](=[O:2])[OX2H1]>>[#6:3][C:1](=[O:2])Cl",),
    "alcohol chlorination": ("[CX4:1][OX2H1]>>[C:1]Cl", "[c:1][OX2H1]>>[c:1]Cl", "[#6;r6:1](=O)[nH:2]>>[#6:1](Cl)=,:[n:2]"),
    "alcohol bromination": ("[CX4:1][OX2H1]>>[C:1]Br",),
    "aromatic bromination": ("[cH:1]>>[c:1]Br",), "aromatic chlorination": ("[cH:1]>>[c:1]Cl",), "aromatic iodination": ("[cH:1]>>[c:1]I",),
    "aromatic nitration": ("[cH:1]>>[c:1][N+](=O)[O-]",), "alkyl bromination": ("[CX4;!H0:1]>>[C:1]Br",),
    "thioether oxidation": ("[#6:2][SX2:1][#6:3]>>[#6:2][S:1](=O)(=O)[#6:3]", "[#6:2][SX2:1][#6:3]>>[#6:2][S:1](=O)[#6:3]"),
    "N-oxidation": ("[nX2:1]>>[n+:1][O-]",),
}  # fmt: skip

# what is usually added to make them go, where one thing is: a table of ours for exercises, not a procedure
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
    *((name, AllChem.ReactionFromSmarts(smarts)) for name, all_of in FURTHER.items() for smarts in all_of),
]
NAMES = tuple(dict.fromkeys(name for name, _ in _ALL))


class Identified(NamedTuple):
    """A reaction that the table knows: its name, the bonds of atoms of the product that it forms, breaks and changes in
    order, as `C-N` with the symbols in alphabetical order, and the SMILES of what the reactants lose."""

    name: str
    formed: frozenset[str]
    broken: frozenset[str]
    changed: frozenset[str]
    leaving: frozenset[str]


def products(name: str, reactants: list[Chem.Mol], limit: int = 20) -> set[str]:
    """Canonical SMILES of what the template of REACTIONS makes of `reactants`, in that order."""
    return {smiles for smiles, _ in _outcomes(TEMPLATES[name], reactants, limit)}


def _outcomes(
    template: AllChem.ChemicalReaction, reactants: list[Chem.Mol], limit: int = 50
) -> Iterator[tuple[str, Chem.Mol]]:
    """The products of `template`, canonical SMILES and molecule; those that fail to sanitise are left out."""
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
    """The first reaction of the table (of the names in `only`) that gives `product` from some of `reactants`, or None.

    All are canonical SMILES, compared without stereochemistry: what a template says of it is less than what happens.
    At most the eight largest molecules are tried: salts and solvents are small.
    """
    mols = [
        Chem.MolFromSmiles(without_stereo(s))
        for s in sorted(set(reactants) - {product}, key=lambda s: (-len(s), s))[:8]
    ]
    target = without_stereo(product)
    for name, template in _ALL:
        if name not in only:
            continue
        places = [template.GetReactantTemplate(i) for i in range(template.GetNumReactantTemplates())]
        fitting = [[n for n, mol in enumerate(mols) if mol.HasSubstructMatch(place)] for place in places]
        for chosen in every(*fitting):
            if len(set(chosen)) < len(chosen):
                continue
            for smiles, made in _outcomes(template, [mols[n] for n in chosen]):
                if smiles == target:
                    return Identified(name, *_bond_changes([mols[n] for n in chosen], made))
    return None


@lru_cache(maxsize=20_000)
def thinkable(reactants: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether `reactants` (SMILES) have what a reaction of one of `names` needs, whatever it would give."""
    mols = [Chem.MolFromSmiles(smiles) for smiles in reactants]
    templates = [template for name, template in _ALL if name in names]
    needs = [
        [template.GetReactantTemplate(i) for i in range(template.GetNumReactantTemplates())] for template in templates
    ]
    return any(all(any(mol.HasSubstructMatch(place) for mol in mols) for place in places) for places in needs)


def identify(reactants: tuple[str, ...], product: str) -> str | None:
    """The name of the reaction that gives `product` from some of `reactants` (canonical SMILES), None for no known one."""
    found = named_reaction(reactants, product)
    return found and found.name


def _bond_changes(reactants: list[Chem.Mol], made: Chem.Mol) -> tuple[frozenset[str], ...]:
    """The bonds (formed, broken, changed in order) and what leaves; RDKit marks each atom of a product with the atom it was."""
    origin = [
        (atom.GetIntProp("react_idx"), atom.GetIntProp("react_atom_idx"))
        if atom.HasProp("react_atom_idx")
        else (-1, atom.GetIdx())
        for atom in made.GetAtoms()
    ]
    symbols = dict(zip(origin, (atom.GetSymbol() for atom in made.GetAtoms()), strict=True))
    before = {}
    for n, mol in enumerate(reactants):
        symbols |= {(n, atom.GetIdx()): atom.GetSymbol() for atom in mol.GetAtoms()}
        before |= {
            frozenset(((n, b.GetBeginAtomIdx()), (n, b.GetEndAtomIdx()))): b.GetBondType() for b in mol.GetBonds()
        }
    after = {
        frozenset((origin[b.GetBeginAtomIdx()], origin[b.GetEndAtomIdx()])): b.GetBondType() for b in made.GetBonds()
    }
    kept = set(origin)
    aromatic = Chem.BondType.AROMATIC

    def said(pairs) -> frozenset[str]:
        return frozenset("-".join(sorted(symbols[atom] for atom in pair)) for pair in pairs)

    return (
        said(pair for pair in after if pair not in before),
        said(pair for pair in before if pair not in after and pair & kept),
        said(
            pair
            for pair in after
            if pair in before and before[pair] != after[pair] and aromatic not in (before[pair], after[pair])
        ),
        frozenset(
            piece for n, mol in enumerate(reactants) for piece in _lost(mol, {atom for m, atom in kept if m == n})
        ),
    )


def _lost(mol: Chem.Mol, kept: set[int]) -> list[str]:
    """SMILES of the parts of a reactant that are not in the product."""
    lost = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetIdx() not in kept]
    return Chem.MolFragmentToSmiles(mol, lost).split(".") if lost else []
