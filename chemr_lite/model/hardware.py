"""The device that a model runs on, its precision, and the library that loads the model."""

import logging
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from chemr_lite.errors import ModelError

BACKENDS = ("unsloth", "hf")


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


def detect_hardware() -> Hardware:
    """Return the first visible GPU, or the CPU.

    bf16 needs compute capability 8.0, because a T4 only emulates it, very slowly. A CPU computes in full precision.
    """
    if not torch.cuda.is_available():
        return Hardware("cpu", f"CPU, {torch.get_num_threads()} threads", 0.0, "fp32")
    properties = torch.cuda.get_device_properties(0)
    precision = "bf16" if properties.major >= 8 else "fp16"
    return Hardware("cuda", properties.name, properties.total_memory / 2**30, precision)


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
        import unsloth  # noqa: F401 - must be imported before trl
    return backend
