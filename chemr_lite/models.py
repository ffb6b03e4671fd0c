"""Base model + 4-bit quantisation + LoRA adapter, by one call on any machine.

On CUDA Unsloth loads it (`backend="unsloth"`), elsewhere, or with `backend="hf"`, transformers + bitsandbytes + peft.
Both give NF4 weights with a LoRA on every linear layer, and both continue the adapter of an earlier phase.
"""

import json
import logging
import os
import shutil
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

NANO = Path(__file__).parent / "nano" / "model"
PHASES = ("foundation", "distill", "grpo")  # of a run directory, in order; each continues the adapter of the one before
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # peft loads torchao, whose enums warn of torch's future
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class ModelError(RuntimeError):
    """A model that cannot be had, said in one line with the way out."""


@dataclass(frozen=True)
class Hardware:
    """What the run is on, and the decisions that follow from it."""

    device: str  # "cuda" or "cpu"
    name: str
    memory_gb: float  # of the GPU; 0 on CPU
    precision: str  # "bf16", "fp16" or "fp32"

    @property
    def dtype(self):
        import torch

        return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[self.precision]


def detect_hardware() -> Hardware:
    """The first visible GPU, or the CPU. bf16 from compute capability 8.0 on: a T4 only emulates it, at a crawl."""
    import torch

    if not torch.cuda.is_available():
        return Hardware("cpu", f"CPU, {torch.get_num_threads()} threads", 0.0, "fp32")
    properties = torch.cuda.get_device_properties(0)
    precision = "bf16" if properties.major >= 8 else "fp16"
    return Hardware("cuda", properties.name, properties.total_memory / 2**30, precision)


def choose_backend(asked: str | None, vllm: bool = False) -> str:
    """`unsloth` on CUDA, `hf` elsewhere and for several processes, or what was asked for. Imports Unsloth here, since it must come before trl.

    Raises ModelError, with the line that mends it, where something for it is missing.
    """
    import torch

    cuda = torch.cuda.is_available()
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    backend = asked or ("unsloth" if cuda and alone else "hf")
    if backend not in ("unsloth", "hf"):
        raise ModelError(f"--backend {backend} is neither unsloth nor hf")
    if not cuda and shutil.which("nvidia-smi"):
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        logging.getLogger(__name__).warning(
            "there is an NVIDIA driver, but torch %s, which %s, finds no GPU: see nvidia-smi for the CUDA version of the driver, and "
            "install the torch of that version (python -m pip install torch==… --index-url https://download.pytorch.org/whl/cu…)",
            torch.__version__,
            built,
        )
    if backend == "unsloth" and not cuda:
        raise ModelError("--backend unsloth needs a CUDA device; leave it out to use transformers on this machine")
    if vllm and backend != "unsloth":
        raise ModelError("--vllm goes with Unsloth, on a CUDA device: leave it out, or --backend hf")
    for package, flag in (("unsloth", backend == "unsloth"), ("vllm", vllm)):
        if flag and not find_spec(package):
            way = "leave out --vllm" if package == "vllm" else "take --backend hf"
            raise ModelError(f"{package} is not installed: python -m pip install {package}, or {way}")
    if backend == "unsloth":
        import unsloth  # noqa: F401
    return backend


def load_tokenizer(name: str):
    """The tokenizer of a base model, left-padding, checked: the tags of our format must survive decoding."""
    from transformers import AutoTokenizer

    from chemr_lite.answers import TAGS

    source = base_path(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(_cannot_load("tokenizer", source, error)) from error
    if tokenizer.chat_template is None:
        raise ModelError(f"{source}: its tokenizer has no chat template; use an instruct model, or --preset nano")
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    sample = "".join(TAGS)
    if tokenizer.decode(tokenizer(sample, add_special_tokens=False)["input_ids"], skip_special_tokens=True).strip() != sample:
        raise ModelError(f"{source}: its tokenizer drops {', '.join(TAGS)} when decoding, so the format could never be rewarded")
    return tokenizer


def load_model(
    name: str,
    adapter: Path | None,
    backend: str,
    hardware: Hardware,
    max_length: int,
    lora_r: int,
    lora_alpha: int,
    seed: int,
    vllm: bool = False,
):
    """The 4-bit base `name` with a trainable LoRA: that of `adapter` continued, or a fresh one where it is None.

    With `vllm`, and Unsloth, it samples in phase 3 by vLLM.
    """
    if backend == "unsloth":
        return _load_unsloth(base_path(name), adapter, hardware, max_length, lora_r, lora_alpha, seed, vllm)
    return _load_hf(base_path(name), adapter, hardware, lora_r, lora_alpha, seed)


def load_base(name: str, hardware: Hardware):
    """The 4-bit base without an adapter, as it was before any phase."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    source = base_path(name)
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=hardware.dtype
    )
    # the adapter names the base it belongs to; what is quantised already (…-bnb-4bit) keeps its own settings
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source,
            quantization_config=quantisation,
            dtype=hardware.dtype,
            device_map={"": int(os.environ.get("LOCAL_RANK", 0)) if hardware.device == "cuda" else "cpu"},  # accelerate's
            attn_implementation="eager" if hardware.device == "cpu" else None,  # torch's fused attention is slow backwards on CPU
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError) as error:
        raise ModelError(_cannot_load("model", source, error)) from error
    if hardware.device == "cpu":
        _unpack(model)
    return model


def _unpack(model) -> None:
    """Let every 4-bit layer of `model` multiply by a copy of its weights unpacked once, not anew at each pass.

    Memory is seldom what a CPU lacks, and time is. It also keeps bitsandbytes from repacking the weights at the first
    pass in eval mode, as it does on processors with AVX512-BF16: no gradient comes through what is repacked, so that
    after its first completions GRPO would train on wrong ones.
    """
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit
    from torch.nn.functional import linear

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.unpacked = dequantize_4bit(module.weight.data, module.weight.quant_state)
            module.forward = partial(linear, weight=module.unpacked, bias=module.bias)


def dense(layer):
    """What `layer`, a 4-bit one with a LoRA on CPU, multiplies by: base and active adapters in one matrix (out, in)."""
    base = layer.base_layer.unpacked
    return base if layer.disable_adapters else base + sum(map(layer.get_delta_weight, layer.active_adapters))


def _multiply_at_once(model) -> None:
    """Let every layer with a LoRA make one product, of its matrix and adapter together, where peft makes three.

    The gradients are the same but for rounding, and with a rank of 64 beside a width of 192 a step of nano takes a sixth
    less time. In full precision: bf16 would round away most of what an adapter adds to a matrix.
    """
    from peft.tuners.lora import LoraLayer
    from torch.nn.functional import linear

    def forward(layer, x):
        return linear(x, dense(layer), layer.base_layer.bias)

    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.forward = partial(forward, layer)


def with_adapter(model, adapter: Path, trainable: bool = False, name: str = "default"):
    """`model` with the LoRA saved in `adapter`; one that has a LoRA already is given this one beside it, under its `name`."""
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        if isinstance(model, PeftModel):
            model.load_adapter(str(adapter), name, is_trainable=trainable)
            return model
        return PeftModel.from_pretrained(model, str(adapter), name, is_trainable=trainable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{adapter}: its adapter cannot be read ({_first_line(error)}); delete the folder to train that phase again"
        ) from error


def adapter_weights(model) -> dict:
    """A copy of the trainable weights in full precision, taken before a trainer is built around `model`."""
    return {name: p.detach().clone().float() for name, p in model.named_parameters() if p.requires_grad}


def saved_weights(folder: Path) -> dict:
    """The adapter in `folder` under the names of the model's parameters."""
    from safetensors.torch import load_file

    return {name.replace(".weight", ".default.weight"): value for name, value in load_file(folder / "adapter_model.safetensors").items()}


def restore_adapter(model, weights: dict) -> None:
    """Undo TRL's cast of a QLoRA adapter to bf16: it rounds what phase 2 learnt, and breaks fp16 training on a T4."""
    for name, parameter in model.named_parameters():
        if name in weights:
            parameter.data = weights[name].to(parameter.device)


def base_path(name: str) -> str:
    """`nano` stands for the embedded model; anything else is a folder or a name on the hub."""
    return str(NANO) if name == "nano" else name


def check_there(name: str) -> None:
    """Raise ModelError for a `name` that means a folder, and there is none: the hub would only say that it is no name."""
    path = Path(name)
    means_folder = name.count("/") != 1 or path.parent.exists() or name.startswith(("outputs/", "./", "../", "~"))
    if "/" in name and not path.exists() and means_folder:
        raise ModelError(
            f"{name}: there is no such folder. Train a run with python recipes/grpo.py, or name a phase's directory or a model folder"
        )


def phases_of(run: Path) -> list[str]:
    """The finished phases in a run directory, in order."""
    return [name for name in PHASES if (run / name / "adapter_config.json").exists()]


def base_of(adapter: Path) -> str:
    """The base model that the adapter in the folder `adapter` goes with. Raises ModelError."""
    path = adapter / "adapter_config.json"
    if not path.exists():
        what = "no adapter in it" if adapter.exists() else "there is no such folder"
        raise ModelError(f"{adapter}: {what}. Name the directory of a finished phase; python recipes/grpo.py trains a run")
    try:
        name = json.loads(path.read_text())["base_model_name_or_path"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is damaged ({error}); delete the folder to train that phase again") from error
    # an adapter that was trained in another copy of this package knows nano by its place there
    return "nano" if Path(name).parts[-3:] == NANO.parts[-3:] else name


def _load_hf(source: str, adapter: Path | None, hardware: Hardware, lora_r: int, lora_alpha: int, seed: int):
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import set_seed

    model = load_base(source, hardware)
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=hardware.device == "cuda")
    if adapter is not None:
        model = with_adapter(model, adapter, trainable=True)
    else:
        set_seed(seed)  # the adapter's first weights
        model = get_peft_model(model, LoraConfig(r=lora_r, lora_alpha=lora_alpha, target_modules=LINEAR, task_type="CAUSAL_LM"))
    if hardware.device == "cpu":
        _multiply_at_once(model)
    return model


def _load_unsloth(
    source: str, adapter: Path | None, hardware: Hardware, max_length: int, lora_r: int, lora_alpha: int, seed: int, vllm: bool
):
    from unsloth import FastLanguageModel

    try:
        model, _ = FastLanguageModel.from_pretrained(
            model_name=str(adapter or source), max_seq_length=max_length, dtype=hardware.dtype, load_in_4bit=True,
            fast_inference=vllm, max_lora_rank=lora_r,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(_cannot_load("model", str(adapter or source), error)) from error
    if adapter is None:
        model = FastLanguageModel.get_peft_model(
            model, r=lora_r, lora_alpha=lora_alpha, target_modules=LINEAR, use_gradient_checkpointing="unsloth", random_state=seed
        )
    return model


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _cannot_load(what: str, source: str, error: Exception) -> str:
    return f"cannot load the {what} of {source!r}: {_first_line(error)} Use --model PATH with a local model folder, or --preset nano, which needs no download."
