"""The teacher: its prompts, the filter of its traces, and the protocols mined from them."""

import json
import sys

import pytest
import yaml

from chemr_lite import get_task, render
from chemr_lite.data import Loaded
from chemr_lite.protocols import load_protocols
from recipes import distill, teach
from recipes.training import protocol_mining
from recipes.training.options import Options, UsageError
from recipes.training.served_model import ServedModel
from recipes.training.time_left import TimeLeft
from recipes.training.traces import HINTS, read_traces, rejection_reason

AMIDE = {"task": "reaction_prediction", "input": "CC(=O)O.CN", "answer": "CNC(C)=O", "meta": {}}
RETRO = {"task": "retrosynthesis", "input": "CNC(C)=O", "answer": "CC(=O)O.CN", "meta": {}}
GOOD = (
    "1. **Functional groups:** The first reactant has a carboxylic acid, the second a primary amine.\n"
    "2. **Reaction type:** This is an amide coupling.\n3. **Bonds:** A new C-N bond is formed.\n"
    "4. **Product:** The product contains an amide."
)


def parse(tmp_path, *arguments):
    """Return the parsed command line of teach.py."""
    required = [
        "--server",
        "http://127.0.0.1:1/v1",
        "--server-model",
        "small",
        "--output",
        str(tmp_path / "traces.jsonl"),
    ]
    return teach.make_teach_parser().parse_args([*required, *map(str, arguments)])


def server_of(served) -> ServedModel:
    return ServedModel(f"http://127.0.0.1:{served.server_address[1]}/v1", "small", 2)


# asking


def test_the_teacher_sees_the_steps_and_the_facts_and_not_the_answer():
    system, user = teach.conversation(AMIDE, load_protocols())
    assert (
        "1. **Functional groups:** the functional groups of each molecule" in system["content"]
        and "<answer>" in system["content"]
    )
    assert "CC(=O)O.CN" in user["content"] and "- Reaction type: amide coupling" in user["content"]
    assert AMIDE["answer"] not in user["content"]
    assert "Facts:" not in teach.conversation(AMIDE, load_protocols(), hints=False)[1]["content"]


def test_the_cost_is_told_before():
    server = ServedModel("http://127.0.0.1:1/v1", "small")
    questions = [teach.conversation(AMIDE, load_protocols())] * 100
    text = teach.estimate(server, questions, 2, 1500, "1,2")
    assert text.startswith("200 requests") and "300,000 of answers" in text and "currency" in text
    with pytest.raises(UsageError):
        teach.estimate(server, [], 1, 1500, "cheap")


# filtering


@pytest.mark.parametrize(
    "text, why",
    [
        (render(GOOD, "CNC(C)=O"), None),
        (GOOD + " CNC(C)=O", "format: missing_tags"),
        (render(GOOD, "CCNC(C)=O"), "wrong answer"),
        (render("An amide.", "CNC(C)=O"), "too short"),
        (
            render(GOOD.replace("The first", "From the provided functional groups, the first"), "CNC(C)=O"),
            "mentions what it was given",
        ),
        (
            render(
                GOOD.replace("an amide coupling", "a Suzuki coupling").replace(
                    "contains an amide", "contains a nitrile"
                ),
                "CNC(C)=O",
            ),
            "ungrounded",
        ),
    ],
)
def test_why_a_trace_is_not_kept(text, why):
    assert rejection_reason(AMIDE, text, 0.9, set()) == why


def test_a_copy_is_not_kept():
    seen: set[str] = set()
    assert rejection_reason(AMIDE, render(GOOD, "CNC(C)=O"), 0.9, seen) is None
    assert rejection_reason(AMIDE, render(GOOD.upper().replace("C-N", "C-N"), "CNC(C)=O"), 0.0, seen) == "duplicate"


@pytest.mark.parametrize(
    "text",
    ["The reactants are given above.", "A known drug.", "The data are limited.", "Given the acid, an amide forms."],
)
def test_everyday_words_are_no_hints(text):
    assert not HINTS.search(text)


def test_traces_are_asked_for_filtered_and_counted(served, tmp_path, capsys):
    rows = [AMIDE | {"input": f"CC(=O)O.N{'C' * n}", "answer": f"{'C' * n}NC(C)=O"} for n in range(1, 9)]
    answers = {row["input"]: row["answer"] for row in rows}

    def answer(messages):
        reactants = next(smiles for smiles in answers if f"Reactants: {smiles}\n" in messages[-1]["content"] + "\n")
        chain = reactants.count("C") - 1
        if chain == 2:
            return "I do not know."
        return render(f"{GOOD}\nThis was case {chain}.", "CCC" if chain == 3 else answers[reactants])

    served.answer = answer
    served.script = ["429", "html"]
    parsed = parse(tmp_path)
    teach.write_traces(rows, server_of(served), load_protocols(), parsed)
    kept = read_traces(parsed.output)
    counts = json.loads((tmp_path / "traces.filter.json").read_text())["reaction_prediction"]
    assert counts["format: missing_tags"] == 1 and counts["wrong answer"] == 1
    assert counts["kept"] == len(kept) == 6
    out = capsys.readouterr().out
    assert "8 requests" in out and "kept 6" in out
    requests = sum(served.request_counts.values())
    parsed.output.unlink()
    teach.write_traces(rows, server_of(served), load_protocols(), parsed)
    assert sum(served.request_counts.values()) == requests  # nothing is paid for twice


def test_a_teacher_that_writes_nothing_useful_is_told(served, tmp_path):
    with pytest.raises(UsageError, match="filter.json says why"):
        teach.write_traces([AMIDE], server_of(served), load_protocols(), parse(tmp_path))


def test_files_of_traces(tmp_path):
    path = tmp_path / "mine.jsonl"
    line = {"task": AMIDE["task"], "input": AMIDE["input"], "completion": render(GOOD, "CNC(C)=O")}
    lines = [line, line | {"completion": "b"}, line | {"input": "other"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_traces(path)[AMIDE["task"], AMIDE["input"]] == [line["completion"], "b"]
    assert distill.sources(Options(traces=str(path)))[0] is False
    assert distill.sources(Options(traces=f"grounded,{path}"))[0] is True
    rows = Loaded()
    rows.rows["train"] = [RETRO]
    with pytest.raises(UsageError, match="none of its traces"):
        distill.train(Options(traces=str(path)), rows, "hf", TimeLeft())
    path.write_text("{}\n")
    with pytest.raises(UsageError, match="line 1"):
        read_traces(path)
    with pytest.raises(UsageError, match="no such file"):
        distill.check(Options(traces=str(tmp_path / "none.jsonl")), rows)
    with pytest.raises(UsageError, match="grounded,FILE"):
        distill.check(Options(traces=f"{path},{path}"), rows)


# mining


@pytest.mark.parametrize(
    "trace, headings",
    [
        (GOOD, ["Functional groups", "Reaction type", "Bonds", "Product"]),
        ("## Step 1: Look\nAn acid.\n## 2. Answer\nAn amide.", ["Look", "Answer"]),
        ("Step 1: Identify groups: an acid\nStep 2: Predict product: an amide", ["Identify groups", "Predict product"]),
        ("- **Groups**: acid\n- **Type:** coupling", ["Groups", "Type"]),
        ("No steps at all, only prose.", []),
    ],
)
def test_traces_are_cut_into_steps(trace, headings):
    assert [heading for heading, _ in protocol_mining.cut_into_steps(trace)] == headings


def test_what_tasks_share_becomes_one_step(tmp_path):
    forward = (
        "1. **Functional groups:** The acid has a carboxylic acid and the amine a primary amine.\n"
        "2. **Reaction type:** It is an amide coupling.\n3. **Predict the product:** The product has an amide."
    )
    backward = (
        "1. **Identify functional groups:** The product has an amide group, a functional group.\n"
        "2. **Reaction type:** It comes from an amide coupling.\n"
        "3. **Propose precursors:** A carboxylic acid and a primary amine."
    )
    rare = "1. **Solvent thoughts:** One might take DMF here."
    mined = protocol_mining.mine_protocols([(AMIDE, forward)] * 5 + [(RETRO, backward)] * 5 + [(RETRO, rare)])
    assert list(mined["protocols"]) == ["reaction_prediction", "retrosynthesis"]
    first, second = (list(mined["protocols"][task].values()) for task in ("reaction_prediction", "retrosynthesis"))
    assert (
        first[:2] == second[:2] and first[2] != second[2]
    )  # two steps are shared, in order; the last is each task's own
    assert "solvent thoughts" not in mined["steps"]
    shared = mined["steps"][first[1]]
    assert shared["support"] == {"reaction_prediction": 1.0, "retrosynthesis": 0.83} and "reaction" in shared["claims"]
    path = tmp_path / "mined.yaml"
    path.write_text(yaml.safe_dump(mined, sort_keys=False))
    assert [step.fact for step in load_protocols(path).of("retrosynthesis")] == second  # and it can be used as it is


def test_mining_from_a_server(served, tmp_path, monkeypatch, capsys):
    rows = [
        AMIDE | {"input": f"CC(=O)O.N{'C' * n}", "answer": f"{'C' * n}NC(C)=O", "split": "train"} for n in range(1, 7)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    served.answer = lambda messages: f"<think>{GOOD}</think><answer>C</answer>"
    url = f"http://127.0.0.1:{served.server_address[1]}/v1"
    out = tmp_path / "mined.yaml"
    rows_file = str(tmp_path / "rows.jsonl")
    command = [
        "teach.py",
        "--mine",
        "--preset",
        "smoke",
        "--server",
        url,
        "--server-model",
        "small",
        "--data",
        rows_file,
    ]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(out)])
    teach.main()
    assert "edit it, then use --protocols" in capsys.readouterr().out
    with pytest.raises(UsageError, match="is there already"):
        teach.main()  # it may have been edited
    steps = load_protocols(out).of("reaction_prediction")
    assert [step.heading for step in steps] == ["Functional groups", "Reaction type", "Bonds", "Product"]
    assert get_task("reaction_prediction").facts(AMIDE)  # RDKit's facts do not depend on the mined names
