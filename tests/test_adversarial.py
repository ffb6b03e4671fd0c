"""No cheat earns more than an honest wrong answer under any task, and the examples themselves are sound."""

import subprocess
import sys

import pytest

from chemr_lite import list_tasks, render
from chemr_lite.rewards import score_completion
from chemr_lite.tasks import get_task
from recipes.studies.adversarial import CHEATS, EXAMPLES, HONEST, kind_of, try_cheat
from tests.starter import ROOT


def pays_by_degrees(row):
    """Return whether the task also pays wrong answers, by how near they come."""
    return kind_of(row) == "caption" or get_task(row["task"]).gold(row) is None


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_earns_no_more_than_an_honest_wrong_answer(cheat):
    results = try_cheat(cheat)
    assert results
    for row, value, reason, completion in results:
        assert value <= (HONEST if pays_by_degrees(row) else 0), (row["task"], completion)
        assert reason != "correct", (row["task"], completion)


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: row["task"])
def test_the_honest_answer_is_paid(row):
    score = score_completion(render("Let us think.", row["answer"]), row)
    assert score.correct and score.value > HONEST
    assert score.value == 1 or pays_by_degrees(row)


def test_every_task_is_tried_by_many():
    assert len(CHEATS) >= 60
    assert {row["task"] for row in EXAMPLES} == set(list_tasks())
    for row in EXAMPLES:
        assert sum(kind_of(row) in kinds for kinds, _ in CHEATS.values()) >= 30, row["task"]


def test_the_table_is_printed():
    done = subprocess.run(
        [sys.executable, ROOT / "recipes" / "studies" / "adversarial.py"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert len(done.stdout.splitlines()) == len(CHEATS) + 4
    assert "| a bare carbon | 13 | 0.00 | lone_atom | yes |" in done.stdout
    assert not done.stderr.strip()
