"""The comparison with released evaluators varies answers enough and leaves no difference unexplained in silence."""

from pathlib import Path

import pytest

from chemr_lite import data
from chemr_lite.answers import render
from chemr_lite.scoring.judge import judge
from recipes.studies.evaluators import COMPARISONS, EMPTY, SETS, compare, describe, our_figures, unexplained
from recipes.studies.evaluators_answers import vary


@pytest.fixture(scope="module")
def rows():
    return data.load(["nano"]).rows["test"]


def judged(rows, task, number=200):
    rows = [row for row in rows if row["task"] == task][:number]
    return [judge(row, render(None, answer)) for row, answer in zip(rows, vary(rows), strict=True)]


@pytest.mark.parametrize("task", sorted({task for _, task, _, _ in COMPARISONS}))
def test_answers_are_right_and_wrong_in_many_ways(rows, task):
    if not any(row["task"] == task for row in rows):
        pytest.skip("nano has no such rows")
    lines = judged(rows, task)
    assert 0 < sum(line["correct"] for line in lines) < len(lines)
    assert len({line["reason"] for line in lines}) > 1
    assert any(not line["answer"] for line in lines)
    assert [line["answer"] for line in lines] == [line["answer"] for line in judged(rows, task)]


def exact(checkout: Path, task: str, answers, golds) -> dict:
    """An evaluator that counts empty answers as right."""
    return {"exact": 100 * sum(a in ("", g) for a, g in zip(answers, golds, strict=True)) / len(answers)}


def test_a_difference_needs_a_reason(rows):
    lines = [line for line in judged(rows, "retrosynthesis", 200) if line["answer"] in ("", line["gold"])]
    empty = sum(not line["answer"] for line in lines)
    assert empty
    plain, wrong_reason, reason = (
        compare("ours", Path(), exact, {"exact": ("accuracy", design)}, lines)[0] for design in (None, SETS, EMPTY)
    )
    assert unexplained(plain) == pytest.approx(100 * empty / len(lines))
    assert unexplained(wrong_reason) > 1
    assert unexplained(reason) == 0 and reason["alike"] == len(lines) - empty
    assert "they count an empty answer" in describe([plain, reason])


def test_a_figure_that_cannot_be_had_is_no_agreement(rows):
    lines = judged(rows, "molecule_captioning", 8)
    found = {"figure": "METEOR", "theirs": 50.0, "ours": None}
    assert unexplained(found) == float("inf")
    assert our_figures(lines).keys() >= {"bleu_2", "rougeL", "meteor", "accuracy"}
