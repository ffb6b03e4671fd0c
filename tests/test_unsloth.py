"""The recipes by Unsloth's own code, run on a CPU by unsloth_on_cpu.py: `python -m pytest -m slow`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

FEW = ("--preset", "smoke", "--train-rows", 10, "--eval-rows", 1, "--eval-batch-size", 24, "--save-steps", 1)
FEW = (*FEW, "--foundation-epochs", 0.6, "--distill-epochs", 0.6, "--max-completion-tokens", 24)


def by_unsloth(name: str, *arguments, status: int = 0) -> str:
    """Run a recipe and return what it prints."""
    command = [sys.executable, Path(__file__).with_name("unsloth_on_cpu.py"), name, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, env=environment, check=False)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def logged(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_three_phases(tmp_path):
    run = tmp_path / "run"
    grpo = ("--grpo-steps", 2, "--prompts-per-step", 2, "--grpo-micro-batch", 4, "--validation-steps", 1)
    printed = by_unsloth("grpo", *FEW, *grpo, "--output", run)
    # checks answer greedily between the steps; after them the model trains on as before
    modes = set(re.findall("modes: .*", printed))
    assert modes == {"modes: training True, checkpointing [True]"}
    for phase in ("foundation", "distill", "grpo"):
        assert any("validation" in line for line in logged(run / phase)), f"{phase}: no greedy check"
    # the KL is to phase 2, from which phase 3 starts
    steps = [line for line in logged(run / "grpo") if "kl" in line]
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-5) and steps[0]["replay_kl"] == pytest.approx(0, abs=1e-5)
    # each phase goes on from the adapter of the one before
    first, second, third = (
        load_file(run / phase / "adapter_model.safetensors") for phase in ("foundation", "distill", "grpo")
    )
    for before, after in ((first, second), (second, third)):
        moved = sum(torch.dist(before[name], after[name]) ** 2 for name in before)
        apart = sum(before[name].norm() ** 2 + after[name].norm() ** 2 for name in before)
        assert moved < 0.5 * apart  # two adapters that know nothing of each other are as far apart as their norms
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_resume_takes_the_same_steps(tmp_path):
    by_unsloth("foundation", *FEW, "--output", tmp_path / "whole")
    by_unsloth("foundation", *FEW, "--output", tmp_path / "run", "--max-hours", 1e-6, status=75)
    printed = by_unsloth("foundation", *FEW, "--output", tmp_path / "run")
    assert "resuming from" in printed and "checkpoint-1" in printed
    whole, resumed = (load_file(tmp_path / name / "foundation/adapter_model.safetensors") for name in ("whole", "run"))
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=1e-4)
