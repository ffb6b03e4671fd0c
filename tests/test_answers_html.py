"""The page to read answers on: a model's text is escaped, claims are marked, nothing is fetched."""

import re

import pytest

from chemr_lite import render
from chemr_lite.scoring.judge import judge
from recipes.training import answers_html

RETRO = {"task": "retrosynthesis", "input": "CNC(C)=O", "answer": "CC(=O)O.CN", "meta": {}}
CAPTION = {"task": "molecule_captioning", "input": "CCO", "answer": "The molecule is an alcohol.", "meta": {}}
OPT = {
    "task": "open_generation/mol_opt_logp", "input": "Increase the LogP of CCO.", "answer": "",
    "meta": {"source": "CCO", "property": "LogP", "direction": "increase"},
}  # fmt: skip


def written(tmp_path, *judged) -> str:
    answers_html.write(list(judged), tmp_path / "show.html", "a model", 5)
    return (tmp_path / "show.html").read_text()


def test_claims_are_marked_and_molecules_drawn(tmp_path):
    text = written(tmp_path, judge(RETRO, render("The product has an amide and a nitrile.", "CN.CC(=O)O")))
    assert re.search(r'<mark class="yes" title="group: [^"]*amide[^"]*">amide</mark>', text)
    assert re.search(r'<mark class="no" title="group: [^"]*nitrile[^"]*">nitrile</mark>', text)
    assert text.count("<svg ") == 3  # the product, the answer and the recorded reactants
    assert "1 of 2 claims supported" in text and "correct" in text


@pytest.mark.parametrize("row", [RETRO, CAPTION, OPT])
def test_what_a_model_wrote_is_escaped(row, tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)> & an amide\"'"
    for completion in (evil, render(evil, evil), "<think>" + evil, ""):
        text = written(tmp_path, judge(row, completion))
        assert "<script" not in text and "<img" not in text
        assert not re.search(r"<mark[^>]*<", text)


def test_nothing_is_fetched(tmp_path):
    text = written(
        tmp_path,
        judge(RETRO, render("An amide.", "CN")),
        judge(CAPTION, render(None, "An alcohol.")),
        judge(OPT, render("x", "CCC")),
    )
    links = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert all(
        link.startswith(("http://www.w3.org/", "http://www.rdkit.org/xml")) for link in links
    )  # names of formats, not addresses
    assert "src=" not in text and "<link" not in text


def test_only_so_many_of_each_task(tmp_path):
    answers_html.write([judge(RETRO, render("a", "CN"))] * 9, tmp_path / "show.html", "a model", 2)
    assert (tmp_path / "show.html").read_text().count("<article>") == 2
