"""Supervised fine-tuning, shared by phases 1 and 2: they differ only in the text that they train on."""

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from chemr_lite import get_task
from chemr_lite.data import Loaded
from chemr_lite.model.adapters import adapter_weights, restore_adapter, saved_weights
from chemr_lite.model.hardware import Hardware, detect_hardware
from chemr_lite.model.load import load_model, load_tokenizer
from recipes.training import callbacks, distributed
from recipes.training.distributed import on_main, say
from recipes.training.environment import peak_memory_gb
from recipes.training.evaluation import evaluate
from recipes.training.files import read_json
from recipes.training.memory import with_less_memory
from recipes.training.options import Options, UsageError
from recipes.training.run_directory import RungDirectory
from recipes.training.time_left import TimeLeft


def precision_arguments(hardware: Hardware) -> dict:
    """Return the trainer's arguments for precision. All are given, because trl would turn bf16 on by itself."""
    precision = hardware.precision
    return {"bf16": precision == "bf16", "fp16": precision == "fp16", "use_cpu": hardware.device == "cpu"}


def shared_arguments(directory: RungDirectory, hardware: Hardware) -> dict:
    """Return the trainer's arguments that all phases share: seed, schedule, checkpoints, reports and precision."""
    options = directory.options
    return {
        "output_dir": str(directory.partial),
        "seed": options.seed,
        "lr_scheduler_type": "cosine",
        # trl's defaults; Unsloth has others, and a ladder must not depend on the backend
        "optim": "adamw_torch_fused",
        "weight_decay": 0.0,
        "gradient_checkpointing": hardware.device == "cuda",
        "save_steps": options.save_steps,
        "save_total_limit": 2,
        "ddp_find_unused_parameters": False,
        "report_to": options.report_to,
        "run_name": f"{directory.run.name}/{directory.name}",
        **precision_arguments(hardware),
    }


def make_config(config: type, **arguments):
    """Return `config(**arguments)` without the arguments that the installed version does not know.

    These are printed; Unsloth would drop them silently.
    """
    unknown = sorted(arguments.keys() - {field.name for field in fields(config)})
    if unknown:
        say(
            f"  {config.__name__} of this trl does not know {', '.join(unknown)}: left out. requirements.txt has the "
            "tested versions"
        )
    return config(**{name: value for name, value in arguments.items() if name not in unknown})


def make_examples(
    rows: list[dict], completions: Callable[[dict], list[str]], tokenizer, max_length: int
) -> tuple[list[dict], dict]:
    """Return training examples, and counts of the examples, of their tokens and of those that were too long.

    `completions` returns the texts to learn for a row. Examples longer than `max_length` tokens are skipped, because
    truncation would remove the answer.
    """
    examples, too_long, tokens = [], 0, 0
    for row in rows:
        prompt = get_task(row["task"]).prompt(row)
        for text in completions(row):
            messages = [*prompt, {"role": "assistant", "content": text}]
            length = len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))
            if length > max_length:
                too_long += 1
            else:
                tokens += length
                examples.append({"prompt": prompt, "completion": messages[-1:]})
    return examples, {"rows": len(examples), "too_long": too_long, "tokens": tokens}


def train(
    options: Options,
    name: str,
    completions: Callable[[dict], list[str]],
    rows: Loaded,
    backend: str,
    time_left: TimeLeft,
) -> None:
    """Train phase `name` from its newest checkpoint or from the start, and write its directory.

    `completions` returns the texts to learn for a row. Out of GPU memory, the phase is tried once more with half the
    micro-batch. Raises UsageError if no training row is left.
    """
    with_less_memory(
        lambda fitting: _train(fitting, name, completions, rows, backend, time_left), options, name, "sft_micro_batch"
    )


def _train(
    options: Options,
    name: str,
    completions: Callable[[dict], list[str]],
    rows: Loaded,
    backend: str,
    time_left: TimeLeft,
) -> None:
    directory, hardware = RungDirectory(options, name), detect_hardware(options.model)
    tokenizer = load_tokenizer(options.model)
    examples, counts = make_examples(rows.rows["train"], completions, tokenizer, options.max_length)
    if options.sft_batch_size % (options.sft_micro_batch * distributed.WORLD_SIZE):
        raise UsageError(
            f"--sft-micro-batch {options.sft_micro_batch} × {distributed.WORLD_SIZE} process(es) does not divide "
            f"--sft-batch-size {options.sft_batch_size}"
        )
    if not examples:
        raise UsageError(f"no training row of {options.data} is left for {name}: {counts}")
    say(
        f"[{name}] {counts['rows']:,} examples; {counts['too_long']} skipped that are longer than {options.max_length} "
        "tokens"
    )
    facts = {
        "parent": str(directory.parent or options.model),
        "data": rows.fingerprint,
        "removed": dict(rows.removed),
        "examples": counts,
    }
    checkpoint = on_main(lambda: directory.begin(facts))
    if checkpoint:
        say(f"[{name}] resuming from {checkpoint}")
    model = load_model(
        options.model, directory.parent, backend, hardware, options.longest, options.lora_r, options.seed
    )
    weights = saved_weights(checkpoint) if checkpoint else adapter_weights(model)
    values = asdict(options)
    journal = callbacks.Journal(directory.partial, checkpoint)
    greedy_check = callbacks.GreedyCheck(options, tokenizer, rows, journal)
    limit = callbacks.Limit(options.max_hours)
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(examples),
        callbacks=[greedy_check, limit, journal],
        args=make_config(
            SFTConfig,
            num_train_epochs=values[f"{name}_epochs"],
            max_steps=options.max_steps or -1,
            learning_rate=values[f"{name}_learning_rate"],
            warmup_steps=0.03,
            per_device_train_batch_size=options.sft_micro_batch,
            gradient_accumulation_steps=options.sft_batch_size // (options.sft_micro_batch * distributed.WORLD_SIZE),
            train_sampling_strategy="group_by_length",  # longest first: memory runs out at once or never
            max_length=options.max_length,
            completion_only_loss=True,
            logging_steps=10,
            **shared_arguments(directory, hardware),
        ),
    )
    restore_adapter(model, weights)
    callbacks.Bar.replace(trainer, name, time_left)
    train_from(trainer, checkpoint)
    limit.conclude(name)
    on_main(lambda: finish_phase(directory, trainer.model, tokenizer, rows, journal.seconds()))


def train_from(trainer, checkpoint: Path | None) -> None:
    """Train, from `checkpoint` on if there is one."""
    if checkpoint:  # from a checkpoint of the last step the trainer would take one step too many
        state = read_json(checkpoint / "trainer_state.json")
        if state["global_step"] >= state["max_steps"]:
            return
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def finish_phase(directory: RungDirectory, model, tokenizer, rows: Loaded, seconds: float) -> None:
    """Save the adapter, answer the test rows greedily, and give the phase's directory its final name."""
    options, partial = directory.options, directory.partial
    model.save_pretrained(partial, selected_adapters=["default"])
    tokenizer.save_pretrained(partial)
    metrics = evaluate(model, tokenizer, rows.rows["test"], options, options.eval_rows, partial / "predictions.jsonl")
    directory.finish(metrics, {"train_minutes": round(seconds / 60, 2), "peak_memory_gb": peak_memory_gb()})
    say(
        f"[{directory.name}] balanced {metrics['balanced']} ± {metrics['interval']} (n = {metrics['n']}), saved in "
        f"{directory.final}"
    )
