"""Reward functions for TRL's and Unsloth's GRPOTrainer, built from the tasks.

    from chemr_lite import reward_functions
    GRPOTrainer(reward_funcs=reward_functions(), …)      # any dataset with columns prompt, task, answer, meta

The format is a gate: a completion outside `<think>…</think><answer>…</answer>` earns nothing. Inside it earns the score
of its answer, and nothing for the tags. Every reward is a finite number in [0, 1].
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import fmean

from chemr_lite.answers import parse_completion, text_of_message
from chemr_lite.claims import check_claims, grounding_reward
from chemr_lite.protocols import Protocols
from chemr_lite.reasons import Reason
from chemr_lite.tasks import Score, get_task
from chemr_lite.tasks.base import Row, zero

OUTSIDE = {Reason.MISSING_TAGS, Reason.REPEATED_TAGS, Reason.MISPLACED_TEXT}  # reasons why the format was missed


def score_completion(text: str, row: Row) -> Score:
    """Check the format of a completion, then return the task's score of its answer. Never raises, whatever `text` is.

    Reward, distillation filter and evaluation all call this: there is one definition of correct.
    """
    completion = parse_completion(text)
    if completion.answer is None:
        return zero(completion.reason)
    return get_task(row["task"]).score(completion.answer, row)


def completion_text(completion) -> str:
    """Return the text of a completion that TRL passes as a string or as a list of messages.

    With some chat templates TRL takes the reasoning out of the text; it is put back in front.
    """
    if isinstance(completion, str):
        return completion
    return text_of_message(completion[-1])


def read_meta(meta) -> dict:
    """Return a row's `meta` as a dict without empty values. A column of a dataset holds it as JSON text.

    `datasets` fills the keys that a row lacks with None, also in nested mappings. Raises ValueError if it is
    no mapping.
    """
    meta = json.loads(meta or "{}") if isinstance(meta, str) else meta or {}
    if not isinstance(meta, Mapping):
        raise ValueError("'meta' is not a JSON object")
    return _without_none(meta)


def _without_none(value):
    if not isinstance(value, Mapping):
        return value
    return {name: _without_none(part) for name, part in value.items() if part is not None}


def chemistry(completions, task, answer, meta, log_metric=None, log_extra=None, **_) -> list[float]:
    """Return the score of each completion under the task of its row.

    The arguments are aligned lists: completions (strings or messages), names of tasks, gold answers, and metas (JSON
    text or mappings). Logs the metrics `accuracy/<task>` and `format` (the share of completions that keep the format),
    and the reason of each score.
    """
    scores = [
        score_completion(completion_text(c), {"task": t, "answer": a, "meta": read_meta(m)})
        for c, t, a, m in zip(completions, task, answer, meta, strict=True)
    ]
    if log_metric:
        by_task = defaultdict(list)
        for name, score in zip(task, scores, strict=True):
            by_task[name].append(score.correct)
        for name, correct in by_task.items():
            log_metric(f"accuracy/{name}", fmean(correct))
        log_metric("format", fmean(score.reason not in OUTSIDE for score in scores))
    if log_extra:
        log_extra("reason", [str(score.reason) for score in scores])
    return [score.value for score in scores]


def grounded(completions, task, answer, meta, input, protocols: Protocols | None = None) -> list[float]:  # noqa: A002
    """Return the grounding reward (chemr_lite.claims) of each completion's reasoning; 0 outside the format."""
    values = []
    for c, t, i, a, m in zip(completions, task, input, answer, meta, strict=True):
        completion = parse_completion(completion_text(c))
        if completion.answer is None:
            values.append(0.0)
            continue
        row = {"task": t, "input": i, "answer": a, "meta": read_meta(m)}
        values.append(grounding_reward(check_claims(completion.think, row, completion.answer, protocols)))
    return values


def reward_functions(grounding: float = 0.0, protocols: Protocols | None = None) -> list[Callable]:
    """Return the reward functions of chemr-lite, ready for `GRPOTrainer(reward_funcs=…)`.

    `grounding`, from 0 to 1, is the share of the reward that the claims in the reasoning earn; the answer earns the
    rest. Above 0 the dataset also needs the column `input`, and `protocols` are those that the reasoning follows.
    Raises ValueError if `grounding` is outside that range.
    """
    if not 0 <= grounding <= 1:
        raise ValueError(f"grounding must lie between 0 and 1, not {grounding}")
    if not grounding:
        return [chemistry]

    def grounded_chemistry(completions, task, answer, meta, input, log_metric=None, **others) -> list[float]:  # noqa: A002
        """Return the weighted mean of `chemistry` and `grounded`."""
        scores = chemistry(completions, task, answer, meta, log_metric, **others)
        claims = grounded(completions, task, answer, meta, input, protocols)
        if log_metric:
            log_metric("grounded", fmean(claims))
        return [(1 - grounding) * score + grounding * share for score, share in zip(scores, claims, strict=True)]

    return [grounded_chemistry]
