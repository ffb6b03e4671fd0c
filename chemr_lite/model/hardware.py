"""The device that a model runs on, its precision, and the library that loads the model."""

import logging
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from transformers import AutoConfig

from chemr_lite.errors import ModelError
from chemr_lite.model.folders import base_path

BACKENDS = ("unsloth", "hf")
WIDE = 512  # from this width on, bf16 saves a CPU more in its matrix products than it costs in conversions


@dataclass(frozen=True)
class Hardware:
    """The device of a run, its memory, and the precision that it computes in."""

    device: str  # "cuda" or "cpu"
    name: str
    memory_gb: float  # of the GPU, GiB; 0 on a CPU
    precision: str  # "bf16", "fp16" or "fp32"

    @property
    def dtype(self) -> torch.dtype:
        return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[self.precision]


def detect_hardware(model: str | None = None) -> Hardware:
    """Return the first visible GPU, or the CPU, and the precision in which it computes the base `model`.

    On a GPU, bf16 needs compute capability 8.0, because a T4 only emulates it, very slowly. A CPU computes in full
    precision, unless it multiplies bf16 natively and `model` is wide: SmolLM2-135M then trains about twice as fast.
    """
    if not torch.cuda.is_available():
        fast = model is not None and _multiplies_bf16() and _width(model) >= WIDE
        return Hardware("cpu", f"CPU, {torch.get_num_threads()} threads", 0.0, "bf16" if fast else "fp32")
    properties = torch.cuda.get_device_properties(0)
    precision = "bf16" if properties.major >= 8 else "fp16"
    return Hardware("cuda", properties.name, properties.total_memory / 2**30, precision)


def _multiplies_bf16() -> bool:
    """Return whether this CPU has instructions for bf16 (AVX512-BF16 or AMX), without which it is slower than fp32."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.10 has no such function
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _width(model: str) -> int:
    """Return the hidden size of a base model; 0 if it cannot be known."""
    return getattr(_config(model), "hidden_size", 0)


def positions_of_base(model: str) -> int | None:
    """Return the number of tokens that a base model was made to read at most, or None if it cannot be known."""
    return getattr(_config(model), "max_position_embeddings", None)


def _config(model: str):
    """Return the config of a base model; None if it cannot be read, which loading the model will report."""
    try:
        return AutoConfig.from_pretrained(base_path(model), trust_remote_code=False).get_text_config()
    except (OSError, ValueError, AttributeError):
        return None


def choose_backend(name: str | None = None) -> str:
    """Return the backend `name`, or by default `unsloth` for one process on CUDA and `hf` elsewhere.

    If it is Unsloth, this imports it. Raises ModelError for a backend that is unknown, not installed, or unusable on
    this machine.
    """
    cuda = torch.cuda.is_available()
    is_single_process = os.environ.get("WORLD_SIZE", "1") == "1"
    backend = name or ("unsloth" if cuda and is_single_process else "hf")
    if backend not in BACKENDS:
        raise ModelError(f"backend {backend!r}: choose {' or '.join(BACKENDS)}")
    if not cuda and shutil.which("nvidia-smi"):
        build = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        logging.getLogger(__name__).warning(
            "there is an NVIDIA driver, but torch %s, which %s, finds no GPU: nvidia-smi shows the CUDA version of the "
            "driver; install the torch for that version (python -m pip install torch==… --index-url "
            "https://download.pytorch.org/whl/cu…)",
            torch.__version__,
            build,
        )
    if backend == "unsloth":
        if not cuda:
            raise ModelError("backend 'unsloth' needs a CUDA device; choose 'hf' on this machine")
        if not find_spec("unsloth"):
            raise ModelError("unsloth is not installed: python -m pip install unsloth, or choose the backend 'hf'")
        os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")  # else it asks the hub, also offline
        import unsloth  # noqa: F401 - must be imported before trl
    return backend
