"""The figures of a table from completions, compared with numbers worked out by hand."""

import math

import pytest

from chemr_lite.answers import render
from chemr_lite.reasons import Reason
from chemr_lite.scoring.judge import judge
from chemr_lite.scoring.metrics import percent, summarise

RETRO = {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN", "split": "test", "meta": {}}
BBBP = {"task": "property_prediction/bbbp", "input": "CCO", "answer": "Yes", "split": "test", "meta": {}}
HIV = {"task": "property_prediction/hiv", "input": "CCO", "answer": "No", "split": "test", "meta": {}}
OPT = {
    "task": "open_generation/mol_opt_logp",
    "input": "Increase the LogP of OCCc1ccccc1.",
    "answer": "",
    "split": "test",
    "meta": {"source": "OCCc1ccccc1", "property": "LogP", "direction": "increase"},
}

JUDGED = [
    pytest.param(RETRO, render("a", "CN.CC(=O)O"), (1.0, True, Reason.CORRECT, True, True, "CN.CC(=O)O"), id="right"),
    pytest.param(RETRO, render("a", "CN"), (0.0, False, Reason.FRAGMENTS, True, True, "CN"), id="wrong-and-valid"),
    pytest.param(
        RETRO, render("a", "C1CC"), (0.0, False, Reason.SYNTAX, True, False, "C1CC"), id="in-format-and-invalid"
    ),
    pytest.param(
        RETRO,
        render("a", "CCO of course"),
        (0.0, False, Reason.INNER_WHITESPACE, True, False, "CCO of course"),
        id="prose",
    ),
    pytest.param(
        RETRO, "CN.CC(=O)O", (0.0, False, Reason.MISSING_TAGS, False, False, None), id="right-outside-the-format"
    ),
    pytest.param(BBBP, render("a", "Yes"), (1.0, True, Reason.CORRECT, True, None, "Yes"), id="choice"),
    pytest.param(BBBP, "Yes", (0.0, False, Reason.MISSING_TAGS, False, None, None), id="choice-outside-the-format"),
    pytest.param(
        OPT, render("a", "CCc1ccccc1"), (18 / 31, True, Reason.CORRECT, True, True, "CCc1ccccc1"), id="partly-paid"
    ),
]


@pytest.mark.parametrize("row, completion, expected", JUDGED)
def test_judge(row, completion, expected):
    line = judge(row, completion)
    assert line["score"] == pytest.approx(expected[0])
    assert (line["correct"], line["reason"], line["format"], line["valid"], line["answer"]) == expected[1:]
    assert (line["task"], line["input"], line["gold"], line["completion"]) == (
        row["task"],
        row["input"],
        row["answer"],
        completion,
    )


def test_other_peoples_models_are_scored_outside_the_format_too():
    text = "<think>Hydrolysis.</think>\nThe reactants are <answer>CN.CC(=O)O</answer>, as said."
    assert not judge(RETRO, text)["correct"]
    loose = judge(RETRO, text, strict=False)
    assert loose["correct"] and loose["answer"] == "CN.CC(=O)O" and not loose["format"]


def test_claims_in_the_reasoning_are_counted():
    line = judge(RETRO, render("The product has an amide and a nitrile. It has an amide.", "CN.CC(=O)O"))
    assert (line["claims"], line["supported"]) == (2, 1)
    figures = summarise([line, judge(RETRO, render(None, "CN"))])
    assert figures["grounding"] == figures["tasks"]["retrosynthesis"]["grounding"] == 50.0
    assert summarise([judge(RETRO, render(None, "CN"))])["grounding"] is None


def lines():
    """Judge seven answers.

    Right are 1 of 4 for retrosynthesis, 1 of 1 for BBBP and 1 of 2 for HIV. One retrosynthesis answer is invalid, and
    one lacks its tags.
    """
    answers = [
        (RETRO, render("a", "CC(=O)O.CN")),
        (RETRO, render("a", "CN")),
        (RETRO, render("a", "C1CC")),
        (RETRO, "CC(=O)O.CN"),
        (BBBP, render(None, "Yes")),
        (HIV, render(None, "No")),
        (HIV, render(None, "Yes")),
    ]
    return [judge(row, completion) | {"input": f"row {number}"} for number, (row, completion) in enumerate(answers)]


def test_figures_of_a_table():
    figures = summarise(lines())
    assert {name: task["score"] for name, task in figures["tasks"].items()} == {
        "retrosynthesis": 25.0,
        "property_prediction/bbbp": 100.0,
        "property_prediction/hiv": 50.0,
    }
    assert figures["macros"] == {"retrosynthesis": 25.0, "property_prediction": 75.0}
    assert figures["balanced"] == 50.0  # and not 42.86, the mean over rows, nor 58.33, the mean over tasks
    assert figures["n"] == 7
    assert figures["tasks"]["retrosynthesis"] == {
        "metric": "exact match",
        "score": 25.0,
        "accuracy": 25.0,
        "n": 4,
        "validity": 50.0,
        "format": 75.0,
        "grounding": None,
        "length": round(sum(len(line["completion"]) for line in lines()[:4]) / 4, 1),
    }
    assert figures["tasks"]["property_prediction/hiv"]["validity"] is None  # Yes and No are no molecules
    assert figures["validity"] == 50.0  # of the four answers that should be molecules
    assert figures["format"] == percent([True] * 6 + [False]) == 85.71


def test_the_interval_is_that_of_a_weighted_sum_of_means():
    # variance of a mean = p (1 − p) / n; shares 1/2, 1/4, 1/4
    variance = (1 / 2) ** 2 * (0.25 * 0.75 / 4) + (1 / 4) ** 2 * 0 + (1 / 4) ** 2 * (0.5 * 0.5 / 2)
    assert summarise(lines())["interval"] == pytest.approx(100 * 1.96 * math.sqrt(variance), abs=0.005)


def test_the_interval_shrinks_with_the_square_root_of_the_rows():
    once = summarise(lines())
    often = summarise([line | {"input": f"{line['input']} of {block}"} for block in range(4) for line in lines()])
    assert often["interval"] == pytest.approx(once["interval"] / 2, abs=0.01)
    assert often["balanced"] == once["balanced"]


def test_more_samples_of_the_same_rows_make_it_no_narrower():
    once, sampled = summarise(lines()), summarise(lines() * 4)
    assert (sampled["interval"], sampled["balanced"]) == (once["interval"], once["balanced"])


def test_the_order_of_rows_does_not_matter():
    forward, backward = summarise(lines()), summarise(lines()[::-1])
    assert forward == backward


def test_score_is_the_mean_value_and_accuracy_the_share_of_correct_ones():
    figures = summarise([judge(OPT, render("a", "CCc1ccccc1")), judge(OPT, render("a", "CCCCCCCCCCCC"))])["tasks"][
        OPT["task"]
    ]
    assert figures["score"] == pytest.approx(100 * (18 / 31 + 1 / 29) / 2, abs=0.005)
    assert figures["accuracy"] == 50.0


def test_without_molecules_there_is_no_validity():
    assert summarise([judge(BBBP, render(None, "Yes"))])["validity"] is None


@pytest.mark.parametrize("values, expected", [([1, 0, 0], 33.33), ([True], 100.0), ([0.0], 0.0), ([2 / 3], 66.67)])
def test_percent(values, expected):
    assert percent(values) == expected
