"""The rows of a run: what trains, what is only practised, and what is kept on disk between two starts."""

import json
from pathlib import Path

import pytest

from chemr_lite.data import Loaded
from recipes.training import kept_rows
from recipes.training.kept_rows import kept
from recipes.training.options import Options
from recipes.training.rows import describe, grpo_rows, load_rows


@pytest.fixture
def file(tmp_path) -> Path:
    """A file of 40 retrosynthesis questions, half of them without a twin in the other half."""
    path = tmp_path / "mine.jsonl"
    rows = [
        {"task": "retrosynthesis", "input": f"CC(=O)N{'C' * n}", "answer": f"CC(=O)O.N{'C' * n}"} for n in range(1, 41)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_phase_3_practises_rows_that_the_phases_before_do_not_see(file):
    options = Options(data=str(file), train_rows=10)
    rows = load_rows(options)
    trained, practised = ({row["input"] for row in rows.rows[split]} for split in ("train", "practice"))
    assert len(trained) == len(practised) == 10 and not trained & practised
    assert {row["input"] for row in grpo_rows(options, rows.rows)} == trained | practised
    assert load_rows(options).rows == rows.rows  # the next start has the same
    assert "retrosynthesis 10; phase 3 also practises 10 rows that phases 1 and 2 do not see" in describe(options, rows)


def test_without_a_limit_all_rows_train(file):
    options = Options(data=str(file))
    rows = load_rows(options)
    assert len(rows.rows["train"]) == 40 and not rows.rows["practice"]
    assert describe(options, rows).endswith("rows to train on: retrosynthesis 40")


def test_nano_is_called_what_it_is():
    options = Options(tasks="retrosynthesis", train_rows=5)
    assert describe(options, load_rows(options)).startswith("data nano's toy exercises: rows to train on: retrosynth")


def test_rows_that_took_long_are_kept_until_something_changes(file, tmp_path, monkeypatch):
    monkeypatch.setenv("CHEMR_LITE_CACHE", str(tmp_path / "cache"))
    reads = []

    def read() -> Loaded:
        reads.append(1)
        return Loaded(rows={"train": [{"input": "CCO"}]}, problems=["a line"])

    def ask(*choices) -> Loaded:
        return kept(read, [str(file)], None, *choices)

    ask(None)
    ask(None)
    assert len(reads) == 2  # it was quick
    monkeypatch.setattr(kept_rows, "SLOW", -1)
    first, again = ask(None), ask(None)
    assert len(reads) == 3 and again == first and again.removed["nothing"] == 0
    ask(["retrosynthesis"])
    assert len(reads) == 4
    file.write_text(file.read_text() + "\n")
    ask(None)
    assert len(reads) == 5
