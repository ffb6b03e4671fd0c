"""Run directories: what a phase leaves behind, and how a killed one is taken up again.

A phase works in `<run>/<phase>.partial` and renames it to `<run>/<phase>` when it is whole, so a directory that looks
finished is. Checkpoints live in the partial directory and are removed at the end.
"""

import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chemr_lite.models import PHASES
from recipes.options import Options, UsageError

WHOLE = "complete"  # the last file of a checkpoint: how many seconds of training it took
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "rdkit", "datasets", "accelerate", "unsloth")
# options that may differ between two starts of one run: they change where or how it is shown, not what is trained
FREE = {
    "output",
    "eval_batch_size",
    "sft_micro_batch",
    "grpo_micro_batch",
    "save_steps",
    "max_hours",
    "rehearsal",
    "report_to",
    "backend",
    "teacher_url",
    "teacher_concurrency",
    "teacher_price",
    "teacher_budget",
}
# options that decide which traces there are: nothing to phase 1
TRACES = {
    "protocols",
    "traces",
    "teacher_model",
    "teacher_rows",
    "teacher_samples",
    "teacher_temperature",
    "teacher_max_tokens",
    "least_grounding",
}


def write_json(path: Path, value) -> None:
    """JSON, written aside and renamed: a reader never sees half of it."""
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(as_json(value))
    aside.replace(path)


def as_json(value) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


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
                 "sampling", "scaling", "vllm", "oversampling", "grounding_reward", "validation_steps", "validation_rows", "anchor"}  # fmt: skip
    skip = FREE | (grpo_only if phase != "grpo" else set()) | (TRACES if phase == "foundation" else set())
    values = {k: v for k, v in asdict(options).items() if k not in skip and not k.startswith(tuple(f"{p}_" for p in later))}
    for name in {"protocols", "traces"} & set(values):
        path = Path(values[name])
        if path.is_file():  # an edited file is another option
            values[name] = f"{path} ({hashlib.sha256(path.read_bytes()).hexdigest()[:12]})"
    return values


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
        """Write the results, remove what was only needed on the way and give the directory its final name."""
        write_json(self.partial / "metrics.json", metrics)
        write_json(self.partial / "run.json", read_json(self.partial / "run.json") | measured)
        for needless in (*self.partial.glob("checkpoint-*"), *self.partial.glob("best")):
            shutil.rmtree(needless)
        self.partial.rename(self.final)


def checked(folder: Path) -> Path:
    """`folder` if its checkpoint can be read; a UsageError that says what to delete if not."""
    import torch
    from safetensors import safe_open

    try:
        with safe_open(folder / "adapter_model.safetensors", "pt") as tensors:
            tensors.keys()
        read_json(folder / "trainer_state.json")
        torch.load(folder / "optimizer.pt", weights_only=True, map_location="cpu")
    except Exception as error:
        raise UsageError(f"{folder} is damaged ({' '.join(str(error).split())[:200]}); delete it to go on from the one before") from error
    return folder


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole: a kill while saving leaves one without its last file."""
    for path in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        if (path / WHOLE).exists():
            return checked(path)
        shutil.rmtree(path)
    return None


def step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def installed() -> dict[str, str | None]:
    """The versions of the packages that matter, None for one that is not there."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name).split("+")[0]  # without the build: 2.14.1+cu130
        except PackageNotFoundError:
            found[name] = None
    return found


def versions() -> str:
    """The installed versions in words, and what to do where they are not those of requirements.txt."""
    path = Path(__file__).resolve().parents[1] / "requirements.txt"
    lines = path.read_text().splitlines() if path.exists() else []  # the folder may have been taken without it
    tested = dict(line.split()[0].split("==") for line in lines if "==" in line)
    found = {name: has or "missing" for name, has in installed().items()}
    others = [f"{name}=={tested[name]}" for name, has in found.items() if has != tested.get(name, has)]
    told = ", ".join(f"{name} {has}" for name, has in found.items())
    return told + (f"\n  not the tested versions; python -m pip install {' '.join(others)} mends it" if others else " (as tested)")


def environment() -> dict:
    """Versions, hardware and code of this run."""
    import torch

    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "versions": installed(),
        "python": platform.python_version(),
        "hardware": gpu or f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "commit": commit.stdout.strip() or None,
    }


def peak_memory_gb() -> float:
    """Peak memory so far, GiB: of the GPU where there is one, else of this process."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_reserved() / 2**30, 2)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
