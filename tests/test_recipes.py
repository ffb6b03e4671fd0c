"""The recipes as a user runs them: real processes on the smoke preset, offline, on CPU."""

import gzip
import json
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from chemr_lite import list_tasks, render
from recipes.training.callbacks import Limit
from recipes.training.command import STOPPED
from tests.conftest import recipe
from tests.starter import ROOT, environment, start

PHASES = ("foundation", "distill", "grpo")


def figures(run: Path) -> dict:
    """Return everything that a run has measured, without timings."""
    return {name: json.loads((run / name / "metrics.json").read_text()) for name in ("base", *PHASES)}


def test_the_ladder_has_all_rungs(smoke):
    ladder = json.loads((smoke / "ladder.json").read_text())
    assert ladder["preset"] == "smoke" and ladder["seed"] == 0
    assert [row["phase"] for row in ladder["rows"]] == ["base", *PHASES]
    for row in ladder["rows"]:
        assert set(row["macros"]) == {task.split("/")[0] for task in list_tasks()} and len(row["macros"]) == 9
        assert row["balanced"] == pytest.approx(sum(row["macros"].values()) / 9, abs=0.02)
    assert (smoke / "ladder.png").read_bytes()[:4] == b"\x89PNG"
    assert "**balanced**" in (smoke / "ladder.md").read_text()


def test_train_rows_are_counted_per_macro_task(smoke):
    examples = json.loads((smoke / "foundation" / "run.json").read_text())["examples"]
    assert (examples["rows"], examples["too_long"]) == (9 * 60, 0)  # what the preset asks for


@pytest.mark.parametrize("phase", PHASES)
def test_a_finished_phase_is_whole(smoke, phase):
    folder = smoke / phase
    assert not (smoke / f"{phase}.partial").exists()
    assert not list(folder.glob("checkpoint-*"))
    facts = json.loads((folder / "run.json").read_text())
    assert facts["versions"]["trl"] and facts["data"] and facts["peak_memory_gb"] > 0
    assert all("step" in json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == json.loads((folder / "metrics.json").read_text())["n"]
    assert all(line["reason"] for line in predictions)


def test_adapters_load_with_peft_alone_and_each_phase_starts_from_the_last(smoke):
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    weights = {}
    for phase in PHASES:
        config = json.loads((smoke / phase / "adapter_config.json").read_text())
        base = AutoModelForCausalLM.from_pretrained(config["base_model_name_or_path"])
        PeftModel.from_pretrained(base, str(smoke / phase))
        weights[phase] = load_file(smoke / phase / "adapter_model.safetensors")
    assert weights["foundation"].keys() == weights["distill"].keys() == weights["grpo"].keys()
    flat = {phase: torch.cat([weights[phase][k].flatten() for k in sorted(weights[phase])]) for phase in PHASES}
    for before, after in (("foundation", "distill"), ("distill", "grpo")):
        alike = torch.nn.functional.cosine_similarity(flat[before], flat[after], dim=0)
        assert 0.3 < alike < 1, f"{after} must start from {before} and change it"  # two fresh adapters are near 0
        assert not torch.equal(flat[before], flat[after])


def test_a_second_start_trains_nothing_and_shows_the_ladder(smoke):
    before = (smoke / "grpo" / "run.json").read_bytes()
    again = recipe("grpo", "--preset", "smoke", "--output", smoke)
    assert again.returncode == 0 and "nothing left to train" in again.stdout
    assert (smoke / "grpo" / "run.json").read_bytes() == before


def test_other_options_for_the_same_directory_are_refused(smoke):
    refused = recipe("grpo", "--preset", "smoke", "--output", smoke, "--seed", 7)
    assert refused.returncode == 2
    assert "seed 0 → 7" in refused.stderr and "--output" in refused.stderr


def test_killed_or_asked_to_end_then_the_same_command_ends_with_the_same_metrics(smoke, tmp_path):
    """SIGTERM in phase 2 right after its first checkpoint, SIGKILL in phase 3; phase 1 is copied."""
    run = tmp_path / "killed"
    command = ("grpo", "--preset", "smoke", "--output", run)
    for name in ("base", "foundation"):
        shutil.copytree(smoke / name, run / name)
    for phase, how in (("distill", signal.SIGTERM), ("grpo", signal.SIGKILL)):
        process = start(*command)
        deadline = time.time() + 240
        while not list((run / f"{phase}.partial").glob("checkpoint-*/complete")):
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.02)
        process.kill(how)
        assert process.wait() == (-9 if how is signal.SIGKILL else STOPPED)
        output = process.stdout
        assert how is signal.SIGKILL or (
            "as the system asked; the same command goes on" in output and "Traceback" not in process.stderr
        )
        assert not (run / phase).exists(), "a killed phase must not look finished"
    resumed = recipe(*command)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert "resuming from" in resumed.stdout
    assert figures(run) == figures(smoke)
    from safetensors.torch import load_file

    ours, theirs = (load_file(folder / "grpo" / "adapter_model.safetensors") for folder in (run, smoke))
    assert all((ours[k] == theirs[k]).all() for k in theirs)


@pytest.fixture
def small_disk(tmp_path):
    """A small disk, which only root can mount, and a function that sets its size in KiB."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size: int, *more: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", ",".join([*more, f"size={size}k"]), "tmpfs", str(place)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount(1024):
        pytest.skip("a small disk can be mounted by root only")
    yield place, lambda size: mount(size, "remount")
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_leaves_nothing_that_looks_whole(smoke, small_disk):
    run, resize = small_disk[0] / "run", small_disk[1]
    resize(1 << 20)
    for done in ("base", "foundation", "distill"):
        shutil.copytree(smoke / done, run / done)
    used = sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) // 1024
    resize(used + 4000)  # the first checkpoint is larger
    full = recipe("grpo", "--preset", "smoke", "--output", run)
    assert full.returncode == 2 and f"error: {run}: its disk is full" in full.stderr, full.stderr[-2000:]
    assert not (run / "grpo").exists() and not list(run.glob("*/checkpoint-*/complete"))


def test_the_hours_are_over():
    state, control = (
        SimpleNamespace(global_step=3, max_steps=9),
        SimpleNamespace(should_save=False, should_training_stop=False),
    )
    patient, late = Limit(1000.0), Limit(1e-9)
    patient.on_step_end(None, state, control)
    patient.conclude("grpo")
    assert not control.should_training_stop
    late.on_step_end(None, state, control)
    assert control.should_save and control.should_training_stop
    with pytest.raises(SystemExit) as ended:
        late.conclude("grpo")
    assert ended.value.code == STOPPED
    done = Limit(1e-9)
    done.on_step_end(None, SimpleNamespace(global_step=9, max_steps=9), control)
    done.conclude("grpo")  # after the last step nothing is cut short


def test_files_train_and_bad_lines_are_reported(tmp_path):
    rows = [
        {"task": "retrosynthesis", "input": f"CC(=O)N{'C' * n}", "answer": f"CC(=O)O.N{'C' * n}", "split": "train"}
        for n in range(1, 9)
    ]
    rows += [
        {"task": "retrosynthesis", "input": f"CCC(=O)N{'C' * n}", "answer": f"CCC(=O)O.N{'C' * n}", "split": "test"}
        for n in range(1, 3)
    ]
    lines = [json.dumps(row) for row in rows]
    lines.insert(3, '{"task": "retrosynthesis", "input": "CCO", "answer": "not a molecule"}')
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    done = recipe(
        "foundation",
        "--preset",
        "smoke",
        "--data",
        tmp_path / "mine.jsonl",
        "--output",
        tmp_path / "run",
        "--max-steps",
        2,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "line 4" in done.stdout and "1 left out" in done.stdout
    assert json.loads((tmp_path / "run/ladder.json").read_text())["rows"][1]["n"] == 2


def test_traces_of_a_teacher_train(smoke, tmp_path):
    """From a file; test_teach.py tests how a teacher writes it."""
    run = tmp_path / "taught"
    for name in ("base", "foundation"):
        shutil.copytree(smoke / name, run / name)
    with gzip.open(ROOT / "chemr_lite/nano/rows.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["task"] == "retrosynthesis" and row["split"] == "train"]
    lines = [
        {"task": row["task"], "input": row["input"], "completion": render(f"{opening}Amide coupling.", row["answer"])}
        for row in rows
        for opening in ("", "Well. ")
    ]
    (tmp_path / "traces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = recipe(
        "distill", "--preset", "smoke", "--output", run, "--traces", tmp_path / "traces.jsonl", "--max-steps", 2
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # the 60 rows of retrosynthesis have two traces each, and so have 60 that only phase 3 would see; all others have
    # the one that RDKit writes
    assert json.loads((run / "distill/run.json").read_text())["examples"]["rows"] == 8 * 60 + 2 * (60 + 60)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def model_without_tokenizer(folder: Path) -> Path:
    shutil.copytree(
        ROOT / "chemr_lite/nano/model", folder, ignore=shutil.ignore_patterns("tokenizer*", "chat_template*")
    )
    return folder


BAD_INPUT = {
    "missing file": (lambda tmp: ["--data", tmp / "none.jsonl"], "none.jsonl: no such file"),
    "empty file": (lambda tmp: ["--data", write(tmp / "empty.jsonl", "")], "empty.jsonl: no usable row"),
    "malformed with --strict": (
        lambda tmp: ["--strict", "true", "--data", write(tmp / "bad.jsonl", "{oops")], "bad.jsonl, line 1"
    ),
    "unknown columns": (
        lambda tmp: ["--data", write(tmp / "x.csv", "a,b\n1,2\n")], "x.csv: columns a, b are not known"
    ),
    "unknown task": (lambda tmp: ["--tasks", "retrosynthesys"], "nearest: retrosynthesis"),
    "unknown task of phase 3": (lambda tmp: ["--grpo-tasks", "alchemy"], "--grpo-tasks: "),
    "no row for phase 3": (
        lambda tmp: ["--tasks", "retrosynthesis", "--grpo-tasks", "reaction_prediction"], "no training row of nano"
    ),
    "unknown preset": (lambda tmp: ["--preset", "huge"], "invalid choice: 'huge'"),
    "unknown mixing": (lambda tmp: ["--sampling", "fair"], "--sampling 'fair': choose adaptive, uniform"),
    "no part of a step": (lambda tmp: ["--grpo-micro-batch", "5"], "does not divide 16 completions"),
    "a group of one": (lambda tmp: ["--num-generations", "1"], "--num-generations 1: at least 2"),
    "no such curves": (lambda tmp: ["--report-to", "wandb"], "python -m pip install wandb"),
    "unsloth without a GPU": (lambda tmp: ["--backend", "unsloth"], "needs a CUDA device"),
    "unknown flag": (lambda tmp: ["--learning-speed", "3"], "--learning-speed"),
    "unknown key": (lambda tmp: ["--config", write(tmp / "c.yaml", "grpo_stepz: 3\n")], "unknown grpo_stepz"),
    "protocol of no task": (
        lambda tmp: ["--protocols", write(tmp / "p.yaml", "steps: {}\nprotocols: {naming: {A: b}}\n")],
        "p.yaml: no task 'naming'",
    ),
    "no such traces": (lambda tmp: ["--traces", tmp / "none.jsonl"], "none.jsonl: no such file"),
    "broken yaml": (lambda tmp: ["--config", write(tmp / "c.yaml", "a: [\n")], "c.yaml"),
    "output below a file": (lambda tmp: ["--output", write(tmp / "file", "") / "run"], "cannot be written"),
    "no tokenizer": (lambda tmp: ["--model", model_without_tokenizer(tmp / "m")], "cannot load the tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT, ids=lambda name: name.replace(" ", "-"))
def test_bad_input_is_one_clear_line(case, tmp_path, monkeypatch, capsys):
    make, expected = BAD_INPUT[case]
    monkeypatch.setattr(
        sys, "argv", ["grpo.py", "--preset", "smoke", "--output", str(tmp_path / "run"), *map(str, make(tmp_path))]
    )
    with pytest.raises(SystemExit) as ended:  # in this process: torch is loaded once for all cases
        runpy.run_path(str(ROOT / "recipes/grpo.py"), run_name="__main__")
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "error: " in error and expected in error
    assert not list((tmp_path / "run").glob("**/adapter_model.safetensors"))


def test_no_hub_is_one_clear_line(tmp_path):
    done = recipe("grpo", "--preset", "smoke", "--output", tmp_path / "run", "--model", "nobody/nothing-8B")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    error = done.stderr.strip().splitlines()[-1]
    assert "error: " in error and "a local model folder" in error
    assert not list((tmp_path / "run").glob("**/adapter_model.safetensors"))


def test_a_damaged_checkpoint_is_named(smoke, tmp_path):
    run = tmp_path / "damaged"
    shutil.copytree(smoke, run)
    shutil.rmtree(run / "grpo")
    adapter = run / "distill" / "adapter_model.safetensors"
    adapter.write_bytes(adapter.read_bytes()[:1000])
    done = recipe("grpo", "--preset", "smoke", "--output", run)
    assert done.returncode == 2
    assert "distill" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


COMMANDS = ("foundation", "distill", "grpo", "evaluate", "teach", "demo", "export")
STUDIES = (
    "ablation",
    "adversarial",
    "average_ladders",
    "bench",
    "claim_checker",
    "evaluators",
    "gradient_noise",
    "report",
    "nano/pretrain",
)


@pytest.mark.parametrize("name", [*COMMANDS, *(f"studies/{name}" for name in STUDIES)])
def test_help_is_quick_and_teaches(name):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, ROOT / f"recipes/{name}.py", "--help"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # processor time, because other tests run at the same time
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert done.returncode == 0 and f"python recipes/{name}.py" in done.stdout


def test_evaluate_answers_with_any_phase(smoke, tmp_path):
    done = recipe(
        "evaluate",
        smoke / "foundation",
        "--preset",
        "smoke",
        "--output",
        tmp_path / "eval",
        "--tasks",
        "retrosynthesis",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(json.loads((tmp_path / "eval/metrics.json").read_text())["tasks"]) == ["retrosynthesis"]
