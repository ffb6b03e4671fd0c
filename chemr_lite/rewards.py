"""Reward functions for TRL's and Unsloth's GRPOTrainer, built from the tasks.

    from chemr_lite import reward_functions
    GRPOTrainer(reward_funcs=reward_functions(), …)      # any dataset with columns prompt, task, answer, meta

The format gates: a completion outside `<think>…</think><answer>…</answer>` earns nothing, one inside earns what its
answer is worth and nothing for the tags. Each value lies in [0, 1]; none is None, inf or NaN.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from statistics import fmean

from chemr_lite.answers import parse_completion
from chemr_lite.claims import check_claims, grounding_reward
from chemr_lite.protocols import Protocols
from chemr_lite.reasons import Reason
from chemr_lite.tasks import Score, get_task
from chemr_lite.tasks.base import Row, zero

OUTSIDE = {Reason.MISSING_TAGS, Reason.REPEATED_TAGS, Reason.MISPLACED_TEXT}  # the format


def score_completion(text: str, row: Row) -> Score:
    """What a whole completion is worth: the format first, then the task's score of its answer. Never raises on `text`.

    Reward, distillation filter and evaluation all call this: there is one definition of correct.
    """
    completion = parse_completion(text)
    if completion.answer is None:
        return zero(completion.reason)
    return get_task(row["task"]).score(completion.answer, row)


def completion_text(completion) -> str:
    """The text of a completion as TRL hands it over: a string, or a list of messages."""
    return completion if isinstance(completion, str) else completion[-1]["content"]


def read_meta(meta) -> dict:
    """A row's meta as a mapping; in a dataset's column it travels as JSON text."""
    return json.loads(meta or "{}") if isinstance(meta, str) else dict(meta or {})


def chemistry(completions, task, answer, meta, log_metric=None, log_extra=None, **_) -> list[float]:
    """The score of each completion under its row's task.

    Args are aligned lists: completions (strings or messages), task names, gold answers, metas (JSON text or mappings).
    Logs `accuracy/<task>` per task, `format`, the share of completions that keep to it, and per completion the reason of
    its score.
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


def grounded(completions, task, answer, meta, input, protocols: Protocols | None = None) -> list[float]:  # noqa: A002 - the column's name
    """What the claims in the reasoning of each completion are worth (chemr_lite.claims.worth); 0 outside the format."""
    values = []
    for text, t, a, m, asked in zip(completions, task, answer, meta, input, strict=True):
        completion = parse_completion(completion_text(text))
        row = {"task": t, "input": asked, "answer": a, "meta": read_meta(m)}
        values.append(
            0.0
            if completion.answer is None
            else grounding_reward(check_claims(completion.think, row, completion.answer, protocols))
        )
    return values


def reward_functions(grounding: float = 0.0, protocols: Protocols | None = None) -> list[Callable]:
    """The reward functions of chemr-lite, ready for `GRPOTrainer(reward_funcs=…)`.

    `grounding`, from 0 to 1, is the share of the reward that the claims in the reasoning earn; the rest is the answer's.
    With it the dataset also needs the column `input`; `protocols` are those that the reasoning follows. Raises ValueError for a share that is none.
    """
    if not 0 <= grounding <= 1:
        raise ValueError(f"grounding must lie between 0 and 1, not {grounding}")
    if not grounding:
        return [chemistry]

    def grounded_chemistry(completions, task, answer, meta, input, log_metric=None, **others) -> list[float]:  # noqa: A002
        """`chemistry` and `grounded`, weighed."""
        scores = chemistry(completions, task, answer, meta, log_metric, **others)
        claims = grounded(completions, task, answer, meta, input, protocols)
        if log_metric:
            log_metric("grounded", fmean(claims))
        return [(1 - grounding) * score + grounding * share for score, share in zip(scores, claims, strict=True)]

    return [grounded_chemistry]
