"""Benchmarks of the kit itself.

    python recipes/studies/bench.py rewards                                # completions a second, against the plain way
    python recipes/studies/bench.py rewards --data uspto_forward.csv.gz    # on your own rows
    python recipes/studies/bench.py soak --completions 1000000             # any text, under every task
    python recipes/studies/bench.py mixing outputs/nano                    # what the balance of tasks costs of a step
    python recipes/studies/bench.py cpu                                    # steps of nano, against a bare script
    python recipes/studies/bench.py gpu                                    # memory and speed on your GPU in 8.5 minutes

rewards: score a reward batch as GRPO makes it, with 8 completions a row: right, wrong, invalid and repeated ones. Ours
is `chemr_lite.reward_functions()`. The plain way parses, canonicalises and fingerprints both sides anew for each
completion, as published rewards do. Both run in turns in one process, and their medians are compared.

soak: score random, mutated and adversarial completions under all tasks. It fails if one raises, earns something outside
[0, 1] or takes longer than 250 ms. It prints how much memory grew in the second half.

mixing: train some steps of phase 3 from a run's phase 2, on a copy. It times what bare TRL with a constant reward would
not do (drawing rows by weight, scoring, learning from the scores) and the whole step.

cpu: see recipes/studies/cpu.py.

gpu: see recipes/studies/gpu.py. It needs no network: it makes models of real shapes with random weights, which take
some 9 GB of disk.
"""

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rdkit import Chem, DataStructs, rdBase
from tqdm import tqdm

from chemr_lite import data, render, reward_functions
from chemr_lite.answers import parse_completion
from chemr_lite.errors import ChemrError
from chemr_lite.mixing import Mixture
from chemr_lite.rewards import score_completion
from chemr_lite.scoring.benchmarks import MORGAN_BITS
from recipes import grpo
from recipes.studies import cpu, gpu
from recipes.studies.adversarial import CHEATS, EXAMPLES
from recipes.training import command
from recipes.training.files import write_json
from recipes.training.options import make_parser, read_options
from recipes.training.quiet import silence_libraries
from recipes.training.rows import load_rows
from recipes.training.time_left import TimeLeft

# rewards

GROUP = 8  # completions a row


def completions_of(rows: list[dict], rng: random.Random) -> tuple[list[str], list[dict]]:
    """Return GROUP completions for each row, and the row of each: right, wrong, invalid and repeated ones."""
    texts, owners = [], []
    for row in rows:
        gold = row["answer"]
        wrong = rng.choice(rows)["answer"]
        changed = gold.replace("C", "N", 1) if rng.random() < 0.5 else gold + "C"
        rewritten = Chem.MolToSmiles(Chem.MolFromSmiles(gold), doRandom=True)
        invalid = gold[:-1] + "("
        group = [gold, rewritten, wrong, wrong, changed, changed, invalid, gold]
        texts += [render("Let us think.", answer) for answer in group]
        owners += [row] * GROUP
    return texts, owners


def plain(texts: list[str], owners: list[dict]) -> list[float]:
    """Score exact match, and compute the similarity that such rewards log or add."""
    values = []
    for text, row in zip(texts, owners, strict=True):
        answer, gold = Chem.MolFromSmiles(parse_completion(text).answer), Chem.MolFromSmiles(row["answer"])
        if answer is None:
            values.append(0.0)
            continue
        similarity = DataStructs.TanimotoSimilarity(MORGAN_BITS(answer), MORGAN_BITS(gold))
        values.append(float(similarity == 1 and Chem.MolToSmiles(answer) == Chem.MolToSmiles(gold)))
    return values


def ours(texts: list[str], owners: list[dict]) -> list[float]:
    columns = {name: [row[name] for row in owners] for name in ("task", "answer", "meta")}
    return reward_functions()[0](completions=texts, **columns)


def rewards(args: argparse.Namespace) -> None:
    loaded = data.load(args.data.split(","), tasks=["reaction_prediction", "retrosynthesis"])
    rng = random.Random(0)
    rows = rng.sample(loaded.rows["train"], min(args.rows, len(loaded.rows["train"])))
    texts, owners = completions_of(rows, rng)
    speeds: dict[str, list[float]] = {"plain": [], "ours": []}
    starts = range(0, len(texts), args.batch)
    with rdBase.BlockLogs():
        # in turns, and by processor time, so that other work on the machine slows both alike
        for start in starts:
            batch = texts[start : start + args.batch], owners[start : start + args.batch]
            values = {}
            for name, function in (("plain", plain), ("ours", ours)):
                began = time.process_time()
                values[name] = function(*batch)
                speeds[name].append(len(batch[0]) / (time.process_time() - began))
            assert values["plain"] == values["ours"], "the two do not agree"
    plain_speed, our_speed = median(speeds["plain"]), median(speeds["ours"])
    print(
        f"{len(texts):,} completions of {len(rows):,} rows of {args.data}, {args.batch} a batch, medians over "
        f"{len(starts)} batches"
    )
    ratio = our_speed / plain_speed
    print(f"plain {plain_speed:,.0f} a second, ours {our_speed:,.0f} a second: {ratio:.1f} times as many")


# soak

SLOWEST_ALLOWED = 0.25  # seconds
ALPHABET = "CNOPSFIBrcnos()[]=#+-@/\\.%123456789*>~: HYesNo"


def peak_memory_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def any_completion(rng: random.Random, row: dict) -> str:
    """Return a completion of a random kind: a cheat, a mutated right answer, or random letters, in tags or not."""
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(list(CHEATS.values()))[1](row["answer"], row)
    text = list(row["answer"] if kind < 0.7 else rng.choices(ALPHABET, k=rng.choice((3, 10, 30, 100, 1000))))
    for _ in range(rng.choice((0, 1, 2, 8))):
        place = rng.randrange(len(text) + 1)
        text[place : place + rng.randrange(3)] = rng.choices(ALPHABET, k=rng.randrange(4))
    return render(None, "".join(text)) if kind < 0.95 else "".join(text)


def soak(args: argparse.Namespace) -> None:
    rng, slowest, memory_halfway = random.Random(args.seed), (0.0, ""), 0.0
    with rdBase.BlockLogs():
        for number in tqdm(range(args.completions), unit=" completions"):
            row = rng.choice(EXAMPLES)
            try:
                text = any_completion(rng, row)
            except Exception:  # noqa: BLE001 - a cheat for molecules does not fit every row
                continue
            began = time.perf_counter()
            score = score_completion(text, row)
            seconds = time.perf_counter() - began
            if not 0 <= score.value <= 1 or seconds > SLOWEST_ALLOWED:
                raise ChemrError(f"{row['task']}, {seconds:.3f} s, value {score.value}: {text[:300]!r}")
            slowest = max(slowest, (seconds, f"{row['task']}: {text[:80]!r}"))
            if number == args.completions // 2:
                memory_halfway = peak_memory_gib()
    seconds, example = slowest
    print(f"{args.completions:,} completions: no exception, all in [0, 1], slowest {1000 * seconds:.0f} ms ({example})")
    print(f"memory grew by {1024 * (peak_memory_gib() - memory_halfway):.0f} MiB in the second half")


# mixing


def mixing(args: argparse.Namespace) -> None:
    import torch  # these take seconds to import, which --help must not wait for
    import trl

    seconds: dict[str, list[float]] = {"draw": [], "score": [], "learn and scale": [], "score in it": [], "step": []}

    def timed(name: str, function):
        def wrapper(*args, **kwargs):
            began = time.perf_counter()
            result = function(*args, **kwargs)
            seconds[name].append(time.perf_counter() - began)
            return result

        return wrapper

    dataset, wrap, functions = Mixture.dataset, Mixture.wrap, grpo.reward_functions

    def timed_dataset(mixture, steps: int):
        rows = dataset(mixture, steps)
        return rows.with_transform(timed("draw", rows.format["format_kwargs"]["transform"]))

    Mixture.dataset = timed_dataset
    Mixture.wrap = lambda mixture, reward: timed("learn and scale", wrap(mixture, timed("score in it", reward)))
    grpo.reward_functions = lambda *args: [timed("score", reward) for reward in functions(*args)]
    trl.GRPOTrainer.training_step = timed("step", trl.GRPOTrainer.training_step)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("base", "foundation", "distill"):
            shutil.copytree(args.run / name, Path(folder) / name)
        arguments = ["--preset", args.preset, "--output", folder, "--max-steps", str(args.steps), "--eval-rows", "1"]
        options, _ = read_options(make_parser(""), arguments)
        silence_libraries()
        grpo.train(options, load_rows(options), "hf", TimeLeft())
    total = sum(seconds["step"]) + sum(seconds["draw"])  # the loader draws between the steps
    steps = args.steps + torch.cuda.is_available()  # on a GPU training starts with a trial of the largest step
    parts = {
        "drawing rows": sum(seconds["draw"]),
        "scoring": sum(seconds["score"]),
        "learning and scaling": sum(seconds["learn and scale"]) - sum(seconds["score in it"]),
    }
    print(f"{args.steps} steps of {args.preset}, {total / steps:.1f} s each, of which")
    for name, part in {**parts, "all three": sum(parts.values())}.items():
        print(f"  {name}: {100 * part / total:.2f} %")


# cpu


def measure_cpu(args: argparse.Namespace) -> None:
    figures = cpu.measure_all(args.run, args.rounds, {"distill": args.sft_steps, "grpo": args.grpo_steps})
    write_json(args.output / "cpu.json", figures)
    print(f"{cpu.table(figures)}\n\nmedians of {args.rounds} rounds; written to {args.output / 'cpu.json'}")


# gpu


def measure_gpu(args: argparse.Namespace) -> None:
    path = gpu.measure_all(args.output, args.work, args.minutes, args.dry_run)
    print(f"{path.with_suffix('.md').read_text()}\nwritten to {path} and {path.with_suffix('.md').name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    benchmarks = parser.add_subparsers(required=True)

    part = benchmarks.add_parser("rewards", help="completions scored a second, against the plain way")
    part.add_argument("--data", default="nano", help="as of the other recipes; reactions of its training rows are used")
    part.add_argument("--rows", type=int, default=1000)
    part.add_argument("--batch", type=int, default=128, help="completions scored at once")
    part.set_defaults(benchmark=rewards)

    part = benchmarks.add_parser("soak", help="score any text under every task, bounded in time and memory")
    part.add_argument("--completions", type=int, default=100_000)
    part.add_argument("--seed", type=int, default=0)
    part.set_defaults(benchmark=soak)

    part = benchmarks.add_parser("mixing", help="share of a step that drawing, scoring and balancing take in phase 3")
    part.add_argument("run", type=Path, help="a run directory with phase 2")
    part.add_argument("--preset", default="nano", help="the preset of that run")
    part.add_argument("--steps", type=int, default=10)
    part.set_defaults(benchmark=mixing)

    part = benchmarks.add_parser("cpu", help="seconds a step of nano's phases 2 and 3, against a bare script of TRL")
    part.add_argument("run", type=Path, nargs="?", default="outputs/nano", help="a run directory with phases 1 and 2")
    part.add_argument("--rounds", type=int, default=3, help="measurements of each way, in turns")
    part.add_argument("--sft-steps", type=int, default=30)
    part.add_argument("--grpo-steps", type=int, default=6)
    nano_results = Path(__file__).parent / "results/nano"
    part.add_argument("--output", type=Path, default=nano_results, help="folder of cpu.json")
    part.set_defaults(benchmark=measure_cpu)

    part = benchmarks.add_parser("gpu", help="nano's ladder, seconds a step and memory of real shapes, on a CUDA GPU")
    minutes_help = "end after so many; the same command goes on [8.5]"
    part.add_argument("--minutes", type=float, default=8.5, help=minutes_help)
    results = Path(__file__).parent / "results"
    part.add_argument("--output", type=Path, default=results, help="folder of gpu-<device>.json and .md")
    part.add_argument("--work", type=Path, default=Path("outputs/bench-gpu"), help="folder for models, runs and logs")
    part.add_argument("--dry-run", action="store_true", help="the same code on tiny shapes, also on a CPU")
    part.set_defaults(benchmark=measure_gpu)

    args = parser.parse_args()
    args.benchmark(args)


if __name__ == "__main__":
    command.run(main)
