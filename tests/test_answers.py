"""Prompts and completions: the format, each way to miss it, and the round trip of a rendered answer."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemr_lite.answers import SYSTEM, TAGS, build_prompt, parse_completion, render
from chemr_lite.reasons import Reason

RIGHT = [
    pytest.param("<think>a</think><answer>CCO</answer>", "a", "CCO", id="plain"),
    pytest.param("<think></think><answer>CCO</answer>", "", "CCO", id="no-reasoning"),
    pytest.param("<think></think><answer></answer>", "", "", id="both-empty"),
    pytest.param("\n <think>\na\nb\n</think>\n\n<answer>\nCCO\n</answer> \n", "a\nb", "CCO", id="white-space-around"),
    pytest.param(
        "<think>1 < 2 and 2 > 1</think><answer>Yes</answer>", "1 < 2 and 2 > 1", "Yes", id="signs-that-are-no-tags"
    ),
    pytest.param(
        "<think>a</think><answer>ethanol is CCO</answer>", "a", "ethanol is CCO", id="prose-is-the-tasks-to-judge"
    ),
    pytest.param(
        "<think>a <b>c</b></think><answer>CCO</answer>", "a <b>c</b>", "CCO", id="other-tags-in-the-reasoning"
    ),
]


@pytest.mark.parametrize("text, think, answer", RIGHT)
def test_strict_takes_a_completion_apart(text, think, answer):
    parsed = parse_completion(text)
    assert (parsed.think, parsed.answer, parsed.reason) == (think, answer, Reason.CORRECT)


WRONG = [
    pytest.param("", Reason.MISSING_TAGS, id="empty"),
    pytest.param("CCO", Reason.MISSING_TAGS, id="bare-answer"),
    pytest.param("<answer>CCO</answer>", Reason.MISSING_TAGS, id="no-think"),
    pytest.param("<think>a</think>CCO", Reason.MISSING_TAGS, id="no-answer"),
    pytest.param("<think>a<answer>CCO</answer>", Reason.MISSING_TAGS, id="think-never-closed"),
    pytest.param("<think>a</think><answer>CCO", Reason.MISSING_TAGS, id="cut-off-in-the-answer"),
    pytest.param("a</think><answer>CCO</answer>", Reason.MISSING_TAGS, id="think-never-opened"),
    pytest.param("<THINK>a</THINK><ANSWER>CCO</ANSWER>", Reason.MISSING_TAGS, id="capitals"),
    pytest.param("< think >a</ think ><answer>CCO</answer>", Reason.MISSING_TAGS, id="blanks-in-a-tag"),
    pytest.param("<think>a</think><answer>C</answer><answer>N</answer>", Reason.REPEATED_TAGS, id="two-answers"),
    pytest.param("<think>a</think><think>b</think><answer>C</answer>", Reason.REPEATED_TAGS, id="two-thinks"),
    pytest.param(
        "<think>maybe <answer>C</answer></think><answer>N</answer>",
        Reason.REPEATED_TAGS,
        id="candidate-in-the-reasoning",
    ),
    pytest.param(
        "<think>I close with </think></think><answer>C</answer>", Reason.REPEATED_TAGS, id="tag-quoted-in-the-reasoning"
    ),
    pytest.param("<answer>CCO</answer><think>a</think>", Reason.MISPLACED_TEXT, id="answer-first"),
    pytest.param("<think>a<answer>CCO</answer></think>", Reason.MISPLACED_TEXT, id="answer-inside-think"),
    pytest.param("<think><answer></think>CCO</answer>", Reason.MISPLACED_TEXT, id="crossed"),
    pytest.param("Sure! <think>a</think><answer>CCO</answer>", Reason.MISPLACED_TEXT, id="text-before"),
    pytest.param("<think>a</think> so <answer>CCO</answer>", Reason.MISPLACED_TEXT, id="text-between"),
    pytest.param("<think>a</think><answer>CCO</answer>.", Reason.MISPLACED_TEXT, id="text-after"),
    pytest.param("</think>a<think><answer>CCO</answer>", Reason.MISPLACED_TEXT, id="closed-before-opened"),
]


@pytest.mark.parametrize("text, reason", WRONG)
def test_strict_says_what_is_wrong_and_gives_no_answer(text, reason):
    parsed = parse_completion(text)
    assert (parsed.answer, parsed.reason) == (None, reason)


LOOSE = [
    pytest.param("<think>a</think><answer>CCO</answer>", "a", "CCO", id="the-format"),
    pytest.param("<answer>CCO</answer>", "", "CCO", id="no-think"),
    pytest.param("CCO", "", "CCO", id="bare-answer"),
    pytest.param("<think>a</think>\nCCO\n", "a", "CCO", id="no-answer-tags"),
    pytest.param("a</think>CCO", "a", "CCO", id="think-opened-by-the-prompt"),
    pytest.param("<think>a</think><answer>C</answer> no: <answer>N</answer>", "a", "N", id="last-answer-wins"),
    pytest.param(
        "<think>is it <answer>C</answer>?</think><answer>N</answer>",
        "is it <answer>C</answer>?",
        "N",
        id="not-the-reasonings",
    ),
    pytest.param(
        "<think>is it <answer>C</answer>?</think>N", "is it <answer>C</answer>?", "N", id="never-from-the-reasoning"
    ),
    pytest.param("so <answer> CCO\n</answer> is it", "", "CCO", id="text-around"),
    pytest.param("<answer>C<answer>CCO</answer>", "", "CCO", id="opened-twice"),
    pytest.param("", "", "", id="empty"),
]


@pytest.mark.parametrize("text, think, answer", LOOSE)
def test_loose_finds_the_answer(text, think, answer):
    parsed = parse_completion(text, strict=False)
    assert (parsed.think, parsed.answer) == (think, answer)


PLAIN = st.text(max_size=80).filter(lambda text: not any(tag in text for tag in TAGS))


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.one_of(st.none(), PLAIN), PLAIN)
def test_what_is_rendered_comes_back(think, answer):
    for strict in (True, False):
        parsed = parse_completion(render(think, answer), strict=strict)
        assert (parsed.think, parsed.answer, parsed.reason) == ((think or "").strip(), answer.strip(), Reason.CORRECT)


def test_without_reasoning_the_tags_are_there_all_the_same():
    for nothing in (None, ""):
        assert all(render(nothing, "CCO").count(tag) == 1 for tag in TAGS)
        assert parse_completion(render(nothing, "CCO")).think == ""


TAGGED = st.lists(
    st.one_of(st.sampled_from([*TAGS, "<", ">", "answer", "CCO", "\n", " "]), st.text(max_size=8)), max_size=12
).map("".join)


@settings(
    max_examples=1500, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(TAGGED)
def test_no_text_raises_and_strict_is_strict(text):
    strict, loose = parse_completion(text), parse_completion(text, strict=False)
    assert (strict.answer is None) == (strict.reason is not Reason.CORRECT)
    assert loose.answer is not None
    if strict.answer is not None:
        assert all(text.count(tag) == 1 for tag in TAGS)
        assert not any(tag in strict.think + strict.answer for tag in TAGS)
        assert (loose.think, loose.answer) == (strict.think, strict.answer)


@pytest.mark.parametrize(
    "piece", [*TAGS, "<answer></answer>", "<think><answer>", "</answer></think>", "<", " ", "<answer>x"]
)
def test_long_texts_are_bounded_in_time(piece):
    text = piece * (200_000 // len(piece))
    start = time.process_time()
    parse_completion(text), parse_completion(text, strict=False)
    assert time.process_time() - start < 1


def test_the_prompt_is_a_conversation_that_asks_the_question():
    assert build_prompt("What is CCO?") == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "What is CCO?"},
    ]
    assert all(tag in SYSTEM for tag in TAGS)  # the model is told every tag it must write
