"""The words that chemists and language models use for what a molecule has, and what RDKit must find for each.

A word often has a narrower and a wider sense (is a phenol an alcohol? is the OH of an acid a hydroxyl group?), so it has
several readings, and a claim stands that is true in one of them. Patterns are SMARTS; synonyms are separated by `|`.
"""

from chemr_lite.chemistry.groups import AMINE, FUNCTIONAL_GROUPS
from chemr_lite.chemistry.reactions import NAMES

_NO_ACYL = "#6;!$(C=[O,S,N])"

# what FUNCTIONAL_GROUPS does not name: wider families, narrower members, substituents, protecting groups
_MORE: dict[str, tuple[str, ...]] = {
    "alcohol": ("[CX4][OX2H1]", f"[{_NO_ACYL}][OX2H1]"),
    "hydroxyl": (f"[{_NO_ACYL}][OX2H1]", "[OX2H1]", "[CX4][OX2H1]"),
    "benzylic alcohol": ("c[CX4][OX2H1]",), "benzylic": ("c[CX4]",),
    "diol": ("[OX2H1][CX4][CX4][OX2H1]", "[OX2H1][CX4]~[#6]~[#6][OX2H1]"),
    "catechol": ("[OX2H1]cc[OX2H1]",),
    "methyl ester": ("[CH3][OX2][CX3]=O",), "ethyl ester": ("[CH3][CH2][OX2][CX3]=O",),
    "tert-butyl ester": ("[CH3]C([CH3])([CH3])[OX2][CX3]([#6])=O",), "benzyl ester": ("c1ccccc1[CH2][OX2][CX3]=O",),
    "aryl ester": ("c[OX2][CX3]=O", "c[CX3](=O)[OX2][#6]"),
    "lactone": ("[#6;R](=O)[#8;R]",), "lactam": ("[#6;R](=O)[#7;R]",), "β-lactam": ("O=C1[#7][#6][#6]1",), "γ-lactam": ("O=C1[#7][#6][#6][#6]1",), "δ-lactam": ("O=C1[#7][#6][#6][#6][#6]1",),
    "β-lactone": ("O=C1O[#6][#6]1",), "γ-lactone": ("O=C1O[#6][#6][#6]1",), "δ-lactone": ("O=C1O[#6][#6][#6][#6]1",), "thioester": ("[CX3](=O)[SX2][#6]",),
    "primary amide": ("[CX3](=O)[NX3H2]",), "secondary amide": ("[CX3;$(C[#6]),H1](=O)[NX3H1][#6]",),
    "tertiary amide": ("[CX3;$(C[#6]),H1](=O)[NX3H0]([#6])[#6]",), "anilide": ("[CX3](=O)[NX3]c",),
    "acrylamide": ("[CX3]=[CX3][CX3](=O)[NX3]",),
    "methoxy": ("[CH3][OX2][#6]", "[CH3][OX2]c"), "ethoxy": ("[CH3][CH2][OX2][#6]",), "alkoxy": ("[CX4][OX2][#6]",),
    "phenoxy": ("c1ccccc1[OX2]",), "benzyloxy": ("c1ccccc1[CH2][OX2]",), "trifluoromethoxy": ("FC(F)(F)[OX2]",),
    "aryl ether": (f"c[OX2][{_NO_ACYL}]",), "aryl methyl ether": ("c[OX2][CH3]",), "benzyl ether": ("c[CH2][OX2][#6]",), "vinyl ether": ("[CX3]=[CX3][OX2]",), "diaryl ether": ("c[OX2]c",), "silyl ether": ("[SiX4][OX2]",),
    "acetal": ("[CX4]([OX2][#6])[OX2][#6]",), "hemiacetal": ("[CX4]([OX2H])[OX2][#6]",), "peroxide": ("[OX2][OX2]",),
    "methylenedioxy": ("[CH2]1[OX2]cc[OX2]1",),
    "amine": (f"[NX3;{AMINE}][#6]", "[NX3;H2,H1;!$(NC=O)]", "[NX3,NX4+;!$(N[C,S,P]=[O,S]);!$([N+]=O)]([CX4,c])"),
    "amino": (f"[NX3;H2;{AMINE}][#6]", "[NX3;H2]", f"[NX3;{AMINE}][#6]"),
    "aromatic amine": (f"c[NX3;{AMINE}]", "c[NX3;H2]"), "primary aromatic amine": ("c[NX3;H2]",),
    "aliphatic amine": (f"[NX3;{AMINE};!$(Nc)][CX4]",), "dimethylamino": ("[CH3][NX3]([CH3])[#6]",),
    "ammonium": ("[NX4+]",), "quaternary ammonium": ("[NX4+;H0]",),
    "guanidine": ("[#7][CX3](=[#7])[#7]",), "amidine": ("[NX3][CX3;$(C[#6]),H1]=[NX2]",), "enamine": ("[NX3][CX3]=[CX3]",),
    "oxime": ("[CX3]=[NX2][OX2]",), "hydrazone": ("[CX3]=[NX2][NX3]",), "hydroxylamine": ("[NX3][OX2H]",),
    "N-oxide": ("[#7+;!$([#7+]=O);!$([#7+](=O)[O-])][OX1-]",), "azo": ("[#6][NX2]=[NX2][#6]",), "nitroso": ("[#6,#7][NX2]=O",),
    "isothiocyanate": ("[NX2]=[CX2]=[SX1]",), "thiourea": ("[NX3][CX3](=S)[NX3]",), "thiocarbonyl": ("[CX3]=[SX1]",),
    "sulfonyl": ("[SX4](=O)(=O)",), "sulfonic acid": ("[SX4](=O)(=O)[OX2H1,OX1-]",), "sulfonate ester": ("[SX4](=O)(=O)[OX2][#6]",),
    "tosyl": ("[CH3]c1ccc(cc1)[SX4](=O)(=O)",), "mesyl": ("[CH3][SX4](=O)(=O)",), "triflate": ("FC(F)(F)[SX4](=O)(=O)[OX2]",),
    "primary sulfonamide": ("[SX4](=O)(=O)[NX3H2]",), "secondary sulfonamide": ("[SX4](=O)(=O)[NX3H1]",), "tertiary sulfonamide": ("[SX4](=O)(=O)[NX3H0]",), "tosylamide": ("[CH3]c1ccc(cc1)[SX4](=O)(=O)[#7]",),
    "sulfonylurea": ("[SX4](=O)(=O)[NX3][CX3](=O)[NX3]",),
    "phosphate": ("[PX4](=O)([OX2,OX1-])([OX2,OX1-])[OX2,OX1-]",), "diphosphate": ("[PX4][OX2][PX4]",), "triphosphate": ("[PX4][OX2][PX4][OX2][PX4]",), "phosphonate": ("[#6][PX4](=O)([OX2,OX1-])[OX2,OX1-]",),
    "phosphine": ("[PX3]([#6])[#6]",), "phosphine oxide": ("[PX4](=O)([#6])([#6])[#6]",),
    "halogen": ("[F,Cl,Br,I]",), "aryl halide": ("[c,n][F,Cl,Br,I]",), "alkyl halide": ("[CX4][F,Cl,Br,I]",), "halo": ("[F,Cl,Br,I]",),
    "fluoro": ("[#6]F", "F"), "chloro": ("[#6]Cl", "Cl"), "bromo": ("[#6]Br", "Br"), "iodo": ("[#6]I", "I"),
    "acyl bromide": ("[CX3](=O)Br",), "acyl fluoride": ("[CX3](=O)F",), "difluoromethyl": ("[CX4;H1](F)F",), "trichloromethyl": ("[CX4](Cl)(Cl)Cl",),
    "carbonyl": ("[CX3]=[OX1]", "[#6]=[OX1]"), "acyl": ("[#6][CX3]=[OX1]",), "acetyl": ("[CH3][CX3](=O)",), "benzoyl": ("c1ccccc1[CX3]=O",),
    "acetoxy": ("[CH3][CX3](=O)[OX2][#6]",), "enone": ("[CX3]=[CX3][CX3]=[OX1]", "c=c[CX3]=O"), "quinone": ("O=C1C=CC(=O)C=C1", "O=C1C(=O)C=CC=C1"),
    "alkyne": ("[CX2]#[CX2]",), "terminal alkene": ("[CH2]=[#6]",), "vinyl": ("[CH2]=[CH]",), "allyl": ("[CH2]=[CH][CX4]",), "propargyl": ("[CX2]#[CX2][CX4]",),
    "diene": ("[CX3]=[CX3][CX3]=[CX3]",),
    "methyl": ("[CH3]", "[CH3][#6]", "[CH3][#7]", "[CH3]c", "[CH3][CX4]"), "ethyl": ("[CH3][CH2]", "[CH3][CH2][!$([CH2])]"), "propyl": ("[CH3][CH2][CH2]",), "isopropyl": ("[CH3][CX4H1][CH3]",),
    "butyl": ("[CH3][CH2][CH2][CH2]",), "tert-butyl": ("[CH3][CX4]([CH3])[CH3]",), "benzyl": ("c[CH2]",),
    "pinacol boronate": ("[B]1OC(C)(C)C(C)(C)O1",), "borane": ("[BX3]",), "silyl": ("[SiX4]",),
    "Cbz": ("[NX3]C(=O)OCc1ccccc1",), "Fmoc": ("C1c2ccccc2-c2ccccc21",), "amino acid": ("[NX3,NX4+].[CX3](=O)[OX2H,OX1-]",), "α-amino acid": ("[NX3,NX4+][CX4][CX3](=O)[OX2H,OX1-]",),
    "acid": ("[CX3](=O)[OX2H1,OX1-]", "[SX4](=O)(=O)[OX2H1,OX1-]", "[PX4](=O)[OX2H1]", "[BX3][OX2H1]"), "N-H": ("[#7;!H0]",),
    "isopropylamine": ("[CH3][CX4H1]([CH3])[NX3]",), "tert-butylamine": ("[CH3]C([CH3])([CH3])[NX3]",), "diarylamine": ("c[NX3]c",), "triarylamine": ("c[NX3](c)c",), "aminoethyl": ("[NX3][CH2][CH2]",), "aminomethyl": ("[NX3][CH2]",), "hydroxyethyl": ("[OX2H][CH2][CH2]",), "chloroethyl": ("Cl[CH2][CH2]",), "N,N-dimethyl": ("[#7]([CH3])[CH3]",), "N,N-diethyl": ("[#7]([CH2][CH3])[CH2][CH3]",), "arylacetic acid": ("c[CX4][CX3](=O)[OX2H1,OX1-]",),
    "chloroaryl": ("cCl",), "bromomethyl": ("[CH2]Br",), "chloromethyl": ("[CH2]Cl",), "hydroxymethyl": ("[CH2][OX2H1]",), "cinnamate": ("c[CX3]=[CX3][CX3](=O)[OX2,OX1-]",), "ylide": ("[#6]=[PX4]",),
    "methyl ketone": ("[CH3][CX3](=O)[#6]",), "aryl methyl ketone": ("c[CX3](=O)[CH3]",), "aryl ketone": ("c[CX3](=O)[#6]",), "trifluoroacetyl": ("FC(F)(F)[CX3]=O",), "cyanoguanidine": ("N#C[#7][#6]([#7])[#7]",), "phenoxyacetyl": ("c[OX2][CH2][CX3]=O",), "formamide": ("[CX3;H1,H2](=O)[#7]",), "acetamide": ("[CH3][CX3](=O)[#7]",), "benzamide": ("c1ccccc1[CX3](=O)[#7]",), "benzoate": ("c1ccccc1[CX3](=O)[OX2,OX1-]",),
    "propionate": ("[CH3][CH2][CX3](=O)[OX2,OX1-]",), "propionic acid": ("[CX4][CX4][CX3](=O)[OX2H1,OX1-]",), "acetic acid": ("[CX4][CX3](=O)[OX2H1,OX1-]",), "benzoic acid": ("c[CX3](=O)[OX2H1,OX1-]",),
    "cyclohexanone": ("O=C1CCCCC1",), "cyclohexanol": ("[OX2H]C1CCCCC1",), "cyclopentanone": ("O=C1CCCC1",), "cyclopentanol": ("[OX2H]C1CCCC1",),
    "diethylamino": ("[CH3][CH2][NX3]([CH2][CH3])[#6]",), "methylamino": ("[CH3][NX3;H1][#6]",), "ethylamino": ("[CH3][CH2][NX3;H1][#6]",), "methylthio": ("[CH3][SX2][#6]",), "benzylamine": ("[NX3][CH2]c",),
    "N-methyl": ("[#7][CH3]",), "O-methyl": ("[OX2][CH3]",), "N-methyl amide": ("[CH3][NX3][CX3]=O",), "aryl methyl": ("c[CH3]",), "phenethyl": ("c1ccccc1[CH2][CH2]",),
    "fluorophenyl": ("Fc1ccccc1",), "chlorophenyl": ("Clc1ccccc1",), "bromophenyl": ("Brc1ccccc1",), "iodophenyl": ("Ic1ccccc1",), "methoxyphenyl": ("[CH3]Oc1ccccc1",), "nitrophenyl": ("O=[N+]([O-])c1ccccc1",),
    "hydroxyphenyl": ("[OX2H]c1ccccc1",), "aminophenyl": ("[NX3H2]c1ccccc1",), "tolyl": ("[CH3]c1ccccc1",), "cyanophenyl": ("N#Cc1ccccc1",), "difluorophenyl": ("[$(Fc1c(F)cccc1),$(Fc1cc(F)ccc1),$(Fc1ccc(F)cc1)]",),
    "dichlorophenyl": ("[$(Clc1c(Cl)cccc1),$(Clc1cc(Cl)ccc1),$(Clc1ccc(Cl)cc1)]",),
    "succinimide": ("O=C1CCC(=O)[NX3]1",), "phthalimide": ("O=C1[NX3]C(=O)c2ccccc21",),
}  # fmt: skip

# wider senses of what FUNCTIONAL_GROUPS names
_WIDER: dict[str, tuple[str, ...]] = {
    "carboxylic acid": ("[CX3](=O)[OX2H1]",), "acyl chloride": ("[CX3](=O)[F,Cl,Br]",), "ether": ("[OX2H0]([#6;!$(C=O)])[#6;!$(C=O)]",),
    "amide": ("[CX3;$(C[#6]),H1](=O)[NX3]", "[NX3][CX3](=O)"), "thioether": ("[SX2H0]([#6])[#6]",), "sulfonamide": ("[SX4](=O)(=O)[#7]",),
    "nitrile": ("C#N",), "alkene": ("[CX3]=[CX3]", "[#6;!a]=[#6;!a]"), "imide": ("[#6](=O)[#7][#6]=O",), "ketone": ("[#6;R](=O)([#6])[#6]",),
    "primary amine": ("[NX3;H2;!$(NC=O);!$(NS=O)]",), "secondary amine": ("[NX3;H1;!$(NC=O);!$(NS=O)]",), "tertiary amine": ("[NX3;H0;!$(NC=O);!$(NS=O);!$(N=*);!$([N+])]",),
    "primary alcohol": ("[CX4;H2,H3][OX2H1]",), "phenol": ("c[OX2H1,OX1-]",), "thiol": ("[SX2H1]", "[SX2H1,SX1-]"), "urea": ("[#7][#6](=O)[#7]",),
    "boronic acid": ("[BX3]([OX2H1])[OX2H1]",), "boronic ester": ("[BX3]([OX2])[OX2]",), "carbamate": ("[NX3][CX3](=O)[OX2][#6]",), "imine": ("[CX3]=[NX2]",),
    "trifluoromethyl": ("[#6](F)(F)F",), "Boc-protected amine": ("[#7]C(=O)OC(C)(C)C",), "hydrazine": ("[NX3][NX3]",), "aldehyde": ("[CX3;H1,H2]=O",),
}  # fmt: skip

_SYNONYMS: dict[str, str] = {
    "carboxylic acid": "carboxyl|carboxylate|carboxy|carboxylic|COOH|CO2H|carboxylic acid function",
    "acyl chloride": "acid chloride|acyl halide|acid halide|carbonyl chloride", "acyl bromide": "acid bromide", "anhydride": "acid anhydride|carboxylic anhydride|carboxylic acid anhydride",
    "ester": "carboxylic ester|carboxylate ester|carboxylic acid ester|alkyl ester", "Boc-protected amine": "Boc|N-Boc|t-Boc|tert-butoxycarbonyl|tert-butyloxycarbonyl|tert-butyl carbamate|Boc-amine|NHBoc|Boc carbamate|Boc protecting",
    "carbamate": "urethane", "urea": "ureido|carbamide", "amide": "carboxamide|amido|peptide bond|peptide|carboxamido|amide bond", "aldehyde": "formyl|CHO|carbaldehyde",
    "ketone": "keto|oxo group|ketone carbonyl", "phenol": "phenolic|phenolic hydroxyl|phenolic OH|aromatic hydroxyl|phenolic hydroxy|phenol OH", "hydroxyl": "hydroxy|OH|O-H|hydroxyl group|free hydroxyl|hydroxy group",
    "alcohol": "aliphatic alcohol|alcoholic hydroxyl|alkanol|alcohol OH", "primary alcohol": "primary hydroxyl|primary OH", "secondary alcohol": "secondary hydroxyl|secondary OH",
    "tertiary alcohol": "tertiary hydroxyl|tertiary OH", "epoxide": "oxirane|epoxy", "ether": "ether oxygen|dialkyl ether|alkyl ether", "thiol": "sulfhydryl|mercapto|mercaptan|SH|S-H|thiol group",
    "disulfide": "disulphide|S-S", "thioether": "sulfide|sulphide|thio ether|alkylthio", "sulfoxide": "sulphoxide|sulfinyl", "sulfone": "sulphone", "sulfonamide": "sulphonamide|sulfonamido",
    "sulfonyl": "sulphonyl|SO2", "sulfonyl chloride": "sulphonyl chloride", "sulfonic acid": "sulphonic acid|sulfonate|SO3H", "sulfonate ester": "alkyl sulfonate|aryl sulfonate",
    "tosyl": "tosylate|Ts", "mesyl": "mesylate|methanesulfonyl|methylsulfonyl|methanesulfonate", "hydroxymethyl": "CH2OH", "ylide": "phosphorus ylide|phosphonium ylide", "diarylamine": "diphenylamine", "triflate": "trifluoromethanesulfonate|OTf",
    "primary amine": "primary amino|primary aliphatic amine", "secondary amine": "secondary amino|secondary aliphatic amine", "tertiary amine": "tertiary amino|tertiary aliphatic amine", "amino": "NH2", "amine": "amine nitrogen|amino nitrogen|basic amine|free amine",
    "aromatic amine": "aniline|arylamine|aryl amine|aryl amino|anilino|aniline nitrogen|aniline-type amine", "primary aromatic amine": "primary aniline|primary arylamine|primary aryl amine", "dimethylamino": "dimethylamine|NMe2",
    "ammonium": "ammonium cation|protonated amine", "quaternary ammonium": "quaternary nitrogen|quaternary amine", "guanidine": "guanidino|guanidinium",
    "nitrile": "cyano|CN|carbonitrile", "isocyanate": "NCO", "azide": "azido|N3", "nitro": "NO2|nitro substituent", "imine": "Schiff base|imino", "oxime": "oximino", "azo": "azo linkage|N=N|diazo",
    "hydrazine": "hydrazino|hydrazinyl", "terminal alkyne": "ethynyl|terminal acetylene", "alkyne": "acetylene|triple bond|carbon-carbon triple bond|alkynyl|C-C triple bond", "alkene": "olefin|C=C|carbon-carbon double bond|alkenyl|C-C double bond|C=C double bond|olefinic double bond",
    "trifluoromethyl": "CF3|trifluoromethyl group", "halogen": "halide|organohalide|halogen atom|halogen substituent", "aryl halide": "aromatic halide|haloarene|aryl halogen|halogenated aromatic ring", "alkyl halide": "haloalkane|aliphatic halide|aliphatic halogen",
    "fluoro": "fluorine|fluorine atom|fluoride|fluorine substituent|C-F", "chloro": "chlorine|chlorine atom|chloride|chlorine substituent", "bromo": "bromine|bromine atom|bromide|bromine substituent", "iodo": "iodine|iodine atom|iodide|iodine substituent",
    "aryl fluoride": "aromatic fluorine|fluoroarene|aryl fluorine|aromatic fluoride|fluorinated aromatic ring", "aryl chloride": "aromatic chlorine|chloroarene|aryl chlorine|aromatic chloride|heteroaryl chloride",
    "aryl bromide": "aromatic bromine|bromoarene|aryl bromine|aromatic bromide|bromobenzene|heteroaryl bromide", "aryl iodide": "aromatic iodine|iodoarene|aromatic iodide|iodobenzene|heteroaryl iodide",
    "alkyl bromide": "bromoalkane|primary alkyl bromide|benzyl bromide|benzylic bromide|aliphatic bromide", "alkyl chloride": "chloroalkane|benzyl chloride|aliphatic chloride", "alkyl iodide": "iodoalkane",
    "boronic acid": "arylboronic acid|aryl boronic acid|B(OH)2|phenylboronic acid", "boronic ester": "boronate ester|boronate|arylboronic ester", "pinacol boronate": "pinacol boronic ester|pinacol ester|Bpin|pinacol boronate ester|boronic acid pinacol ester",
    "Grignard reagent": "organomagnesium|Grignard|organomagnesium reagent|organomagnesium halide|magnesium bromide", "carbonyl": "C=O|carbonyl group|carbonyl function", "acetyl": "acetyl group", "acetoxy": "acetate|acetate ester|acetyloxy|O-acetyl|acetyl ester",
    "enone": "alpha,beta-unsaturated carbonyl|α,β-unsaturated carbonyl|Michael acceptor|α,β-unsaturated ketone|conjugated enone", "methoxy": "methyl ether|OMe|OCH3", "ethoxy": "ethyl ether|OEt", "aryl ether": "alkyl aryl ether|aryl alkyl ether|aromatic ether|phenolic ether", "diaryl ether": "diphenyl ether|biaryl ether",
    "acetal": "ketal", "methylenedioxy": "1,3-benzodioxole|benzodioxole", "silyl ether": "TBS|TBDMS|TMS|TIPS|O-TBS|TBS ether|TMS ether", "methyl": "CH3|methyl substituent|C-methyl", "isopropyl": "iPr|i-Pr|propan-2-yl", "tert-butyl": "t-butyl|tBu|t-Bu|tertiary butyl", "benzyl": "Bn|N-benzyl", "benzylic": "benzylic position|benzylic carbon|benzylic CH2", "butyl": "n-butyl", "propyl": "n-propyl", "ethyl": "N-ethyl",
    "acid": "the acid|an acid|free acid", "N-H": "NH|N-H proton", "diethylamino": "diethylamine|NEt2", "methylthio": "methylsulfanyl|SMe|S-methyl", "aryl methyl": "aryl methyl group|aromatic methyl", "benzylamine": "benzylic amine", "tolyl": "methylphenyl",
    "lactone": "cyclic ester", "lactam": "cyclic amide", "β-lactam": "beta-lactam|azetidinone", "γ-lactam": "gamma-lactam|pyrrolidinone|pyrrolidone|2-pyrrolidone", "δ-lactam": "delta-lactam|piperidinone|2-piperidone", "γ-lactone": "gamma-lactone|butyrolactone|γ-butyrolactone", "δ-lactone": "delta-lactone|valerolactone|δ-valerolactone", "β-lactone": "beta-lactone",
    "benzylic alcohol": "benzylic hydroxyl|benzylic hydroxy|benzylic OH|benzylic secondary alcohol|benzylic primary alcohol|benzyl alcohol", "vinyl ether": "enol ether", "benzyl ether": "O-benzyl", "aryl methyl ether": "anisole|methyl aryl ether", "aryl ketone": "aromatic ketone", "aryl methyl ketone": "acetophenone|methyl aryl ketone", "terminal alkene": "terminal olefin|terminal double bond|terminal C=C", "triarylamine": "triphenylamine", "trifluoroacetyl": "trifluoroacetamide|trifluoroacetate|trifluoroacetanilide", "diphosphate": "pyrophosphate", "tosylamide": "p-toluenesulfonamide|tosyl amide|toluenesulfonamide", "phenoxyacetyl": "phenoxyacetamide|phenoxyacetic acid|aryloxyacetic acid|phenoxyacetate|aryloxyacetate", "primary amide": "CONH2|unsubstituted amide", "secondary amide": "N-H amide", "Cbz": "carboxybenzyl|benzyloxycarbonyl|benzyl carbamate|Cbz group|Cbz carbamate", "Fmoc": "fluorenylmethoxycarbonyl", "phosphate": "phosphate ester|phosphoric acid", "silyl": "silane|trimethylsilyl", "amino acid": "amino-acid|β-amino acid|γ-amino acid", "α-amino acid": "alpha-amino acid", "thiocarbonyl": "C=S|thioketone", "diol": "vicinal diol|glycol|1,2-diol", "N-oxide": "amine oxide", "phosphine": "tertiary phosphine",
}  # fmt: skip

_RINGS: dict[str, tuple[str, str]] = {
    "benzene": ("c1ccccc1", "phenyl|benzene ring|phenyl ring|phenylene|benzo|benzenoid ring|arene|six-membered aromatic carbocycle"),
    "biphenyl": ("c1ccccc1-c1ccccc1", "biaryl|biphenyl system"), "naphthalene": ("c1ccc2ccccc2c1", "naphthyl|naphthalenyl|naphthyl ring"), "anthracene": ("c1ccc2cc3ccccc3cc2c1", "anthracenyl"),
    "pyridine": ("n1ccccc1", "pyridyl|pyridinyl|pyridine nitrogen"), "pyrimidine": ("n1cnccc1", "pyrimidinyl|pyrimidyl"), "pyrazine": ("n1ccncc1", "pyrazinyl"), "pyridazine": ("n1ncccc1", "pyridazinyl"), "triazine": ("n1cncnc1|n1nccnc1|n1nnccc1", "triazinyl"), "1,3,5-triazine": ("n1cncnc1", "s-triazine"), "1,2,4-triazine": ("n1nccnc1", ""),
    "pyrrole": ("[nX3]1cccc1", "pyrrolyl"), "furan": ("o1cccc1", "furyl|furanyl"), "thiophene": ("s1cccc1", "thienyl|thiophenyl"), "imidazole": ("n1cncc1", "imidazolyl"), "pyrazole": ("n1nccc1", "pyrazolyl"),
    "oxazole": ("o1cncc1", "oxazolyl|1,3-oxazole"), "isoxazole": ("o1nccc1", "isoxazolyl|1,2-oxazole"), "thiazole": ("s1cncc1", "thiazolyl|1,3-thiazole"), "isothiazole": ("s1nccc1", "isothiazolyl"),
    "triazole": ("n1nncc1|n1ncnc1", "triazolyl|triazol-1-yl"), "1,2,3-triazole": ("n1nncc1", "1,2,3-triazolyl"), "1,2,4-triazole": ("n1ncnc1", "1,2,4-triazolyl|1,2,4-triazol-1-yl"), "tetrazole": ("c1nnnn1", "tetrazolyl|1H-tetrazole"), "oxadiazole": ("o1cnnc1|o1ncnc1|o1nccn1|o1nncc1", "oxadiazolyl"), "1,3,4-oxadiazole": ("o1cnnc1", ""), "1,2,4-oxadiazole": ("o1ncnc1", ""), "thiadiazole": ("s1cnnc1|s1ncnc1|s1nccn1|s1nncc1", "thiadiazolyl"), "1,3,4-thiadiazole": ("s1cnnc1", ""), "1,2,4-thiadiazole": ("s1ncnc1", ""),
    "indole": ("c1ccc2[nX3]ccc2c1", "indolyl"), "indazole": ("c1ccc2[nX3]ncc2c1|c1ccc2n[nX3]cc2c1", "indazolyl"), "benzimidazole": ("c1ccc2ncnc2c1", "benzimidazolyl|benzo[d]imidazole"), "benzofuran": ("c1ccc2occc2c1", "benzofuranyl"), "benzothiophene": ("c1ccc2sccc2c1", "benzothienyl"),
    "benzothiazole": ("c1ccc2scnc2c1", "benzothiazolyl"), "benzoxazole": ("c1ccc2ocnc2c1", "benzoxazolyl"), "quinoline": ("c1ccc2ncccc2c1", "quinolinyl|quinolyl"), "isoquinoline": ("c1ccc2cnccc2c1", "isoquinolinyl|isoquinolyl"), "quinazoline": ("c1ccc2ncncc2c1", "quinazolinyl"), "quinoxaline": ("c1ccc2nccnc2c1", "quinoxalinyl"),
    "purine": ("[#6]1~[#7]~[#6]~[#6]2~[#6](~[#7]~1)~[#7]~[#6]~[#7]~2", "purinyl|xanthine|purine-type"), "carbazole": ("c1ccc2c(c1)[nX3]c1ccccc12", "carbazolyl"), "coumarin": ("O=c1ccc2ccccc2o1", "chromen-2-one"), "indane": ("C1Cc2ccccc2C1", "indanyl"),
    "piperidine": ("N1CCCCC1", "piperidinyl|piperidyl|piperidino"), "piperazine": ("N1CCNCC1", "piperazinyl"), "morpholine": ("N1CCOCC1", "morpholinyl|morpholino"), "pyrrolidine": ("N1CCCC1", "pyrrolidinyl"), "azetidine": ("N1CCC1", "azetidinyl"), "aziridine": ("N1CC1", "aziridinyl"),
    "thiomorpholine": ("N1CCSCC1", ""), "tetrahydrofuran": ("O1CCCC1", "tetrahydrofuranyl|oxolane|THF ring|furanose|furanose ring|ribofuranose"), "tetrahydropyran": ("O1CCCCC1", "tetrahydropyranyl|oxane|pyran ring|pyranose|pyranose ring"), "oxetane": ("O1CCC1", "oxetanyl"), "dioxane": ("O1CCOCC1", "1,4-dioxane"), "dioxolane": ("O1COCC1", "1,3-dioxolane"),
    "cyclopropane": ("C1CC1", "cyclopropyl"), "cyclobutane": ("C1CCC1", "cyclobutyl"), "cyclopentane": ("C1CCCC1", "cyclopentyl"), "cyclohexane": ("C1CCCCC1", "cyclohexyl"), "cycloheptane": ("C1CCCCCC1", "cycloheptyl"), "cyclohexene": ("C1=CCCCC1", "cyclohexenyl"), "cyclopentene": ("C1=CCCC1", "cyclopentenyl"), "cyclohexadiene": ("C1=CC=CCC1", ""),
    "phenothiazine": ("N1c2ccccc2Sc2ccccc12", ""), "N-methylpiperazine": ("[CH3]N1CCNCC1", "methylpiperazine"), "fluoroquinolone": ("O=c1cc[nX3]c2ccc(F)cc12", "quinolone antibiotic"), "chloropyrimidine": ("Clc1ncccn1|Clc1ccncn1|Clc1cncnc1", ""),
    "steroid": ("[#6]1~[#6]~[#6]~[#6]2~[#6](~[#6]~1)~[#6]~[#6]~[#6]1~[#6]~2~[#6]~[#6]~[#6]2~[#6]~[#6]~[#6]~[#6]~1~2", "steroidal|steroid nucleus|gonane|sterane|steroid skeleton"),
    "benzodiazepine": ("c1ccc2c(c1)~[#7]~[#6]~[#6]~[#7]~[#6]~2|c1ccc2c(c1)~[#7]~[#6]~[#6]~[#6]~[#7]~2", "1,4-benzodiazepine|benzodiazepinone"), "hydantoin": ("O=C1[#7]C(=O)[#7][#6]1", "imidazolidinedione"), "oxazolidinone": ("O=C1O[#6][#6][#7]1", "2-oxazolidinone"), "barbiturate": ("O=C1[#7]C(=O)[#7]C(=O)[#6]1", "barbituric acid"),
    "thiazolidine": ("N1CCSC1", ""), "thiazolidinedione": ("O=C1[#7]C(=O)[#6]S1", "glitazone"), "pyridinium": ("[n+]1ccccc1", "pyridinium salt|pyridinium ring"), "chromone": ("O=c1ccoc2ccccc12", "chromen-4-one"), "flavone": ("O=c1cc(-c2ccccc2)oc2ccccc12", ""), "chroman": ("C1CCc2ccccc2O1", "chromane"),
    "tetrahydroisoquinoline": ("C1Cc2ccccc2CN1", "1,2,3,4-tetrahydroisoquinoline"), "tetrahydroquinoline": ("C1CNc2ccccc2C1", "1,2,3,4-tetrahydroquinoline"), "indoline": ("C1Cc2ccccc2N1", "2,3-dihydroindole"), "tetralin": ("C1CCc2ccccc2C1", "tetrahydronaphthalene"),
    "phenanthrene": ("c1ccc2c(c1)ccc1ccccc12", ""), "acridine": ("c1ccc2nc3ccccc3cc2c1", "acridinyl"), "dibenzofuran": ("c1ccc2c(c1)oc1ccccc12", ""), "azaindole": ("c1cnc2[nX3]ccc2c1|c1ncc2[nX3]ccc2c1|c1cc2[nX3]ccc2cn1|c1cc2cc[nX3]c2nc1", "pyrrolopyridine"), "uracil": ("O=c1ccnc(=O)n1", ""), "pyridone": ("O=c1ccccn1|O=c1ccncc1", "2-pyridone|4-pyridone|pyridinone"),
    "adamantane": ("C1C2CC3CC1CC(C2)C3", "adamantyl"), "norbornane": ("C1CC2CCC1C2", "norbornyl"),
}  # fmt: skip

GROUPS: dict[str, tuple[str, ...]] = {
    name: tuple(
        dict.fromkeys(
            (
                *([FUNCTIONAL_GROUPS[name]] if name in FUNCTIONAL_GROUPS else []),
                *_WIDER.get(name, ()),
                *_MORE.get(name, ()),
            )
        )
    )
    for name in (*FUNCTIONAL_GROUPS, *_MORE)
}
RINGS: dict[str, tuple[str, ...]] = {name: (pattern,) for name, (pattern, _) in _RINGS.items()}
WORDS: dict[str, tuple[str, str]] = {}
"""Every word or phrase, in lower case → (kind, name): ("group", "nitrile") for `cyano`."""
for _kind, _table, _names in (
    ("group", GROUPS, _SYNONYMS),
    ("ring", RINGS, {name: synonyms for name, (_, synonyms) in _RINGS.items()}),
):
    for _name in _table:
        # `acid` alone is too common a word: it needs its article
        for _word in (*([_name] if _name != "acid" else []), *filter(None, _names.get(_name, "").split("|"))):
            WORDS.setdefault(_word.lower(), (_kind, _name))

_REACTION_SYNONYMS: dict[str, str] = {
    "amide coupling": "amide bond formation|amide formation|amidation|peptide coupling|amide-bond coupling|amide synthesis|condensation to an amide",
    "esterification": "Fischer esterification|ester formation|Steglich esterification", "Suzuki coupling": "Suzuki|Suzuki-Miyaura coupling|Suzuki-Miyaura|Suzuki cross-coupling|Suzuki reaction|Suzuki-Miyaura cross-coupling",
    "Buchwald-Hartwig amination": "Buchwald-Hartwig|Buchwald-Hartwig coupling|Buchwald amination|Buchwald-Hartwig cross-coupling|Ullmann coupling|Ullmann|Ullmann-type|Chan-Lam coupling|C-N cross-coupling", "Sonogashira coupling": "Sonogashira|Sonogashira cross-coupling|Sonogashira reaction",
    "reductive amination": "reductive alkylation|Borch reduction", "Williamson ether synthesis": "Williamson etherification|Williamson|Williamson synthesis|etherification|ether synthesis", "thioether formation": "thioether synthesis",
    "sulfonamide formation": "sulfonamide synthesis|sulfonamidation|N-sulfonylation|sulfonylation of the amine|sulfonamide coupling", "urea formation": "urea synthesis", "carbamate formation": "carbamoylation|carbamate synthesis",
    "azide-alkyne cycloaddition": "click reaction|CuAAC|Huisgen cycloaddition|click chemistry|azide-alkyne click reaction|1,3-dipolar cycloaddition", "Hantzsch thiazole synthesis": "Hantzsch synthesis", "Grignard addition": "Grignard reaction",
    "Boc protection": "N-Boc protection|Boc-protection", "Boc deprotection": "Boc removal|N-Boc deprotection|Boc cleavage|removal of the Boc group|Boc-deprotection|acidic Boc removal", "nitro reduction": "reduction of the nitro group|nitro group reduction|reduction of the nitro|nitroarene reduction|Bechamp reduction",
    "ester hydrolysis": "saponification|hydrolysis of the ester|basic hydrolysis of the ester|ester saponification|ester cleavage|deacetylation", "ketone reduction": "reduction of the ketone|carbonyl reduction|borohydride reduction|NaBH4 reduction|hydride reduction",
    "alcohol oxidation": "oxidation of the alcohol|Swern oxidation|Dess-Martin oxidation|PCC oxidation|Jones oxidation", "N-acylation": "Schotten-Baumann reaction|Schotten-Baumann acylation|acylation of the amine", "O-acylation": "O-acetylation|acylation of the alcohol",
    "N-alkylation": "alkylation of the amine|amine alkylation", "SNAr amination": "SNAr|SNAr reaction|nucleophilic aromatic substitution|SNAr displacement", "Heck reaction": "Heck|Heck coupling|Mizoroki-Heck reaction", "Stille coupling": "Stille|Stille reaction|Stille cross-coupling", "Negishi coupling": "Negishi|Negishi cross-coupling",
    "Mitsunobu reaction": "Mitsunobu", "Miyaura borylation": "borylation", "Wittig olefination": "Wittig|Wittig reaction|Horner-Wadsworth-Emmons|HWE|olefination|Horner-Wadsworth-Emmons reaction|HWE olefination", "Knoevenagel condensation": "Knoevenagel|aldol condensation|aldol reaction|aldol|aldol addition",
    "imine formation": "Schiff base formation|imine condensation", "Michael addition": "conjugate addition|Michael reaction|aza-Michael addition", "Friedel-Crafts acylation": "Friedel-Crafts|Friedel-Crafts reaction", "hydrogenation": "alkene reduction|catalytic hydrogenation", "aromatic nitration": "nitration|nitration of the ring",
    "aromatic bromination": "electrophilic bromination|bromination", "aromatic chlorination": "chlorination", "aldehyde reduction": "reduction of the aldehyde", "ester reduction": "reduction of the ester", "acetal hydrolysis": "ketal hydrolysis|acetal deprotection|acetal cleavage", "silylation": "silyl protection", "silyl ether cleavage": "desilylation|TBS deprotection",
    "benzyl ether cleavage": "debenzylation|hydrogenolysis", "Cbz deprotection": "Cbz removal", "nitrile hydrolysis": "hydrolysis of the nitrile", "thioether oxidation": "sulfide oxidation|sulfoxidation", "epoxide opening": "epoxide ring opening|ring opening of the epoxide",
    "dehalogenation": "hydrodehalogenation|hydrodechlorination|hydrodebromination", "transesterification": "ester exchange", "phthalimide deprotection": "Gabriel deprotection|hydrazinolysis", "cyanation": "Sandmeyer cyanation|nitrile formation",
}  # fmt: skip

# words for several reactions; those marked ! are wrong where the reaction is none of them
_REACTION_FAMILIES: dict[str, str] = {
    "cross-coupling|palladium-catalysed cross-coupling|palladium-catalyzed cross-coupling!": "Suzuki coupling|Buchwald-Hartwig amination|Sonogashira coupling|Heck reaction|Stille coupling|Negishi coupling|Miyaura borylation|SNAr amination",
    "deprotection!": "Boc deprotection|Cbz deprotection|benzyl ether cleavage|N-debenzylation|silyl ether cleavage|acetal hydrolysis|phthalimide deprotection|ester hydrolysis|ether cleavage|amide hydrolysis",
    "hydrolysis!": "ester hydrolysis|nitrile hydrolysis|acetal hydrolysis|amide hydrolysis|Boc deprotection|silyl ether cleavage",
    "reduction!": "nitro reduction|ketone reduction|aldehyde reduction|ester reduction|acid reduction|amide reduction|nitrile reduction|azide reduction|hydrogenation|reductive amination|dehalogenation|benzyl ether cleavage|N-debenzylation|Cbz deprotection",
    "oxidation!": "alcohol oxidation|thioether oxidation|N-oxidation|epoxidation",
    "electrophilic aromatic substitution|SEAr!": "aromatic nitration|aromatic bromination|aromatic chlorination|Friedel-Crafts acylation",
    "acetylation!": "amide coupling|N-acylation|O-acylation|esterification|Friedel-Crafts acylation",
    "acylation": "amide coupling|N-acylation|O-acylation|esterification|ester aminolysis|Friedel-Crafts acylation|carbamate formation|Boc protection",
    "alkylation": "N-alkylation|O-alkylation|S-alkylation|Williamson ether synthesis|thioether formation|reductive amination|Mitsunobu reaction",
    "condensation": "amide coupling|esterification|Knoevenagel condensation|imine formation|reductive amination",
    "SN2|SN2 reaction|SN2 displacement": "N-alkylation|O-alkylation|S-alkylation|Williamson ether synthesis|thioether formation|azide substitution|cyanation",
}  # fmt: skip
_TOGETHER = {  # names that one reaction may rightly bear at once: what a strict template keeps apart
    "Williamson ether synthesis": ("O-alkylation", "SNAr etherification"), "thioether formation": ("S-alkylation", "SNAr thioetherification"),
    "amide coupling": ("N-acylation", "ester aminolysis"), "esterification": ("O-acylation", "transesterification"), "ketone reduction": ("aldehyde reduction",),
    "Buchwald-Hartwig amination": ("SNAr amination",), "SNAr amination": ("SNAr etherification", "SNAr thioetherification", "Buchwald-Hartwig amination"), "aromatic bromination": ("alkyl bromination", "alcohol bromination"),
    "aromatic chlorination": ("alcohol chlorination",), "benzyl ether cleavage": ("N-debenzylation", "Cbz deprotection"), "imine formation": ("reductive amination",), "N-acylation": ("amide coupling",), "O-alkylation": ("Williamson ether synthesis",),
    "N-alkylation": ("reductive amination",),
}  # fmt: skip

# reactions that are well known, and in the table are not
_NOT_IN_THE_TABLE = (
    "Diels-Alder|Claisen rearrangement|Claisen condensation|Beckmann|Curtius|Baeyer-Villiger|Birch|Friedel-Crafts alkylation|Sandmeyer|Gabriel synthesis|Strecker|Mannich|Ritter|Pictet-Spengler|"
    "Fischer indole|Paal-Knorr|Robinson annulation|hydroboration|ozonolysis|olefin metathesis|ring-closing metathesis|dihydroxylation|Cope|Hofmann|Reformatsky|Barbier|Simmons-Smith|Wolff-Kishner|Clemmensen|"
    "Vilsmeier|Vilsmeier formylation|Vilsmeier-Haack|Ugi|Biginelli|Kumada|Cannizzaro|Darzens|Favorskii|pinacol coupling"
)

REACTION_WORDS: dict[str, tuple[tuple[str, ...], bool]] = {}
"""Every word for a reaction, in lower case → the names it may mean, and whether it is wrong where none of them fits."""
for _name in NAMES:
    for _word in (_name, *filter(None, _REACTION_SYNONYMS.get(_name, "").split("|"))):
        REACTION_WORDS.setdefault(_word.lower(), ((_name, *_TOGETHER.get(_name, ())), True))
REACTION_FAMILIES: set[str] = set()
for _several, _members in _REACTION_FAMILIES.items():
    for _word in _several.rstrip("!").split("|"):
        REACTION_FAMILIES.add(_word.lower())
        REACTION_WORDS[_word.lower()] = (tuple(_members.split("|")), _several.endswith("!"))
for _word in _NOT_IN_THE_TABLE.split("|"):
    REACTION_WORDS[_word.lower()] = ((), True)
