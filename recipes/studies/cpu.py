"""Side by side on a CPU: seconds a step of nano, by the recipes and by a bare script of TRL, peft and bitsandbytes.

Both train the same adapter on the same 4-bit base. In phase 2 they read the same texts once, in phase 3 they answer the
same prompts with equally many completions of the same limit, at the same temperature, and score them alike. The bare
script does what trl's documentation shows: peft's layers, `generate`, the whole batch in the training pass. Each
measurement is a process of its own. The ways take turns, so that other work on the machine slows both alike.

`python recipes/studies/bench.py cpu` starts it.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tqdm import tqdm

from chemr_lite import get_task, reward_functions
from chemr_lite.errors import ChemrError
from chemr_lite.mixing import Mixture
from recipes import distill, grpo
from recipes.training.files import read_json, write_json
from recipes.training.options import Options, make_parser, read_options
from recipes.training.quiet import silence_libraries
from recipes.training.rows import grpo_rows, load_rows
from recipes.training.time_left import TimeLeft

WAYS = ("ours", "bare")
PARENT = {"distill": "foundation", "grpo": "distill"}  # phase → the phase that it goes on from


def measure_all(run: Path, rounds: int, steps: dict[str, int]) -> dict[str, dict]:
    """Return by phase the seconds a step of each way (medians over `rounds`) and their ratio.

    `run` holds phases 1 and 2 of nano, and `steps` the steps of a measurement by phase.
    """
    for name in PARENT.values():
        if not (run / name).exists():
            raise ChemrError(f"{run / name} is missing: train it with python recipes/distill.py --preset nano")
    seconds = {phase: {way: [] for way in WAYS} for phase in steps}
    plan = [(phase, way) for _ in range(rounds) for phase in steps for way in WAYS]
    with tempfile.TemporaryDirectory() as folder:
        for phase, way in tqdm(plan, desc="measuring", unit=" runs"):
            spec = {"run": str(run.resolve()), "phase": phase, "way": way, "steps": steps[phase]}
            result = Path(folder) / "result.json"
            command = [sys.executable, __file__, json.dumps(spec), str(result)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
            if done.returncode:
                raise ChemrError(f"{phase} by {way} failed:\n{done.stderr[-2000:]}")
            seconds[phase][way].append(read_json(result))
    return {
        phase: {way: median(values) for way, values in by_way.items()}
        | {"ratio": median(by_way["bare"]) / median(by_way["ours"]), "rounds": by_way, "steps": steps[phase]}
        for phase, by_way in seconds.items()
    }


def table(figures: dict[str, dict]) -> str:
    """Return the figures of `measure_all` as a Markdown table."""
    lines = ["| | ours, s a step | bare, s a step | times as fast |", "| --- | ---: | ---: | ---: |"]
    for phase, found in figures.items():
        lines.append(f"| {phase} | {found['ours']:.2f} | {found['bare']:.2f} | {found['ratio']:.1f} |")
    return "\n".join(lines)


class EnoughSteps(Exception):
    """Ends a training that has been measured."""


def measure(spec: dict) -> float:
    """Train as `spec` says and return the mean seconds of a step."""
    import trl
    from transformers import TrainerCallback

    silence_libraries()
    steps: list[float] = []

    class Watch(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            self.began = time.perf_counter()

        def on_step_end(self, args, state, control, **_):
            steps.append(time.perf_counter() - self.began)
            if len(steps) == spec["steps"]:
                raise EnoughSteps

    trainer_class = trl.SFTTrainer if spec["phase"] == "distill" else trl.GRPOTrainer
    train = trainer_class.train

    def watched_train(trainer, *args, **kwargs):
        trainer.add_callback(Watch())
        return train(trainer, *args, **kwargs)

    trainer_class.train = watched_train
    with tempfile.TemporaryDirectory() as folder, suppress(EnoughSteps):
        # drawn uniformly, both ask the same questions in every step; the replay KL is ours alone
        arguments = ["--preset", "nano", "--output", folder, "--sampling", "uniform", "--replay-kl", "0"]
        options, _ = read_options(make_parser(""), arguments)
        options = replace(options, save_steps=1000, max_steps=spec["steps"] + 1, distill_epochs=1.0)
        (ours if spec["way"] == "ours" else bare)(options, spec)
    return sum(steps) / len(steps)


def rows_of(options: Options, spec: dict):
    """Return the rows. For phase 2, keep only as many training rows as the steps of `spec` and one more read."""
    rows = load_rows(options)
    if spec["phase"] == "distill":
        rows.rows["train"] = random.Random(0).sample(rows.rows["train"], (spec["steps"] + 1) * options.sft_batch_size)
    return rows


def ours(options: Options, spec: dict) -> None:
    """Train by the recipe, on a copy of the phases before."""
    rows = rows_of(options, spec)
    for name in ("base", *PARENT.values()):
        if name != spec["phase"] and (Path(spec["run"]) / name).exists():
            shutil.copytree(Path(spec["run"]) / name, Path(options.output) / name)
    (distill if spec["phase"] == "distill" else grpo).train(options, rows, "hf", TimeLeft())


def bare(options: Options, spec: dict) -> None:
    """Train the same with what trl, peft and bitsandbytes do by default."""
    from datasets import Dataset
    from peft import PeftModel, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import base_path, four_bits

    rows, hardware = rows_of(options, spec), detect_hardware()
    base = base_path("nano")
    model = AutoModelForCausalLM.from_pretrained(
        base,
        quantization_config=four_bits(hardware),
        dtype=hardware.dtype,
        device_map={"": "cpu"},
        use_safetensors=True,
    )
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    adapter = Path(spec["run"]) / PARENT[spec["phase"]]
    model = PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    tokenizer = AutoTokenizer.from_pretrained(base)
    shared = {
        "output_dir": options.output,
        "max_steps": options.max_steps,
        "gradient_checkpointing": False,
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "seed": options.seed,
    }
    if spec["phase"] == "distill":
        texts = distill.completions(options, rows)
        examples = [
            {"prompt": get_task(row["task"]).prompt(row), "completion": [{"role": "assistant", "content": text}]}
            for row in rows.rows["train"]
            for text in texts(row)
        ]
        config = SFTConfig(
            per_device_train_batch_size=options.sft_batch_size,
            learning_rate=options.distill_learning_rate,
            max_length=options.max_length,
            completion_only_loss=True,
            **shared,
        )
        trainer = SFTTrainer(
            model=model, processing_class=tokenizer, train_dataset=Dataset.from_list(examples), args=config
        )
    else:
        questions = grpo_rows(options, rows.rows)
        mixture = Mixture(questions, options.prompts_per_step, options.seed, options.sampling)
        config = GRPOConfig(
            per_device_train_batch_size=options.prompts_per_step * options.num_generations,
            num_generations=options.num_generations,
            max_completion_length=options.max_completion_tokens,
            temperature=options.temperature,
            beta=options.beta,
            learning_rate=options.grpo_learning_rate,
            loss_type="grpo",
            shuffle_dataset=False,
            **shared,
        )
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=mixture.dataset(options.max_steps),
            args=config,
            reward_funcs=reward_functions(),
        )
    trainer.train()


if __name__ == "__main__":
    write_json(Path(sys.argv[2]), measure(json.loads(sys.argv[1])))
