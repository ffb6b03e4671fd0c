"""A merged model answers like base and adapter, on disk and behind `transformers serve`, and can teach."""

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from chemr_lite.protocols import load_protocols
from tests.conftest import recipe
from tests.starter import environment


@pytest.fixture(scope="module")
def merged(smoke, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("export") / "merged"
    done = recipe("export", smoke / "distill", "--output", output, "--precision", "fp32")
    assert done.returncode == 0, done.stderr[-3000:]
    return output


def test_a_merged_model_answers_as_base_and_adapter_do(smoke, merged):
    from transformers import AutoModelForCausalLM

    from chemr_lite import build_prompt, data, get_task
    from chemr_lite.model.adapters import with_adapter
    from chemr_lite.model.beginnings import complete
    from chemr_lite.model.folders import base_path
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_base, load_tokenizer

    rows = data.load(["nano"]).rows["test"][::60]
    tokenizer = load_tokenizer(str(merged))
    prompts = [build_prompt(get_task(row["task"]).question(row)) for row in rows]
    prompt_ids = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=False)
    apart = with_adapter(load_base(base_path("nano"), detect_hardware()), smoke / "distill")
    whole = AutoModelForCausalLM.from_pretrained(merged)
    phase_answers, merged_answers = (
        complete(model, prompt_ids, 40, [tokenizer.eos_token_id]) for model in (apart, whole)
    )
    assert len(rows) > 40 and phase_answers == merged_answers


def test_what_cannot_be_merged_is_refused(smoke, merged, tmp_path):
    for args, message in (([smoke], "no adapter in it"), ([smoke / "distill", "--output", merged], "is there already")):
        done = recipe("export", *args)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def served_nano(merged):
    """The URL of nano behind `transformers serve`: a teacher of 3 million parameters."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "transformers.cli.transformers",
        "serve",
        str(merged),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    process = subprocess.Popen([*command, "--device", "cpu"], env=environment())
    deadline = time.time() + 120
    while True:
        assert process.poll() is None and time.time() < deadline
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}/v1"
    process.terminate()
    process.wait(30)


@pytest.mark.slow
def test_a_served_nano_teaches(smoke, merged, served_nano, tmp_path):
    run, traces = tmp_path / "taught", tmp_path / "traces.jsonl"
    for name in ("base", "foundation"):
        shutil.copytree(smoke / name, run / name)
    args = ["--preset", "smoke", "--server", served_nano, "--server-model", merged, "--output", traces]
    teaching = recipe("teach", *args, "--rows", 4, "--server-tokens", 64, "--least-grounding", 0)
    answers = [json.loads(line) for line in (tmp_path / "traces.answers.jsonl").read_text().splitlines()]
    assert len({line["key"] for line in answers}) == len(answers) == 9 * 4  # none lost, none twice
    counts = json.loads((tmp_path / "traces.filter.json").read_text())
    assert sum(sum(reasons.values()) for reasons in counts.values()) == len(answers)
    kept = sum(reasons.get("kept", 0) for reasons in counts.values())
    if kept:
        assert teaching.returncode == 0, teaching.stderr[-3000:]
        done = recipe(
            "distill", "--preset", "smoke", "--output", run, "--traces", f"grounded,{traces}", "--max-steps", 1
        )
        assert done.returncode == 0, done.stderr[-3000:]
        # a kept trace joins RDKit's, or replaces the bare answer where nano has no steps
        added = sum(reasons.get("kept", 0) for task, reasons in counts.items() if load_protocols("nano").of(task))
        assert json.loads((run / "distill/run.json").read_text())["examples"]["rows"] == 9 * 60 + added
    else:  # after a minute of training nano is a poor teacher
        assert teaching.returncode == 2 and "no trace" in teaching.stderr and "filter.json says why" in teaching.stderr


@pytest.mark.slow
def test_a_served_nano_is_evaluated_as_the_one_on_disk(smoke, merged, served_nano, tmp_path):
    common = ["--preset", "smoke", "--tasks", "property_prediction", "--eval-rows", 8]
    here = recipe("evaluate", smoke / "distill", *common, "--output", tmp_path / "here")
    there = recipe(
        "evaluate",
        "--server",
        served_nano,
        "--server-model",
        merged,
        "--server-tokens",
        64,
        *common,
        "--output",
        tmp_path / "there",
    )
    assert here.returncode == there.returncode == 0, (here.stderr + there.stderr)[-3000:]
    phase_answers, merged_answers = (
        [json.loads(line) for line in (tmp_path / at / "predictions.jsonl").read_text().splitlines()]
        for at in ("here", "there")
    )
    alike = [a["completion"] == b["completion"] for a, b in zip(phase_answers, merged_answers, strict=True)]
    assert len(alike) == 8 and sum(alike) >= 7  # a near tie may be decided differently
