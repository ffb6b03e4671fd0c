"""The KL that holds what is not practised: against the same computed plainly, shared out among micro-batches, and by the recipe."""

from types import SimpleNamespace

import pytest
import torch

from chemr_lite import build_prompt, data, get_task, models, render
from chemr_lite.mixing import Mixture
from chemr_lite.protocols import load_protocols
from recipes import anchor
from recipes.grpo import check
from recipes.options import Options, UsageError

ROWS = data.load(["nano"]).rows["train"]
OPTIONS = Options(anchor=3.0, protocols="nano", seed=4)


@pytest.fixture(scope="module")
def model():
    """nano with a phase 2 and a copy of it that has gone on from there."""
    torch.manual_seed(0)
    made = models.load_model("nano", None, "hf", models.detect_hardware(), 128, 8, 8, seed=0)
    made.add_adapter("ref", made.peft_config["default"])
    weights = dict(made.named_parameters())
    for name, parameter in weights.items():
        if ".default." in name:
            parameter.data = torch.randn_like(parameter) * 0.1
            weights[name.replace(".default.", ".ref.")].data = parameter.data + torch.randn_like(parameter) * 0.05
    made.set_adapter("default")
    return made


def trainer(model, parts: int = 1):
    """What `hold` takes of a GRPOTrainer, whose own loss is 1."""
    return SimpleNamespace(
        processing_class=models.load_tokenizer("nano"),
        args=SimpleNamespace(gradient_accumulation_steps=parts),
        accelerator=SimpleNamespace(process_index=0, unwrap_model=lambda model: model),
        state=SimpleNamespace(global_step=0),
        _metrics={"train": {"kl_anchor": []}},
        compute_loss=lambda model, inputs, **_: torch.ones((), requires_grad=True) / parts,
    )


def plain(model, step: int) -> float:
    """The same, text by text: the mean over the step's texts of the mean over their answers' tokens of KL(phase 2 ‖ now)."""
    tokenizer, protocols = models.load_tokenizer("nano"), load_protocols("nano")
    mixture, found = Mixture(anchor.known(ROWS), anchor.TEXTS, OPTIONS.seed, "uniform"), []
    for slot in range(step * anchor.TEXTS, (step + 1) * anchor.TEXTS):
        row = mixture.draw(slot)
        task = get_task(row["task"])
        asked = build_prompt(task.question(row))
        start = len(tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=True, return_dict=False))
        whole = [*asked, {"role": "assistant", "content": render(task.trace(row, protocols), row["answer"])}]
        ids = torch.tensor([tokenizer.apply_chat_template(whole, tokenize=True, return_dict=False)])
        told = []
        for name in ("ref", "default"):
            model.set_adapter(name)
            with torch.no_grad():
                told.append(model(input_ids=ids).logits[0, start - 1 : -1].log_softmax(-1))
        before, now = told
        found.append((before.exp() * (before - now)).sum(-1).mean().item())
    return sum(found) / len(found)


def gradient(model, parts: int, step: int = 2) -> tuple[float, torch.Tensor, list[float]]:
    """Loss, gradient and log of a step in so many micro-batches."""
    model.zero_grad()
    held = trainer(model, parts)
    anchor.hold(held, ROWS, OPTIONS)
    held.state.global_step = step
    whole = 0.0
    for _ in range(parts):
        loss = held.compute_loss(model, {}, num_items_in_batch=None)
        loss.backward()
        whole += loss.item()
    grads = [p.grad.flatten() for name, p in model.named_parameters() if ".default." in name]
    return whole, torch.cat(grads), held._metrics["train"]["kl_anchor"]


def test_it_is_the_mean_divergence_of_the_texts_beside_the_trainers_loss(model):
    loss, grads, logged = gradient(model, 1)
    expected = plain(model, 2)
    assert expected > 0.01
    assert loss == pytest.approx(1 + OPTIONS.anchor * expected, rel=1e-3) and logged == [pytest.approx(expected, rel=1e-3)]
    assert grads.abs().max() > 0
    assert all(p.grad is None for name, p in model.named_parameters() if ".ref." in name)  # phase 2 stays where it is


@pytest.mark.parametrize("parts", [2, 3, 32])
def test_micro_batches_share_a_step_out(model, parts):
    loss, grads, logged = gradient(model, 1)
    again, shared, parts_logged = gradient(model, parts)
    assert again == pytest.approx(loss, rel=1e-4)
    torch.testing.assert_close(shared, grads, atol=1e-4 * float(grads.abs().max()), rtol=1e-3)
    assert sum(parts_logged) / parts == pytest.approx(logged[0], rel=1e-3)


def test_a_model_that_has_not_moved_is_not_pulled(model):
    weights = dict(model.named_parameters())
    before = {name: p.data.clone() for name, p in weights.items() if ".default." in name}
    for name in before:
        weights[name].data = weights[name.replace(".default.", ".ref.")].data.clone()
    loss, grads, _ = gradient(model, 1)
    for name, data_ in before.items():
        weights[name].data = data_
    assert loss == pytest.approx(1, abs=1e-5) and grads.abs().max() < 1e-5


def test_texts_depend_on_seed_and_step_alone():
    one, other = (Mixture(anchor.known(ROWS), anchor.TEXTS, 0, "uniform") for _ in range(2))
    assert [one.draw(slot)["input"] for slot in range(40, 60)] == [other.draw(slot)["input"] for slot in range(40, 60)]
    macros = {get_task(one.draw(slot)["task"]).macro for slot in range(200)}
    assert len(macros) == 8 and "open_generation" not in macros


@pytest.mark.parametrize(
    ("given", "rows", "says"),
    [
        ({"anchor": -1.0}, ROWS, "--anchor -1.0"),
        ({"anchor": 1.0, "beta": 0.0}, ROWS, "--beta above 0"),
        (
            {"anchor": 1.0},
            [row for row in ROWS if row["task"].startswith("open_generation")],
            "no training row of nano has an answer to hold",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(given, rows, says, capsys):
    with pytest.raises(UsageError):
        check(Options(**given), rows)
    assert says in capsys.readouterr().err
