"""The figures of an ablation: collected from its runs, compared over seeds, as a table and a picture.

`results` is everywhere arm → seed → the figures of its metrics.json and a few facts of its run.
"""

from collections import defaultdict
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from statistics import fmean, stdev

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of a backend without a screen
from scipy.stats import t

from recipes.studies.ablation_arms import ARMS
from recipes.training.files import read_json, read_jsonl, write_json

Figures = dict[int, dict]  # those of one arm, by seed
TITLES = {
    "distill": "What the protocol is worth, at equal numbers of tokens",
    "grpo": "Ways of mixing in phase 3, from one phase 2",
}
# what the .json file keeps of each run
KEPT = (
    "balanced",
    "macros",
    "validity",
    "format",
    "grounding",
    "epochs",
    "tokens",
    "sampled",
    "wasted",
    "minutes",
    "n",
)


def write(output: Path, folder: Path, phase: str) -> str:
    """Write the table (.json, .md) and the picture of the runs in `output` to `folder`. Return the table as text."""
    results, name = collect(output, phase), "ablation" if phase == "distill" else "ablation-grpo"
    folder.mkdir(parents=True, exist_ok=True)
    summary = {
        arm: {seed: {key: figures[key] for key in KEPT if key in figures} for seed, figures in by_seed.items()}
        for arm, by_seed in results.items()
    }
    write_json(folder / f"{name}.json", summary)
    text, files = table(results), [f"{name}.json", f"{name}.md"]
    (folder / f"{name}.md").write_text(text + "\n")
    if reference_and_others(results)[1]:  # one arm alone makes no picture
        files.append(f"{name}.png")
        draw(results, folder / files[-1], TITLES[phase])
    return f"{text}\n\nwritten to {folder}: {', '.join(files)}"


def collect(output: Path, phase: str = "distill") -> dict[str, Figures]:
    """Return the figures of every finished arm: those of ARMS, then others by name, last the phase 2 before them."""
    others = [*sorted({path.name for path in output.glob("seed*/*=*")}), "distill"] if phase == "grpo" else []
    place = {"sft": "sft/distill", "distill": "protocol/distill"}
    results: dict[str, Figures] = {arm: {} for arm in [*ARMS[phase], *others]}
    for arm, by_seed in results.items():
        for path in sorted(output.glob(f"seed*/{place.get(arm, f'{arm}/{phase}')}/metrics.json")):
            run = read_json(path.with_name("run.json"))
            facts = {} if arm == "distill" else {"minutes": run["train_minutes"]}
            if phase == "distill":
                facts |= {"epochs": run["options"]["distill_epochs"], "tokens": run["examples"]["tokens"]}
            elif arm not in place:
                log = read_jsonl(path.with_name("log.jsonl"))
                shares = [line["groups/without_signal"] for line in log if "groups/without_signal" in line]
                facts["wasted"] = 100 * fmean(shares)
                facts["sampled"] = sampled_accuracy(log)
            by_seed[int(path.parts[-4].removeprefix("seed"))] = read_json(path) | facts
    return {arm: by_seed for arm, by_seed in results.items() if by_seed}


def sampled_accuracy(log: list[dict]) -> float | None:
    """Return the accuracy of the completions of the last third of the steps, in percent, as the mean over tasks.

    It is None if the log has none.
    """
    steps = [line for line in log if "reward/unscaled" in line]
    by_task = defaultdict(list)
    for line in steps[-max(1, len(steps) // 3) :]:
        for name, value in line.items():
            if name.startswith("accuracy/"):
                by_task[name].append(value)
    return 100 * fmean(map(fmean, by_task.values())) if by_task else None


def differences(minuend: Figures, subtrahend: Figures, figure: Callable[[dict], float]) -> list[float]:
    """Return the difference of `figure` between two arms, for each seed that both have."""
    shared = sorted(minuend.keys() & subtrahend.keys())
    return [figure(minuend[seed]) - figure(subtrahend[seed]) for seed in shared]


def difference(minuend: Figures, subtrahend: Figures, figure: Callable[[dict], float]) -> tuple[float, float | None]:
    """Return the mean of `differences` and the half-width of its 95 % interval (Student's t; None for one seed)."""
    values = differences(minuend, subtrahend, figure)
    if len(values) < 2:
        return fmean(values), None
    return fmean(values), float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5


def reference_and_others(results: dict[str, Figures]) -> tuple[str, list[str]]:
    """Return the arm that the others are compared with, and those that share a seed with it."""
    reference = next(arm for arm in (*ARMS["distill"], *ARMS["grpo"], *results) if arm in results)
    return reference, [arm for arm in results if arm != reference and results[arm].keys() & results[reference].keys()]


def _balanced(figures: dict) -> float:
    return figures["balanced"]


def _lowest_macro(figures: dict) -> float:
    return min(figures["macros"].values())


def _macro(name: str) -> Callable[[dict], float]:
    return lambda figures: figures["macros"][name]


def table(results: dict[str, Figures]) -> str:
    """Return the arms as a Markdown table, then what the first of them gains over each."""

    def row(name: str, figure: Callable[[dict], float | None]) -> str:
        cells = []
        for by_seed in results.values():
            values = [figure(figures) for figures in by_seed.values()]
            values = [value for value in values if value is not None]
            spread = f" ± {stdev(values):.1f}" if name == "balanced" and len(values) > 1 else ""
            cells.append(f"{fmean(values):.1f}{spread}" if values else "–")
        return f"| {name} | {' | '.join(cells)} |"

    example = next(iter(next(iter(results.values())).values()))
    lines = [f"| | {' | '.join(results)} |", f"| --- |{' ---: |' * len(results)}", row("balanced", _balanced)]
    lines += [row(macro, _macro(macro)) for macro in example["macros"]]
    for name in ("validity", "format", "grounding"):
        lines.append(row(f"{name}, %", lambda figures, name=name: figures[name]))
    if "tokens" in example:
        lines.append(row("passes over the rows", lambda figures: figures["epochs"]))
        lines.append(row("million tokens", lambda figures: figures["epochs"] * figures["tokens"] / 1e6))
    else:
        lines.append(row("lowest macro-task", _lowest_macro))
        lines.append(row("completions right, last third", lambda figures: figures.get("sampled")))
        lines.append(row("groups that taught nothing, %", lambda figures: figures.get("wasted")))
    lines.append(row("minutes of training", lambda figures: figures.get("minutes")))
    seeds = "; ".join(f"{arm} {', '.join(map(str, sorted(by_seed)))}" for arm, by_seed in results.items())
    lines += ["", f"Seeds: {seeds}. ± is the standard deviation over them.", ""]
    reference, others = reference_and_others(results)
    for arm in others:
        gains = []
        for figure in (_balanced, _lowest_macro):
            gain, width = difference(results[reference], results[arm], figure)
            interval = "(one seed)" if width is None else f"[{gain - width:+.1f}, {gain + width:+.1f}]"
            gains.append(f"{gain:+.1f} {interval}")
        lines.append(f"{reference} − {arm}: {gains[0]}; of the lowest macro-task {gains[1]}  ")
    return "\n".join(lines)


def draw(results: dict[str, Figures], path: Path, title: str) -> None:
    """Draw how far each arm lies from the first, in points: a row for the balanced score and for each macro-task."""
    reference, others = reference_and_others(results)
    rows = {"balanced": _balanced}
    rows |= {macro: _macro(macro) for macro in next(iter(results[reference].values()))["macros"]}
    figure, axes = plt.subplots(figsize=(8.5, 2 + 0.1 * len(rows) * (len(others) + 1)), layout="constrained")
    shades = matplotlib.colormaps["tab20"].colors  # in pairs, a dark and a light one
    for number, (colour, arm) in enumerate(zip(cycle(shades[::2] + shades[1::2]), others, strict=False)):
        for place, (name, read) in enumerate(rows.items()):
            y = place + 0.7 * ((number + 0.5) / len(others) - 0.5)
            points = differences(results[arm], results[reference], read)
            axes.scatter(points, [y] * len(points), s=9, color=colour, alpha=0.6)
            mean, width = difference(results[arm], results[reference], read)
            bar = width if name == "balanced" else None  # for a single task it would say little more than the dots
            label = None if place else arm
            axes.errorbar(mean, y, xerr=bar, fmt="|", color=colour, ms=9, mew=2, label=label)
    axes.axvline(0, color="#444", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name in rows])
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xlabel(
        f"points above “{reference}”: a stroke is the mean, a dot a seed, a bar (balanced) its 95 % interval"
    )
    axes.set_title(title, fontsize=11)
    axes.grid(axis="y", color="#e6e9ee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
