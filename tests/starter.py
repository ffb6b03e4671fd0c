"""Recipes in processes of their own, forked off one that has imported everything: torch and trl alone take longer to import
than most of what is tested takes to run.

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
    """That of a process of its own: on CPU, and offline as the tests themselves are (conftest.py)."""
    return os.environ | {"CUDA_VISIBLE_DEVICES": ""} | variables


class Started:
    """A recipe under way. `stdout` and `stderr` are what it has written so far."""

    def __init__(self, pid: int, files: tuple[Path, Path]):
        self.pid, self.files, self.status = pid, files, None

    stdout = property(lambda self: self.files[0].read_text())
    stderr = property(lambda self: self.files[1].read_text())

    def poll(self) -> int | None:
        """The exit status, minus the signal where one ended it; None while it runs."""
        if self.status is None:
            self.status = _ask(wait=self.pid)
        return self.status

    def wait(self) -> int:
        """The exit status. Raises TimeoutError after PATIENCE, and then it is killed."""
        until = time.time() + PATIENCE
        while self.poll() is None:
            if time.time() > until:
                self.kill(9)
                raise TimeoutError(f"still running after {PATIENCE} s\n{self.stderr[-2000:]}")
            time.sleep(0.02)
        return self.status

    def kill(self, how: int) -> None:
        os.kill(self.pid, how)


def start(name: str, *args) -> Started:
    """recipes/<name>.py with these arguments."""
    folder = Path(tempfile.mkdtemp(prefix=f"{Path(name).name}-", dir=_parent()[1].name))
    files = folder / "stdout", folder / "stderr"
    return Started(_ask(start=[name, *map(str, args)], files=list(map(str, files))), files)


@functools.cache
def _parent() -> tuple[subprocess.Popen, tempfile.TemporaryDirectory]:
    """The process that has imported everything, and where the output of its children goes; it ends when its stdin does."""
    command = [sys.executable, "-m", "tests.starter"]
    whole = environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")  # what it said before it was killed is read
    process = subprocess.Popen(command, cwd=ROOT, env=whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, tempfile.TemporaryDirectory()


def _ask(**asked):
    parent, _ = _parent()
    parent.stdin.write(json.dumps(asked) + "\n")
    parent.stdin.flush()
    return json.loads(parent.stdout.readline())


def _become(name: str, args: list[str], files: list[str]) -> int:
    """Run a recipe in this process as `python recipes/<name>.py` would; its exit status."""
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
    """Read orders from stdin, a line of JSON each, and answer each with a line."""
    import bitsandbytes  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import trl

    from recipes import grpo  # noqa: F401
    from recipes.training import callbacks, ladder  # noqa: F401

    _ = trl.GRPOTrainer, trl.SFTTrainer  # imported only when asked for
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in orders:
        asked = json.loads(line)
        if "start" in asked:
            answer = os.fork()
            if not answer:
                name, *args = asked["start"]
                status = _become(name, args, asked["files"])
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        else:
            pid, status = os.waitpid(asked["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
