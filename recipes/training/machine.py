"""Where a notebook runs, and what follows from it: Kaggle, Colab or a machine of your own."""

import os
import shutil
from pathlib import Path

import yaml

from recipes.training.options import CONFIGS, UsageError, preset_for_this_machine

# as the platforms' own pages say it
LIMITS = {
    "Kaggle": "a session ends after 12 hours on a GPU, and 20 GB of /kaggle/working are kept with a saved version",
    "Colab": "a session ends after 12 hours at most, and its disk is lost: give a Drive folder to keep the run",
}


def platform() -> str:
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "Kaggle"
    return "Colab" if "COLAB_RELEASE_TAG" in os.environ else "your own machine"


def prepare_run(output: str, drive: str | None = None, earlier: str | None = None) -> str:
    """The run directory to use, made if need be: on a mounted Google `drive` where one is given, and with what an `earlier`
    session left, copied once, since a platform's inputs cannot be written to. Raises UsageError."""
    if drive and platform() == "Colab":
        from google.colab import drive as google

        google.mount("/content/drive")
        output = drive
    run = Path(output)
    if earlier and not run.exists():
        if not Path(earlier).is_dir():
            raise UsageError(f"{earlier}: no such folder; name the run directory that an earlier session left")
        shutil.copytree(earlier, run)
    run.mkdir(parents=True, exist_ok=True)
    return str(run)


def describe(preset: str | None = None, output: str = ".") -> str:
    """Platform, GPU, precision and free disk in words, and the preset that is taken for them."""
    import torch

    from chemr_lite.model.hardware import detect_hardware

    hardware, where = detect_hardware(), platform()
    chosen = preset or preset_for_this_machine()
    model = yaml.safe_load((CONFIGS / f"{chosen}.yaml").read_text())["model"]
    lines = [f"on {where}" + (f": {LIMITS[where]}" if where in LIMITS else "")]
    if hardware.device == "cuda":
        capability = ".".join(map(str, torch.cuda.get_device_capability(0)))
        lines.append(
            f"GPU {hardware.name}, {hardware.memory_gb:.1f} GiB, compute capability {capability}: {hardware.precision}"
        )
        if where == "Kaggle":
            lines.append("one GPU is used, also of two T4s; accelerate launch --num_processes 2 uses both")
    else:
        lines.append(f"no GPU, {os.cpu_count()} CPU cores: {hardware.precision}")
    lines.append(f"{shutil.disk_usage(output).free / 2**30:.0f} GiB free for {output}")
    download = "nothing to download" if model == "nano" else f"{model} is downloaded from the hub"
    lines.append(f"→ preset {chosen}{' (you chose it)' if preset else ''}: {download}")
    return "\n".join(lines)
