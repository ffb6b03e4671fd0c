"""Rows from files: formats, tables, messages for bad rows and files, leaks between splits, samples."""

import csv
import gzip
import io
import json
from collections import Counter

import pytest
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

from chemr_lite.data import tables
from chemr_lite.data.rows import NANO_ROWS, check_row, load
from chemr_lite.data.splits import SPLITS, sample
from chemr_lite.errors import DataError
from chemr_lite.tasks import get_task


def row(task, question, answer, split="train", meta=None):
    return {"task": task, "input": question, "answer": answer, "split": split, "meta": meta or {}}


RETRO = row("retrosynthesis", "CC(=O)NC", "CC(=O)O.CN", meta={"class": 2})
FORWARD = row("reaction_prediction", "CC(=O)O.CCN", "CCNC(C)=O", "validation")
BBBP = row("property_prediction/bbbp", "CCO", "Yes", "test")
EDIT = row(
    "open_generation/mol_edit_add",
    "Add a hydroxyl to CCc1ccccc1.",
    "OCCc1ccccc1",
    meta={"source": "CCc1ccccc1", "add": "hydroxyl"},
)
OPT = row(
    "open_generation/mol_opt_logp",
    "Increase the LogP of OCCc1ccccc1.",
    "CCc1ccccc1",
    meta={"source": "OCCc1ccccc1", "property": "LogP", "direction": "increase"},
)
ROWS = [RETRO, FORWARD, BBBP, EDIT, OPT]


def write(path, text):
    raw = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else raw)
    return str(path)


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(columns, *lines):
    text = io.StringIO()
    csv.writer(text).writerows([columns, *lines])
    return text.getvalue()


def row_table(rows):
    names = ["task", "input", "answer", "split", "meta"]
    return table(names, *([json.dumps(row[name]) if name == "meta" else row[name] for name in names] for row in rows))


def everything(loaded):
    return [row for split in SPLITS for row in loaded.rows[split]]


# formats


@pytest.mark.parametrize(
    "name, text",
    [
        ("rows.jsonl", jsonl(ROWS)),
        ("rows.jsonl.gz", jsonl(ROWS)),
        ("rows.csv", row_table(ROWS)),
        ("rows.csv.gz", row_table(ROWS)),
        ("my.rows.v2.jsonl", jsonl(ROWS)),
    ],
)
def test_the_row_format(tmp_path, name, text):
    loaded = load([write(tmp_path / name, text)])
    assert loaded.problems == []
    assert loaded.rows == {"train": [RETRO, EDIT, OPT], "validation": [FORWARD], "test": [BBBP], "practice": []}


def test_a_verified_row_without_an_answer_is_practised(tmp_path):
    open_row = EDIT | {"answer": ""}
    leaking = {  # its source is a test molecule
        "task": OPT["task"],
        "input": FORWARD["input"],
        "meta": OPT["meta"] | {"source": BBBP["input"]},
    }
    loaded = load([write(tmp_path / "rows.jsonl", jsonl([RETRO, open_row, leaking, BBBP]))])
    assert loaded.problems == [] and loaded.rows["train"] == [RETRO] and loaded.rows["practice"] == [open_row]
    assert sum(loaded.removed.values()) == 1 and "1 practice rows" in loaded.summary()
    both = load([write(tmp_path / "both.jsonl", jsonl([open_row, EDIT]))])
    # the answered row is kept, although it comes second
    assert both.rows["train"] == [EDIT] and both.rows["practice"] == []
    assert load([write(tmp_path / "other.jsonl", jsonl([RETRO, BBBP]))]).fingerprint != loaded.fingerprint


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + jsonl(ROWS), id="byte-order-mark"),
        pytest.param(jsonl(ROWS).replace("\n", "\r\n"), id="windows-line-ends"),
        pytest.param("\n" + jsonl(ROWS).replace("\n", "\n\n"), id="empty-lines"),
        pytest.param(jsonl(ROWS).rstrip("\n"), id="no-end-of-line-at-the-end"),
        pytest.param(jsonl([row | {"comment": "more"} for row in ROWS]), id="further-fields"),
        pytest.param(jsonl([row | {"meta": json.dumps(row["meta"])} for row in ROWS]), id="meta-as-json-text"),
    ],
)
def test_jsonl_as_people_write_it(tmp_path, text):
    loaded = load([write(tmp_path / "rows.jsonl", text)])
    assert loaded.problems == [] and everything(loaded) == [RETRO, EDIT, OPT, FORWARD, BBBP]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_a_line_of_jsonl_ends_at_the_line_feed_only(tmp_path, mark):
    """JSON texts may contain these marks, at which str.splitlines splits."""
    row = EDIT | {"input": f"Add a hydroxyl{mark} to CCc1ccccc1."}
    loaded = load([write(tmp_path / "rows.jsonl", jsonl([row, RETRO]))])
    assert loaded.problems == [] and everything(loaded) == [row, RETRO]


def test_defaults(tmp_path):
    short = {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN"}
    assert everything(load([write(tmp_path / "rows.jsonl", jsonl([short]))])) == [
        short | {"split": "train", "meta": {}}
    ]


def test_quoted_csv_fields_may_hold_commas_and_lines(tmp_path):
    row = EDIT | {"input": 'Add a hydroxyl,\nas in "CCO", to CCc1ccccc1.'}
    assert everything(load([write(tmp_path / "rows.csv", row_table([row]))])) == [row]


def test_a_folder_and_several_sources_are_read_together(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "b.jsonl", jsonl([RETRO]))
    write(folder / "a.csv.gz", row_table([FORWARD]))
    write(folder / "notes.txt", "not data")
    other = write(tmp_path / "other.jsonl.gz", jsonl([BBBP]))
    assert everything(load([str(folder), other])) == [RETRO, FORWARD, BBBP]


# tables

SUZUKI = (
    "Reactant_1_Name", "Reactant_2_Name", "Ligand_Short_Hand", "Reagent_1_Short_Hand", "Solvent_1_Short_Hand",
    "Product_Yield_PCT_Area_UV",
)  # fmt: skip
REAGENTS = (
    "kind", "reactant_1", "reactant_2", "ligand", "base", "solvent", "candidates", "ranked", "yields", "split",
)  # fmt: skip
TOMG = ("subtask", "instruction", "source_molecule", "constraint", "answer")
TABLES = [
    pytest.param(
        "uspto_retro.csv.gz",
        table(("product", "reactants", "reaction_class", "split"), ("CC(=O)NC", "CC(=O)O.CN", "2", "test")),
        [row("retrosynthesis", "CC(=O)NC", "CC(=O)O.CN", "test", meta={"class": "2"})],
        id="retrosynthesis",
    ),
    pytest.param(
        "uspto_retro.csv",
        table(("product", "reactants", "reaction_class"), ("CC(=O)NC", "CC(=O)O.CN", "")),
        [row("retrosynthesis", "CC(=O)NC", "CC(=O)O.CN")],
        id="retrosynthesis-without-class-and-split",
    ),
    pytest.param(
        "forward.csv",
        table(
            ("bench_index", "input", "product", "reactants", "split"),
            ("7", "CC(=O)O.CN", "CC(=O)NC", "CC(=O)O.CN", "validation"),
        ),
        [row("reaction_prediction", "CC(=O)O.CN", "CC(=O)NC", "validation")],
        id="reaction-prediction",
    ),
    *(
        pytest.param(
            "test.csv",
            table(columns, line),
            [row(f"property_prediction/{sub}", "CCO", answer, "test")],
            id=f"chemllmbench-{sub}-{answer}",
        )
        for columns, line, sub, answer in (
            (("num", "name", "p_np", "smiles"), ("1", "x", "1", "CCO"), "bbbp", "Yes"),
            (("mol", "CID", "Class", "pIC50"), ("CCO", "b", "0", "4"), "bace", "No"),
            (("smiles", "activity", "HIV_active"), ("CCO", "CI", "0"), "hiv", "No"),
            (("smiles", "FDA_APPROVED", "CT_TOX"), ("CCO", "Yes", "0"), "clintox", "No"),
            (("NR-AR", "SR-p53", "mol_id", "smiles"), ("1", "0.0", "T", "CCO"), "tox21", "No"),
            (("NR-AR", "SR-p53", "mol_id", "smiles"), ("0", "1", "T", "CCO"), "tox21", "Yes"),
        )
    ),
    pytest.param(
        "llm_test.csv",
        table(
            ("CID", "smiles", "iupac", "formula", "label"), ("1", "CC(O)F", "(1R)-1-fluoroethanol", "C2H5FO", "train")
        ),
        [
            row(f"name_prediction/{sub}", question, answer, meta=meta)
            for sub, question, answer, meta in (
                ("smiles_to_iupac", "CC(O)F", "1-fluoroethanol", {}),
                ("iupac_to_smiles", "(1R)-1-fluoroethanol", "CC(O)F", {}),
                ("smiles_to_formula", "CC(O)F", "C2H5FO", {}),
                ("iupac_to_formula", "(1R)-1-fluoroethanol", "C2H5FO", {"smiles": "CC(O)F"}),
            )
        ],
        id="names-with-stereo-that-is-not-drawn",
    ),
    *(
        pytest.param(
            name,
            text,
            [
                row("molecule_design", "The molecule is an alkene.", "C/C=C\\C", split),
                row("molecule_captioning", "C/C=C\\C", "The molecule is an alkene.", split),
            ],
            id=id,
        )
        for name, text, split, id in (
            (
                "validation.txt",
                "CID\tSMILES\tdescription\n1\tC/C=C\\\\C\tThe molecule is an alkene.\n",
                "validation",
                "chebi20-doubled-backslash",
            ),
            (
                "design.csv",
                table(("description", "SMILES"), ("The molecule is an alkene.", "C/C=C\\C")),
                "train",
                "captions",
            ),
        )
    ),
    pytest.param(
        "bh.csv",
        table(
            ("Ligand", "Additive", "Base", "Aryl halide", "Output"),
            ("CP(C)C", "CC1=CC(C)=NO1", "CCN(CC)CC", "ClC1=NC=CC=C1", "70.4"),
        ),
        [
            row(
                "yield_prediction/buchwald_hartwig",
                "Clc1ccccn1.Cc1ccc(N)cc1.CP(C)C.CCN(CC)CC.Cc1cc(C)on1>>Cc1ccc(Nc2ccccn2)cc1",
                "Yes",
                meta={"percent": 70.4},
            )
        ],
        id="screen-of-aminations",
    ),
    pytest.param(
        "suzuki.csv",
        table(
            SUZUKI,
            ("6-chloroquinoline", "2a, Boronic Acid", "P(Ph)3 ", "None", "MeCN", "59.9"),
        ),
        [
            row(
                "yield_prediction/suzuki",
                "Clc1ccc2ncccc2c1.Cc1ccc2c(cnn2C2CCCCO2)c1B(O)O.CC(=O)O[Pd]OC(C)=O.c1ccc(P(c2ccccc2)c2ccccc2)cc1.CC#N"
                ">>Cc1ccc2c(cnn2C2CCCCO2)c1-c1ccc2ncccc2c1",
                "No",
                "validation",
                meta={"percent": 59.9},
            )
        ],
        id="screen-of-couplings-without-a-base",
    ),
    pytest.param(
        "yield_suzuki.csv",
        table(("rxn", "reactant_1", "yield_pct", "high", "split"), ("CC.O>>CCO", "CC", "60.0", "1", "test")),
        [row("yield_prediction/suzuki", "CC.O>>CCO", "Yes", "test", meta={"percent": 60.0})],
        id="yield-of-60-is-high",
    ),
    pytest.param(
        "reagents.csv",
        table(
            REAGENTS,
            (
                "solvent",
                "CBr",
                "CB(O)O",
                "CP(C)C",
                "",
                "",
                '["CO", "CC#N", "C1CCOC1"]',
                '["CC#N", "CO", "C1CCOC1"]',
                "[50, 50, 1]",
                "test",
            ),
        ),
        [
            row(
                "reagent_selection/solvent",
                "Reactant: CBr\nReactant: CB(O)O\nLigand: CP(C)C\nList: CO, CC#N, C1CCOC1",
                "CC#N",
                "test",
                meta={"candidates": ["CO", "CC#N", "C1CCOC1"], "accepted": ["CC#N", "CO"]},
            )
        ],
        id="two-solvents-are-equally-good",
    ),
    pytest.param(
        "ligand_sample.csv",
        table(
            ("task", "candidate_rank", "candidate_over_30_yield", "yield_details"),
            (
                "Choose.\nGiven the rest of reaction components:\nreactant: reactant 1\nLigand list: ligand1\n\n"
                "Given the rest of reaction components:\nreactant 1: Clc1ccc2ncccc2c1\nreactant 2: C[B-](F)(F)F.[K+]\n"
                "base: CO\nsolvent: CCN(CC)CC  \nLigand list for selection:\nCP(C)C,CCP,CP,P\nOptimal ligand:\n",
                "['CCP', 'P', 'CP', 'CP(C)C']",
                "['CCP']",
                "[[['CCP', 38.79]], [['P', 23.1]], [['CP', 22.2]], [['CP(C)C', 2.0]]]",
            ),
        ),
        [
            row(
                "reagent_selection/ligand",
                "Reactant: Clc1ccc2ncccc2c1\nReactant: C[B-](F)(F)F.[K+]\nBase: CCN(CC)CC\nSolvent: CO\n"
                "List: CP(C)C, CCP, CP, P",
                "CCP",
                "test",
                meta={"candidates": ["CP(C)C", "CCP", "CP", "P"], "accepted": ["CCP", "P"]},
            )
        ],
        id="selection-prompt-with-base-and-solvent-exchanged",
    ),
    pytest.param(
        "uspto_test.csv",
        table(("reactant", "product"), ("CC(=O)O.CN", "CC(=O)NC")),
        [row("reaction_prediction", "CC(=O)O.CN", "CC(=O)NC", "test")],
        id="chemllmbench-forward",
    ),
    pytest.param(
        "retro_test.csv",
        table(("products_smiles", "reactants_smiles"), ("CC(=O)NC", "CC(=O)O.CN")),
        [row("retrosynthesis", "CC(=O)NC", "CC(=O)O.CN", "test")],
        id="chemllmbench-retro",
    ),
    pytest.param(
        "smol.csv",
        table(
            ("task", "raw_input", "raw_output", "split"),
            ("name_conversion-s2f", "CCO", "C2H6O", "test"),
            ("sider", "CCO", "Yes", "test"),
        ),
        [row("name_prediction/smiles_to_formula", "CCO", "C2H6O", "test")],
        id="smolinstruct",
    ),
    pytest.param(
        "MolEdit_test.csv",
        table(
            ("index", "Instruction", "molecule", "added_group"),
            ("7", "Please add a benzene_ring to the molecule CCO.", "CCO", "benzene_ring"),
        ),
        [
            row(
                "open_generation/mol_edit_add",
                "Please add a benzene_ring to the molecule CCO.",
                "",
                "test",
                meta={"source": "CCO", "add": "benzene ring"},
            )
        ],
        id="tomg-test",
    ),
    pytest.param(
        "train.csv",
        table(
            ("SubTask", "Instruction", "molecule"),
            ("DelComponent", "Please remove a OCCc1ccccc1 from the molecule hydroxyl.", "CCc1ccccc1"),
        ),
        [
            row(
                "open_generation/mol_edit_delete",
                "Please remove a OCCc1ccccc1 from the molecule hydroxyl.",
                "CCc1ccccc1",
                meta={"source": "OCCc1ccccc1", "remove": "hydroxyl"},
            )
        ],
        id="openmolins-with-molecule-and-group-exchanged",
    ),
    *(
        pytest.param(
            file,
            table(("smiles", "label", "split"), ("CCO", "1", "train"), ("CCN", "0", "test")),
            [
                row(f"property_prediction/{sub}", "CCO", "Yes"),
                row(f"property_prediction/{sub}", "CCN", "No", "test"),
            ],
            id=f"property-{sub}",
        )
        for file, sub in (
            ("bbbp.csv", "bbbp"),
            ("bace.csv.gz", "bace"),
            ("hiv.csv", "hiv"),
            ("clintox.csv", "clintox"),
            ("tox21_sr_p53.csv.gz", "tox21"),
        )
    ),
    *(
        pytest.param(
            "tomg_prompts.csv.gz",
            table(TOMG, (subtask, "Do it.", source, json.dumps(constraint), answer)),
            [row(f"open_generation/{sub}", "Do it.", answer, meta=meta)],
            id=f"tomg-{subtask}",
        )
        for subtask, sub, source, constraint, answer, meta in (
            (
                "AddComponent",
                "mol_edit_add",
                "CCc1ccccc1",
                {"add": "hydroxyl"},
                "OCCc1ccccc1",
                {"add": "hydroxyl", "source": "CCc1ccccc1"},
            ),
            (
                "DelComponent",
                "mol_edit_delete",
                "OCCc1ccccc1",
                {"remove": "hydroxyl"},
                "CCc1ccccc1",
                {"remove": "hydroxyl", "source": "OCCc1ccccc1"},
            ),
            (
                "SubComponent",
                "mol_edit_substitute",
                "OCCc1ccccc1",
                {"remove": "hydroxyl", "add": "halo"},
                "ClCCc1ccccc1",
                {"remove": "hydroxyl", "add": "halo", "source": "OCCc1ccccc1"},
            ),
            *(
                (
                    name,
                    f"mol_opt_{name.lower()}",
                    "CCc1ccccc1",
                    {"property": name, "direction": direction},
                    "OCCc1ccccc1",
                    {"property": name, "direction": direction, "source": "CCc1ccccc1"},
                )
                for name, direction in (("LogP", "decrease"), ("MR", "increase"), ("QED", "increase"))
            ),
            (
                "AtomNum",
                "mol_custom_atoms",
                "",
                {"carbon": 2, "oxygen": 1},
                "CCO",
                {"atoms": {"carbon": 2, "oxygen": 1}},
            ),
            ("BondNum", "mol_custom_bonds", "", {"single": 2}, "CCO", {"bonds": {"single": 2}}),
            (
                "FunctionalGroup",
                "mol_custom_groups",
                "",
                {"benzene rings": 1, "hydroxyl": 1},
                "Oc1ccccc1",
                {"groups": {"benzene ring": 1, "hydroxyl": 1}},
            ),
        )
    ),
]


@pytest.mark.parametrize("name, text, expected", TABLES)
def test_tables(tmp_path, name, text, expected):
    loaded = load([write(tmp_path / name, text)])
    assert loaded.problems == []
    assert everything(loaded) == expected


def test_every_kind_of_table_is_tested():
    headers = {frozenset(name.lower() for name in next(csv.reader(io.StringIO(case.values[1])))) for case in TABLES}
    assert all(any(set(columns) <= header for header in headers) for columns in tables.TABLES)


@pytest.mark.parametrize(
    "name, text, reason",
    [
        pytest.param(
            "bbbp.csv",
            table(("smiles", "label"), ("CCO", "1"), ("CCN", "2")),
            "label '2' is neither 0 nor 1",
            id="label",
        ),
        pytest.param(
            "logd.csv",
            table(("smiles", "label"), ("CCO", "1")),
            "no task 'property_prediction/logd'",
            id="unknown-property",
        ),
        pytest.param("t.csv", table(TOMG, ("Sing", "Do it.", "CCO", "{}", "CC")), "Sing", id="unknown-subtask"),
        pytest.param("t.csv", table(TOMG, ("LogP", "Do it.", "CCO", "{", "CC")), "line 2", id="constraint-is-no-json"),
        pytest.param("t.csv", table(TOMG, ("LogP", "Do it.", "CCO", "[1]", "CC")), "line 2", id="constraint-is-a-list"),
        pytest.param("t.csv", table(TOMG, ("AtomNum", "Do it.", "CCO", "[1]", "CC")), "line 2", id="counts-are-a-list"),
        pytest.param("t.csv", table(TOMG, ("LogP", "Do it.")), "line 2", id="line-cut-short"),
        pytest.param(
            "r.csv", table(("product", "reactants", "reaction_class"), ("CC(=O)NC",)), "line 2", id="reactants-missing"
        ),
    ],
)
def test_a_bad_line_of_a_table_is_reported_with_file_and_line(tmp_path, name, text, reason):
    path, good = write(tmp_path / name, text), write(tmp_path / "zz.jsonl", jsonl([RETRO]))
    try:
        problem = load([path, good]).problems[0]
    except DataError as error:  # no line of the file was usable
        problem = str(error)
    assert path in problem and reason in problem


# bad rows

BAD = [
    pytest.param("{", "line 2", id="no-json"),
    pytest.param("[1, 2]", "line 2", id="a-list"),
    pytest.param("3", "line 2", id="a-number"),
    pytest.param("null", "line 2", id="null"),
    pytest.param('"text"', "line 2", id="a-text"),
    pytest.param(json.dumps(RETRO | {"task": None}), "'task' is missing or empty", id="no-task"),
    pytest.param(json.dumps(RETRO | {"task": "retrosyntesis"}), "nearest: retrosynthesis", id="misspelt-task"),
    pytest.param(
        json.dumps({k: v for k, v in RETRO.items() if k != "input"}), "'input' is missing or empty", id="no-input"
    ),
    pytest.param(json.dumps(RETRO | {"input": "  "}), "'input' is missing or empty", id="blank-input"),
    pytest.param(json.dumps(RETRO | {"input": 3}), "'input' is missing or empty", id="input-is-a-number"),
    pytest.param(
        json.dumps(RETRO | {"split": "dev"}), "split 'dev' is none of train, validation, test", id="unknown-split"
    ),
    pytest.param(json.dumps(RETRO | {"split": 1}), "split 1", id="split-is-a-number"),
    pytest.param(json.dumps(RETRO | {"answer": ""}), "'answer' is empty", id="no-answer"),
    pytest.param(json.dumps(RETRO | {"answer": "CC(=O)O and CN"}), "inner_whitespace", id="answer-is-no-molecule"),
    pytest.param(json.dumps(RETRO | {"answer": 12}), "line 2", id="answer-is-a-number"),
    pytest.param(json.dumps(BBBP | {"answer": 1, "split": "train"}), "line 2", id="label-is-a-number"),
    pytest.param(json.dumps(BBBP | {"answer": True, "split": "train"}), "line 2", id="label-is-a-truth-value"),
    pytest.param(json.dumps(BBBP | {"answer": "perhaps"}), "not_a_choice", id="label-is-no-choice"),
    pytest.param(json.dumps(RETRO | {"meta": [1]}), "'meta' is not a JSON object", id="meta-is-a-list"),
    pytest.param(json.dumps(RETRO | {"meta": "[1]"}), "'meta' is not a JSON object", id="meta-is-text-of-a-list"),
    pytest.param(json.dumps(RETRO | {"meta": "{"}), "line 2", id="meta-is-broken-text"),
    pytest.param(json.dumps(EDIT | {"answer": "CCCc1ccccc1"}), "wrong_count", id="edit-that-is-none"),
    pytest.param(json.dumps(EDIT | {"answer": "CCc1ccccc1"}), "unchanged", id="edit-that-changes-nothing"),
    pytest.param(json.dumps(EDIT | {"meta": {"source": "CCc1ccccc1", "add": "sugar"}}), "sugar", id="unknown-group"),
    pytest.param(
        json.dumps(OPT | {"answer": "NCC(O)c1ccccc1"}),
        "does not pass its own task: not_improved",
        id="optimisation-the-wrong-way",
    ),
    pytest.param(json.dumps(OPT | {"meta": {}}), "line 2", id="optimisation-without-meta"),
    pytest.param(json.dumps(OPT | {"answer": "not a molecule"}), "line 2", id="optimisation-to-no-molecule"),
    pytest.param(json.dumps(OPT | {"answer": "OCCc1ccccc1"}), "line 2", id="optimisation-that-changes-nothing"),
    pytest.param(
        json.dumps(
            {
                "task": "open_generation/mol_custom_atoms",
                "input": "Two carbons.",
                "answer": "CC",
                "meta": {"atoms": ["carbon"]},
            }
        ),
        "line 2",
        id="counts-are-a-list",
    ),
    pytest.param(
        json.dumps(row("open_generation/mol_custom_atoms", "Two carbons.", "", "test")),
        "line 2",
        id="verified-row-without-what-to-verify",
    ),
]


@pytest.mark.parametrize("line, reason", BAD)
def test_a_bad_row_is_reported_with_file_and_line_and_the_others_are_kept(tmp_path, line, reason):
    path = write(tmp_path / "rows.jsonl", jsonl([FORWARD]) + line + "\n" + jsonl([BBBP]))
    loaded = load([path])
    assert everything(loaded) == [FORWARD, BBBP]
    assert len(loaded.problems) == 1
    assert loaded.problems[0].startswith(f"{path}, line 2: ") and reason in loaded.problems[0]
    assert loaded.summary() == "0 train, 1 validation, 1 test rows of 2 tasks; 1 left out"


def test_strict_stops_at_the_first_bad_row(tmp_path):
    path = write(tmp_path / "rows.jsonl", jsonl([FORWARD, RETRO | {"split": "dev"}, BBBP]))
    with pytest.raises(DataError, match="line 2: split 'dev'.*strict"):
        load([path], strict=True)


def test_strict_takes_good_rows(tmp_path):
    assert len(everything(load([write(tmp_path / "rows.jsonl", jsonl(ROWS))], strict=True))) == len(ROWS)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(EDIT | {"answer": "", "split": "test"}, id="edit"),
        pytest.param(OPT | {"answer": "", "split": "validation"}, id="optimisation"),
        pytest.param(OPT | {"answer": None, "split": "test"}, id="null"),
    ],
)
def test_a_verified_row_needs_no_answer_outside_training(row):
    assert check_row(row) == row | {"answer": ""}


def test_check_row_leaves_its_argument_alone():
    row = {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN"}
    check_row(row)
    assert row == {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN"}


# bad files


GZ = gzip.compress(jsonl(ROWS * 50).encode())
DAMAGED = GZ[:10] + b"\xff" * 50  # a good header without a valid block
FILES = [
    pytest.param("rows.jsonl", b"", "no usable row", id="empty-jsonl"),
    pytest.param("rows.csv", b"", "columns none are not known", id="empty-csv"),
    pytest.param("rows.csv", b"task,input,answer\n", "no usable row", id="csv-without-lines"),
    pytest.param(
        "rows.csv", b"name,formula\nethanol,C2H6O\n", "columns formula, name are not known", id="unknown-columns"
    ),
    pytest.param("rows.jsonl", b"{}\n{}\n", "the first problem", id="all-rows-bad"),
    pytest.param("rows.jsonl", b"\xff\xfe{}\n", "cannot be read", id="not-utf-8"),
    pytest.param("rows.jsonl.gz", b"plain text\n", "cannot be read", id="not-gzip"),
    pytest.param("rows.jsonl.gz", b"", "rows.jsonl.gz", id="empty-gzip"),
    pytest.param("rows.jsonl.gz", GZ[: len(GZ) // 2], "cannot be read", id="gzip-cut-off"),
    pytest.param("rows.jsonl.gz", DAMAGED, "cannot be read", id="gzip-damaged"),
    pytest.param("rows.csv.gz", DAMAGED, "cannot be read", id="csv-gzip-damaged"),
    pytest.param("rows.parquet", b"CCO\n", "not one of .jsonl, .csv", id="other-suffix"),
    pytest.param("rows.json", b"[]", "not one of .jsonl, .csv", id="json-is-not-jsonl"),
]


@pytest.mark.parametrize("name, raw, reason", FILES)
def test_a_bad_file_is_named(tmp_path, name, raw, reason):
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(DataError) as error:
        load([str(path)])
    assert str(path) in str(error.value) and reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_csv_field_beyond_the_readers_limit(tmp_path):
    """The csv module alone stops at 131,072 characters with an error that does not name the file."""
    path = write(tmp_path / "rows.csv", table(("task", "input", "answer"), ("retrosynthesis", "C" * 200_000, "CC.")))
    with pytest.raises(DataError) as error:  # the answer is bad, so that no row is usable
        load([path])
    assert path in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="none.jsonl: no such file"):
        load([str(tmp_path / "none.jsonl")])


def test_a_folder_without_files_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("CCO")
    with pytest.raises(DataError, match=r"no \.jsonl, \.csv"):
        load([str(tmp_path)])


def test_one_bad_file_in_a_folder_is_named(tmp_path):
    write(tmp_path / "a.jsonl", jsonl(ROWS))
    write(tmp_path / "b.csv", "x,y\n1,2\n")
    with pytest.raises(DataError, match="b.csv"):
        load([str(tmp_path)])


# tasks


def test_only_selected_tasks_are_kept(tmp_path):
    loaded = load([write(tmp_path / "rows.jsonl", jsonl(ROWS))], tasks=["retrosynthesis", "property_prediction/bbbp"])
    assert everything(loaded) == [RETRO, BBBP] and loaded.problems == []


def test_no_row_of_the_selected_tasks_is_an_error(tmp_path):
    path = write(tmp_path / "rows.jsonl", jsonl(ROWS))
    with pytest.raises(DataError, match="rows.jsonl: no row of the tasks property_prediction/hiv"):
        load([path], tasks=["property_prediction/hiv"])


# repeated and leaking rows


def test_a_question_of_a_later_split_leaves_the_earlier_ones(tmp_path):
    train = [
        RETRO | {"input": "CNC(C)=O"},  # the molecule of the test row, spelt differently
        RETRO | {"input": "CC(=O)NCC", "answer": "CC(=O)O.CCN"},
    ]
    validation = [RETRO | {"split": "validation", "input": "CC(=O)N[CH3:1]"}]
    loaded = load([write(tmp_path / "rows.jsonl", jsonl([*train, *validation, RETRO | {"split": "test"}]))])
    assert everything(loaded) == [train[1], RETRO | {"split": "test"}]
    assert loaded.removed == {f"{split} rows with a molecule of a later split": 1 for split in ("train", "validation")}


def test_repeated_rows_are_dropped_once(tmp_path):
    loaded = load([write(tmp_path / "rows.jsonl", jsonl([RETRO, RETRO, RETRO | {"input": "CNC(=O)C"}, EDIT, EDIT]))])
    assert everything(loaded) == [RETRO, EDIT]
    assert loaded.removed == {"repeated train rows": 3}


CAPTION = {"task": "molecule_captioning", "answer": "The molecule is ethanol.", "split": "test", "meta": {}}
NAME = {"task": "name_prediction/iupac_to_smiles", "input": "ethanol", "split": "train", "meta": {}}


@pytest.mark.parametrize(
    "train, test",
    [
        pytest.param(NAME | {"answer": "OCC"}, CAPTION | {"input": "CCO"}, id="a-caption's-molecule-as-a-name"),
        pytest.param(
            NAME | {"answer": "C[C@H](N)O"}, CAPTION | {"input": "CC(N)O"}, id="with-its-stereochemistry-drawn"
        ),
        pytest.param(
            BBBP | {"split": "train"},
            BBBP | {"task": "property_prediction/hiv", "split": "test"},
            id="under-another-property",
        ),
        pytest.param(
            row("reaction_prediction", "CN.CC(=O)O", "CNC(C)=O"),
            RETRO | {"split": "test"},
            id="a-product-in-the-other-direction",
        ),
    ],
)
def test_a_molecule_of_a_test_row_trains_under_no_task(tmp_path, train, test):
    loaded = load([write(tmp_path / "rows.jsonl", jsonl([train, test]))])
    assert everything(loaded) == [test]
    assert loaded.removed == {"train rows with a molecule of a later split": 1}


def test_two_tasks_of_one_split_may_share_a_molecule(tmp_path):
    rows = [BBBP | {"split": "train"}, BBBP | {"split": "train", "task": "property_prediction/hiv"}]
    loaded = load([write(tmp_path / "rows.jsonl", jsonl(rows))])
    assert everything(loaded) == rows and not loaded.removed


def test_stereoisomers_are_different_questions(tmp_path):
    rows = [BBBP | {"input": text, "split": "train"} for text in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O")]
    assert everything(load([write(tmp_path / "rows.jsonl", jsonl(rows))])) == rows


# fingerprint and the embedded rows


def test_different_rows_have_different_fingerprints(tmp_path):
    first = load([write(tmp_path / "first.jsonl", jsonl(ROWS))])
    same = load([write(tmp_path / "same.csv.gz", row_table(ROWS))])
    changed = load([write(tmp_path / "changed.jsonl", jsonl([*ROWS[:-1], OPT | {"answer": "Cc1ccccc1"}]))])
    assert first.fingerprint == same.fingerprint != changed.fingerprint
    assert len(first.fingerprint) == 16


def test_the_embedded_rows_load():
    loaded = load(["nano"], tasks=["property_prediction/rule_alert", "open_generation/mol_edit_add"])
    assert all(len(loaded.rows[split]) >= 30 for split in SPLITS)
    assert not any(str(NANO_ROWS) in problem for problem in loaded.problems)  # no row is bad


# samples


def many(task, n):
    return [row(task, f"{task} {i}", "", "test") for i in range(n)]


POOL = [
    *many("retrosynthesis", 100),
    *many("property_prediction/bbbp", 50),
    *many("property_prediction/hiv", 50),
    *many("property_prediction/bace", 3),
    *many("open_generation/mol_edit_add", 50),
]


def test_a_sample_is_the_same_on_every_call():
    assert sample(POOL, 12) == sample(list(POOL), 12)
    assert sample(POOL, 12, seed=1) != sample(POOL, 12)


def test_a_sample_does_not_depend_on_the_other_tasks():
    alone = [row for row in POOL if row["task"] == "retrosynthesis"]
    assert sample(alone, 12) == [row for row in sample(POOL, 12) if row["task"] == "retrosynthesis"]


def test_a_sample_is_spread_over_sub_tasks():
    counts = Counter(row["task"] for row in sample(POOL, 12))
    assert counts["retrosynthesis"] == counts["open_generation/mol_edit_add"] == 12
    assert counts["property_prediction/bbbp"] == counts["property_prediction/hiv"] == 4
    assert counts["property_prediction/bace"] == 3  # all rows of this task


def test_a_sample_repeats_no_row():
    inputs = [row["input"] for row in sample(POOL, 40)]
    assert len(inputs) == len(set(inputs))


@pytest.mark.parametrize("per_macro", [1, 2, 10, 12, 100])
def test_a_sample_keeps_to_the_limit_per_macro_task(per_macro):
    counts = Counter(get_task(row["task"]).macro for row in sample(POOL, per_macro))
    assert max(counts.values()) <= per_macro


def test_a_large_sample_is_everything():
    assert sorted(map(json.dumps, sample(POOL, 1000))) == sorted(map(json.dumps, POOL))


# a split by scaffold


def test_no_scaffold_is_in_two_splits(tmp_path):
    rings = (
        "c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccsc1", "c1ccoc1", "C1CCNCC1", "C1CCOCC1", "c1ccc2ccccc2c1", "C1CCCC1",
        "c1cnccn1",
    )  # fmt: skip
    rows = [
        BBBP | {"input": "C" * n + ring, "split": "test"}
        for rank, ring in enumerate(rings)
        for n in range(1, 21 - 2 * rank)
    ]
    retro_row = RETRO | {"split": "validation"}
    loaded = load([write(tmp_path / "rows.jsonl", jsonl([*rows, retro_row]))], scaffold=True)
    scaffolds = {
        split: {MurckoScaffoldSmiles(row["input"]) for row in loaded.rows[split] if row["task"] == BBBP["task"]}
        for split in SPLITS
    }
    assert all(scaffolds.values()) and sum(map(len, scaffolds.values())) == len(rings)
    sizes = [sum(row["task"] == BBBP["task"] for row in loaded.rows[split]) for split in SPLITS]
    assert sizes[0] > 0.6 * sum(sizes) and sizes[2] > 0.05 * sum(sizes)
    assert retro_row in loaded.rows["validation"]
