"""Measure what a part of the method is worth: train a phase with that part changed, at equal cost, over several seeds.

    python recipes/studies/ablation.py --preset nano                       # phase 2: every arm and seed that is missing
    python recipes/studies/ablation.py --phase grpo                        # phase 3: ways of mixing, and no phase 3
    python recipes/studies/ablation.py --seeds 0 --arms answers            # a part; two such commands may run at once
    python recipes/studies/ablation.py --results recipes/studies/results/nano    # write table and picture there

Arms of phase 2. All start from one phase 1 and read equally many tokens:

    protocol   traces along the protocol, as recipes/distill.py writes them
    shuffled   the same facts in another order in each row, without numbers and headings: free reasoning
    answers    no reasoning: phase 1 goes on

Arms of phase 3. All start from the phase 2 of the arm `protocol` and make equally many steps:

    adaptive                       as recipes/grpo.py does it: sampling adaptive, scaling group-floor
    balanced, uniform, mt-grpo     another --sampling
    group, task, gdpo, none        another --scaling
    no-replay                      without --replay-kl
    no-foundation, no-distill      without phase 1 (phase 2 is trained anew), without phase 2
    sft                            phase 2 goes on instead, for as many minutes as `adaptive` took, at a third of its
                                   learning rate: the whole rate would first undo what phase 2 ended with
    OPTION=VALUE                   any other option, or several: --arms adaptive,temperature=1.0+num_generations=16

With --practice-rows N phase 3 practises N fresh questions of all tasks, with answers, instead of the rows that phases 1
and 2 have seen. nano's generator writes them.

1. Each seed trains the earlier phases once. Each arm starts from a copy of those that it shares.
2. In phase 2 an arm with shorter texts reads them more often, so that every arm reads as many tokens as `protocol`.
3. All arms answer the same held-out rows greedily. So has `distill`, the phase 2 that the arms of phase 3 start from.
4. Each difference is taken within a seed, then averaged, with a 95 % interval over seeds (Student's t). An interval
   that holds 0 shows nothing.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tqdm import tqdm

from chemr_lite.protocols import load_protocols
from recipes import distill, foundation, grpo
from recipes.studies.ablation_arms import ARMS, changes, completion
from recipes.studies.nano.rows import fresh_rows
from recipes.training import command
from recipes.training.files import as_jsonl, copy_phase, read_json, read_jsonl, written_aside
from recipes.training.options import Options, UsageError, deciding, make_parser, read_options
from recipes.training.pipeline import run_phases
from recipes.training.quiet import silence_libraries
from recipes.training.rows import load_rows

PHASES = [foundation.PHASE, distill.PHASE, grpo.PHASE]


def make_ablation_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__)
    group = parser.add_argument_group("ablation alone")
    group.add_argument("--phase", choices=ARMS, default="distill", help="the phase that is changed")
    group.add_argument("--arms", help="which arms, separated by commas; default: all of the phase")
    practice_help = "phase 3, nano alone: fresh questions to practise; 0: the rows of the data"
    group.add_argument("--practice-rows", type=int, default=0, help=practice_help)
    group.add_argument("--seeds", default="0,1,2", help="seeds, separated by commas")
    results_help = "folder for the table (.json, .md) and the picture; default: --output"
    group.add_argument("--results", type=Path, help=results_help)
    return parser


def practise(number: int, options: Options) -> None:
    """Let phase 3 practise `number` fresh questions, kept in `--output`. Raises UsageError for other data than nano."""
    if options.data != "nano":
        raise UsageError(f"--practice-rows {number}: only nano writes questions, and --data is {options.data}")
    path = Path(options.output) / f"practice-{number}.jsonl"
    others = [other.name for other in path.parent.glob("practice-*.jsonl") if other != path]
    if others or (not path.exists() and any(path.parent.glob("seed*/*/grpo*"))):
        raise UsageError(f"{path.parent} holds arms that practised other questions: give another --output")
    if not path.exists():
        fresh = fresh_rows(number, load_rows(options).rows)
        with written_aside(path) as aside:
            aside.write_text(as_jsonl(tqdm(fresh, desc="writing questions", unit=" rows", total=number)))
    questions = read_jsonl(path)
    print(f"phase 3 practises {len(questions):,} fresh questions", flush=True)
    choose = grpo.grpo_rows
    grpo.grpo_rows = lambda options, rows: choose(options, {"train": questions, "practice": []})


def run_grpo_arm(arm: str, options: Options, preset: str) -> None:
    """Train `arm` of phase 3 in `<output>/seed<N>/<arm>`, from the arm `protocol` of that seed, unless it is there."""
    seed_folder = Path(options.output) / f"seed{options.seed}"
    start, folder = seed_folder / "protocol", seed_folder / arm
    folder.mkdir(exist_ok=True)
    arm_options = replace(options, output=str(folder), **changes(arm, options))
    copy_phase(start / "base", folder / "base")
    if arm == "sft":
        facts = read_json(start / "distill" / "run.json")
        minutes = read_json(seed_folder / "adaptive" / "grpo" / "run.json")["train_minutes"]
        steps = facts["examples"]["rows"] * options.distill_epochs / options.sft_batch_size
        arm_options.max_steps = max(1, round(steps * minutes / facts["train_minutes"]))
        arm_options.distill_learning_rate = options.distill_learning_rate / 3
        copy_phase(start / "distill", folder / "foundation")
        return run_phases(arm_options, preset, PHASES[:2])
    for phase in ("foundation", "distill"):
        if deciding(arm_options, phase) == deciding(options, phase):
            copy_phase(start / phase, folder / phase)
    run_phases(arm_options, preset, PHASES)


def run_arm(arm: str, options: Options, preset: str, rows: list[dict], epochs: float) -> None:
    """Train `arm` of phase 2 in `<output>/seed<N>/<arm>`, from a copy of that seed's phase 1, unless it is there."""
    seed_folder = Path(options.output) / f"seed{options.seed}"
    folder, shared = seed_folder / arm, seed_folder / "first"
    if not (shared / "foundation").exists():
        run_phases(replace(options, output=str(shared)), preset, PHASES[:1])
    folder.mkdir(exist_ok=True)
    for phase in ("base", "foundation"):
        copy_phase(shared / phase, folder / phase)
    arm_options = replace(options, output=str(folder), distill_epochs=epochs)
    if arm != "protocol":
        protocols, path = load_protocols(options.protocols), folder / "texts.jsonl"
        texts = ((row, completion(arm, row, protocols)) for row in rows)
        path.write_text(
            as_jsonl({"task": row["task"], "input": row["input"], "completion": text} for row, text in texts)
        )
        arm_options.traces = str(path)
    run_phases(arm_options, preset, PHASES[:2])


def epochs_of(arms: list[str], options: Options, rows: list[dict]) -> dict[str, float]:
    """Return how often each arm reads its texts, so that all read as many tokens as `protocol` in `distill_epochs`."""
    silence_libraries()
    from chemr_lite.model.load import load_tokenizer  # torch, which --help must not wait for
    from recipes.training.sft import make_examples

    tokenizer, protocols = load_tokenizer(options.model), load_protocols(options.protocols)

    def tokens(arm: str) -> int:
        def completions(row: dict) -> list[str]:
            return [completion(arm, row, protocols)]

        return make_examples(rows, completions, tokenizer, options.max_length)[1]["tokens"]

    budget = options.distill_epochs * tokens("protocol")
    return {arm: options.distill_epochs if arm == "protocol" else round(budget / tokens(arm), 3) for arm in arms}


def chosen_arms(args: argparse.Namespace, options: Options) -> list[str]:
    """Return the arms to train. Raises UsageError for an unknown one, before anything is trained."""
    known = ARMS[args.phase]
    # where a preset has no replay KL, the arm without it would be `adaptive` again
    arms = args.arms.split(",") if args.arms else [arm for arm in known if arm != "no-replay" or options.replay_kl]
    by_option = [arm for arm in arms if "=" in arm and args.phase == "grpo"]
    for arm in by_option:
        changes(arm, options)
    unknown = [arm for arm in arms if arm not in known and arm not in by_option]
    if unknown:
        raise UsageError(f"--arms: no arm {', '.join(map(repr, unknown))}; choose {', '.join(known)}")
    return arms


def main() -> None:
    options, args = read_options(make_ablation_parser())
    if options.output == f"outputs/{args.preset}":
        options.output = f"outputs/ablate-{args.preset}"
    arms = chosen_arms(args, options)
    try:
        seeds = [int(seed) for seed in args.seeds.split(",")]
    except ValueError as error:
        raise UsageError(f"--seeds {args.seeds!r}: give whole numbers, separated by commas") from error
    rows = load_rows(options).rows["train"]
    if args.practice_rows:
        practise(args.practice_rows, options)
    elif fresh := sorted(Path(options.output).glob("practice-*.jsonl")):
        raise UsageError(f"{fresh[0]}: arms there practise fresh questions: --practice-rows, or another --output")
    changes_phase_2 = args.phase == "distill"
    distill_arms, grpo_arms = (arms, []) if changes_phase_2 else (["protocol"], arms)
    # --max-steps is for the phase that is changed; 0 means no limit
    distill_steps = options.max_steps if changes_phase_2 else 0
    epochs = epochs_of(distill_arms, options, rows)
    for seed in seeds:
        for arm in distill_arms:
            print(f"\n== seed {seed}, {arm}: {epochs[arm]:g} passes over the rows", flush=True)
            run_arm(arm, replace(options, seed=seed, max_steps=distill_steps), args.preset, rows, epochs[arm])
        for arm in grpo_arms:
            print(f"\n== seed {seed}, {arm}", flush=True)
            run_grpo_arm(arm, replace(options, seed=seed), args.preset)

    from recipes.studies import ablation_table  # matplotlib, which --help must not wait for

    results = args.results or Path(options.output)
    print(f"\n{ablation_table.write(Path(options.output), results, args.phase)}")


if __name__ == "__main__":
    command.run(main)
