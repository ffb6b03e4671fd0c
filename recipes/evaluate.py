"""Answer held-out rows and score them.

    python recipes/evaluate.py outputs/nano/grpo                       # a phase of a run, greedy
    python recipes/evaluate.py nano --eval-rows 40                     # an untouched base
    python recipes/evaluate.py outputs/nano/grpo --samples 8           # also pass@1 … pass@8
    python recipes/evaluate.py outputs/nano/grpo --show 5              # also a page to read the answers on
    python recipes/evaluate.py answers.jsonl --data chemllmbench       # predictions made elsewhere
    python recipes/evaluate.py --baselines --data my.csv               # what needs no language model
    python recipes/evaluate.py --server http://localhost:8000/v1 --server-model NAME --data chemllmbench   # vLLM, Ollama, …
    python recipes/evaluate.py --compare outputs/nano/distill outputs/nano/grpo

--eval-rows says how many rows of each macro-task (120 by default, 0: all). Writes metrics.json, metrics.md and
predictions.jsonl (every answer with its score and the reason of every zero) to --output, by default outputs/evaluate.
Stopped and started again with the same --output it goes on. Predictions made elsewhere are lines with `task`, `input`
and `answer` (or `completion`, with our tags); rows without one count as not answered.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import build_prompt, get_task, render
from chemr_lite.data.splits import sample
from chemr_lite.protocols import Protocols, load_protocols
from chemr_lite.scoring import benchmarks
from chemr_lite.scoring.judge import judge
from chemr_lite.scoring.metrics import percent, summarise
from recipes.training import answers_html, command
from recipes.training.files import as_jsonl, read_json, read_lines, write_json
from recipes.training.options import Options, UsageError, make_parser, read_options
from recipes.training.rows import load_rows
from recipes.training.served_model import ServedModel

PASS_AT = (1, 2, 4, 8, 16, 32, 64)


def make_evaluate_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__)
    parser.set_defaults(output="outputs/evaluate")  # a run directory is no place for someone else's figures
    parser.add_argument("target", nargs="?", help="a phase's directory, nano, a model, or a .jsonl of answers")
    group = parser.add_argument_group("evaluation alone")
    group.add_argument(
        "--samples", type=int, default=1, metavar="INT", help="completions per row, for pass@k: sampled if > 1"
    )
    group.add_argument(
        "--show", type=int, default=0, metavar="INT", help="also write show.html with so many answers a task"
    )
    group.add_argument("--baselines", action="store_true", help="evaluate what needs no language model")
    group.add_argument("--compare", nargs=2, metavar="FOLDER", type=Path, help="what the second gains over the first")
    group.add_argument(
        "--server", metavar="URL", help="server of the OpenAI protocol, up to and with /v1; key in CHEMR_API_KEY"
    )
    group.add_argument("--server-model", default="", metavar="NAME", help="name of the model there")
    group.add_argument(
        "--server-tokens", type=int, default=2048, metavar="INT", help="answers of the server are cut here"
    )
    return parser


def read_predictions(path: Path, rows: list[dict], protocols: Protocols | None = None) -> list[dict]:
    """Return judged answers to `rows` from a file of predictions made elsewhere; claims are read along `protocols`.

    Raises UsageError for a line that is no prediction, and where none belongs to a row.
    """
    predictions = {}
    for number, line in read_lines(path):
        try:
            text = line["completion"] if "completion" in line else render(None, line["answer"])
            predictions[line["task"], line["input"]] = text
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"{path}, line {number}: not a prediction with task, input and answer ({error})"
            ) from error
    answered = sum((row["task"], row["input"]) in predictions for row in rows)
    if not answered:
        raise UsageError(
            f"{path}: none of its {len(predictions)} predictions belongs to a test row; task and input must be those of "
            "--data"
        )
    print(f"{path}: {answered} of {len(rows)} rows are answered")
    return [judge(row, predictions.get((row["task"], row["input"]), ""), protocols=protocols) for row in rows]


def report(judged: list[dict], output: Path, name: str, show: int = 0, protocols: Protocols | None = None) -> dict:
    """Write metrics.json, metrics.md and predictions.jsonl to `output`, and show.html if asked; return the figures."""
    by_task, by_row = defaultdict(list), defaultdict(list)
    for line in judged:
        by_task[line["task"]].append(line)
        by_row[line["task"], line["input"]].append(line["correct"])
    metrics = summarise(judged)
    for task, lines in by_task.items():
        details = metrics["tasks"][task]["details"] = benchmarks.details(lines)
        samples = [correct for key, correct in by_row.items() if key[0] == task]
        most = min(map(len, samples))
        for k in PASS_AT if most > 1 else ():
            if k <= most:
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
    """Return the figures of one model as a Markdown table: a line per task, its headline first, then its benchmark's own."""
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


def compare(before: Path, after: Path) -> None:
    """Print what the predictions in folder `after` gain over those in `before`, row by row. Raises UsageError."""
    from recipes.training.evaluation import read_judged  # brings torch

    try:
        gains = benchmarks.compare(read_judged(before), read_judged(after))
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{before} and {after}: {error}") from error
    print(f"gain of {after} over {before}, in points, with the 95 % interval of a paired bootstrap\n")
    print("| | gain | from | to |\n| --- | ---: | ---: | ---: |")
    for name, figures in gains.items():
        print(f"| {name} | {' | '.join(f'{number:+.1f}' for number in figures)} |")


def ask_server(rows: list[dict], options: Options, wanted: argparse.Namespace, protocols: Protocols) -> list[dict]:
    """Return judged answers of a served model; they are kept in the output folder as they come, and asked for once."""
    server = ServedModel(wanted.server, wanted.server_model)
    server.check()
    prompts = [build_prompt(get_task(row["task"]).question(row)) for row in rows]
    store, temperature = Path(options.output) / "answers.jsonl", options.temperature if wanted.samples > 1 else 0.0
    answers = server.ask(prompts, store, wanted.server_tokens, temperature, wanted.samples)
    print(", ".join(f"{name}: {count:,}" for name, count in server.spent.items()))
    if not any(answers):
        raise UsageError(f"{wanted.server} answered nothing")
    # what never came counts as not answered
    return [
        judge(row, text, strict=False, protocols=protocols) | {"sample": n}
        for row, texts in zip(rows, answers, strict=True)
        for n, text in enumerate([*texts, *[""] * (wanted.samples - len(texts))])
    ]


def ask_model(rows: list[dict], options: Options, wanted: argparse.Namespace) -> list[dict]:
    """Return judged answers of a model on this machine; those of an earlier start with the same options are kept."""
    import torch

    from chemr_lite.model.adapters import with_adapter
    from chemr_lite.model.folders import base_of, check_there
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_base, load_tokenizer
    from recipes.training.evaluation import answer_rows
    from recipes.training.quiet import silence_libraries

    check_there(wanted.target)
    adapter = Path(wanted.target) if (Path(wanted.target) / "adapter_config.json").exists() else None
    name, output = base_of(adapter) if adapter else wanted.target, Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    # answers are taken up only by the same question to the same model
    question = {"target": wanted.target, "data": options.data, "tasks": options.tasks}
    question |= {"samples": wanted.samples, "seed": options.seed}
    asked, answered = output / "asked.json", output / "answered.jsonl"
    if not asked.exists() or read_json(asked) != question:
        answered.unlink(missing_ok=True)
        write_json(asked, question)
    silence_libraries()
    tokenizer, model = load_tokenizer(name), load_base(name, detect_hardware())
    if adapter:
        model = with_adapter(model, adapter)
    torch.manual_seed(options.seed)
    return answer_rows(model, tokenizer, rows, options, "answering", answered, wanted.samples)


def main() -> None:
    options, wanted = read_options(make_evaluate_parser())
    if wanted.compare:
        return compare(*wanted.compare)
    if not (wanted.target or wanted.baselines or wanted.server):
        raise UsageError(
            "name what to evaluate: a phase's directory, nano, a model, a .jsonl of answers, --server URL, or --baselines"
        )
    protocols, output = load_protocols(options.protocols), Path(options.output)
    loaded = load_rows(options)
    print(f"{options.data}: {loaded.summary()}", *loaded.problems[:5], sep="\n  ")
    if not loaded.rows["test"]:
        raise UsageError(f"{options.data}: no test row in it")
    rows = sample(loaded.rows["test"], options.eval_rows or len(loaded.rows["test"]))
    if wanted.baselines:
        from chemr_lite.scoring.baselines import BASELINES

        for name, predict in BASELINES.items():
            judged = predict(loaded.rows["train"], rows)
            if any(line["answer"] for line in judged):
                report(judged, output / name, name, wanted.show, protocols)
            else:
                print(f"\n{name}: answers none of these tasks")
        return
    if wanted.server:
        judged, name = ask_server(rows, options, wanted, protocols), f"{wanted.server_model} at {wanted.server}"
    elif wanted.target.endswith(".jsonl"):
        judged, name = read_predictions(Path(wanted.target), rows, protocols), Path(wanted.target).stem
    else:
        judged, name = ask_model(rows, options, wanted), wanted.target
    report(judged, output, name, wanted.show, protocols)
    for finished in ("answered.jsonl", "asked.json"):
        (output / finished).unlink(missing_ok=True)


if __name__ == "__main__":
    command.run(main)
