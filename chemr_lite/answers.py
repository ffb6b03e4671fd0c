"""Prompt and completion: how a question is asked and how an answer is taken apart.

A completion is `<think> reasoning </think> <answer> answer </answer>`, each tag exactly once, nothing but white space
around and between. The tags are ordinary text: as special tokens they would vanish when TRL decodes completions.
"""

import re
from dataclasses import dataclass

from chemr_lite.reasons import Reason

SYSTEM = (
    "You are an expert chemist. Solve the task step by step: reason inside <think> </think>, then give the final "
    "answer alone inside <answer> </answer>. Write nothing outside these tags."
)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")

_COMPLETION = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)
_LAST_ANSWER = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion taken apart. `answer` is None where the format failed, and `reason` then says how."""

    think: str
    answer: str | None
    reason: Reason


def build_prompt(question: str) -> list[dict[str, str]]:
    """The conversation that asks `question`, as chat templates take it: a system and a user message."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]


def render(think: str | None, answer: str) -> str:
    """The completion that holds `think` (None or empty: no reasoning) and `answer` in the format."""
    return (
        f"<think>\n{think}\n</think>\n<answer>{answer}</answer>"
        if think
        else f"<think></think>\n<answer>{answer}</answer>"
    )


def parse_completion(text: str, strict: bool = True) -> Completion:
    """Take a completion apart. Never raises.

    `strict` (rewards, our own models): every tag exactly once, in order, nothing else around. Loose (other people's
    models): the last `<answer>` block, or failing that the whole text after the last `</think>`.
    """
    if not strict:
        think, _, rest = text.rpartition("</think>")
        blocks = _LAST_ANSWER.findall(rest)
        return Completion(
            think.replace("<think>", "").strip(), (blocks[-1] if blocks else rest).strip(), Reason.CORRECT
        )
    counts = [text.count(tag) for tag in TAGS]
    if 0 in counts:
        return Completion("", None, Reason.MISSING_TAGS)
    if max(counts) > 1:
        return Completion("", None, Reason.REPEATED_TAGS)
    match = _COMPLETION.fullmatch(text)
    if not match:
        return Completion("", None, Reason.MISPLACED_TEXT)
    return Completion(match[1].strip(), match[2].strip(), Reason.CORRECT)
