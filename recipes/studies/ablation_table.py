"""The figures of an ablation: collected from its runs, compared over seeds, as a table and a picture."""

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

TITLES = {
    "distill": "What the protocol is worth, at equal numbers of tokens",
    "grpo": "Ways of mixing in phase 3, from one phase 2",
}
KEPT = ("balanced", "macros", "validity", "format", "grounding", "epochs", "tokens", "wasted", "minutes", "n")


def write(output: Path, results: Path, phase: str) -> str:
    """Write the table (.json, .md) and the picture of the runs in `output` to `results`; return the table and where."""
    found, name = collect(output, phase), "ablation" if phase == "distill" else "ablation-grpo"
    results.mkdir(parents=True, exist_ok=True)
    kept = {
        arm: {seed: {k: f[k] for k in KEPT if k in f} for seed, f in by_seed.items()} for arm, by_seed in found.items()
    }
    write_json(results / f"{name}.json", kept)
    text, written = table(found), [f"{name}.json", f"{name}.md"]
    (results / f"{name}.md").write_text(text + "\n")
    if compared(found)[1]:  # one arm alone is no picture
        written.append(f"{name}.png")
        draw(found, results / written[-1], TITLES[phase])
    return f"{text}\n\nwritten to {results}: {', '.join(written)}"


def collect(output: Path, phase: str = "distill") -> dict[str, dict[int, dict]]:
    """The figures of every finished arm by seed: those of ARMS in its order, then the others, at last what phase 3 began with."""
    others = [*sorted({path.name for path in output.glob("seed*/*=*")}), "distill"] if phase == "grpo" else []
    place = {"sft": "sft/distill", "distill": "protocol/distill"}
    found: dict[str, dict[int, dict]] = {arm: {} for arm in [*ARMS[phase], *others]}
    for arm, by_seed in found.items():
        for path in sorted(output.glob(f"seed*/{place.get(arm, f'{arm}/{phase}')}/metrics.json")):
            run = read_json(path.with_name("run.json"))
            facts = {} if arm == "distill" else {"minutes": run["train_minutes"]}
            if phase == "distill":
                facts |= {"epochs": run["options"]["distill_epochs"], "tokens": run["examples"]["tokens"]}
            elif arm not in place:
                log = read_jsonl(path.with_name("log.jsonl"))
                facts["wasted"] = 100 * fmean(
                    line["groups/without_signal"] for line in log if "groups/without_signal" in line
                )
            by_seed[int(path.parts[-4].removeprefix("seed"))] = read_json(path) | facts
    return {arm: by_seed for arm, by_seed in found.items() if by_seed}


def differences(one: dict[int, dict], other: dict[int, dict], figure: Callable[[dict], float]) -> list[float]:
    """`one` − `other` for each seed that both have."""
    return [figure(one[seed]) - figure(other[seed]) for seed in sorted(one.keys() & other.keys())]


def difference(
    one: dict[int, dict], other: dict[int, dict], figure: Callable[[dict], float]
) -> tuple[float, float | None]:
    """Mean of `one` − `other` over the seeds that both have, and the half-width of its 95 % interval (None for one seed)."""
    apart = differences(one, other, figure)
    return fmean(apart), float(t.ppf(0.975, len(apart) - 1)) * stdev(apart) / len(apart) ** 0.5 if len(
        apart
    ) > 1 else None


def compared(found: dict[str, dict[int, dict]]) -> tuple[str, list[str]]:
    """The arm that the others are held against, and those that share a seed with it."""
    against = next(arm for arm in (*ARMS["distill"], *ARMS["grpo"], *found) if arm in found)
    return against, [arm for arm in found if arm != against and found[arm].keys() & found[against].keys()]


def table(found: dict[str, dict[int, dict]]) -> str:
    """The arms as a Markdown table, and what the first of them gains over each."""

    def row(name: str, figure: Callable[[dict], float | None]) -> str:
        told = []
        for by_seed in found.values():
            values = [figure(figures) for figures in by_seed.values()]
            values = [value for value in values if value is not None]
            spread = f" ± {stdev(values):.1f}" if name == "balanced" and len(values) > 1 else ""
            told.append(f"{fmean(values):.1f}{spread}" if values else "–")
        return f"| {name} | {' | '.join(told)} |"

    macros = next(iter(next(iter(found.values())).values()))["macros"]
    lines = [f"| | {' | '.join(found)} |", f"| --- |{' ---: |' * len(found)}", row("balanced", lambda f: f["balanced"])]
    lines += [row(macro, lambda f, macro=macro: f["macros"][macro]) for macro in macros]
    lines += [row(f"{name}, %", lambda f, name=name: f[name]) for name in ("validity", "format", "grounding")]
    if "tokens" in next(iter(next(iter(found.values())).values())):
        lines += [
            row("passes over the rows", lambda f: f["epochs"]),
            row("million tokens", lambda f: f["epochs"] * f["tokens"] / 1e6),
        ]
    else:
        lines += [
            row("lowest macro-task", lambda f: min(f["macros"].values())),
            row("groups that taught nothing, %", lambda f: f.get("wasted")),
        ]
    lines += [row("minutes of training", lambda f: f.get("minutes"))]
    seeds = "; ".join(f"{arm} {', '.join(map(str, sorted(by_seed)))}" for arm, by_seed in found.items())
    lines += ["", f"Seeds: {seeds}. ± is the standard deviation over them.", ""]
    against, others = compared(found)
    for arm in others:
        told = []
        for figure in (lambda f: f["balanced"], lambda f: min(f["macros"].values())):
            gain, width = difference(found[against], found[arm], figure)
            told.append(
                f"{gain:+.1f} " + ("(one seed)" if width is None else f"[{gain - width:+.1f}, {gain + width:+.1f}]")
            )
        lines.append(f"{against} − {arm}: {told[0]}; of the lowest macro-task {told[1]}  ")
    return "\n".join(lines)


def draw(found: dict[str, dict[int, dict]], path: Path, title: str) -> None:
    """How far each arm lies from the first, in points: a row for the balanced score and for each macro-task."""
    against, others = compared(found)
    figures = {"balanced": lambda f: f["balanced"]}
    for macro in next(iter(found[against].values()))["macros"]:
        figures[macro] = lambda f, macro=macro: f["macros"][macro]
    figure, axes = plt.subplots(figsize=(8.5, 2 + 0.1 * len(figures) * (len(others) + 1)), layout="constrained")
    shades = matplotlib.colormaps["tab20"].colors  # in pairs, a dark and a light one
    for number, (colour, arm) in enumerate(zip(cycle(shades[::2] + shades[1::2]), others, strict=False)):
        for place, (name, read) in enumerate(figures.items()):
            y = place + 0.7 * ((number + 0.5) / len(others) - 0.5)
            apart = differences(found[arm], found[against], read)
            axes.scatter(apart, [y] * len(apart), s=9, color=colour, alpha=0.6)
            gain, width = difference(found[arm], found[against], read)
            # of single tasks three seeds tell little more than the dots do
            axes.errorbar(
                gain,
                y,
                xerr=width if name == "balanced" else None,
                fmt="|",
                color=colour,
                ms=9,
                mew=2,
                label=None if place else arm,
            )
    axes.axvline(0, color="#444", linewidth=0.8)
    axes.set_yticks(range(len(figures)), [name.replace("_", " ") for name in figures])
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xlabel(f"points above “{against}”: a stroke is the mean, a dot a seed, a bar (balanced) its 95 % interval")
    axes.set_title(title, fontsize=11)
    axes.grid(axis="y", color="#e6e9ee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
