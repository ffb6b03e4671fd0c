"""The model's chat template, made to fit our conversations: a system message, a question, a completion in our tags.

Templates of published models refuse a system message, open `<think>` themselves, cut the reasoning out of what is
trained on, or end a turn by another token than the tokenizer's `eos_token`. Training on such a template would teach
something else than it says. `fit_template` notices, and wraps the template so that

1. the system message goes into the question where the template refuses it,
2. the prompt ends before `<think>`, which the model then writes itself, and
3. what is trained on is the prompt, the completion as it is, and the token that ends a turn.
"""

import logging

from jinja2 import TemplateError

from chemr_lite.answers import build_prompt, render
from chemr_lite.errors import ModelError, first_line

_QUESTION, _COMPLETION = "What is ethanol?", render("Two carbons and a hydroxyl.", "CCO")
_WRAPPER = """\
{% set answer = messages[-1]['content'] if messages[-1]['role'] == 'assistant' else none %}
{% if answer is not none %}{% set messages = messages[:-1] %}{% set add_generation_prompt = true %}{% endif %}
{% if MERGE and messages[0]['role'] == 'system' %}
{% set text = messages[0]['content'] + '\\n\\n' + messages[1]['content'] %}
{% set messages = [{'role': 'user', 'content': text}] + messages[2:] %}
{% endif %}
{% set prompt %}TEMPLATE{% endset %}
{% if prompt.rstrip().endswith(('<think>', '</think>')) %}
{% set prompt = prompt[:prompt.rfind('<think>')] %}
{% endif %}
{{ prompt }}{% if answer is not none %}{{ answer + 'END' }}{% endif %}"""
_told: set[str] = set()  # models whose template was adapted, to say so once


def fit_template(tokenizer, source: str) -> None:
    """Make `tokenizer` write our conversations whole, and make its `eos_token` the token that ends a turn.

    A template that does so already stays as it is. Raises ModelError for one that cannot be made to fit.
    """
    end = _end_of_turn(tokenizer)
    if end:
        tokenizer.eos_token = end
    problem = _problem(tokenizer, end)
    if not problem:
        return
    original = tokenizer.chat_template
    for merge in ("false", "true"):
        wrapped = _WRAPPER.replace("MERGE", merge).replace("END", _quoted(tokenizer.eos_token))
        tokenizer.chat_template = wrapped.replace("TEMPLATE", original)
        if not _problem(tokenizer, tokenizer.eos_token):
            if source not in _told:
                _told.add(source)
                logging.getLogger(__name__).warning("%s: its chat template %s; it is adapted", source, problem)
            return
    raise ModelError(f"{source}: its chat template {problem}, and it cannot be adapted; use another instruct model")


def _problem(tokenizer, end: str | None) -> str | None:
    """Return what is wrong with the text that the template makes of a conversation, None if nothing is."""
    messages = build_prompt(_QUESTION)
    try:
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        whole = tokenizer.apply_chat_template(
            [*messages, {"role": "assistant", "content": _COMPLETION}], tokenize=False
        )
    except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
        return f"refuses a system message or a question ({first_line(error)})"
    if _QUESTION not in prompt:  # the system message may be missing, as in nano's: phases 1 and 2 teach the format
        return "drops the question"
    if "<think>" in prompt.rpartition(_QUESTION)[2]:
        return "opens the reasoning itself, so that a completion would lack its first tag"
    if _COMPLETION not in whole:
        return "cuts the reasoning out of what is trained on"
    if not whole.startswith(prompt):
        return "writes a prompt that is not how the conversation begins"
    if not end or end not in whole.rpartition(_COMPLETION)[2]:
        return "does not end a turn"
    return None


def _end_of_turn(tokenizer) -> str | None:
    """Return the special token that the template writes behind an answer, None if it writes none."""
    answer = "an answer"
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": answer}], tokenize=False
        )
    except (TemplateError, ValueError, TypeError, KeyError, IndexError):
        return None
    rest = text.rpartition(answer)[2].lstrip()
    special = {*tokenizer.all_special_tokens, *(token.content for token in tokenizer.added_tokens_decoder.values())}
    return max((token for token in special if token and rest.startswith(token)), key=len, default=None)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
