"""Inputs as people report them in public threads: each is read as it is meant, or refused in one line."""

import json

import openpyxl
import pytest
from datasets import Dataset
from rdkit import Chem

from chemr_lite import check_claims, data, get_task, reward_functions
from chemr_lite.answers import parse_completion
from chemr_lite.data import files, sources
from chemr_lite.data.tables import split_of
from chemr_lite.errors import DataError, QuestionError
from chemr_lite.model.questions import EXAMPLES, read_question
from chemr_lite.scoring.judge import judge
from chemr_lite.smiles import parse_smiles, same_molecules
from chemr_lite.tasks.name_prediction import STEREO, normalise
from chemr_lite.tasks.open_generation import read_instruction
from recipes import evaluate
from recipes.training.options import UsageError
from recipes.training.traces import read_traces

BROKEN = "O=N([O-])C1=C(CN=C1NCCSCc2ncccc2)Cc3ccccc3"  # of BBBP: RDKit refuses it
RETRO = "product,reactants,reaction_class\nCC(=O)NC,CC(=O)O.CN,1\n"


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(path, **options) -> data.Loaded:
    return data.load([str(path)], **options)


def refusal(path) -> str:
    with pytest.raises(DataError) as raised:
        rows_of(path)
    return str(raised.value)


# splits that names speak of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("latest.csv", "train"), ("greatest_hits.csv", "train"), ("contest.csv", "train"), ("valence.csv", "train"),
        ("uspto_invalid_removed.csv", "train"), ("train_samples.csv", "train"), ("BBBP_test.csv", "test"),
        ("testset.csv", "test"), ("TestData.csv", "test"), ("test1.csv", "test"), ("reagent_sample.csv", "test"),
        ("dev.jsonl", "validation"), ("uspto-valid.txt", "validation"), ("validation.csv", "validation"),
    ],
)  # fmt: skip
def test_a_word_of_the_file_name_is_its_split(tmp_path, name, split):
    assert split_of(tmp_path / name) == split


def test_a_folder_inside_the_source_is_a_split_and_one_outside_is_not(tmp_path):
    for split in ("train", "test"):
        put(tmp_path / "test/set" / split / "data.csv", RETRO.replace("CC(=O)", f"{'C' * len(split)}C(=O)"))
    loaded = rows_of(tmp_path / "test/set")  # the first `test` is a folder of the user's
    assert [len(loaded.rows[split]) for split in ("train", "validation", "test")] == [1, 0, 1]
    assert len(rows_of(tmp_path / "test/set/test/data.csv").rows["test"]) == 1


# tables


def test_a_quote_that_is_not_closed_costs_its_own_line(tmp_path):
    text = (
        'smiles,description\nCCO,"The molecule is ethanol\nCCN,The molecule is an amine\nCO,"It is ""wood"" spirit"\n'
    )
    loaded = rows_of(put(tmp_path / "captions.csv", text))
    assert {row["answer"] for row in loaded.rows["train"]} >= {"CCN", "CO", 'It is "wood" spirit'}
    assert len(loaded.rows["train"]) == 4 and "line 2: a quote" in loaded.problems[0] and len(loaded.problems) == 1


def test_a_comma_too_many_in_a_line(tmp_path):
    text = "smiles,iupac,formula\nOc1ccc([N+](=O)[O-])cc1[N+](=O)[O-],2,4-dinitrophenol,C6H4N2O5\nCCO,ethanol,C2H6O\n"
    loaded = rows_of(put(tmp_path / "names.csv", text))
    assert len(loaded.rows["train"]) == 4 and "line 2: 4 fields, but 3 columns" in loaded.problems[0]


@pytest.mark.parametrize("text", ["smiles,label\rCCO,1\rCCN,0\r", "SMILES, Label \r\nCCO,1\r\nCCN,0\r\n"])
def test_line_ends_and_headers_of_other_programs(tmp_path, text):
    assert len(rows_of(put(tmp_path / "bbbp.csv", text)).rows["train"]) == 2
    assert len(rows_of(put(tmp_path / "utf16/bbbp.csv", text.encode("utf-16"))).rows["train"]) == 2


def test_our_own_columns_in_capital_letters(tmp_path):
    table = put(tmp_path / "rows.csv", "Task,Input,Answer\nretrosynthesis,CC(=O)NC,CC(=O)O.CN\n")
    lines = put(tmp_path / "rows.jsonl", '{"Task": "retrosynthesis", "Input ": "CC(=O)NC", "ANSWER": "CC(=O)O.CN"}\n')
    assert rows_of(table).rows["train"] == rows_of(lines).rows["train"] != []


def test_a_sheet_with_short_rows_and_a_file_that_is_no_sheet(tmp_path):
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in (["smiles", "label", "note"], ["CCO", 1, "x"], ["CCN", 0], [None, None], ["CCC", 0]):
        sheet.append(row)
    book.save(tmp_path / "bbbp.xlsx")
    assert len(rows_of(tmp_path / "bbbp.xlsx").rows["train"]) == 3
    assert "no_sheet.xlsx: cannot be read" in refusal(put(tmp_path / "no_sheet.xlsx", "smiles,label\n"))


def test_files_of_different_length(tmp_path):
    put(tmp_path / "train_targets", "C C ( = O ) O . C N\n")
    message = refusal(put(tmp_path / "train_sources", "<RX_1> C C ( = O ) N C\n" * 2))
    assert "train_targets ends after line 1" in message


@pytest.mark.parametrize("measured", ["NaN", "", "inf", "-3"])
def test_a_yield_that_is_no_number(tmp_path, measured):
    reaction = "Brc1ccccc1.OB(O)c1ccccc1>>c1ccc(-c2ccccc2)cc1"
    assert "no yield" in refusal(put(tmp_path / "suzuki.csv", f"rxn,yield_pct\n{reaction},{measured}\n"))


@pytest.mark.parametrize(
    ("name", "reaction", "screen"),
    [
        ("buchwald_hartwig.csv", "Brc1ccccc1.Cc1ccc(N)cc1>>Cc1ccc(Nc2ccccc2)cc1", "buchwald_hartwig"),
        ("mine.csv", "Brc1ccccc1.Cc1ccc(N)cc1>>Cc1ccc(Nc2ccccc2)cc1", "buchwald_hartwig"),
        ("mine.csv", "Brc1ccccc1.OB(O)c1ccccc1>>c1ccc(-c2ccccc2)cc1", "suzuki"),
        ("mine.csv", "CC(=O)Cl.CO>>COC(C)=O", None),
    ],
)
def test_the_screen_of_a_reaction(tmp_path, name, reaction, screen):
    path = put(tmp_path / name, f"rxn,yield_pct\n{reaction},85\n")
    if screen:
        assert rows_of(path).rows["train"][0]["task"] == f"yield_prediction/{screen}"
    else:
        assert "no Suzuki and no Buchwald-Hartwig" in refusal(path)


def test_a_name_keeps_the_locants_of_fused_rings():
    kept = ("benzo(e)pyrene", "benz(e)acephenanthrylene")
    assert [STEREO.sub("", name) for name in kept] == list(kept)
    cut = {"(e)-but-2-ene": "but-2-ene", "(2r,3s)-x": "x", "3-[(1e)-prop]": "3-[prop]", "acid(2r)": "acid"}
    assert {name: STEREO.sub("", name) for name in cut} == cut


# rows


def test_rows_about_no_molecule_are_left_out(tmp_path):
    lines = [
        {"task": "property_prediction/bbbp", "input": BROKEN, "answer": "Yes"},
        {"task": "retrosynthesis", "input": "C(C", "answer": "CCO"},
        {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN"},
    ]
    loaded = rows_of(put(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, lines))))
    assert len(loaded.rows["train"]) == 1
    assert [problem.rsplit(": ", 1)[1] for problem in loaded.problems] == ["chemistry", "syntax"]
    table = put(tmp_path / "BBBP.csv", f"smiles,p_np\nCCO,1\n{BROKEN},1\nCc1ccccc1,0\n")
    assert sum(map(len, rows_of(table, scaffold=True).rows.values())) == 2


def test_null_is_no_value(tmp_path):
    rows = [
        {"task": "open_generation/mol_custom_atoms", "answer": "", "meta": {"atoms": atoms}}
        for atoms in ({"carbon": 2, "oxygen": 1}, {"carbon": 3, "nitrogen": 1})
    ]
    filled = Dataset.from_list(rows)  # gives each row the other's keys, with None
    said = [f"<think>r</think><answer>{answer}</answer>" for answer in ("CCO", "CCCN")]
    assert reward_functions()[0](completions=said, **{name: filled[name] for name in ("task", "answer", "meta")}) == [
        1,
        1,
    ]
    names = [("ethanol", "C2H6O", "train"), ("propane", "C3H8", "train"), ("butane", "C4H10", "test")]
    lines = [
        {"task": "name_prediction/iupac_to_formula", "input": n, "answer": f, "split": s, "meta": {"smiles": None}}
        for n, f, s in names
    ]
    loaded = rows_of(put(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, lines))))
    assert len(loaded.rows["train"]) == 2 and not loaded.removed


def test_labels_that_contradict_each_other_are_removed_and_counted(tmp_path):
    text = "smiles,label,split\nCCO,1,train\nOCC,0,train\nCCC,1,train\nCCN,1,test\nNCC,0,test\n"
    loaded = rows_of(put(tmp_path / "bbbp.csv", text))
    assert [row["input"] for row in loaded.rows["train"]] == ["CCC"] and not loaded.rows["test"]
    assert loaded.removed["test rows whose label another row contradicts"] == 2


def test_labels_in_small_letters(tmp_path):
    line = {"task": "property_prediction/bbbp", "input": "CCC", "answer": "yes"}
    assert rows_of(put(tmp_path / "rows.jsonl", json.dumps(line))).rows["train"][0]["answer"] == "Yes"


def test_a_comma_too_many_between_sources(tmp_path, monkeypatch):
    put(tmp_path / "mine.csv", RETRO)
    put(tmp_path / "other.csv", RETRO.replace("NC", "NCC"))
    monkeypatch.chdir(tmp_path)
    assert len(data.load(["mine.csv", "", " "]).rows["train"]) == 1
    with pytest.raises(DataError, match="no source of rows is named"):
        data.load([""])


def test_the_first_problem_is_the_first(tmp_path):
    lines = [{"task": "property_prediction/bbbp", "input": "CCC", "answer": "maybe"}, {"task": "nope", "input": "C"}]
    assert "line 1: the answer 'maybe'" in refusal(put(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, lines))))


@pytest.mark.parametrize("page", ["<!DOCTYPE html><html>Log in.</html>", "version https://git-lfs.github.com/spec/v1"])
def test_a_page_in_the_place_of_a_file(tmp_path, page):
    with pytest.raises(DataError, match="web page or a pointer.*delete it"):
        sources.check(put(tmp_path / "BACE.csv", page), sources.File("BACE.csv", "http://127.0.0.1/BACE.csv"))


# predictions and traces made elsewhere


def test_predictions_as_other_programs_write_them(tmp_path, capsys):
    rows = [{"task": "molecule_design", "input": f"Number {n}.", "answer": "CCO", "meta": {}} for n in range(5)]
    tagged = "<think>r</think><answer>CCO</answer>"
    said = [{"answer": None}, {"completion": None}, {"completion": tagged}, {"answer": "CCO"},
            {"completion": [{"role": "assistant", "thinking": "r", "content": "<answer>CCO</answer>"}]}]  # fmt: skip
    lines = [
        json.dumps({"task": row["task"], "input": row["input"]} | line) for row, line in zip(rows, said, strict=True)
    ]
    for encoding in ("utf-8", "utf-16"):
        path = put(tmp_path / "said.jsonl", "\n".join(lines).encode(encoding))
        judged = evaluate.read_predictions(path, rows)
        assert [line["score"] for line in judged] == [0, 0, 1, 1, 1] and "3 of 5 rows" in capsys.readouterr().out


def test_half_a_surrogate_pair_can_be_written_again(tmp_path):
    assert files.load_json('{"a": ["\\ud83d", "\\ud83d\\ude00"]}') == {"a": ["?", "😀"]}
    rows = [{"task": "molecule_design", "input": "x", "answer": "CCO", "meta": {}}]
    line = '{"task": "molecule_design", "input": "x", "completion": "<think>\\ud83d</think><answer>CCO</answer>"}'
    assert evaluate.read_predictions(put(tmp_path / "said.jsonl", line), rows)[0]["completion"].encode()


def test_traces_that_are_messages(tmp_path):
    line = {"task": "retrosynthesis", "input": "CC(=O)NC"}
    message = {"role": "assistant", "content": "<think>a</think><answer>b</answer>"}
    path = put(tmp_path / "traces.jsonl", json.dumps(line | {"completion": [message]}))
    assert read_traces(path) == {("retrosynthesis", "CC(=O)NC"): [message["content"]]}
    for wrong in (5, {"text": "a"}, None, []):
        put(path, json.dumps(line | {"completion": wrong}))
        with pytest.raises(UsageError, match="line 1: not a trace"):
            read_traces(path)


# completions of other people's models


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_beside_the_content_is_put_back(name):
    said = [[{"role": "assistant", name: "The molecule is an alcohol.", "content": "<answer>CCO</answer>"}]]
    assert reward_functions()[0](completions=said, task=["molecule_design"], answer=["CCO"], meta=["{}"]) == [1.0]


@pytest.mark.parametrize(
    "text",
    [
        "<think>r</think>\n<answer>CCO", "<think>r</think>\n<answer>CCO<|eot_id|>", "r</think> CCO</s>",
        "<think>r</think><answer>`CCO`</answer>", "<think>r</think><answer>\n```smiles\nCCO\n```\n</answer>",
        "<think>r</think><answer>**`CCO`**</answer>", "<think>r</think>\n\\boxed{CCO}", "**Answer:** CCO",
        "The final answer is \\boxed{\\text{CCO}}.", "<think>r</think>\n$\\text{CCO}$", "<think>r <answer>CCO</answer>",
    ],
)  # fmt: skip
def test_what_stands_around_an_answer_comes_off_in_the_loose_reading(text):
    row = {"task": "molecule_design", "input": "x", "answer": "CCO", "meta": {}}
    line = judge(row, text, strict=False)
    assert (line["answer"], line["score"]) == ("CCO", 1.0)
    if "`" in text or "</answer>" not in text:
        assert judge(row, text)["score"] == 0  # rewards stay strict


def test_reasoning_that_was_cut_is_no_answer():
    gold = "The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid."
    row = {"task": "molecule_captioning", "input": "CCOC(=O)c1ccc(Cl)cc1", "answer": gold, "meta": {}}
    line = judge(row, f"<think>{gold}", strict=False)
    assert (line["answer"], line["score"], line["reason"]) == ("", 0.0, "empty")


def test_a_polymer_keeps_its_asterisks():
    assert parse_completion("<answer>*CC*</answer>", strict=False).answer == "*CC*"


# answers


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("beta-D-glucopyranose", "β-D-glucopyranose"), ("β-D-glucopyranose", "beta-d-glucopyranose"),
     ("γ-butyrolactone", ".gamma.-butyrolactone"), ("2,4-dinitrophenol", "2, 4-dinitrophenol")],
)  # fmt: skip
def test_one_name_in_two_spellings(gold, answer):
    assert normalise(gold) == normalise(answer)
    row = {"task": "name_prediction/smiles_to_iupac", "input": "C", "answer": gold, "meta": {}}
    assert get_task(row["task"]).score(answer, row).correct


@pytest.mark.parametrize(
    "answer",
    ["C₉H₉ClO₂", "C9H9ClO2.", "C_9H_9ClO_2", "$\\mathrm{C_{9}H_{9}ClO_{2}}$", "C<sub>9</sub>H9ClO<sub>2</sub>"],
)
def test_a_formula_as_it_is_typeset(answer):
    row = {"task": "name_prediction/smiles_to_formula", "input": "C", "answer": "C9H9ClO2", "meta": {}}
    task = get_task(row["task"])
    assert task.score(answer, row).correct and not task.score(answer.replace("l", "l2", 1), row).correct


@pytest.mark.parametrize(
    ("text", "sub", "meta"),
    [
        ("Increase the LogP of the molecule OCCO.", "mol_opt_logp", {"direction": "increase"}),
        ("Please modify OCCO to raise its LogP value.", "mol_opt_logp", {"direction": "increase"}),
        ("Lower the logP of CCCCCCO.", "mol_opt_logp", {"direction": "decrease"}),
        ("Make CCCCO with a greater molar refractivity.", "mol_opt_mr", {"direction": "increase"}),
        ("Delete a hydroxyl from the molecule OCCO.", "mol_edit_delete", {"remove": "hydroxyl"}),
        ("Eliminate the hydroxyl of CCCCO.", "mol_edit_delete", {"remove": "hydroxyl"}),
        ("Attach a nitro to c1ccccc1.", "mol_edit_add", {"add": "nitro"}),
        (
            "Put a nitro instead of the hydroxyl into CCCCO.",
            "mol_edit_substitute",
            {"remove": "hydroxyl", "add": "nitro"},
        ),
        ("Swap the hydroxyl of CCCCO for a nitro.", "mol_edit_substitute", {"remove": "hydroxyl", "add": "nitro"}),
    ],
)
def test_an_instruction_is_not_read_as_its_opposite(text, sub, meta):
    read_sub, read = read_instruction(text)
    assert read_sub == sub and meta.items() <= read.items()


@pytest.mark.parametrize(
    "text", ["Change the LogP of CCCCO.", "Raise the QED of CCCCO, do not lower it.", "Modify the hydroxyl of CCCCO."]
)
def test_what_names_no_direction_is_no_question(text):
    with pytest.raises(QuestionError, match="neither|both"):
        read_question("open_generation", text)


def test_our_examples_can_be_answered():
    answers = {"CCCCCCC.": ["CCCCCCCO"], "OCCc1ccccc1.": ["CCc1ccccc1"], "atoms.": ["CCO"]}
    for sentence in EXAMPLES.split(": ", 1)[1].replace("Or: ", "").split(". "):
        row = read_question("open_generation", sentence.rstrip(".") + ".")
        (good,) = [good for end, good in answers.items() if row["input"].endswith(end)]
        assert all(get_task(row["task"]).score(answer, row).correct for answer in good)


# structures of which RDKit writes several canonical SMILES


@pytest.mark.parametrize(
    "smiles",
    [
        "N[C@]1(C(=O)O)[C@@H]2C[C@H]3C[C@@H](C2)C[C@H]1C3",
        "O=C(C[C@]1(c2ccc(-c3ccc(F)cc3)cc2)C2CC3CC1CC(C2)[C@@H]3O)N1CC(O)C1",
    ],
)
def test_a_molecule_equals_rdkits_own_writing_of_it(smiles):
    row = {"task": "molecule_design", "input": "x", "answer": f"{smiles}.CCO", "meta": {}}
    assert get_task("molecule_design").score(f"CCO.{Chem.CanonSmiles(smiles)}", row).correct


@pytest.mark.parametrize(
    ("smiles", "other"),
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
        ("C[C@H](N)C(=O)O", "CC(N)C(=O)O"),
        ("C[C@H](O)[C@H](O)C", "C[C@H](O)[C@@H](O)C"),
        ("C/C=C/C", "C/C=C\\C"),
        ("C/C(N)=N/CC", "C/C(N)=N\\CC"),  # standard InChI does not tell these amidines apart
        ("C[S@](=O)c1ccccc1", "C[S@@](=O)c1ccccc1"),
        ("C[C@H]1CC[C@@H](O)CC1", "C[C@H]1CC[C@H](O)CC1"),
        ("N[Pt@SP1](N)(Cl)Cl", "N[Pt@SP2](N)(Cl)Cl"),  # InChI takes metals apart
        ("O[C@H]1C[C@@H]2CC[C@H]1C2", "O[C@@H]1C[C@@H]2CC[C@H]1C2"),
    ],
)
def test_a_wrong_stereocentre_does_not_pass(smiles, other):
    parsed, wrong = parse_smiles(smiles), parse_smiles(other)
    assert parsed.ok and wrong.ok and parsed.key != wrong.key
    assert not same_molecules(parsed.fragments, wrong.fragments)


# claims


ASPIRIN, PEPTIDE = "CC(=O)Oc1ccccc1C(=O)O", "NCC(=O)" * 20 + "O"


@pytest.mark.parametrize(
    ("smiles", "text", "supported"),
    [
        (PEPTIDE, "The molecular weight is 1,159.05 g/mol.", [True]),
        (PEPTIDE, "Its mass is 1,159 daltons.", [True]),
        (PEPTIDE, "MW 1 159.05 g/mol", [True]),
        (PEPTIDE, "Its mass is 1,160 daltons.", [False]),
        (ASPIRIN, "MW 180,16 g/mol", [True]),
        (ASPIRIN, "The molecular weight is between 150 and 200 g/mol.", [True]),
        (ASPIRIN, "MW: 150–200 g/mol", [True]),
        (ASPIRIN, "MW: 150–170 g/mol", [False]),
        (ASPIRIN, "The weight lies between 0 and 1000 g/mol.", [None]),
        (ASPIRIN, "LogP is 1.3 and 1 ring is there.", [True, True]),
        (ASPIRIN, "It has 3 to 5 acceptors.", [True]),
        (ASPIRIN, "It has 4 to 5 acceptors.", [False]),
        (ASPIRIN, "It has two or three rotatable bonds.", [True]),
        (ASPIRIN, "It has between 0 and 9 rings.", [None]),
        (ASPIRIN, "The compound loses water (18 Da) on heating.", [None]),
        (ASPIRIN, "The fragment at 120 Da is due to loss of ketene (42 Da).", [None, None]),
        (ASPIRIN, "The fragment C7H5O2 is seen.", [None]),
        (ASPIRIN, "The formula is not C9H8O4.", [False]),
        ("OCC(O)C(O)C(O)C(O)C=O", "The empirical formula is CH2O.", [True]),
        ("OCC(O)C(O)C(O)C(O)C=O", "The empirical formula is C2H4O.", [False]),
        (ASPIRIN, "| ester | 1 |\n| amide | 0 |", [True, True]),
        (ASPIRIN, "| ketone | none |", [True]),
        (ASPIRIN, "| ester | none |", [False]),
        (ASPIRIN, "- amide: not found", [True]),
        (ASPIRIN, "amide (none)", [True]),
    ],
)
def test_figures_ranges_parts_and_tables_in_claims(smiles, text, supported):
    row = {"task": "molecule_captioning", "input": smiles, "answer": "x", "meta": {}}
    assert [claim.supported for claim in check_claims(text, row)] == supported
