"""One page about a run of phase 3: what each task did while it trained, and what went wrong.

    python recipes/studies/report.py outputs/nano          # writes outputs/nano/report.html; also while the run is under way

Validation and reward, accuracy and share of the prompts of every task, groups that taught nothing, lengths, KL, the
warnings of recipes/training/health.py, and the ladder. One HTML file with its pictures in it, without scripts.
"""

import argparse
import base64
import io
import sys
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipes.training import command
from recipes.training.files import read_jsonl
from recipes.training.options import UsageError

SMOOTH = 8  # steps of a task's running mean
CURVES = {
    "Mean reward": {"reward/unscaled": "before scaling"},
    "Greedy answers to validation rows": {
        "validation": "balanced",
        "validation/grounding": "grounding",
        "validation/format": "format",
    },
    "Groups that taught nothing": {"groups/without_signal": "share"},
    "Completions": {"completions/mean_length": "mean length, tokens"},
    "Distance from phase 2": {"kl": "KL, nats a token"},
    "Format": {"format": "share in the format", "completions/clipped_ratio": "share cut off"},
}
UNCHECKED = "<p>No greedy answers to validation rows were asked for; --validation-steps 10 does, and then the best adapter is kept.</p>"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b2430; max-width: 62rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } img { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: .875rem } td, th { border-bottom: 1px solid #d5dae1; padding: .2rem .6rem; text-align: right }
td:first-child, th:first-child { text-align: left } .warning { border-left: 3px solid #b8860b; padding: .25rem .75rem }
.wide { overflow-x: auto } td { white-space: nowrap } .mean { font-weight: 600 }
"""


def read_log(run: Path) -> list[dict]:
    """The logged steps of phase 3, finished or under way. Raises UsageError."""
    for folder in (run / "grpo", run / "grpo.partial", run):
        if (folder / "log.jsonl").exists():
            return read_jsonl(folder / "log.jsonl")
    raise UsageError(f"{run}: no log of phase 3 in it; name a run directory, as outputs/nano, once its GRPO has begun")


def series(log: list[dict], name: str) -> tuple[list[int], list[float]]:
    told = [(line["step"], line[name]) for line in log if name in line]
    return [step for step, _ in told], [value for _, value in told]


def smooth(values: list[float]) -> list[float]:
    """The mean of the last SMOOTH values at each place."""
    return [sum(part) / len(part) for part in (values[max(0, i + 1 - SMOOTH) : i + 1] for i in range(len(values)))]


def picture(figure, title: str) -> str:
    import matplotlib.pyplot as plt

    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=100)
    plt.close(figure)
    return f'<img alt="{escape(title, quote=True)}" src="data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}">'


def curves(log: list[dict]) -> str:
    """The figures of the whole run, a small plot each."""
    import matplotlib.pyplot as plt

    shown = {title: parts for title, parts in CURVES.items() if any(series(log, name)[0] for name in parts)}
    figure, axes = plt.subplots(
        (len(shown) + 2) // 3, 3, figsize=(10, 2.4 * ((len(shown) + 2) // 3)), layout="constrained", squeeze=False
    )
    for place, (title, parts) in zip(axes.flat, shown.items(), strict=False):
        for name, label in parts.items():
            steps, values = series(log, name)
            if steps:
                (line,) = place.plot(steps, values, linewidth=0.7, alpha=0.5, marker="." if len(steps) < 12 else None)
                place.plot(steps, smooth(values), label=label, linewidth=1.8, color=line.get_color())
        place.set_title(title, fontsize=10)
        place.legend(fontsize=8, frameon=False)
    for place in axes.flat[len(shown) :]:
        place.axis("off")
    return picture(figure, "curves of the run")


def tasks(log: list[dict]) -> str:
    """Accuracy (running mean of the sampled answers) and share of the prompts, a small plot for each task."""
    import matplotlib.pyplot as plt

    names = sorted(
        {name.split("/", 1)[1] for line in log for name in line if name.startswith(("accuracy/", "weight/"))}
    )
    figure, axes = plt.subplots(
        (len(names) + 3) // 4, 4, figsize=(10, 1.7 * ((len(names) + 3) // 4)), layout="constrained", squeeze=False
    )
    most = max((value for line in log for name, value in line.items() if name.startswith("weight/")), default=1.0)
    for place, name in zip(axes.flat, names, strict=False):
        steps, values = series(log, f"accuracy/{name}")
        place.plot(steps, smooth(values), color="#0b6e4f", linewidth=1.5)
        place.set_ylim(-0.03, 1.03)
        place.plot(*series(log, f"wasted/{name}"), color="#c1440e", linewidth=0, marker=".", markersize=2.5)
        weights = place.twinx()
        weights.fill_between(*series(log, f"weight/{name}"), color="#c9d6e8", alpha=0.6, linewidth=0)
        weights.set_ylim(0, most * 1.05)
        weights.tick_params(labelsize=6)
        place.set_zorder(2)
        place.patch.set_visible(False)
        place.tick_params(labelsize=6)
        place.set_title(name.replace("_", " "), fontsize=7)
    for place in axes.flat[len(names) :]:
        place.axis("off")
    return picture(figure, "accuracy and share of the prompts of every task")


def ladder_table(text: str) -> str:
    """A Markdown table as HTML; what is emphasised in it are the means."""
    head, _, *lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.split("\n")]

    def row(tag: str, cells: list[str]) -> str:
        weight = ' class="mean"' if cells[0].startswith("*") else ""
        told = "".join(f"<{tag}>{escape(cell.replace('*', ''))}</{tag}>" for cell in cells)
        return f"<tr{weight}>{told}</tr>"

    rows = [row("th", head), *(row("td", line) for line in lines)]
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def write(run: Path) -> Path:
    """Write report.html into the run directory and return its path. Raises UsageError."""
    import matplotlib

    matplotlib.use("Agg")
    from recipes.training import health, ladder

    log = read_log(run)
    steps = [line for line in log if "reward/unscaled" in line]
    if not steps:
        raise UsageError(f"{run}: not one step of phase 3 is logged yet")
    told = "".join(f'<p class="warning">{escape(text)}</p>' for text in health.find_problems(steps).values())
    rungs = ladder.collect(run)
    finished = "finished" if (run / "grpo").exists() else "under way"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(run.name)}: phase 3</title><style>{STYLE}</style></head><body><h1>Phase 3 of {escape(run.name)}</h1>"
        f"<p>{len(steps)} steps, {finished}.</p>{told or '<p>No warning at the end.</p>'}<h2>The run</h2>"
        f"<p>Thin: each step; bold: mean of {SMOOTH}. The mean reward also falls where the prompts move on to harder tasks.</p>"
        f"{'' if any('validation' in line for line in log) else UNCHECKED}{curves(log)}"
        f"<h2>The tasks</h2><p>Green: accuracy of sampled answers, mean of {SMOOTH} steps that asked the task, from 0 to 1. Red "
        f"dots: share of its groups that taught nothing. Blue: the task's share of the prompts, scale at the right.</p>{tasks(log)}"
        + (f"<h2>The ladder</h2>{ladder_table(ladder.table(rungs))}" if rungs else "")
        + "</body></html>\n"
    )
    path = run / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory whose phase 3 has begun")
    args = parser.parse_args()
    print(f"written to {write(args.run)}")


if __name__ == "__main__":
    command.run(main)
