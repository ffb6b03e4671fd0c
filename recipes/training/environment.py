"""What a run was made with: versions, hardware, commit, memory."""

import os
import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "rdkit", "datasets", "accelerate", "unsloth")
REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"


def installed() -> dict[str, str | None]:
    """Return the installed versions of PACKAGES, None for a missing one."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name).split("+")[0]  # without the build: 2.14.1+cu130
        except PackageNotFoundError:
            versions[name] = None
    return versions


def describe_versions() -> str:
    """Return the installed versions as text, with the remedy if they differ from requirements.txt.

    Another torch is only told: on Kaggle and Colab the platform's own packages depend on it.
    """
    # the recipes folder may have been copied without the file
    lines = REQUIREMENTS.read_text().splitlines() if REQUIREMENTS.exists() else []
    tested = dict(line.split()[0].split("==") for line in lines if "==" in line)
    versions = {name: number or "missing" for name, number in installed().items()}
    wrong = [f"{name}=={tested[name]}" for name, number in versions.items() if number != tested.get(name, number)]
    text = ", ".join(f"{name} {number}" for name, number in versions.items())
    if wrong == [f"torch=={tested.get('torch')}"]:
        return f"{text} (tested with torch {tested['torch']})"
    if not wrong:
        return f"{text} (as tested)"
    wrong = [requirement for requirement in wrong if not requirement.startswith("torch==")]
    return f"{text}\n  not the tested versions; python -m pip install {' '.join(wrong)} mends it"


def describe_environment() -> dict:
    """Return versions, hardware and commit of this run, for run.json."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "versions": installed(),
        "python": platform.python_version(),
        "hardware": gpu or f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "commit": commit.stdout.strip() or None,
    }


def peak_memory_gb() -> float:
    """Return the peak memory so far in GiB: of the GPU if there is one, else of this process."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_reserved() / 2**30, 2)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
