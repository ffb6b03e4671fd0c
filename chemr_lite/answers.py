"""Build prompts and parse completions.

A completion is `<think> reasoning </think> <answer> answer </answer>`: each tag exactly once, and only white space
around and between the two blocks. The tags are ordinary text: TRL drops special tokens when it decodes completions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chemr_lite.reasons import Reason

SYSTEM = (
    "You are an expert chemist. Solve the task step by step: reason inside <think> </think>, then give the final "
    "answer alone inside <answer> </answer>. Write nothing outside these tags."
)
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")  # of messages, by vLLM, OpenRouter and TRL
TAGS = ("<think>", "</think>", "<answer>", "</answer>")

_COMPLETION = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)
_LAST_ANSWER = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.DOTALL)
LONGEST_END_TOKEN = 40  # characters
_END_TOKEN = re.compile(r"(?:<\|[^<>|]{1,30}\|>|</s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>)$")
# what is around a whole answer; a single asterisk may be an atom
_WRAPPERS = tuple(
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for pattern in (
        r"```[a-z]*[ \t]*\n(.*?)\n?```",
        r"```([^`\n]*)```",
        r"`([^`]*)`\.?",
        r"\*\*((?:(?!\*\*).)*)\*\*\.?",
        r"__((?:(?!__).)*)__\.?",
        r"\$\$?([^$]*)\$\$?\.?",
        r"\\\((.*)\\\)\.?",
        r"\\\[(.*)\\\]",
        r"\\(?:text|mathrm|texttt|mathbf|ce)\{([^{}]*)\}",
        r"(?:\*\*)?(?:the )?(?:final )?answer(?:\*\*)?(?: is|:)(?:\*\*)?:?\s+(\S.*)",
    )
)


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


def text_of_message(message: Mapping) -> str:
    """Return the text of an assistant's message, with the reasoning in front that a server or TRL has taken out of it.

    The text is empty if the message has neither.
    """
    content = message.get("content") or ""
    reasoning = next((message[name] for name in REASONING_FIELDS if message.get(name)), "")
    return f"<think>{reasoning}</think>{content}" if reasoning and "</think>" not in content else content


def parse_completion(text: str, strict: bool = True) -> Completion:
    """Split a completion into its reasoning and its answer. Never raises.

    `strict` (rewards, our own models) demands every tag exactly once, in order, with nothing else around. Otherwise
    (other people's models) the answer is the last `<answer>` block, which may lack its end, or without one all text
    after the last `</think>`. Markdown and LaTeX around it are removed. Reasoning that was cut has no answer.
    """
    if not strict:
        return _parse_loosely(text)
    counts = [text.count(tag) for tag in TAGS]
    if 0 in counts:
        return Completion("", None, Reason.MISSING_TAGS)
    if max(counts) > 1:
        return Completion("", None, Reason.REPEATED_TAGS)
    match = _COMPLETION.fullmatch(text)
    if not match:
        return Completion("", None, Reason.MISPLACED_TEXT)
    return Completion(match[1].strip(), match[2].strip(), Reason.CORRECT)


def _parse_loosely(text: str) -> Completion:
    text = text.rstrip()
    while end := _END_TOKEN.search(text, max(0, len(text) - LONGEST_END_TOKEN)):
        text = text[: end.start()].rstrip()
    think, closed, rest = text.rpartition("</think>")
    if not closed and "<think>" in rest and "<answer>" not in rest:
        think, rest = rest, ""  # cut while thinking
    blocks = _LAST_ANSWER.findall(rest)
    answer = blocks[-1] if blocks else rest.rpartition("<answer>")[2]
    return Completion(think.replace("<think>", "").strip(), unwrap(answer), Reason.CORRECT)


def unwrap(answer: str) -> str:
    """Return an answer without the Markdown and LaTeX that chat models put around it."""
    if box := _last_box(answer):
        answer = box
    before = None
    while answer != before:
        before, answer = answer, answer.strip()
        for pattern in _WRAPPERS:
            if (match := pattern.fullmatch(answer)) and match[1].strip():
                answer = match[1]
    return answer


def _last_box(text: str) -> str | None:
    r"""Return what stands in the last `\boxed{…}`, whose braces may be nested; None without one."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    inside, depth = text[start + len("\\boxed{") :], 1
    for position, character in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if not depth:
            return inside[:position]
    return inside
