"""Run directories: what each rung of the ladder leaves behind, and how a killed phase continues.

A phase works in `<run>/<phase>.partial` and renames it to `<run>/<phase>` at its end, so that a directory that looks
finished is finished. Checkpoints live in the partial directory and are removed at the end.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from chemr_lite.model.folders import PHASES
from recipes.training.environment import describe_environment
from recipes.training.files import read_json, write_json
from recipes.training.options import Options, UsageError, deciding

WHOLE = "complete"  # the file that is written last into a checkpoint: its seconds of training so far


def recorded(options: Options, rung: str) -> dict:
    """Return the options that influence `rung`, as run.json keeps them: a file with a digest of its content."""
    values = deciding(options, rung)
    for name in {"protocols", "traces"} & set(values):
        values[name] = ",".join(_with_digest(part) for part in values[name].split(","))
    return values


def _with_digest(name: str) -> str:
    path = Path(name)
    return f"{path} ({hashlib.sha256(path.read_bytes()).hexdigest()[:12]})" if path.is_file() else name


@dataclass
class RungDirectory:
    """The directory of one rung of a run: `base` or a phase."""

    options: Options
    name: str

    @property
    def run(self) -> Path:
        return Path(self.options.output)

    @property
    def final(self) -> Path:
        return self.run / self.name

    @property
    def partial(self) -> Path:
        return self.run / f"{self.name}.partial"

    @property
    def parent(self) -> Path | None:
        """The finished directory of the phase before, None for the first phase."""
        before = PHASES.index(self.name) - 1
        return self.run / PHASES[before] if before >= 0 else None

    @property
    def finished(self) -> bool:
        return self.final.exists()

    def differences(self, folder: Path) -> list[str]:
        """Return the options that differ from those `folder` was made with, as `name before → now`.

        The list is empty for a new folder.
        """
        if not (folder / "run.json").exists():
            return []
        before, now = read_json(folder / "run.json")["options"], recorded(self.options, self.name)
        return [f"{name} {before.get(name)!r} → {value!r}" for name, value in now.items() if before.get(name) != value]

    def check(self) -> None:
        """Raise UsageError if the phase was begun or finished with other options."""
        for folder in (self.final, self.partial):
            if differences := self.differences(folder):
                raise UsageError(
                    f"{folder} was made with other options ({'; '.join(differences)}): give another --output, or "
                    "delete that folder"
                )

    def begin(self, facts: dict) -> Path | None:
        """Create the partial directory with its run.json. Return the newest whole checkpoint, or None."""
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.partial} cannot be written: {error.strerror}; choose another --output") from error
        self.check()
        if not (self.partial / "run.json").exists():
            options = recorded(self.options, self.name)
            write_json(
                self.partial / "run.json", {"phase": self.name, "options": options, **facts, **describe_environment()}
            )
        return newest_checkpoint(self.partial)

    def finish(self, metrics: dict, measured: dict) -> None:
        """Write metrics.json, add `measured` to run.json, remove checkpoints, and give the directory its final name."""
        write_json(self.partial / "metrics.json", metrics)
        write_json(self.partial / "run.json", read_json(self.partial / "run.json") | measured)
        for temporary in (*self.partial.glob("checkpoint-*"), *self.partial.glob("best")):
            shutil.rmtree(temporary)
        self.partial.rename(self.final)


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint, or None. One that a kill left unfinished is removed."""
    for path in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        if (path / WHOLE).exists():
            return _check_readable(path)
        shutil.rmtree(path)
    return None


def _check_readable(checkpoint: Path) -> Path:
    """Return `checkpoint` if its files can be read. Raises UsageError, which says what to delete."""
    try:
        with safe_open(checkpoint / "adapter_model.safetensors", "pt") as tensors:
            tensors.keys()
        read_json(checkpoint / "trainer_state.json")
        torch.load(checkpoint / "optimizer.pt", weights_only=True, map_location="cpu")
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{checkpoint} is damaged ({reason}); delete it to go on from the one before") from error
    return checkpoint


def step_of(checkpoint: Path | None) -> int:
    """Return the step that a checkpoint was saved at, 0 for None."""
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0
