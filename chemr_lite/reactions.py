"""Named reactions as SMARTS: what builds nano's reactions, and what a trace may call a real one.

Each template maps reactants to the product, agents left out. `identify` finds the name of a given reaction by running
the templates, so a trace never names a reaction that does not give its product.
"""

from functools import lru_cache
from itertools import permutations

from rdkit import Chem, rdBase
from rdkit.Chem import AllChem

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
    "nitro reduction": "[c:1][N+](=O)[O-]>>[c:1][NH2]",
    "ester hydrolysis": "[#6:4][CX3:1](=[O:2])[OX2:3][CH3,$([CH2][CH3])]>>[#6:4][C:1](=[O:2])[OH:3]",
    "ketone reduction": "[#6:1][CX3:2](=[O:3])[#6:4]>>[#6:1][CH:2]([OH:3])[#6:4]",
    "alcohol oxidation": "[#6:3][CX4H2:1][OX2H1:2]>>[#6:3][CH:1]=[O:2]",
}

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


def products(name: str, reactants: list[Chem.Mol], limit: int = 20) -> set[str]:
    """Canonical SMILES of what `name` makes of `reactants`, in that order; templates that fail to sanitise are left out."""
    template, made = TEMPLATES[name], set()
    if len(reactants) != template.GetNumReactantTemplates():
        return made
    silence = rdBase.BlockLogs()
    for outcome in template.RunReactants(reactants, maxProducts=limit):
        mol = outcome[0]
        if Chem.SanitizeMol(mol, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE:
            made.add(Chem.MolToSmiles(mol))
    del silence
    return made


@lru_cache(maxsize=20_000)
def identify(reactants: tuple[str, ...], product: str) -> str | None:
    """The name of the first reaction in the table that gives `product` from some of `reactants`, else None.

    All arguments are canonical SMILES. At most the eight largest molecules are tried: salts and solvents are small.
    """
    silence = rdBase.BlockLogs()
    mols = [Chem.MolFromSmiles(s) for s in sorted(reactants, key=len, reverse=True)[:8]]
    for name, template in TEMPLATES.items():
        for combination in permutations(mols, template.GetNumReactantTemplates()):
            if product in products(name, list(combination)):
                return name
    del silence
    return None
