"""The rollout of phase 3, in TRL's own trainer: flat groups cost no pass, and the others' gradient is the same."""

import pytest
import torch
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from chemr_lite import data
from chemr_lite.mixing import Mixture, columns_of
from chemr_lite.model.adapters import adapter_weights, restore_adapter
from chemr_lite.model.beginnings import share_beginnings
from chemr_lite.model.generation import sample_completions
from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_base, load_model, load_tokenizer
from recipes.training.memory import Rehearsal
from recipes.training.rollout import Rollout
from recipes.training.time_left import TimeLeft
from recipes.training.variety import Variety

LIVE, FLAT = "retrosynthesis", "name_prediction/iupac_to_smiles"
ROWS = data.load(["nano"], tasks=[LIVE, FLAT]).rows["train"]
PROMPTS, SIZE = 6, 4


def reward(completions, task, answer, meta, **_) -> list[float]:
    """Earn for LIVE by the number of letters, and the same for FLAT whatever the text."""
    texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    return [0.25 if name == FLAT else len(text) / 200 for text, name in zip(texts, task, strict=True)]


class Step(TrainerCallback):
    """Keeps the gradient of the step and counts the tokens that the model reads in training mode."""

    def __init__(self, model):
        self.tokens, self.gradient, self.model = 0, None, model
        self.hook = model.get_input_embeddings().register_forward_hook(self.read)

    def read(self, module, inputs, output):
        self.tokens += inputs[0].numel() if self.model.training else 0

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        self.gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


def one_step(tmp_path, emptied, micro_batch, beta, tasks=(LIVE, FLAT), shared=False, rehearse=False):
    """Train one step, with flat groups emptied or not. Return gradient, tokens read and log."""
    rows = [row for row in ROWS if row["task"] in tasks]
    mixture = Mixture(rows, PROMPTS, seed=1, sampling="uniform", scaling="none")
    rollout = Rollout(mixture, reward)
    model = load_model("nano", None, "hf", detect_hardware(), 192, 8, seed=0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zeros would leave most of the gradient at 0
            parameter.data = 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))

    weights = adapter_weights(model)

    def whole(prompts, trainer):
        rollout.judge = lambda *step: ([False] * len(prompts), Rollout.judge(rollout, *step)[1])
        return rollout(prompts, trainer)

    trainer = GRPOTrainer(
        model=model,
        processing_class=load_tokenizer("nano"),
        reward_funcs=[mixture.wrap(reward)],
        train_dataset=mixture.dataset(1),
        rollout_func=rollout if emptied else whole,
        callbacks=[step := Step(model)],
        args=GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            max_grad_norm=0,
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=PROMPTS * SIZE // micro_batch,
            num_generations=SIZE,
            max_completion_length=24,
            beta=beta,
            loss_type="grpo",
            scale_rewards="none",
            shuffle_dataset=False,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            seed=0,
        ),
    )
    restore_adapter(model, weights)  # trl casts it to bf16
    if shared:
        share_beginnings(model)
    if rehearse:
        trainer.add_callback(Rehearsal(trainer, mixture, rows, PROMPTS * SIZE, TimeLeft()))
    torch.manual_seed(5)
    trainer.train()
    step.hook.remove()
    return step.gradient, step.tokens, trainer.state.log_history[0]


@pytest.mark.parametrize("micro_batch, beta, shared", [(24, 0.0, False), (4, 0.05, False), (24, 0.05, True)])
def test_the_gradient_of_the_other_groups_is_the_same(tmp_path, micro_batch, beta, shared):
    expected, tokens, log = one_step(tmp_path / "a", False, micro_batch, beta, shared=shared)
    gradient, fewer_tokens, its_log = one_step(tmp_path / "b", True, micro_batch, beta, shared=shared)
    flat = log["groups/without_signal"]
    assert 0 < flat < 1
    same = ("completions/length", "completions/clipped_ratio", "reward/unscaled", "groups/without_signal", "distinct")
    assert {name: its_log[name] for name in same} == {name: log[name] for name in same}
    assert expected.norm() > 1e-4
    assert (gradient - expected).norm() < 1e-4 * expected.norm()  # rounding
    if shared:
        assert fewer_tokens < tokens * (1 - flat / 2)


@pytest.mark.parametrize("shared", [False, True])
def test_a_step_of_flat_groups_alone_changes_nothing(tmp_path, shared):
    gradient, _, log = one_step(tmp_path, True, 8, 0.05, tasks=(FLAT,), shared=shared)
    assert log["groups/without_signal"] == 1 and not gradient.any()
    assert all(value == value for value in log.values())  # no NaN


def test_a_rehearsal_leaves_nothing_behind(tmp_path, capsys):
    expected, tokens, _ = one_step(tmp_path / "a", True, 8, 0.05)
    gradient, more_tokens, log = one_step(tmp_path / "b", True, 8, 0.05, rehearse=True)
    assert "the largest step takes" in capsys.readouterr().out
    assert torch.equal(gradient, expected) and log["step"] == 1
    # it read each of its completions to the limit, in a pass for the reference and one to train
    assert more_tokens - tokens > 24 * PROMPTS * SIZE


def test_completions_can_be_held_to_a_length():
    model, tokenizer = load_base("nano", detect_hardware()), load_tokenizer("nano")
    prompts = columns_of(ROWS[:6])["prompt"]
    torch.manual_seed(0)
    _, free = sample_completions(model, tokenizer, prompts, 20, 1.0)
    _, held = sample_completions(model, tokenizer, prompts, 20, 1.0, min_new_tokens=20)
    assert min(map(len, free)) < 20 and {*map(len, held)} == {20}


def test_variety_within_groups_and_over_questions():
    variety = Variety()
    assert variety.observe([LIVE, FLAT], [["CCO", "OCC", None, "C"], [None] * 4]) == {
        "distinct": 0.25,
        f"distinct/{LIVE}": 0.5,  # two spellings of a molecule are one answer
        f"distinct/{FLAT}": 0.0,
    }
    for number in range(15):
        metrics = variety.observe([LIVE], [["CCO", "CCO", "C" * (number + 2)]])
    assert metrics == {"distinct": 2 / 3, f"distinct/{LIVE}": 2 / 3, f"commonest/{LIVE}": 1}
    for number in range(48):
        metrics = variety.observe([LIVE], [["C" * (number + 2)]])
    assert metrics == {"distinct": 1, f"distinct/{LIVE}": 1, f"commonest/{LIVE}": pytest.approx(1 / 48)}
