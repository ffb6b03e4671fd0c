"""A model as its own teacher: what it keeps of its answers, a kill in between, and rounds of learning from them."""

import json
import signal
import time

import pytest

from chemr_lite import get_task, render
from chemr_lite.data import Loaded
from chemr_lite.protocols import Protocols, load_protocols
from recipes import distill
from recipes.studies.adversarial import CHEATS, try_cheat
from recipes.training.files import read_jsonl
from recipes.training.options import Options
from recipes.training.traces import Varied, template_of
from tests.conftest import recipe
from tests.starter import start

ADD = {
    "task": "open_generation/mol_edit_add",
    "input": "Please add a hydroxyl to the molecule CCOC(=O)c1ccc(Cl)cc1.",
    "answer": "",
    "meta": {"source": "CCOC(=O)c1ccc(Cl)cc1", "add": "hydroxyl"},
}
RETRO = {"task": "retrosynthesis", "input": "CNC(C)=O", "answer": "CC(=O)O.CN", "meta": {}}


def steps_of(row: dict) -> str:
    return get_task(row["task"]).trace(row, load_protocols())


def test_different_answers_to_a_question_are_kept_once_each():
    varied = Varied(load_protocols("nano"), 0.9, 50)  # nano answers such questions without reasoning
    answers = ("OCCOC(=O)c1ccc(Cl)cc1", "O=C(OCCO)c1ccc(Cl)cc1", "CCOC(=O)c1ccc(Cl)cc1O", "CCOC(=O)c1ccc(Cl)cc1", "C1")
    reasons = [varied.rejection_reason(ADD, render(None, answer)) for answer in answers]
    assert reasons == [None, "answer kept before", None, "wrong answer", "wrong answer"]


def test_reasoning_goes_along_the_steps_and_not_always_in_the_same_words():
    varied = Varied(load_protocols(), 0.9, 2)
    rows = [RETRO | {"input": f"{'C' * n}NC(C)=O", "answer": f"CC(=O)O.{'C' * n}N"} for n in range(1, 6)]
    assert [varied.rejection_reason(row, render(steps_of(row), row["answer"])) for row in rows] == [
        *(None, None),
        *["commonest template"] * 3,
    ]
    assert varied.rejection_reason(rows[4], render("An amide coupling gives it.", rows[4]["answer"])) == "no steps"
    false = steps_of(rows[4]).replace("amide coupling", "Suzuki coupling").replace("amide", "nitrile")
    assert varied.rejection_reason(rows[4], render(false, rows[4]["answer"])) == "ungrounded"


def test_templates_differ_in_words_and_not_in_molecules():
    one = "1. **Rings:** 1 aromatic\n2. **Scaffold:** scaffold c1ccccc1"
    other = "1. **Rings:** 3 aromatic\n2. **Scaffold:** scaffold C1CC1"
    assert template_of(one) == template_of(other) != template_of(other.replace("aromatic", "aliphatic"))


@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_is_kept(cheat):
    varied = Varied(Protocols({}), 0.0, 50)  # nothing but the gate and the score
    assert all(varied.rejection_reason(row, completion) for row, _, _, completion in try_cheat(cheat))


def test_rows_without_an_answer_are_learned_from_by_their_traces(tmp_path):
    traces = tmp_path / "traces.jsonl"
    learned = render(None, "OCCOC(=O)c1ccc(Cl)cc1")
    line = {"task": ADD["task"], "input": ADD["input"], "completion": learned}
    traces.write_text(json.dumps(line) + "\n")
    options, rows = Options(traces=str(traces), protocols="nano"), Loaded()
    rows.rows |= {"train": [RETRO], "practice": [ADD, ADD | {"input": "another"}]}
    assert distill.with_traces(options, rows).rows["train"] == [RETRO, ADD]
    texts = distill.completions(options, rows)
    assert texts(ADD) == [learned] and texts(RETRO)[0].endswith("<answer>CC(=O)O.CN</answer>")


@pytest.mark.parametrize(
    "arguments, problem",
    [
        ((), "name the teacher"),
        (("--own", "nowhere", "--server", "http://127.0.0.1:1/v1", "--server-model", "x"), "name the teacher"),
        (("--own", "nowhere"), "name the directory of a finished phase"),
        (("--own", "nowhere", "--mine"), "--mine: protocols are mined"),
        (("--server", "http://127.0.0.1:1/v1", "--server-model", "x", "--rounds", 2), "--rounds 2: only a model"),
    ],
)
def test_a_teacher_is_named(tmp_path, arguments, problem):
    done = recipe("teach", "--preset", "smoke", "--output", tmp_path / "own.jsonl", *arguments)
    assert done.returncode == 2 and problem in done.stderr


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A run that has learned to answer a few questions with Yes or No, in the steps of their protocol."""
    run = tmp_path_factory.mktemp("taught") / "run"
    done = recipe("distill", *YES_NO, "--distill-epochs", 8, "--output", run)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


YES_NO = ("--preset", "smoke", "--tasks", "property_prediction", "--foundation-epochs", 2)


def test_a_kill_while_it_answers_loses_nothing(taught, tmp_path):
    output = tmp_path / "own.jsonl"
    command = ("teach", "--preset", "smoke", "--tasks", "property_prediction", "--own", taught / "distill")
    command = (*command, "--rows", 40, "--samples", 3, "--eval-batch-size", 8, "--output", output)
    process, answers = start(*command), tmp_path / "own.answers.jsonl"
    deadline = time.time() + 120
    while not answers.exists() or len(read_jsonl(answers)) < 16:
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    process.kill(signal.SIGKILL)
    process.wait()
    before = read_jsonl(answers)
    done = recipe(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    after = read_jsonl(answers)
    assert after[: len(before)] == before and len(before) < len(after)
    asked = [(line["task"], line["input"], line["sample"]) for line in after]
    assert len(set(asked)) == len(asked) == 3 * 40
    kept, right = read_jsonl(output), {line["completion"].strip() for line in after if line["correct"]}
    assert kept and {line["completion"] for line in kept} <= right


@pytest.mark.slow
def test_rounds(taught, tmp_path):
    run, weights = tmp_path / "own", "adapter_model.safetensors"
    command = ("teach", *YES_NO[:4], "--own", taught / "distill", "--rounds", 2, "--rows", 40, "--output", run)
    config = tmp_path / "as-trained.yaml"
    config.write_text("foundation_epochs: 2\n")
    done = recipe(*command, "--config", config)
    assert done.returncode == 0, done.stderr[-3000:]
    second = json.loads((run / "round2/distill/run.json").read_text())
    assert second["options"]["traces"].startswith(str(run / "round2/traces.jsonl"))
    for phase, before in (("round1/foundation", taught / "distill"), ("round2/foundation", run / "round1/distill")):
        assert (run / phase / weights).read_bytes() == (before / weights).read_bytes()
    assert (run / "round2/distill" / weights).read_bytes() != (run / "round2/foundation" / weights).read_bytes()
    again = recipe(*command, "--config", config)
    assert again.returncode == 0 and again.stdout.count("nothing left to train") == 2
