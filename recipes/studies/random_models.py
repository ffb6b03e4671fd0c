"""Models of real shapes with random weights, and texts of exact lengths, so that speed is measured without a download.

Nothing here imports torch or transformers before it is called, so that `gpu_step.measure` can import Unsloth first.
"""

import json
from pathlib import Path

from chemr_lite import get_task, render
from recipes.training.files import written_aside

LLAMA = {"kind": "LlamaConfig", "vocab_size": 128256, "num_key_value_heads": 8}
QWEN = {"kind": "Qwen2Config", "vocab_size": 151936, "num_key_value_heads": 2, "tie_word_embeddings": True}
SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
SHAPES = {
    "8b": LLAMA | dict(zip(SIZES, (4096, 14336, 32, 32), strict=True)),  # Llama-3.1-8B
    "3b": QWEN | dict(zip(SIZES, (2048, 11008, 36, 16), strict=True)),  # Qwen2.5-3B
    "tiny": LLAMA | {"vocab_size": 4096, "num_key_value_heads": 1} | dict(zip(SIZES, (128, 128, 2, 2), strict=True)),
}
LORA = 32  # rank of the adapter, and its alpha


def make_model(folder: Path, shape: str) -> None:
    """Make a 4-bit model of `shape` in `folder`/4bit and a fresh adapter in `folder`/adapter.

    The model has random weights and nano's tokenizer. Each matrix is quantised as it is drawn, on the GPU if there is
    one, and each layer has a file of its own: memory holds one layer at a time.
    """
    import torch
    import transformers

    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import four_bits, load_tokenizer

    hardware, values = detect_hardware(), {"max_position_embeddings": 8192, **SHAPES[shape]}
    config = getattr(transformers, values.pop("kind"))(**values, dtype=hardware.dtype)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=hardware.dtype)
    torch.manual_seed(0)
    with written_aside(folder / "4bit") as aside:  # renamed last: where it exists, the adapter does too
        aside.mkdir()
        write_weights(aside, model, hardware)
        config.architectures = [type(model).__name__]
        config.quantization_config = four_bits(hardware).to_dict()
        config.save_pretrained(aside)
        load_tokenizer("nano").save_pretrained(aside)
        write_adapter(folder / "adapter", model, folder / "4bit")


def write_weights(folder: Path, model, hardware) -> None:
    """Write random weights in the shapes of `model`, those of its linear layers in 4 bits."""
    from safetensors.torch import save_file

    layers: dict[str, dict] = {}
    for name, value in model.state_dict().items():
        if not (model.config.tie_word_embeddings and name.startswith("lm_head")):
            layers.setdefault(".".join(name.split(".")[:3]) if ".layers." in name else name, {})[name] = value.shape
    index = {}
    for file, sizes in layers.items():
        tensors = {}
        for name, size in sizes.items():
            tensors |= random_weight(name, size, hardware)
        save_file(tensors, folder / f"{file}.safetensors", {"format": "pt"})
        index |= dict.fromkeys(tensors, f"{file}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def random_weight(name: str, size, hardware) -> dict:
    """Return the tensors that stand for one weight in a file: one, or packed 4-bit values and what unpacks them."""
    import torch
    from bitsandbytes.functional import quantize_4bit

    from chemr_lite.model.load import LINEAR

    if len(size) == 1:
        return {name: (torch.zeros if name.endswith("bias") else torch.ones)(size, dtype=hardware.dtype)}
    weight = (torch.randn(size, device=hardware.device) * 0.02).to(hardware.dtype)
    if name.split(".")[-2] not in LINEAR:
        return {name: weight.cpu()}
    packed, state = quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    parts = {f"{name}.{key}": part.cpu() for key, part in state.as_dict(packed=True).items()}
    return {name: packed.cpu(), **parts}


def write_adapter(folder: Path, model, base: Path) -> None:
    """Write a fresh LoRA adapter for the linear layers of `model`, which lies in `base`."""
    import torch
    from peft import LoraConfig
    from safetensors.torch import save_file

    from chemr_lite.model.load import LINEAR

    weights = {}
    for name, module in model.named_modules():
        if name.split(".")[-1] in LINEAR:
            prefix = f"base_model.model.{name}.lora_"
            weights[prefix + "A.weight"] = torch.randn(LORA, module.in_features) / module.in_features**0.5
            weights[prefix + "B.weight"] = torch.zeros(module.out_features, LORA)
    config = LoraConfig(r=LORA, lora_alpha=LORA, target_modules=LINEAR, task_type="CAUSAL_LM", inference_mode=True)
    config.base_model_name_or_path = str(base)
    config.save_pretrained(folder)
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})


def texts_of(spec: dict, number: int) -> tuple[list[dict], str]:
    """Return `number` rows and one completion that have exactly the wanted numbers of tokens, but no meaning."""
    from chemr_lite.model.load import load_tokenizer

    tokenizer = load_tokenizer("nano")

    def row(smiles: str) -> dict:
        return {"task": "reaction_prediction", "input": smiles, "answer": "CCO", "split": "train", "meta": {}}

    prompt = get_task("reaction_prediction").prompt(row("C"))
    length = len(tokenizer.apply_chat_template(prompt, tokenize=True, return_dict=False, add_generation_prompt=True))
    carbons = spec["prompt"] - length + 1
    rows = [row("C" * (i % carbons) + "N" + "C" * (carbons - 1 - i % carbons)) for i in range(number)]
    tags = len(tokenizer(render(None, "C"), add_special_tokens=False)["input_ids"]) - 1
    return rows, render(None, "C" * (spec["completion"] - tags - 1))  # one token is the end of the turn
