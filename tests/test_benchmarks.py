"""The benchmarks' metrics agree with direct calls of their libraries, and comparisons with known gains."""

import random
from itertools import combinations
from math import comb
from statistics import fmean

import nltk
import pytest
from nltk.corpus.util import LazyCorpusLoader
from nltk.translate.bleu_score import corpus_bleu
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem, MACCSkeys
from rouge_score import rouge_scorer
from sklearn import metrics as sklearn_metrics
from transformers import BertTokenizerFast

from chemr_lite.answers import render
from chemr_lite.scoring.benchmarks import captions, choices, compare, details, pass_at, structures, tomg, variety
from chemr_lite.scoring.judge import judge
from chemr_lite.scoring.metrics import summarise

GOLDS = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "Oc1ccccn1", "C[C@H](N)C(=O)O"]
ANSWERS = ["OCC", "c1ccccc1N", "CC(=O)Oc1ccccc1", "O=c1cccc[nH]1", "not a molecule"]
GOLD_CAPTIONS = [
    "The molecule is an indole alkaloid. It has a role as an antiparkinson drug and a dopamine agonist.",
    "The molecule is a fatty acid that is hexadecanoic acid.",
]
CAPTIONS = [
    "The molecule is an indole alkaloid. It has a role as a dopamine agonist.",
    "The molecule is a steroid ester.",
]
CLOSE = 1e-6


def row(task, question, answer, **meta):
    return {"task": task, "input": question, "answer": answer, "split": "test", "meta": meta}


def test_structures_agree_with_the_libraries():
    figures = structures(ANSWERS, GOLDS)
    mols = [(Chem.MolFromSmiles(a), Chem.MolFromSmiles(g)) for a, g in zip(ANSWERS, GOLDS, strict=True)][:4]
    for name, fingerprint in (
        ("morgan", lambda m: AllChem.GetMorganFingerprint(m, 2)),  # counts, as MolT5 has it
        ("maccs", MACCSkeys.GenMACCSKeys),
        ("rdk", Chem.RDKFingerprint),
    ):
        direct = fmean(DataStructs.TanimotoSimilarity(fingerprint(a), fingerprint(g)) for a, g in mols)
        assert figures[name] == pytest.approx(100 * direct, abs=CLOSE)
    assert figures["exact_inchi"] == 40.0  # ethanol, and the tautomer that canonical SMILES tells apart
    assert figures["levenshtein"] == pytest.approx(
        fmean(nltk.edit_distance(a, g) for a, g in zip(ANSWERS, GOLDS, strict=True)), abs=CLOSE
    )
    assert figures["bleu_characters"] == pytest.approx(
        100 * corpus_bleu([[list(gold)] for gold in GOLDS], [list(answer) for answer in ANSWERS]), abs=CLOSE
    )


def test_structures_are_read_as_the_benchmarks_read_them():
    golds = ["CCO", "CCO", "CCO"]
    prose, mixture, empty = (structures([answer, "CCO", "C"], golds) for answer in ("CCO and prose", "CCO.O", ""))
    assert prose["exact_inchi"] == pytest.approx(200 / 3, abs=CLOSE)  # RDKit reads no further than the blank
    assert mixture["exact_inchi"] == empty["exact_inchi"] == pytest.approx(100 / 3, abs=CLOSE)
    assert empty["maccs"] == structures(["CCO", "C"], golds[:2])["maccs"]  # nothing is no molecule


@pytest.fixture
def scibert(tmp_path, monkeypatch):
    """A tokenizer of the kind of SciBERT's, in the place of it."""
    words = " ".join(GOLD_CAPTIONS + CAPTIONS).lower().replace(".", " . ").replace("ist", " ##ist").split()
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words)])
    )
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.setattr("chemr_lite.scoring.benchmarks.SCIBERT", str(tmp_path))
    return BertTokenizerFast.from_pretrained(str(tmp_path))


def test_captions_agree_with_the_libraries(scibert):
    figures = captions(CAPTIONS, GOLD_CAPTIONS)
    words, golds = (list(map(scibert.tokenize, texts)) for texts in (CAPTIONS, GOLD_CAPTIONS))
    assert "##ist" in words[0]
    for n in (2, 4):
        direct = corpus_bleu([[gold] for gold in golds], words, weights=[1 / n] * n)
        assert figures[f"bleu_{n}"] == pytest.approx(100 * direct, abs=CLOSE)
    for name in ("rouge1", "rouge2", "rougeL"):
        scorer = rouge_scorer.RougeScorer([name])
        direct = fmean(
            scorer.score(gold, caption)[name].fmeasure for caption, gold in zip(CAPTIONS, GOLD_CAPTIONS, strict=True)
        )
        assert figures[name] == pytest.approx(100 * direct, abs=CLOSE)
    assert captions(GOLD_CAPTIONS, GOLD_CAPTIONS)["bleu_4"] == captions(GOLD_CAPTIONS, GOLD_CAPTIONS)["rougeL"] == 100


def test_meteor_without_wordnet_is_none(scibert, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr("nltk.corpus.wordnet", LazyCorpusLoader("wordnet", nltk.corpus.reader.WordNetCorpusReader))
    figures = captions(CAPTIONS, GOLD_CAPTIONS)
    assert figures["meteor"] is None and figures["bleu_2"] > 0


def test_bleu_without_scibert_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("chemr_lite.scoring.benchmarks.SCIBERT", str(tmp_path / "nowhere"))
    figures = captions(CAPTIONS, GOLD_CAPTIONS)
    assert figures["bleu_2"] is figures["bleu_4"] is figures["meteor"] is None
    assert figures["rougeL"] > 0


def test_choices_agree_with_scikit_learn():
    rng = random.Random(0)
    rows = [row("yield_prediction/suzuki", f"C{'C' * i}>>O", rng.choice(("Yes", "No"))) for i in range(60)]
    lines = [judge(r, render(None, rng.choice(("Yes", "No")))) | {"p_yes": rng.random()} for r in rows]
    golds, answers = [line["gold"] for line in lines], [line["answer"] for line in lines]
    figures = choices(lines)
    assert figures["f1"] == pytest.approx(100 * sklearn_metrics.f1_score(golds, answers, pos_label="Yes"), abs=CLOSE)
    assert figures["balanced_accuracy"] == pytest.approx(
        100 * sklearn_metrics.balanced_accuracy_score(golds, answers), abs=CLOSE
    )
    roc_auc = sklearn_metrics.roc_auc_score([gold == "Yes" for gold in golds], [line["p_yes"] for line in lines])
    assert figures["roc_auc"] == pytest.approx(100 * roc_auc, abs=CLOSE)


def test_no_answer_is_the_wrong_choice():
    lines = [judge(row("property_prediction/bbbp", "CCO", gold), "perhaps") for gold in ("Yes", "No")]
    assert choices(lines) == {"f1": 0.0, "balanced_accuracy": 0.0, "roc_auc": None}


@pytest.mark.parametrize(
    "task, meta, answer, success",
    [
        ("mol_edit_add", {"source": "CCOC", "add": "hydroxyl"}, "CCOCO", True),
        ("mol_edit_add", {"source": "CCOC", "add": "hydroxyl"}, "Oc1ccccc1", True),  # TOMG requires no similarity
        ("mol_edit_add", {"source": "CCOC", "add": "hydroxyl"}, "OCCOCO", False),
        ("mol_opt_logp", {"source": "CCO", "property": "LogP", "direction": "increase"}, "CCCO", True),
        ("mol_opt_logp", {"source": "CCO", "property": "LogP", "direction": "increase"}, "OCCO", False),
    ],
)
def test_tomg_counts_by_its_own_rule(task, meta, answer, success):
    figures = tomg([judge(row(f"open_generation/{task}", "Do it.", "", **meta), render("a", answer))])
    generator = AllChem.GetMorganGenerator(radius=2, fpSize=2048)
    similarity = DataStructs.TanimotoSimilarity(
        *(generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in (answer, meta["source"]))
    )
    assert figures == {
        "tomg_success": 100.0 * success,
        "tomg_similarity": pytest.approx(100 * similarity, abs=CLOSE),
        "tomg_weighted": pytest.approx(100 * success * similarity, abs=CLOSE),
    }


ATOMS, NO_DOUBLE = {"atoms": {"carbon": 2, "oxygen": 1}}, {"bonds": {"single": 2, "double": 0}}


@pytest.mark.parametrize(
    ("task", "meta", "answer", "success", "ours"),
    [
        ("mol_custom_atoms", ATOMS, "CCO and more", True, False),  # RDKit reads up to the first blank
        ("mol_custom_atoms", ATOMS, "[Na+].CC[O-]", True, False),  # the evaluator has no name for sodium
        ("mol_custom_atoms", ATOMS, "CC.O", True, False),
        ("mol_custom_atoms", ATOMS, "", False, False),
        ("mol_custom_bonds", NO_DOUBLE, "CC(=O)", False, False),
        ("mol_custom_bonds", NO_DOUBLE, "CC(=O)C", True, False),  # of what 0 are asked for it does not look
    ],
)
def test_the_benchmark_is_laxer_than_our_score(task, meta, answer, success, ours):
    line = judge(row(f"open_generation/{task}", "Do it.", "", **meta), render("a", answer))
    assert (details([line])["tomg_success"] == 100, line["correct"]) == (success, ours)


def test_a_molecule_without_a_source_has_no_weighted_success():
    custom = row("open_generation/mol_custom_atoms", "Do it.", "", atoms={"carbon": 2, "oxygen": 1})
    assert tomg([judge(custom, render("a", "COC"))]) == {
        "tomg_success": 100.0,
        "tomg_similarity": None,
        "tomg_weighted": None,
    }


def test_every_task_has_its_details():
    rows = [
        row("molecule_captioning", "CCO", "The molecule is ethanol."),
        row("molecule_design", "The molecule is ethanol.", "CCO"),
        row("name_prediction/iupac_to_smiles", "ethanol", "CCO"),
        row("name_prediction/smiles_to_iupac", "CCO", "ethanol"),
        row("retrosynthesis", "CC(=O)NC", "CC(=O)O.CN"),
        row("reagent_selection/solvent", "List: CO, CC#N", "CO", candidates=["CO", "CC#N"], accepted=["CO"]),
    ]
    for r in rows:
        figures = details([judge(r, render("a", r["answer"])), judge(r, "no tags")])
        assert all(value is None or 0 <= value <= 100 for value in figures.values())


def test_variety_counts_molecules_and_not_spellings():
    found = variety(["CCO", "OCC", "C", None, ""])
    assert found == {"distinct": pytest.approx(200 / 3), "commonest": pytest.approx(200 / 3)}
    assert variety([None, ""]) == {"distinct": None, "commonest": None}


@pytest.mark.parametrize("n, c", [(8, 0), (8, 1), (8, 3), (8, 8), (5, 2)])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n, c, k):
    correct = [True] * c + [False] * (n - c)
    subsets = list(combinations(correct, k))
    assert len(subsets) == comb(n, k)
    assert pass_at(correct, k) == pytest.approx(fmean(any(subset) for subset in subsets))


def test_pass_at_more_than_there_are():
    with pytest.raises(ValueError, match="needs 9 samples"):
        pass_at([True] * 8, 9)


def judged_answers(share, seed):
    """Judge answers to 400 rows, of which about `share` are right."""
    rng = random.Random(seed)
    rows = [row("retrosynthesis", "C" * (i + 1), "CC(=O)O.CN") for i in range(400)]
    return [judge(r, render(None, r["answer"] if rng.random() < share else "CN")) for r in rows]


def test_a_comparison_finds_a_gain_only_where_there_is_one():
    low, high = judged_answers(0.3, 1), judged_answers(0.6, 2)
    gain, lower, upper = compare(low, high)["balanced"]
    assert gain == pytest.approx(summarise(high)["balanced"] - summarise(low)["balanced"], abs=0.01)
    assert 0 < lower < gain < upper
    standard_error = 100 * ((0.3 * 0.7 + 0.6 * 0.4) / 400) ** 0.5
    assert upper - lower == pytest.approx(2 * 1.96 * standard_error, rel=0.15)
    assert compare(low, low)["balanced"] == (0.0, 0.0, 0.0)


def test_only_common_rows_are_compared():
    low, high = judged_answers(0.3, 1), judged_answers(0.6, 2)
    assert compare(low[:200], high) == compare(low[:200], high[:200])
    with pytest.raises(ValueError, match="no row in common"):
        compare(low[:200], high[200:])
