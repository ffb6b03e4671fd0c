"""Run recipes in their own processes, forked from one that has imported everything.

Importing torch and trl takes longer than most of what is tested. All test processes share that one. It listens on a
Unix socket, and ends when the tests end.

    process = start("grpo", "--preset", "smoke")
    process.wait()          # → its exit status
    process.kill(signal.SIGKILL)
"""

import functools
import importlib
import json
import logging
import os
import runpy
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300  # seconds that a recipe may take
# the process that runs the tests, and a word that no other run has; test processes that it starts inherit it
TESTS = os.environ.setdefault("CHEMR_TESTS", f"{os.getpid()}-{uuid.uuid4().hex[:8]}")


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
    """Start recipes/<name>.py, or the script <name>.py anywhere, with these arguments."""
    folder = Path(tempfile.mkdtemp(prefix=f"{Path(name).name}-", dir=_starter().parent))
    files = folder / "stdout", folder / "stderr"
    return Started(_ask(start=[name, *map(str, args)], files=list(map(str, files))), files)


def changed_by_importing() -> list:
    """Return what importing all modules of the project has changed: levels of loggers, variables, streams."""
    return _ask(changed=True)


@functools.cache
def _starter() -> Path:
    """Return the socket of the process that has imported everything, which the first caller starts."""
    folder = Path(tempfile.gettempdir()) / f"chemr-tests-{TESTS}"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "socket").exists():
            # unbuffered, so that the output of a killed recipe can be read
            variables = environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1")
            command = [sys.executable, "-m", "tests.starter", str(folder)]
            process = subprocess.Popen(command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL)
            while not (folder / "socket").exists():
                assert process.poll() is None, "the starter has ended"
                time.sleep(0.05)
    return folder / "socket"


def _ask(**order):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(_starter()))
        connection.sendall(json.dumps(order).encode() + b"\n")
        return json.loads(connection.makefile().readline())


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


def _import_everything() -> list:
    """Import the packages, then the project. Return what the project changed: see `changed_by_importing`."""
    import accelerate  # noqa: F401
    import bitsandbytes  # noqa: F401
    import datasets  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import openai  # noqa: F401
    import peft  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.cluster  # noqa: F401
    import sklearn.feature_extraction.text  # noqa: F401
    import trl

    _ = trl.GRPOTrainer, trl.SFTTrainer  # trl imports them on first use

    def levels() -> dict[str, int]:
        loggers = logging.Logger.manager.loggerDict.items()
        return {name: logger.level for name, logger in loggers if hasattr(logger, "level")}

    before, variables, streams = levels(), set(os.environ.items()), (sys.stdout, sys.stderr)
    for path in (path for folder in ("chemr_lite", "recipes") for path in (ROOT / folder).rglob("*.py")):
        if path.name != "template.py":  # it registers a task of its own
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            importlib.import_module(module)
    after = levels()
    changed = sorted(name for name, level in before.items() if after[name] != level)
    changed += sorted(name for name, _ in variables ^ set(os.environ.items()))
    return changed if streams == (sys.stdout, sys.stderr) else [*changed, "streams"]


class _Order(socketserver.StreamRequestHandler):
    """One order, a line of JSON, and its answer, another line."""

    def handle(self):
        order = json.loads(self.rfile.readline())
        if "start" in order:
            answer = os.fork()
            if not answer:
                self.server.socket.close()
                self.connection.close()
                name, *args = order["start"]
                status = _become(name, args, order["files"])
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        elif "wait" in order:
            pid, status = os.waitpid(order["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = self.server.changed
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Server(socketserver.UnixStreamServer):
    request_queue_size = 32

    def service_actions(self):
        """End with the tests. Called twice a second."""
        try:
            os.kill(int(TESTS.split("-")[0]), 0)
        except ProcessLookupError:
            raise SystemExit from None


def _serve(folder: Path) -> None:
    """Answer orders until the tests end. The socket gets its name when everything is imported."""
    changed = _import_everything()
    with _Server(str(folder / "socket.new"), _Order) as server:
        server.changed = changed
        (folder / "socket.new").rename(folder / "socket")
        try:
            server.serve_forever()
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
