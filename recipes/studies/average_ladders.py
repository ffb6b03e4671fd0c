"""Average the ladders of several runs that differ in their seed.

    python recipes/studies/average_ladders.py outputs/seed0 outputs/seed1 outputs/seed2 --output outputs/mean

Writes ladder.json, ladder.md and ladder.png. There ± is the standard deviation of the balanced score over the seeds.
"""

import argparse
import sys
from pathlib import Path
from statistics import fmean, stdev

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipes.training import command
from recipes.training.files import read_json


def average(ladders: list[dict]) -> list[dict]:
    """Return the mean of each figure. `interval` becomes the standard deviation of the balanced score over the runs."""
    from recipes.training.ladder import SHARES  # matplotlib, which --help must not wait for

    means = []
    for rungs in zip(*(ladder["rows"] for ladder in ladders), strict=True):
        balanced = [row["balanced"] for row in rungs]
        mean = {"phase": rungs[0]["phase"], "balanced": fmean(balanced)}
        mean["interval"] = stdev(balanced) if len(balanced) > 1 else 0.0
        for part in ("macros", "tasks"):
            mean[part] = {name: fmean(row[part][name] for row in rungs) for name in rungs[0][part]}
        means.append(mean | {name: _mean([row.get(name) for row in rungs]) for name in SHARES} | {"n": rungs[0]["n"]})
    return means


def _mean(values: list[float | None]) -> float | None:
    return None if None in values else fmean(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run directories that hold a ladder.json")
    parser.add_argument("--output", type=Path, required=True, help="folder for ladder.json, ladder.md and ladder.png")
    args = parser.parse_args()
    from recipes.training import ladder  # matplotlib

    ladders = [read_json(run / "ladder.json") for run in args.runs]
    rows, seeds = average(ladders), [each["seed"] for each in ladders]
    caption = f"mean of seeds {', '.join(map(str, seeds))}, greedy, {rows[-1]['n']} held-out rows"
    facts = {"preset": ladders[0]["preset"], "seeds": seeds}
    print(ladder.write(args.output, facts, rows, caption, "standard deviation over seeds"))


if __name__ == "__main__":
    command.run(main)
