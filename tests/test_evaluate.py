"""Evaluation: answers of a model, predictions made elsewhere, baselines, and the comparison of two runs."""

import json
import sys

import pytest

from chemr_lite import build_prompt, data, get_task, render
from chemr_lite.data.splits import sample
from chemr_lite.model.folders import base_path
from chemr_lite.model.generation import answer_prompts, probability_of_yes
from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_base, load_tokenizer
from chemr_lite.scoring import baselines
from recipes import evaluate
from recipes.training import evaluation
from recipes.training.evaluation_report import write_report
from recipes.training.options import Options, UsageError

TASKS = ["retrosynthesis", "property_prediction/rule_alert"]


@pytest.fixture(scope="module")
def rows():
    return sample(data.load(["nano"], tasks=TASKS).rows["test"], 5)


@pytest.fixture(scope="module")
def nano():
    return load_base(base_path("nano"), detect_hardware()), load_tokenizer("nano")


def options(**changes):
    return Options(max_completion_tokens=24, eval_batch_size=2, temperature=1.0, **changes)


def run(monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, args)])
    evaluate.main()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_answers_come_in_the_order_of_the_rows(nano, rows):
    judged = evaluation.answer_rows(*nano, rows, options())
    assert [(line["task"], line["input"]) for line in judged] == [(row["task"], row["input"]) for row in rows]


@pytest.mark.parametrize("kept", [0, 3, 10])
def test_a_killed_evaluation_goes_on(nano, rows, tmp_path, kept):
    journal = tmp_path / "answered.jsonl"
    whole = evaluation.answer_rows(*nano, rows, options(), journal=journal)
    written = journal.read_text().splitlines(keepends=True)
    assert len(written) == len(rows) == 10
    first = [json.loads(text) | {"completion": "from before"} for text in written[:kept]]
    journal.write_text("".join(json.dumps(line) + "\n" for line in first) + '{"task": "retro')  # cut off while writing
    again = evaluation.answer_rows(*nano, rows, options(), journal=journal)
    assert sum(line["completion"] == "from before" for line in again) == kept
    assert [line["answer"] for line in again] == [line["answer"] for line in whole]
    assert len(lines(journal)) == 10


def test_a_killed_evaluation_of_a_phase_goes_on(nano, rows, tmp_path, monkeypatch):
    model, tokenizer = nano
    whole = evaluation.evaluate(model, tokenizer, rows, options(), 5, tmp_path / "whole.jsonl")
    asked, answer = [], evaluation.answer_prompts

    def at_most(model, tokenizer, prompts, *arguments):
        asked.extend(prompts)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return answer(model, tokenizer, prompts, *arguments)

    monkeypatch.setattr(evaluation, "answer_prompts", at_most)
    save = tmp_path / "predictions.jsonl"
    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate(model, tokenizer, rows, options(), 5, save)
    assert not save.exists() and len(evaluation.journal_of(save).read_text().splitlines()) == 4
    asked.clear()
    monkeypatch.setattr(evaluation, "answer_prompts", lambda *a: asked.extend(a[2]) or answer(*a))
    assert evaluation.evaluate(model, tokenizer, rows, options(), 5, save) == whole
    assert len(asked) == len(rows) - 4 and save.read_text() == (tmp_path / "whole.jsonl").read_text()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["predictions.jsonl", "whole.jsonl"]


def test_samples_are_counted_by_pass_at_k(nano, rows, tmp_path):
    judged = evaluation.answer_rows(*nano, rows[:3], options(), samples=4)
    assert len(judged) == 12 and len({line["completion"] for line in judged}) > 3
    for line in judged[:1]:  # only the first of four samples of the first row is right
        line.update(correct=True, score=1.0)
    for line in judged[1:]:
        line.update(correct=False, score=0.0)
    figures = write_report(judged, tmp_path, "sampled")["tasks"]["retrosynthesis"]["details"]
    assert (figures["pass@1"], figures["pass@2"], figures["pass@4"]) == (8.33, 16.67, 33.33)


def test_the_probability_of_yes_is_that_of_the_next_token(nano):
    model, tokenizer = nano
    row = {"task": "property_prediction/rule_alert", "input": "CC=O", "answer": "Yes", "meta": {}}
    prompts = [build_prompt(get_task(row["task"]).question(row | {"input": text})) for text in ("CC=O", "CCCO", "C")]
    completions = [render("1. **Counts:** none", "No"), render(None, "Yes"), "no tags"]
    together = probability_of_yes(model, tokenizer, prompts, completions, 8)
    alone = [probability_of_yes(model, tokenizer, [p], [c], 8)[0] for p, c in zip(prompts, completions, strict=True)]
    assert together[2] is None and together[:2] == pytest.approx(alone[:2], abs=1e-4)
    text = (
        tokenizer.apply_chat_template(prompts[:1], add_generation_prompt=True, tokenize=False)[0]
        + completions[0].split("No<")[0]
    )
    logits = model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits[0, -1]
    yes, no = (tokenizer(word)["input_ids"][0] for word in ("Yes", "No"))
    assert together[0] == pytest.approx(logits[[yes, no]].softmax(-1)[0].item(), abs=1e-4)


def test_greedy_answers_are_the_same_twice_and_samples_are_not(nano):
    prompts = [build_prompt(get_task("retrosynthesis").question({"input": "CC(=O)NCc1ccccc1"}))] * 6
    assert len(set(answer_prompts(*nano, prompts, 3, 24))) == 1
    assert len(set(answer_prompts(*nano, prompts, 3, 24, temperature=1.5))) > 1


# predictions made elsewhere


def test_predictions_made_elsewhere_are_scored(monkeypatch, tmp_path, rows, capsys):
    predictions = [{"task": row["task"], "input": row["input"], "answer": row["answer"]} for row in rows]
    predictions[0] = {k: v for k, v in predictions[0].items() if k != "answer"} | {"completion": "outside the tags"}
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in predictions[:-1]))
    run(monkeypatch, path, "--tasks", ",".join(TASKS), "--eval-rows", 5, "--output", tmp_path / "out")
    assert "9 of 10 rows are answered" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {task: figures["score"] for task, figures in metrics["tasks"].items()} == dict.fromkeys(TASKS, 80.0)
    assert "**mine**: balanced 80.0" in (tmp_path / "out" / "metrics.md").read_text()


@pytest.mark.parametrize(
    "text, words",
    [
        ("nonsense", "line 1: not JSON"),
        ('{"task": "retrosynthesis", "input": "C"}', "line 1: not a prediction"),
        ('{"task": "retrosynthesis", "input": "C", "answer": "C"}', "none of its 1 predictions belongs to a test row"),
    ],
)
def test_a_bad_file_of_predictions_is_refused(monkeypatch, tmp_path, text, words):
    (tmp_path / "mine.jsonl").write_text(text)
    with pytest.raises(UsageError, match=words):
        run(monkeypatch, tmp_path / "mine.jsonl", "--tasks", "retrosynthesis", "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# comparison


def test_two_runs_are_compared(monkeypatch, tmp_path, rows, capsys):
    for name, right in (("before", 4), ("after", 10)):
        predictions = [
            {"task": r["task"], "input": r["input"], "answer": r["answer"] if i < right else "?"}
            for i, r in enumerate(rows)
        ]
        write_report(evaluate.read_predictions(write(tmp_path / "a.jsonl", predictions), rows), tmp_path / name, name)
    capsys.readouterr()
    run(monkeypatch, "--compare", tmp_path / "before", tmp_path / "after")
    assert "| balanced | +60.0 |" in capsys.readouterr().out


def write(path, predictions):
    path.write_text("".join(json.dumps(line) + "\n" for line in predictions))
    return path


def test_what_was_not_evaluated_cannot_be_compared(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match=f"evaluate {tmp_path / 'a'} first"):
        run(monkeypatch, "--compare", tmp_path / "a", tmp_path / "b")


# baselines


def property_row(smiles, label, split="train"):
    return {"task": "property_prediction/bbbp", "input": smiles, "answer": label, "split": split, "meta": {}}


TRAIN = [property_row("C" * n, "Yes") for n in range(2, 9)] + [
    property_row("O" + "C" * n + "O", "No") for n in range(2, 8)
]
TRAIN += [
    {"task": "molecule_design", "input": f"The molecule is {name}.", "answer": s, "meta": {}}
    for name, s in (("ethanol", "CCO"), ("urea", "NC(N)=O"))
]
TEST = [
    property_row("C" * 12, "Yes"),
    property_row("OCCCCCCCCCO", "No"),
    TRAIN[-2] | {"input": "The molecule is an ethanol."},
]


@pytest.mark.parametrize(
    "name, correct", [("majority", [1, 0, 1]), ("copy", [0, 0, 0]), ("neighbour", [1, 1, 1]), ("forest", [1, 1, 0])]
)
def test_baselines(name, correct):
    judged = baselines.BASELINES[name](TRAIN, TEST)
    assert [line["correct"] for line in judged] == [bool(c) for c in correct]


def test_a_task_without_training_rows_is_not_answered():
    for name in ("majority", "neighbour", "forest"):
        assert not baselines.BASELINES[name](TRAIN[-2:], TEST)[0]["format"]
