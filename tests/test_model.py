"""The 4-bit base with its adapter, as the trainers use it, and messages about a faulty installation."""

import logging
import os

import bitsandbytes
import pytest
import torch
from peft.tuners.lora import LoraLayer
from trl import SFTConfig

from chemr_lite.model.cpu import fuse_adapters
from chemr_lite.model.hardware import choose_backend, detect_hardware
from chemr_lite.model.load import load_base, load_model
from recipes.training import environment, sft


@pytest.fixture(scope="module")
def model():
    return load_model("nano", None, "hf", detect_hardware(), 128, 8, seed=0)


def gradients(model) -> dict:
    model.train()
    model.zero_grad()
    ids = torch.arange(300, 340)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_generating_does_not_change_the_gradients(model):
    """bitsandbytes may repack 4-bit weights in eval mode, after which no gradient passes a layer."""
    before = gradients(model)
    model.eval()
    with torch.no_grad():
        model.generate(torch.arange(300, 310)[None], max_new_tokens=4, pad_token_id=0)
    after = gradients(model)
    assert before.keys() == after.keys() and len(before) > 50
    for name in before:
        torch.testing.assert_close(after[name], before[name])


def test_one_product_gives_the_gradients_of_three(model):
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    torch.manual_seed(0)
    for layer in layers:
        layer.lora_B["default"].weight.data.normal_(std=0.02)  # as after training; fresh ones are 0
        vars(layer).pop("forward", None)
    peft = gradients(model)
    fuse_adapters(model)
    ours = gradients(model)
    assert peft.keys() == ours.keys() and all("forward" in vars(layer) for layer in layers)
    for name in peft:
        torch.testing.assert_close(ours[name], peft[name], atol=1e-5, rtol=1e-3)
    with model.disable_adapter(), torch.no_grad():
        without_adapter = model(torch.arange(300, 340)[None]).logits
    base = load_base("nano", detect_hardware())
    torch.testing.assert_close(without_adapter, base(torch.arange(300, 340)[None]).logits)


def test_only_the_adapter_learns(model):
    assert {name.split(".")[-3] for name in gradients(model)} == {"lora_A", "lora_B"}
    assert sum(isinstance(module, bitsandbytes.nn.Linear4bit) for module in model.modules()) == 42


# messages about a faulty installation


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_driver_without_a_torch_for_it_is_reported(tmp_path, monkeypatch, caplog):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with caplog.at_level(logging.WARNING):
        assert choose_backend(None) == "hf"
    assert "finds no GPU" in caplog.text and "--index-url" in caplog.text


def test_other_versions_are_named_with_the_command_that_installs_the_tested_ones(monkeypatch):
    assert environment.describe_versions().endswith("(as tested)")
    tested = environment.installed()
    monkeypatch.setattr(environment, "installed", lambda: tested | {"trl": "1.15.0", "unsloth": None})
    message = environment.describe_versions()
    assert "trl 1.15.0" in message and "unsloth missing" in message
    assert f"python -m pip install trl=={tested['trl']} unsloth=={tested['unsloth']}" in message


def test_an_argument_that_the_config_lacks_is_named_and_skipped(tmp_path, capsys):
    config = sft.make_config(
        SFTConfig, output_dir=str(tmp_path), max_length=77, bf16=False, use_cpu=True, warmup_ratio=0.1
    )
    assert config.max_length == 77
    assert "SFTConfig of this trl does not know warmup_ratio" in capsys.readouterr().out
