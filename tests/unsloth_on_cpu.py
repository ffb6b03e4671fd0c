"""Run a recipe by Unsloth's code, without a GPU: `python tests/unsloth_on_cpu.py grpo --preset smoke`.

Everything of Unsloth's that changes what is trained runs for real: its models, its trainers, its switching between
training and inference. What needs a GPU is replaced: the probes of CUDA, tensors on it, 4-bit kernels, and the Triton
kernels of norm, positions and activation, each by a few lines of torch. For every optimiser step the modes of the model
are printed, for test_unsloth.py. Speed, memory and compiled kernels cannot be told in this way.
"""

import contextlib
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
GIB = 2**30
SETTINGS = {
    "UNSLOTH_ALLOW_CPU": "1",
    "UNSLOTH_COMPILE_DISABLE": "1",
    "UNSLOTH_BNB_TRITON": "0",
    "UNSLOTH_GRPO_PREFIX_GROUPER": "0",  # its FlexAttention has no backward pass on a CPU
    "TORCHDYNAMO_DISABLE": "1",
    "TRITON_INTERPRET": "1",
    "HF_HUB_OFFLINE": "1",
}


def names_cuda(device) -> bool:
    """Return whether `device`, as torch takes it, is a GPU."""
    if isinstance(device, bool) or device is None:
        return False
    return isinstance(device, int) or str(device).startswith("cuda")


def stay_on_cpu() -> None:
    """Let every tensor that is asked for on a GPU come on the CPU, from now on."""
    import torch
    from torch.overrides import TorchFunctionMode

    class OnCPU(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = {k: "cpu" if k == "device" and names_cuda(v) else v for k, v in (kwargs or {}).items()}
            if function in (torch.Tensor.cuda, torch.Tensor.pin_memory):
                return args[0]
            if function is torch.Tensor.to and len(args) > 1 and names_cuda(args[1]):
                args = (args[0], "cpu", *args[2:])
            return function(*args, **kwargs)

    OnCPU().__enter__()


def pretend_cuda() -> None:
    """Let torch.cuda describe one large GPU, and do nothing where it would synchronise or count."""
    import torch

    cuda = torch.cuda
    gpu = SimpleNamespace(name="no GPU", total_memory=80 * GIB, major=9, minor=0, multi_processor_count=100)
    stream = SimpleNamespace(
        cuda_stream=0, wait_stream=lambda *_: None, wait_event=lambda *_: None, record_event=lambda *_: None
    )
    answers = {
        "get_device_properties": gpu,
        "get_device_capability": (9, 0),
        "get_device_name": gpu.name,
        "current_device": 0,
        "mem_get_info": (79 * GIB, 80 * GIB),
        "is_bf16_supported": True,
        "current_stream": stream,
        "default_stream": stream,
        "Stream": stream,
        "stream": contextlib.nullcontext(),
        "device": contextlib.nullcontext(),
        **dict.fromkeys(("memory_reserved", "memory_allocated", "max_memory_reserved", "max_memory_allocated"), 0),
        **dict.fromkeys(("synchronize", "empty_cache", "ipc_collect", "set_device", "manual_seed", "manual_seed_all")),
        "reset_peak_memory_stats": None,
    }
    for name, answer in answers.items():
        setattr(cuda, name, lambda *_, _answer=answer, **__: _answer)


class Missing:
    """A symbol of bitsandbytes' CUDA library. Unsloth looks it up when it is imported, and must not call it."""

    restype = argtypes = None

    def __call__(self, *_):
        raise NotImplementedError("a CUDA kernel of bitsandbytes")


def import_unsloth() -> None:
    """Import Unsloth with the symbols that it wants, and let it change trl as it does on a GPU."""
    import bitsandbytes.functional as bnb

    library = bnb.lib

    class Library:
        def __getattr__(self, name):
            symbol = getattr(library, name, None)
            return symbol if hasattr(symbol, "restype") else Missing()

    bnb.lib = Library()
    import torch
    import transformers.training_args
    import unsloth  # noqa: F401
    from unsloth.context_parallel import patch_sft_trainer
    from unsloth.kernels import fast_lora, swiglu, utils
    from unsloth.models import llama, rl
    from unsloth.trainer import _patch_trl_trainer

    os.environ["UNSLOTH_ALLOW_CPU"] = "0"  # from here on it is to believe in the GPU
    pretend_cuda()
    for name, module in list(sys.modules.items()):
        if name.startswith("unsloth"):
            for flag, before, now in (("DEVICE_COUNT", 0, 1), ("SUPPORTS_BFLOAT16", False, True)):
                if getattr(module, flag, None) is before:
                    setattr(module, flag, now)
    for module in (transformers.training_args, transformers.utils, transformers.utils.import_utils):
        if hasattr(module, "is_torch_bf16_gpu_available"):
            module.is_torch_bf16_gpu_available = lambda *_, **__: True

    def dequantise(weight, state=None, out=None, use_global_buffer=False):
        if state is None:
            return weight
        transposed = weight.shape[0] == 1
        whole = bnb.dequantize_4bit(weight.t() if transposed else weight, state)
        whole = out.copy_(whole) if out is not None else whole
        return whole.t() if transposed else whole

    def multiply(x, weight, state, out=None):
        return torch.matmul(x, weight if state is None else dequantise(weight, state).t(), out=out)

    def norm(layer, x, **_):
        variance = x.float().pow(2).mean(-1, keepdim=True)
        return layer.weight * (x.float() * torch.rsqrt(variance + layer.variance_epsilon)).to(x.dtype)

    def rotate(queries, keys, cos, sin, indices=None):
        cos, sin = cos.squeeze().clone(), sin.squeeze().clone()  # they may have been made in inference mode
        if indices is None:
            cos, sin = (table[: queries.shape[2]][None, None] for table in (cos, sin))
        else:
            positions = indices.reshape(queries.shape[0], -1).long()
            cos, sin = (table[positions][:, None] for table in (cos, sin))
        if 2 * cos.shape[-1] == queries.shape[-1]:
            cos, sin = (torch.cat([table, table], -1) for table in (cos, sin))

        def turned(x):
            first, second = x.chunk(2, -1)
            return torch.cat([-second, first], -1)

        return tuple((x * cos + turned(x) * sin).to(x.dtype) for x in (queries, keys))

    def gate(e, g):
        return torch.nn.functional.silu(e.float()).to(e.dtype) * g

    utils._fast_gemv_bnb, utils._fast_dequantize_bnb = multiply, dequantise
    llama.fast_rms_layernorm, llama.fast_rope_embedding = norm, rotate
    for module in (swiglu, fast_lora):
        module.swiglu_fg_kernel, module.swiglu_DWf_DW_dfg_kernel = gate, swiglu._DWf_DW_dfg_traced
    rl.PatchFastRL(FastLanguageModel=llama.FastLlamaModel)
    _patch_trl_trainer()
    patch_sft_trainer()


def watch_steps() -> None:
    """Print, for every training step, whether the model trains and checkpoints gradients."""
    import transformers

    step = transformers.Trainer.training_step

    def watched(trainer, model, *args, **kwargs):
        states = {m.gradient_checkpointing for m in model.modules() if hasattr(m, "gradient_checkpointing")}
        print(f"modes: training {model.training}, checkpointing {sorted(map(bool, states))}", flush=True)
        return step(trainer, model, *args, **kwargs)

    transformers.Trainer.training_step = watched


def main() -> None:
    os.environ.update(SETTINGS)
    import_unsloth()
    stay_on_cpu()
    sys.path.insert(0, str(ROOT))
    from chemr_lite.model import generation, hardware

    gpu = hardware.Hardware("cuda", "no GPU", 80.0, "bf16")
    hardware.detect_hardware = lambda *_: gpu
    hardware.choose_backend = lambda *_: "unsloth"
    generation._complete_for = lambda _: generation._generate
    watch_steps()
    recipe = ROOT / f"recipes/{sys.argv[1]}.py"
    sys.argv = [str(recipe), *sys.argv[2:]]
    runpy.run_path(str(recipe), run_name="__main__")


if __name__ == "__main__":
    main()
