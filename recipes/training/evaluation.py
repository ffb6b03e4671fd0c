"""The engine of evaluation: rows answered in batches, judged, and summed up."""

from pathlib import Path

from tqdm import tqdm

from chemr_lite import build_prompt, get_task
from chemr_lite.data.splits import sample
from chemr_lite.model.generation import answer_prompts, probability_of_yes
from chemr_lite.protocols import load_protocols
from chemr_lite.scoring.judge import judge
from chemr_lite.scoring.metrics import summarise
from recipes.training.files import append_jsonl, as_jsonl, read_jsonl, resume_jsonl
from recipes.training.options import Options, UsageError


def evaluate(
    model,
    tokenizer,
    rows: list[dict],
    options: Options,
    per_macro: int,
    save: Path | None = None,
    label: str = "evaluating",
) -> dict:
    """Return the figures (metrics.summarise) of greedy answers to `per_macro` rows of each macro-task.

    Every prediction is written to `save`. The progress bar is called `label`; without one there is none.
    """
    judged = answer_rows(model, tokenizer, sample(rows, per_macro), options, label)
    if save:
        save.write_text(as_jsonl(judged))
    return summarise(judged)


def answer_rows(
    model,
    tokenizer,
    rows: list[dict],
    options: Options,
    label: str = "",
    journal: Path | None = None,
    samples: int = 1,
) -> list[dict]:
    """Return the judged answers (judge.judge) to `rows`: one greedy answer each, or several `samples`.

    `journal` keeps them over a kill: what it holds is not asked again.
    """
    protocols = load_protocols(options.protocols)
    questions = [(row, number) for row in rows for number in range(samples)]
    judged = {_key(line): line for line in resume_jsonl(journal)} if journal else {}
    left = [(row, number) for row, number in questions if (row["task"], row["input"], number) not in judged]
    left.sort(key=lambda pair: len(pair[0]["input"]))  # rows of one batch should be alike in length
    done = len(questions) - len(left)
    with tqdm(total=len(questions), initial=done, desc=label, disable=not label, unit=" answers") as bar:
        for start in range(0, len(left), options.eval_batch_size):
            batch = left[start : start + options.eval_batch_size]
            prompts = [build_prompt(get_task(row["task"]).question(row)) for row, _ in batch]
            temperature = options.temperature if samples > 1 else None
            completions = answer_prompts(
                model, tokenizer, prompts, options.eval_batch_size, options.max_completion_tokens, temperature
            )
            lines = [
                judge(row, completion, protocols=protocols) | {"sample": number}
                for (row, number), completion in zip(batch, completions, strict=True)
            ]
            choices = [i for i, line in enumerate(lines) if line["gold"] in ("Yes", "No")]
            shares = probability_of_yes(
                model,
                tokenizer,
                [prompts[i] for i in choices],
                [completions[i] for i in choices],
                options.eval_batch_size,
            )
            for i, share in zip(choices, shares, strict=True):
                lines[i]["p_yes"] = share
            judged |= {_key(line): line for line in lines}
            if journal:
                append_jsonl(journal, lines)
            bar.update(len(batch))
    return [judged[row["task"], row["input"], number] for row, number in questions]


def _key(line: dict) -> tuple[str, str, int]:
    return line["task"], line["input"], line["sample"]


def read_judged(folder: Path) -> list[dict]:
    """Return the judged answers in an evaluated `folder`. Raises UsageError where there are none."""
    path = folder / "predictions.jsonl"
    if not path.exists():
        raise UsageError(f"{path}: no such file; evaluate {folder} first")
    return read_jsonl(path)
