"""Asking a trained model: questions are checked, and replies are judged as in training."""

import pytest

from chemr_lite import Chemist, check_claims, data, get_task
from chemr_lite.data import splits
from chemr_lite.errors import ModelError, QuestionError
from chemr_lite.model.questions import read_question, read_words
from chemr_lite.scoring.judge import judge
from recipes.training.evaluation import read_judged

ROWS = splits.sample(data.load(["nano"]).rows["test"], 9)


@pytest.fixture(scope="module")
def chemist(smoke):
    return Chemist(smoke)


def test_it_answers_as_the_phase_was_evaluated(chemist, smoke):
    lines = read_judged(smoke / "grpo")[::7]
    rows = [
        {"task": line["task"], "input": line["input"], "answer": line["gold"], "meta": line["meta"]} for line in lines
    ]
    replies = chemist.ask_all(rows)
    assert [reply.completion for reply in replies] == [line["completion"] for line in lines]
    assert [reply.answer for reply in replies] == [line["answer"] for line in lines]
    assert [reply.score.value for reply in replies] == [line["score"] for line in lines]
    assert [str(reply.score.reason) for reply in replies] == [line["reason"] for line in lines]
    for reply, line in zip(replies, lines, strict=True):
        assert reply.claims == check_claims(
            reply.reasoning, line | {"answer": line["gold"]}, line["answer"], chemist.protocols
        )
        if line["valid"] is not None:
            assert (reply.answer is not None and reply.valid) == line["valid"]


def test_it_knows_how_the_phase_was_trained(chemist, smoke):
    assert chemist.adapter == smoke / "grpo"
    assert [step.heading for step in chemist.protocols.of("retrosynthesis")] == [
        "Product analysis",
        "Reaction type",
        "Disconnection",
    ]
    assert chemist.protocols.of("open_generation/mol_opt_qed") == ()  # nano's, not the default ones
    assert chemist.max_new_tokens < 200


def test_one_question_alone(chemist):
    reply = chemist.ask("retrosynthesis", " CC(=O)Nc1ccc(O)cc1 ")
    assert reply.row == {"task": "retrosynthesis", "input": "CC(=O)Nc1ccc(O)cc1", "answer": "", "meta": {}}
    assert reply.score is None  # there is no gold answer
    assert reply.completion == chemist.ask_all([reply.row, *ROWS])[0].completion
    judged = chemist.ask("retrosynthesis", "CC(=O)Nc1ccc(O)cc1", gold="CC(=O)O.Nc1ccc(O)cc1")
    assert judged.completion == reply.completion and judged.score.value in (0.0, 1.0)


def test_open_generation_is_verified_without_an_answer(chemist):
    reply = chemist.ask("open_generation", "Please increase the LogP value of the molecule OCCc1ccccc1.")
    assert reply.row["task"] == "open_generation/mol_opt_logp"
    line = judge(reply.row, reply.completion)
    assert (reply.score.value, str(reply.score.reason)) == (line["score"], line["reason"])
    good = chemist.read(reply.row, "<think></think>\n<answer>CCc1ccccc1</answer>")
    assert good.verdict == "valid" and good.score.value > 0


def test_a_reply_outside_the_format_or_the_gate(chemist):
    row = read_question("retrosynthesis", "CC(=O)NC")
    bare = chemist.read(row, "CC(=O)O.CN")
    assert bare.answer is None and not bare.valid
    assert bare.reason == "missing_tags" and bare.verdict == "the answer is not between its tags"
    assert chemist.read(row, "<think></think><answer>CC(=O)O and methylamine</answer>").reason == "inner_whitespace"
    echo = chemist.read(row, f"<think></think><answer>{row['input']}</answer>")
    assert echo.valid and echo.verdict == "the question's own molecule"
    wrong = chemist.read(row, "<think>1. **Product analysis:** amide, nitrile</think><answer>CC(=O)O.CN</answer>")
    assert [(claim.text, claim.supported) for claim in wrong.claims] == [("amide", True), ("nitrile", False)]


def test_the_stream_grows_to_the_answer(chemist):
    row = ROWS[5]
    texts = list(chemist.stream(row))
    assert len(texts) > 3
    assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))
    assert texts[-1] == chemist.ask_all([row])[0].completion


def test_an_error_while_streaming_is_raised(chemist, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("chemr_lite.model.chemist.answer_prompts", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(chemist.stream(ROWS[0]))


def test_phases_share_a_base_and_keep_their_own_answers(chemist, smoke):
    def completions(of: Chemist) -> list[str]:
        return [reply.completion for reply in of.ask_all(ROWS[::4])]

    before = completions(chemist)
    foundation = chemist.load_phase(smoke / "foundation")
    answers = completions(foundation)
    assert answers == completions(Chemist(smoke / "foundation", max_new_tokens=chemist.max_new_tokens))
    assert answers != before == completions(chemist)
    assert foundation.model is chemist.model
    with pytest.raises(ModelError, match="no adapter in it"):
        chemist.load_phase(smoke / "base")


def test_a_base_can_be_asked_too():
    base = Chemist("nano", max_new_tokens=8)
    assert base.adapter is None and len(base.ask("molecule_captioning", "CCO").completion) > 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task"])
def test_questions_of_every_task_can_be_asked(row):
    meta = row["meta"] if row["task"].startswith("reagent") else None
    assert read_question(row["task"], row["input"], row["answer"], meta)["task"] == row["task"]
    assert read_question(row["task"], row["input"])["input"] == row["input"]  # also without the answer
    row_read = read_words(get_task(row["task"]).question(row))
    assert (row_read["task"], row_read["input"]) == (row["task"], row["input"])


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("retrosynthesis", "  ", "The question is empty."),
        (
            "retrosynthesis",
            "aspirin",
            "The product 'aspirin' is no molecule: not SMILES: a ring or a bracket that is left open, or a letter that "
            "is no atom. Give it as SMILES.",
        ),
        ("reaction_prediction", "CCO.C(C)(C)(C)(C)C", "no molecule: atoms with impossible bonds"),
        ("property_prediction/bbbp", "<script>alert(1)</script>", "no molecule: reaction arrow"),
        ("yield_prediction/suzuki", "CCO", "it is written reactants>>product"),
        ("reagent_selection/rule_reactant", "CCO", "three lines: Reactant: Brc1ccccc1 / Product: "),
        ("open_generation", "make it better", "Please add a hydroxyl to the molecule CCCCCCC."),
        (
            "open_generation/mol_opt_qed",
            "Please add a hydroxyl to the molecule CCCCCCC.",
            "asks for open_generation/mol_edit_add, not for",
        ),
    ],
)
def test_a_bad_question_is_refused_with_a_helpful_message(task, text, message):
    with pytest.raises(QuestionError) as error:
        read_question(task, text)
    assert message in str(error.value)


def test_an_answer_that_cannot_be_right_is_refused():
    with pytest.raises(QuestionError, match="does not pass its own task"):
        read_question("reaction_prediction", "CCO", gold="no molecule")


def test_an_unknown_task_names_its_neighbours():
    with pytest.raises(KeyError, match="retrosynthesis"):
        read_question("retrosynthesys", "CCO")


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="there is no such folder; name a finished phase"):
        Chemist(tmp_path / "none")
