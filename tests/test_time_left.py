"""The time left of a run, estimated from what it has measured."""

import pytest

from recipes.training.time_left import NOTHING, Generation, TimeLeft, Work

ANSWERS = Generation(batches=2, size=10, tokens=50, prompt=20)
WORKS = [
    Work("base", "", 0.0, NOTHING, (ANSWERS,)),
    Work("foundation", "", 1000.0, NOTHING, (ANSWERS,)),
    Work("distill", "", 3000.0, NOTHING, (ANSWERS,)),
    Work("grpo", "", 500.0, Generation(batches=4, size=10, tokens=50, prompt=20), (ANSWERS, ANSWERS)),
]


def test_later_phases_are_scaled_by_their_tokens_and_answers():
    time_left = TimeLeft(WORKS, "cpu")
    assert "not known yet" in str(time_left)
    time_left.answered("base", 100.0)  # 0.1 s a token
    time_left.phase("foundation", made=0.1, seconds=50.0, done=0.1)  # 500 s in all, 0.5 s a token
    evaluation, practice = 100.0, 200.0
    assert time_left.seconds == pytest.approx(450 + evaluation + 1500 + evaluation + 250 + practice + 2 * evaluation)
    assert str(time_left) == "all phases 0:46:40 left"
    time_left.phase("distill", made=0.5, seconds=600.0, done=0.75)  # slower than expected; resumed at a quarter
    assert time_left.seconds == pytest.approx(300 + 100 + 0.4 * 500 + 200 + 200)


def test_the_rehearsed_step_gives_the_first_estimate_of_phase_three():
    time_left = TimeLeft(WORKS[:1] + WORKS[3:], "cpu")
    time_left.answered("base", 100.0)
    time_left.phase("grpo", made=1 / 20, seconds=4.0, done=0.0)
    assert time_left.seconds == pytest.approx(80 + 100)  # greedy checks are part of the measured steps


def test_batches_count_on_a_gpu():
    time_left = TimeLeft(WORKS, "cuda")
    time_left.answered("base", 10.0)
    wide = Generation(batches=2, size=1000, tokens=50, prompt=20)
    time_left.works["distill"] = Work("distill", "", 0.0, NOTHING, (wide,))
    time_left.phase("distill", made=1.0, seconds=1.0, done=1.0)
    assert time_left.seconds == pytest.approx(10 + 20 + 20)


def test_without_works_only_the_phase_under_way_counts():
    time_left = TimeLeft()
    time_left.answered("base", 1.0)
    time_left.phase("grpo", made=0.5, seconds=30.0, done=0.5)
    assert time_left.seconds == 30.0
