"""The benchmarks run, agree with the plain way, and notice what is too slow."""

import sys

import pytest

from chemr_lite.errors import ChemrError
from recipes.studies import bench


def run(monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["bench.py", *args])
    bench.main()


def test_rewards_agree_with_the_plain_way_and_are_faster(monkeypatch, capsys):
    run(monkeypatch, "rewards", "--rows", "80")
    output = capsys.readouterr().out
    assert "640 completions of 80 rows" in output
    assert float(output.rsplit(": ", 1)[1].split()[0]) > 1.3  # far below the usual ratio, for a busy machine


def test_any_text_is_scored_in_bounds(monkeypatch, capsys):
    run(monkeypatch, "soak", "--completions", "5000")
    assert "no exception, all in [0, 1]" in capsys.readouterr().out


def test_a_slow_score_is_noticed(monkeypatch):
    monkeypatch.setattr(bench, "SLOWEST_ALLOWED", 0)
    with pytest.raises(ChemrError, match="value"):
        run(monkeypatch, "soak", "--completions", "10")
