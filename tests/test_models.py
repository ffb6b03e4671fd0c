"""The 4-bit base with its adapter, as the trainers use it."""

import bitsandbytes
import pytest
import torch

from chemr_lite import models


@pytest.fixture(scope="module")
def model():
    return models.load_model("nano", None, "hf", models.detect_hardware(), 128, 8, 8, seed=0)


def gradients(model) -> dict:
    model.train()
    model.zero_grad()
    ids = torch.arange(300, 340)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_generating_leaves_the_gradients_as_they_were(model):
    """bitsandbytes may repack 4-bit weights in eval mode, after which no gradient passes a layer."""
    before = gradients(model)
    model.eval()
    with torch.no_grad():
        model.generate(torch.arange(300, 310)[None], max_new_tokens=4, pad_token_id=0)
    after = gradients(model)
    assert before.keys() == after.keys() and len(before) > 50
    for name in before:
        torch.testing.assert_close(after[name], before[name])


def test_only_the_adapter_learns(model):
    assert {name.split(".")[-3] for name in gradients(model)} == {"lora_A", "lora_B"}
    assert sum(isinstance(module, bitsandbytes.nn.Linear4bit) for module in model.modules()) == 42
