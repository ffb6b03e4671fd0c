"""Phase 3, multi-task GRPO: practise all tasks at once, paid by verified answers, balanced between tasks.

    python recipes/grpo.py                      # all three phases on the embedded nano model; ends with the ladder
    python recipes/grpo.py --preset t4          # a 3B model on a 16 GB GPU

1. The mixture draws each step's prompts: more from tasks with a gap to close, groups that still differ and short answers.
   Rows without an answer, of no use to the phases before, are asked too: RDKit verifies what comes.
2. The model samples a group of completions for each prompt; the gate and the task's `score` pay each one.
3. Rewards are scaled by group with a floor under the deviation, so that dense rewards do not drown sparse ones.
4. GRPO (TRL's or Unsloth's trainer, unchanged) moves the adapter of phase 2, held near it by a KL; with --anchor by a
   second one, on texts of the tasks that have an answer, so that they do not wear off while others are practised.
   (Unsloth keeps no copy of phase 2: its KL is to the base model, and it goes without the anchor.)
5. Every --validation-steps it answers validation rows greedily: the best adapter is kept, and a collapse ends training.

Phases 1 and 2 run first if their directories are missing. Ours, not the paper's: weights, scaling and all numbers.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import options as cli


class Rollout:
    """GRPOTrainer's `rollout_func` on CPU: samples for its prompts, which come once for each completion wanted.

    With `oversampling` above 1 so many times more are sampled, and those come back whose rewards differ most.
    """

    def __init__(self, mixture, reward, oversampling: int):
        self.mixture, self.reward, self.oversampling = mixture, reward, oversampling

    def __call__(self, prompts: list[list[dict]], trainer) -> dict:
        from chemr_lite.generation import sample_groups

        tokenizer, wanted = trainer.processing_class, trainer.num_generations
        different, model = prompts[::wanted], trainer.accelerator.unwrap_model(trainer.model)
        size = wanted * self.oversampling
        asked, made = sample_groups(model, tokenizer, different, size, trainer.max_completion_length, trainer.temperature)
        if self.oversampling > 1:
            texts = tokenizer.batch_decode(made, skip_special_tokens=True)
            kept = self.mixture.choose(self.reward, different, texts, wanted)
            asked, made = [asked[i] for i in kept], [made[i] for i in kept]
        return {"prompt_ids": asked, "completion_ids": made, "logprobs": None}  # None: on policy, nothing to correct


def practised(options: cli.Options, rows: dict[str, list[dict]]) -> list[dict]:
    """What phase 3 asks: of the rows by split those to train on and to practise, as far as --grpo-tasks leaves them. Raises
    UsageError where that is none."""
    from recipes.ladder import chosen_tasks

    tasks = chosen_tasks(options.grpo_tasks, "--grpo-tasks")
    left = [row for split in ("train", "practice") for row in rows[split] if tasks is None or row["task"] in tasks]
    if not left:
        raise cli.UsageError(f"--grpo-tasks {options.grpo_tasks}: no training row of {options.data} is of these tasks")
    return left


def held(options: cli.Options, rows: dict[str, list[dict]]) -> list[dict]:
    """What --anchor holds: of the rows by split the training rows of tasks whose answers are known; where --grpo-tasks names what is
    practised, of the others."""
    from chemr_lite import get_task
    from recipes.ladder import chosen_tasks

    practised = chosen_tasks(options.grpo_tasks, "--grpo-tasks") or []
    return [row for row in rows["train"] if not get_task(row["task"]).verified and row["task"] not in practised]


def check(options: cli.Options, rows: dict[str, list[dict]]) -> None:
    """Refuse what phase 3 could not run with, before the phases before it are trained. Raises UsageError."""
    from chemr_lite.mixing import SAMPLING, SCALING
    from chemr_lite.models import detect_hardware
    from recipes.processes import NUMBER

    for name, value, known in (("sampling", options.sampling, SAMPLING), ("scaling", options.scaling, SCALING)):
        if value not in known:
            raise cli.UsageError(f"--{name} {value!r}: choose {', '.join(known)}")
    if options.num_generations < 2:
        raise cli.UsageError(f"--num-generations {options.num_generations}: at least 2, of which one can earn more than another")
    completions = options.prompts_per_step * options.num_generations
    if completions % (options.grpo_micro_batch * NUMBER):
        raise cli.UsageError(
            f"--grpo-micro-batch {options.grpo_micro_batch}: {NUMBER} × it does not divide {completions} completions a step"
        )
    practised(options, rows)
    if options.anchor < 0:
        raise cli.UsageError(f"--anchor {options.anchor}: 0 or more")
    if not 0 <= options.grounding_reward <= 1:
        raise cli.UsageError(f"--grounding-reward {options.grounding_reward} must lie between 0 and 1")
    if options.oversampling < 1 or (options.oversampling > 1 and detect_hardware().device != "cpu"):
        raise cli.UsageError(f"--oversampling {options.oversampling}: 1 or more, and 1 on a GPU, where sampling takes most of a step")


def run(options: cli.Options, data, backend: str) -> None:
    from recipes.memory import with_less_memory

    with_less_memory(lambda fitting: _train(fitting, data, backend), options, "grpo", "grpo_micro_batch")


def _train(options: cli.Options, data, backend: str) -> None:
    from trl import GRPOConfig, GRPOTrainer

    from chemr_lite import get_task, models, reward_functions
    from chemr_lite.generation import read_prompts_once
    from chemr_lite.mixing import Mixture, columns_of
    from chemr_lite.protocols import load_protocols
    from recipes import anchor, callbacks, processes, runs
    from recipes.health import Health
    from recipes.memory import Rehearsal, rehearses
    from recipes.sft import conclude, fit, known, precision

    phase, hardware = runs.Phase(options, "grpo"), models.detect_hardware()
    tokenizer = models.load_tokenizer(options.model)
    completions = options.prompts_per_step * options.num_generations
    steps = options.max_steps or options.grpo_steps
    rows = practised(options, data.rows)
    mixture = Mixture(rows, options.prompts_per_step, options.seed, options.sampling, options.scaling)
    [reward] = reward_functions(options.grounding_reward, load_protocols(options.protocols))
    facts = {"parent": str(phase.parent), "data": data.fingerprint, "removed": dict(data.removed)}
    checkpoint = processes.first(lambda: phase.begin(facts))
    if checkpoint:
        print(f"[grpo] resuming from {checkpoint}")
        mixture.state = runs.read_json(checkpoint / "mixing.json")
    model = models.load_model(
        options.model, phase.parent, backend, hardware, options.max_length, options.lora_r, options.lora_alpha, options.seed, options.vllm
    )
    # beside a second adapter (the KL reference) the trainer's own resume forgets to load the first one
    weights = models.saved_weights(checkpoint) if checkpoint else models.adapter_weights(model)
    journal = callbacks.Journal(phase.partial, checkpoint, [lambda folder: runs.write_json(folder / "mixing.json", mixture.state)])
    check = callbacks.GreedyCheck(options, tokenizer, data, journal, phase.partial / "best")
    limit = callbacks.Limit(options.max_hours)
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[mixture.wrap(reward)],
        train_dataset=mixture.dataset(steps),
        rollout_func=Rollout(mixture, reward, options.oversampling) if hardware.device == "cpu" else None,
        callbacks=[check, limit, journal, Health()],
        args=known(
            GRPOConfig,
            output_dir=str(phase.partial),
            seed=options.seed,
            max_steps=steps,
            learning_rate=options.grpo_learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, steps // 20),
            max_grad_norm=options.max_grad_norm,
            per_device_train_batch_size=options.grpo_micro_batch,
            gradient_accumulation_steps=completions // (options.grpo_micro_batch * processes.NUMBER),
            num_generations=options.num_generations,
            max_completion_length=options.max_completion_tokens,
            temperature=options.temperature,
            beta=options.beta,
            loss_type="grpo",  # every completion weighs the same: with "dapo" the tasks with long answers would weigh more
            scale_rewards="none",  # the mixture scales, and its rewards need only their group's mean subtracted
            shuffle_dataset=False,  # the mixture orders
            gradient_checkpointing=hardware.device == "cuda",
            logging_steps=1,
            save_steps=options.save_steps,
            save_total_limit=2,
            ddp_find_unused_parameters=False,
            report_to=options.report_to,
            run_name=f"{phase.run.name}/{phase.name}",
            **precision(hardware),
        ),
    )
    models.restore_adapter(model, weights)
    if hardware.device == "cpu":
        read_prompts_once(model)
    if options.anchor:
        anchor.hold(trainer, held(options, data.rows), options)
    callbacks.Bar.replace(trainer, "grpo")
    if rehearses(options, hardware.device):
        longest = max(rows, key=lambda row: len(get_task(row["task"]).question(row)))
        before = mixture.state
        asked = {name: value for name, [value] in columns_of([longest]).items()}
        trainer.add_callback(Rehearsal(trainer, [asked] * (completions // processes.NUMBER), lambda: setattr(mixture, "state", before)))
    fit(trainer, checkpoint)
    limit.conclude("grpo")

    def end() -> None:
        check.keep_best(trainer.model)
        runs.write_json(phase.partial / "mixing.json", mixture.state)
        conclude(phase, trainer.model, tokenizer, data, journal.seconds())

    processes.first(end)


if __name__ == "__main__":
    options, preset = cli.parse(__doc__)
    from recipes.ladder import climb

    climb(options, preset, "grpo")
