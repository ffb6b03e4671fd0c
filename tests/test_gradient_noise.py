"""The noise of GRPO's gradient: Gaussian gradients of a known scale, and the gradient that TRL trains with."""

import re

import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from chemr_lite.answers import build_prompt
from chemr_lite.model.adapters import adapter_weights, restore_adapter
from chemr_lite.model.beginnings import share_beginnings
from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_model, load_tokenizer
from recipes.studies.gradient_noise import SKETCH, Sketch, gradient, noise_scale, table
from tests.conftest import recipe


def gaussian(groups: int, mean: float, seed: int = 0) -> torch.Tensor:
    """Return gradients of 50 entries with unit variance around a mean of length `mean`: a noise scale of 50 / mean²."""
    torch.manual_seed(seed)
    return torch.randn(groups, 50) + mean * torch.nn.functional.normalize(torch.randn(50), dim=0)


def test_the_scale_is_variance_over_squared_mean():
    figures = noise_scale(gaussian(4000, 2.0))
    assert figures["scale"] == pytest.approx(50 / 4, rel=0.1)
    assert figures["least"] < figures["scale"] < figures["most"]
    inside = 0
    for seed in range(200):
        figures = noise_scale(gaussian(60, 2.0, seed))
        inside += figures["least"] < 50 / 4 and (figures["most"] is None or figures["most"] > 50 / 4)
    assert inside >= 180  # of two standard errors 95 % are expected


def test_gradients_that_agree_have_no_noise_and_luck_has_no_scale():
    assert noise_scale(torch.ones(12, 5))["scale"] == pytest.approx(0, abs=1e-5)
    assert noise_scale(torch.zeros(12, 5)) == noise_scale(torch.ones(9, 5)) == dict.fromkeys(("scale", "least", "most"))
    lucky = [noise_scale(gaussian(200, 0.0, seed)) for seed in range(20)]
    assert sum(figures["scale"] is None for figures in lucky) >= 17  # two standard errors: one in forty is mistaken
    assert all(figures["least"] is None or figures["least"] > 200 for figures in lucky)


def test_a_sketch_keeps_products():
    torch.manual_seed(0)
    first, second = torch.randn(2, 300_000)
    second = second + first
    sketch = Sketch(300_000, "cpu")
    lengths = first.norm() * second.norm()
    assert abs(sketch(first) @ sketch(second) - first @ second) < 5 * lengths / SKETCH**0.5
    assert sketch(first).square().sum().item() == pytest.approx(first.square().sum().item(), rel=0.1)


def test_it_is_the_gradient_that_trl_trains_with(tmp_path):
    torch.manual_seed(0)
    tokenizer = load_tokenizer("nano")
    model = load_model("nano", None, "hf", detect_hardware(), 128, 8, seed=0)
    weights = adapter_weights(model)
    prompt = build_prompt("CCO")
    prompt_ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
    completions = [torch.randint(5, 60, (length,)).tolist() for length in (7, 12, 3, 12)]
    rewards, taken = [1.0, 0.0, 0.25, 0.5], []

    class Take(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **_):
            taken.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad]))

    config = GRPOConfig(
        output_dir=str(tmp_path),
        max_steps=1,
        num_generations=4,
        per_device_train_batch_size=4,
        max_completion_length=16,
        beta=0.0,
        temperature=0.7,
        loss_type="grpo",
        scale_rewards="none",
        max_grad_norm=0.0,
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[lambda prompts, completions, **_: rewards],
        train_dataset=Dataset.from_list([{"prompt": prompt}]),
        rollout_func=lambda prompts, trainer: {
            "prompt_ids": [prompt_ids] * 4,
            "completion_ids": completions,
            "logprobs": None,
        },
        callbacks=[Take()],
        args=config,
    )
    restore_adapter(model, weights)
    trainer.train()
    restore_adapter(model, weights)
    for prepare, at_once in ((lambda: None, 4), (lambda: None, 3), (lambda: share_beginnings(model), 4)):
        prepare()
        vector = gradient(model, prompt_ids, completions, rewards, 0.7, at_once)
        torch.testing.assert_close(-vector, taken[0], atol=1e-3 * float(taken[0].abs().max()), rtol=1e-3)


TASKS = ["open_generation/mol_edit_add", "open_generation/mol_opt_logp"]


def test_the_recipe_tells_every_task_and_trains_nothing(smoke, tmp_path):
    before = (smoke / "distill" / "adapter_model.safetensors").read_bytes()
    options = ["--preset", "smoke", "--groups", "10", "--train-rows", "0", "--tasks", ",".join(TASKS)]
    done = recipe("studies/gradient_noise", smoke / "distill", *options, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "noise.md").read_text()
    assert text in done.stdout
    assert re.findall(r"^\| (\w+/\w+) \| 10 \|", text, re.MULTILINE) == TASKS and "| all | 20 |" in text
    assert (smoke / "distill" / "adapter_model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "name the phase to start from"),
        (["nowhere/distill"], "nowhere/distill: there is no such folder"),
        (["nowhere/distill", "--groups", 3], "--groups 3: at least 10"),
        (["nowhere/distill", "--num-generations", 1], "--num-generations 1: at least 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(args, message):
    done = recipe("studies/gradient_noise", *args)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bound_stands_where_there_is_no_scale():
    figures = {"groups": 10, "reward": 0.5, "differ": 0.3, "scale": None, "least": None, "most": None}
    lines = table(
        {"a": figures | {"scale": 12.3, "least": 4.0, "most": 99.0}, "b": figures | {"least": 1234.5}, "c": figures}
    )
    assert [line.split(" | ")[-1] for line in lines.splitlines()[2:]] == ["12 (4 to 99) |", "over 1,234 |", "– |"]
