"""Names of models and folders of a run: the base that an adapter belongs to, and the phases that are finished."""

import json
from pathlib import Path

from chemr_lite.errors import ModelError

NANO = Path(__file__).resolve().parents[1] / "nano" / "model"
PHASES = ("foundation", "distill", "grpo")  # in order; each continues the adapter of the one before


def base_path(name: str) -> str:
    """Return the path or hub name of the base `name`: the embedded model's folder for `nano`, else `name` itself."""
    return str(NANO) if name == "nano" else name


def check_there(name: str) -> None:
    """Raise ModelError if `name` means a folder that does not exist, which the hub would only call a malformed name."""
    path = Path(name)
    means_folder = name.count("/") != 1 or path.parent.exists() or name.startswith(("outputs/", "./", "../", "~"))
    if "/" in name and not path.exists() and means_folder:
        raise ModelError(f"{name}: there is no such folder; name a finished phase's directory or a model folder")


def phases_of(run: Path) -> list[str]:
    """Return the finished phases in a run directory, in order."""
    return [name for name in PHASES if (run / name / "adapter_config.json").exists()]


def base_of(adapter: Path) -> str:
    """Return the name of the base model that the adapter in the folder `adapter` belongs to. Raises ModelError."""
    path = adapter / "adapter_config.json"
    if not path.exists():
        problem = "no adapter in it" if adapter.exists() else "there is no such folder"
        raise ModelError(f"{adapter}: {problem}; name the directory of a finished phase")
    try:
        name = json.loads(path.read_text())["base_model_name_or_path"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is damaged ({error}); delete the folder to train that phase again") from error
    # another copy of this package has nano in another place
    return "nano" if Path(name).parts[-3:] == NANO.parts[-3:] else name
