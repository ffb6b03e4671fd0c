"""LoRA adapters: loaded onto a model, copied before a trainer changes them, and restored."""

from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from chemr_lite.errors import ModelError, first_line


def with_adapter(model, adapter: Path, trainable: bool = False, name: str = "default"):
    """Return `model` with the LoRA that is saved in the folder `adapter`, added under `name`.

    A model that has an adapter already keeps it. Raises ModelError if the new one cannot be read.
    """
    try:
        if isinstance(model, PeftModel):
            model.load_adapter(str(adapter), name, is_trainable=trainable)
            return model
        return PeftModel.from_pretrained(model, str(adapter), name, is_trainable=trainable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{adapter}: its adapter cannot be read ({first_line(error)}); delete the folder to train that phase again"
        ) from error


def adapter_weights(model) -> dict[str, Tensor]:
    """Return a copy of the trainable weights in full precision. Take it before a trainer is built around `model`."""
    return {name: p.detach().clone().float() for name, p in model.named_parameters() if p.requires_grad}


def saved_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of the adapter that is saved in `folder`, under the names of the model's parameters."""
    weights = load_file(folder / "adapter_model.safetensors")
    return {name.replace(".weight", ".default.weight"): value for name, value in weights.items()}


def restore_adapter(model, weights: dict[str, Tensor]) -> None:
    """Set the adapter of `model` to `weights`, in the precision of `weights`.

    This undoes TRL's cast of a QLoRA adapter to bf16, which rounds the result of phase 2 and breaks fp16 training on a
    T4.
    """
    for name, parameter in model.named_parameters():
        if name in weights:
            parameter.data = weights[name].to(parameter.device)
