"""Build prompts and parse completions.

A completion is `<think> reasoning </think> <answer> answer </answer>`: each tag exactly once, and only white space
around and between the two blocks. The tags are ordinary text: TRL drops special tokens when it decodes completions.
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
    """A parsed completion. If the format is wrong, `answer` is None and `reason` says how."""

    think: str
    answer: str | None
    reason: Reason


def build_prompt(question: str) -> list[dict[str, str]]:
    """Return `question` as a conversation for a chat template: a system and a user message."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]


def render(think: str | None, answer: str) -> str:
    """Return the completion with this reasoning (None or empty for none) and this answer."""
    reasoning = f"\n{think}\n" if think else ""
    return f"<think>{reasoning}</think>\n<answer>{answer}</answer>"


def parse_completion(text: str, strict: bool = True) -> Completion:
    """Split a completion into its reasoning and its answer. Never raises.

    `strict` (rewards, our own models) demands every tag exactly once, in order, with nothing else around. Otherwise
    (other people's models) the answer is the last `<answer>` block, or without one all text after the last `</think>`.
    """
    if not strict:
        think, _, rest = text.rpartition("</think>")
        blocks = _LAST_ANSWER.findall(rest)
        answer = blocks[-1] if blocks else rest
        return Completion(think.replace("<think>", "").strip(), answer.strip(), Reason.CORRECT)
    counts = [text.count(tag) for tag in TAGS]
    if 0 in counts:
        return Completion("", None, Reason.MISSING_TAGS)
    if max(counts) > 1:
        return Completion("", None, Reason.REPEATED_TAGS)
    match = _COMPLETION.fullmatch(text)
    if not match:
        return Completion("", None, Reason.MISPLACED_TEXT)
    return Completion(match[1].strip(), match[2].strip(), Reason.CORRECT)
