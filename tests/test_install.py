"""The install cell's script: what it keeps, what it installs, and what it refuses. pip itself is not run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.starter import ROOT

sys.path.insert(0, str(ROOT / "notebooks"))
import install  # noqa: E402


@pytest.fixture
def machine(monkeypatch):
    """Installed versions, what the question about the GPU answers, and the calls of pip with the files they name."""
    versions, gpu, calls, succeeds = {}, [""], [], [True]

    def pip(*arguments):
        files = [Path(argument).read_text() for argument in arguments if argument.endswith(".txt")]
        calls.append((arguments, files))
        return succeeds.pop(0) if len(succeeds) > 1 else succeeds[0]

    def run(*_, **__):
        return subprocess.CompletedProcess([], 0, stdout=gpu[0])

    monkeypatch.setattr(install, "installed", versions.get)
    monkeypatch.setattr(install, "pip", pip)
    monkeypatch.setattr(install.subprocess, "run", run)
    return versions, gpu, calls, succeeds


def test_without_torch_the_tested_versions_are_installed(machine):
    install.main()
    ((arguments, _),) = machine[2]
    assert arguments == ("-r", str(ROOT / "requirements.txt"))


def test_a_torch_that_is_there_stays(machine):
    versions, _, calls, _ = machine
    versions |= {"torch": "2.10.0+cu128", "torchvision": "0.25.0+cu128", "numpy": "2.1.3"}
    install.main()
    ((_, (needed, constraints)),) = calls
    assert "torch==2.10.0+cu128" in constraints and "numpy==2.1.3" in constraints and "torchao==0.16.0" in constraints
    assert "trl==" in needed and "torch==" not in needed and "torchvision" not in needed


def test_the_tested_versions_come_where_that_fails(machine, capsys):
    versions, _, calls, succeeds = machine
    versions |= {"torch": "2.11.0", "pillow": "99.0"}
    succeeds[:] = [False, False, True]
    install.main()
    assert "pillow==99.0" in calls[0][1][1] and "pillow" not in calls[1][1][1] and "torch==2.11.0" in calls[1][1][1]
    assert [arguments[:2] for arguments, _ in calls][2] == ("-r", str(ROOT / "requirements.txt"))
    assert "restart" in capsys.readouterr().out
    succeeds[:] = [False]
    with pytest.raises(SystemExit, match="Internet"):
        install.main()


def test_nothing_is_installed_where_nothing_is_missing(machine):
    versions, _, calls, _ = machine
    versions |= {name: line.split("==")[1] for name, line in install.pins().items()} | {"torch": "2.11.0"}
    install.main()
    assert not calls


def test_a_gpu_that_is_too_old_is_refused_in_one_line(machine):
    versions, gpu, calls, _ = machine
    versions["torch"] = "2.14.1"
    gpu[0] = "Tesla P100-PCIE-16GB (sm_60) is too old for torch 2.14.1+cu130\n"
    with pytest.raises(SystemExit) as stopped:
        install.main()
    assert "GPU T4 x2" in str(stopped.value) and "\n" not in str(stopped.value) and not calls


def test_the_question_about_the_gpu_is_answered_by_the_real_torch():
    code = install.ASK_GPU.replace("torch.cuda.is_available()", "True").replace(
        "import torch", "import torch\ntorch.cuda.get_device_capability = lambda n: (6, 0)\n"
        "torch.cuda.get_device_name = lambda n: 'Tesla P100'\ntorch.cuda.get_arch_list = lambda: ['sm_75', 'sm_120']"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Tesla P100 (sm_60) is too old for torch")
    newer = code.replace("(6, 0)", "(7, 5)")
    assert subprocess.run([sys.executable, "-c", newer], capture_output=True, text=True, check=True).stdout == ""


def test_every_requirement_is_pinned():
    assert all("==" in line for line in install.pins().values()) and {"torch", "trl", "unsloth"} <= set(install.pins())
