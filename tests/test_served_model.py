"""Asking a served model: a real HTTP server on loopback, well-behaved and hostile."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from recipes.training.options import UsageError
from recipes.training.served_model import ServedModel, read_store
from tests.starter import ROOT

QUESTIONS = [[{"role": "user", "content": f"question {n}"}] for n in range(12)]


def client(served, **options) -> ServedModel:
    options = {"model": "small", "timeout": 1.0} | options
    return ServedModel(f"http://127.0.0.1:{served.server_address[1]}/v1", **options)


def test_every_question_is_answered_once_in_order(served, tmp_path):
    server = client(served)
    answers = server.ask(QUESTIONS, tmp_path / "store.jsonl", 50)
    assert answers == [[f"answer to question {n}"] for n in range(12)]
    assert set(served.request_counts.values()) == {1} and server.spent["tokens"] == 120
    again = client(served)
    assert again.ask(QUESTIONS, tmp_path / "store.jsonl", 50) == answers  # nothing is paid twice
    assert set(served.request_counts.values()) == {1} and not again.spent["answered"]


def test_samples_are_asked_for_one_by_one(served, tmp_path):
    assert client(served).ask(QUESTIONS[:2], tmp_path / "store.jsonl", 50, temperature=1.0, samples=3) == [
        [f"answer to question {n}"] * 3 for n in (0, 1)
    ]
    assert set(served.request_counts.values()) == {3}


def test_a_hostile_server_loses_nothing(served, tmp_path):
    served.script = ["429", "500", "html", "half", "no choices", "empty", "hang up", "silence"] * 2
    server = client(served, tries=12)
    answers = server.ask(QUESTIONS, tmp_path / "store.jsonl", 50)
    assert answers == [[f"answer to question {n}"] for n in range(12)]
    assert len(read_store(tmp_path / "store.jsonl")) == 12  # none twice
    assert server.spent["answered"] == 12 and server.spent["tried again"] == 16 and not server.spent["failed"]


def test_what_never_comes_is_counted_and_asked_for_again_next_time(served, tmp_path):
    served.script = ["500"] * 100
    server = client(served, tries=2)
    assert server.ask(QUESTIONS[:3], tmp_path / "store.jsonl", 50) == [[], [], []]
    assert server.spent["failed"] == 3
    served.script = []
    assert client(served).ask(QUESTIONS[:3], tmp_path / "store.jsonl", 50) == [
        [f"answer to question {n}"] for n in range(3)
    ]


def test_the_budget_ends_it(served, tmp_path):
    server = client(served, concurrency=1)
    answers = server.ask(QUESTIONS, tmp_path / "store.jsonl", 50, budget=35)
    assert sum(map(len, answers)) == 4 and server.spent["left by the budget"] == 8


def test_the_budget_is_for_all_starts_together(served, tmp_path):
    for _ in range(2):
        server = client(served, concurrency=1)
        assert sum(map(len, server.ask(QUESTIONS, tmp_path / "store.jsonl", 50, budget=35))) == 4


def test_one_bad_question_does_not_stop_the_others(served, tmp_path):
    served.script = ["400"]
    server = client(served, concurrency=1)
    answers = server.ask(QUESTIONS, tmp_path / "store.jsonl", 50)
    assert answers[0] == [] and all(answers[1:]) and server.spent["failed"] == 1


def test_an_answer_cut_while_thinking_is_paid_once(served, tmp_path):
    served.script = ["thinking"]
    server = client(served, concurrency=1)
    assert server.ask(QUESTIONS[:2], tmp_path / "store.jsonl", 50) == [[""], ["answer to question 1"]]
    assert set(served.request_counts.values()) == {1} and server.spent["tokens"] == 20


def test_what_is_under_way_at_a_refusal_is_kept(served, tmp_path):
    served.pause = 0.2
    served.script = ["answer", "401", "answer", "answer"]
    with pytest.raises(UsageError):
        client(served, concurrency=4).ask(QUESTIONS[:4], tmp_path / "store.jsonl", 50)
    assert len(read_store(tmp_path / "store.jsonl")) == 3


def test_a_refusal_is_told_and_not_repeated(served, tmp_path):
    served.script = ["401"] * 20
    with pytest.raises(UsageError):
        client(served, concurrency=1).ask(QUESTIONS, tmp_path / "store.jsonl", 50)
    assert sum(served.request_counts.values()) <= 2


def error(status: int, message: str, **details):
    """Return an entry of a server's script that refuses a request."""
    return lambda request, body: (status, {"error": {"message": message, **details}})


@pytest.mark.parametrize(
    "refuse",
    [error(402, "Insufficient Balance"), error(200, "No money left", code=402),
     error(429, "You exceeded your quota", code="insufficient_quota")],
)  # fmt: skip
def test_no_money_left_is_final(served, tmp_path, refuse):
    served.script = [refuse] * 100
    with pytest.raises(UsageError, match="Balance|money|quota"):
        client(served, concurrency=1, tries=1).ask(QUESTIONS, tmp_path / "store.jsonl", 50)
    assert sum(served.request_counts.values()) <= 2


def test_why_nothing_was_answered_is_told_with_its_number(served, tmp_path):
    served.script = [error(400, "the context has 2048 tokens")] * 2 + [error(200, "provider returned error")] * 2
    server = client(served, concurrency=1, tries=2)
    answers = server.ask(QUESTIONS[:4], tmp_path / "store.jsonl", 50)
    assert [len(texts) for texts in answers] == [0, 0, 0, 1]
    assert "2 × Error code: 400" in server.summary() and "2048 tokens" in server.summary()
    assert "1 × provider returned error" in server.summary()


def test_arguments_that_a_model_refuses_are_renamed_or_left_out(served, tmp_path):
    asked = []

    def reasoning_model(request, body):
        asked.append(request)
        if "max_tokens" in request:
            return 400, {"error": {"message": "'max_tokens' is not supported, use 'max_completion_tokens' instead."}}
        if "temperature" in request:
            return 400, {"error": {"message": "'temperature' does not support 0.0 with this model."}}
        return 200, body

    served.script = [reasoning_model] * 100
    answers = client(served, concurrency=3).ask(QUESTIONS, tmp_path / "store.jsonl", 50)
    assert all(map(len, answers)) and len(asked) <= 12 + 2 * 3
    assert asked[-1]["max_completion_tokens"] == 50 and "temperature" not in asked[-1]


def test_reasoning_in_a_field_of_its_own_is_kept(served, tmp_path):
    def reply(request, body):
        body["choices"][0]["message"] = {"role": "assistant", "content": "<answer>C</answer>", "reasoning_content": "r"}
        return 200, body

    served.script = [reply]
    assert client(served).ask(QUESTIONS[:1], tmp_path / "store.jsonl", 50) == [["<think>r</think><answer>C</answer>"]]


def test_another_server_is_asked_anew(served, tmp_path):
    client(served).ask(QUESTIONS[:1], tmp_path / "store.jsonl", 50)
    other = client(served)
    other.url = other.url.replace("127.0.0.1", "localhost")
    other.ask(QUESTIONS[:1], tmp_path / "store.jsonl", 50)
    assert other.spent["answered"] == 1


def test_the_key_comes_from_the_environment_and_stays_out_of_the_store(served, tmp_path, monkeypatch):
    monkeypatch.setenv("CHEMR_API_KEY", "sk-secret")
    client(served).ask(QUESTIONS, tmp_path / "store.jsonl", 50)
    assert served.keys == {"Bearer sk-secret"}
    monkeypatch.delenv("CHEMR_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    client(served).ask(QUESTIONS, tmp_path / "other.jsonl", 50)
    assert "Bearer sk-other" not in served.keys  # it belongs to one host
    assert "sk-secret" not in (tmp_path / "store.jsonl").read_text()


def test_no_server_and_no_model_are_told(served, capsys):
    client(served).check()
    assert not capsys.readouterr().out
    client(served, model="large").check()  # some serve under other names than they list
    assert "it lists small" in capsys.readouterr().out
    with pytest.raises(UsageError, match="no server answers there"):
        ServedModel("http://127.0.0.1:9/v1", "small").check()


def test_a_line_cut_short_is_dropped_and_a_foreign_file_is_refused(tmp_path):
    store = tmp_path / "store.jsonl"
    whole = json.dumps({"key": "a", "text": "x"}) + "\n"
    store.write_text(whole + '{"key": "b", "te')
    assert list(read_store(store)) == ["a"] and store.read_text() == whole
    store.write_text("task,input\n" + whole)
    with pytest.raises(UsageError, match="line 1"):
        read_store(store)
    assert store.read_text().startswith("task,input")  # nothing is lost


def test_kill_minus_nine_pays_nothing_twice_but_what_was_under_way(served, tmp_path):
    served.pause = 0.05
    store = tmp_path / "store.jsonl"
    code = (
        "import sys; from pathlib import Path; from recipes.training.served_model import ServedModel\n"
        "questions = [[{'role': 'user', 'content': f'question {n}'}] for n in range(60)]\n"
        "print(len(ServedModel(sys.argv[1], 'small', concurrency=3).ask(questions, Path(sys.argv[2]), 50, label='')))"
    )
    command = [sys.executable, "-c", code, client(served).url, str(store)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    deadline = time.time() + 60
    while not store.exists() or store.read_text().count("\n") < 10:
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(read_store(store))
    assert 10 <= kept < 60
    subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL, timeout=60
    )
    assert len(read_store(store)) == 60
    assert sum(served.request_counts.values()) <= 60 + 3  # three were under way when it died


def test_evaluate_asks_a_server(served, tmp_path, monkeypatch, capsys):
    from recipes import evaluate

    rows = [
        {"task": "retrosynthesis", "input": f"CC(=O)N{'C' * n}", "answer": f"CC(=O)O.N{'C' * n}", "split": "test"}
        for n in (1, 2, 3)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    url = f"http://127.0.0.1:{served.server_address[1]}/v1"
    command = [
        "evaluate.py",
        "--server",
        url,
        "--server-model",
        "small",
        "--data",
        str(tmp_path / "mine.jsonl"),
        "--output",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(sys, "argv", [*command, "--preset", "smoke"])
    for _ in range(2):  # the second time nothing is asked
        evaluate.main()
    assert sum(served.request_counts.values()) == 3
    lines = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").read_text().splitlines()]
    assert [line["input"] for line in lines] == [row["input"] for row in rows]
    assert all(line["answer"].startswith("answer to") and not line["format"] for line in lines)
    assert f"small at {url}" in capsys.readouterr().out
