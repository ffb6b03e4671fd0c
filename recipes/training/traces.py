"""Files of traces, and the filter that a trace must pass before a model learns from it."""

import re
from collections import defaultdict
from pathlib import Path

from chemr_lite import check_claims, parse_completion
from chemr_lite.claims import grounding
from chemr_lite.protocols import Protocols
from chemr_lite.rewards import completion_text, score_completion
from recipes.training.files import read_lines
from recipes.training.options import UsageError

MIN_CHARS = 80  # of the reasoning
# the student never sees the facts, so a trace that mentions them would teach it to invent some
_GIVEN = r"(?:provided|supplied|given|above|listed|known|tool|computed)"
_FACTS = r"(?:functional groups?|facts?|hints?|information|data|analysis|list|counts?|scaffold|descriptors?)"
HINTS = re.compile(
    rf"\b{_GIVEN}\s+{_FACTS}\b"
    r"|\b(?:the|these|those) (?:facts|hints?)\b"
    r"|\bas (?:provided|given|stated above)\b"
    r"|\baccording to the (?:tool|facts|hints?|list|provided)\b"
    r"|\bRDKit\b",
    re.IGNORECASE,
)


def rejection_reason(
    row: dict, text: str, least_grounding: float, seen: set[str], protocols: Protocols | None = None
) -> str | None:
    """Return why a trace is dropped, or None if it is kept.

    A trace must be in the format, answer correctly by the task's own `score`, and reason in at least MIN_CHARS
    characters. It must not mention the facts it was given, and the share `least_grounding` of its claims must be
    supported. `seen` holds the reasoning of the traces kept so far; the reasoning of a kept trace is added.
    """
    completion = parse_completion(text)
    if completion.answer is None:
        return f"format: {completion.reason}"
    if not score_completion(text, row).correct:
        return "wrong answer"
    if len(completion.think) < MIN_CHARS:
        return "too short"
    if HINTS.search(completion.think):
        return "mentions what it was given"
    share = grounding(check_claims(completion.think, row, completion.answer, protocols))
    if share is not None and share < least_grounding:
        return "ungrounded"
    normalised = " ".join(completion.think.lower().split())
    if normalised in seen:
        return "duplicate"
    seen.add(normalised)
    return None


def read_traces(path: Path) -> dict[tuple[str, str], list[str]]:
    """Return the completions in a file of traces by (task, input). Raises UsageError for a line that is not a trace."""
    if not path.exists():
        raise UsageError(f"{path}: no such file; --traces takes grounded, a .jsonl of traces, or grounded,FILE")
    traces: dict[tuple[str, str], list[str]] = defaultdict(list)
    for number, line in read_lines(path):
        try:
            traces[str(line["task"]), str(line["input"])].append(completion_text(line["completion"]))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise UsageError(f"{path}, line {number}: not a trace with task, input and completion ({error})") from error
    if not traces:
        raise UsageError(f"{path}: no trace in it")
    return dict(traces)
