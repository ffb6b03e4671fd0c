"""Two processes that share a run reach the same groups, weights and files as a single one."""

import json
import shutil
import socket
import subprocess
import sys
import time

import pytest
import torch

from chemr_lite.mixing import Mixture
from tests.starter import ROOT, environment

CONFIG = ROOT / "recipes/configs/accelerate/two_machines.yaml"
STEP = """
import json, sys
from pathlib import Path
from accelerate import PartialState
from tests.test_distributed import one_step
state = PartialState(cpu=True)
scaled, learnt = one_step(state.process_index, state.num_processes)
result = Path(sys.argv[1], f"{state.process_index}.json")
result.with_suffix(".partial").write_text(json.dumps([scaled, learnt]))
result.with_suffix(".partial").rename(result)
state.wait_for_everyone()
state.destroy_process_group()
"""


def one_step(rank: int, number: int) -> tuple[list[float], dict]:
    """Return scaled rewards and mixture state of one process in a step of three prompts with four completions each."""
    rows = [
        {"task": task, "input": f"{i}", "answer": "CCO", "meta": {}}
        for task in ("retrosynthesis", "reaction_prediction")
        for i in range(9)
    ]
    mixture = Mixture(rows, prompts_per_step=3)
    tasks = ["retrosynthesis"] * 8 + ["reaction_prediction"] * 4
    values = [0.0, 1.0, 0.0, 0.0, 0.2, 0.4, 0.9, 0.1, 1.0, 1.0, 1.0, 1.0]
    mine = slice(rank * len(tasks) // number, (rank + 1) * len(tasks) // number)  # cuts the second group in two
    reward = mixture.wrap(lambda completions, **_: list(completions))
    scaled = reward(prompts=tasks[mine], completions=values[mine], task=tasks[mine])
    return scaled, mixture.state


def launch(*command, timeout: int = 300) -> subprocess.CompletedProcess:
    whole = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *map(str, command)]
    return subprocess.run(
        whole,
        cwd=ROOT,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_each_learns_from_the_whole_step_and_keeps_its_part(tmp_path):
    (tmp_path / "step.py").write_text(STEP)
    done = launch(tmp_path / "step.py", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    alone, learnt = one_step(0, 1)
    (left, learnt_left), (right, learnt_right) = (
        json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)
    )
    assert left + right == pytest.approx(alone)
    assert learnt_left == learnt_right == json.loads(json.dumps(learnt))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="of two processes on CPUs")
def test_phase_3_by_two_processes(smoke, tmp_path):
    run = tmp_path / "run"
    for name in ("base", "foundation", "distill"):
        shutil.copytree(smoke / name, run / name)
    parts = ("--sft-micro-batch", 8, "--grpo-micro-batch", 8, "--validation-steps", 2)
    done = launch("recipes/grpo.py", "--preset", "smoke", "--output", run, *parts)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (
        done.stdout.count("2 processes share each step") == done.stdout.count("**balanced**") == 1
    )  # only the main process prints
    log = [json.loads(line) for line in (run / "grpo" / "log.jsonl").read_text().splitlines()]
    steps = [line for line in log if "reward/unscaled" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4] and sum("validation" in line for line in log) == 3
    ladder, alone = (json.loads((folder / "ladder.json").read_text())["rows"][-1] for folder in (run, smoke))
    assert ladder["n"] == alone["n"] and abs(ladder["balanced"] - alone["balanced"]) < 10


@pytest.mark.slow
def test_two_machines_by_the_documented_configuration(tmp_path):
    (tmp_path / "step.py").write_text(STEP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(CONFIG)]
    address = ["--main_process_ip", "127.0.0.1", "--main_process_port", str(port)]
    results, launches = [tmp_path / f"{rank}.json" for rank in range(2)], []
    with open(tmp_path / "stderr", "w+") as stderr:
        for rank in range(2):
            command = [*launcher, *address, "--machine_rank", str(rank), str(tmp_path / "step.py"), str(tmp_path)]
            variables = environment(PYTHONPATH=str(ROOT))
            launches.append(subprocess.Popen(command, cwd=ROOT, env=variables, stderr=stderr))
        try:
            # not until the launchers end: theirs is an exit barrier of torch, which now and then waits for minutes
            deadline = time.time() + 120
            while not all(result.exists() for result in results):
                failed = [launch.poll() for launch in launches if launch.poll()]
                assert not failed and time.time() < deadline, (tmp_path / "stderr").read_text()[-3000:]
                time.sleep(0.1)
        finally:
            for launch in launches:
                launch.terminate()  # ends its child too
                launch.wait(timeout=60)
    scaled = [json.loads(result.read_text())[0] for result in results]
    assert scaled[0] + scaled[1] == pytest.approx(one_step(0, 1)[0])
