"""The machine that a notebook runs on: Kaggle, Colab or your own, and what that means for a run."""

import os
import shutil
from pathlib import Path

import torch
import yaml

from chemr_lite.model import hardware
from recipes.training.command import STOPPED
from recipes.training.options import CONFIGS, UsageError, preset_for_this_machine

# from the platforms' own pages
LIMITS = {
    "Kaggle": "a session ends after 12 hours on a GPU, and 20 GB of /kaggle/working are kept with a saved version",
    "Colab": "a session ends after 12 hours at most, and its disk is lost: the run is kept on Drive",
}


def platform() -> str:
    """Return `Kaggle`, `Colab` or `your own machine`."""
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "Kaggle"
    return "Colab" if "COLAB_RELEASE_TAG" in os.environ else "your own machine"


def prepare_run(output: str, drive: str | None = None, earlier: str | None = None) -> str:
    """Return the run directory to use, after creating it.

    On Colab it is the folder `drive` of a mounted Google Drive, if one is given. The run directory `earlier`, which a
    session before left, is copied into it once, because a platform's inputs are read-only. Raises UsageError if
    `earlier` is missing.
    """
    if drive and platform() == "Colab":
        from google.colab import drive as google_drive  # exists on Colab only

        google_drive.mount("/content/drive")
        output = drive
    run = Path(output)
    if earlier and not run.exists():
        if not Path(earlier).is_dir():
            raise UsageError(f"{earlier}: no such folder; name the run directory that an earlier session left")
        shutil.copytree(earlier, run)
    run.mkdir(parents=True, exist_ok=True)
    return str(run)


def run_ended(status: int) -> None:
    """Look at the exit status of a recipe in a notebook's cell.

    After a stop for want of time (75) say how to go on, and let the cells behind pass without doing anything, since a
    platform keeps no output of a notebook that fails. Cells that run a recipe still run. Raises RuntimeError for
    another status than 0.
    """
    from IPython import get_ipython  # exists in notebooks

    cells = get_ipython().input_transformers_cleanup
    if _only_recipes in cells:
        cells.remove(_only_recipes)
    if status == STOPPED:
        cells.append(_only_recipes)
        how = {
            "Kaggle": "save a version; in the next session add its output as an input and name the run in EARLIER",
            "Colab": "open this notebook again in a new session; the run is on Drive",
        }.get(platform(), "run this cell again")
        print(f"stopped with a checkpoint before the time was over. To go on: {how}. The cells below are left out.")
    elif status:
        raise RuntimeError("the recipe failed: its last lines say why")


def _only_recipes(lines: list[str]) -> list[str]:
    """Return the lines of a cell that runs a recipe, and none of any other."""
    return lines if any("recipes/" in line for line in lines) else []


def describe(preset: str | None = None, output: str = ".") -> str:
    """Return platform, GPU, precision, free disk and the preset that suits them, as text of some lines."""
    machine, where = hardware.detect_hardware(), platform()
    chosen = preset or preset_for_this_machine()
    model = yaml.safe_load((CONFIGS / f"{chosen}.yaml").read_text())["model"]
    lines = [f"on {where}" + (f": {LIMITS[where]}" if where in LIMITS else "")]
    if machine.device == "cuda":
        capability = ".".join(map(str, torch.cuda.get_device_capability(0)))
        lines.append(
            f"GPU {machine.name}, {machine.memory_gb:.1f} GiB, compute capability {capability}: {machine.precision}"
        )
        if where == "Kaggle":
            lines.append("one GPU is used, also of two T4s; accelerate launch --num_processes 2 uses both")
    else:
        lines.append(f"no GPU, {os.cpu_count()} CPU cores: {machine.precision}")
    lines.append(f"{shutil.disk_usage(output).free / 2**30:.0f} GiB free for {output}")
    download = "nothing to download" if model == "nano" else f"{model} is downloaded from the hub"
    lines.append(f"→ preset {chosen}{' (you chose it)' if preset else ''}: {download}")
    return "\n".join(lines)
