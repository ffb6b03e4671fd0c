"""Answer held-out rows greedily and score them.

    python recipes/evaluate.py outputs/nano/grpo                   # a phase of a run, on held-out rows
    python recipes/evaluate.py nano --eval-rows 40                 # an untouched base
    python recipes/evaluate.py outputs/nano/grpo --data my.jsonl   # on your own rows

--eval-rows says how many rows of each macro-task (120 by default). Writes metrics.json and predictions.jsonl (every
answer with its score and the reason of every zero) to --output, by default outputs/evaluate.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import options as cli


def evaluate(
    model, tokenizer, rows: list[dict], options: cli.Options, per_macro: int, save: Path | None = None, show: str = "evaluating"
) -> dict:
    """Figures (metrics.summarise) of `per_macro` rows of each macro-task; every prediction goes to `save`."""
    from chemr_lite import build_prompt, get_task
    from chemr_lite.metrics import judge, summarise
    from chemr_lite.splits import sample
    from recipes.generation import answer

    rows = sample(rows, per_macro)
    prompts = [build_prompt(get_task(row["task"]).question(row)) for row in rows]
    completions = answer(model, tokenizer, prompts, options.eval_batch_size, options.max_completion_tokens, show)
    judged = [judge(row, completion) for row, completion in zip(rows, completions, strict=True)]
    if save:
        save.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in judged))
    return summarise(judged)


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        cli.parse(__doc__, sys.argv[1:])  # --help ends here
        raise cli.UsageError("name what to evaluate first: a phase's directory, nano, or a model")
    target = sys.argv[1]
    options, preset = cli.parse(__doc__, sys.argv[2:])
    if options.output == f"outputs/{preset}":
        options.output = "outputs/evaluate"  # a run directory is no place for someone else's figures
    from chemr_lite.data import DataError
    from chemr_lite.models import ModelError

    try:
        evaluate_target(target, options)
    except (DataError, ModelError) as error:
        raise cli.UsageError(str(error)) from error


def evaluate_target(target: str, options: cli.Options) -> None:
    """Evaluate a phase's directory, a model folder or a model's name; write and print the figures."""
    from chemr_lite import models
    from recipes import ladder, runs

    adapter = Path(target) if (Path(target) / "adapter_config.json").exists() else None
    name = runs.read_json(adapter / "adapter_config.json")["base_model_name_or_path"] if adapter else target
    loaded = ladder.load_rows(options)
    print(f"{options.data}: {loaded.summary()}", *loaded.problems[:5], sep="\n  ")
    if not loaded.rows["test"]:
        raise cli.UsageError(f"{options.data}: no test row in it")
    hardware = models.detect_hardware()
    tokenizer, model = models.load_tokenizer(name), models.load_base(models.base_path(name), hardware)
    if adapter:
        model = models.with_adapter(model, adapter)
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    metrics = evaluate(model, tokenizer, loaded.rows["test"], options, options.eval_rows, output / "predictions.jsonl")
    runs.write_json(output / "metrics.json", metrics)
    scores = {task: figures["score"] for task, figures in metrics["tasks"].items()}
    print(ladder.table([{"phase": Path(target).name, **metrics, "tasks": scores}]))


if __name__ == "__main__":
    main()
