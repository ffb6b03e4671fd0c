"""Functional groups and named reactions: each finds its hand-made example and no false friend."""

import pytest
from rdkit import Chem

from chemr_lite import check_claims
from chemr_lite.chemistry.groups import FUNCTIONAL_GROUPS, functional_groups, groups_of, places_of
from chemr_lite.chemistry.reactions import FURTHER, NAMES, REACTIONS, TEMPLATES, identify, named_reaction, products
from chemr_lite.chemistry.wording import describe_groups, describe_stereo, format_groups

# name → a molecule that has this group once and no other group
ONE_GROUP = {
    "carboxylic acid": "CC(=O)O",
    "acyl chloride": "CC(=O)Cl",
    "anhydride": "CC(=O)OC(C)=O",
    "ester": "CC(=O)OC",
    "Boc-protected amine": "CNC(=O)OC(C)(C)C",
    "carbamate": "CNC(=O)OC",
    "carbonate": "COC(=O)OC",
    "urea": "CNC(=O)NC",
    "imide": "CC(=O)NC(C)=O",
    "amide": "CC(=O)NC",
    "thioamide": "CC(=S)NC",
    "aldehyde": "CC=O",
    "ketone": "CC(C)=O",
    "phenol": "Oc1ccccc1",
    "primary alcohol": "CCO",
    "secondary alcohol": "CC(C)O",
    "tertiary alcohol": "CC(C)(C)O",
    "epoxide": "CC1CO1",
    "ether": "CCOCC",
    "thiol": "CCS",
    "disulfide": "CSSC",
    "thioether": "CSC",
    "sulfoxide": "CS(C)=O",
    "sulfone": "CS(C)(=O)=O",
    "sulfonamide": "CNS(C)(=O)=O",
    "sulfonyl chloride": "CS(=O)(=O)Cl",
    "primary amine": "CCN",
    "secondary amine": "CNC",
    "tertiary amine": "CN(C)C",
    "nitrile": "CC#N",
    "isocyanate": "CN=C=O",
    "azide": "CN=[N+]=[N-]",
    "nitro": "C[N+](=O)[O-]",
    "imine": "CC=NC",
    "hydrazine": "CNNC",
    "terminal alkyne": "CC#C",
    "internal alkyne": "CC#CC",
    "alkene": "CC=CC",
    "trifluoromethyl": "CC(F)(F)F",
    "aryl fluoride": "Fc1ccccc1",
    "aryl chloride": "Clc1ccccc1",
    "aryl bromide": "Brc1ccccc1",
    "aryl iodide": "Ic1ccccc1",
    "alkyl fluoride": "CCF",
    "alkyl chloride": "CCCl",
    "alkyl bromide": "CCBr",
    "alkyl iodide": "CCI",
    "boronic acid": "OB(O)c1ccccc1",
    "boronic ester": "CC1(C)OB(c2ccccc2)OC1(C)C",
    "Grignard reagent": "C[Mg]Br",
}


@pytest.mark.parametrize("name", FUNCTIONAL_GROUPS)
def test_each_group_finds_its_example_and_no_other_group_does(name):
    assert functional_groups(Chem.MolFromSmiles(ONE_GROUP[name])) == {name: 1}


FALSE_FRIENDS = [
    pytest.param("CC(=O)N(C)C", {"amide": 1}, id="an-amide-is-no-amine"),
    pytest.param("CC(N)=O", {"amide": 1}, id="a-primary-amide-is-no-amine"),
    pytest.param("NC=O", {"amide": 1}, id="formamide-is-no-aldehyde"),
    pytest.param("CC(=O)OCC", {"ester": 1}, id="an-ester-is-no-ether-and-no-ketone"),
    pytest.param("O=C1CCCO1", {"ester": 1}, id="a-lactone-is-an-ester"),
    pytest.param("CCOC=O", {"ester": 1}, id="a-formate-is-an-ester"),
    pytest.param("O=C1CCCN1", {"amide": 1}, id="a-lactam-is-an-amide"),
    pytest.param("O=CO", {"carboxylic acid": 1}, id="formic-acid-is-no-aldehyde"),
    pytest.param("CC(=O)[O-]", {"carboxylic acid": 1}, id="a-carboxylate"),
    pytest.param("CC(=O)O", {"carboxylic acid": 1}, id="an-acid-is-no-alcohol"),
    pytest.param("CS(=O)(=O)Nc1ccccc1", {"sulfonamide": 1}, id="a-sulfonamide-is-no-amine"),
    pytest.param("CS(C)(=O)=O", {"sulfone": 1}, id="a-sulfone-is-no-sulfoxide"),
    pytest.param("CC(=O)SC", {}, id="a-thioester-is-no-thioether-and-no-ketone"),
    pytest.param("CSSC", {"disulfide": 1}, id="a-disulfide-is-no-thioether"),
    pytest.param("COC(=O)N(C)C", {"carbamate": 1}, id="a-carbamate-is-no-ester-and-no-amine"),
    pytest.param("CNC(=O)N(C)C", {"urea": 1}, id="a-urea-is-no-amide"),
    pytest.param("O=C1CCC(=O)N1", {"imide": 1}, id="an-imide-is-no-amide"),
    pytest.param("COC(=O)OC", {"carbonate": 1}, id="a-carbonate-is-no-ester"),
    pytest.param("Oc1ccccc1", {"phenol": 1}, id="a-phenol-is-no-alcohol"),
    pytest.param("OCc1ccccc1", {"primary alcohol": 1}, id="a-benzyl-alcohol-is-no-phenol"),
    pytest.param("COc1ccccc1", {"ether": 1}, id="an-aryl-ether"),
    pytest.param("c1ccoc1", {}, id="furan-is-no-ether"),
    pytest.param("c1ccsc1", {}, id="thiophene-is-no-thioether"),
    pytest.param("c1ccncc1", {}, id="pyridine-is-no-amine-and-no-imine"),
    pytest.param("Cn1cccc1", {}, id="pyrrole-is-no-amine"),
    pytest.param("Nc1ccccc1", {"primary amine": 1}, id="an-aniline-is-an-amine"),
    pytest.param("C1CO1", {"epoxide": 1}, id="an-epoxide-is-no-ether"),
    pytest.param("C1COC1", {"ether": 1}, id="an-oxetane-is-no-epoxide"),
    pytest.param("CC#N", {"nitrile": 1}, id="a-nitrile-is-no-alkyne"),
    pytest.param("CC=NO", {}, id="an-oxime-is-no-imine-and-no-alcohol"),
    pytest.param("CN(C)N=O", {}, id="a-nitrosamine-is-no-amine"),
    pytest.param("CN(C)[N+](=O)[O-]", {"nitro": 1}, id="a-nitramine-is-no-hydrazine"),
    pytest.param("NC#N", {"nitrile": 1}, id="cyanamide-is-no-amine"),
    pytest.param("CN=C=O", {"isocyanate": 1}, id="an-isocyanate-is-no-imine"),
    pytest.param("C=C=C", {}, id="an-allene-is-no-alkene"),
    pytest.param("c1ccccc1", {}, id="benzene-is-no-alkene"),
    pytest.param("FC(F)(F)c1ccccc1", {"trifluoromethyl": 1}, id="trifluoromethyl-is-no-fluoride"),
    pytest.param("FCc1ccccc1", {"alkyl fluoride": 1}, id="a-benzyl-fluoride-is-no-aryl-fluoride"),
    pytest.param("CC(=O)Cl", {"acyl chloride": 1}, id="an-acyl-chloride-is-no-alkyl-chloride"),
    pytest.param("CS(=O)(=O)Cl", {"sulfonyl chloride": 1}, id="a-sulfonyl-chloride-is-no-alkyl-chloride"),
    pytest.param("C[NH3+]", {}, id="an-ammonium-is-no-amine"),
]


@pytest.mark.parametrize("smiles, expected", FALSE_FRIENDS)
def test_false_friends(smiles, expected):
    assert functional_groups(Chem.MolFromSmiles(smiles)) == expected


PLACED = {
    "CCOC(=O)c1ccc(Cl)cc1": "ester on an aromatic ring, aryl chloride",
    "CC(=O)OCc1ccccc1": "ester on a chain",  # benzyl acetate: a CH2 lies between
    "O=C1CCCN1": "amide in a ring",
    "CC(=O)N1CCOCC1": "amide on an aliphatic ring, ether in a ring",
    "CN1CCCCC1": "tertiary amine in a ring",
    "Cc1ccccc1C(F)(F)F": "trifluoromethyl on an aromatic ring",
    "OC1CCCCC1": "secondary alcohol on an aliphatic ring",
    "C=Cc1ccccc1": "alkene on an aromatic ring",
    "CC1(C)OB(c2ccccc2)OC1(C)C": "boronic ester in a ring",
    "NCCCN": "2 primary amine on a chain",
    "CC1CO1": "epoxide",
    "C": "none",
}


@pytest.mark.parametrize("smiles", PLACED)
def test_where_a_group_sits(smiles):
    assert describe_groups(Chem.CanonSmiles(smiles), placed=True) == PLACED[smiles]


def test_a_methyl_sits_on_what_it_is_bound_to():
    mol = Chem.MolFromSmiles("Cc1ccccc1")
    assert places_of(mol, [0]) == ("on an aromatic ring",)


@pytest.mark.parametrize(
    "smiles, expected",
    [
        pytest.param("OCC(O)CO", {"primary alcohol": 2, "secondary alcohol": 1}, id="glycerol"),
        pytest.param("CC(=O)Oc1ccccc1C(=O)O", {"carboxylic acid": 1, "ester": 1}, id="aspirin"),
        pytest.param("CC(=O)Nc1ccc(O)cc1", {"amide": 1, "phenol": 1}, id="paracetamol"),
        pytest.param(
            "N[C@@H](CO)C(=O)O", {"carboxylic acid": 1, "primary alcohol": 1, "primary amine": 1}, id="serine"
        ),
        pytest.param("CCCC", {}, id="butane"),
    ],
)
def test_groups_are_counted(smiles, expected):
    key = Chem.CanonSmiles(smiles)
    assert dict(groups_of(key)) == expected
    in_order = [name for name in FUNCTIONAL_GROUPS if name in expected]
    assert [name for name, _ in groups_of(key)] == in_order


@pytest.mark.parametrize(
    "groups, text",
    [({}, "none"), ({"ester": 1}, "ester"), ({"ester": 2}, "2 ester"), ({"ester": 2, "phenol": 1}, "2 ester, phenol")],
)
def test_format_groups(groups, text):
    assert format_groups(groups) == text


# name → reactants in the template's order, and the product
EXAMPLES = {
    "amide coupling": (["CC(=O)O", "NCc1ccccc1"], "CC(=O)NCc1ccccc1"),
    "esterification": (["CC(=O)O", "CCO"], "CCOC(C)=O"),
    "Suzuki coupling": (["Brc1ccccc1", "OB(O)c1ccncc1"], "c1ccc(-c2ccncc2)cc1"),
    "Buchwald-Hartwig amination": (["Brc1ccccc1", "C1COCCN1"], "c1ccc(N2CCOCC2)cc1"),
    "Sonogashira coupling": (["Ic1ccccc1", "CCC#C"], "CCC#Cc1ccccc1"),
    "reductive amination": (["O=Cc1ccccc1", "CN"], "CNCc1ccccc1"),
    "Williamson ether synthesis": (["CCBr", "Oc1ccccc1"], "CCOc1ccccc1"),
    "thioether formation": (["CCBr", "CS"], "CCSC"),
    "sulfonamide formation": (["CS(=O)(=O)Cl", "CN"], "CNS(C)(=O)=O"),
    "urea formation": (["CN=C=O", "CCN"], "CCNC(=O)NC"),
    "carbamate formation": (["CN=C=O", "CCO"], "CCOC(=O)NC"),
    "azide-alkyne cycloaddition": (["CN=[N+]=[N-]", "CC#C"], "Cc1cn(C)nn1"),  # 1,4, as with copper
    "Hantzsch thiazole synthesis": (["CC(N)=S", "O=C(CBr)c1ccccc1"], "Cc1nc(-c2ccccc2)cs1"),
    "Grignard addition": (["CC=O", "C[Mg]Br"], "CC(C)O"),
    "Boc protection": (["CN", "CC(C)(C)OC(=O)OC(=O)OC(C)(C)C"], "CNC(=O)OC(C)(C)C"),
    "Boc deprotection": (["CNC(=O)OC(C)(C)C"], "CN"),
    "nitro reduction": (["O=[N+]([O-])c1ccccc1"], "Nc1ccccc1"),
    "ester hydrolysis": (["COC(=O)c1ccccc1"], "O=C(O)c1ccccc1"),
    "ketone reduction": (["CC(=O)c1ccccc1"], "CC(O)c1ccccc1"),
    "alcohol oxidation": (["OCc1ccccc1"], "O=Cc1ccccc1"),
}


@pytest.mark.parametrize("name", REACTIONS)
def test_each_reaction_makes_its_product_and_is_named(name):
    reactants, product = EXAMPLES[name]
    assert product == Chem.CanonSmiles(product)
    assert products(name, [Chem.MolFromSmiles(s) for s in reactants]) == {product}
    keys = tuple(Chem.CanonSmiles(s) for s in reactants)
    assert identify(keys, product) == name
    assert identify(keys[::-1], product) == name  # in any order


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_keeps_every_atom_it_names(name):
    """No mapped atom is lost or added: only unmapped atoms, the leaving group, may go."""
    template = TEMPLATES[name]
    left = {
        a.GetAtomMapNum()
        for i in range(template.GetNumReactantTemplates())
        for a in template.GetReactantTemplate(i).GetAtoms()
    }
    right = {a.GetAtomMapNum() for a in template.GetProductTemplate(0).GetAtoms()}
    assert left - {0} == right - {0}


# like recorded reactions: other leaving groups, other nucleophiles, no reagents
FURTHER_EXAMPLES = [
    ("amide coupling", "O=C(O)c1ccccc1.c1ccc2[nH]ccc2c1", "O=C(c1ccccc1)n1ccc2ccccc21"),
    ("esterification", "CC(=O)O.Oc1ccccc1", "CC(=O)Oc1ccccc1"),
    ("Suzuki coupling", "Clc1ccncc1.CC1(C)OB(c2ccccc2)OC1(C)C", "c1ccc(-c2ccncc2)cc1"),
    ("Buchwald-Hartwig amination", "O=S(=O)(Oc1ccccc1)C(F)(F)F.c1cc[nH]c1", "c1ccc(-n2cccc2)cc1"),
    ("Sonogashira coupling", "Clc1ccncc1.C#CC", "CC#Cc1ccncc1"),
    ("reductive amination", "CC(C)=O.NCc1ccccc1", "CC(C)NCc1ccccc1"),
    ("reductive amination", "C=O.CNCc1ccccc1", "CN(C)Cc1ccccc1"),
    ("sulfonamide formation", "CS(=O)(=O)Cl.c1ccc2[nH]ccc2c1", "CS(=O)(=O)n1ccc2ccccc21"),
    ("urea formation", "CN(C)C(=O)Cl.NCc1ccccc1", "CN(C)C(=O)NCc1ccccc1"),
    ("carbamate formation", "NCc1ccccc1.CCOC(=O)Cl", "CCOC(=O)NCc1ccccc1"),
    ("Grignard addition", "CC(C)=O.C[Mg]Br", "CC(C)(C)O"),
    ("Boc protection", "c1cc[nH]c1.CC(C)(C)OC(=O)OC(=O)OC(C)(C)C", "CC(C)(C)OC(=O)n1cccc1"),
    ("nitro reduction", "CC[N+](=O)[O-]", "CCN"),
    ("ester hydrolysis", "CC(C)(C)OC(=O)c1ccccc1", "O=C(O)c1ccccc1"),
    ("ester hydrolysis", "CC(=O)Oc1ccccc1", "Oc1ccccc1"),
    ("ketone reduction", "CC(=O)c1ccccc1", "C[C@H](O)c1ccccc1"),
    ("alcohol oxidation", "CC(O)c1ccccc1", "CC(=O)c1ccccc1"),
    ("alcohol oxidation", "OCc1ccccc1", "O=C(O)c1ccccc1"),
    ("N-acylation", "CC(=O)Cl.NCc1ccccc1", "CC(=O)NCc1ccccc1"),
    ("O-acylation", "CC(=O)OC(C)=O.OCc1ccccc1", "CC(=O)OCc1ccccc1"),
    ("ester aminolysis", "COC(=O)c1ccccc1.CN", "CNC(=O)c1ccccc1"),
    ("transesterification", "COC(=O)c1ccccc1.CCO", "CCOC(=O)c1ccccc1"),
    ("N-alkylation", "BrCc1ccccc1.C1COCCN1", "c1ccc(CN2CCOCC2)cc1"),
    ("O-alkylation", "CC(C)I.Oc1ccccc1", "CC(C)Oc1ccccc1"),
    ("S-alkylation", "CC(C)Br.Sc1ccccc1", "CC(C)Sc1ccccc1"),
    ("Mitsunobu reaction", "CC(C)O.Oc1ccccc1", "CC(C)Oc1ccccc1"),
    ("SNAr amination", "Clc1ccncn1.CN", "CNc1ccncn1"),
    ("SNAr etherification", "Fc1ccc([N+](=O)[O-])cc1.CCO", "CCOc1ccc([N+](=O)[O-])cc1"),
    ("SNAr thioetherification", "Clc1ccncn1.CS", "CSc1ccncn1"),
    ("cyanation", "Brc1ccncc1.N#C[Cu]", "N#Cc1ccncc1"),
    ("azide substitution", "BrCc1ccccc1.[N-]=[N+]=[N-].[Na+]", "[N-]=[N+]=NCc1ccccc1"),
    ("Heck reaction", "Ic1ccccc1.C=CC(=O)OC", "COC(=O)/C=C/c1ccccc1"),
    ("Stille coupling", "Brc1ccccc1.CCCC[Sn](CCCC)(CCCC)c1ccccn1", "c1ccc(-c2ccccn2)cc1"),
    ("Negishi coupling", "Brc1ccccn1.Cl[Zn]Cc1ccccc1", "c1ccc(Cc2ccccn2)cc1"),
    ("Miyaura borylation", "Brc1ccccc1.CC1(C)OB(B2OC(C)(C)C(C)(C)O2)OC1(C)C", "CC1(C)OB(c2ccccc2)OC1(C)C"),
    ("Wittig olefination", "O=Cc1ccccc1.C=P(c1ccccc1)(c1ccccc1)c1ccccc1", "C=Cc1ccccc1"),
    ("Wittig olefination", "O=Cc1ccccc1.CCOC(=O)CP(=O)(OCC)OCC", "CCOC(=O)/C=C/c1ccccc1"),
    ("Knoevenagel condensation", "O=Cc1ccccc1.N#CCC#N", "N#CC(C#N)=Cc1ccccc1"),
    ("imine formation", "O=Cc1ccccc1.Nc1ccccc1", "C(=Nc1ccccc1)c1ccccc1"),
    ("Michael addition", "C=CC(=O)OC.C1COCCN1", "COC(=O)CCN1CCOCC1"),
    ("epoxide opening", "C1CO1.C1COCCN1", "OCCN1CCOCC1"),
    ("epoxidation", "C1=CCCCC1", "C1CCC2OC2C1"),
    ("Friedel-Crafts acylation", "COc1ccccc1.CC(=O)Cl", "COc1ccc(C(C)=O)cc1"),
    ("thiourea formation", "CN=C=S.NCc1ccccc1", "CNC(=S)NCc1ccccc1"),
    ("sulfonylation", "OCc1ccccc1.CS(=O)(=O)Cl", "CS(=O)(=O)OCc1ccccc1"),
    ("silylation", "OCc1ccccc1.CC(C)(C)[Si](C)(C)Cl", "CC(C)(C)[Si](C)(C)OCc1ccccc1"),
    ("silyl ether cleavage", "CC(C)(C)[Si](C)(C)OCc1ccccc1", "OCc1ccccc1"),
    ("Cbz deprotection", "O=C(NC1CCCCC1)OCc1ccccc1", "NC1CCCCC1"),
    ("benzyl ether cleavage", "c1ccc(COc2ccncc2)cc1", "Oc1ccncc1"),
    ("N-debenzylation", "c1ccc(CN2CCOCC2)cc1", "C1COCCN1"),
    ("ether cleavage", "COc1ccncc1", "Oc1ccncc1"),
    ("amide hydrolysis", "CC(=O)Nc1ccccc1", "Nc1ccccc1"),
    ("phthalimide deprotection", "O=C1c2ccccc2C(=O)N1CC1CC1", "NCC1CC1"),
    ("acetal hydrolysis", "COC(OC)c1ccccc1", "O=Cc1ccccc1"),
    ("aldehyde reduction", "O=Cc1ccccc1", "OCc1ccccc1"),
    ("ester reduction", "COC(=O)c1ccccc1", "OCc1ccccc1"),
    ("acid reduction", "O=C(O)c1ccccc1", "OCc1ccccc1"),
    ("amide reduction", "CNC(=O)c1ccccc1", "CNCc1ccccc1"),
    ("nitrile reduction", "N#Cc1ccccc1", "NCc1ccccc1"),
    ("nitrile hydrolysis", "N#Cc1ccccc1", "NC(=O)c1ccccc1"),
    ("nitrile hydrolysis", "N#Cc1ccccc1", "O=C(O)c1ccccc1"),
    ("azide reduction", "[N-]=[N+]=NCc1ccccc1", "NCc1ccccc1"),
    ("hydrogenation", "C=Cc1ccccc1", "CCc1ccccc1"),
    ("dehalogenation", "Clc1ccncc1", "c1ccncc1"),
    ("decarboxylation", "CC(C(=O)O)c1ccccc1", "CCc1ccccc1"),
    ("acyl chloride formation", "O=C(O)c1ccccc1", "O=C(Cl)c1ccccc1"),
    ("alcohol chlorination", "OCc1ccccc1", "ClCc1ccccc1"),
    ("alcohol chlorination", "O=c1cccc[nH]1", "Clc1ccccn1"),
    ("alcohol bromination", "OCc1ccccc1", "BrCc1ccccc1"),
    ("aromatic bromination", "COc1ccccc1", "COc1ccc(Br)cc1"),
    ("aromatic chlorination", "COc1ccccc1", "COc1ccc(Cl)cc1"),
    ("aromatic iodination", "COc1ccccc1", "COc1ccc(I)cc1"),
    ("aromatic nitration", "COc1ccccc1", "COc1ccc([N+](=O)[O-])cc1"),
    ("alkyl bromination", "Cc1ccccc1", "BrCc1ccccc1"),
    ("thioether oxidation", "CSc1ccccc1", "CS(=O)c1ccccc1"),
    ("thioether oxidation", "CSc1ccccc1", "CS(=O)(=O)c1ccccc1"),
    ("N-oxidation", "c1ccncc1", "[O-][n+]1ccccc1"),
]


@pytest.mark.parametrize("name, reactants, product", FURTHER_EXAMPLES, ids=lambda text: text.replace(" ", "-"))
def test_recorded_reactions_are_named(name, reactants, product):
    """The name matches if it is the only one allowed; without that limit an earlier name may match first."""
    keys = tuple(Chem.CanonSmiles(s) for s in reactants.split("."))
    assert named_reaction(keys, Chem.CanonSmiles(product), (name,))
    assert identify(keys, Chem.CanonSmiles(product))


def test_every_name_has_an_example():
    assert {name for name, _, _ in FURTHER_EXAMPLES} | set(EXAMPLES) == set(NAMES)
    assert len(NAMES) >= 30 and set(FURTHER) | set(REACTIONS) == set(NAMES)


@pytest.mark.parametrize(
    "reactants, product, formed, broken, changed",
    [
        pytest.param("CC(=O)O.CN", "CNC(C)=O", {"C-N"}, {"C-O"}, set(), id="amide"),
        pytest.param("Brc1ccccc1.OB(O)c1ccncc1", "c1ccc(-c2ccncc2)cc1", {"C-C"}, {"Br-C", "B-C"}, set(), id="Suzuki"),
        pytest.param("O=[N+]([O-])c1ccccc1", "Nc1ccccc1", set(), {"N-O"}, set(), id="nitro"),
        pytest.param("CC(=O)c1ccccc1", "CC(O)c1ccccc1", set(), set(), {"C-O"}, id="ketone"),
        pytest.param("COc1ccccc1", "COc1ccc(Br)cc1", {"Br-C"}, set(), set(), id="bromination"),
    ],
)
def test_bonds_formed_and_broken(reactants, product, formed, broken, changed):
    keys = tuple(Chem.CanonSmiles(s) for s in reactants.split("."))
    reaction = named_reaction(keys, Chem.CanonSmiles(product))
    assert (set(reaction.formed), set(reaction.broken), set(reaction.changed)) == (formed, broken, changed)


NO_REACTION = [
    pytest.param("amide coupling", ["CC(=O)O", "CC(N)=O"], id="an-amide-nitrogen-does-not-couple"),
    pytest.param("amide coupling", ["CC(=O)O", "CN(C)C"], id="a-tertiary-amine-does-not-couple"),
    pytest.param("amide coupling", ["CC(=O)OC", "CN"], id="an-ester-is-no-acid"),
    pytest.param("esterification", ["CC(=O)O", "Oc1ccccc1"], id="a-phenol-is-no-alcohol"),
    pytest.param("Suzuki coupling", ["Clc1ccccc1", "OB(O)c1ccccc1"], id="a-chloride-does-not-couple"),
    pytest.param("Suzuki coupling", ["OB(O)c1ccccc1", "Brc1ccccc1"], id="reactants-in-the-other-order"),
    pytest.param("Sonogashira coupling", ["Brc1ccccc1", "CC#CC"], id="an-internal-alkyne"),
    pytest.param("reductive amination", ["CC(C)=O", "CN"], id="a-ketone-is-no-aldehyde"),
    pytest.param("Williamson ether synthesis", ["CC(C)Br", "Oc1ccccc1"], id="a-secondary-bromide"),
    pytest.param("Buchwald-Hartwig amination", ["Brc1ccccc1", "CS(N)(=O)=O"], id="a-sulfonamide-nitrogen"),
    pytest.param("ester hydrolysis", ["CC(=O)OC(C)(C)C"], id="a-tert-butyl-ester"),
    pytest.param("ketone reduction", ["CC(=O)OC"], id="an-ester-is-no-ketone"),
    pytest.param("alcohol oxidation", ["CC(C)O"], id="a-secondary-alcohol"),
    pytest.param("amide coupling", ["CC(=O)O"], id="one-reactant-too-few"),
    pytest.param("nitro reduction", ["O=[N+]([O-])c1ccccc1", "CN"], id="one-reactant-too-many"),
]


@pytest.mark.parametrize("name, reactants", NO_REACTION)
def test_what_does_not_react(name, reactants):
    assert products(name, [Chem.MolFromSmiles(s) for s in reactants]) == set()


def test_two_sites_give_two_products():
    amides = products("amide coupling", [Chem.MolFromSmiles("CC(=O)O"), Chem.MolFromSmiles("NCCNC")])
    assert amides == {Chem.CanonSmiles("CC(=O)NCCNC"), Chem.CanonSmiles("NCCN(C)C(C)=O")}


def test_stereochemistry_is_carried_along():
    amides = products("amide coupling", [Chem.MolFromSmiles("CC(=O)O"), Chem.MolFromSmiles("C[C@H](N)c1ccccc1")])
    assert amides == {Chem.CanonSmiles("CC(=O)N[C@@H](C)c1ccccc1")}


@pytest.mark.parametrize(
    "reactants, product, name",
    [
        pytest.param(("CC(=O)O", "CN", "CN(C)C=O", "O"), "CNC(C)=O", "amide coupling", id="beside-solvent-and-water"),
        pytest.param(("CC(=O)O", "CN"), "CCNC(C)=O", None, id="product-of-another-amine"),
        pytest.param(("CC", "CN"), "CCNC", None, id="no-reaction-in-the-table"),
        pytest.param(("CN",), "CN", None, id="nothing-happens"),
        pytest.param((), "CN", None, id="no-reactants"),
    ],
)
def test_identify(reactants, product, name):
    assert identify(reactants, product) == name


@pytest.mark.parametrize(
    "smiles, text",
    [
        ("CCO", "none"),
        ("C[C@H](N)C(=O)O", "1 S centre"),
        ("C[C@H](N)C(=O)O/C=C/C(F)Cl", "1 S centre, 1 unassigned centre, 1 E double bond"),
        ("O[C@H]1C[C@@H](C1)C", "2 r centre"),  # pseudo-asymmetric
    ],
)
def test_stereochemistry_is_counted_by_label(smiles, text):
    row = {"task": "molecule_captioning", "input": smiles, "answer": "", "meta": {}}
    assert describe_stereo(smiles) == text
    claims = check_claims(f"5. **Stereochemistry:** {text}", row)
    assert len(claims) == len(text.split(", ")) and all(claim.supported for claim in claims)
    more = check_claims(f"5. **Stereochemistry:** {text.replace('1 ', '3 ').replace('2 ', '3 ')}", row)
    assert text == "none" or not any(claim.supported for claim in more)
