"""Measure the GPU path without a network, the most wanted first: what `python recipes/studies/bench.py gpu` runs.

1. The environment: versions, and whether 4-bit products are right.
2. nano's smoke preset, by Unsloth and by transformers at once.
3. The 8B shape with random weights, by our recipe, held to the memory of a 16 GB card: phase 3, then phase 1. The same
   by a bare Unsloth script and by bare TRL with bitsandbytes.
4. nano far up the curve of practice: phases 1 and 2, then up to four minutes of phase 3 with 128 prompts a step.
5. The 3B shape, where a step of phase 3 goes, the 8B shape on a 24 GB card, and nano's whole ladder by both backends.

Each part runs in a process of its own, for a limited time, and is written down when it ends. The next start goes on:
with the parts that are missing, of nano's from the last checkpoint, and at last with those that failed.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from recipes.training.command import STOPPED
from recipes.training.files import read_json, read_jsonl, write_json
from recipes.training.options import UsageError

ROOT = Path(__file__).resolve().parents[2]
STEP = "recipes/studies/gpu_step.py"
T4, CARD_24GB = 14.6, 22.0  # GiB that a process is held to
PROMPTS = 128  # a step of practice
LEAST = 50  # seconds: with less left no part is started
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


@dataclass(frozen=True)
class Part:
    """One command, which runs for at most `limit` seconds."""

    name: str
    command: tuple[str, ...]
    limit: float
    result: Path  # what it leaves: a file of figures, or a run directory
    spec: dict | None = None  # of a measurement of steps

    def is_known(self, results: dict) -> bool:
        """Return whether the part has been measured. A model must still be there: machines come and go."""
        is_gone = self.name.startswith("make ") and not self.result.exists()
        return self.name in results and not self.has_failed(results) and not is_gone

    def has_failed(self, results: dict) -> bool:
        """Return whether the part was tried in vain, or did not come to its end."""
        return not {"error", "unfinished"}.isdisjoint(results.get(self.name, {}))


def parts(work: Path, dry: bool) -> list[tuple[Part, ...]]:
    """Return the parts, the most wanted first, in groups that run at once.

    With `dry` they are of the same kinds, but small enough for a CPU.
    """
    large, phases = "tiny" if dry else "8b", ("grpo", "foundation")

    def step(shape: str, phase: str, way: str, cap: float | None = None, profile: bool = False, **sizes) -> Part:
        spec = {"shape": shape, "phase": phase, "way": way, "cap": cap, "profile": profile, "prompts": 1}
        spec |= {"prompt": 1024, "completion": 512, "generations": 8, "batch": 8, "micro": 4}
        spec |= {"warm_up": 1, "steps": 4} if phase == "grpo" else {"warm_up": 2, "steps": 7}
        if dry:
            spec |= {"prompt": 96, "completion": 24, "generations": 4, "batch": 4, "micro": 2, "cap": None, "steps": 3}
        spec |= sizes
        name = ", ".join([shape, phase, way, f"{spec['prompt']} + {spec['completion']}"])
        name += f", {cap} GiB" * bool(cap) + ", profile" * profile
        result = work / f"{name.replace(', ', '-').replace(' ', '')}.json"
        command = (STEP, "step", json.dumps(spec | {"folder": str(work / shape)}), str(result))
        return Part(name, command, 150 if phase == "grpo" else 90, result, spec)

    def make(shape: str) -> Part:
        result = work / shape / "made.json"
        return Part(f"make {shape}", (STEP, "make", shape, str(work / shape), str(result)), 120, result)

    def nano(name: str, recipe: str, backend: str, preset: str, limit: float, *more: str, run: str = "") -> Part:
        run = work / (run or name.replace(", ", "-").replace(" ", "-"))
        command = (f"recipes/{recipe}.py", "--preset", preset, "--backend", backend, "--output", str(run))
        return Part(name, (*command, "--save-steps", "20", *more), limit, run)

    first = "hf" if dry else "unsloth"
    whole = "smoke" if dry else "nano"
    practice = ("--prompts-per-step", str(PROMPTS), "--grpo-micro-batch", str(8 * PROMPTS), "--grpo-steps", "1000")
    practice += ("--temperature", "1.0", "--grpo-learning-rate", "2e-4", "--replay-kl", "0", "--validation-steps", "50")
    if dry:
        practice = ("--grpo-steps", "2", "--validation-steps", "1")
    ours = "ours-hf" if dry else "ours"
    middle = [
        make("3b"),
        *(step("3b", phase, ours, T4, prompt=1536) for phase in phases),
        *(step("3b", phase, way) for way in ("ours", "unsloth", "trl") for phase in phases),
    ]
    singles = [
        make(large),
        *(step(large, phase, ours, T4) for phase in phases),
        *(step(large, phase, way) for way in ("unsloth", "trl") for phase in phases),
        nano("nano, before practice", "distill", first, whole, 240, run="nano-practice"),
        nano("nano, practice", "grpo", first, whole, 240, *practice, run="nano-practice"),
        *([] if dry else middle),
        step(large, "grpo", ours, profile=True),
        *([] if dry else [step(large, phase, ours, CARD_24GB) for phase in phases]),
    ]
    both = ("unsloth", "hf")
    groups = [
        (Part("environment", (STEP, "environment", str(work / "environment.json")), 100, work / "environment.json"),),
        tuple(nano(f"nano, smoke, {backend}", "grpo", backend, "smoke", 130) for backend in both),
        *((part,) for part in singles),
        tuple(nano(f"nano, {backend}", "grpo", backend, whole, 900) for backend in both),
    ]
    if not dry:
        return groups
    without = [tuple(part for part in group if "unsloth" not in part.name) for group in groups]
    return [group for group in without if group]


def figures_of(part: Part) -> dict:
    """Return what a part has written so far: figures, a ladder, or how far practice has come."""
    if part.result.suffix == ".json":
        return read_json(part.result) if part.result.exists() else {}
    if (part.result / "ladder.json").exists() and part.name != "nano, before practice":
        rungs = read_json(part.result / "ladder.json")["rows"]
        figures = {"ladder": {r["phase"]: {"balanced": r["balanced"], "interval": r["interval"]} for r in rungs}}
    else:
        figures = {"finished": [phase for phase in ("foundation", "distill") if (part.result / phase).exists()]}
    return figures | (practised(part.result) if part.name == "nano, practice" else {})


def practised(run: Path) -> dict:
    """Return groups, seconds a step, and accuracy before and after: sampled, and greedy on validation rows."""
    log = next((path for path in (run / "grpo/log.jsonl", run / "grpo.partial/log.jsonl") if path.exists()), None)
    lines = read_jsonl(log) if log else []
    steps = [line for line in lines if "reward" in line]
    checks = [line["validation"] for line in lines if "validation" in line]
    if not steps:
        return {}
    tenth = max(1, len(steps) // 10)

    def accuracy(some: list[dict]) -> float:
        shares = [value for line in some for name, value in line.items() if name.startswith("accuracy/")]
        return round(100 * fmean(shares), 2)

    return {
        "steps": len(steps),
        "seconds a step": round(fmean(line["step_time"] for line in steps), 3),
        "sampled accuracy": [accuracy(steps[:tenth]), accuracy(steps[-tenth:])],
        "greedy validation": checks,
    }


def run(group: Sequence[Part], until: float) -> list[dict]:
    """Run parts at once, each for at most its limit and none past `until`. Return what is known of each afterwards."""
    running = []
    try:
        for part in group:
            running.append((part, *_start(part, until)))
        return [_finish(*started) for started in running]
    finally:
        for _, process, *_ in running:
            _kill(process)


def _start(part: Part, until: float) -> tuple[subprocess.Popen, Path, float, float]:
    """Start a part. Return its process, its log, and when it began and must end."""
    log, began = part.result.with_suffix(".log"), time.time()
    log.parent.mkdir(parents=True, exist_ok=True)
    command, deadline = [sys.executable, *part.command], min(began + part.limit, until)
    if part.result.suffix == ".json":
        part.result.unlink(missing_ok=True)
    else:  # a run of nano's, which stops with a checkpoint
        command += ["--max-hours", f"{max(1, deadline - began - 20) / 3600:.5f}"]
    settings = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=settings, start_new_session=True
        )
    return process, log, began, deadline


def _kill(process: subprocess.Popen) -> None:
    """End a process and those that it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _finish(part: Part, process: subprocess.Popen, log: Path, began: float, deadline: float) -> dict:
    try:
        status = process.wait(max(0.1, deadline - time.time()))
    except subprocess.TimeoutExpired:
        status = None
        _kill(process)
    took = round(time.time() - began, 1)
    found = figures_of(part) | ({} if part.spec else {"took": took})
    if status == 0:
        return found
    if status in (STOPPED, None):
        return found | {"unfinished": "stopped with a checkpoint" if status else f"out of time after {took} s"}
    return found | {"error": f"exit status {status}: {last_error(log)}"}


def last_error(log: Path) -> str:
    """Return the last line of a log that names an error; progress bars may follow it."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    errors = [line for line in lines if re.match(r"(\w+\.)*(\w*Error|error)\b", line)]
    return (errors or lines or ["no output"])[-1][:300]


def table(results: dict) -> str:
    """Return what was measured as Markdown."""
    lines = [f"# {results['device']}", ""]
    measured = results["parts"]
    steps = {name: found for name, found in measured.items() if found.get("spec")}
    for name, found in measured.items():
        if name not in steps:
            shown = {key: value for key, value in found.items() if key not in ("ladder", "spec")}
            lines.append(f"* {name}: {json.dumps(shown, ensure_ascii=False)}")
            if "ladder" in found:
                rungs = (f"{p} {rung['balanced']:.1f} ± {rung['interval']:.1f}" for p, rung in found["ladder"].items())
                lines.append(f"  {' → '.join(rungs)}")
    lines += ["", "## Steps", "", f"| {' | '.join(COLUMNS)} |", f"| {' | '.join(['---'] * len(COLUMNS))} |"]
    for found in steps.values():
        spec = found["spec"]
        if spec["profile"]:
            continue
        tokens, cap = f"{spec['prompt']} + {spec['completion']}", str(spec["cap"] or "–")
        cells = [spec["shape"], spec["phase"], tokens, cap, WAYS[spec["way"]]]
        problem = found.get("error") or found.get("unfinished")
        cells += [problem[:120].replace("|", "/")] if problem else []
        cells += (
            [str(found["figures"].get(name, "–")) for name in FIGURES] if not problem else [""] * (len(FIGURES) - 1)
        )
        lines.append(f"| {' | '.join(cells)} |")
    for name, found in steps.items():
        if "shares" in found.get("figures", {}):
            lines += ["", f"## Where a step goes: {name}", ""]
            lines += [f"* {part}: {share} %" for part, share in found["figures"]["shares"].items()]
    return "\n".join(lines) + "\n"


def measure_all(output: Path, work: Path, minutes: float, dry: bool) -> Path:
    """Measure what is missing in `output`, for at most `minutes`. Return the path of the results.

    Raises UsageError where there is no CUDA device, except with `dry`.
    """
    import torch  # seconds to import, which --help must not wait for

    began, cuda = time.time(), torch.cuda.is_available()
    if not (cuda or dry):
        raise UsageError("no CUDA device; --dry-run tries the same code on tiny shapes on a CPU")
    device = torch.cuda.get_device_name(0) if cuda else "CPU, dry run"
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"gpu-{'-'.join(device.lower().replace(',', '').split())}.json"
    results = read_json(path) if path.exists() else {"device": device, "parts": {}}
    until, groups = began + 60 * minutes, parts(work.resolve(), dry)
    missing = [tuple(part for part in group if not part.is_known(results["parts"])) for group in groups]
    # what was tried in vain comes last, or it would take the time of the others in every call
    tried = [group for group in missing if group and all(part.has_failed(results["parts"]) for part in group)]
    for group in [group for group in missing if group and group not in tried] + tried:
        elapsed = f"{(time.time() - began) / 60:5.1f} min  {' and '.join(part.name for part in group)}"
        if until - time.time() < LEAST:
            print(f"{elapsed}: no time left; the same command goes on", flush=True)
            break
        print(elapsed, flush=True)
        for part, found in zip(group, run(group, until), strict=True):
            results["parts"][part.name] = _named(part, found)
            print(f"           {json.dumps(found)[:400]}", flush=True)
        write_json(path, results)
        path.with_suffix(".md").write_text(table(results))
    return path


def _named(part: Part, found: dict) -> dict:
    """Return what was found of a part; of steps with what was measured."""
    if part.spec is None:
        return found
    problems = {key: found[key] for key in ("error", "unfinished") if key in found}
    return {"spec": part.spec, **problems, "figures": {k: v for k, v in found.items() if k not in problems}}
