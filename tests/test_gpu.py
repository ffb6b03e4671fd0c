"""The GPU measurements on tiny shapes on a CPU: the same code, so that it runs when a GPU is there."""

import json
import shutil

import pytest

from recipes.studies import gpu
from tests.conftest import recipe


@pytest.mark.slow
def test_the_dry_run_measures_every_part_and_goes_on_where_it_was(smoke, tmp_path):
    shutil.copytree(smoke, tmp_path / "work" / "nano-hf")  # the ladder exists: only what is missing is run
    command = ("gpu", "--dry-run", "--output", tmp_path, "--work", tmp_path / "work")
    done = recipe("studies/bench", *command)
    assert done.returncode == 0, done.stderr[-2000:]
    [path] = tmp_path.glob("gpu-*.json")
    results = json.loads(path.read_text())
    assert set(results["nano"]["hf"]) == {"base", "foundation", "distill", "grpo"}
    assert len(results["steps"]) == 3
    for name, step in results["steps"].items():
        assert step["figures"].get("seconds", 0) > 0, (name, step["figures"])
        assert len(step["figures"]["steps"]) == step["spec"]["steps"] and step["figures"]["micro_batch"] == 2
    [shares] = [step["figures"]["shares"] for step in results["steps"].values() if step["spec"]["profile"]]
    assert abs(sum(shares.values()) - 100) < 0.1 and min(shares.values()) >= 0
    text = path.with_suffix(".md").read_text()
    assert "| tiny | grpo | 96 + 24 | – | bare TRL |" in text and "rewards and mixing" in text and "→ grpo" in text

    again = recipe("studies/bench", *command)
    assert again.returncode == 0 and json.loads(path.read_text()) == results


def test_a_failure_is_written_down_with_its_error_not_its_progress_bar(tmp_path):
    figures = gpu.run_step({}, tmp_path / "log.txt")
    assert figures["error"].startswith("exit status 1: KeyError")


def test_the_plan_for_a_gpu_has_every_shape_way_and_card(tmp_path):
    planned = gpu.specs(tmp_path, dry=False)
    assert len({gpu.name_of(spec) for spec in planned}) == len(planned)
    for phase in ("foundation", "grpo"):
        capped = [s for s in planned if s["way"] == "ours" and s["phase"] == phase and s["cap"] == 14.6]
        assert {(s["shape"], s["prompt"] + s["completion"]) for s in capped} == {("8b", 1536), ("3b", 2048)}
        for shape in ("8b", "3b", "1.5b"):
            assert {s["way"] for s in planned if (s["shape"], s["phase"], s["cap"]) == (shape, phase, None)} == {
                "ours",
                "unsloth",
                "trl",
            }


def test_without_a_gpu_the_message_names_the_dry_run(tmp_path):
    done = recipe("studies/bench", "gpu", "--output", tmp_path)
    assert done.returncode == 2 and "--dry-run" in done.stderr
