"""Callbacks of training: greedy checks that keep the best adapter and end a collapse, and the time of a run."""

from types import SimpleNamespace

import pytest
import torch

from chemr_lite import data
from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_model
from recipes.training import callbacks
from recipes.training.options import Options


@pytest.fixture
def model():
    return load_model("nano", None, "hf", detect_hardware(), 128, 8, seed=0)


@pytest.fixture
def scored(monkeypatch):
    """The next scores of `evaluate`, in order."""
    scores = []
    figures = {"format": 99.0, "grounding": None, "macros": {"retrosynthesis": 1.0}}
    monkeypatch.setattr(callbacks, "evaluate", lambda *_, **__: figures | {"balanced": scores.pop(0)})
    return scores


def watch(tmp_path, model, scored, scores: list[float], steps: list[int], best: bool = True):
    """Run the callback over `steps`, changing the adapter before each.

    Return the callback, a weight of the adapter, its values by step, and the trainer's control.
    """
    scored += scores
    journal = callbacks.Journal(tmp_path, None)
    rows = SimpleNamespace(rows=data.load(["nano"]).rows)
    check = callbacks.GreedyCheck(
        Options(validation_steps=10), None, rows, journal, tmp_path / "best" if best else None
    )
    weight = next(p for name, p in model.named_parameters() if "lora_B" in name)
    control, weights = SimpleNamespace(should_training_stop=False), {}
    check.on_train_begin(None, SimpleNamespace(global_step=0), control, model=model)
    weights[0] = weight.detach().clone()
    for step in steps:
        weight.data += 1
        weights[step] = weight.detach().clone()
        check.on_step_end(None, SimpleNamespace(global_step=step, max_steps=steps[-1]), control, model=model)
    return check, weight, weights, control


def test_the_best_adapter_is_kept(tmp_path, model, scored, capsys):
    check, weight, weights, control = watch(tmp_path, model, scored, [50.0, 60.0, 58.0], [10, 15, 20])
    assert not scored and not control.should_training_stop  # at 0, 10 and 20
    check.keep_best(model)
    assert torch.equal(weight, weights[10]) and "the adapter of step 10 is kept" in capsys.readouterr().out
    assert (tmp_path / "best").exists()  # until the phase is whole: a kill may come while it is evaluated
    assert (tmp_path / "log.jsonl").read_text().count("validation/retrosynthesis") == 3


def test_the_last_adapter_stays_where_it_is_the_best(tmp_path, model, scored, capsys):
    check, weight, weights, _ = watch(tmp_path, model, scored, [50.0, 60.0, 61.0], [10, 17])
    check.keep_best(model)  # the last step is checked too, whatever its number
    assert torch.equal(weight, weights[17]) and "step 17 is kept (61.0" in capsys.readouterr().out


def test_a_collapse_ends_training_with_phase_two(tmp_path, model, scored, capsys):
    check, weight, weights, control = watch(tmp_path, model, scored, [50.0, 39.0], [10])
    assert (
        control.should_training_stop and "39.0 on validation rows, 50.0 at step 0: stopped" in capsys.readouterr().out
    )
    check.keep_best(model)
    assert torch.equal(weight, weights[0])


def test_supervised_phases_only_look(tmp_path, model, scored, monkeypatch):
    monkeypatch.setattr(callbacks, "CHECKING", 1e9)
    check, weight, weights, control = watch(tmp_path, model, scored, [50.0, 20.0], [10, 20], best=False)
    check.keep_best(model)
    assert torch.equal(weight, weights[20]) and not control.should_training_stop and not scored


def test_checks_that_decide_nothing_may_not_take_long(tmp_path, model, scored, monkeypatch):
    monkeypatch.setattr(callbacks, "CHECKING", 0.0)
    watch(tmp_path, model, scored, [50.0, 60.0, 70.0], [10, 20, 30], best=False)
    assert scored == [60.0, 70.0]  # how long one takes is only known after the first
    watch(tmp_path, model, scored, [55.0], [10, 20], best=True)
    assert scored == []  # in phase 3 they choose the adapter


def test_the_time_of_all_starts_counts_as_far_as_it_stands(tmp_path, monkeypatch):
    clock, args = [100.0], SimpleNamespace(output_dir=str(tmp_path))
    monkeypatch.setattr(callbacks.time, "time", lambda: clock[0])
    first = callbacks.Journal(tmp_path, None)
    first.on_train_begin(args, None, None)
    for step in (1, 2, 3):
        clock[0] += 10
        first.write(step, {"loss": 1.0})
        if step == 2:
            (tmp_path / "checkpoint-2").mkdir()
            first.on_save(args, SimpleNamespace(global_step=2), None)
    again = callbacks.Journal(tmp_path, tmp_path / "checkpoint-2")  # step 3 was lost
    assert again.seconds() == 20 and len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    clock[0] += 500  # of loading
    again.on_train_begin(args, None, None)
    clock[0] += 10
    assert again.seconds() == 30
