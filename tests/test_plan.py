"""The plan of a run: its arithmetic on known shapes, and its figures against a run that was made."""

import json
from dataclasses import replace

import pytest

from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_model
from recipes.training.options import Options
from recipes.training.plan import CARDS, Shape, memory, shape_of, speed_of_card
from tests.conftest import recipe

QWEN_3B = Shape(layers=36, hidden=2048, intermediate=11008, keys=256, vocabulary=151936, embeddings=1)
LLAMA_8B = Shape(layers=32, hidden=4096, intermediate=14336, keys=1024, vocabulary=128256, embeddings=2)
T4 = Options(max_length=1536, sft_micro_batch=4, grpo_micro_batch=4, max_completion_tokens=512, lora_r=32)


def test_parameters_are_those_of_the_models():
    assert QWEN_3B.parameters == pytest.approx(3.086e9, rel=1e-3)  # as their cards state
    assert LLAMA_8B.parameters == pytest.approx(8.03e9, rel=1e-3)
    model = load_model("nano", None, "hf", detect_hardware(), 128, 16, seed=0)
    shape = shape_of("nano")
    assert shape.adapter(16) == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert shape.parameters == pytest.approx(2_848_320, rel=1e-2)  # without the norms


@pytest.mark.parametrize(("shape", "base", "logits"), [(QWEN_3B, 1.9, 13.9), (LLAMA_8B, 5.3, 11.7)])
def test_memory_counts_weights_adapter_and_logits(shape, base, logits):
    lean, full = memory(shape, T4, "unsloth")[0], memory(shape, T4, "hf")[0]
    weights = lean - 16 * shape.adapter(32) / 2**30 - 2 * 4 * 1536 * shape.hidden * shape.layers / 2**30
    assert weights == pytest.approx(base, abs=0.1)
    embeddings = 2 * shape.embeddings * shape.vocabulary * shape.hidden / 2**30  # twice as wide
    assert full - lean - embeddings == pytest.approx(logits, abs=0.1)
    assert memory(shape, replace(T4, prompts_per_step=64), "unsloth")[1] > memory(shape, T4, "unsloth")[1]


def test_a_faster_card_takes_less_time():
    times = [speed_of_card(name, QWEN_3B).train(1e6) for name in CARDS]
    assert times == sorted(times, reverse=True)
    assert speed_of_card("T4", QWEN_3B).train(650) == pytest.approx(1.0, rel=0.01)  # what it is scaled from
    # published for a T4: 55 to 90 s for a step of 32 completions of 512 tokens
    card = speed_of_card("T4", QWEN_3B)
    assert 55 < card.decode(32, 512) + card.train(32 * (128 + 512)) < 90


def test_the_plan_is_what_the_run_then_does(smoke, tmp_path):
    done = recipe("grpo", "--preset", "smoke", "--plan", "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "nothing was trained" in done.stdout and not (tmp_path / "run").exists()
    for phase in ("foundation", "distill", "grpo"):
        steps = [json.loads(line)["step"] for line in (smoke / phase / "log.jsonl").read_text().splitlines()][-1]
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"  {phase}: ")]
        assert f" {steps} steps" in line
        if phase != "grpo":
            examples = json.loads((smoke / phase / "run.json").read_text())["examples"]
            assert f"{examples['rows']:,} rows, {examples['tokens']:,} tokens" in line
    assert "| this machine (CPU" in done.stdout and "measured just now" in done.stdout
