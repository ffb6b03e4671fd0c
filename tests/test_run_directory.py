"""One run directory, one set of options: a phase made otherwise is refused, the base is measured again."""

import json
import shutil
from dataclasses import replace

import pytest

from chemr_lite.model.hardware import detect_hardware
from recipes.training.options import Options, UsageError, deciding, make_parser, read_options
from recipes.training.pipeline import measure_base
from recipes.training.rows import load_rows
from recipes.training.run_directory import RungDirectory, recorded
from recipes.training.time_left import TimeLeft


@pytest.fixture
def options(tmp_path) -> Options:
    return read_options(make_parser(""), ["--preset", "smoke", "--output", str(tmp_path / "run")])[0]


@pytest.mark.parametrize(
    ("changed", "rungs"),
    [
        ({"eval_rows": 9}, ["base", "foundation", "distill", "grpo"]),
        ({"max_completion_tokens": 50}, ["base", "foundation", "distill", "grpo"]),
        ({"model": "other"}, ["base", "foundation", "distill", "grpo"]),
        ({"lora_r": 8}, ["foundation", "distill", "grpo"]),
        ({"distill_epochs": 3}, ["distill", "grpo"]),
        ({"traces": "traces.jsonl"}, ["distill", "grpo"]),
        ({"temperature": 0.5}, ["grpo"]),
        ({"grpo_micro_batch": 4, "eval_batch_size": 2, "max_hours": 1.0, "backend": "hf", "strict": True}, []),
    ],
    ids=lambda value: ",".join(value) or "none",
)
def test_an_option_decides_its_rung_and_those_above(options, changed, rungs):
    other = replace(options, **changed)
    assert [r for r in ("base", "foundation", "distill", "grpo") if deciding(options, r) != deciding(other, r)] == rungs


@pytest.mark.parametrize("changed", [{"eval_rows": 9}, {"max_completion_tokens": 50}])
def test_a_phase_that_was_measured_otherwise_is_refused(smoke, tmp_path, options, changed):
    run = tmp_path / "run"
    shutil.copytree(smoke / "foundation", run / "foundation")
    RungDirectory(options, "foundation").check()
    with pytest.raises(UsageError, match=f"made with other options .*{next(iter(changed))}"):
        RungDirectory(replace(options, **changed), "foundation").check()


def test_the_base_is_measured_again_where_it_was_measured_otherwise(smoke, tmp_path, options, capsys):
    base = tmp_path / "run" / "base"
    shutil.copytree(smoke / "base", base)
    rows, before = load_rows(options), (base / "metrics.json").read_bytes()
    measure_base(options, rows, detect_hardware(), TimeLeft())
    assert (base / "metrics.json").read_bytes() == before and "[base]" not in capsys.readouterr().out  # as it was
    fewer = replace(options, eval_rows=1)
    measure_base(fewer, rows, detect_hardware(), TimeLeft())
    assert json.loads((base / "metrics.json").read_text())["n"] == 9 and "[base] balanced" in capsys.readouterr().out
    assert json.loads((base / "run.json").read_text())["options"] == recorded(fewer, "base")
    assert not (tmp_path / "run" / "base.partial").exists()
