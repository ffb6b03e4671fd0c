"""The engine of evaluation: answer rows in batches and judge the answers."""

from pathlib import Path

from tqdm import tqdm

from chemr_lite import get_task
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
    """Answer `per_macro` rows of each macro-task greedily. Return the figures (metrics.summarise).

    The judged predictions are written to `save`. Until then they stand in the file `journal_of(save)`, from which a
    killed evaluation goes on. `label` names the progress bar; an empty one shows none.
    """
    journal = journal_of(save) if save else None
    judged = answer_rows(model, tokenizer, sample(rows, per_macro), options, label, journal)
    if save:
        save.write_text(as_jsonl(judged))
        journal.unlink()
    return summarise(judged)


def journal_of(save: Path) -> Path:
    """Return the file beside `save` that holds the answers of an evaluation that has not ended."""
    return save.with_suffix(".unfinished.jsonl")


def answer_rows(
    model,
    tokenizer,
    rows: list[dict],
    options: Options,
    label: str = "",
    journal: Path | None = None,
    samples: int = 1,
) -> list[dict]:
    """Return judged answers (judge.judge) in the order of `rows`: one greedy answer each, or several `samples`.

    Answers are appended to `journal` as they come, so that a killed evaluation continues from there.
    """
    protocols = load_protocols(options.protocols)
    questions = [(row, number) for row in rows for number in range(samples)]
    judged = {_key(line): line for line in resume_jsonl(journal)} if journal else {}
    pending = [(row, number) for row, number in questions if (row["task"], row["input"], number) not in judged]
    pending.sort(key=lambda question: len(question[0]["input"]))  # rows of one batch should be alike in length
    done = len(questions) - len(pending)
    with tqdm(total=len(questions), initial=done, desc=label, disable=not label, unit=" answers") as bar:
        for start in range(0, len(pending), options.eval_batch_size):
            batch = pending[start : start + options.eval_batch_size]
            prompts = [get_task(row["task"]).prompt(row) for row, _ in batch]
            temperature = options.temperature if samples > 1 else None
            completions = answer_prompts(
                model, tokenizer, prompts, options.eval_batch_size, options.max_completion_tokens, temperature
            )
            lines = [
                judge(row, completion, protocols=protocols) | {"sample": number}
                for (row, number), completion in zip(batch, completions, strict=True)
            ]
            yes_no = [i for i, line in enumerate(lines) if line["gold"] in ("Yes", "No")]
            probabilities = probability_of_yes(
                model,
                tokenizer,
                [prompts[i] for i in yes_no],
                [completions[i] for i in yes_no],
                options.eval_batch_size,
            )
            for i, probability in zip(yes_no, probabilities, strict=True):
                lines[i]["p_yes"] = probability
            judged |= {_key(line): line for line in lines}
            if journal:
                append_jsonl(journal, lines)
            bar.update(len(batch))
    return [judged[row["task"], row["input"], number] for row, number in questions]


def _key(line: dict) -> tuple[str, str, int]:
    return line["task"], line["input"], line["sample"]


def read_judged(folder: Path) -> list[dict]:
    """Return the judged answers in an evaluated `folder`. Raises UsageError if there are none."""
    path = folder / "predictions.jsonl"
    if not path.exists():
        raise UsageError(f"{path}: no such file; evaluate {folder} first")
    return read_jsonl(path)
