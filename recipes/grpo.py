"""Phase 3, multi-task GRPO: practise all tasks at once, on rewards that are verified and balanced between tasks.

    python recipes/grpo.py                      # all three phases on the embedded nano model; ends with the ladder
    python recipes/grpo.py --preset t4          # a 3B model on a 16 GB GPU

1. The mixture draws the prompts of each step. It prefers tasks with a low reward, tasks whose completions still differ
   in reward, and short completions. Rows without a gold answer take part too, because RDKit verifies the completions.
2. The model samples a group of completions for each prompt. Each one earns its task's `score`, if it passes the gate.
3. Rewards are divided by the standard deviation of their group, with a floor, so that dense rewards do not drown sparse
   ones.
4. Groups whose completions all earn the same teach nothing. They are left out before the model reads them again.
5. GRPO (TRL's or Unsloth's trainer, unchanged) updates the adapter of phase 2 and keeps it close to phase 2 by a KL.
   --replay-kl adds a second KL, on texts of tasks with gold answers, so that these are not forgotten meanwhile.
6. Every --validation-steps the model answers validation rows greedily. The best adapter is kept, and a collapse ends
   training.

Phases 1 and 2 run first if their directories are missing. Weights, scaling and all numbers are ours, not the paper's.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import reward_functions
from chemr_lite.data import Loaded
from chemr_lite.mixing import SAMPLING, SCALING, Mixture
from chemr_lite.protocols import load_protocols
from recipes import distill, foundation
from recipes.training import distributed
from recipes.training.distributed import on_main, say
from recipes.training.files import read_json, write_json
from recipes.training.options import Options, UsageError
from recipes.training.pipeline import Phase, main
from recipes.training.rows import grpo_rows, replay_rows
from recipes.training.time_left import TimeLeft


def check(options: Options, rows: Loaded) -> None:
    """Raise UsageError for options that phase 3 cannot use, before phases 1 and 2 are trained."""
    for name, value, known in (("sampling", options.sampling, SAMPLING), ("scaling", options.scaling, SCALING)):
        if value not in known:
            raise UsageError(f"--{name} {value!r}: choose {', '.join(known)}")
    if options.num_generations < 2:
        raise UsageError(
            f"--num-generations {options.num_generations}: at least 2, because GRPO compares completions of one prompt"
        )
    completions = options.prompts_per_step * options.num_generations
    if completions % (options.grpo_micro_batch * distributed.WORLD_SIZE):
        raise UsageError(
            f"--grpo-micro-batch {options.grpo_micro_batch} × {distributed.WORLD_SIZE} process(es) does not divide "
            f"{completions} completions a step"
        )
    if options.replay_kl < 0:
        raise UsageError(f"--replay-kl {options.replay_kl} must not be negative")
    if not 0 <= options.grounding_reward <= 1:
        raise UsageError(f"--grounding-reward {options.grounding_reward} must lie between 0 and 1")
    grpo_rows(options, rows.rows)


def train(options: Options, rows: Loaded, backend: str, time_left: TimeLeft) -> None:
    """Train phase 3 and write its directory. Out of GPU memory, try once more with half the micro-batch."""
    from recipes.training.memory import with_less_memory  # torch, which --help must not wait for

    with_less_memory(lambda fitting: _train(fitting, rows, backend, time_left), options, "grpo", "grpo_micro_batch")


def _train(options: Options, rows: Loaded, backend: str, time_left: TimeLeft) -> None:
    # torch and trl, which --help must not wait for
    from trl import GRPOConfig, GRPOTrainer

    from chemr_lite.model.adapters import adapter_weights, restore_adapter, saved_weights, with_adapter
    from chemr_lite.model.beginnings import share_beginnings
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_model, load_tokenizer
    from recipes.training import callbacks
    from recipes.training.health import Health
    from recipes.training.memory import Rehearsal
    from recipes.training.replay_kl import REFERENCE, add_replay_kl
    from recipes.training.rollout import Rollout
    from recipes.training.run_directory import RungDirectory
    from recipes.training.sft import finish_phase, make_config, shared_arguments, train_from

    directory, hardware = RungDirectory(options, "grpo"), detect_hardware(options.model)
    tokenizer = load_tokenizer(options.model)
    steps = options.max_steps or options.grpo_steps
    completions = options.prompts_per_step * options.num_generations

    # what is asked, and what an answer earns
    questions = grpo_rows(options, rows.rows)
    mixture = Mixture(questions, options.prompts_per_step, options.seed, options.sampling, options.scaling)
    [reward] = reward_functions(options.grounding_reward, load_protocols(options.protocols))

    # the run directory, which may hold checkpoints of an earlier start
    facts = {"parent": str(directory.parent), "data": rows.fingerprint, "removed": dict(rows.removed)}
    checkpoint = on_main(lambda: directory.begin(facts))
    if checkpoint:
        say(f"[grpo] resuming from {checkpoint}")
        state = read_json(checkpoint / "mixing.json")
        try:
            mixture.state = state
        except ValueError as error:
            raise UsageError(f"{checkpoint}: {error}; give another --output") from error

    def save_mixture(folder: Path) -> None:
        write_json(folder / "mixing.json", mixture.state)

    # the 4-bit base with the adapter of phase 2
    model = load_model(
        options.model, directory.parent, backend, hardware, options.longest, options.lora_r, options.seed
    )
    weights = saved_weights(checkpoint) if checkpoint else adapter_weights(model)
    if backend == "unsloth" and options.beta:  # trl copies phase 2 by itself, Unsloth's trainer only uses the copy
        with_adapter(model, directory.parent, name=REFERENCE)

    journal = callbacks.Journal(directory.partial, checkpoint, [save_mixture])
    greedy_check = callbacks.GreedyCheck(options, tokenizer, rows, journal, directory.partial / "best")
    limit = callbacks.Limit(options.max_hours)
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[mixture.wrap(reward)],
        train_dataset=mixture.dataset(steps),
        rollout_func=Rollout(mixture, reward),
        callbacks=[greedy_check, limit, journal, Health()],
        args=make_config(
            GRPOConfig,
            max_steps=steps,
            learning_rate=options.grpo_learning_rate,
            warmup_steps=max(1, steps // 20),
            max_grad_norm=0.2,
            per_device_train_batch_size=options.grpo_micro_batch,
            gradient_accumulation_steps=completions // (options.grpo_micro_batch * distributed.WORLD_SIZE),
            num_generations=options.num_generations,
            max_completion_length=options.max_completion_tokens,
            temperature=options.temperature,
            beta=options.beta,
            loss_type="grpo",  # weighs completions alike; "dapo" would favour tasks with long answers
            scale_rewards="none",  # the mixture has scaled them; the trainer only subtracts the group's mean
            shuffle_dataset=False,  # the mixture decides the order
            logging_steps=1,
            **shared_arguments(directory, hardware),
        ),
    )
    # the trainer adds a second adapter (the KL reference), beside which its own resume forgets to load the first
    restore_adapter(model, weights)
    if hardware.device == "cpu":
        share_beginnings(model)
    if options.replay_kl:
        add_replay_kl(trainer, replay_rows(options, rows.rows), options)
    callbacks.Bar.replace(trainer, "grpo", time_left)
    if hardware.device == "cuda":
        trainer.add_callback(Rehearsal(trainer, mixture, questions, completions // distributed.WORLD_SIZE, time_left))
    train_from(trainer, checkpoint)
    limit.conclude("grpo")

    def finish() -> None:
        greedy_check.keep_best(trainer.model)
        save_mixture(directory.partial)
        finish_phase(directory, trainer.model, tokenizer, rows, journal.seconds())

    on_main(finish)


PHASE = Phase("grpo", train, check)

if __name__ == "__main__":
    main(__doc__, [foundation.PHASE, distill.PHASE, PHASE])
