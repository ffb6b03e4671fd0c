"""The replay KL: against a plain computation, divided among micro-batches and processes, and as the recipe uses it."""

from dataclasses import replace
from statistics import fmean
from types import SimpleNamespace

import pytest
import torch

from chemr_lite import build_prompt, data, get_task, render
from chemr_lite.mixing import Mixture
from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_model, load_tokenizer
from chemr_lite.protocols import load_protocols
from recipes.grpo import check
from recipes.training import replay_kl
from recipes.training.options import Options, UsageError
from recipes.training.rows import replay_rows

LOADED = data.load(["nano"])
BY_SPLIT = LOADED.rows
ROWS = [row for row in BY_SPLIT["train"] if not get_task(row["task"]).verified]
OPTIONS = Options(replay_kl=3.0, protocols="nano", seed=4)


@pytest.fixture(scope="module")
def model():
    """nano with an adapter, and a copy of it that stands for phase 2."""
    torch.manual_seed(0)
    nano = load_model("nano", None, "hf", detect_hardware(), 128, 8, seed=0)
    nano.add_adapter("ref", nano.peft_config["default"])
    weights = dict(nano.named_parameters())
    for name, parameter in weights.items():
        if ".default." in name:
            parameter.data = torch.randn_like(parameter) * 0.1
            weights[name.replace(".default.", ".ref.")].data = parameter.data + torch.randn_like(parameter) * 0.05
    nano.set_adapter("default")
    return nano


def trainer(model, parts: int = 1, rank: int = 0):
    """Return what add_replay_kl needs of a GRPOTrainer. Its own loss is the mean square of the logits of one text."""

    def own(model, inputs, **_):
        return model(input_ids=torch.arange(5, 25)[None]).logits.square().mean() / parts

    return SimpleNamespace(
        model=model,
        processing_class=load_tokenizer("nano"),
        args=SimpleNamespace(gradient_accumulation_steps=parts),
        accelerator=SimpleNamespace(process_index=rank, unwrap_model=lambda model: model),
        state=SimpleNamespace(global_step=0),
        _step=0,
        _metrics={"train": {"replay_kl": []}},
        compute_loss=own,
    )


def plain(model, step: int) -> float:
    """Return the replay KL of a step, computed text by text.

    It is the mean over texts of the mean over answer tokens of KL(phase 2 ‖ now).
    """
    tokenizer, protocols = load_tokenizer("nano"), load_protocols("nano")
    mixture, divergences = Mixture(ROWS, replay_kl.TEXTS, OPTIONS.seed, "uniform"), []
    for slot in range(step * replay_kl.TEXTS, (step + 1) * replay_kl.TEXTS):
        row = mixture.draw(slot)
        task = get_task(row["task"])
        prompt = build_prompt(task.question(row))
        start = len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False))
        whole = [*prompt, {"role": "assistant", "content": render(task.trace(row, protocols), row["answer"])}]
        ids = torch.tensor([tokenizer.apply_chat_template(whole, tokenize=True, return_dict=False)])
        log_probabilities = []
        for name in ("ref", "default"):
            model.set_adapter(name)
            with torch.no_grad():
                log_probabilities.append(model(input_ids=ids).logits[0, start - 1 : -1].log_softmax(-1))
        before, now = log_probabilities
        divergences.append((before.exp() * (before - now)).sum(-1).mean().item())
    return sum(divergences) / len(divergences)


def gradient(model, parts: int, rank: int = 0, step: int = 2) -> tuple[float, torch.Tensor, float]:
    """Return loss, gradient and logged figure of a step in `parts` micro-batches."""
    model.zero_grad()
    grpo_trainer = trainer(model, parts, rank)
    grpo_trainer.state.global_step, grpo_trainer._step = step, step * parts
    replay_kl.add_replay_kl(grpo_trainer, ROWS, OPTIONS)
    whole = 0.0
    for _ in range(parts):
        loss = grpo_trainer.compute_loss(model, {}, num_items_in_batch=None)
        loss.backward()
        whole += loss.item()
        grpo_trainer._step += 1
    grads = [p.grad.flatten() for name, p in model.named_parameters() if ".default." in name]
    return whole, torch.cat(grads), fmean(grpo_trainer._metrics["train"]["replay_kl"])


def alone(model) -> tuple[float, torch.Tensor]:
    """Return loss and gradient of a step without a replay KL."""
    model.zero_grad()
    loss = trainer(model).compute_loss(model, {})
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for name, p in model.named_parameters() if ".default." in name])


def test_it_is_the_mean_divergence_of_the_texts_beside_the_trainers_loss(model):
    loss, grads, logged = gradient(model, 1)
    own, own_grads = alone(model)
    expected = plain(model, 2)
    assert expected > 0.01
    assert loss == pytest.approx(own + OPTIONS.replay_kl * expected, rel=1e-3) and logged == pytest.approx(
        expected, rel=1e-3
    )
    assert (grads - own_grads).abs().max() > 0
    assert all(p.grad is None for name, p in model.named_parameters() if ".ref." in name)  # phase 2 stays where it is


@pytest.mark.parametrize("parts", [2, 3, 32])
def test_micro_batches_share_a_step_out(model, parts):
    loss, grads, logged = gradient(model, 1)
    again, shared, parts_logged = gradient(model, parts)
    assert again == pytest.approx(loss, rel=1e-4) and parts_logged == pytest.approx(logged, rel=1e-3)
    torch.testing.assert_close(shared, grads, atol=1e-4 * float(grads.abs().max()), rtol=1e-3)


def test_processes_share_a_step_out(model, monkeypatch):
    loss, grads, logged = gradient(model, 2)
    monkeypatch.setattr(replay_kl.distributed, "WORLD_SIZE", 2)
    losses, parts, figures = zip(
        *(gradient(model, 2, rank) for rank in range(2)), strict=True
    )  # which the trainer averages
    assert fmean(losses) == pytest.approx(loss, rel=1e-4) and fmean(figures) == pytest.approx(logged, rel=1e-3)
    torch.testing.assert_close((parts[0] + parts[1]) / 2, grads, atol=1e-4 * float(grads.abs().max()), rtol=1e-3)


def test_a_model_that_has_not_moved_is_not_pulled(model):
    weights = dict(model.named_parameters())
    before = {name: p.data.clone() for name, p in weights.items() if ".default." in name}
    for name in before:
        weights[name].data = weights[name.replace(".default.", ".ref.")].data.clone()
    loss, grads, _ = gradient(model, 1)
    own, own_grads = alone(model)
    for name, kept in before.items():
        weights[name].data = kept
    assert loss == pytest.approx(own, rel=1e-5)
    torch.testing.assert_close(grads, own_grads, atol=1e-5 * float(own_grads.abs().max()), rtol=1e-3)


def test_a_step_that_is_tried_first_changes_nothing(model):
    """After a rehearsal the trainer counts from 0 again."""
    grpo_trainer = trainer(model)
    replay_kl.add_replay_kl(grpo_trainer, ROWS, OPTIONS)
    once, again = grpo_trainer.compute_loss(model, {}).item(), grpo_trainer.compute_loss(model, {}).item()
    grpo_trainer.state.global_step = grpo_trainer._step = 1
    assert once == again != grpo_trainer.compute_loss(model, {}).item()


def test_too_long_texts_are_left_out(model):
    grpo_trainer = trainer(model)
    replay_kl.add_replay_kl(grpo_trainer, ROWS, replace(OPTIONS, max_length=3))
    assert grpo_trainer.compute_loss(model, {}).item() == pytest.approx(alone(model)[0])
    assert grpo_trainer._metrics["train"]["replay_kl"] == [0.0]


@pytest.mark.parametrize(
    ("options", "rows", "says"),
    [
        (
            OPTIONS,
            [row for row in BY_SPLIT["train"] if row["task"].startswith("open_generation")],
            "no other training row has a known answer",
        ),
        (
            replace(OPTIONS, grpo_tasks="retrosynthesis"),
            [row for row in ROWS if row["task"] == "retrosynthesis"],
            "no other training row",
        ),
        (OPTIONS, ROWS, "keeps no copy of phase 2"),
    ],
)
def test_it_says_why_it_cannot_be_added(model, options, rows, says, capsys):
    grpo_trainer = trainer(model if rows is not ROWS else SimpleNamespace(peft_config={"default": None}))
    before = grpo_trainer.compute_loss
    replay_kl.add_replay_kl(grpo_trainer, replay_rows(options, {"train": rows}), options)
    assert grpo_trainer.compute_loss is before and says in capsys.readouterr().out


def test_replayed_are_the_tasks_with_answers_that_are_not_practised():
    tasks = {row["task"] for row in ROWS}
    assert len(tasks) > 10 and replay_rows(OPTIONS, BY_SPLIT) == ROWS
    left = {
        row["task"] for row in replay_rows(replace(OPTIONS, grpo_tasks="retrosynthesis,yield_prediction"), BY_SPLIT)
    }
    assert tasks - left == {"retrosynthesis", "yield_prediction/rule_hindrance"}


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match="--replay-kl -1.0"):
        check(Options(replay_kl=-1.0), LOADED)
