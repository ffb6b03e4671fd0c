"""kill -9 at twenty random moments of a run: `python -m pytest -m slow`."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recipes import runs
from tests.conftest import environment

ROOT = Path(__file__).resolve().parents[1]
KILLS = 20
# One process imports everything and forks each start of the run from itself: torch alone takes longer than what is tested.
STARTS = """
import os, signal, sys, time
import trl, peft, bitsandbytes, datasets, rdkit.Chem
from chemr_lite import tasks
from recipes import grpo, ladder, options, sft

def start():
    os.dup2(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    ladder.climb(*options.parse("", ["--preset", "smoke", "--save-steps", "2", "--output", sys.argv[1]]), "grpo")

for line in sys.stdin:
    child = os.fork()
    if not child:
        start()
        os._exit(0)
    until = time.time() + float(line)
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.time() < until:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(ended[1]), flush=True)
"""


def saved(run: Path) -> str | None:
    """The newest whole checkpoint of the phase under way."""
    whole = [path.parent for path in run.glob("*.partial/checkpoint-*/complete")]
    return str(max(whole, key=runs.step_of)) if whole else None


def finished(run: Path) -> dict[str, bytes]:
    """run.json of every phase that looks finished; each of them is whole."""
    found = {}
    for name in ("foundation", "distill", "grpo"):
        if (folder := run / name).exists():
            assert (folder / "adapter_model.safetensors").exists() and json.loads((folder / "metrics.json").read_text())["n"] == 72
            assert not list(folder.glob("checkpoint-*"))
            found[name] = (folder / "run.json").read_bytes()
    return found


@pytest.mark.slow
def test_twenty_kills_lose_no_more_than_the_steps_since_the_last_checkpoint(smoke, tmp_path):
    moments, said = random.Random(20), tmp_path / "said.txt"
    starts = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(tmp_path / "run"), str(said)], cwd=ROOT, env=environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip

    def start(seconds: float) -> int:
        starts.stdin.write(f"{seconds}\n")
        starts.stdin.flush()
        return int(starts.stdout.readline())

    run, killed, resumed = tmp_path / "run", 0, 0
    status, checkpoint, whole = -9, None, {}
    while status == -9:
        # a start takes some seconds to come to where the last was killed; from there on every moment is as likely
        status = start(moments.uniform(2, 14) if killed < KILLS else 600)
        killed += status == -9
        before, whole_before, checkpoint, whole = checkpoint, whole, saved(run), finished(run)
        went_on = re.search("resuming from (.*)", said.read_text())
        if before and went_on:
            resumed += 1
            assert went_on[1] == before
        elif before:
            assert (checkpoint, whole) == (before, whole_before), "it trained, and not from the last checkpoint"
        assert {name: whole[name] for name in whole_before} == whole_before, "a finished phase was trained anew"
    starts.stdin.close()
    assert status == 0 and starts.wait() == 0
    assert killed == KILLS and resumed > 5
    for name in ("base", "foundation", "distill", "grpo"):
        ours, theirs = (json.loads((folder / name / "metrics.json").read_text()) for folder in (run, smoke))
        assert ours == theirs
    steps = [json.loads(line)["step"] for line in (run / "grpo" / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps) and set(steps) == {1, 2, 3, 4}
