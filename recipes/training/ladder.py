"""The ladder: what each phase adds, from base over foundation and distill to grpo, as a table and a picture.

It is written to ladder.json, ladder.md and ladder.png, per macro-task and balanced.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # only after the choice of a backend that needs no screen

from recipes.training.files import read_json, write_json
from recipes.training.options import RUNGS

SHARES = ("validity", "format", "grounding")  # in percent, None if there is nothing to count
COLOURS = ("#0b6e4f", "#c1440e", "#6a3d9a", "#b8860b", "#1f77b4", "#8c564b", "#e377c2", "#17becf", "#7f7f7f")


def collect(run: Path) -> list[dict]:
    """Return the rungs of a run directory that are finished, in order: the metrics of the base and of each phase."""
    rows = []
    for name in RUNGS:
        path = run / name / "metrics.json"
        if path.exists():
            metrics = read_json(path)
            row = {"phase": name, **{key: metrics[key] for key in ("balanced", "interval", "macros", "n")}}
            row |= {key: metrics.get(key) for key in SHARES}
            rows.append(row | {"tasks": {task: figures["score"] for task, figures in metrics["tasks"].items()}})
    return rows


def table(rows: list[dict]) -> str:
    """Return the ladder as a Markdown table: a line per task, a column per phase."""
    head = ["task", *(row["phase"] for row in rows)]
    lines = [head, ["---", *("---:" for _ in rows)]]
    lines.append(["**balanced**", *(f"**{row['balanced']:.1f}** ± {row['interval']:.1f}" for row in rows)])
    for macro in rows[-1]["macros"]:
        lines.append([f"*{macro}*", *(f"*{row['macros'][macro]:.1f}*" for row in rows)])
        for task in rows[-1]["tasks"]:
            if task.startswith(macro + "/"):
                lines.append([task, *(f"{row['tasks'][task]:.1f}" for row in rows)])
    for name in SHARES:
        lines.append([f"{name}, %", *("–" if row[name] is None else f"{row[name]:.1f}" for row in rows)])
    lines.append(["test rows", *(str(row["n"]) for row in rows)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(f"| {' | '.join(_align(line, widths))} |" for line in lines)


def _align(cells: list[str], widths: list[int]) -> list[str]:
    """Pad the first cell on the right and the others on the left."""
    return [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]


def write(folder: Path, facts: dict, rows: list[dict], caption: str, whiskers: str = "95 % interval") -> str:
    """Write ladder.json (`facts` before the rows), ladder.md and ladder.png to `folder`. Return the table.

    `whiskers` names what ± means.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "ladder.json", {**facts, "rows": rows})
    text = table(rows)
    (folder / "ladder.md").write_text(text + "\n")
    draw(rows, folder / "ladder.png", caption, whiskers)
    return text


def draw(rows: list[dict], path: Path, caption: str, whiskers: str) -> None:
    """Draw the ladder to `path`: the balanced score as bars with `whiskers`, and a line per macro-task."""
    figure, axes = plt.subplots(figsize=(9.5, 4.5), layout="constrained")
    names, x = [row["phase"] for row in rows], range(len(rows))
    axes.bar(
        x,
        [row["balanced"] for row in rows],
        yerr=[row["interval"] for row in rows],
        color="#c9d6e8",
        capsize=4,
        label=f"balanced ({whiskers})",
        width=0.55,
    )
    for macro, colour in zip(rows[-1]["macros"], COLOURS, strict=False):
        scores = [row["macros"][macro] for row in rows]
        axes.plot(x, scores, marker="o", color=colour, linewidth=1.5, label=macro.replace("_", " "))
    # figures and legend stand outside the axes, where no line crosses them
    labels = [f"{name}\n{row['balanced']:.1f}" for name, row in zip(names, rows, strict=True)]
    axes.set_xticks(list(x), labels, fontsize=11)
    axes.set_ylim(0, 100)
    axes.set_ylabel("score, 0 to 100")
    axes.set_title(f"What each phase adds\n{caption}", fontsize=11)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
