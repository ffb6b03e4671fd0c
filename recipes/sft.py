"""Supervised fine-tuning of the adapter: what phases 1 and 2 share. They differ only in the text they train on."""

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from chemr_lite import build_prompt, get_task, models
from recipes import callbacks, evaluate, processes, runs
from recipes.memory import Rehearsal, rehearses, with_less_memory
from recipes.options import Options, UsageError


def precision(hardware: models.Hardware) -> dict:
    """The trainer's arguments for precision; all must be told, since trl turns bf16 on by itself."""
    return {"bf16": hardware.precision == "bf16", "fp16": hardware.precision == "fp16", "use_cpu": hardware.device == "cpu"}


def known(config: type, **arguments):
    """`config` of the arguments that the installed version has; what it lacks is named, where Unsloth would drop it silently."""
    lacking = sorted(arguments.keys() - {field.name for field in fields(config)})
    if lacking:
        print(f"  {config.__name__} of this trl does not know {', '.join(lacking)}: left out. requirements.txt has the tested versions")
    return config(**{name: value for name, value in arguments.items() if name not in lacking})


def examples(rows: list[dict], completions: Callable[[dict], list[str]], tokenizer, max_length: int) -> tuple[list[dict], dict]:
    """Training examples, how many there are, with how many tokens, and how many are left out: cut off at `max_length` tokens one would lose its answer."""
    made, long, tokens = [], 0, 0
    for row in rows:
        prompt = build_prompt(get_task(row["task"]).question(row))
        for text in completions(row):
            messages = [*prompt, {"role": "assistant", "content": text}]
            length = len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))
            if length > max_length:
                long += 1
            else:
                tokens += length
                made.append({"prompt": prompt, "completion": messages[-1:]})
    return made, {"rows": len(made), "too_long": long, "tokens": tokens}


def train(options: Options, name: str, completions: Callable[[dict], list[str]], data, backend: str) -> None:
    """Run phase `name` to its end, or take up where it was killed; its directory is whole afterwards."""
    with_less_memory(lambda fitting: _train(fitting, name, completions, data, backend), options, name, "sft_micro_batch")


def _train(options: Options, name: str, completions: Callable[[dict], list[str]], data, backend: str) -> None:
    phase, hardware = runs.Phase(options, name), models.detect_hardware()
    tokenizer = models.load_tokenizer(options.model)
    made, counts = examples(data.rows["train"], completions, tokenizer, options.max_length)
    if options.sft_batch_size % (options.sft_micro_batch * processes.NUMBER):
        raise UsageError(
            f"--sft-micro-batch {options.sft_micro_batch}: {processes.NUMBER} × it must divide --sft-batch-size {options.sft_batch_size}"
        )
    if not made:
        raise UsageError(f"no training row of {options.data} is left for {name}: {counts}")
    print(f"[{name}] {counts['rows']:,} examples to learn; left out: {counts['too_long']} over {options.max_length} tokens")
    facts = {"parent": str(phase.parent or options.model), "data": data.fingerprint, "removed": dict(data.removed), "examples": counts}
    checkpoint = processes.first(lambda: phase.begin(facts))
    if checkpoint:
        print(f"[{name}] resuming from {checkpoint}")
    model = models.load_model(
        options.model, phase.parent, backend, hardware, options.max_length, options.lora_r, options.lora_alpha, options.seed
    )
    weights = models.saved_weights(checkpoint) if checkpoint else models.adapter_weights(model)
    values = asdict(options)
    journal = callbacks.Journal(phase.partial, checkpoint)
    check, limit = callbacks.GreedyCheck(options, tokenizer, data, journal), callbacks.Limit(options.max_hours)
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(made),
        callbacks=[check, limit, journal],
        args=known(
            SFTConfig,
            output_dir=str(phase.partial),
            seed=options.seed,
            num_train_epochs=values[f"{name}_epochs"],
            max_steps=options.max_steps or -1,
            learning_rate=values[f"{name}_learning_rate"],
            lr_scheduler_type="cosine",
            warmup_steps=0.03,
            per_device_train_batch_size=options.sft_micro_batch,
            gradient_accumulation_steps=options.sft_batch_size // (options.sft_micro_batch * processes.NUMBER),
            train_sampling_strategy="group_by_length",
            max_length=options.max_length,
            completion_only_loss=True,
            gradient_checkpointing=hardware.device == "cuda",
            logging_steps=10,
            save_steps=options.save_steps,
            save_total_limit=2,
            ddp_find_unused_parameters=False,
            report_to=options.report_to,
            run_name=f"{phase.run.name}/{phase.name}",
            **precision(hardware),
        ),
    )
    models.restore_adapter(model, weights)
    callbacks.Bar.replace(trainer, name)
    if rehearses(options, hardware.device):
        longest = sorted(trainer.train_dataset, key=lambda row: -len(row["input_ids"]))[: options.sft_micro_batch]
        trainer.add_callback(Rehearsal(trainer, trainer.data_collator(longest)))
    fit(trainer, checkpoint)
    limit.conclude(name)
    processes.first(lambda: conclude(phase, trainer.model, tokenizer, data, journal.seconds()))


def fit(trainer, checkpoint: Path | None) -> None:
    """Train, from `checkpoint` on where there is one. Of one made after the last step the trainer would make a step more."""
    if checkpoint:
        state = runs.read_json(checkpoint / "trainer_state.json")
        if state["global_step"] >= state["max_steps"]:
            return
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def conclude(phase: runs.Phase, model, tokenizer, data, seconds: float) -> None:
    """Save the adapter, answer the test rows greedily, and make the phase's directory whole."""
    model.save_pretrained(phase.partial, selected_adapters=["default"])
    tokenizer.save_pretrained(phase.partial)
    metrics = evaluate.evaluate(
        model, tokenizer, data.rows["test"], phase.options, phase.options.eval_rows, phase.partial / "predictions.jsonl"
    )
    phase.finish(metrics, {"train_minutes": round(seconds / 60, 2), "peak_memory_gb": runs.peak_memory_gb()})
    print(f"[{phase.name}] balanced {metrics['balanced']} ± {metrics['interval']} (n = {metrics['n']}), saved in {phase.final}")
