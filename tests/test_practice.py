"""Prompts that are made of the rows' own molecules: whose they are, that they can be answered, and that they are the same again."""

import pytest

from chemr_lite import data, get_task
from chemr_lite.mixing import Mixture
from chemr_lite.practice import more_prompts

ROWS = data.load(["nano"]).rows
ADD, LOGP = "open_generation/mol_edit_add", "open_generation/mol_opt_logp"


@pytest.fixture(scope="module")
def made():
    return more_prompts(ROWS["train"], 50)


def test_so_many_of_each_task_that_can_be_asked_of_any_molecule(made):
    tasks = [row["task"] for row in made]
    assert {task: tasks.count(task) for task in tasks} == dict.fromkeys(
        (ADD, *(f"open_generation/mol_opt_{p}" for p in ("logp", "mr", "qed"))), 50
    )


def test_the_wording_is_one_rows_and_the_molecule_anothers(made):
    known = {subject for row in ROWS["train"] for subject in get_task(row["task"]).subjects(row)}
    told = {row["task"]: set() for row in made}
    for row in ROWS["train"]:
        if row["task"] in told:
            told[row["task"]].add(row["input"].replace(row["meta"]["source"], "…"))
    for row in made:
        source = row["meta"]["source"]
        assert source in known and row["input"].replace(source, "…") in told[row["task"]]
        assert row["answer"] == "" and row["split"] == "train"
        asked = {key: value for key, value in row["meta"].items() if key != "source"}
        assert all(str(value).split()[0] in row["input"] for value in asked.values())


def test_nothing_is_asked_twice_nor_of_what_is_tested(made):
    questions = [row["input"] for row in made]
    assert len(set(questions)) == len(questions) and not set(questions) & {row["input"] for row in ROWS["train"]}
    held = {subject for split in ("validation", "test") for row in ROWS[split] for subject in get_task(row["task"]).subjects(row)}
    assert not {row["meta"]["source"] for row in made} & held


def test_an_answer_earns_without_a_gold(made):
    row = {"task": LOGP, "input": "Please increase the LogP value of the molecule OCCO.", "answer": "CCCO", "split": "train",
           "meta": {"source": "OCCO", "property": "LogP", "direction": "increase"}}  # fmt: skip
    [other] = more_prompts([row], 1)
    assert other["input"] == "Please increase the LogP value of the molecule CCCO."
    assert get_task(LOGP).score("CCCCO", other).correct and not get_task(LOGP).score("OCCO", other).value
    assert all(get_task(row["task"]).score("", row).value == 0 for row in made)
    assert Mixture([row, *more_prompts([row], 1)], 4).draw(0)["task"] == LOGP


def test_the_same_rows_and_seed_make_the_same_prompts(made):
    assert more_prompts(ROWS["train"], 50) == made != more_prompts(ROWS["train"], 50, seed=1)
    assert more_prompts(ROWS["train"], 0) == []


def test_all_there_are_where_more_is_asked_than_molecules_make():
    rows = [row for row in ROWS["train"] if row["task"] == ADD][:5]
    made = more_prompts(rows, 1000)
    assert 5 <= len(made) <= 10  # two molecules a row: one that is asked about, and its answer


@pytest.mark.parametrize("task", ["retrosynthesis", "open_generation/mol_edit_delete", "open_generation/mol_custom_atoms"])
def test_what_needs_a_gold_a_group_to_lose_or_no_molecule_is_not_asked_anew(task):
    assert more_prompts([row for row in ROWS["train"] if row["task"] == task], 10) == []


def test_a_source_that_is_also_part_of_the_wording_is_left_alone():
    row = {"task": LOGP, "input": "Please increase the LogP value of the molecule C.", "answer": "CC",
           "meta": {"source": "P", "property": "LogP", "direction": "increase"}}  # fmt: skip
    assert get_task(LOGP).of_molecule(row | {"meta": row["meta"] | {"source": "P"}}, "CCO") is None
    assert get_task(LOGP).of_molecule(row | {"meta": row["meta"] | {"source": "C"}}, "CCO")["input"].endswith("molecule CCO.")
