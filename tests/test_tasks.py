"""Scores, questions and traces of all tasks: in hand-made tables, on all embedded rows, and on arbitrary texts."""

import gzip
import json
import runpy
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from chemr_lite import registry
from chemr_lite.answers import render
from chemr_lite.chemistry.wording import running_counts
from chemr_lite.data.rows import NANO_ROWS
from chemr_lite.protocols import load_protocols
from chemr_lite.reasons import Reason
from chemr_lite.rewards import score_completion
from chemr_lite.tasks import Score, get_task, list_tasks, register, select_tasks
from chemr_lite.tasks.open_generation import (
    BONDS,
    TOMG_GROUPS,
    count_bonds,
    count_groups,
    read_instruction,
)

NANO: dict[str, list[dict]] = defaultdict(list)
with gzip.open(NANO_ROWS, "rt", encoding="utf-8") as lines:
    for nano_row in map(json.loads, lines):
        if nano_row["answer"]:
            NANO[nano_row["task"]].append(nano_row)

OPEN = "open_generation/"
PROPERTIES = [name for name in list_tasks() if name.startswith("property_prediction/")]
OPTIMISED = [name for name in list_tasks() if name.startswith(OPEN + "mol_opt")]
EDITED = [name for name in list_tasks() if name.startswith(OPEN + "mol_edit")]


def row(task, answer, question="CCO", **meta):
    return {"task": task, "input": question, "answer": answer, "split": "test", "meta": meta}


PRODUCT, ACID, AMINE = "CC(=O)N[C@@H](C)c1ccccc1", "CC(=O)O", "C[C@H](N)c1ccccc1"
RETRO = row("retrosynthesis", f"{ACID}.{AMINE}", PRODUCT)
COPIES = row("retrosynthesis", "CC(=O)O.CC(=O)O.NCCN", "CC(=O)NCCNC(C)=O")
FORWARD = row("reaction_prediction", "CC(=O)NCc1ccccc1", "CC(=O)O.NCc1ccccc1")
ALKENE = row("reaction_prediction", "C/C=C/CO", "C/C=C/C=O")
SALT = row("reaction_prediction", "CC(=O)[O-].[Na+]", "CC(=O)O.[Na+].[OH-]")
ADD = row(OPEN + "mol_edit_add", "OCCc1ccccc1", source="CCc1ccccc1", add="hydroxyl")
ADD_SMALL = row(OPEN + "mol_edit_add", "CCOCO", source="CCOC", add="hydroxyl")
ADD_OPEN = row(OPEN + "mol_edit_add", "", source="CCOC", add="hydroxyl")
DELETE = row(OPEN + "mol_edit_delete", "CCc1ccccc1", source="OCCc1ccccc1", remove="hydroxyl")
SWAP = row(OPEN + "mol_edit_substitute", "ClCCc1ccccc1", source="OCCc1ccccc1", remove="hydroxyl", add="halo")
UP_LOGP = row(OPEN + "mol_opt_logp", "CCc1ccccc1", source="OCCc1ccccc1", property="LogP", direction="increase")
DOWN_LOGP = row(OPEN + "mol_opt_logp", "OCCc1ccccc1", source="CCc1ccccc1", property="LogP", direction="decrease")
UP_MR = row(OPEN + "mol_opt_mr", "OCCc1ccccc1", source="CCc1ccccc1", property="MR", direction="increase")
DOWN_MR = row(OPEN + "mol_opt_mr", "CCc1ccccc1", source="OCCc1ccccc1", property="MR", direction="decrease")
UP_QED = row(OPEN + "mol_opt_qed", "OCCc1ccccc1", source="CCc1ccccc1", property="QED", direction="increase")
DOWN_QED = row(OPEN + "mol_opt_qed", "CCc1ccccc1", source="OCCc1ccccc1", property="QED", direction="decrease")
ATOMS = row(OPEN + "mol_custom_atoms", "CCO", atoms={"carbon": 2, "oxygen": 1})
BOND = row(OPEN + "mol_custom_bonds", "C=CC", bonds={"single": 1, "double": 1})
RING_BONDS = row(OPEN + "mol_custom_bonds", "c1ccccc1", bonds={"aromatic": 6, "rotatable": 0})
GROUPS = row(OPEN + "mol_custom_groups", "Oc1ccccc1", groups={"benzene ring": 1, "hydroxyl": 1})
THIOL = row(OPEN + "mol_custom_groups", "CCS", groups={"thiol": 1})
NAMES = "name_prediction/"
NAME = row(NAMES + "smiles_to_iupac", "N-[butan-2-yl]benzamide", "CCC(C)NC(=O)c1ccccc1")
CHIRAL_NAME = row(NAMES + "smiles_to_iupac", "(2R)-butan-2-ol", "CC[C@@H](C)O")
DRAWN = row(NAMES + "iupac_to_smiles", "CCC(C)NC(=O)c1ccccc1", "N-[(2R)-butan-2-yl]benzamide")
CHIRAL_DRAWN = row(NAMES + "iupac_to_smiles", "CC[C@@H](C)O", "(2R)-butan-2-ol")
FORMULA = row(NAMES + "smiles_to_formula", "C2H6O", "CCO")
ION = row(NAMES + "iupac_to_formula", "C9H4IO3-", "an anion")
DIANION = row(NAMES + "smiles_to_formula", "C4H4O4-2", "[O-]C(=O)CCC(=O)[O-]")
DESIGN = row("molecule_design", "C[C@H](N)C(=O)O", "The molecule is alanine.")
DESIGN_ION = row("molecule_design", "[Mg+2]", "The molecule is a magnesium cation.")
CAPTION = row(
    "molecule_captioning",
    "The molecule is a benzoate ester that is ethyl benzoate substituted by chloro at 4.",
    "CCOC(=O)c1ccc(Cl)cc1",
)
LIGAND = row(
    "reagent_selection/ligand", "CP(C)C", "Reactant: CBr\nList: CP(C)C, c1ccccc1P, [Na+].[OH-], CCP",
    candidates=["CP(C)C", "c1ccccc1P", "[Na+].[OH-]", "CCP"], accepted=["CP(C)C", "[Na+].[OH-]"],
)  # fmt: skip

KEPT = 18 / 31  # similarity of ethylbenzene and 2-phenylethanol: they share 18 of 31 counted environments

# id, row, answer, reason, value; an answer is correct exactly if the reason is CORRECT
SCORES = [
    ("retro-gold", RETRO, RETRO["answer"], Reason.CORRECT, 1),
    ("retro-other-order-other-writing", RETRO, "c1ccc([C@@H](N)C)cc1.OC(C)=O", Reason.CORRECT, 1),
    ("retro-wrong-stereo", RETRO, f"{ACID}.C[C@@H](N)c1ccccc1", Reason.WRONG_STEREO, 0),
    ("retro-stereo-left-out", RETRO, f"{ACID}.CC(N)c1ccccc1", Reason.WRONG_STEREO, 0),
    ("retro-one-reactant-only", RETRO, AMINE, Reason.FRAGMENTS, 0),
    ("retro-a-reagent-too-many", RETRO, f"{ACID}.{AMINE}.O", Reason.FRAGMENTS, 0),
    ("retro-padded-with-copies", RETRO, f"{ACID}.{ACID}.{AMINE}", Reason.FRAGMENTS, 0),
    ("retro-copy-instead-of-partner", RETRO, f"{ACID}.{ACID}", Reason.WRONG, 0),
    ("retro-acid-chloride-instead", RETRO, f"CC(=O)Cl.{AMINE}", Reason.WRONG, 0),
    ("retro-the-product-back", RETRO, PRODUCT, Reason.UNCHANGED, 0),
    ("retro-with-prose", RETRO, f"{ACID}.{AMINE} by coupling", Reason.INNER_WHITESPACE, 0),
    ("retro-comma", RETRO, f"{ACID},{AMINE}", Reason.SYNTAX, 0),
    ("retro-whole-reaction", RETRO, f"{ACID}.{AMINE}>>{PRODUCT}", Reason.REACTION_ARROW, 0),
    ("retro-dummy-padding", RETRO, f"{ACID}.{AMINE}.*", Reason.DUMMY_ATOM, 0),
    ("retro-two-equivalents", COPIES, "NCCN.CC(=O)O.CC(=O)O", Reason.CORRECT, 1),
    ("retro-one-equivalent-missing", COPIES, "NCCN.CC(=O)O", Reason.FRAGMENTS, 0),
    ("forward-gold", FORWARD, FORWARD["answer"], Reason.CORRECT, 1),
    ("forward-kekule-writing", FORWARD, "C1=CC=CC=C1CNC(=O)C", Reason.CORRECT, 1),
    ("forward-atom-maps", FORWARD, "[CH3:1][C:2](=[O:3])[NH:4][CH2:5]c1ccccc1", Reason.CORRECT, 1),
    ("forward-water-beside-it", FORWARD, "CC(=O)NCc1ccccc1.O", Reason.FRAGMENTS, 0),
    ("forward-twice", FORWARD, "CC(=O)NCc1ccccc1.CC(=O)NCc1ccccc1", Reason.FRAGMENTS, 0),
    ("forward-reactants-back", FORWARD, FORWARD["input"], Reason.UNCHANGED, 0),
    ("forward-a-reactant-back", FORWARD, FORWARD["input"].split(".")[0], Reason.UNCHANGED, 0),
    ("forward-one-carbon-more", FORWARD, "CCC(=O)NCc1ccccc1", Reason.WRONG, 0),
    ("forward-stereo-invented", FORWARD, "CC(=O)N[C@@H]([2H])c1ccccc1", Reason.WRONG, 0),
    ("forward-empty", FORWARD, "", Reason.EMPTY, 0),
    ("forward-not-a-molecule", FORWARD, "c1cccc1", Reason.CHEMISTRY, 0),
    ("forward-ring-left-open", FORWARD, "CC(=O)NCc1ccccc", Reason.SYNTAX, 0),
    ("forward-wrong-double-bond", ALKENE, "C/C=C\\CO", Reason.WRONG_STEREO, 0),
    ("forward-same-double-bond", ALKENE, "OC\\C=C\\C", Reason.CORRECT, 1),
    ("forward-salt", SALT, "[Na+].[O-]C(C)=O", Reason.CORRECT, 1),
    ("forward-salt-without-its-ion", SALT, "[O-]C(C)=O", Reason.FRAGMENTS, 0),
    ("forward-lone-ion", SALT, "[Na+]", Reason.LONE_ATOM, 0),
    ("add-gold", ADD, "OCCc1ccccc1", Reason.CORRECT, 1),
    ("add-elsewhere", ADD, "CCc1ccc(O)cc1", Reason.CORRECT, 1),
    ("add-twice", ADD, "OCC(O)c1ccccc1", Reason.WRONG_COUNT, 0),
    ("add-something-else", ADD, "CCOc1ccccc1", Reason.WRONG_COUNT, 0),
    ("add-nothing", ADD, "C(C)c1ccccc1", Reason.UNCHANGED, 0),
    ("add-as-a-fragment", ADD, "CCc1ccccc1.O", Reason.FRAGMENTS, 0),
    ("add-right-answer-twice", ADD, "OCCc1ccccc1.OCCc1ccccc1", Reason.FRAGMENTS, 0),
    ("add-a-constant-molecule", ADD, "CO", Reason.TOO_DIFFERENT, 0),
    ("add-with-prose", ADD, "OCCc1ccccc1 has a hydroxyl", Reason.INNER_WHITESPACE, 0),
    ("add-small-source-gold", ADD_SMALL, "CCOCO", Reason.CORRECT, 1),  # the bar is what the reference keeps
    ("add-small-source-below-the-reference", ADD_SMALL, "CC(O)OC", Reason.TOO_DIFFERENT, 0),
    ("add-without-a-reference", ADD_OPEN, "CCOCO", Reason.TOO_DIFFERENT, 0),
    ("delete-gold", DELETE, "CCc1ccccc1", Reason.CORRECT, 1),
    ("delete-nothing", DELETE, "c1ccccc1CCO", Reason.UNCHANGED, 0),
    ("delete-adds-one", DELETE, "OCC(O)c1ccccc1", Reason.WRONG_COUNT, 0),
    ("delete-the-chain-too", DELETE, "c1ccccc1", Reason.TOO_DIFFERENT, 0),
    ("delete-everything", DELETE, "C", Reason.TOO_DIFFERENT, 0),
    ("delete-into-two-fragments", DELETE, "Cc1ccccc1.C", Reason.FRAGMENTS, 0),
    ("swap-gold", SWAP, "ClCCc1ccccc1", Reason.CORRECT, 1),
    ("swap-any-halogen", SWAP, "BrCCc1ccccc1", Reason.CORRECT, 1),
    ("swap-only-added", SWAP, "OCC(Cl)c1ccccc1", Reason.WRONG_COUNT, 0),
    ("swap-only-removed", SWAP, "CCc1ccccc1", Reason.WRONG_COUNT, 0),
    ("swap-two-added", SWAP, "ClCC(Cl)c1ccccc1", Reason.WRONG_COUNT, 0),
    ("swap-nothing", SWAP, "OCCc1ccccc1", Reason.UNCHANGED, 0),
    ("swap-a-constant-molecule", SWAP, "CF", Reason.TOO_DIFFERENT, 0),
    ("logp-up", UP_LOGP, "CCc1ccccc1", Reason.CORRECT, KEPT),
    ("logp-up-asked-and-lowered", UP_LOGP, "OCC(O)c1ccccc1", Reason.NOT_IMPROVED, 0),
    ("logp-up-unchanged", UP_LOGP, "c1ccccc1CCO", Reason.UNCHANGED, 0),
    ("logp-up-greasy-constant", UP_LOGP, "CCCCCCCCCCCC", Reason.TOO_DIFFERENT, 1 / 29),
    ("logp-up-padded", UP_LOGP, "OCCc1ccccc1.CCCCCC", Reason.FRAGMENTS, 0),
    ("logp-up-not-a-molecule", UP_LOGP, "C1CC", Reason.SYNTAX, 0),
    ("logp-down", DOWN_LOGP, "OCCc1ccccc1", Reason.CORRECT, KEPT),
    ("logp-down-asked-and-raised", DOWN_LOGP, "ClCCc1ccccc1", Reason.NOT_IMPROVED, 0),
    ("mr-up", UP_MR, "OCCc1ccccc1", Reason.CORRECT, KEPT),
    ("mr-up-asked-and-lowered", UP_MR, "C", Reason.NOT_IMPROVED, 0),
    ("mr-down", DOWN_MR, "CCc1ccccc1", Reason.CORRECT, KEPT),
    ("mr-down-tiny-constant", DOWN_MR, "C", Reason.TOO_DIFFERENT, 0),
    ("qed-up", UP_QED, "OCCc1ccccc1", Reason.CORRECT, KEPT),
    ("qed-up-asked-and-lowered", UP_QED, "CCCCCCCCCCCC", Reason.NOT_IMPROVED, 0),
    ("qed-down", DOWN_QED, "CCc1ccccc1", Reason.CORRECT, KEPT),
    ("qed-down-unchanged", DOWN_QED, "OCCc1ccccc1", Reason.UNCHANGED, 0),
    ("atoms-gold", ATOMS, "CCO", Reason.CORRECT, 1),
    ("atoms-an-isomer", ATOMS, "COC", Reason.CORRECT, 1),
    ("atoms-hydrogens-are-free", ATOMS, "CC=O", Reason.CORRECT, 1),
    ("atoms-one-carbon-more", ATOMS, "CCCO", Reason.WRONG_COUNT, 0),
    ("atoms-an-extra-element", ATOMS, "NCCO", Reason.WRONG_COUNT, 0),
    ("atoms-an-element-outside-the-table", ATOMS, "CCO[GeH3]", Reason.WRONG_COUNT, 0),
    ("atoms-in-two-fragments", ATOMS, "CO.C", Reason.FRAGMENTS, 0),
    ("atoms-dummy", ATOMS, "CCO*", Reason.DUMMY_ATOM, 0),
    ("bonds-gold", BOND, "C=CC", Reason.CORRECT, 1),
    ("bonds-other-elements", BOND, "NC=O", Reason.CORRECT, 1),
    ("bonds-unnamed-kinds-are-free", BOND, "C=CC#N", Reason.CORRECT, 1),
    ("bonds-one-missing", BOND, "C=C", Reason.WRONG_COUNT, 0),
    ("bonds-one-too-many", BOND, "C=CCC", Reason.WRONG_COUNT, 0),
    ("bonds-fragments", BOND, "C=CC.C", Reason.FRAGMENTS, 0),
    ("bonds-aromatic", RING_BONDS, "c1ccccc1", Reason.CORRECT, 1),
    ("bonds-kekule-is-aromatic", RING_BONDS, "C1=CC=CC=C1", Reason.CORRECT, 1),
    ("bonds-rotatable-must-be-zero", RING_BONDS, "CCCc1ccccc1", Reason.WRONG_COUNT, 0),
    ("bonds-aliphatic-ring", RING_BONDS, "C1CCCCC1", Reason.WRONG_COUNT, 0),
    ("groups-gold", GROUPS, "Oc1ccccc1", Reason.CORRECT, 1),
    ("groups-another-molecule", GROUPS, "OCc1ccccc1", Reason.CORRECT, 1),
    ("groups-one-too-many", GROUPS, "Oc1ccccc1O", Reason.WRONG_COUNT, 0),
    ("groups-an-unnamed-one", GROUPS, "Nc1ccc(O)cc1", Reason.WRONG_COUNT, 0),
    ("groups-pyridine-is-no-benzene", GROUPS, "Oc1ccncc1", Reason.WRONG_COUNT, 0),
    ("groups-in-two-fragments", GROUPS, "c1ccccc1.O", Reason.FRAGMENTS, 0),
    ("groups-thioether-is-not-checked", THIOL, "CCS", Reason.CORRECT, 1),  # its pattern matches the C–S of a thiol
    ("groups-two-thiols", THIOL, "SCCS", Reason.WRONG_COUNT, 0),
]
SCORES += [
    ("name-gold", NAME, NAME["answer"], Reason.CORRECT, 1),
    ("name-capitals-and-blanks", NAME, " n-[(2r)-BUTAN-2-yl]benzamide\n", Reason.CORRECT, 1),
    ("name-with-a-long-dash", NAME, "N‑[(2R)–butan−2-yl]benzamide", Reason.CORRECT, 1),
    ("name-with-more-than-the-structure-shows", NAME, "N-[(2R)-butan-2-yl]benzamide", Reason.CORRECT, 1),
    ("name-other-locant", NAME, "N-[(2R)-butan-1-yl]benzamide", Reason.WRONG, 0),
    ("name-of-another-molecule", NAME, "benzamide", Reason.WRONG, 0),
    ("name-twice", NAME, "N-[(2R)-butan-2-yl]benzamide N-[(2R)-butan-2-yl]benzamide", Reason.WRONG, 0),
    ("name-with-prose", NAME, "It is N-[(2R)-butan-2-yl]benzamide", Reason.WRONG, 0),
    ("name-as-smiles", NAME, NAME["input"], Reason.WRONG, 0),
    ("name-empty", NAME, " ", Reason.EMPTY, 0),
    ("name-endless", NAME, "benzamide" * 1000, Reason.TOO_LONG, 0),
    ("name-drawn-stereo-gold", CHIRAL_NAME, "(2R)-butan-2-ol", Reason.CORRECT, 1),
    ("name-drawn-stereo-wrong", CHIRAL_NAME, "(2S)-butan-2-ol", Reason.WRONG_STEREO, 0),
    ("name-drawn-stereo-left-out", CHIRAL_NAME, "butan-2-ol", Reason.WRONG_STEREO, 0),
    ("structure-gold", DRAWN, "CCC(C)NC(=O)c1ccccc1", Reason.CORRECT, 1),
    ("structure-in-other-writing", DRAWN, "O=C(NC(C)CC)C1=CC=CC=C1", Reason.CORRECT, 1),
    ("structure-with-the-stereo-of-the-name", DRAWN, "CC[C@@H](C)NC(=O)c1ccccc1", Reason.CORRECT, 1),
    ("structure-wrong", DRAWN, "CCCCNC(=O)c1ccccc1", Reason.WRONG, 0),
    ("structure-with-a-copy", DRAWN, "CCC(C)NC(=O)c1ccccc1.CCC(C)NC(=O)c1ccccc1", Reason.FRAGMENTS, 0),
    ("structure-is-the-name", DRAWN, DRAWN["input"], Reason.SYNTAX, 0),
    ("structure-stereo-gold", CHIRAL_DRAWN, "CC[C@@H](C)O", Reason.CORRECT, 1),
    ("structure-stereo-left-out", CHIRAL_DRAWN, "CCC(C)O", Reason.WRONG_STEREO, 0),
    ("formula-gold", FORMULA, "C2H6O", Reason.CORRECT, 1),
    ("formula-other-order", FORMULA, " OC2H6 ", Reason.CORRECT, 1),
    ("formula-written-apart", FORMULA, "CH3CH2OH", Reason.CORRECT, 1),
    ("formula-wrong", FORMULA, "C2H5O", Reason.WRONG, 0),
    ("formula-with-a-charge", FORMULA, "C2H6O+", Reason.WRONG, 0),
    ("formula-is-the-smiles", FORMULA, "CCO", Reason.WRONG, 0),
    ("formula-with-subscripts", FORMULA, "C₂H₆O", Reason.CORRECT, 1),
    ("formula-zero", FORMULA, "C2H6O1N0", Reason.SYNTAX, 0),
    ("formula-two", FORMULA, "C2H6O C2H6O", Reason.SYNTAX, 0),
    ("formula-empty", FORMULA, "", Reason.EMPTY, 0),
    ("formula-endless", FORMULA, "C" * 100_000, Reason.SYNTAX, 0),
    ("formula-ion-gold", ION, "C9H4IO3-", Reason.CORRECT, 1),
    ("formula-ion-without-its-charge", ION, "C9H4IO3", Reason.WRONG, 0),
    ("formula-dianion-gold", DIANION, "C4H4O4-2", Reason.CORRECT, 1),
    ("formula-dianion-other-charge", DIANION, "C4H4O4-", Reason.WRONG, 0),
    ("design-gold", DESIGN, "C[C@H](N)C(=O)O", Reason.CORRECT, 1),
    ("design-zwitterion", DESIGN, "C[C@H]([NH3+])C(=O)[O-]", Reason.WRONG, 0),
    ("design-stereo-left-out", DESIGN, "CC(N)C(=O)O", Reason.WRONG_STEREO, 0),
    ("design-mirror-image", DESIGN, "C[C@@H](N)C(=O)O", Reason.WRONG_STEREO, 0),
    ("design-an-ion-that-was-asked-for", DESIGN_ION, "[Mg++]", Reason.CORRECT, 1),
    ("design-another-ion", DESIGN_ION, "[Ca+2]", Reason.LONE_ATOM, 0),
    ("design-a-molecule-for-an-ion", DESIGN_ION, "CCO", Reason.FRAGMENTS, 0),
    ("design-an-ion-for-a-molecule", DESIGN, "[Mg+2]", Reason.LONE_ATOM, 0),
    ("caption-gold", CAPTION, CAPTION["answer"], Reason.CORRECT, 1),
    ("caption-gold-in-other-lines", CAPTION, CAPTION["answer"].replace(" ", "\n"), Reason.CORRECT, 1),
    ("caption-another-position", CAPTION, CAPTION["answer"].replace("4", "3"), Reason.CORRECT, 22 / 26),
    ("caption-half-of-it", CAPTION, "The molecule is a benzoate ester.", Reason.INCOMPLETE, 6 / 16),
    ("caption-phrases-only", CAPTION, "The molecule is a. It has a role as an.", Reason.WRONG, 0),
    (
        "caption-words-shuffled",
        CAPTION,
        "4 at chloro by substituted benzoate ethyl ester benzoate",
        Reason.INCOMPLETE,
        14 / 26,
    ),
    ("caption-said-five-times", CAPTION, CAPTION["answer"] * 5, Reason.INCOMPLETE, 26 / 82),
    ("caption-empty", CAPTION, "", Reason.EMPTY, 0),
    ("caption-endless", CAPTION, "ester " * 10_000, Reason.TOO_LONG, 0),
    ("caption-is-the-smiles", CAPTION, CAPTION["input"], Reason.WRONG, 0),
]
for sub in ("reactant", "solvent", "ligand", "rule_reactant", "rule_reagent"):
    LISTED = LIGAND | {"task": f"reagent_selection/{sub}"}
    SCORES += [
        (f"{sub}-gold", LISTED, "CP(C)C", Reason.CORRECT, 1),
        (f"{sub}-in-other-writing", LISTED, " P(C)(C)C", Reason.CORRECT, 1),
        (f"{sub}-as-good", LISTED, "[Na+].[OH-]", Reason.CORRECT, 1),
        (f"{sub}-worse", LISTED, "Pc1ccccc1", Reason.WRONG, 0),
        (f"{sub}-not-on-the-list", LISTED, "CCO", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-part-of-one", LISTED, "[Na+]", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-all-of-them", LISTED, "CP(C)C, c1ccccc1P, [Na+].[OH-], CCP", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-two-at-once", LISTED, "CP(C)C.CCP", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-prose", LISTED, "The best is CP(C)C", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-number", LISTED, "1", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-empty", LISTED, "", Reason.EMPTY, 0),
    ]
YIELDS = [name for name in list_tasks() if name.startswith("yield_prediction/")]
for name in PROPERTIES + YIELDS:
    sub = name.split("/")[1]
    SCORES += [
        (f"{sub}-yes", row(name, "Yes"), "Yes", Reason.CORRECT, 1),
        (f"{sub}-no", row(name, "No"), "No", Reason.CORRECT, 1),
        (f"{sub}-no-for-yes", row(name, "Yes"), "No", Reason.WRONG, 0),
        (f"{sub}-yes-for-no", row(name, "No"), "Yes", Reason.WRONG, 0),
        (f"{sub}-capitals-and-full-stop", row(name, "Yes"), " yes.\n", Reason.CORRECT, 1),
        (f"{sub}-empty", row(name, "No"), "", Reason.EMPTY, 0),
        (f"{sub}-hedged", row(name, "Yes"), "Maybe", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-both", row(name, "Yes"), "Yes and No", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-both-with-a-slash", row(name, "No"), "No/Yes", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-prose", row(name, "Yes"), "Yes, it does", Reason.NOT_A_CHOICE, 0),
        (f"{sub}-a-molecule", row(name, "Yes"), "CCO", Reason.NOT_A_CHOICE, 0),
    ]


@pytest.mark.parametrize("question, answer, reason, value", [pytest.param(*case[1:], id=case[0]) for case in SCORES])
def test_score(question, answer, reason, value):
    score = get_task(question["task"]).score(answer, question)
    assert score.reason is reason
    assert score.value == pytest.approx(value, abs=1e-9)
    assert score.correct == (reason is Reason.CORRECT)


def test_every_registered_task_stands_in_the_table():
    right = {case[1]["task"] for case in SCORES if case[3] is Reason.CORRECT}
    wrong = {case[1]["task"] for case in SCORES if case[3] is not Reason.CORRECT}
    assert right == wrong == set(list_tasks())


def test_an_optimised_molecule_is_paid_for_what_it_keeps():
    task = get_task(UP_LOGP["task"])
    near, far, farther = (task.score(answer, UP_LOGP).value for answer in ("ClCCc1ccccc1", "CCCCc1ccccc1", "CCCCCCCC"))
    assert near > far > farther > 0


# The source with a hydrogen, a charge or a mass moved, which changes nothing that was asked for.
RELABELLED = [
    pytest.param(DOWN_QED, "O[13CH2]Cc1ccccc1", id="carbon-13-for-qed"),
    pytest.param(UP_QED, "[200CH3]Cc1ccccc1", id="a-heavy-isotope-for-qed"),
    pytest.param(UP_QED, "[2H]CCc1ccccc1", id="deuterium-for-qed"),
    pytest.param(DOWN_QED, "[O]CCc1ccccc1", id="radical-for-qed"),
    pytest.param(DOWN_MR, "O[CH]Cc1ccccc1", id="radical-for-mr"),
    pytest.param(UP_LOGP, "O[CH]Cc1ccccc1", id="radical-for-logp"),
    pytest.param(DOWN_QED, "[OH2+]CCc1ccccc1", id="protonated-for-qed"),
    pytest.param(DOWN_MR, "[O-]CCc1ccccc1", id="deprotonated-for-mr"),
    pytest.param(DELETE, "[O-]CCc1ccccc1", id="deprotonated-is-not-deleted"),
    pytest.param(DELETE, "[O]CCc1ccccc1", id="radical-is-not-deleted"),
    pytest.param(
        row(OPEN + "mol_edit_delete", "CCc1ccccc1", source="NCCc1ccccc1", remove="amine"),
        "[NH3+]CCc1ccccc1",
        id="ammonium",
    ),
]


@pytest.mark.parametrize("question, answer", RELABELLED)
def test_relabelling_the_source_is_no_answer(question, answer):
    assert get_task(question["task"]).score(answer, question).value == 0


# counts of the released evaluator of TOMG-Bench (692f6b1); recipes/studies/evaluators.py compares thousands
AS_RELEASED = {
    "O=C(c1ccccc1)c1ccccc1": {"benzene ring": 2, "ketone": 1},
    "c1ccc2ccccc2c1": {},  # fused rings are no benzene rings
    "CC(=O)OC(C)=O": {"anhydride": 1, "ester": 2},
    "CC(=O)Oc1ccccc1C(=O)O": {"benzene ring": 1, "hydroxyl": 1, "carboxyl": 1, "ester": 1},
    "NC(=O)NC": {},
    "C[S+]([O-])C": {"sulfoxide": 1},
    "CS(=O)(=O)N": {"amine": 1, "sulfone": 1},
    "CSSC": {"thioether": 2, "sulfide": 1, "disulfide": 1},
    "c1ccsc1": {"sulfide": 1},
    "O=[N+]([O-])c1ccccc1": {"benzene ring": 1, "nitro": 1},
    "O=Cc1ccccc1": {"benzene ring": 1, "aldehyde": 1},
    "C=O": {},
    "CC(=O)[O-]": {},
    "OB(O)c1ccccc1": {"benzene ring": 1, "hydroxyl": 2, "borane": 1},
    "[C-]#[N+]C": {},
    "CNC(=O)c1ccncc1": {"amide": 1},
}


@pytest.mark.parametrize("smiles", AS_RELEASED)
def test_groups_are_counted_as_the_released_evaluator_counts_them(smiles):
    assert {name: n for name, n in count_groups(smiles).items() if n} == AS_RELEASED[smiles]


def test_instructions_of_the_benchmark_can_be_read():
    """As its test files write them."""
    assert read_instruction("There is a molecule composed of 2 benzene rings groups.") == (
        "mol_custom_groups",
        {"groups": {"benzene ring": 2}},
    )
    assert read_instruction("Please add a benzene_ring to the molecule CCO.")[1]["add"] == "benzene ring"


@pytest.mark.parametrize("group", TOMG_GROUPS)
def test_every_group_can_be_counted(group):
    example = {
        "benzene ring": "c1ccccc1", "hydroxyl": "CO", "anhydride": "CC(=O)OC(C)=O", "aldehyde": "CC=O",
        "ketone": "CC(C)=O", "carboxyl": "CC(=O)O", "ester": "CC(=O)OC", "amide": "CC(N)=O", "amine": "CN",
        "nitro": "C[N+](=O)[O-]", "halo": "CF", "thioether": "CSC", "nitrile": "CC#N", "thiol": "CS", "sulfide": "CSC",
        "disulfide": "CSSC", "sulfoxide": "CS(C)=O", "sulfone": "CS(C)(=O)=O", "borane": "CB(C)C",
    }[group]  # fmt: skip
    assert count_groups(Chem.CanonSmiles(example))[group] >= 1
    assert count_groups("CC")[group] == 0


def test_bonds_are_counted_by_kind():
    counts = count_bonds(Chem.MolFromSmiles("C#CCCCc1ccccc1C=O"))
    assert counts == {"single": 5, "double": 1, "triple": 1, "rotatable": 4, "aromatic": 6}
    assert tuple(counts) == BONDS


# wells of a screen


def test_a_question_of_reagent_selection_shows_wells_of_the_screen():
    screen = {
        "task": "yield_prediction/suzuki",
        "input": "Clc1ccc2ncccc2c1.CB(O)O.CC(=O)O[Pd]OC(C)=O.CCP(CC)CC.[Na+].[OH-].CC#N>>Cc1ccc2ncccc2c1",
        "answer": "No",
        "meta": {},
    }
    question = "Reactant: OB(C)O\nReactant: Clc1ccc2ncccc2c1\nLigand: C(C)P(CC)CC\nBase: [OH-].[Na+]\nList: CC#N, CO"
    selection = {
        "task": "reagent_selection/solvent",
        "input": question,
        "answer": "CO",
        "meta": {"candidates": ["CC#N", "CO"], "accepted": ["CO"]},
    }
    shown, asked = (set(get_task(row["task"]).subjects(row)) for row in (screen, selection))
    assert len(asked) == 2 and len(shown & asked) == 1
    other = screen | {"input": screen["input"].replace("CC#N", "C1CCOC1")}
    assert not asked & set(get_task(screen["task"]).subjects(other))


# the template


@pytest.mark.parametrize(
    "answer, reason, value",
    [
        pytest.param("-3.8", Reason.CORRECT, 1, id="gold"),
        pytest.param("-4.2", Reason.CORRECT, 1, id="close"),
        pytest.param("-5.05", Reason.WRONG, 0.5, id="between"),
        pytest.param("-5.8", Reason.WRONG, 0, id="two-units-off"),
        pytest.param("nan", Reason.WRONG, 0, id="not-a-number"),
        pytest.param("inf", Reason.WRONG, 0, id="infinite"),
        pytest.param(" ", Reason.EMPTY, 0, id="empty"),
        pytest.param("about -3.8", Reason.SYNTAX, 0, id="prose"),
    ],
)
def test_score_of_the_template(monkeypatch, answer, reason, value):
    monkeypatch.setattr(registry, "TASKS", {})  # the template registers its task
    task = runpy.run_path(str(Path(registry.__file__).parent / "tasks" / "template.py"))["Solubility"]()
    score = task.score(answer, {"answer": "-3.8"})
    assert (score.reason, score.correct) == (reason, reason is Reason.CORRECT)
    assert score.value == pytest.approx(value)


# the embedded rows


@pytest.mark.parametrize("task", NANO)
def test_gold_in_the_format_is_worth_everything(task):
    for nano in NANO[task]:
        if get_task(task).gold(nano) is not None:
            score = score_completion(render(None, get_task(task).gold(nano)), nano)
            assert score == Score(1.0, True, Reason.CORRECT), nano


@pytest.mark.parametrize("task", NANO)
@pytest.mark.parametrize("name", ["default", "nano"])
def test_a_trace_has_a_numbered_line_for_each_step(task, name):
    protocols = load_protocols(name)
    for nano in NANO[task][::5]:
        steps = [
            step.heading for step in protocols.of(task) if name == "nano" or step.fact in get_task(task).facts(nano)
        ]
        trace = get_task(task).trace(nano, protocols)
        lines = trace.split("\n") if trace else []
        assert len(lines) == len(steps) and (lines or name == "nano"), nano
        for number, (line, step) in enumerate(zip(lines, steps, strict=True), 1):
            head = f"{number}. **{step}:** "
            assert line.startswith(head) and line.removeprefix(head).strip(), nano


@pytest.mark.parametrize("task", [name for name in NANO if name in OPTIMISED])
def test_an_example_of_an_optimisation_moves_the_right_way(task):
    assert get_task(task).gold(NANO[task][0]) is None  # many answers are right
    assert all(get_task(task).score(nano["answer"], nano).value > 0 for nano in NANO[task])


@pytest.mark.parametrize("task", [name for name in NANO if name in PROPERTIES])
def test_the_verdict_of_a_trace_is_the_rows_answer(task):
    assert all(
        get_task(task).trace(nano, load_protocols("nano")).endswith(f"** {nano['answer']}") for nano in NANO[task]
    )


CONSTANTS = ["C", "CCO", "c1ccccc1", "C" * 12, "CC(=O)Oc1ccccc1C(=O)O", "Cc1ccc(CNC2CC2)cc1", "COc1ccc(CNCc2ccccc2)cc1"]


@pytest.mark.parametrize("answer", CONSTANTS)
def test_a_constant_answer_earns_next_to_nothing(answer):
    optimised = [get_task(task).score(answer, nano) for task in OPTIMISED for nano in NANO[task]]
    assert fmean(score.value for score in optimised) < 0.15
    assert fmean(score.correct for score in optimised) < 0.01
    assert not any(get_task(task).score(answer, nano).value for task in EDITED for nano in NANO[task])


@pytest.mark.parametrize("task", [name for name in NANO if name in PROPERTIES])
def test_a_constant_choice_earns_half(task):
    for answer in ("Yes", "No"):
        assert fmean(get_task(task).score(answer, nano).value for nano in NANO[task]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("task", [name for name in NANO if name not in PROPERTIES])
def test_copying_the_question_earns_nothing(task):
    for nano in NANO[task][:200]:
        for copied in (nano["input"], nano["meta"].get("source", "")):
            assert get_task(task).score(copied, nano).value == 0, nano


# question and trace


@pytest.mark.parametrize("task", list_tasks())
def test_the_question_tells_the_input_and_not_the_answer(task):
    example = next(case[1] for case in SCORES if case[1]["task"] == task)
    question = get_task(task).question(example)
    assert example["input"] in question
    assert question == get_task(task).question(example | {"answer": "another", "split": "train"})
    assert get_task(task).metric and get_task(task).answers in ("molecule", "choice", "text")


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(row("reagent_selection/solvent", "CO", "Reactant: CN\nList: CO, CCO"), id="measured-optimum"),
        pytest.param(row("property_prediction/rule_alert", "Yes", "not a molecule"), id="rule-on-no-molecule"),
        pytest.param(row("retrosynthesis", "CC.CN", "CCCN"), id="reaction-without-a-name"),
        pytest.param(row("reaction_prediction", "CCCN", "CC.CN"), id="product-without-a-reaction"),
        pytest.param(row("reaction_prediction", "", "CC.CN"), id="no-product"),
        pytest.param(SALT, id="product-of-two-fragments"),
        pytest.param(ADD_OPEN, id="edit-without-a-reference"),
        pytest.param(UP_LOGP | {"answer": ""}, id="optimisation-without-an-example"),
        pytest.param(ATOMS | {"answer": ""}, id="custom-without-an-example"),
    ],
)
def test_no_trace_where_nothing_grounded_can_be_said(question):
    assert get_task(question["task"]).trace(question) is None


@pytest.mark.parametrize(
    "question, texts",
    [
        pytest.param(RETRO, ["amide", "amide coupling", "amide ← carboxylic acid, primary amine"], id="retro"),
        pytest.param(
            FORWARD,
            ["carboxylic acid; primary amine", "amide coupling", "carboxylic acid, primary amine → amide"],
            id="forward",
        ),
        pytest.param(
            row("property_prediction/rule_permeable", "Yes", "CC(=O)Oc1ccccc1C(=O)O"),
            ["carboxylic acid, ester", "donors 1, acceptors 3, together 4", "Yes"],
            id="permeable",
        ),
        pytest.param(NAME, ["amide", "1 aromatic"], id="name"),
        pytest.param(DRAWN, ["amide", "1 aromatic"], id="structure"),
        pytest.param(FORMULA, ["primary alcohol", "C 1 3,C 2 5,O 1 6"], id="formula"),
        pytest.param(
            row(NAMES + "iupac_to_formula", "CH4O", "methanol", smiles="CO"),
            ["primary alcohol", "C 1 3,O 1 4"],
            id="formula-of-a-name",
        ),
        pytest.param(DESIGN, ["none", "carboxylic acid, primary amine"], id="design"),
        pytest.param(CAPTION, ["1 aromatic", "ester, aryl chloride"], id="caption"),
        pytest.param(
            row("yield_prediction/rule_hindrance", "No", "Cc1ccccc1Br.OB(O)c1ccccc1>>Cc1ccccc1-c1ccccc1"),
            ["Suzuki coupling", "substituents beside 1, 0", "No"],
            id="hindrance",
        ),
        pytest.param(
            row(
                "reagent_selection/rule_reactant",
                "CN",
                "Reactant: CC(=O)O\nProduct: CNC(C)=O\nList: CO, CN",
                candidates=["CO", "CN"],
                accepted=["CN"],
            ),
            ["amide coupling", "primary amine"],
            id="reactant",
        ),
        pytest.param(
            row(
                "reagent_selection/rule_reagent",
                "[Fe]",
                "Reactants: O=[N+]([O-])c1ccccc1\nProduct: Nc1ccccc1\nList: [Fe], CO",
                accepted=["[Fe]"],
            ),
            ["nitro reduction", "[Fe]"],
            id="reagent",
        ),
        pytest.param(
            row("property_prediction/rule_alert", "Yes", "CC=O"), ["aldehyde", "alerts aldehyde", "Yes"], id="alert"
        ),
        pytest.param(
            row("property_prediction/rule_lipophilic", "No", "CO"),
            ["primary alcohol", "LogP about 0", "No"],
            id="lipophilic",
        ),
        pytest.param(
            row("property_prediction/rule_compact", "No", "CCCCc1ccccc1"),
            ["none", "rings 1, rotatable bonds 3 of 2", "No"],
            id="compact",
        ),
    ],
)
def test_a_trace_states_these_facts(question, texts):
    steps = [step.heading for step in load_protocols("nano").of(question["task"])]
    expected = "\n".join(f"{n}. **{step}:** {text}" for n, (step, text) in enumerate(zip(steps, texts, strict=True), 1))
    assert get_task(question["task"]).trace(question, load_protocols("nano")) == expected


@pytest.mark.parametrize(
    "question, step, text",
    [
        (RETRO, "groups of the answer", "carboxylic acid; primary amine"),
        (FORWARD, "groups of the answer", "amide"),
        (ADD, "groups", "none"),
        (ADD, "counts", "0 hydroxyl"),
        (ADD, "change", "0 → 1 hydroxyl"),
        (SWAP, "groups of the answer", "alkyl chloride"),
        (SWAP, "change", "1 → 0 hydroxyl, 0 → 1 halo"),
        (UP_LOGP, "group changes", "primary alcohol → none"),
        (ATOMS, "requirement", "2 carbon, 1 oxygen"),
        (ATOMS, "check", "2 carbon, 1 oxygen"),
        (RING_BONDS, "check", "6 aromatic bond"),
        (UP_LOGP, "estimate", "LogP about 1"),
        (UP_LOGP, "estimate of the answer", "LogP about 2"),
        (FORMULA, "atoms", "2 carbon, 1 oxygen"),
        (FORMULA, "hydrogens", "6"),
    ],
)
def test_facts_that_nano_leaves_out(question, step, text):
    assert step not in [s.fact for s in load_protocols("nano").of(question["task"])]
    assert get_task(question["task"]).facts(question)[step] == text


@pytest.mark.parametrize(
    "smiles, text",
    [
        ("CC=O", "C 1 3,C 2 4,=O 1"),
        # in the order of the text, not of RDKit's canonical SMILES
        ("OC(C)c1ccccc1Cl", "O 1 1,C 1 2,(C 2 5,)c1 3,c 4 6,c 5 7,c 6 8,c 7 9,c1 8,Cl 1"),
        ("[Na+].[O-]C", "[Na+] 1,.[O-] 1,C 1 3"),
        ("[H]OC", "C 1 3,O 1 4"),
    ],
)
def test_a_tally_counts_each_element_as_it_comes(smiles, text):
    assert running_counts(smiles) == text


# any text

ONE_OF_EACH = list({case[1]["task"]: case[1] for case in SCORES[::-1]}.values())
PIECES = [
    "C", "O", "N", "c1ccccc1", "C(=O)", "(F)", "=C", "#N", ".", "[C@H](F)", "[Fe]", "[Na]", "~C", "*", ">", " ", "1",
    "[se]", "Yes", "No",
]  # fmt: skip
ANSWERS = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
NASTY = [
    "\x00", "\ud800", "CCO\x00", "1" * 2000, "[" * 500, "C" * 300, "C1CC1" * 60, "[U]" * 100, "[Fe]" * 300, "C" * 10**6,
    "[2H][2H]", "[13CH4]", "[CH]", "[B-]", "O=[Os](=O)(=O)=O", "[NH3][Pt]([NH3])(Cl)Cl", "F[P-](F)(F)(F)(F)F",
    "[C-]#[O+]", ".".join(["CC"] * 150), "%(99999)C",
]  # fmt: skip
UNREADABLE = ["CCOc1~occ1N", "COc1cc~c(SC)cc1CC=O", "CN(C)c1~[te]c(Cl)ccc1C=O", "C[Na]C=1cc(C(C=O)CSC)nn[Al]1"]


def test_every_task_has_a_case():
    missing = set(list_tasks()) - {question["task"] for question in ONE_OF_EACH}
    assert not missing, f"add a right and a wrong answer of {sorted(missing)} to SCORES"


def assert_scores(answer):
    for question in ONE_OF_EACH:
        score = get_task(question["task"]).score(answer, question)
        assert 0 <= score.value <= 1 and isinstance(score.reason, Reason)
        assert score.correct == (score.reason is Reason.CORRECT)
        assert score.value == 0 or score.reason in (Reason.CORRECT, Reason.TOO_DIFFERENT, Reason.INCOMPLETE)


@settings(
    max_examples=600, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(ANSWERS)
def test_score_never_raises_and_stays_in_bounds(answer):
    assert_scores(answer)


@pytest.mark.parametrize("answer", NASTY, ids=range(len(NASTY)))
def test_score_survives(answer):
    assert_scores(answer)


@pytest.mark.parametrize("answer", UNREADABLE)
def test_score_survives_molecules_that_rdkit_cannot_read_back(answer):
    assert_scores(answer)


# the registry


@pytest.mark.parametrize(
    "name, near",
    [
        ("retrosynthsis", "retrosynthesis"),
        ("mol_edit_add", "open_generation/mol_edit_add"),
        ("property_prediction/bbpb", "property_prediction/bbbp"),
        ("reaction", "reaction_prediction"),
    ],
)
def test_the_error_for_an_unknown_name_lists_the_nearest(name, near):
    with pytest.raises(KeyError) as error:
        get_task(name)
    assert near in str(error.value).split("All:")[0]


def test_the_error_for_an_unknown_name_lists_all_names():
    with pytest.raises(KeyError) as error:
        get_task("§§§")
    assert "nearest: none" in str(error.value)
    assert all(name in str(error.value) for name in list_tasks())


def test_macro_names():
    macros = {get_task(name).macro for name in list_tasks()}
    assert {"retrosynthesis", "reaction_prediction", "property_prediction", "open_generation"} <= macros
    assert all(name == get_task(name).macro or name.startswith(get_task(name).macro + "/") for name in list_tasks())


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        register(get_task("retrosynthesis"))


@pytest.mark.parametrize(
    "names, chosen",
    [
        pytest.param(["retrosynthesis"], ["retrosynthesis"], id="one"),
        pytest.param(["property_prediction"], PROPERTIES, id="a-macro-task"),
        pytest.param(
            ["property_prediction/hiv", "retrosynthesis"],
            ["property_prediction/hiv", "retrosynthesis"],
            id="order-kept",
        ),
        pytest.param(
            ["property_prediction/hiv", "property_prediction"],
            ["property_prediction/hiv", *(name for name in PROPERTIES if name != "property_prediction/hiv")],
            id="each-once",
        ),
        pytest.param([], [], id="none"),
    ],
)
def test_select_tasks(names, chosen):
    assert select_tasks(names) == chosen


@pytest.mark.parametrize("name", ["open_gen", "property_prediction/", "Retrosynthesis", ""])
def test_select_tasks_refuses_what_is_no_name(name):
    with pytest.raises(KeyError, match="nearest"):
        select_tasks(["retrosynthesis", name])
