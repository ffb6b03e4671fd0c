"""Install what the recipes need, and keep the torch that Kaggle or Colab came with. Needs no package.

    python notebooks/install.py

1. A GPU that the installed torch has no kernels for is refused in one line.
2. Where torch is installed, requirements.txt is installed around it: torch and what hangs on its version stay as they
   are, since a platform's notebook would break with others. If numpy, pillow and pandas cannot stay, torch alone does.
3. Where there is no torch, or that fails, the pinned set of requirements.txt is installed.
"""

import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"
TORCH = ("torch", "torchvision")
KEPT = (*TORCH, "numpy", "pillow", "pandas")
# in a process of its own: what is installed afterwards must not find an old module in this one
ASK_GPU = r"""
import re
import torch
if torch.cuda.is_available():
    major, minor = torch.cuda.get_device_capability(0)
    oldest = min(int(re.sub(r"\D", "", arch)) for arch in torch.cuda.get_arch_list())
    if 10 * major + minor < oldest:
        print(f"{torch.cuda.get_device_name(0)} (sm_{major}{minor}) is too old for torch {torch.__version__}")
"""


def installed(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def pins() -> dict[str, str]:
    """Return the lines of requirements.txt that pin a package, by its name."""
    lines = (line.split("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    return {line.split("==")[0]: line for line in lines if line}


def around(kept: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return requirements without those that are `kept`, and constraints that hold these where they are."""
    constraints = [f"{name}=={number}" for name, number in kept.items()]
    if kept["torch"].startswith("2.10."):
        constraints.append("torchao==0.16.0")  # later ones need a later torch
    return [line for name, line in pins().items() if name not in kept], constraints


def install_around(kept: dict[str, str]) -> bool:
    """Install the requirements around the packages that are `kept`, and return whether that succeeded."""
    with tempfile.TemporaryDirectory() as folder:
        needed, constraints = (Path(folder, name) for name in ("needed.txt", "constraints.txt"))
        for path, lines in zip((needed, constraints), around(kept), strict=True):
            path.write_text("\n".join(lines) + "\n")
        return pip("-r", str(needed), "-c", str(constraints))


def missing() -> list[str]:
    """Return the packages of requirements.txt that are not installed in the pinned version, but for those KEPT."""
    return [name for name, line in pins().items() if name not in KEPT and installed(name) != line.split("==")[1]]


def pip(*arguments: str) -> bool:
    """Run pip and return whether it succeeded."""
    return subprocess.run([sys.executable, "-m", "pip", "install", "-q", *arguments], check=False).returncode == 0


def main() -> None:
    kept = {name: number for name in KEPT if (number := installed(name))}
    if "torch" in kept:
        problem = subprocess.run([sys.executable, "-c", ASK_GPU], capture_output=True, text=True, check=False).stdout
        if problem.strip():
            raise SystemExit(f"{problem.strip()}: choose another accelerator (on Kaggle: GPU T4 x2) and run this again")
        if not missing():
            return
        if any(install_around({name: kept[name] for name in names if name in kept}) for names in (KEPT, TORCH)):
            print(f"installed around torch {kept['torch']}, which was here")
            return
        print("the packages cannot be installed around the torch that is here; taking the tested one: restart afterwards")
    if not pip("-r", str(REQUIREMENTS)):
        raise SystemExit("pip failed: its last lines say why. On Kaggle, is Internet switched on?")
    print("installed the tested versions")


if __name__ == "__main__":
    main()
