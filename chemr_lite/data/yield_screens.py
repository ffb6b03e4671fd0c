"""The chemicals of two high-throughput screens.

Buchwald-Hartwig: Ahneman et al., Science 2018, 360, 186. Suzuki-Miyaura: Perera et al., Science 2018, 359, 429. The
Suzuki table gives names only; the structures here are those that the names stand for. ChemLLMBench's prompts draw
AmPhos with a benzyl group and put the triflate in the wrong place. `role_of` knows those drawings too.
"""

from functools import cache

from rdkit import Chem
from rdkit.Chem import AllChem

from chemr_lite.smiles import parse_smiles

REACTANTS = {
    "6-chloroquinoline": "Clc1ccc2ncccc2c1",
    "6-Bromoquinoline": "Brc1ccc2ncccc2c1",
    "6-Iodoquinoline": "Ic1ccc2ncccc2c1",
    "6-triflatequinoline": "O=S(=O)(Oc1ccc2ncccc2c1)C(F)(F)F",
    "6-quinoline-boronic acid hydrochloride": "Cl.OB(O)c1ccc2ncccc2c1",
    "6-Quinolineboronic acid pinacol ester": "CC1(C)OB(c2ccc3ncccc3c2)OC1(C)C",
    "Potassium quinoline-6-trifluoroborate": "F[B-](F)(F)c1ccc2ncccc2c1.[K+]",
    "2a, Boronic Acid": "Cc1ccc2c(cnn2C2CCCCO2)c1B(O)O",
    "2b, Boronic Ester": "Cc1ccc2c(cnn2C2CCCCO2)c1B1OC(C)(C)C(C)(C)O1",
    "2c, Trifluoroborate": "Cc1ccc2c(cnn2C2CCCCO2)c1[B-](F)(F)F.[K+]",
    "2d, Bromide": "Cc1ccc2c(cnn2C2CCCCO2)c1Br",
}
LIGANDS = {
    "P(tBu)3": "CC(C)(C)P(C(C)(C)C)C(C)(C)C",
    "P(Ph)3": "c1ccc(P(c2ccccc2)c2ccccc2)cc1",
    "P(Cy)3": "C1CCC(P(C2CCCCC2)C2CCCCC2)CC1",
    "P(o-Tol)3": "Cc1ccccc1P(c1ccccc1C)c1ccccc1C",
    "AmPhos": "CN(C)c1ccc(P(C(C)(C)C)C(C)(C)C)cc1",
    "CataCXium A": "CCCCP(C12CC3CC(CC(C3)C1)C2)C12CC3CC(CC(C3)C1)C2",
    "SPhos": "COc1cccc(OC)c1-c1ccccc1P(C1CCCCC1)C1CCCCC1",
    "XPhos": "CC(C)c1cc(C(C)C)c(-c2ccccc2P(C2CCCCC2)C2CCCCC2)c(C(C)C)c1",
    "Xantphos": "CC1(C)c2cccc(P(c3ccccc3)c3ccccc3)c2Oc2c(P(c3ccccc3)c3ccccc3)cccc21",
    "dtbpf": "CC(C)(C)P([C]1C=C[CH][C@@H]1[Fe]C1C=CC=C1P(C(C)(C)C)C(C)(C)C)C(C)(C)C",
    "dppf": "C1=C[C@H]2[Fe][C@@H]1[C]2P(c1ccccc1)c1ccccc1",
}
BASES = {
    "NaOH": "[Na+].[OH-]", "KOH": "[K+].[OH-]", "NaHCO3": "O=C([O-])O.[Na+]", "CsF": "[Cs+].[F-]",
    "K3PO4": "O=P([O-])([O-])[O-].[K+].[K+].[K+]", "LiOtBu": "CC(C)(C)[O-].[Li+]", "Et3N": "CCN(CC)CC",
}  # fmt: skip
SOLVENTS = {"MeCN": "CC#N", "THF": "C1CCOC1", "DMF": "CN(C)C=O", "MeOH": "CO"}
_OTHER_NAMES = {"THF_V2": "C1CCOC1", "MeOH/H2O_V2 9:1": "CO.O"}
_MISDRAWN = {"AmPhos": "CN(C)Cc1ccc(P(C(C)(C)C)C(C)(C)C)cc1"}
PALLADIUM = "CC(=O)O[Pd]OC(C)=O"
SUZUKI_PRODUCT = "Cc1ccc2c(cnn2C2CCCCO2)c1-c1ccc2ncccc2c1"
TOLUIDINE = "Cc1ccc(N)cc1"
_AMINATION = AllChem.ReactionFromSmarts("[c:1][Cl,Br,I].[NH2:2][c:3]>>[c:1][NH:2][c:3]")


def suzuki_reaction(reactant_1: str, reactant_2: str, ligand: str, base: str, solvent: str) -> str:
    """Return the reaction SMILES of one well, from the names in the table.

    An empty name or "None" means that the well had no such chemical. Raises KeyError for an unknown name.
    """
    parts = [REACTANTS[reactant_1.strip()], REACTANTS[reactant_2.strip()], PALLADIUM]
    parts += [
        table[name.strip()]
        for table, name in ((LIGANDS, ligand), (BASES, base), (SOLVENTS | _OTHER_NAMES, solvent))
        if name not in ("", "None")
    ]
    return f"{'.'.join(parts)}>>{SUZUKI_PRODUCT}"


def buchwald_reaction(halide: str, ligand: str, base: str, additive: str) -> str:
    """Return the reaction SMILES of one well: an aryl halide with p-toluidine.

    Raises ValueError if the halide is no aryl chloride, bromide or iodide.
    """
    aryl = Chem.MolFromSmiles(halide)
    products = _AMINATION.RunReactants((aryl, Chem.MolFromSmiles(TOLUIDINE))) if aryl else ()
    if not products:
        raise ValueError(f"{halide!r} is not an aryl halide")
    Chem.SanitizeMol(products[0][0])
    parts = [Chem.CanonSmiles(smiles) for smiles in (halide, ligand, base, additive) if smiles]
    return f"{'.'.join([parts[0], TOLUIDINE, *parts[1:]])}>>{Chem.MolToSmiles(products[0][0])}"


def _key(smiles: str) -> str:
    parsed = parse_smiles(smiles)
    return parsed.key if parsed.ok else ".".join(sorted(smiles.split(".")))  # salts of single atoms, ferrocenes


@cache
def _roles() -> dict[str, str]:
    tables = (("ligand", LIGANDS | _MISDRAWN), ("base", BASES), ("solvent", SOLVENTS))
    return {_key(smiles): role for role, table in tables for smiles in table.values()}


def role_of(smiles: str) -> str:
    """Return `ligand`, `base` or `solvent` for a chemical of the Suzuki screen, and `reactant` for any other."""
    return _roles().get(_key(smiles), "reactant")
