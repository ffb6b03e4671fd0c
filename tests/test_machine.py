"""The machine of a notebook: the platform, the chosen preset, and a run that continues in a new session."""

import sys
import types

import pytest

from chemr_lite.model import hardware
from recipes.training import machine
from recipes.training.options import UsageError


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    for name in ("KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)


def test_platforms_are_told_apart(monkeypatch):
    assert machine.platform() == "your own machine"
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-1")
    assert machine.platform() == "Colab"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert machine.platform() == "Kaggle"


def test_the_preset_is_explained(monkeypatch, tmp_path):
    text = machine.describe(None, tmp_path)
    assert "no GPU" in text and "→ preset nano: nothing to download" in text and "GiB free" in text
    assert "→ preset t4 (you chose it): unsloth/Qwen2.5-3B-Instruct-bnb-4bit is downloaded" in machine.describe(
        "t4", tmp_path
    )
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert "12 hours" in machine.describe("smoke", tmp_path)


def test_a_t4_on_kaggle(monkeypatch, tmp_path):
    import torch

    from chemr_lite.model.hardware import Hardware

    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.setattr(hardware, "detect_hardware", lambda: Hardware("cuda", "Tesla T4", 14.7, "fp16"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    text = machine.describe(None, tmp_path)
    assert "Tesla T4, 14.7 GiB, compute capability 7.5: fp16" in text and "two T4s" in text and "→ preset t4:" in text


def test_an_earlier_session_goes_on(tmp_path):
    (tmp_path / "input" / "foundation").mkdir(parents=True)
    (tmp_path / "input" / "foundation" / "run.json").write_text("{}")
    run = tmp_path / "working" / "run"
    assert machine.prepare_run(str(run), earlier=str(tmp_path / "input")) == str(run)
    assert (run / "foundation" / "run.json").exists()
    (run / "foundation" / "run.json").write_text("changed")
    machine.prepare_run(str(run), earlier=str(tmp_path / "input"))  # copied once
    assert (run / "foundation" / "run.json").read_text() == "changed"
    with pytest.raises(UsageError):
        machine.prepare_run(str(tmp_path / "new"), earlier=str(tmp_path / "none"))
    assert not (tmp_path / "new").exists()


def test_drive_is_mounted_on_colab_alone(monkeypatch, tmp_path):
    mounted = []
    google = types.ModuleType("google.colab")
    google.drive = types.SimpleNamespace(mount=mounted.append)
    monkeypatch.setitem(sys.modules, "google.colab", google)
    assert (
        machine.prepare_run(str(tmp_path / "run"), drive=str(tmp_path / "drive")) == str(tmp_path / "run")
        and mounted == []
    )
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-1")
    assert machine.prepare_run(str(tmp_path / "run"), drive=str(tmp_path / "drive")) == str(tmp_path / "drive")
    assert mounted == ["/content/drive"] and (tmp_path / "drive").is_dir()
