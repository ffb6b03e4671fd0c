"""Phase 3, multi-task GRPO: practise all tasks at once, paid by verified answers, balanced between tasks.

    python recipes/grpo.py                      # all three phases on the embedded nano model; ends with the ladder
    python recipes/grpo.py --preset t4          # a 3B model on a 16 GB GPU

1. The mixture draws each step's prompts: more from tasks with a gap to close, groups that still differ and short
   answers. Rows without an answer, of no use to the phases before, are asked too: RDKit verifies what comes.
2. The model samples a group of completions for each prompt; the gate and the task's `score` pay each one.
3. Rewards are scaled by group with a floor under the deviation, so that dense rewards do not drown sparse ones.
4. GRPO (TRL's or Unsloth's trainer, unchanged) moves the adapter of phase 2, held near it by a KL. With --replay-kl a
   second KL, on texts of the tasks that have an answer, keeps them from wearing off while others are practised.
   (Unsloth keeps no copy of phase 2: its KL is to the base model, and it goes without the second.)
5. Every --validation-steps it answers validation rows greedily: the best adapter is kept, and a collapse ends training.

Phases 1 and 2 run first if their directories are missing. Ours, not the paper's: weights, scaling and all numbers.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import get_task, reward_functions
from chemr_lite.data import Loaded
from chemr_lite.mixing import SAMPLING, SCALING, Mixture, columns_of
from chemr_lite.protocols import load_protocols
from recipes import distill, foundation
from recipes.training import distributed
from recipes.training.distributed import on_main, say
from recipes.training.options import Options, UsageError
from recipes.training.pipeline import Phase, main
from recipes.training.rows import grpo_rows, replay_rows


def check(options: Options, rows: Loaded) -> None:
    """Raise UsageError for what phase 3 could not run with, before the phases before it are trained."""
    for name, value, known in (("sampling", options.sampling, SAMPLING), ("scaling", options.scaling, SCALING)):
        if value not in known:
            raise UsageError(f"--{name} {value!r}: choose {', '.join(known)}")
    if options.num_generations < 2:
        raise UsageError(
            f"--num-generations {options.num_generations}: at least 2, of which one can earn more than another"
        )
    completions = options.prompts_per_step * options.num_generations
    if completions % (options.grpo_micro_batch * distributed.WORLD_SIZE):
        raise UsageError(
            f"--grpo-micro-batch {options.grpo_micro_batch}: {distributed.WORLD_SIZE} × it does not divide {completions} "
            "completions a step"
        )
    if options.replay_kl < 0:
        raise UsageError(f"--replay-kl {options.replay_kl}: 0 or more")
    if not 0 <= options.grounding_reward <= 1:
        raise UsageError(f"--grounding-reward {options.grounding_reward} must lie between 0 and 1")
    grpo_rows(options, rows.rows)


def sample_on_cpu(prompts: list[list[dict]], trainer) -> dict:
    """Sample completions for GRPOTrainer, as its `rollout_func`: a prompt comes once for each completion wanted."""
    from chemr_lite.model.generation import sample_groups

    size, model = trainer.num_generations, trainer.accelerator.unwrap_model(trainer.model)
    prompt_ids, completion_ids = sample_groups(
        model, trainer.processing_class, prompts[::size], size, trainer.max_completion_length, trainer.temperature
    )
    # no log-probabilities: on policy there is nothing to correct
    return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}


def train(options: Options, rows: Loaded, backend: str) -> None:
    """Train phase 3 and write its directory; out of GPU memory, once more with half the micro-batch."""
    from recipes.training.memory import with_less_memory

    with_less_memory(lambda fitting: _train(fitting, rows, backend), options, "grpo", "grpo_micro_batch")


def _train(options: Options, rows: Loaded, backend: str) -> None:
    # torch and trl, which --help must not wait for
    from trl import GRPOConfig, GRPOTrainer

    from chemr_lite.model.adapters import adapter_weights, restore_adapter, saved_weights
    from chemr_lite.model.cpu import share_prompts
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_model, load_tokenizer
    from recipes.training import callbacks
    from recipes.training.files import read_json, write_json
    from recipes.training.health import Health
    from recipes.training.memory import Rehearsal
    from recipes.training.replay_kl import add_replay_kl
    from recipes.training.run_directory import RungDirectory
    from recipes.training.sft import finish_phase, make_config, precision_arguments, train_from

    directory, hardware = RungDirectory(options, "grpo"), detect_hardware()
    on_cpu = hardware.device == "cpu"
    tokenizer = load_tokenizer(options.model)
    completions = options.prompts_per_step * options.num_generations
    steps = options.max_steps or options.grpo_steps
    questions = grpo_rows(options, rows.rows)
    mixture = Mixture(questions, options.prompts_per_step, options.seed, options.sampling, options.scaling)
    [reward] = reward_functions(options.grounding_reward, load_protocols(options.protocols))
    facts = {"parent": str(directory.parent), "data": rows.fingerprint, "removed": dict(rows.removed)}
    checkpoint = on_main(lambda: directory.begin(facts))
    if checkpoint:
        say(f"[grpo] resuming from {checkpoint}")
        try:
            mixture.state = read_json(checkpoint / "mixing.json")
        except ValueError as error:
            raise UsageError(f"{checkpoint}: {error}; give another --output") from error
    model = load_model(
        options.model, directory.parent, backend, hardware, options.max_length, options.lora_r, options.seed
    )
    # beside a second adapter (the KL reference) the trainer's own resume forgets to load the first one
    weights = saved_weights(checkpoint) if checkpoint else adapter_weights(model)
    save_mixture = lambda folder: write_json(folder / "mixing.json", mixture.state)  # noqa: E731
    journal = callbacks.Journal(directory.partial, checkpoint, [save_mixture])
    check = callbacks.GreedyCheck(options, tokenizer, rows, journal, directory.partial / "best")
    limit = callbacks.Limit(options.max_hours)
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[mixture.wrap(reward)],
        train_dataset=mixture.dataset(steps),
        rollout_func=sample_on_cpu if on_cpu else None,
        callbacks=[check, limit, journal, Health()],
        args=make_config(
            GRPOConfig,
            output_dir=str(directory.partial),
            seed=options.seed,
            max_steps=steps,
            learning_rate=options.grpo_learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, steps // 20),
            max_grad_norm=0.2,
            per_device_train_batch_size=options.grpo_micro_batch,
            gradient_accumulation_steps=completions // (options.grpo_micro_batch * distributed.WORLD_SIZE),
            num_generations=options.num_generations,
            max_completion_length=options.max_completion_tokens,
            temperature=options.temperature,
            beta=options.beta,
            loss_type="grpo",  # every completion weighs the same: with "dapo" tasks with long answers would weigh more
            scale_rewards="none",  # the mixture scales, and its rewards need only their group's mean subtracted
            shuffle_dataset=False,  # the mixture orders
            gradient_checkpointing=not on_cpu,
            logging_steps=1,
            save_steps=options.save_steps,
            save_total_limit=2,
            ddp_find_unused_parameters=False,
            report_to=options.report_to,
            run_name=f"{directory.run.name}/grpo",
            **precision_arguments(hardware),
        ),
    )
    restore_adapter(model, weights)
    if on_cpu:
        share_prompts(model)
    if options.replay_kl:
        add_replay_kl(trainer, replay_rows(options, rows.rows), options)
    callbacks.Bar.replace(trainer, "grpo")
    longest = max(questions, key=lambda row: len(get_task(row["task"]).question(row)))
    prompt = {name: value for name, [value] in columns_of([longest]).items()}
    state = mixture.state
    trainer.add_callback(
        Rehearsal(trainer, [prompt] * (completions // distributed.WORLD_SIZE), lambda: setattr(mixture, "state", state))
    )
    train_from(trainer, checkpoint)
    limit.conclude("grpo")

    def finish() -> None:
        check.keep_best(trainer.model)
        save_mixture(directory.partial)
        finish_phase(directory, trainer.model, tokenizer, rows, journal.seconds())

    on_main(finish)


PHASE = Phase("grpo", train, check)

if __name__ == "__main__":
    main(__doc__, [foundation.PHASE, distill.PHASE, PHASE])
