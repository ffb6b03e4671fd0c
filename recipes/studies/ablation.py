"""What a part of the method is worth: the same phase with that part changed, at equal cost, over seeds.

    python recipes/studies/ablation.py --preset nano                       # phase 2: every arm and seed that is missing
    python recipes/studies/ablation.py --phase grpo                        # phase 3: ways of mixing, and no phase 3
    python recipes/studies/ablation.py --seeds 0 --arms answers            # some of them; two such may run side by side
    python recipes/studies/ablation.py --results recipes/studies/results/nano    # also where table and picture go

Arms of phase 2, all from one phase 1, at equal numbers of tokens:

    protocol   traces along the protocol, as recipes/distill.py writes them
    shuffled   the same facts, row by row in another order, without numbers and headings: free reasoning
    answers    no reasoning: what phase 1 learnt, for longer

Arms of phase 3, all from the phase 2 of the arm `protocol`, at equal numbers of steps:

    adaptive                       as recipes/grpo.py does it: sampling adaptive, scaling group-floor
    uniform, mt-grpo               other shares of the tasks
    group, task, gdpo, none        other scalings of the rewards
    no-replay                      without --replay-kl
    no-foundation, no-distill      without phase 1 (of which phase 2 is trained anew), without phase 2
    sft                            phase 2 goes on instead, for as many minutes as `adaptive` took, at a third of its
                                   rate: the whole rate would first undo what phase 2 ended with
    OPTION=VALUE                   any other option, or several: --arms adaptive,temperature=1.0+num_generations=16

1. Each seed trains what comes before once; each arm starts from a copy of as much of it as it shares.
2. In phase 2 an arm with shorter texts goes over them more often, so that all read as many tokens as `protocol`.
3. All answer the same held-out rows greedily; so has `distill`, the phase 2 that the arms of phase 3 begin with. A
   difference is reported per seed, then as mean with a 95 % interval over seeds (Student's t): an interval that holds 0
   shows nothing.
"""

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from chemr_lite.protocols import load_protocols
from recipes import distill, foundation, grpo
from recipes.studies.ablation_arms import ARMS, changes, completion
from recipes.training import command
from recipes.training.files import as_jsonl, read_json, written_aside
from recipes.training.options import Options, UsageError, deciding, make_parser, read_options
from recipes.training.pipeline import run_phases
from recipes.training.rows import load_rows

PHASES = [foundation.PHASE, distill.PHASE, grpo.PHASE]


def make_ablation_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__)
    group = parser.add_argument_group("ablation alone")
    group.add_argument("--phase", choices=ARMS, default="distill", help="the phase that is changed")
    group.add_argument("--arms", help="which arms, separated by commas; default: all of the phase")
    group.add_argument("--seeds", default="0,1,2", help="seeds, separated by commas")
    group.add_argument(
        "--results", type=Path, help="folder for the table (.json, .md) and the picture; default: --output"
    )
    return parser


def copy_phase(source: Path, target: Path) -> None:
    """Copy a finished phase, unless it is there."""
    if not target.exists():
        with written_aside(target) as aside:
            shutil.copytree(source, aside)


def run_grpo_arm(arm: str, options: Options, preset: str) -> None:
    """Train `arm` of phase 3 in `<output>/seed<N>/<arm>` from that seed's arm `protocol`, unless it is there."""
    seed = Path(options.output) / f"seed{options.seed}"
    start, folder = seed / "protocol", seed / arm
    folder.mkdir(exist_ok=True)
    changed = replace(options, output=str(folder), **changes(arm, options))
    copy_phase(start / "base", folder / "base")
    if arm == "sft":
        before = read_json(start / "distill" / "run.json")
        minutes = read_json(seed / "adaptive" / "grpo" / "run.json")["train_minutes"]
        steps = before["examples"]["rows"] * options.distill_epochs / options.sft_batch_size
        changed.max_steps = max(1, round(steps * minutes / before["train_minutes"]))
        changed.distill_learning_rate = options.distill_learning_rate / 3
        copy_phase(start / "distill", folder / "foundation")
        return run_phases(changed, preset, PHASES[:2])
    for name in ("foundation", "distill"):
        if deciding(changed, name) == deciding(options, name):
            copy_phase(start / name, folder / name)
    run_phases(changed, preset, PHASES)


def run_arm(arm: str, options: Options, preset: str, rows: list[dict], epochs: float) -> None:
    """Train `arm` of phase 2 in `<output>/seed<N>/<arm>` from a copy of that seed's phase 1, unless it is there."""
    seed = Path(options.output) / f"seed{options.seed}"
    folder, first = seed / arm, replace(options, output=str(seed / "first"))
    if not (seed / "first" / "foundation").exists():
        run_phases(first, preset, PHASES[:1])
    folder.mkdir(exist_ok=True)
    for shared in ("base", "foundation"):
        copy_phase(seed / "first" / shared, folder / shared)
    changed = replace(options, output=str(folder), distill_epochs=epochs)
    if arm != "protocol":
        protocols, path = load_protocols(options.protocols), folder / "texts.jsonl"
        texts = ((row, completion(arm, row, protocols)) for row in rows)
        path.write_text(
            as_jsonl({"task": row["task"], "input": row["input"], "completion": text} for row, text in texts)
        )
        changed.traces = str(path)
    run_phases(changed, preset, PHASES[:2])


def epochs_of(arms: list[str], options: Options, rows: list[dict]) -> dict[str, float]:
    """Return how often each arm goes over its texts to read as many tokens as the protocol does in `distill_epochs`."""
    from recipes.training.quiet import silence_libraries

    silence_libraries()
    from chemr_lite.model.load import load_tokenizer  # brings torch, which --help must not wait for
    from recipes.training.sft import make_examples

    tokenizer, protocols = load_tokenizer(options.model), load_protocols(options.protocols)

    def tokens(arm: str) -> int:
        texts = lambda row: [completion(arm, row, protocols)]  # noqa: E731
        return make_examples(rows, texts, tokenizer, options.max_length)[1]["tokens"]

    whole = options.distill_epochs * tokens("protocol")
    return {arm: options.distill_epochs if arm == "protocol" else round(whole / tokens(arm), 3) for arm in arms}


def chosen_arms(wanted: argparse.Namespace, options: Options) -> list[str]:
    """Return the arms to train. Raises UsageError for one that means nothing, before anything is trained."""
    known = ARMS[wanted.phase]
    # a preset without a replay KL has no arm without it
    arms = wanted.arms.split(",") if wanted.arms else [arm for arm in known if arm != "no-replay" or options.replay_kl]
    others = [arm for arm in arms if "=" in arm and wanted.phase == "grpo"]
    for arm in others:
        changes(arm, options)
    unknown = [arm for arm in arms if arm not in known and arm not in others]
    if unknown:
        raise UsageError(f"--arms: no arm {', '.join(map(repr, unknown))}; choose {', '.join(known)}")
    return arms


def main() -> None:
    options, wanted = read_options(make_ablation_parser())
    preset = wanted.preset
    if options.output == f"outputs/{preset}":
        options.output = f"outputs/ablate-{preset}"
    arms = chosen_arms(wanted, options)
    try:
        seeds = [int(seed) for seed in wanted.seeds.split(",")]
    except ValueError as error:
        raise UsageError(f"--seeds {wanted.seeds!r}: give whole numbers, separated by commas") from error
    rows = load_rows(options).rows["train"]
    first = arms if wanted.phase == "distill" else ["protocol"]
    epochs = epochs_of(first, options, rows)
    for seed in seeds:
        for arm in first:
            print(f"\n== seed {seed}, {arm}: {epochs[arm]:g} passes over the rows", flush=True)
            steps = (
                options.max_steps if wanted.phase == "distill" else 0
            )  # --max-steps is for the phase that is changed
            run_arm(arm, replace(options, seed=seed, max_steps=steps), preset, rows, epochs[arm])
        for arm in arms if wanted.phase == "grpo" else []:
            print(f"\n== seed {seed}, {arm}", flush=True)
            run_grpo_arm(arm, replace(options, seed=seed), preset)

    from recipes.studies import ablation_table  # brings matplotlib

    results = wanted.results or Path(options.output)
    print(f"\n{ablation_table.write(Path(options.output), results, wanted.phase)}")


if __name__ == "__main__":
    command.run(main)
