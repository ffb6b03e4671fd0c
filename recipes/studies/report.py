"""Write one page about a run of phase 3: what each task did while it trained, and what went wrong.

    python recipes/studies/report.py outputs/nano          # writes outputs/nano/report.html, also while the run goes on

The page shows validation and reward, accuracy and share of the prompts of every task, groups that taught nothing,
lengths, KL, the warnings of recipes/training/health.py, and the ladder. It is one HTML file with its pictures in it,
without scripts.
"""

import argparse
import base64
import io
import sys
from html import escape
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipes.training import command
from recipes.training.files import read_jsonl
from recipes.training.options import UsageError

SMOOTH = 8  # steps of a running mean
CURVES = {  # title → log metric → label
    "Mean reward": {"reward/unscaled": "before scaling"},
    "Greedy answers to validation rows": {
        "validation": "balanced",
        "validation/grounding": "grounding",
        "validation/format": "format",
    },
    "Groups that taught nothing": {"groups/without_signal": "share"},
    "Completions": {"completions/length": "mean length, tokens"},
    "Variety": {"distinct": "different answers in a group"},
    "Distance from phase 2": {"kl": "KL, nats a token"},
    "Format": {"format": "share in the format", "completions/clipped_ratio": "share cut off"},
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b2430; max-width: 62rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } img { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: .875rem }
td, th { border-bottom: 1px solid #d5dae1; padding: .2rem .6rem; text-align: right }
td:first-child, th:first-child { text-align: left } .warning { border-left: 3px solid #b8860b; padding: .25rem .75rem }
.wide { overflow-x: auto } td { white-space: nowrap } .mean { font-weight: 600 }
"""
NO_VALIDATION = (
    "<p>The run did not answer validation rows. With --validation-steps 10 it does, and keeps the best adapter.</p>"
)
CURVES_TEXT = (
    f"<p>Thin: each step; bold: mean of {SMOOTH}. "
    "The mean reward also falls where the prompts move on to harder tasks.</p>"
)
TASKS_TEXT = (
    f"<p>Green: accuracy of sampled answers, mean of {SMOOTH} steps that asked the task, from 0 to 1. "
    "Red dots: share of its groups that taught nothing. "
    "Blue: the task's share of the prompts, scale at the right.</p>"
)


def read_log(run: Path) -> list[dict]:
    """Return the logged steps of phase 3, finished or under way. Raises UsageError if there is no log."""
    for folder in (run / "grpo", run / "grpo.partial", run):
        if (folder / "log.jsonl").exists():
            return read_jsonl(folder / "log.jsonl")
    raise UsageError(f"{run}: no log of phase 3 in it; name a run directory, as outputs/nano, once its GRPO has begun")


def series(log: list[dict], name: str) -> tuple[list[int], list[float]]:
    """Return the steps that logged the metric `name`, and its values."""
    lines = [line for line in log if name in line]
    return [line["step"] for line in lines], [line[name] for line in lines]


def smooth(values: list[float]) -> list[float]:
    """Return the mean of the last SMOOTH values at each place."""
    return [fmean(values[max(0, end - SMOOTH) : end]) for end in range(1, len(values) + 1)]


def picture(figure, title: str) -> str:
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(title, quote=True)}" src="data:image/png;base64,{data}">'


def small_plots(count: int, columns: int, height: float):
    """Return a figure and its `count` axes, in rows of `columns` that are `height` inches high."""
    import matplotlib.pyplot as plt

    rows = (count + columns - 1) // columns
    figure, axes = plt.subplots(rows, columns, figsize=(10, height * rows), layout="constrained", squeeze=False)
    for unused in axes.flat[count:]:
        unused.axis("off")
    return figure, axes.flat[:count]


def curves(log: list[dict]) -> str:
    """Draw the metrics of the whole run, a small plot each."""
    shown = {title: parts for title, parts in CURVES.items() if any(series(log, name)[0] for name in parts)}
    figure, axes = small_plots(len(shown), 3, 2.4)
    for plot, (title, parts) in zip(axes, shown.items(), strict=True):
        for name, label in parts.items():
            steps, values = series(log, name)
            if steps:
                (line,) = plot.plot(steps, values, linewidth=0.7, alpha=0.5, marker="." if len(steps) < 12 else None)
                plot.plot(steps, smooth(values), label=label, linewidth=1.8, color=line.get_color())
        plot.set_title(title, fontsize=10)
        plot.legend(fontsize=8, frameon=False)
    return picture(figure, "curves of the run")


def tasks(log: list[dict]) -> str:
    """Draw accuracy (running mean of the sampled answers) and share of the prompts, a small plot for each task."""
    metrics = {name for line in log for name in line if name.startswith(("accuracy/", "weight/"))}
    names = sorted({name.split("/", 1)[1] for name in metrics})
    figure, axes = small_plots(len(names), 4, 1.7)
    most = max((value for line in log for name, value in line.items() if name.startswith("weight/")), default=1.0)
    for plot, name in zip(axes, names, strict=True):
        steps, values = series(log, f"accuracy/{name}")
        plot.plot(steps, smooth(values), color="#0b6e4f", linewidth=1.5)
        plot.set_ylim(-0.03, 1.03)
        plot.plot(*series(log, f"wasted/{name}"), color="#c1440e", linewidth=0, marker=".", markersize=2.5)
        weights = plot.twinx()
        weights.fill_between(*series(log, f"weight/{name}"), color="#c9d6e8", alpha=0.6, linewidth=0)
        weights.set_ylim(0, most * 1.05)
        weights.tick_params(labelsize=6)
        plot.set_zorder(2)
        plot.patch.set_visible(False)
        plot.tick_params(labelsize=6)
        plot.set_title(name.replace("_", " "), fontsize=7)
    return picture(figure, "accuracy and share of the prompts of every task")


def ladder_table(text: str) -> str:
    """Return a Markdown table as HTML; rows that are emphasised there are means."""
    head, _, *lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.split("\n")]

    def row(tag: str, cells: list[str]) -> str:
        weight = ' class="mean"' if cells[0].startswith("*") else ""
        tagged = "".join(f"<{tag}>{escape(cell.replace('*', ''))}</{tag}>" for cell in cells)
        return f"<tr{weight}>{tagged}</tr>"

    rows = [row("th", head), *(row("td", line) for line in lines)]
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def write(run: Path) -> Path:
    """Write report.html into the run directory and return its path. Raises UsageError if no step is logged yet."""
    import matplotlib  # this and the imports below would slow --help

    matplotlib.use("Agg")
    from recipes.training import health, ladder

    log = read_log(run)
    steps = [line for line in log if "reward/unscaled" in line]
    if not steps:
        raise UsageError(f"{run}: not one step of phase 3 is logged yet")
    problems = [f'<p class="warning">{escape(text)}</p>' for text in health.find_problems(steps).values()]
    rungs, title = ladder.collect(run), escape(run.name)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: phase 3</title><style>{STYLE}</style></head><body><h1>Phase 3 of {title}</h1>",
        f"<p>{len(steps)} steps, {'finished' if (run / 'grpo').exists() else 'under way'}.</p>",
        *(problems or ["<p>No warning at the end.</p>"]),
        f"<h2>The run</h2>{CURVES_TEXT}",
        "" if any("validation" in line for line in log) else NO_VALIDATION,
        curves(log),
        f"<h2>The tasks</h2>{TASKS_TEXT}",
        tasks(log),
        f"<h2>The ladder</h2>{ladder_table(ladder.table(rungs))}" if rungs else "",
        "</body></html>\n",
    ]
    path = run / "report.html"
    path.write_text("".join(parts), encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory whose phase 3 has begun")
    args = parser.parse_args()
    print(f"written to {write(args.run)}")


if __name__ == "__main__":
    command.run(main)
