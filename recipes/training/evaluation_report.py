"""What an evaluation leaves behind: metrics.json, metrics.md, predictions.jsonl, and a page to read answers on."""

from collections import defaultdict
from pathlib import Path

from chemr_lite.protocols import Protocols
from chemr_lite.scoring import benchmarks
from chemr_lite.scoring.metrics import percent, summarise
from recipes.training import answers_html
from recipes.training.files import as_jsonl, write_json

PASS_AT = (1, 2, 4, 8, 16, 32, 64)


def write_report(
    judged: list[dict], output: Path, name: str, show: int = 0, protocols: Protocols | None = None
) -> dict:
    """Write the files of the module's docstring to `output`, print the table, and return the figures.

    `judged` are answers as judge.judge returns them, `name` is what the model is called. show.html holds the first
    `show` answers of each task; 0 writes none.
    """
    by_task, correct_by_row = defaultdict(list), defaultdict(list)
    for line in judged:
        by_task[line["task"]].append(line)
        correct_by_row[line["task"], line["input"]].append(line["correct"])
    metrics = summarise(judged)
    for task, lines in by_task.items():
        details = metrics["tasks"][task]["details"] = benchmarks.details(lines)
        samples = [correct for (row_task, _), correct in correct_by_row.items() if row_task == task]
        fewest = min(map(len, samples))
        for k in PASS_AT if fewest > 1 else ():
            if k <= fewest:
                details[f"pass@{k}"] = percent([benchmarks.pass_at(correct, k) for correct in samples])
    output.mkdir(parents=True, exist_ok=True)
    (output / "predictions.jsonl").write_text(as_jsonl(judged))
    write_json(output / "metrics.json", metrics)
    text = table(metrics, name)
    (output / "metrics.md").write_text(text + "\n")
    if show:
        answers_html.write(judged, output / "show.html", name, show, protocols)
    page = ", show.html" if show else ""
    print(f"\n{text}\n\nwritten to {output}/metrics.json, metrics.md{page} and predictions.jsonl")
    return metrics


def table(metrics: dict, name: str) -> str:
    """Return the figures as a Markdown table: a line per task, the headline first, then the benchmark's own metrics."""
    lines = [
        f"**{name}**: balanced {metrics['balanced']:.1f} ± {metrics['interval']:.1f} (n = {metrics['n']})",
        "",
        "| task | n | headline | score | valid | format | grounding | more |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for task, figures in metrics["tasks"].items():
        more = ", ".join(f"{key} {value:.1f}" for key, value in figures["details"].items() if value is not None)
        valid, grounding = ("–" if figures[k] is None else f"{figures[k]:.1f}" for k in ("validity", "grounding"))
        score, in_format = f"{figures['score']:.1f}", f"{figures['format']:.1f}"
        cells = [task, str(figures["n"]), figures["metric"], score, valid, in_format, grounding, more]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
