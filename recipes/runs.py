"""Run directories: what a phase leaves behind, and how a killed one is taken up again.

A phase works in `<run>/<phase>.partial` and renames it to `<run>/<phase>` when it is whole, so a directory that looks
finished is. Checkpoints live in the partial directory and are removed at the end.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from transformers import TrainerCallback

from recipes.options import Options, UsageError

PHASES = ("foundation", "distill", "grpo")
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "rdkit", "datasets", "accelerate", "unsloth")
# options that may differ between two starts of one run: they change where or how it is shown, not what is trained
FREE = {"output", "eval_batch_size", "save_steps", "backend"}


def write_json(path: Path, value) -> None:
    """JSON, written aside and renamed: a reader never sees half of it."""
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    aside.replace(path)


def read_json(path: Path):
    """The JSON in `path`; a damaged file is a UsageError that names it."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged ({error}); delete {path.parent} to start it anew") from error


def relevant(options: Options, phase: str) -> dict:
    """The options that decide what `phase` trains: the shared ones and those of this phase and the ones before it."""
    later = PHASES[PHASES.index(phase) + 1 :]
    grpo_only = {"prompts_per_step", "num_generations", "max_completion_tokens", "temperature", "beta", "max_grad_norm",
                 "adaptive", "validation_steps", "validation_rows", "max_steps"}  # fmt: skip
    skip = FREE | (grpo_only if phase != "grpo" else set())
    return {k: v for k, v in asdict(options).items() if k not in skip and not k.startswith(tuple(f"{p}_" for p in later))}


@dataclass
class Phase:
    """One phase of a run on disk."""

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
        """The finished directory of the phase before, None for the first."""
        before = PHASES.index(self.name) - 1
        return self.run / PHASES[before] if before >= 0 else None

    @property
    def finished(self) -> bool:
        return self.final.exists()

    def check(self) -> None:
        """Refuse to go on with a run that was started with other options."""
        for folder in (self.final, self.partial):
            if (folder / "run.json").exists():
                before, now = read_json(folder / "run.json")["options"], relevant(self.options, self.name)
                changed = [f"{k} {before.get(k)!r} → {v!r}" for k, v in now.items() if before.get(k) != v]
                if changed:
                    raise UsageError(f"{folder} was made with other options ({'; '.join(changed)}): give another --output, or delete it")

    def begin(self, facts: dict) -> Path | None:
        """Make the partial directory and run.json; return the newest whole checkpoint to resume from, if any."""
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.partial} cannot be written: {error.strerror}; choose another --output") from error
        self.check()
        if not (self.partial / "run.json").exists():
            write_json(
                self.partial / "run.json", {"phase": self.name, "options": relevant(self.options, self.name), **facts, **environment()}
            )
        return newest_checkpoint(self.partial)

    def finish(self, metrics: dict, measured: dict) -> None:
        """Write the results, remove the checkpoints and give the directory its final name."""
        write_json(self.partial / "metrics.json", metrics)
        write_json(self.partial / "run.json", read_json(self.partial / "run.json") | measured)
        for checkpoint in self.partial.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
        self.partial.rename(self.final)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole: a kill while saving leaves one without its last file."""
    for path in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        if (path / "complete").exists():
            return path
        shutil.rmtree(path)
    return None


def step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def environment() -> dict:
    """Versions, hardware and code of this run."""
    import torch

    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "hardware": gpu or f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "commit": commit.stdout.strip() or None,
    }


class Journal(TrainerCallback):
    """Keeps log.jsonl in step with the checkpoints, and marks each checkpoint as whole once all of it is written.

    `extra` are functions called with the checkpoint's folder to save what the trainer does not know of.
    """

    def __init__(self, folder: Path, resumed_step: int, extra=()):
        self.path, self.extra, self.started = folder / "log.jsonl", extra, time.time()
        if self.path.exists():  # lines after the checkpoint belong to steps that are trained again
            kept = [line for line in self.path.read_text().splitlines() if json.loads(line)["step"] <= resumed_step]
            self.path.write_text("".join(line + "\n" for line in kept))

    def write(self, step: int, values: dict) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def on_log(self, args, state, control, logs=None, **_):
        self.write(state.global_step, {k: round(v, 6) if isinstance(v, float) else v for k, v in (logs or {}).items()})

    def on_save(self, args, state, control, **_):
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for save in self.extra:
            save(folder)
        (folder / "complete").touch()


def peak_memory_gb() -> float:
    """Peak memory so far, GiB: of the GPU where there is one, else of this process."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_reserved() / 2**30, 2)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
