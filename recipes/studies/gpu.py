"""The GPU path measured, offline: what `python recipes/studies/bench.py gpu` runs.

1. nano's three phases through Unsloth and through transformers: the same ladder within noise.
2. Models of real shapes with random weights, quantised once, ten steps of phase 1 and of phase 3 each: by our recipe, by a
   bare Unsloth script and by bare TRL with bitsandbytes. Also with the process held to the memory of smaller cards.
3. Where a step of phase 3 goes: sampling, rewards, the reference, the loss, backward.

Each measurement has a process of its own and is written down when it ends; the next start goes on with what is missing.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipes.studies.gpu_step import WARM_UP, make_model
from recipes.training.options import UsageError

ROOT = Path(__file__).resolve().parents[2]
STEPS = 10
WAYS = {
    "ours": "our recipe, Unsloth",
    "ours-hf": "our recipe, transformers",
    "unsloth": "bare Unsloth",
    "trl": "bare TRL",
}


def specs(work: Path, dry: bool) -> list[dict]:
    """The measurements in the order of their worth."""

    def spec(
        shape: str,
        phase: str,
        way: str,
        cap: float | None = None,
        prompt: int = 1024,
        completion: int = 512,
        profile: bool = False,
    ):
        sizes = {
            "steps": STEPS,
            "prompt": prompt,
            "completion": completion,
            "prompts": 1,
            "generations": 8,
            "batch": 8,
            "micro": 4,
        }
        if dry:
            sizes |= {"steps": WARM_UP + 1, "prompt": 96, "completion": 24, "generations": 4, "batch": 4, "micro": 2}
        return {
            "shape": shape,
            "phase": phase,
            "way": way,
            "cap": cap,
            "profile": profile,
            "folder": str(work / shape),
            **sizes,
        }

    if dry:
        return [
            spec("tiny", "foundation", "ours-hf"),
            spec("tiny", "grpo", "trl"),
            spec("tiny", "grpo", "ours-hf", profile=True),
        ]
    phases, t4, card_24gb = ("grpo", "foundation"), 14.6, 22.0
    made = [spec("8b", phase, "ours", t4) for phase in phases]
    made += [spec("8b", phase, way) for phase in phases for way in ("ours", "unsloth", "trl")]
    made += [spec("8b", "grpo", "ours", profile=True)]
    made += [spec("3b", phase, "ours", t4, 1536) for phase in phases]  # 2,048 tokens in all
    made += [spec("3b", phase, way) for phase in phases for way in ("ours", "unsloth", "trl")]
    made += [spec("8b", phase, "ours", card_24gb) for phase in phases]
    made += [spec(shape, "grpo", way, t4) for shape in ("8b", "3b") for way in ("unsloth", "trl")]
    return made + [spec("1.5b", phase, way) for phase in phases for way in ("ours", "unsloth", "trl")]


def named(spec: dict) -> str:
    cap = f", {spec['cap']} GiB" if spec["cap"] else ""
    return f"{spec['shape']}, {spec['phase']}, {spec['way']}, {spec['prompt']} + {spec['completion']}{cap}{', profile' if spec['profile'] else ''}"


def in_a_process(spec: dict, log: Path) -> dict:
    """What `measure` says of `spec`; where it fails, why."""
    result = log.with_suffix(".json")
    result.unlink(missing_ok=True)
    failed = logged(["recipes/studies/gpu_step.py", json.dumps(spec), str(result)], log)
    return failed or json.loads(result.read_text())


def logged(command: list[str], log: Path) -> dict | None:
    """Run a recipe with its words in `log`; where it fails, what it said last of it: its progress bars say more."""
    with log.open("w") as file:
        status = subprocess.run(
            [sys.executable, *command], stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, check=False
        ).returncode
    if not status:
        return None
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    told = [line for line in lines if re.match(r"(\w+\.)*(\w*Error|error)\b", line)]
    return {"error": f"exit status {status}: {(told or lines or ['no output'])[-1][:300]}", "log": str(log)}


def nano_ladder(backend: str, preset: str, work: Path) -> dict:
    """The three phases on nano by `backend`: the ladder's rungs, or why there is none."""
    run = work / f"nano-{backend}"
    command = ["recipes/grpo.py", "--preset", preset, "--backend", backend, "--output", str(run)]
    failed = logged(command, work / f"nano-{backend}.log")
    if failed:
        return failed
    rungs = json.loads((run / "ladder.json").read_text())["rows"]
    return {rung["phase"]: {"balanced": rung["balanced"], "interval": rung["interval"]} for rung in rungs}


def table(found: dict) -> str:
    """What was measured, as Markdown."""
    lines = [f"# {found['device']}", "", found["versions"], "", "## nano, the three phases", ""]
    for backend, rungs in found["nano"].items():
        told = rungs.get("error") or " → ".join(
            f"{phase} {rung['balanced']:.1f} ± {rung['interval']:.1f}"
            for phase, rung in rungs.items()
            if isinstance(rung, dict)
        )
        lines.append(f"* {backend}: {told}")
    head = [
        "model",
        "phase",
        "tokens",
        "memory held to",
        "by",
        "s a step",
        "samples/s",
        "tokens/s",
        "peak reserved GiB",
        "micro-batch",
    ]
    lines += ["", "## Steps", "", f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    for one in found["steps"].values():
        spec, got = one["spec"], one["figures"]
        if spec["profile"]:
            continue
        told = [
            spec["shape"],
            spec["phase"],
            f"{spec['prompt']} + {spec['completion']}",
            str(spec["cap"] or "–"),
            WAYS[spec["way"]],
        ]
        if "error" in got:
            lines.append(f"| {' | '.join(told)} | {got['error'][:120].replace('|', '/')} |" + " |" * 4)
            continue
        keys = ("seconds", "samples_per_second", "completion_tokens_per_second", "reserved_gib", "micro_batch")
        lines.append(f"| {' | '.join(told)} | {' | '.join(str(got.get(key, '–')) for key in keys)} |")
    for one in found["steps"].values():
        if "shares" in one["figures"]:
            lines += ["", f"## Where a step goes: {named(one['spec'])}", ""]
            lines += [f"* {name}: {share} %" for name, share in one["figures"]["shares"].items()]
    return "\n".join(lines) + "\n"


def run(output: Path, work: Path, minutes: float, dry: bool) -> Path:
    """Measure what is missing in `output`, for at most about `minutes`; the path of the results."""
    import torch

    from recipes.training.environment import describe_versions
    from recipes.training.files import write_json

    cuda = torch.cuda.is_available()
    if not (cuda or dry):
        raise UsageError("no CUDA device; --dry-run tries the same code on tiny shapes on a CPU")
    until = time.time() + 60 * minutes
    device = torch.cuda.get_device_name(0) if cuda else "CPU, dry run"
    work.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"gpu-{'-'.join(device.lower().replace(',', '').split())}.json"
    found = (
        json.loads(path.read_text())
        if path.exists()
        else {"device": device, "versions": describe_versions(), "nano": {}, "steps": {}}
    )

    def keep() -> None:
        write_json(path, found)
        path.with_suffix(".md").write_text(table(found))

    def missing(results: dict, name: str) -> bool:
        if name in results and "error" not in results[name].get("figures", results[name]):
            return False
        if time.time() > until:
            print(f"no time left for {name}; the same command goes on", flush=True)
            return False
        print(f"{(time.time() - until) / 60 + minutes:5.1f} min  {name}", flush=True)
        return True

    def step(spec: dict) -> None:
        name, model = named(spec), work / spec["shape"]
        if not missing(found["steps"], name):
            return
        if not (model / "4bit").exists():
            shutil.rmtree(model, ignore_errors=True)
            make_model(model, spec["shape"])
        log = work / f"{name.replace(', ', '-').replace(' ', '')}.log"
        found["steps"][name] = {
            "spec": {k: v for k, v in spec.items() if k != "folder"},
            "figures": in_a_process(spec, log),
        }
        keep()
        print(f"           {found['steps'][name]['figures']}", flush=True)

    planned = specs(work, dry)
    first = 2 if cuda else len(planned)  # what is wanted most comes before nano's ladder
    for spec in planned[:first]:
        step(spec)
    for backend in ("unsloth", "hf") if cuda else ("hf",):
        if missing(found["nano"], backend):
            found["nano"][backend] = nano_ladder(backend, "smoke" if dry else "nano", work)
            keep()
    for spec in planned[first:]:
        step(spec)
    keep()
    return path
