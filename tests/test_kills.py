"""Kill a run with SIGKILL at twenty random moments: `python -m pytest -m slow`."""

import json
import random
import re
import signal
import time
from pathlib import Path

import pytest

from recipes.training import run_directory
from tests.starter import start

KILLS = 20


def saved(run: Path) -> str | None:
    """Return the newest whole checkpoint of the phase under way."""
    whole = [path.parent for path in run.glob("*.partial/checkpoint-*/complete")]
    return str(max(whole, key=run_directory.step_of)) if whole else None


def finished(run: Path) -> dict[str, bytes]:
    """Return run.json of every phase that looks finished, after checking that the phase is whole."""
    run_files = {}
    for name in ("foundation", "distill", "grpo"):
        if (folder := run / name).exists():
            assert (folder / "adapter_model.safetensors").exists() and json.loads(
                (folder / "metrics.json").read_text()
            )["n"] == 36
            assert not list(folder.glob("checkpoint-*"))
            run_files[name] = (folder / "run.json").read_bytes()
    return run_files


@pytest.mark.slow
def test_twenty_kills_lose_no_more_than_the_steps_since_the_last_checkpoint(smoke, tmp_path):
    moments, killed, resumed = random.Random(20), 0, 0
    while killed < KILLS:  # on a quick machine a run may end before that: then start another
        run = tmp_path / f"run{killed}"
        status, checkpoint, whole = -9, None, {}
        while status == -9:
            # a start needs some seconds to get where the last was killed; after that every moment is equally likely
            process, until = (
                start("grpo", "--preset", "smoke", "--save-steps", 2, "--output", run),
                time.time() + moments.uniform(2, 10),
            )
            while process.poll() is None and (killed == KILLS or time.time() < until):
                time.sleep(0.01)
            if process.poll() is None:
                process.kill(signal.SIGKILL)
            status = process.wait()
            killed += status == -9
            before, whole_before, checkpoint, whole = checkpoint, whole, saved(run), finished(run)
            went_on = re.search("resuming from (.*)", process.stdout)
            if before and went_on:
                resumed += 1
                assert went_on[1] == before
            elif before:
                assert (checkpoint, whole) == (before, whole_before), "it trained, and not from the last checkpoint"
            assert {name: whole[name] for name in whole_before} == whole_before, "a finished phase was trained anew"
        assert status == 0, process.stderr[-2000:]
        for name in ("base", "foundation", "distill", "grpo"):
            ours, theirs = (json.loads((folder / name / "metrics.json").read_text()) for folder in (run, smoke))
            assert ours == theirs
        steps = [json.loads(line)["step"] for line in (run / "grpo" / "log.jsonl").read_text().splitlines()]
        assert steps == sorted(steps) and set(steps) == {1, 2, 3, 4}
    assert resumed > 5
