"""One part of the GPU measurements: the environment, a model of a real shape, or seconds a step of a way to train it.

`recipes/studies/gpu.py` starts this file once for each part. So nothing that one way patches or leaves in memory
reaches the next.

    python recipes/studies/gpu_step.py environment RESULT
    python recipes/studies/gpu_step.py make SHAPE FOLDER RESULT
    python recipes/studies/gpu_step.py step SPEC RESULT
"""

import json
import os
import random
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# nothing here imports torch or transformers, so that `measure` can import Unsloth first
from chemr_lite import get_task
from chemr_lite.data import Loaded
from recipes import grpo
from recipes.studies.random_models import LORA, make_model, texts_of
from recipes.training.files import write_json
from recipes.training.options import Options
from recipes.training.quiet import silence_libraries
from recipes.training.time_left import TimeLeft

GIB = 2**30  # not from recipes.training.memory: that imports transformers, and Unsloth must come first
SECONDS = 75  # a measurement that takes longer ends with fewer steps


class EnoughSteps(Exception):
    """Ends a training that has been measured for long enough."""


def now() -> float:
    """Return the time in seconds, once the GPU has done what it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(spec: dict) -> dict:
    """Train by one way and return seconds a step (median), speed, memory and where a step goes.

    `spec` is that of a part in `recipes.studies.gpu`. Its first `warm_up` steps are not counted.
    """
    import torch

    cuda = torch.cuda.is_available()
    if spec["cap"]:
        hold_to(spec["cap"] * GIB)
    if spec["way"] in ("ours", "unsloth"):
        import unsloth  # noqa: F401 - must come before trl
    import trl
    from transformers import TrainerCallback

    steps: list[float] = []
    parts: dict[str, float] = {}

    class Watch(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            self.began = now()

        def on_step_end(self, args, state, control, **_):
            steps.append(now() - self.began)
            if len(steps) == spec["warm_up"]:
                parts.clear()
            if len(steps) >= spec["steps"] or (sum(steps) > SECONDS and len(steps) > spec["warm_up"]):
                raise EnoughSteps

    def time_method(owner, name: str) -> None:
        method = getattr(owner, name)

        def timed(*args, **kwargs):
            began = now()
            try:
                return method(*args, **kwargs)
            finally:
                parts[name] = parts.get(name, 0.0) + now() - began

        setattr(owner, name, timed)

    trainer_class = trl.SFTTrainer if spec["phase"] == "foundation" else trl.GRPOTrainer
    train, settings = trainer_class.train, {}

    def watched_train(trainer, *args, **kwargs):
        trainer.add_callback(Watch())
        settings["micro_batch"] = trainer.args.per_device_train_batch_size
        if spec["profile"]:
            for name in ("_generate", "_calculate_rewards", "_generate_and_score_completions", "compute_loss"):
                time_method(trainer, name)
            time_method(trainer.accelerator, "backward")
        return train(trainer, *args, **kwargs)

    trainer_class.train = watched_train
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with suppress(EnoughSteps):
        (ours if spec["way"].startswith("ours") else bare)(spec)
    figures = speed(spec, steps) | settings
    if cuda:
        figures["allocated_gib"] = round(torch.cuda.max_memory_allocated() / GIB, 2)
        figures["reserved_gib"] = round(torch.cuda.max_memory_reserved() / GIB, 2)
    if spec["profile"]:
        figures["shares"] = shares_of_a_step(parts, steps[spec["warm_up"] :])
    return figures


def hold_to(size: float) -> None:
    """Let this process use `size` bytes of the GPU's memory, and believe that the GPU has no more.

    Unsloth cuts its work into parts by the memory that it is told to be free. So call this before importing it.
    """
    import torch

    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(size / total)
    free_and_total = torch.cuda.mem_get_info

    def held(device=None) -> tuple[int, int]:
        free, _ = free_and_total(device)
        return min(free, max(0, int(size) - torch.cuda.memory_reserved(device))), int(size)

    torch.cuda.mem_get_info = held


def speed(spec: dict, steps: list[float]) -> dict:
    """Return seconds a step, samples and completion tokens a second, from the seconds of all steps."""
    seconds = median(steps[spec["warm_up"] :])
    figures = {"seconds": round(seconds, 3), "steps": [round(value, 3) for value in steps]}
    if spec["phase"] == "foundation":
        return figures | {"samples_per_second": round(spec["batch"] / seconds, 3)}
    completions = spec["prompts"] * spec["generations"]
    return figures | {
        "completion_tokens_per_second": round(completions * spec["completion"] / seconds, 1),
        "samples_per_second": round(completions / seconds, 3),
    }


def shares_of_a_step(parts: dict[str, float], steps: list[float]) -> dict[str, float]:
    """Return the percentages of a GRPO step: `parts` holds the seconds of each method over all `steps`."""
    mean = {name: seconds / len(steps) for name, seconds in parts.items()}
    scoring = mean["_generate_and_score_completions"]
    shares = {
        "sampling": mean["_generate"],
        "rewards and mixing": mean["_calculate_rewards"],
        "the reference and the rest of scoring": scoring - mean["_generate"] - mean["_calculate_rewards"],
        "loss, forward": mean["compute_loss"],
        "backward": mean["backward"],
    }
    step = sum(steps) / len(steps)
    shares["optimiser and the rest"] = step - sum(shares.values())
    return {name: round(100 * seconds / step, 2) for name, seconds in shares.items()}


def ours(spec: dict) -> None:
    """Train phase 1 or 3 as the recipes do."""
    from recipes.training import sft

    silence_libraries()
    run = Path(spec["folder"]) / f"run-{os.getpid()}"
    options = Options(
        model=f"{spec['folder']}/4bit",
        output=str(run),
        lora_r=LORA,
        max_length=spec["prompt"] + spec["completion"],
        max_steps=spec["steps"] + 1,
        eval_rows=1,
        validation_steps=0,
        save_steps=1000,
        sft_batch_size=spec["batch"],
        sft_micro_batch=spec["micro"],
        grpo_micro_batch=spec["micro"],
        prompts_per_step=spec["prompts"],
        num_generations=spec["generations"],
        max_completion_tokens=spec["completion"],
    )
    rows = Loaded()
    rows.rows["train"], text = texts_of(spec, 512)
    backend = "unsloth" if spec["way"] == "ours" else "hf"
    try:
        if spec["phase"] == "foundation":
            sft.train(options, "foundation", lambda row: [text], rows, backend, TimeLeft())
        else:
            run.mkdir(parents=True)
            grpo.reward_functions = lambda *_: [any_reward]
            (run / "distill").symlink_to(Path(spec["folder"]).resolve() / "adapter")
            grpo.train(options, rows, backend, TimeLeft())
    finally:
        shutil.rmtree(run, ignore_errors=True)


def any_reward(completions, **_) -> list[float]:
    """Return rewards that differ. A random model earns nothing, and groups that earn the same are left out."""
    return [random.random() for _ in completions]


def bare(spec: dict) -> None:
    """Train the same by a script of one screen: no chemistry, no mixing, no checks."""
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    from chemr_lite.model.hardware import detect_hardware
    from recipes.training.sft import precision_arguments

    hardware = detect_hardware()
    folder, length = spec["folder"], spec["prompt"] + spec["completion"]
    if spec["way"] == "unsloth":
        from unsloth import FastLanguageModel

        model, tokenizer = FastLanguageModel.from_pretrained(
            f"{folder}/adapter", max_seq_length=length, dtype=hardware.dtype, load_in_4bit=True
        )
    else:
        from peft import PeftModel, prepare_model_for_kbit_training
        from transformers import AutoModelForCausalLM, AutoTokenizer

        device = {"": 0 if hardware.device == "cuda" else "cpu"}
        model = AutoModelForCausalLM.from_pretrained(
            f"{folder}/4bit", dtype=hardware.dtype, device_map=device, use_safetensors=True
        )
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=hardware.device == "cuda")
        model = PeftModel.from_pretrained(model, f"{folder}/adapter", is_trainable=True)
        tokenizer = AutoTokenizer.from_pretrained(f"{folder}/4bit")
    tokenizer.padding_side = "left"
    rows, text = texts_of(spec, 512)
    prompts = [get_task(row["task"]).prompt(row) for row in rows]
    completions = spec["batch"] if spec["phase"] == "foundation" else spec["prompts"] * spec["generations"]
    shared = dict(
        output_dir=f"{folder}/bare-{os.getpid()}",
        max_steps=spec["steps"] + 1,
        per_device_train_batch_size=spec["micro"],
        gradient_accumulation_steps=completions // spec["micro"],
        gradient_checkpointing=hardware.device == "cuda",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        **precision_arguments(hardware),
    )
    if spec["phase"] == "foundation":
        answer = [{"role": "assistant", "content": text}]
        data = Dataset.from_list([{"prompt": prompt, "completion": answer} for prompt in prompts])
        config = SFTConfig(max_length=length, learning_rate=2e-4, completion_only_loss=True, **shared)
        trainer = SFTTrainer(model=model, processing_class=tokenizer, train_dataset=data, args=config)
    else:
        data = Dataset.from_list([{"prompt": prompt} for prompt in prompts])
        config = GRPOConfig(
            num_generations=spec["generations"],
            max_completion_length=spec["completion"],
            learning_rate=5e-6,
            temperature=1.0,
            beta=0.04,
            loss_type="grpo",
            scale_rewards="none",
            **shared,
        )
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=data,
            args=config,
            reward_funcs=any_reward,
        )
    if hardware.precision == "fp16":  # trl casts the adapter to a precision that does not train there
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.float32)
    trainer.train()


def environment() -> dict:
    """Return versions and device, and how far Unsloth's product of 4-bit weights is from bitsandbytes'."""
    began = time.perf_counter()
    import torch

    cuda = torch.cuda.is_available()
    if cuda:
        import unsloth  # noqa: F401 - must come before trl
    import trl  # noqa: F401
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    from recipes.training.environment import describe_versions

    found = {"versions": describe_versions(), "imports_s": round(time.perf_counter() - began, 1)}
    weight = torch.randn(512, 256, device="cuda" if cuda else "cpu", dtype=torch.bfloat16)
    packed, state = quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    whole = dequantize_4bit(packed, state)
    found["nf4_error"] = round((whole - weight).abs().mean().item(), 4)
    if cuda:
        from unsloth.kernels.utils import fast_dequantize

        capability = ".".join(map(str, torch.cuda.get_device_capability()))
        found["device"] = f"{torch.cuda.get_device_name()}, compute capability {capability}, CUDA {torch.version.cuda}"
        found["unsloth_nf4_differs_by"] = (fast_dequantize(packed, state) - whole).abs().max().item()
    return found


def make(shape: str, folder: Path) -> dict:
    """Make the model of a shape, unless it is there. Return the seconds that it took."""
    began = time.perf_counter()
    if not (folder / "4bit").exists():
        make_model(folder, shape)
    return {"made_s": round(time.perf_counter() - began, 1)}


def main(action: str, *arguments: str) -> dict:
    if action == "environment":
        return environment()
    if action == "make":
        return make(arguments[0], Path(arguments[1]))
    return measure(json.loads(arguments[0]))


if __name__ == "__main__":
    *asked, result = sys.argv[1:]
    write_json(Path(result), main(*asked))
