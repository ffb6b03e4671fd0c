"""Measure the GPU path without a network: what `python recipes/studies/bench.py gpu` runs.

1. Train nano's three phases through Unsloth and through transformers: the same ladder within noise.
2. Make models of real shapes with random weights and quantise them once. Train ten steps of phase 1 and of phase 3
   each: by our recipe, by a bare Unsloth script and by bare TRL with bitsandbytes. Some runs are held to the memory of
   smaller cards.
3. Show where a step of phase 3 goes: sampling, rewards, the reference, the loss, backward.

Each measurement runs in a process of its own and is written down when it ends. The next start does what is missing.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from recipes.studies.gpu_step import WARM_UP
from recipes.studies.random_models import make_model
from recipes.training.files import read_json, write_json
from recipes.training.options import UsageError

ROOT = Path(__file__).resolve().parents[2]
STEPS = 10
T4, CARD_24GB = 14.6, 22.0  # GiB that a process is held to
WAYS = {
    "ours": "our recipe, Unsloth",
    "ours-hf": "our recipe, transformers",
    "unsloth": "bare Unsloth",
    "trl": "bare TRL",
}
COLUMNS = (
    "model", "phase", "tokens", "memory held to", "by", "s a step", "samples/s", "tokens/s", "peak reserved GiB",
    "micro-batch",
)  # fmt: skip
FIGURES = ("seconds", "samples_per_second", "completion_tokens_per_second", "reserved_gib", "micro_batch")


def specs(work: Path, dry: bool) -> list[dict]:
    """Return the measurements, the most wanted first; with `dry` three small ones."""
    sizes = {"steps": STEPS, "prompt": 1024, "completion": 512, "generations": 8, "batch": 8, "micro": 4}
    if dry:
        sizes = {"steps": WARM_UP + 1, "prompt": 96, "completion": 24, "generations": 4, "batch": 4, "micro": 2}

    def spec(shape: str, phase: str, way: str, cap: float | None = None, profile: bool = False, **other_sizes) -> dict:
        place = {"shape": shape, "phase": phase, "way": way, "cap": cap, "profile": profile}
        return place | {"folder": str(work / shape), "prompts": 1} | sizes | other_sizes

    if dry:
        return [
            spec("tiny", "foundation", "ours-hf"),
            spec("tiny", "grpo", "trl"),
            spec("tiny", "grpo", "ours-hf", profile=True),
        ]
    phases, ways = ("grpo", "foundation"), ("ours", "unsloth", "trl")
    return [
        *(spec("8b", phase, "ours", T4) for phase in phases),
        *(spec("8b", phase, way) for phase in phases for way in ways),
        spec("8b", "grpo", "ours", profile=True),
        *(spec("3b", phase, "ours", T4, prompt=1536) for phase in phases),  # 2,048 tokens with the completion
        *(spec("3b", phase, way) for phase in phases for way in ways),
        *(spec("8b", phase, "ours", CARD_24GB) for phase in phases),
        *(spec(shape, "grpo", way, T4) for shape in ("8b", "3b") for way in ("unsloth", "trl")),
        *(spec("1.5b", phase, way) for phase in phases for way in ways),
    ]


def name_of(spec: dict) -> str:
    parts = [spec["shape"], spec["phase"], spec["way"], f"{spec['prompt']} + {spec['completion']}"]
    parts += [f"{spec['cap']} GiB"] if spec["cap"] else []
    parts += ["profile"] if spec["profile"] else []
    return ", ".join(parts)


def run_step(spec: dict, log: Path) -> dict:
    """Run gpu_step.py on `spec` in a process of its own. Return its figures, or its error."""
    result = log.with_suffix(".json")
    result.unlink(missing_ok=True)
    failure = run_logged(["recipes/studies/gpu_step.py", json.dumps(spec), str(result)], log)
    return failure or read_json(result)


def run_logged(arguments: list[str], log: Path) -> dict | None:
    """Run a script with its output in `log`. If it fails, return its last error line; progress bars may follow it."""
    command = [sys.executable, *arguments]
    with log.open("w") as file:
        status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, check=False).returncode
    if not status:
        return None
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    errors = [line for line in lines if re.match(r"(\w+\.)*(\w*Error|error)\b", line)]
    return {"error": f"exit status {status}: {(errors or lines or ['no output'])[-1][:300]}", "log": str(log)}


def nano_ladder(backend: str, preset: str, work: Path) -> dict:
    """Train the three phases on nano by `backend`. Return the rungs of the ladder, or the error."""
    run = work / f"nano-{backend}"
    arguments = ["recipes/grpo.py", "--preset", preset, "--backend", backend, "--output", str(run)]
    failure = run_logged(arguments, work / f"nano-{backend}.log")
    if failure:
        return failure
    rungs = read_json(run / "ladder.json")["rows"]
    return {rung["phase"]: {"balanced": rung["balanced"], "interval": rung["interval"]} for rung in rungs}


def table(results: dict) -> str:
    """Return what was measured as Markdown."""
    lines = [f"# {results['device']}", "", results["versions"], "", "## nano, the three phases", ""]
    for backend, rungs in results["nano"].items():
        ladder = rungs.get("error") or " → ".join(
            f"{phase} {rung['balanced']:.1f} ± {rung['interval']:.1f}" for phase, rung in rungs.items()
        )
        lines.append(f"* {backend}: {ladder}")
    lines += ["", "## Steps", "", f"| {' | '.join(COLUMNS)} |", f"| {' | '.join(['---'] * len(COLUMNS))} |"]
    for step in results["steps"].values():
        spec, figures = step["spec"], step["figures"]
        if spec["profile"]:
            continue
        tokens, cap = f"{spec['prompt']} + {spec['completion']}", str(spec["cap"] or "–")
        cells = [spec["shape"], spec["phase"], tokens, cap, WAYS[spec["way"]]]
        if "error" in figures:
            cells += [figures["error"][:120].replace("|", "/"), *[""] * (len(FIGURES) - 1)]
        else:
            cells += [str(figures.get(name, "–")) for name in FIGURES]
        lines.append(f"| {' | '.join(cells)} |")
    for step in results["steps"].values():
        if "shares" in step["figures"]:
            lines += ["", f"## Where a step goes: {name_of(step['spec'])}", ""]
            lines += [f"* {name}: {share} %" for name, share in step["figures"]["shares"].items()]
    return "\n".join(lines) + "\n"


class Measurements:
    """The results of one device, kept in a file: what is missing is measured, and written down at once."""

    def __init__(self, path: Path, empty: dict, minutes: float):
        self.path, self.minutes, self.until = path, minutes, time.time() + 60 * minutes
        self.results = json.loads(path.read_text()) if path.exists() else empty

    def is_due(self, part: str, name: str) -> bool:
        """Return whether `name` is missing or has failed, and there is time for it; print which."""
        results = self.results[part]
        if name in results and "error" not in results[name].get("figures", results[name]):
            return False
        if time.time() > self.until:
            print(f"no time left for {name}; the same command goes on", flush=True)
            return False
        print(f"{(time.time() - self.until) / 60 + self.minutes:5.1f} min  {name}", flush=True)
        return True

    def save(self) -> None:
        write_json(self.path, self.results)
        self.path.with_suffix(".md").write_text(table(self.results))

    def measure_step(self, spec: dict, work: Path) -> None:
        name, model = name_of(spec), work / spec["shape"]
        if not self.is_due("steps", name):
            return
        if not (model / "4bit").exists():
            shutil.rmtree(model, ignore_errors=True)
            make_model(model, spec["shape"])
        figures = run_step(spec, work / f"{name.replace(', ', '-').replace(' ', '')}.log")
        listed = {key: value for key, value in spec.items() if key != "folder"}
        self.results["steps"][name] = {"spec": listed, "figures": figures}
        self.save()
        print(f"           {figures}", flush=True)

    def measure_nano(self, backend: str, preset: str, work: Path) -> None:
        if self.is_due("nano", backend):
            self.results["nano"][backend] = nano_ladder(backend, preset, work)
            self.save()


def measure_all(output: Path, work: Path, minutes: float, dry: bool) -> Path:
    """Measure what is missing in `output`, for about `minutes` at most. Return the path of the results.

    Raises UsageError where there is no CUDA device, except with `dry`.
    """
    import torch  # seconds to import, which --help must not wait for

    from recipes.training.environment import describe_versions

    cuda = torch.cuda.is_available()
    if not (cuda or dry):
        raise UsageError("no CUDA device; --dry-run tries the same code on tiny shapes on a CPU")
    device = torch.cuda.get_device_name(0) if cuda else "CPU, dry run"
    work.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"gpu-{'-'.join(device.lower().replace(',', '').split())}.json"
    empty = {"device": device, "versions": describe_versions(), "nano": {}, "steps": {}}
    measurements, planned = Measurements(path, empty, minutes), specs(work, dry)
    first = 2 if cuda else len(planned)  # on a GPU the two most wanted come before nano's ladder
    for spec in planned[:first]:
        measurements.measure_step(spec, work)
    for backend in ("unsloth", "hf") if cuda else ("hf",):
        measurements.measure_nano(backend, "smoke" if dry else "nano", work)
    for spec in planned[first:]:
        measurements.measure_step(spec, work)
    measurements.save()
    return path
