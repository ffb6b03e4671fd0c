"""One measurement of the GPU path: a model of a real shape without a download, and seconds a step of one way to train it.

`recipes/studies/gpu.py` starts this file once for each measurement, so that what one way patches or leaves in memory is nothing to
the next.
"""

import json
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

GIB = 2**30  # not from recipes.training.memory: it imports transformers, and Unsloth must come before
LLAMA = {"kind": "LlamaConfig", "vocab_size": 128256, "num_key_value_heads": 8}
QWEN = {"kind": "Qwen2Config", "vocab_size": 151936, "num_key_value_heads": 2, "tie_word_embeddings": True}
SHAPES = {  # of Llama-3.1-8B and Qwen2.5-3B and -1.5B
    "8b": {**LLAMA, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
    "3b": {**QWEN, "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16},
    "1.5b": {**QWEN, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
    "tiny": {**LLAMA, "vocab_size": 4096, "num_key_value_heads": 1, "hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
}  # fmt: skip
LORA = 32
WARM_UP, SECONDS = 2, 120  # steps that are not counted; when a measurement ends with fewer steps than asked for


# models without a download


def make_model(folder: Path, shape: str) -> None:
    """A 4-bit model of `shape` with random weights and nano's tokenizer in `folder`/4bit, and a fresh adapter in /adapter."""
    import torch
    import transformers
    from peft import LoraConfig
    from safetensors.torch import save_file

    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import LINEAR, load_base, load_tokenizer

    values = {"max_position_embeddings": 8192, **SHAPES[shape]}
    config = getattr(transformers, values.pop("kind"))(**values)
    config.save_pretrained(folder / "16bit")
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers: dict[str, dict] = {}  # a file for each layer, so that memory holds one at a time
    for name, value in model.state_dict().items():
        if not (config.tie_word_embeddings and name.startswith("lm_head")):
            layers.setdefault(".".join(name.split(".")[:3]) if ".layers." in name else name, {})[name] = value.shape
    torch.manual_seed(0)
    index = {}
    for file, tensors in layers.items():
        made = {
            name: torch.ones(size, dtype=torch.bfloat16)
            if len(size) == 1
            else (torch.randn(size, device=device) * 0.02).bfloat16().cpu()
            for name, size in tensors.items()
        }
        save_file(made, folder / "16bit" / f"{file}.safetensors", {"format": "pt"})
        index |= dict.fromkeys(made, f"{file}.safetensors")
    (folder / "16bit" / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    load_base(str(folder / "16bit"), detect_hardware()).save_pretrained(folder / "4bit.partial")
    load_tokenizer("nano").save_pretrained(folder / "4bit.partial")
    lora = {}
    for name, module in model.named_modules():
        if name.split(".")[-1] in LINEAR:
            path = f"base_model.model.{name}.lora_"
            lora[path + "A.weight"] = torch.randn(LORA, module.in_features) / module.in_features**0.5
            lora[path + "B.weight"] = torch.zeros(module.out_features, LORA)
    told = LoraConfig(r=LORA, lora_alpha=LORA, target_modules=LINEAR, task_type="CAUSAL_LM", inference_mode=True)
    told.base_model_name_or_path = str(folder / "4bit")
    told.save_pretrained(folder / "adapter")
    save_file(lora, folder / "adapter" / "adapter_model.safetensors", {"format": "pt"})
    shutil.rmtree(folder / "16bit")
    (folder / "4bit.partial").rename(folder / "4bit")


def texts_of(spec: dict, number: int) -> tuple[list[dict], str]:
    """Rows whose prompts have the wanted number of tokens, and a completion that has: no more is asked of them."""
    from chemr_lite import build_prompt, get_task, render
    from chemr_lite.model.load import load_tokenizer

    tokenizer = load_tokenizer("nano")

    def row(smiles: str) -> dict:
        return {"task": "reaction_prediction", "input": smiles, "answer": "CCO", "split": "train", "meta": {}}

    def length(smiles: str, **more) -> int:
        prompt = build_prompt(get_task("reaction_prediction").question(row(smiles)))
        return len(tokenizer.apply_chat_template(prompt, tokenize=True, return_dict=False, **more))

    carbons = spec["prompt"] - length("C", add_generation_prompt=True) + 1
    rows = [row("C" * (i % carbons) + "N" + "C" * (carbons - 1 - i % carbons)) for i in range(number)]
    around = len(tokenizer(render(None, "C"), add_special_tokens=False)["input_ids"]) - 1
    return rows, render(None, "C" * (spec["completion"] - around - 1))  # and the end of the turn


# one measurement, in a process of its own


class Measured(Exception):
    """Training has been seen for long enough."""


def measure(spec: dict) -> dict:
    """Seconds a step (median), memory and speed of one way of training; `spec` as `specs` makes it."""
    import torch

    if spec["way"] in ("ours", "unsloth"):
        import unsloth  # noqa: F401 - before trl
    import trl
    from transformers import TrainerCallback

    cuda = torch.cuda.is_available()
    if spec["cap"]:
        torch.cuda.set_per_process_memory_fraction(spec["cap"] * GIB / torch.cuda.get_device_properties(0).total_memory)
    steps: list[float] = []
    parts: dict[str, float] = {}

    def now() -> float:
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    class Watch(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            self.began = now()

        def on_step_end(self, args, state, control, **_):
            steps.append(now() - self.began)
            if len(steps) == WARM_UP:
                parts.clear()
            if len(steps) >= spec["steps"] or (sum(steps) > SECONDS and len(steps) > WARM_UP):
                raise Measured

    def timed(owner, name: str) -> None:
        inner = getattr(owner, name)

        def outer(*args, **kwargs):
            began = now()
            try:
                return inner(*args, **kwargs)
            finally:
                parts[name] = parts.get(name, 0.0) + now() - began

        setattr(owner, name, outer)

    kind = trl.SFTTrainer if spec["phase"] == "foundation" else trl.GRPOTrainer
    train, seen = kind.train, {}

    def watched(trainer, *args, **kwargs):
        trainer.add_callback(Watch())
        seen["micro_batch"] = trainer.args.per_device_train_batch_size
        if spec["profile"]:
            for name in ("_generate", "_calculate_rewards", "_generate_and_score_completions", "compute_loss"):
                timed(trainer, name)
            timed(trainer.accelerator, "backward")
        return train(trainer, *args, **kwargs)

    kind.train = watched
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with suppress(Measured):
        (ours if spec["way"].startswith("ours") else bare)(spec)
    counted = steps[WARM_UP:]
    seconds = median(counted)
    completions = spec["prompts"] * spec["generations"]
    figures = {"seconds": round(seconds, 3), "steps": [round(value, 3) for value in steps], **seen}
    if spec["phase"] == "grpo":
        figures["completion_tokens_per_second"] = round(completions * spec["completion"] / seconds, 1)
        figures["samples_per_second"] = round(completions / seconds, 3)
    else:
        figures["samples_per_second"] = round(spec["batch"] / seconds, 3)
    if cuda:
        figures |= {
            "allocated_gib": round(torch.cuda.max_memory_allocated() / GIB, 2),
            "reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 2),
        }
    if spec["profile"]:
        each = {name: value / len(counted) for name, value in parts.items()}
        scored = each["_generate_and_score_completions"]
        shares = {
            "sampling": each["_generate"],
            "rewards and mixing": each["_calculate_rewards"],
            "the reference and the rest of scoring": scored - each["_generate"] - each["_calculate_rewards"],
            "loss, forward": each["compute_loss"],
            "backward": each["backward"],
        }
        whole = sum(counted) / len(counted)
        shares["optimiser and the rest"] = whole - sum(shares.values())
        figures["shares"] = {name: round(100 * value / whole, 2) for name, value in shares.items()}
    return figures


def ours(spec: dict) -> None:
    """Phase 1 or 3 as the recipes run it."""
    from chemr_lite.data.rows import Loaded
    from recipes import grpo
    from recipes.training import sft
    from recipes.training.options import Options
    from recipes.training.quiet import silence_libraries

    silence_libraries()
    run = Path(spec["folder"]) / f"run-{os.getpid()}"
    options = Options(
        model=f"{spec['folder']}/4bit", output=str(run), lora_r=LORA, max_length=spec["prompt"] + spec["completion"],
        max_steps=spec["steps"] + 1, eval_rows=1, validation_steps=0, save_steps=1000, sft_batch_size=spec["batch"],
        sft_micro_batch=spec["micro"], grpo_micro_batch=spec["micro"], prompts_per_step=spec["prompts"],
        num_generations=spec["generations"], max_completion_tokens=spec["completion"],
    )  # fmt: skip
    data = Loaded()
    data.rows["train"], text = texts_of(spec, 512)
    backend = "unsloth" if spec["way"] == "ours" else "hf"
    try:
        if spec["phase"] == "foundation":
            sft.train(options, "foundation", lambda row: [text], data, backend)
        else:
            run.mkdir(parents=True)
            (run / "distill").symlink_to(Path(spec["folder"]).resolve() / "adapter")
            grpo.train(options, data, backend)
    finally:
        shutil.rmtree(run, ignore_errors=True)


def bare(spec: dict) -> None:
    """The same by a script of one screen: no rewards to speak of, no mixing, no checks."""
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    from chemr_lite import build_prompt, get_task
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
    prompts = [build_prompt(get_task(row["task"]).question(row)) for row in rows]
    shared = dict(
        output_dir=f"{folder}/bare-{os.getpid()}", max_steps=spec["steps"] + 1, per_device_train_batch_size=spec["micro"],
        gradient_checkpointing=hardware.device == "cuda", logging_steps=1, save_strategy="no", report_to="none", **precision_arguments(hardware),
    )  # fmt: skip
    if spec["phase"] == "foundation":
        answer = [{"role": "assistant", "content": text}]
        data = Dataset.from_list([{"prompt": prompt, "completion": answer} for prompt in prompts])
        config = SFTConfig(
            gradient_accumulation_steps=spec["batch"] // spec["micro"],
            max_length=length,
            learning_rate=2e-4,
            completion_only_loss=True,
            **shared,
        )
        trainer = SFTTrainer(model=model, processing_class=tokenizer, train_dataset=data, args=config)
    else:
        completions = spec["prompts"] * spec["generations"]
        config = GRPOConfig(
            gradient_accumulation_steps=completions // spec["micro"], num_generations=spec["generations"], learning_rate=5e-6,
            max_completion_length=spec["completion"], temperature=1.0, beta=0.04, loss_type="grpo", scale_rewards="none", **shared,
        )  # fmt: skip
        data = Dataset.from_list([{"prompt": prompt} for prompt in prompts])
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=data,
            args=config,
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
        )
    if hardware.precision == "fp16":  # what trl casts the adapter to does not train there
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.float32)
    trainer.train()


if __name__ == "__main__":
    figures = measure(json.loads(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(figures))
