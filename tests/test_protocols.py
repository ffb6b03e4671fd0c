"""Protocols as data: the built-in files are complete, an edited file changes the traces, errors name a bad file."""

import pytest
import yaml

from chemr_lite import get_task, list_tasks, render, reward_functions
from chemr_lite.errors import ProtocolError
from chemr_lite.protocols import BUILT_IN, DEFAULT, load_protocols
from chemr_lite.scoring.judge import judge
from recipes.training import answers_html
from recipes.training.options import Options
from recipes.training.run_directory import recorded

AMIDE = {"task": "reaction_prediction", "input": "CC(=O)O.CN", "answer": "CNC(C)=O", "meta": {}}


def write(tmp_path, **changed):
    content = yaml.safe_load(DEFAULT.read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content | changed, sort_keys=False))
    return path


@pytest.mark.parametrize("task", list_tasks())
def test_every_task_has_a_protocol(task):
    steps = load_protocols().of(task)
    assert len(steps) >= 2
    assert all(step.heading and step.states for step in steps)


@pytest.mark.parametrize("task", list_tasks())
def test_nano_reasons_in_the_same_steps_and_fewer(task):
    # nano's steps leave out the places, and only nano is pretrained to tally atoms, which any other model never ends;
    # the claim checker depends on the other fields
    default, nano = (
        {
            step.heading: (step.fact.removeprefix("placed "), step.about, step.claims)
            for step in load_protocols(name).of(task)
            if step.fact != "tally"
        }
        for name in ("default", "nano")
    )
    assert nano.items() <= default.items()
    assert [heading for heading in default if heading in nano] == list(nano)


def test_steps_are_shared_by_tasks_and_each_is_used():
    known = yaml.safe_load(DEFAULT.read_text())["steps"]
    used = [step.fact for name in BUILT_IN for steps in load_protocols(name).by_name.values() for step in steps]
    assert set(used) == set(known)
    assert sum(used.count(fact) > 1 for fact in known) > len(known) / 2


def test_a_task_has_its_own_protocol_or_that_of_its_macro_task(tmp_path):
    path = write(
        tmp_path, protocols={"property_prediction": {"A": "counts"}, "property_prediction/bbbp": {"B": "verdict"}}
    )
    protocols = load_protocols(path)
    assert [step.heading for step in protocols.of("property_prediction/bbbp")] == ["B"]
    assert [step.heading for step in protocols.of("property_prediction/bace")] == ["A"]
    assert protocols.of("retrosynthesis") == ()


def test_an_edited_protocol_changes_the_trace(tmp_path):
    steps = yaml.safe_load(DEFAULT.read_text())["steps"] | {"mechanism": {"states": "how the electrons move"}}
    edited = {
        "reaction_prediction": {
            "Named reaction": "reaction type",
            "Mechanism": "mechanism",
            "Outcome": "groups of the answer",
        }
    }
    protocols = load_protocols(write(tmp_path, steps=steps, protocols=edited))
    assert protocols.of("reaction_prediction")[1].about == "both"
    # RDKit knows nothing of mechanisms; only a teacher can write that step
    assert (
        get_task("reaction_prediction").trace(AMIDE, protocols)
        == "1. **Named reaction:** amide coupling\n2. **Outcome:** amide"
    )
    assert get_task("retrosynthesis").trace(AMIDE | {"input": "CNC(C)=O", "answer": "CC(=O)O.CN"}, protocols) is None


def test_an_edited_protocol_says_what_its_claims_are_about(tmp_path):
    """Figures, page and reward agree: under the user's heading the groups are the answer's, which has no amide."""
    row = {"task": "retrosynthesis", "input": "CNC(C)=O", "answer": "CC(=O)O.CN", "meta": {}}
    text = render("1. **Leads:** amide", row["answer"])
    mine = load_protocols(write(tmp_path, protocols={"retrosynthesis": {"Leads": "groups of the answer"}}))
    for protocols, supported in ((None, 1), (mine, 0)):
        line = judge(row, text, protocols=protocols)
        assert (line["claims"], line["supported"]) == (1, supported)
        answers_html.write([line], tmp_path / "show.html", "a model", 1, protocols)
        assert f"{supported} of 1 claims supported" in (tmp_path / "show.html").read_text()
        columns = {"task": [row["task"]], "answer": [row["answer"]], "meta": ["{}"], "input": [row["input"]]}
        (reward,) = reward_functions(1.0, protocols)
        assert (reward(completions=[text], **columns)[0] > 0) == bool(supported)


def test_an_edited_file_is_another_option(tmp_path):
    path = write(tmp_path)
    before = recorded(Options(protocols=str(path)), "distill")["protocols"]
    assert before == recorded(Options(protocols=str(path)), "distill")["protocols"] and before.startswith(str(path))
    path.write_text(path.read_text() + "# read again\n")
    assert before != recorded(Options(protocols=str(path)), "distill")["protocols"]
    assert recorded(Options(protocols="nano"), "distill")["protocols"] == "nano"


@pytest.mark.parametrize(
    "text, message",
    [
        ("[", "mine.yaml"),
        ("- a", "must hold `protocols:`"),
        ("steps: {a: 1}\nprotocols: {}", "the step 'a' must say what it `states`"),
        ("steps: {a: {states: x, about: me}}\nprotocols: {}", "is about 'me'; choose question, answer, both"),
        ("steps: {a: {states: x, claims: group}}\nprotocols: {}", "`claims` of the step 'a' must be a list"),
        ("steps: {a: {states: x}}\nprotocols: {retrosynthesis: [a]}", "the protocol of retrosynthesis must list"),
        (
            "steps: {a: {states: x}}\nprotocols: {retrosynthesis: {B: c}}",
            "retrosynthesis, B: no step 'c' under `steps`; there are groups",
        ),
        ("steps: {a: {states: x}}\nprotocols: {retrosynthesys: {B: a}}", "nearest: retrosynthesis"),
    ],
)
def test_a_bad_file_is_named(text, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ProtocolError, match="mine.yaml") as error:
        load_protocols(path)
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ProtocolError, match="none.yaml"):
        load_protocols(tmp_path / "none.yaml")
