"""Warnings during phase 3, and the page about a run."""

import json
import random
import re
import shutil
from statistics import fmean

import pytest

from recipes.studies import report
from recipes.training.health import WINDOW, Health, find_problems
from recipes.training.options import UsageError

ONE = "commonest/open_generation/mol_edit_add"
SOUND = [
    {"loss": 0.001, "grad_norm": 0.1, "kl": 0.003, "format": 0.99, "accuracy/retrosynthesis": 0.5,
     "groups/without_signal": 0.4, ONE: 0.1, "commonest/yield_prediction/suzuki": 0.7,
     "reward/unscaled": 0.4 + 0.01 * (n % 3), "completions/clipped_ratio": 0.01}
    for n in range(3 * WINDOW)
]  # fmt: skip


def ending(**changes) -> list[dict]:
    """Return a sound log with changes in its last WINDOW steps."""
    return SOUND[:-WINDOW] + [
        line | {name.replace("__", "/"): value for name, value in changes.items()} for line in SOUND[-WINDOW:]
    ]


def test_a_sound_run_has_no_problems():
    assert find_problems([]) == {} and find_problems(SOUND) == {} and find_problems(SOUND[:1]) == {}


@pytest.mark.parametrize(
    ("log", "kind", "remedy"),
    [
        (ending(groups__without_signal=1.0), "signal", "--num-generations"),
        (ending(reward__unscaled=0.0), "constant", "predictions.jsonl"),
        (ending(completions__clipped_ratio=0.5), "cut", "--max-completion-tokens"),
        (ending(format=0.6), "format", "only 60 %"),
        (ending(kl=2.0), "kl", "--beta"),
        (ending(commonest__open_generation__mol_edit_add=0.7), ONE, "70 % of the latest questions"),
        (ending(accuracy__retrosynthesis=0.1), "accuracy/retrosynthesis", "retrosynthesis falls from 50 to 10 %"),
        (SOUND + [{"loss": float("nan")}], "nan", "--grpo-learning-rate"),
    ],
)
def test_each_problem_comes_with_its_remedy(log, kind, remedy):
    assert list(find_problems(log)) == [kind] and remedy in find_problems(log)[kind]


def practice_log(rng: random.Random, collapse: bool) -> list[dict]:
    """Return a log of 120 steps in which each of 24 tasks has a fixed accuracy.

    With `collapse`, that of one falls from 0.8 to 0 after 60 steps.

    As in a real run, some tasks are drawn once in a step and others twice, and a question is easy or hard.
    """
    difficulty = {f"accuracy/task{n}": rng.uniform(0.1, 0.9) for n in range(24)} | {"accuracy/task0": 0.8}
    log = []
    for step in range(120):
        line = {}
        for name in rng.sample(sorted(difficulty), 12):
            mean = 0.0 if collapse and name == "accuracy/task0" and step >= 60 else difficulty[name]
            groups = []
            for _ in range(rng.choice([1, 1, 2])):
                question = rng.betavariate(0.6 * mean + 1e-9, 0.6 * (1 - mean))
                groups.append(fmean(rng.random() < question for _ in range(8)))
            line[name] = fmean(groups)
        log.append(line)
    return log


def warnings_of(log: list[dict]) -> dict[str, int]:
    """Return the number of the step at which each kind of problem is first found."""
    first = {}
    for end in range(1, len(log) + 1):
        for kind in find_problems(log[:end]):
            first.setdefault(kind, end)
    return first


def test_the_noise_of_a_few_groups_is_no_fall():
    rng = random.Random(0)
    assert sum(bool(warnings_of(practice_log(rng, collapse=False))) for _ in range(20)) <= 1


def test_a_collapse_is_told_within_ten_looks_at_the_task():
    rng = random.Random(1)
    for _ in range(3):
        log = practice_log(rng, collapse=True)
        looks = [step for step, line in enumerate(log, 1) if "accuracy/task0" in line and step > 60]
        found = warnings_of(log).get("accuracy/task0")
        assert found and found <= looks[9], (found, looks)


def test_one_bad_step_is_no_problem():
    assert (
        find_problems(
            SOUND[:-1] + [SOUND[-1] | {"groups/without_signal": 1.0, "completions/clipped_ratio": 0.9, "kl": 2.0}]
        )
        == {}
    )


def test_a_problem_is_printed_once(capsys):
    health = Health()
    for step, line in enumerate(ending(kl=2.0) + ending(kl=2.0)[-5:], 1):
        health.on_log(None, type("State", (), {"global_step": step}), None, logs=line)
    assert capsys.readouterr().out.count("warning: the model runs away") == 1


def test_the_page_of_a_run(smoke, tmp_path):
    run = tmp_path / "a<b>"
    shutil.copytree(smoke, run)
    page = report.write(run).read_text()
    steps = [json.loads(line) for line in (run / "grpo/log.jsonl").read_text().splitlines()]
    assert f"{sum('reward/unscaled' in line for line in steps)} steps, finished" in page
    assert page.count('src="data:image/png;base64,') == 2 and "<script" not in page and "a<b>" not in page
    balanced = json.loads((run / "grpo/metrics.json").read_text())["balanced"]
    assert f"<td>{balanced:.1f} ± " in page and "**" not in page
    assert set(re.findall(r"https?://[^\s\"'<>]+", page)) == set()  # it asks nothing of the network
    shutil.rmtree(run / "grpo")
    with pytest.raises(UsageError):
        report.write(run)
