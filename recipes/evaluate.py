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
predictions.jsonl (every answer with its score and the reason of every zero) to --output, by default outputs/evaluate;
stopped and started again with the same --output it goes on. Predictions made elsewhere are lines with `task`, `input`
and `answer` (or `completion`, with our tags); rows without one count as not answered.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import options as cli

PASS_AT = (1, 2, 4, 8, 16, 32, 64)


@dataclass
class Options(cli.Options):
    # evaluation alone
    output: str | None = cli.option(None, "folder for what is written; default: outputs/evaluate")
    samples: int = cli.option(1, "completions per row; more than one are sampled at --temperature, for pass@k")
    show: int = cli.option(0, "also write show.html with so many answers of each task: molecules drawn, every claim marked")
    server: str | None = cli.option(None, "address of a server that speaks the OpenAI protocol, up to and with /v1; key in CHEMR_API_KEY")
    server_model: str = cli.option("", "name of the model there")
    server_tokens: int = cli.option(2048, "tokens after which an answer of the server is cut")


def evaluate(model, tokenizer, rows: list[dict], options: cli.Options, per_macro: int, save: Path | None = None, show: str = "evaluating"):
    """Figures (metrics.summarise) of greedy answers to `per_macro` rows of each macro-task; every prediction goes to `save`."""
    from chemr_lite.metrics import summarise
    from chemr_lite.splits import sample

    judged = answer_rows(model, tokenizer, sample(rows, per_macro), options, show)
    if save:
        save.write_text(_jsonl(judged))
    return summarise(judged)


def answer_rows(
    model, tokenizer, rows: list[dict], options: cli.Options, show: str = "", journal: Path | None = None, samples: int = 1
) -> list[dict]:
    """The judged answers (metrics.judge) to `rows`, `samples` of each; `journal` keeps them over a kill."""
    from tqdm import tqdm

    from chemr_lite import build_prompt, get_task
    from chemr_lite.generation import answer, probability_of_yes
    from chemr_lite.metrics import judge
    from chemr_lite.protocols import load_protocols

    protocols = load_protocols(options.protocols)
    asked = [(row, number) for row in rows for number in range(samples)]
    judged = _read_journal(journal)
    left = [(row, number) for row, number in asked if (row["task"], row["input"], number) not in judged]
    left.sort(key=lambda pair: len(pair[0]["input"]))  # rows of one batch should be alike in length
    with tqdm(total=len(asked), initial=len(asked) - len(left), desc=show, disable=not show, unit=" answers") as bar:
        for start in range(0, len(left), options.eval_batch_size):
            chunk = left[start : start + options.eval_batch_size]
            prompts = [build_prompt(get_task(row["task"]).question(row)) for row, _ in chunk]
            temperature = options.temperature if samples > 1 else None
            completions = answer(model, tokenizer, prompts, options.eval_batch_size, options.max_completion_tokens, temperature)
            lines = [
                judge(row, completion, protocols=protocols) | {"sample": number}
                for (row, number), completion in zip(chunk, completions, strict=True)
            ]
            choices = [i for i, line in enumerate(lines) if line["gold"] in ("Yes", "No")]
            shares = probability_of_yes(
                model, tokenizer, [prompts[i] for i in choices], [completions[i] for i in choices], options.eval_batch_size
            )
            for i, share in zip(choices, shares, strict=True):
                lines[i]["p_yes"] = share
            judged |= {(line["task"], line["input"], line["sample"]): line for line in lines}
            if journal:
                with journal.open("a") as file:
                    file.write(_jsonl(lines))
            bar.update(len(chunk))
    return [judged[row["task"], row["input"], number] for row, number in asked]


def _jsonl(lines: Iterable[dict]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _read_journal(path: Path | None) -> dict[tuple, dict]:
    """What an earlier start has answered; a last line that a kill cut short is dropped."""
    judged: dict[tuple, dict] = {}
    if path and path.exists():
        for text in path.read_text().split("\n")[:-1]:
            try:
                line = json.loads(text)
            except ValueError:
                break
            judged[line["task"], line["input"], line["sample"]] = line
        path.write_text(_jsonl(judged.values()))
    return judged


def read_predictions(path: Path, rows: list[dict], protocols=None) -> list[dict]:
    """Judged answers to `rows` from a file of predictions made elsewhere, their claims read along `protocols`. Raises UsageError for a line that is none."""
    from chemr_lite import render
    from chemr_lite.metrics import judge

    said = {}
    for number, text in enumerate(path.read_text().split("\n"), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            said[line["task"], line["input"]] = line["completion"] if "completion" in line else render(None, line["answer"])
        except (ValueError, KeyError, TypeError) as error:
            raise cli.UsageError(f"{path}, line {number}: not a prediction with task, input and answer ({error})") from error
    judged = [judge(row, said.get((row["task"], row["input"]), ""), protocols=protocols) for row in rows]
    found = sum((row["task"], row["input"]) in said for row in rows)
    if not found:
        raise cli.UsageError(f"{path}: none of its {len(said)} predictions belongs to a test row; task and input must be those of --data")
    print(f"{path}: {found} of {len(rows)} rows are answered")
    return judged


def report(judged: list[dict], output: Path, name: str, show: int = 0, protocols=None) -> dict:
    """Write metrics.json, metrics.md and predictions.jsonl to `output`, and show.html if asked, and return the figures."""
    from chemr_lite.benchmark import details, pass_at
    from chemr_lite.metrics import percent, summarise
    from recipes import runs

    by_task, by_row = defaultdict(list), defaultdict(list)
    for line in judged:
        by_task[line["task"]].append(line)
        by_row[line["task"], line["input"]].append(line["correct"])
    metrics = summarise(judged)
    for task, lines in by_task.items():
        metrics["tasks"][task]["details"] = details(lines)
        samples = min(len(correct) for key, correct in by_row.items() if key[0] == task)
        for k in PASS_AT if samples > 1 else ():
            if k <= samples:
                shares = [pass_at(correct, k) for key, correct in by_row.items() if key[0] == task]
                metrics["tasks"][task]["details"][f"pass@{k}"] = percent(shares)
    output.mkdir(parents=True, exist_ok=True)
    (output / "predictions.jsonl").write_text(_jsonl(judged))
    runs.write_json(output / "metrics.json", metrics)
    text = table(metrics, name)
    (output / "metrics.md").write_text(text + "\n")
    if show:
        from recipes import page

        page.write(judged, output / "show.html", name, show, protocols)
    print(f"\n{text}\n\nwritten to {output}/metrics.json, metrics.md{', show.html' if show else ''} and predictions.jsonl")
    return metrics


def read_judged(folder: Path) -> list[dict]:
    """The judged answers in an evaluated `folder`. Raises UsageError."""
    path = folder / "predictions.jsonl"
    try:
        return [json.loads(line) for line in path.read_text().split("\n") if line]
    except (OSError, ValueError) as error:
        raise cli.UsageError(f"{path}: cannot be read ({error}); evaluate {folder} first") from error


def table(metrics: dict, name: str) -> str:
    """The figures of one model as a Markdown table: a line per task, its headline first, then its benchmark's own."""
    lines = [f"**{name}**: balanced {metrics['balanced']:.1f} ± {metrics['interval']:.1f} (n = {metrics['n']})", ""]
    lines += [
        "| task | n | headline | score | valid | format | grounding | more |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for task, figures in metrics["tasks"].items():
        more = ", ".join(f"{key} {value:.1f}" for key, value in figures["details"].items() if value is not None)
        valid, grounding = ("–" if figures[k] is None else f"{figures[k]:.1f}" for k in ("validity", "grounding"))
        cells = [task, str(figures["n"]), figures["metric"], f"{figures['score']:.1f}", valid, f"{figures['format']:.1f}", grounding, more]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(before: str, after: str) -> None:
    """Print what the predictions in folder `after` gain over those in `before`, row by row."""
    from chemr_lite import benchmark

    judged = []
    for folder in (before, after):
        judged.append(read_judged(Path(folder)))
    try:
        gains = benchmark.compare(*judged)
    except ValueError as error:
        raise cli.UsageError(f"{before} and {after}: {error}") from error
    print(f"gain of {after} over {before}, in points, with the 95 % interval of a paired bootstrap\n")
    print("| | gain | from | to |\n| --- | ---: | ---: | ---: |")
    for name, figures in gains.items():
        print(f"| {name} | {' | '.join(f'{number:+.1f}' for number in figures)} |")


def main() -> None:
    from chemr_lite.data import DataError
    from chemr_lite.models import ModelError
    from chemr_lite.protocols import ProtocolError

    args = sys.argv[1:]
    if args[:1] == ["--compare"] and len(args) == 3:
        return compare(*args[1:])
    served = bool(args) and args[0].split("=")[0] == "--server"
    if not args or (args[0].startswith("-") and args[0] != "--baselines" and not served):
        cli.parse(__doc__, args, Options)  # --help ends here
        raise cli.UsageError(
            "name what to evaluate first: a phase's directory, nano, a model, a .jsonl of answers, --server URL, or --baselines"
        )
    options, preset = cli.parse(__doc__, args if served else args[1:], Options)
    if options.output == f"outputs/{preset}":
        options.output = "outputs/evaluate"  # a run directory is no place for someone else's figures
    try:
        evaluate_target(args[0], options)
    except (DataError, ModelError, ProtocolError) as error:
        raise cli.UsageError(str(error)) from error


def evaluate_target(target: str, options: Options) -> None:
    """Evaluate a phase's directory, a model, a file of answers, or the baselines; write and print the figures."""
    from chemr_lite.protocols import load_protocols
    from chemr_lite.splits import sample
    from recipes import ladder

    protocols = load_protocols(options.protocols)
    loaded = ladder.load_rows(options)
    print(f"{options.data}: {loaded.summary()}", *loaded.problems[:5], sep="\n  ")
    if not loaded.rows["test"]:
        raise cli.UsageError(f"{options.data}: no test row in it")
    rows, output = sample(loaded.rows["test"], options.eval_rows or len(loaded.rows["test"])), Path(options.output)
    if target == "--baselines":
        from recipes.baselines import BASELINES

        for name, predict in BASELINES.items():
            judged = predict(loaded.rows["train"], rows)
            if any(line["answer"] for line in judged):
                report(judged, output / name, name, options.show, protocols)
            else:
                print(f"\n{name}: answers none of these tasks")
    elif options.server:
        report(ask_server(rows, options, output, protocols), output, f"{options.server_model} at {options.server}", options.show, protocols)
    elif target.endswith(".jsonl"):
        if not Path(target).exists():
            raise cli.UsageError(f"{target}: no such file")
        report(read_predictions(Path(target), rows, protocols), output, Path(target).stem, options.show, protocols)
    else:
        report(_run_model(target, rows, options, output), output, target, options.show, protocols)
        for finished in ("answered.jsonl", "asked.json"):
            (output / finished).unlink()


def ask_server(rows: list[dict], options: Options, output: Path, protocols) -> list[dict]:
    """Judged answers of a served model; they are kept in `output` as they come, and asked for once."""
    from chemr_lite import build_prompt, get_task
    from chemr_lite.metrics import judge
    from recipes.server import Server

    server = Server(options.server, options.server_model)
    server.check()
    prompts = [build_prompt(get_task(row["task"]).question(row)) for row in rows]
    temperature = options.temperature if options.samples > 1 else 0.0
    answers = server.ask(prompts, output / "answers.jsonl", options.server_tokens, temperature, options.samples, show="asking")
    print(", ".join(f"{name}: {count:,}" for name, count in server.spent.items()))
    if not any(answers):
        raise cli.UsageError(f"{options.server} answered nothing")
    # what never came counts as not answered
    return [
        judge(row, text, strict=False, protocols=protocols) | {"sample": n}
        for row, texts in zip(rows, answers, strict=True)
        for n, text in enumerate([*texts, *[""] * (options.samples - len(texts))])
    ]


def _run_model(target: str, rows: list[dict], options: Options, output: Path) -> list[dict]:
    from chemr_lite import models
    from recipes import ladder, runs

    models.check_there(target)
    adapter = Path(target) if (Path(target) / "adapter_config.json").exists() else None
    name = models.base_of(adapter) if adapter else target
    output.mkdir(parents=True, exist_ok=True)
    asked = output / "asked.json"  # answers are taken up only by the same question to the same model
    wanted = {"target": target, "data": options.data, "tasks": options.tasks, "samples": options.samples, "seed": options.seed}
    if not asked.exists() or runs.read_json(asked) != wanted:
        (output / "answered.jsonl").unlink(missing_ok=True)
        runs.write_json(asked, wanted)
    ladder.quieten()
    hardware = models.detect_hardware()
    tokenizer, model = models.load_tokenizer(name), models.load_base(models.base_path(name), hardware)
    if adapter:
        model = models.with_adapter(model, adapter)
    import torch

    torch.manual_seed(options.seed)
    return answer_rows(model, tokenizer, rows, options, "answering", output / "answered.jsonl", options.samples)


if __name__ == "__main__":
    main()
