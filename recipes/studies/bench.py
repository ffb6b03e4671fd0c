"""Benchmarks of the kit itself.

    python recipes/studies/bench.py rewards                                # completions a second, against the plain way
    python recipes/studies/bench.py rewards --data uspto_forward.csv.gz    # on your own rows
    python recipes/studies/bench.py soak --completions 1000000             # any text, under every task
    python recipes/studies/bench.py mixing outputs/nano                    # what the balance of tasks costs of a step
    python recipes/studies/bench.py gpu                                    # memory and speed on your GPU, in 25 minutes

rewards: a reward batch as GRPO makes it, 8 completions for each row, of which some are right, some wrong, some invalid
and some said twice. Ours is `chemr_lite.reward_functions()`; the plain way parses, canonicalises and fingerprints both
sides anew for each completion, as published rewards do. Both run in turns in one process; medians are compared.

soak: random, mutated and adversarial completions are scored under all tasks. It fails if one raises, earns something
outside [0, 1] or takes longer than 250 ms, and prints how far memory grew over the second half.

mixing: some steps of phase 3 from a run's phase 2, on a copy. What bare TRL with a constant reward would not do, drawing rows
by weight, scoring, and learning from the scores, is timed in each step, and so is the step.

gpu: see recipes/studies/gpu.py. Offline: models of real shapes with random weights are made on the spot (24 GB of disk in passing).
"""

import argparse
import random
import resource
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rdkit import Chem, DataStructs, rdBase

from chemr_lite import render, reward_functions
from chemr_lite.answers import parse_completion
from chemr_lite.errors import ChemrError
from chemr_lite.rewards import score_completion
from chemr_lite.scoring.benchmarks import FINGERPRINTS
from recipes.studies.adversarial import CHEATS, EXAMPLES
from recipes.training.command import run

GROUP = 8
MORGAN = FINGERPRINTS["morgan"]


def completions_of(rows: list[dict], rng: random.Random) -> tuple[list[str], list[dict]]:
    """GROUP completions for each row: the gold in two writings, others' golds, changed and broken ones, repeats."""
    texts, owners = [], []
    for row in rows:
        gold = row["answer"]
        other = rng.choice(rows)["answer"]
        changed = gold.replace("C", "N", 1) if rng.random() < 0.5 else gold + "C"
        group = [
            gold,
            Chem.MolToSmiles(Chem.MolFromSmiles(gold), doRandom=True),
            other,
            other,
            changed,
            changed,
            gold[:-1] + "(",
            gold,
        ]
        texts += [render("Let us think.", answer) for answer in group]
        owners += [row] * GROUP
    return texts, owners


def plain(texts: list[str], owners: list[dict]) -> list[float]:
    """Exact match, with the similarity beside it that such rewards log or add."""
    values = []
    for text, row in zip(texts, owners, strict=True):
        said, gold = Chem.MolFromSmiles(parse_completion(text).answer), Chem.MolFromSmiles(row["answer"])
        if said is None:
            values.append(0.0)
            continue
        alike = DataStructs.TanimotoSimilarity(MORGAN(said), MORGAN(gold))
        values.append(float(alike == 1 and Chem.MolToSmiles(said) == Chem.MolToSmiles(gold)))
    return values


def ours(texts: list[str], owners: list[dict]) -> list[float]:
    columns = {name: [row[name] for row in owners] for name in ("task", "answer", "meta")}
    return reward_functions()[0](completions=texts, **columns)


def rewards(args: argparse.Namespace) -> None:
    from chemr_lite import data

    loaded = data.load(args.data.split(","), tasks=["reaction_prediction", "retrosynthesis"])
    rng = random.Random(0)
    rows = rng.sample(loaded.rows["train"], min(args.rows, len(loaded.rows["train"])))
    texts, owners = completions_of(rows, rng)
    speeds: dict[str, list[float]] = {"plain": [], "ours": []}
    steps = range(0, len(texts), args.batch)
    with rdBase.BlockLogs():
        for (
            start
        ) in steps:  # step by step and in turns, by the processor's clock: whatever else the machine does slows both
            batch = texts[start : start + args.batch], owners[start : start + args.batch]
            values = {}
            for name, function in (("plain", plain), ("ours", ours)):
                began = time.process_time()
                values[name] = function(*batch)
                speeds[name].append(len(batch[0]) / (time.process_time() - began))
            assert values["plain"] == values["ours"], "the two do not agree"
    middle = {name: median(values) for name, values in speeds.items()}
    print(
        f"{len(texts):,} completions of {len(rows):,} rows of {args.data}, {args.batch} a batch, medians over {len(steps)} batches"
    )
    print(
        f"plain {middle['plain']:,.0f} a second, ours {middle['ours']:,.0f} a second: {middle['ours'] / middle['plain']:.1f} times as many"
    )


def _memory() -> float:
    """The peak memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


SLOWEST_ALLOWED = 0.25  # seconds
ALPHABET = "CNOPSFIBrcnos()[]=#+-@/\\.%123456789*>~: HYesNo"


def any_completion(rng: random.Random, row: dict) -> str:
    """A completion of a random kind for `row`: a cheat, a mutated right answer, or random letters, in tags or not."""
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(list(CHEATS.values()))[1](row["answer"], row)
    text = list(row["answer"] if kind < 0.7 else rng.choices(ALPHABET, k=rng.choice((3, 10, 30, 100, 1000))))
    for _ in range(rng.choice((0, 1, 2, 8))):
        place = rng.randrange(len(text) + 1)
        text[place : place + rng.randrange(3)] = rng.choices(ALPHABET, k=rng.randrange(4))
    return render(None, "".join(text)) if kind < 0.95 else "".join(text)


def soak(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    rng, slowest, halfway = random.Random(args.seed), (0.0, ""), 0.0
    with rdBase.BlockLogs():
        for number in tqdm(range(args.completions), unit=" completions"):
            row = rng.choice(EXAMPLES)
            try:
                text = any_completion(rng, row)
            except Exception:  # noqa: BLE001 - a cheat made for molecules does not fit every row
                continue
            began = time.perf_counter()
            score = score_completion(text, row)
            taken = time.perf_counter() - began
            if not 0 <= score.value <= 1 or taken > SLOWEST_ALLOWED:
                raise ChemrError(f"{row['task']}, {taken:.3f} s, value {score.value}: {text[:300]!r}")
            slowest = max(slowest, (taken, f"{row['task']}: {text[:80]!r}"))
            halfway = _memory() if number == args.completions // 2 else halfway
    print(
        f"{args.completions:,} completions: no exception, all in [0, 1], slowest {1000 * slowest[0]:.0f} ms ({slowest[1]})"
    )
    print(f"memory grew by {1024 * (_memory() - halfway):.0f} MiB in the second half")


def mixing(args: argparse.Namespace) -> None:
    import shutil
    import tempfile

    import trl

    from chemr_lite.mixing import Mixture
    from recipes import grpo
    from recipes.training.options import make_parser, read_options
    from recipes.training.quiet import silence_libraries
    from recipes.training.rows import load_rows

    spent: dict[str, list[float]] = {"draw": [], "score": [], "learn and scale": [], "step": []}

    def timed(name: str, inner):
        def outer(*args, **kwargs):
            began = time.perf_counter()
            done = inner(*args, **kwargs)
            spent[name].append(time.perf_counter() - began)
            return done

        return outer

    dataset, wrap, functions = Mixture.dataset, Mixture.wrap, grpo.reward_functions

    def drawn(mixture, steps: int):
        rows = dataset(mixture, steps)
        return rows.with_transform(timed("draw", rows.format["format_kwargs"]["transform"]))

    Mixture.dataset = drawn
    Mixture.wrap = lambda mixture, reward: timed("learn and scale", wrap(mixture, reward))
    grpo.reward_functions = lambda *args: [timed("score", reward) for reward in functions(*args)]
    trl.GRPOTrainer.training_step = timed("step", trl.GRPOTrainer.training_step)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("base", "foundation", "distill"):
            shutil.copytree(args.run / name, Path(folder) / name)
        wanted = ["--preset", args.preset, "--output", folder, "--max-steps", str(args.steps), "--eval-rows", "1"]
        chosen, _ = read_options(make_parser(""), wanted)
        silence_libraries()
        grpo.train(chosen, load_rows(chosen), "hf")
    whole = sum(spent["step"]) + sum(spent["draw"])  # the loader draws between the steps
    steps = args.steps + 1  # the largest one is tried first
    shares = {
        "drawing rows": sum(spent["draw"]),
        "scoring": sum(spent["score"]),
        "learning and scaling": sum(spent["learn and scale"]) - sum(spent["score"]),
    }
    print(f"{args.steps} steps of {args.preset}, {whole / steps:.1f} s each, of which")
    for name, seconds in {**shares, "all three": sum(shares.values())}.items():
        print(f"  {name}: {100 * seconds / whole:.2f} %")


def gpu(args: argparse.Namespace) -> None:
    from recipes.studies import gpu as measurements

    path = measurements.run(args.output, args.work, args.minutes, args.dry_run)
    print(f"{path.with_suffix('.md').read_text()}\nwritten to {path} and {path.with_suffix('.md').name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("rewards", help="completions scored a second, against the plain way")
    command.add_argument(
        "--data", default="nano", help="as of the other recipes; reactions of its training rows are used"
    )
    command.add_argument("--rows", type=int, default=1000)
    command.add_argument("--batch", type=int, default=128, help="completions scored at once")
    command.set_defaults(run_command=rewards)
    command = commands.add_parser("soak", help="score any text under every task, bounded in time and memory")
    command.add_argument("--completions", type=int, default=100_000)
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run_command=soak)
    command = commands.add_parser(
        "mixing", help="what drawing, scoring and the balance of tasks cost of a step of phase 3"
    )
    command.add_argument("run", type=Path, help="a run directory with phase 2")
    command.add_argument("--preset", default="nano", help="that it was made with")
    command.add_argument("--steps", type=int, default=10)
    command.set_defaults(run_command=mixing)
    command = commands.add_parser(
        "gpu", help="nano's ladder, seconds a step and memory of real shapes, on a CUDA machine"
    )
    command.add_argument(
        "--minutes", type=float, default=25, help="no measurement is begun after so many; the same command goes on"
    )
    command.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results", help="folder of gpu-<device>.json and .md"
    )
    command.add_argument(
        "--work", type=Path, default=Path("outputs/bench-gpu"), help="folder for models, runs and logs"
    )
    command.add_argument("--dry-run", action="store_true", help="the same code on tiny shapes, on a CPU too")
    command.set_defaults(run_command=gpu)
    args = parser.parse_args()
    args.run_command(args)


if __name__ == "__main__":
    run(main)
