"""The reward functions as a trainer calls them: keywords and aligned lists in, finite numbers out."""

import inspect
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chemr_lite
from chemr_lite.answers import TAGS, render
from chemr_lite.reasons import Reason
from chemr_lite.rewards import OUTSIDE, completion_text, read_meta, reward_functions, score_completion
from chemr_lite.tasks import get_task, list_tasks

EDIT = {"source": "CCc1ccccc1", "add": "hydroxyl"}
# task, gold answer, meta, completion, reward, reason
BATCH = [
    ("retrosynthesis", "CC(=O)O.CN", {}, render("a", "CN.CC(=O)O"), 1.0, Reason.CORRECT),
    ("retrosynthesis", "CC(=O)O.CN", {}, render("a", "CN"), 0.0, Reason.FRAGMENTS),
    ("property_prediction/bbbp", "No", {}, render(None, "No"), 1.0, Reason.CORRECT),
    ("property_prediction/bbbp", "No", {}, "No", 0.0, Reason.MISSING_TAGS),
    ("open_generation/mol_edit_add", "OCCc1ccccc1", EDIT, render("a", "CC(O)c1ccccc1"), 1.0, Reason.CORRECT),
    (
        "open_generation/mol_custom_atoms",
        "CCO",
        {"atoms": {"carbon": 2, "oxygen": 1}},
        render("a", "CCN"),
        0.0,
        Reason.WRONG_COUNT,
    ),
]


def call(batch=BATCH, conversational=False, json_meta=True, **extra):
    """Call the reward as TRL does: prompts, completions, token ids and all columns of the dataset, as keywords."""
    tasks, answers, metas, texts = ([line[i] for line in batch] for i in range(4))
    prompts = [[{"role": "user", "content": task}] for task in tasks]
    completions = [[{"role": "assistant", "content": text}] for text in texts] if conversational else texts
    (reward,) = reward_functions()
    return reward(
        prompts=prompts if conversational else tasks,
        completions=completions,
        completion_ids=[[1, 2, 3]] * len(batch),
        task=tasks,
        answer=answers,
        meta=[json.dumps(meta) for meta in metas] if json_meta else metas,
        trainer_state=None,
        **extra,
    )


@pytest.mark.parametrize("conversational", [True, False], ids=["messages", "strings"])
@pytest.mark.parametrize("json_meta", [True, False], ids=["meta-as-json-text", "meta-as-mapping"])
def test_rewards_of_a_batch(conversational, json_meta):
    assert call(conversational=conversational, json_meta=json_meta) == [line[4] for line in BATCH]


def test_accuracies_and_reasons_are_logged():
    metrics, extras = {}, {}
    call(log_metric=metrics.__setitem__, log_extra=extras.__setitem__)
    assert metrics == {
        "accuracy/retrosynthesis": 0.5,
        "accuracy/property_prediction/bbbp": 0.5,
        "accuracy/open_generation/mol_edit_add": 1.0,
        "accuracy/open_generation/mol_custom_atoms": 0.0,
        "format": sum(line[5] not in OUTSIDE for line in BATCH) / len(BATCH),
    }
    assert extras == {"reason": [str(line[5]) for line in BATCH]}
    json.dumps(extras)  # they become a column of a table


def test_accuracy_counts_correct_answers_and_not_reward():
    meta = {"source": "OCCc1ccccc1", "property": "LogP", "direction": "increase"}
    metrics = {}
    values = call(
        [
            ("open_generation/mol_opt_logp", "", meta, render(None, answer), None, None)
            for answer in ("CCc1ccccc1", "CCCCCCCCCCCC")
        ],
        log_metric=metrics.__setitem__,
    )
    assert 0 < values[1] < values[0] < 1
    assert metrics == {"accuracy/open_generation/mol_opt_logp": 0.5, "format": 1.0}


def test_the_signature_is_the_trainers():
    functions = reward_functions()
    names = [function.__name__ for function in functions]
    assert len(set(names)) == len(names)  # each logs under its own name
    for function in functions:
        parameters = inspect.signature(function).parameters
        assert {"completions", "task", "answer", "meta"} <= set(parameters)
        assert any(p.kind is p.VAR_KEYWORD for p in parameters.values())  # further columns are no error
        optional = [p for p in parameters.values() if p.name in ("log_metric", "log_extra", "trainer_state")]
        assert all(p.default is None for p in optional)


def test_columns_of_different_length_are_an_error():
    (reward,) = reward_functions()
    with pytest.raises(ValueError):
        reward(completions=[render(None, "CC")], task=["retrosynthesis"] * 2, answer=["CC"], meta=["{}"])


GOLD = "CC(=O)O.CN"
GATES = [
    pytest.param(GOLD, Reason.MISSING_TAGS, id="no-tags"),
    pytest.param(f"<answer>{GOLD}</answer>", Reason.MISSING_TAGS, id="no-think"),
    pytest.param(f"<think>{GOLD}</think>", Reason.MISSING_TAGS, id="only-in-the-reasoning"),
    pytest.param(f"<think>a</think><answer>{GOLD}", Reason.MISSING_TAGS, id="cut-off"),
    pytest.param(f"<think>a</think><answer>{GOLD}</answer> I hope", Reason.MISPLACED_TEXT, id="text-after"),
    pytest.param(f"Well: <think>a</think><answer>{GOLD}</answer>", Reason.MISPLACED_TEXT, id="text-before"),
    pytest.param(f"<answer>{GOLD}</answer><think>a</think>", Reason.MISPLACED_TEXT, id="answer-first"),
    pytest.param(f"<think>a</think><answer>CN</answer><answer>{GOLD}</answer>", Reason.REPEATED_TAGS, id="two-answers"),
    pytest.param(
        f"<think><answer>{GOLD}</answer></think><answer>CN</answer>",
        Reason.REPEATED_TAGS,
        id="candidates-in-the-reasoning",
    ),
    pytest.param(render("a", f"{GOLD} or CC(=O)Cl.CN"), Reason.INNER_WHITESPACE, id="two-candidates-in-the-answer"),
    pytest.param(render("a", f"{GOLD}\nCC(=O)Cl.CN"), Reason.INNER_WHITESPACE, id="a-candidate-a-line"),
    pytest.param(render(f"It is {GOLD}", "see above"), Reason.INNER_WHITESPACE, id="answer-refers-to-the-reasoning"),
    pytest.param(render("a", ""), Reason.EMPTY, id="empty-answer"),
]


@pytest.mark.parametrize("text, reason", GATES)
def test_a_right_answer_outside_the_format_earns_nothing(text, reason):
    metrics, extras = {}, {}
    values = call(
        [("retrosynthesis", GOLD, {}, text, None, None)], log_metric=metrics.__setitem__, log_extra=extras.__setitem__
    )
    assert (values, metrics, extras) == (
        [0.0],
        {"accuracy/retrosynthesis": 0.0, "format": float(reason not in OUTSIDE)},
        {"reason": [str(reason)]},
    )


def test_the_format_alone_earns_nothing():
    assert call([("retrosynthesis", GOLD, {}, render("a long and careful thought " * 50, "CC"), None, None)]) == [0.0]


@pytest.mark.parametrize(
    "meta, expected", [('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ("", {}), ("{}", {}), (None, {}), ({}, {})]
)
def test_read_meta(meta, expected):
    assert read_meta(meta) == expected


def test_the_last_message_is_the_completion():
    assert completion_text("CCO") == "CCO"
    assert completion_text([{"role": "assistant", "content": "C"}, {"role": "assistant", "content": "CCO"}]) == "CCO"


META = {
    "open_generation/mol_edit_add": EDIT,
    "open_generation/mol_edit_delete": {"source": "OCC", "remove": "hydroxyl"},
    "open_generation/mol_edit_substitute": {"source": "OCC", "remove": "hydroxyl", "add": "halo"},
    **{
        f"open_generation/mol_opt_{name.lower()}": {"source": "OCCN", "property": name, "direction": "decrease"}
        for name in ("LogP", "MR", "QED")
    },
    **{
        f"reagent_selection/{name}": {"candidates": ["CCO", "Yes"], "accepted": ["Yes"]}
        for name in ("reactant", "solvent", "ligand", "rule_reactant", "rule_reagent")
    },
    **{f"open_generation/mol_custom_{kind}": {kind: {}} for kind in ("atoms", "bonds", "groups")},
}
ANSWERS = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from(["C", "O", "(N)", "c1ccccc1", "=", ".", "[2H]", "Yes", " "]), max_size=8).map("".join),
)
TEXTS = st.one_of(
    st.builds(render, st.one_of(st.none(), st.text(max_size=20)), ANSWERS),
    st.lists(st.one_of(st.sampled_from([*TAGS, "CCO", "\n"]), st.text(max_size=8)), max_size=8).map("".join),
)


@settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(TEXTS, st.booleans())
def test_every_reward_is_a_finite_number_in_bounds(text, conversational):
    values = call(
        [
            (task, "Yes" if get_task(task).answers == "choice" else "CCO", META.get(task, {}), text, None, None)
            for task in list_tasks()
        ],
        conversational=conversational,
    )
    assert len(values) == len(list_tasks())
    assert all(isinstance(value, float) and math.isfinite(value) and 0 <= value <= 1 for value in values)


def test_score_completion_is_the_tasks_score_behind_the_format():
    row = {"task": "retrosynthesis", "answer": GOLD, "meta": {}}
    assert score_completion(render("a", "CN.CC(O)=O"), row) == get_task("retrosynthesis").score("CN.CC(O)=O", row)


def test_the_public_names_are_there():
    assert all(hasattr(chemr_lite, name) for name in chemr_lite.__all__)
    assert chemr_lite.reward_functions is reward_functions


# claims in the reasoning


def grounded_reward(think: str, answer: str = "CN.CC(=O)O", grounding: float = 0.25) -> float:
    (reward,) = reward_functions(grounding)
    row = {"task": ["retrosynthesis"], "answer": ["CC(=O)O.CN"], "meta": ["{}"], "input": ["CNC(C)=O"]}
    return reward(prompts=["x"], completions=[render(think, answer)], **row)[0]


FOUR = "The product has an amide. It is an amide coupling. The C-N bond is formed. The C-O bond is broken."


@pytest.mark.parametrize(
    "think, share",
    [
        (FOUR, 1.0),
        ("", 0.0),  # no claims
        ("It works.", 0.0),
        ("The product has an amide.", 0.25),
        ("The product has an amide. " * 20, 0.25),  # one true claim, repeated
        ("The product has an amide. It has one amide. It has at least one amide.", 0.25),  # in other words
        (
            "There is no nitrile. There is no azide. There is no thiol. There is no epoxide. There is no nitro group.",
            0.0,
        ),  # denials
        (FOUR + " It has a nitrile.", 0.8),  # a false claim costs
        ("The product has a nitrile.", 0.0),
    ],
)
def test_what_claims_earn(think, share):
    assert grounded_reward(think) == pytest.approx(0.75 + 0.25 * share)


def test_claims_are_paid_beside_the_answer():
    assert grounded_reward("The product has an amide.", "CCO") == pytest.approx(0.25 * 0.25)
    assert grounded_reward("The product has an amide.", grounding=0.0) == 1.0


def test_claims_outside_the_format_earn_nothing():
    (reward,) = reward_functions(0.5)
    row = {"task": ["retrosynthesis"], "answer": ["CC(=O)O.CN"], "meta": ["{}"], "input": ["CNC(C)=O"]}
    assert reward(prompts=["x"], completions=[FOUR], **row) == [0.0]
    with pytest.raises(ValueError, match="between 0 and 1"):
        reward_functions(1.5)
