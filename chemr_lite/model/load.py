"""Load a base model in 4 bits with a LoRA adapter, by one call on any machine.

The backend `unsloth` loads it with Unsloth, on CUDA. The backend `hf` loads it with transformers, bitsandbytes and
peft, on any device. Both give NF4 weights with a LoRA on every linear layer, and both continue the adapter of an
earlier phase.
"""

import os
from pathlib import Path

from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed

from chemr_lite.answers import TAGS
from chemr_lite.errors import ModelError, first_line
from chemr_lite.model.adapters import with_adapter
from chemr_lite.model.chat import fit_template
from chemr_lite.model.cpu import fuse_adapters, unpack_base
from chemr_lite.model.folders import base_path
from chemr_lite.model.hardware import Hardware, positions_of_base

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load_tokenizer(name: str):
    """Return the tokenizer of the base model `name`, which pads on the left.

    A chat template that does not fit our conversations is adapted (chemr_lite.model.chat). Raises ModelError for a
    tokenizer that cannot be loaded, has no chat template or none that fits, or drops the tags of our format.
    """
    source = base_path(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _cannot_load("tokenizer", source, error) from error
    if tokenizer.chat_template is None:
        raise ModelError(f"{source}: its tokenizer has no chat template; use an instruct model, or nano")
    fit_template(tokenizer, source)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    sample = "".join(TAGS)
    tokens = tokenizer(sample, add_special_tokens=False)["input_ids"]
    if tokenizer.decode(tokens, skip_special_tokens=True).strip() != sample:
        raise ModelError(
            f"{source}: its tokenizer drops {', '.join(TAGS)} when decoding, so the format could never be rewarded"
        )
    return tokenizer


def load_model(
    name: str,
    adapter: Path | None,
    backend: str,
    hardware: Hardware,
    max_length: int,
    lora_r: int,
    seed: int,
):
    """Return the 4-bit base `name` with a trainable LoRA: the one saved in `adapter`, or a fresh one if that is None.

    A fresh LoRA has rank `lora_r` and scale 1 (alpha = r). `max_length` is that of the longest sequence in tokens,
    prompt and completion together. Unsloth cuts longer ones. Raises ModelError.
    """
    load = _load_unsloth if backend == "unsloth" else _load_hf
    return load(base_path(name), adapter, hardware, max_length, lora_r, seed)


def four_bits(hardware: Hardware) -> BitsAndBytesConfig:
    """Return how bases are quantised: NF4, with quantised constants, computing in the precision of `hardware`."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=hardware.dtype,
    )


def load_base(name: str, hardware: Hardware):
    """Return the 4-bit base `name` without an adapter. Raises ModelError."""
    source = base_path(name)
    on_cpu = hardware.device == "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source,
            quantization_config=four_bits(hardware),  # a model that is already quantised keeps its own settings
            dtype=hardware.dtype,
            device_map={"": "cpu" if on_cpu else int(os.environ.get("LOCAL_RANK", 0))},  # set by accelerate
            # on a CPU, fused attention has a slow backward pass; a wide model needs it for want of memory
            attn_implementation="eager" if on_cpu and hardware.precision == "fp32" else None,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError) as error:
        raise _cannot_load("model", source, error) from error
    if on_cpu:
        unpack_base(model)
    return model


def _load_hf(source: str, adapter: Path | None, hardware: Hardware, max_length: int, lora_r: int, seed: int):
    model = load_base(source, hardware)
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=hardware.device == "cuda")
    if adapter is not None:
        model = with_adapter(model, adapter, trainable=True)
    else:
        set_seed(seed)  # for the initial weights of the adapter
        lora = LoraConfig(r=lora_r, lora_alpha=lora_r, target_modules=LINEAR, task_type="CAUSAL_LM")
        model = get_peft_model(model, lora)
    if hardware.device == "cpu" and hardware.precision == "fp32":
        fuse_adapters(model)
    return model


def _load_unsloth(source: str, adapter: Path | None, hardware: Hardware, max_length: int, lora_r: int, seed: int):
    from unsloth import FastLanguageModel  # can only be imported on CUDA

    name = str(adapter or source)  # the adapter's config names its base
    length = min(max_length, positions_of_base(source) or max_length)  # for more, Unsloth would change the positions
    try:
        model, _ = FastLanguageModel.from_pretrained(
            model_name=name, max_seq_length=length, dtype=hardware.dtype, load_in_4bit=True, max_lora_rank=lora_r
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_load("model", name, error) from error
    if adapter is None:
        model = FastLanguageModel.get_peft_model(
            model,
            r=lora_r,
            lora_alpha=lora_r,
            target_modules=LINEAR,
            use_gradient_checkpointing="unsloth",
            random_state=seed,
        )
    return model


def _cannot_load(kind: str, source: str, error: Exception) -> ModelError:
    return ModelError(
        f"cannot load the {kind} of {source!r}: {first_line(error)} Use a local model folder, or nano, which needs no "
        "download"
    )
