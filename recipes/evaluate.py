"""Answer held-out rows and score the answers.

    python recipes/evaluate.py outputs/nano/grpo                       # a phase of a run, greedy
    python recipes/evaluate.py nano --eval-rows 40                     # an untouched base
    python recipes/evaluate.py outputs/nano/grpo --samples 8           # also pass@1 … pass@8
    python recipes/evaluate.py outputs/nano/grpo --show 5              # also a page to read the answers on
    python recipes/evaluate.py answers.jsonl --data chemllmbench       # predictions made elsewhere
    python recipes/evaluate.py --baselines --data my.csv               # methods without a language model
    python recipes/evaluate.py --server URL --server-model NAME        # a served model (vLLM, Ollama, …)
    python recipes/evaluate.py --compare outputs/nano/distill outputs/nano/grpo

--eval-rows is the number of rows of each macro-task (0: all); its default is that of the preset. The results go to
--output, by default outputs/evaluate: metrics.json, metrics.md and predictions.jsonl, which has the score of every
answer and the reason of every zero. Stopped and started again with the same --output, the command continues.

Predictions made elsewhere are JSON lines with `task`, `input` and `answer` (or `completion`, with our tags). Rows
without a prediction count as not answered. URL is the address of a server of the OpenAI protocol, as
http://localhost:8000/v1; its key comes from CHEMR_API_KEY.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import get_task, render
from chemr_lite.data.splits import sample
from chemr_lite.protocols import Protocols, load_protocols
from chemr_lite.rewards import completion_text
from chemr_lite.scoring import benchmarks
from chemr_lite.scoring.baselines import BASELINES
from chemr_lite.scoring.judge import judge
from recipes.training import command
from recipes.training.evaluation_report import write_report
from recipes.training.files import read_lines
from recipes.training.local_model import ask_model
from recipes.training.options import Options, UsageError, make_parser, read_options
from recipes.training.rows import load_rows
from recipes.training.served_model import ServedModel


def make_evaluate_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__)
    parser.set_defaults(output="outputs/evaluate")  # not a run directory, which must hold its own figures only
    parser.add_argument("target", nargs="?", help="a phase's directory, nano, a model, or a .jsonl of predictions")
    group = parser.add_argument_group("evaluation only")
    group.add_argument(
        "--samples", type=int, default=1, metavar="INT", help="completions per row, for pass@k: sampled if above 1"
    )
    group.add_argument(
        "--show", type=int, default=0, metavar="INT", help="also write show.html, with this many answers of each task"
    )
    group.add_argument("--baselines", action="store_true", help="evaluate methods that need no language model")
    group.add_argument(
        "--compare", nargs=2, metavar="FOLDER", type=Path, help="print what the second folder gains over the first"
    )
    group.add_argument(
        "--server", metavar="URL", help="ask this server of the OpenAI protocol (URL with /v1); key in CHEMR_API_KEY"
    )
    group.add_argument("--server-model", default="", metavar="NAME", help="the model's name on the server")
    group.add_argument(
        "--server-tokens", type=int, default=2048, metavar="INT", help="limit on the tokens of the server's answers"
    )
    return parser


def read_predictions(path: Path, rows: list[dict], protocols: Protocols | None = None) -> list[dict]:
    """Return judged answers to `rows` from a file of predictions made elsewhere.

    Claims are read along `protocols`. Raises UsageError for a line that is not a prediction, and if none matches a row.
    """
    predictions = {}
    for number, line in read_lines(path):
        try:
            said = line["completion"] if "completion" in line else line["answer"]
            if said is not None:  # null: nothing was answered
                said = completion_text(said) if "completion" in line else render(None, str(said))
            predictions[line["task"], line["input"]] = said
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise UsageError(
                f"{path}, line {number}: not a prediction with task, input and answer ({error})"
            ) from error
    answered = [predictions[key] for row in rows if (key := (row["task"], row["input"])) in predictions]
    if not answered:
        raise UsageError(
            f"{path}: none of its {len(predictions)} predictions belongs to a test row; task and input must be those "
            "of --data"
        )
    print(f"{path}: {sum(text is not None for text in answered)} of {len(rows)} rows are answered")
    return [judge(row, predictions.get((row["task"], row["input"])) or "", protocols=protocols) for row in rows]


def compare(before: Path, after: Path) -> None:
    """Print what the predictions in folder `after` gain over those in `before`, row by row. Raises UsageError."""
    from recipes.training.evaluation import read_judged  # torch, which --help must not wait for

    judged_before, judged_after = read_judged(before), read_judged(after)
    try:
        gains = benchmarks.compare(judged_before, judged_after)
    except ValueError as error:
        raise UsageError(f"{before} and {after}: {error}") from error
    print(f"gain of {after} over {before}, in points, with the 95 % interval of a paired bootstrap\n")
    print("| | gain | from | to |\n| --- | ---: | ---: | ---: |")
    for name, figures in gains.items():
        print(f"| {name} | {' | '.join(f'{number:+.1f}' for number in figures)} |")


def evaluate_baselines(
    training_rows: list[dict], rows: list[dict], output: Path, show: int, protocols: Protocols
) -> None:
    """Evaluate every baseline, each in a folder of its own."""
    for name, predict in BASELINES.items():
        judged = predict(training_rows, rows)
        if any(line["answer"] for line in judged):
            write_report(judged, output / name, name, show, protocols)
        else:
            print(f"\n{name}: answers none of these tasks")


def ask_server(rows: list[dict], options: Options, parsed: argparse.Namespace, protocols: Protocols) -> list[dict]:
    """Return judged answers of a served model. They are stored in --output as they come, so none is asked twice."""
    server = ServedModel(parsed.server, parsed.server_model)
    server.check()
    prompts = [get_task(row["task"]).prompt(row) for row in rows]
    store, temperature = Path(options.output) / "answers.jsonl", options.temperature if parsed.samples > 1 else 0.0
    answers = server.ask(prompts, store, parsed.server_tokens, temperature, parsed.samples)
    print(server.summary())
    if not any(answers):
        reason = "".join(f": {reason}" for reason, _ in server.reasons.most_common(1))
        raise UsageError(f"{parsed.server} answered nothing{reason}")
    # an answer that failed counts as not answered
    return [
        judge(row, text, strict=False, protocols=protocols) | {"sample": number}
        for row, texts in zip(rows, answers, strict=True)
        for number, text in enumerate([*texts, *[""] * (parsed.samples - len(texts))])
    ]


def main() -> None:
    options, parsed = read_options(make_evaluate_parser())
    if parsed.compare:
        return compare(*parsed.compare)
    if not (parsed.target or parsed.baselines or parsed.server):
        raise UsageError(
            "name what to evaluate: a phase's directory, nano, a model, a .jsonl of predictions, --server URL, or "
            "--baselines"
        )
    protocols, output = load_protocols(options.protocols), Path(options.output)
    loaded = load_rows(options)
    print(f"{options.data}: {loaded.summary()}", *loaded.problems[:5], sep="\n  ")
    if not loaded.rows["test"]:
        raise UsageError(f"{options.data}: no test row in it")
    rows = sample(loaded.rows["test"], options.eval_rows or len(loaded.rows["test"]))
    if parsed.baselines:
        return evaluate_baselines(loaded.rows["train"], rows, output, parsed.show, protocols)
    if parsed.server:
        judged, name = ask_server(rows, options, parsed, protocols), f"{parsed.server_model} at {parsed.server}"
    elif parsed.target.endswith(".jsonl"):
        judged, name = read_predictions(Path(parsed.target), rows, protocols), Path(parsed.target).stem
    elif Path(parsed.target).is_file():
        raise UsageError(f"{parsed.target}: predictions are lines of JSON, in a file whose name ends in .jsonl")
    else:
        output.mkdir(parents=True, exist_ok=True)
        answered = output / "answered.jsonl"
        judged, name = ask_model(parsed.target, rows, options, parsed.samples, answered, "answering"), parsed.target
    write_report(judged, output, name, parsed.show, protocols)
    for temporary in ("answered.jsonl", "answered.asked.json"):
        (output / temporary).unlink(missing_ok=True)


if __name__ == "__main__":
    command.run(main)
