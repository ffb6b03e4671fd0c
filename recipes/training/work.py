"""The work of a run, counted before anything is trained: what each rung reads, trains on and generates."""

import math
from collections.abc import Sequence
from statistics import fmean

from chemr_lite import get_task
from chemr_lite.data import Loaded
from chemr_lite.data.splits import sample
from recipes.training.callbacks import VALIDATION_ROWS
from recipes.training.options import Options
from recipes.training.sft import make_examples
from recipes.training.time_left import NOTHING, Generation, Work

SOME = 300  # rows whose lengths stand for all
SIGNAL = 0.6  # share of the groups that are trained on, with adaptive sampling (ours, nano: recipes/studies/README.md)


def work_of(
    options: Options, rows: Loaded, phases: Sequence, tokenizer, device: str, rough: bool = False
) -> list[Work]:
    """Return the work of the base and of each of `phases`.

    Tokens are counted in all training rows; with `rough`, in SOME of them, which takes a second.
    """
    tested = len(sample(rows.rows["test"], options.eval_rows))
    checked = len(sample(rows.rows["validation"], min(VALIDATION_ROWS, options.eval_rows)))
    prompt = fmean(_prompt_lengths(rows, tokenizer))

    def answering(number: int, tokens: float) -> Generation:
        size = min(number, options.eval_batch_size)
        return Generation(math.ceil(number / options.eval_batch_size), size, tokens, prompt)

    limit = options.max_completion_tokens
    line = f"base: {tested:,} test rows to answer, and again after each phase"
    works, answer = [Work("base", line, 0.0, NOTHING, (answering(tested, limit),))], limit / 2
    for phase in phases:
        checks = ()
        if phase.completions:
            training = rows.rows["train"]
            chosen = evenly(training, SOME) if rough else training
            examples, counts = make_examples(chosen, phase.completions(options, rows), tokenizer, options.max_length)
            answer = _length_of_answers(examples, tokenizer)
            line, trained = _supervised(options, phase.name, counts, len(training) / len(chosen))
            practice = NOTHING
        else:
            line, trained, practice = _practice(options, prompt, answer, device)
            if options.validation_steps:  # phases 1 and 2 leave out checks that would take long
                number = options.grpo_steps // options.validation_steps + 1
                checks = (answering(checked, _longest(answer, options)),) * number
        works.append(Work(phase.name, line, trained, practice, (*checks, answering(tested, _longest(answer, options)))))
    return works


def evenly(rows: Sequence, number: int) -> list:
    """Return about `number` of `rows`, at equal distances."""
    return list(rows[:: max(1, len(rows) // number)])


def _supervised(options: Options, name: str, counts: dict, scale: float) -> tuple[str, float]:
    epochs = getattr(options, f"{name}_epochs")
    steps = math.ceil(epochs * math.ceil(counts["rows"] / options.sft_batch_size))
    line = f"{name}: {counts['rows']:,} rows, {counts['tokens']:,} tokens, {epochs:g} × over them: {steps:,} steps"
    if counts["too_long"]:
        line += f"; {counts['too_long']:,} rows are longer than {options.max_length} tokens and left out"
    return line, counts["tokens"] * scale * epochs


def _practice(options: Options, prompt: float, answer: float, device: str) -> tuple[str, float, Generation]:
    steps, completions = options.grpo_steps, options.prompts_per_step * options.num_generations
    if device == "cpu":
        prompt /= options.num_generations  # each is read once for its completions (model.beginnings)
    passes = 4 / 3 if options.beta else 1.0  # the reference model reads each completion once
    line = (
        f"grpo: {steps:,} steps of {options.prompts_per_step} prompts × {options.num_generations} completions, "
        f"about {answer:.0f} tokens each"
    )
    trained = SIGNAL * steps * completions * (prompt + answer) * passes
    return line, trained, Generation(steps, completions, _longest(answer, options), prompt)


def _longest(mean: float, options: Options) -> float:
    """Return the tokens after which all completions of a batch have ended: some are twice as long as the mean."""
    return min(2 * mean, options.max_completion_tokens)


def _length_of_answers(examples: list[dict], tokenizer) -> float:
    texts = [example["completion"][0]["content"] for example in evenly(examples, 500)]
    return fmean(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]) + 1


def _prompt_lengths(rows: Loaded, tokenizer) -> list[int]:
    some = sample(rows.rows["train"], 50)
    prompts = [get_task(row["task"]).prompt(row) for row in some]
    return [len(ids) for ids in tokenizer.apply_chat_template(prompts, tokenize=True, return_dict=False)]
