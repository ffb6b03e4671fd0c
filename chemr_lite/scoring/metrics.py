"""The figures of a table from judged answers: per task, per macro-task and balanced, from 0 to 100.

*Balanced* is the mean over macro-tasks of the mean over their sub-tasks. A macro-task weighs the same with nine
sub-tasks as with one.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, pvariance

from chemr_lite.registry import balance_shares
from chemr_lite.tasks import get_task


def grounding(lines: Sequence[dict]) -> float | None:
    """Return supported ÷ checkable claims of all lines, in percent, or None if there is no claim."""
    checkable = sum(line["claims"] for line in lines)
    return round(100 * sum(line["supported"] for line in lines) / checkable, 2) if checkable else None


def percent(values: Sequence[float]) -> float:
    """Return the mean of values in [0, 1], in percent with two decimals."""
    return round(100 * fmean(values), 2)


def summarise(judged: Sequence[dict]) -> dict:
    """Return the figures of judged answers (`scoring.judge`), from 0 to 100.

    `balanced` has the half-width `interval` (95 %, normal approximation, independent rows). `macros` has a score for
    each macro-task. `tasks` has for each task score, accuracy, n, validity (None where the answer is no molecule),
    format, grounding (the share of checkable claims that are supported, None without claims) and `length`, the mean
    number of characters of a completion. Validity, format and grounding are also given over all rows.
    """
    by_task = defaultdict(list)
    for line in judged:
        by_task[line["task"]].append(line)
    shares = balance_shares(list(by_task))
    tasks, variance = {}, 0.0
    for name, lines in by_task.items():
        scores = [line["score"] for line in lines]
        tasks[name] = {
            "metric": get_task(name).metric,
            "score": percent(scores),
            "accuracy": percent([line["correct"] for line in lines]),
            "n": len(lines),
            "validity": None if lines[0]["valid"] is None else percent([line["valid"] for line in lines]),
            "format": percent([line["format"] for line in lines]),
            "grounding": grounding(lines),
            "length": round(fmean(len(line["completion"]) for line in lines), 1),
        }
        by_row = defaultdict(list)  # samples of one row are not independent
        for line in lines:
            by_row[line["input"]].append(line["score"])
        variance += shares[name] ** 2 * pvariance(map(fmean, by_row.values())) / len(by_row)
    macros = defaultdict(list)
    for name, figures in tasks.items():
        macros[get_task(name).macro].append(figures["score"])
    molecules = [line["valid"] for line in judged if line["valid"] is not None]
    return {
        "balanced": round(sum(shares[name] * figures["score"] for name, figures in tasks.items()), 2),
        "interval": round(100 * 1.96 * math.sqrt(variance), 2),
        "macros": {name: round(fmean(scores), 2) for name, scores in macros.items()},
        "tasks": tasks,
        "validity": percent(molecules) if molecules else None,
        "format": percent([line["format"] for line in judged]),
        "grounding": grounding(judged),
        "n": len(judged),
    }
