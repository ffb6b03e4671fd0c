"""Files of traces, and the filter that a trace must pass before a model learns from it."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from chemr_lite import check_claims, parse_completion
from chemr_lite.claims import grounding
from chemr_lite.protocols import Protocols
from chemr_lite.rewards import completion_text, score_completion
from chemr_lite.smiles import key_or_text
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
    row: dict,
    text: str,
    least_grounding: float,
    seen: set[str],
    protocols: Protocols | None = None,
    least_chars: int = MIN_CHARS,
) -> str | None:
    """Return why a trace is dropped, or None if it is kept.

    A trace must be in the format, answer correctly by the task's own `score`, and reason in at least `least_chars`
    characters. It must not mention the facts it was given, and the share `least_grounding` of its claims must be
    supported. `seen` holds the reasoning of the traces kept so far; the reasoning of a kept trace is added.
    """
    completion = parse_completion(text)
    if completion.answer is None:
        return f"format: {completion.reason}"
    if not score_completion(text, row).correct:
        return "wrong answer"
    if len(completion.think) < least_chars:
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


class Varied:
    """The filter of a model's own traces: they must pass that of others, and stay varied.

    A task without steps in `protocols` has no reasoning to check. Another must reason in some of its steps.
    """

    def __init__(self, protocols: Protocols, least_grounding: float, per_template: int):
        self.protocols, self.least_grounding, self.per_template = protocols, least_grounding, per_template
        self.answers: set[tuple[str, str, str]] = set()
        self.templates: Counter[tuple[str, str]] = Counter()

    def rejection_reason(self, row: dict, text: str) -> str | None:
        """Return why a trace is dropped, or None. A kept trace is remembered, so that its answer is not kept twice."""
        reason = rejection_reason(row, text, self.least_grounding, set(), self.protocols, least_chars=0)
        if reason:
            return reason
        completion, steps = parse_completion(text), self.protocols.of(row["task"])
        if steps and not any(f"**{step.heading}:**" in completion.think for step in steps):
            return "no steps"
        answer = row["task"], row["input"], key_or_text(completion.answer)
        if answer in self.answers:
            return "answer kept before"
        template = row["task"], template_of(completion.think)
        if steps and self.templates[template] >= self.per_template:
            return "commonest template"
        self.answers.add(answer)
        self.templates[template] += 1
        return None


VARIES = re.compile(r"\d|[=#()\[\]]|[A-Z].*[A-Z]")  # a number, a SMILES, a formula


def template_of(reasoning: str) -> str:
    """Return reasoning with `#` for each word that changes from molecule to molecule."""
    words = reasoning.split()
    return " ".join("#" if VARIES.search(word) and "**" not in word else word for word in words)


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
