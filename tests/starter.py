"""Run recipes in their own processes, forked from one that has imported everything.

Importing torch and trl takes longer than most of what is tested.

    process = start("grpo", "--preset", "smoke")
    process.wait()          # → its exit status
    process.kill(signal.SIGKILL)
"""

import functools
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300  # seconds that a recipe may take


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a recipe's process: on CPU, and offline as the tests are (conftest.py)."""
    return os.environ | {"CUDA_VISIBLE_DEVICES": ""} | variables


class Started:
    """A running recipe. `stdout` and `stderr` are what it has written so far."""

    def __init__(self, pid: int, files: tuple[Path, Path]):
        self.pid, self.files, self.status = pid, files, None

    stdout = property(lambda self: self.files[0].read_text())
    stderr = property(lambda self: self.files[1].read_text())

    def poll(self) -> int | None:
        """Return the exit status (negative for a signal), or None while the recipe runs."""
        if self.status is None:
            self.status = _ask(wait=self.pid)
        return self.status

    def wait(self) -> int:
        """Return the exit status. After PATIENCE seconds, kill the recipe and raise TimeoutError."""
        deadline = time.time() + PATIENCE
        while self.poll() is None:
            if time.time() > deadline:
                self.kill(9)
                raise TimeoutError(f"still running after {PATIENCE} s\n{self.stderr[-2000:]}")
            time.sleep(0.02)
        return self.status

    def kill(self, signal_number: int) -> None:
        os.kill(self.pid, signal_number)


def start(name: str, *args) -> Started:
    """Start recipes/<name>.py with these arguments."""
    folder = Path(tempfile.mkdtemp(prefix=f"{Path(name).name}-", dir=_parent()[1].name))
    files = folder / "stdout", folder / "stderr"
    return Started(_ask(start=[name, *map(str, args)], files=list(map(str, files))), files)


@functools.cache
def _parent() -> tuple[subprocess.Popen, tempfile.TemporaryDirectory]:
    """Return the process that has imported everything, and the folder for the output of its children.

    It ends when its stdin is closed.
    """
    command = [sys.executable, "-m", "tests.starter"]
    # unbuffered, so that the output of a killed recipe can be read
    variables = environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")
    process = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, tempfile.TemporaryDirectory()


def _ask(**order):
    parent, _ = _parent()
    parent.stdin.write(json.dumps(order) + "\n")
    parent.stdin.flush()
    return json.loads(parent.stdout.readline())


def _become(name: str, args: list[str], files: list[str]) -> int:
    """Run a recipe in this process as `python recipes/<name>.py` would. Return its exit status."""
    for number, path in enumerate(files, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    path = ROOT / "recipes" / f"{name}.py"
    sys.argv = [str(path), *args]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _serve() -> None:
    """Read orders from stdin, one line of JSON each, and answer each with a line."""
    import bitsandbytes  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import trl

    from chemr_lite.model import cpu, load  # noqa: F401
    from recipes import evaluate, grpo  # noqa: F401
    from recipes.training import callbacks, evaluation_report, ladder, memory, replay_kl, sft  # noqa: F401

    _ = trl.GRPOTrainer, trl.SFTTrainer  # trl imports them on first use
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in orders:
        order = json.loads(line)
        if "start" in order:
            answer = os.fork()
            if not answer:
                name, *args = order["start"]
                status = _become(name, args, order["files"])
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        else:
            pid, status = os.waitpid(order["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
