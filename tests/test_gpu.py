"""The GPU measurements on tiny shapes on a CPU: the same code, so that it runs when a GPU is there."""

import json
import time

import pytest

from recipes.studies import gpu
from tests.conftest import recipe


@pytest.mark.slow
def test_the_dry_run_measures_every_part_and_goes_on_where_it_was(tmp_path):
    command = ("gpu", "--dry-run", "--output", tmp_path, "--work", tmp_path / "work")
    done = recipe("studies/bench", *command)
    assert done.returncode == 0, done.stderr[-2000:]
    [path] = tmp_path.glob("gpu-*.json")
    parts = json.loads(path.read_text())["parts"]
    assert set(parts) == {part.name for group in gpu.parts(tmp_path, dry=True) for part in group}
    assert not [name for name, found in parts.items() if "error" in found or "unfinished" in found], parts
    assert "trl" in parts["environment"]["versions"] and 0 < parts["environment"]["nf4_error"] < 0.2
    for name, found in parts.items():
        if "spec" in found:
            figures = found["figures"]
            assert figures["seconds"] > 0 and len(figures["steps"]) == 3 and figures["micro_batch"] == 2, name
    [shares] = [found["figures"]["shares"] for found in parts.values() if found.get("spec", {}).get("profile")]
    assert abs(sum(shares.values()) - 100) < 0.1 and min(shares.values()) >= 0
    assert set(parts["nano, smoke, hf"]["ladder"]) == {"base", "foundation", "distill", "grpo"}
    assert parts["nano, before practice"]["finished"] == ["foundation", "distill"]
    practice = parts["nano, practice"]
    assert practice["steps"] == 2 and len(practice["sampled accuracy"]) == 2 and len(practice["greedy validation"]) == 3
    text = path.with_suffix(".md").read_text()
    assert "| tiny | grpo | 96 + 24 | – | bare TRL |" in text and "rewards and mixing" in text and "→ grpo" in text

    again = recipe("studies/bench", *command)
    assert again.returncode == 0 and json.loads(path.read_text())["parts"] == parts


def test_a_failure_is_written_down_with_its_error_not_its_progress_bar(tmp_path):
    part = gpu.Part("steps", (gpu.STEP, "step", "{}", str(tmp_path / "r.json")), 100, tmp_path / "r.json")
    [found] = gpu.run([part], time.time() + 100)
    assert found["error"].startswith("exit status 1: KeyError")


def test_a_part_ends_at_its_limit(tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    parts = [gpu.Part(str(n), (str(slow),), 3, tmp_path / f"{n}.json") for n in range(2)]
    began = time.time()
    found = gpu.run(parts, began + 100)  # both at once
    assert time.time() - began < 20
    assert all(one["unfinished"].startswith("out of time after 3.") for one in found), found
    assert (tmp_path / "0.log").read_text() == "begun\n"


def test_the_plan_for_a_gpu_has_the_most_wanted_first(tmp_path):
    groups = gpu.parts(tmp_path, dry=False)
    assert [len(group) for group in groups] == [1, 2, *[1] * (len(groups) - 3), 2]
    planned = [part for group in groups for part in group]
    names = [part.name for part in planned]
    assert len(set(names)) == len(names)
    assert names[:4] == ["environment", "nano, smoke, unsloth", "nano, smoke, hf", "make 8b"]
    order = ["8b, grpo, ours, 1024 + 512, 14.6 GiB", "8b, grpo, unsloth, 1024 + 512", "8b, grpo, trl, 1024 + 512"]
    order += ["nano, before practice", "nano, practice", "make 3b", "nano, hf"]
    assert [name for name in names if name in order] == order
    for shape in ("8b", "3b"):
        first = next(i for i, part in enumerate(planned) if part.spec and part.spec["shape"] == shape)
        assert names.index(f"make {shape}") < first


def test_what_failed_comes_last_and_a_model_that_is_gone_is_made_anew(tmp_path, monkeypatch):
    results = {
        "environment": {"error": "exit status 1"},
        "nano, smoke, hf": {"took": 1},
        "make tiny": {"made_s": 1},
    }
    path = tmp_path / "gpu-cpu-dry-run.json"
    path.write_text(json.dumps({"device": "CPU, dry run", "parts": results}))
    started = []
    monkeypatch.setattr(gpu, "run", lambda group, until: [started.append(part.name) or {"took": 1} for part in group])
    gpu.measure_all(tmp_path, tmp_path / "work", 5, dry=True)
    assert started[0] == "make tiny" and started[-1] == "environment" and "nano, smoke, hf" not in started
    assert len(started) == len(set(started))


def test_without_a_gpu_the_message_names_the_dry_run(tmp_path):
    done = recipe("studies/bench", "gpu", "--output", tmp_path)
    assert done.returncode == 2 and "--dry-run" in done.stderr
