"""The benchmarks' metrics agree with the libraries called directly, and comparisons with what is known of them."""

import random
from math import comb
from statistics import fmean

import nltk
import pytest
import sacrebleu
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem, MACCSkeys
from rouge_score import rouge_scorer
from sklearn import metrics as sklearn_metrics

from chemr_lite.answers import render
from chemr_lite.scoring.benchmarks import captions, choices, compare, details, meteor, pass_at, structures
from chemr_lite.scoring.judge import judge
from chemr_lite.scoring.metrics import summarise

GOLDS = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "Oc1ccccn1", "C[C@H](N)C(=O)O"]
ANSWERS = ["OCC", "c1ccccc1N", "CC(=O)Oc1ccccc1", "O=c1cccc[nH]1", "not a molecule"]
TOLD = [
    "The molecule is an indole alkaloid. It has a role as an antiparkinson drug and a dopamine agonist.",
    "The molecule is a fatty acid that is hexadecanoic acid.",
]
SAID = ["The molecule is an indole alkaloid. It has a role as a dopamine agonist.", "The molecule is a steroid ester."]
CLOSE = 1e-6


def row(task, question, answer, **meta):
    return {"task": task, "input": question, "answer": answer, "split": "test", "meta": meta}


def test_structures_agree_with_the_libraries():
    figures = structures(ANSWERS, GOLDS)
    mols = [(Chem.MolFromSmiles(a), Chem.MolFromSmiles(g)) for a, g in zip(ANSWERS, GOLDS, strict=True)][:4]
    for name, fingerprint in (
        ("morgan", lambda m: AllChem.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint(m)),
        ("maccs", MACCSkeys.GenMACCSKeys),
        ("rdk", Chem.RDKFingerprint),
    ):
        direct = fmean(DataStructs.FingerprintSimilarity(fingerprint(a), fingerprint(g)) for a, g in mols)
        assert figures[name] == pytest.approx(100 * direct, abs=CLOSE)
    assert figures["exact_inchi"] == 40.0  # ethanol, and the tautomer that canonical SMILES tells apart
    assert figures["levenshtein"] == pytest.approx(
        fmean(nltk.edit_distance(a, g) for a, g in zip(ANSWERS, GOLDS, strict=True)), abs=CLOSE
    )
    assert figures["bleu_characters"] == pytest.approx(
        sacrebleu.corpus_bleu(ANSWERS, [GOLDS], tokenize="char").score, abs=CLOSE
    )


def test_captions_agree_with_the_libraries():
    figures = captions(SAID, TOLD)
    for n in (2, 4):
        assert figures[f"bleu_{n}"] == pytest.approx(
            sacrebleu.BLEU(max_ngram_order=n).corpus_score(SAID, [TOLD]).score, abs=CLOSE
        )
    for name in ("rouge1", "rouge2", "rougeL"):
        scorer = rouge_scorer.RougeScorer([name], use_stemmer=True)
        direct = fmean(scorer.score(gold, said)[name].fmeasure for said, gold in zip(SAID, TOLD, strict=True))
        assert figures[name] == pytest.approx(100 * direct, abs=CLOSE)
    assert captions(TOLD, TOLD)["bleu_4"] == captions(TOLD, TOLD)["rougeL"] == 100


def test_meteor_without_wordnet_is_none(monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr("nltk.corpus.reader.wordnet.WordNetCorpusReader.__init__", lambda *args, **kwargs: None)
    assert meteor(SAID, TOLD) is None


def test_choices_agree_with_scikit_learn():
    rng = random.Random(0)
    rows = [row("yield_prediction/suzuki", f"C{'C' * i}>>O", rng.choice(("Yes", "No"))) for i in range(60)]
    lines = [judge(r, render(None, rng.choice(("Yes", "No")))) | {"p_yes": rng.random()} for r in rows]
    gold, said = [line["gold"] for line in lines], [line["answer"] for line in lines]
    figures = choices(lines)
    assert figures["f1"] == pytest.approx(100 * sklearn_metrics.f1_score(gold, said, pos_label="Yes"), abs=CLOSE)
    assert figures["balanced_accuracy"] == pytest.approx(
        100 * sklearn_metrics.balanced_accuracy_score(gold, said), abs=CLOSE
    )
    area = sklearn_metrics.roc_auc_score([g == "Yes" for g in gold], [line["p_yes"] for line in lines])
    assert figures["roc_auc"] == pytest.approx(100 * area, abs=CLOSE)


def test_no_answer_is_the_wrong_choice():
    lines = [judge(row("property_prediction/bbbp", "CCO", gold), "perhaps") for gold in ("Yes", "No")]
    assert choices(lines) == {"f1": 0.0, "balanced_accuracy": 0.0, "roc_auc": None}


@pytest.mark.parametrize(
    "task, meta, answer, met",
    [
        ("mol_edit_add", {"source": "CCOC", "add": "hydroxyl"}, "CCOCO", True),
        ("mol_edit_add", {"source": "CCOC", "add": "hydroxyl"}, "Oc1ccccc1", True),  # TOMG asks for no likeness
        ("mol_edit_add", {"source": "CCOC", "add": "hydroxyl"}, "OCCOCO", False),
        ("mol_opt_logp", {"source": "CCO", "property": "LogP", "direction": "increase"}, "CCCO", True),
        ("mol_opt_logp", {"source": "CCO", "property": "LogP", "direction": "increase"}, "OCCO", False),
    ],
)
def test_tomg_counts_by_its_own_rule(task, meta, answer, met):
    found = details([judge(row(f"open_generation/{task}", "Do it.", "", **meta), render("a", answer))])
    generator = AllChem.GetMorganGenerator(radius=2, fpSize=2048)
    alike = DataStructs.TanimotoSimilarity(
        *(generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in (answer, meta["source"]))
    )
    assert found == {"tomg_success": 100.0 * met, "tomg_weighted": pytest.approx(100 * met * alike, abs=CLOSE)}


def test_a_molecule_made_from_nothing_has_no_weighted_success():
    made = row("open_generation/mol_custom_atoms", "Do it.", "", atoms={"carbon": 2, "oxygen": 1})
    assert details([judge(made, render("a", "COC"))]) == {"tomg_success": 100.0, "tomg_weighted": None}


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


@pytest.mark.parametrize("n, c", [(8, 0), (8, 1), (8, 3), (8, 8), (5, 2)])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n, c, k):
    from itertools import combinations

    correct = [True] * c + [False] * (n - c)
    subsets = list(combinations(correct, k))
    assert len(subsets) == comb(n, k)
    assert pass_at(correct, k) == pytest.approx(fmean(any(subset) for subset in subsets))


def test_pass_at_more_than_there_are():
    with pytest.raises(ValueError, match="needs 9 samples"):
        pass_at([True] * 8, 9)


def answered(share, seed):
    rng = random.Random(seed)
    rows = [row("retrosynthesis", "C" * (i + 1), "CC(=O)O.CN") for i in range(400)]
    return [judge(r, render(None, r["answer"] if rng.random() < share else "CN")) for r in rows]


def test_a_comparison_finds_a_gain_and_not_one_that_is_not_there():
    low, high = answered(0.3, 1), answered(0.6, 2)
    gain, below, above = compare(low, high)["balanced"]
    assert gain == pytest.approx(summarise(high)["balanced"] - summarise(low)["balanced"], abs=0.01)
    assert 0 < below < gain < above
    standard_error = 100 * ((0.3 * 0.7 + 0.6 * 0.4) / 400) ** 0.5
    assert above - below == pytest.approx(2 * 1.96 * standard_error, rel=0.15)
    assert compare(low, low)["balanced"] == (0.0, 0.0, 0.0)


def test_only_common_rows_are_compared():
    low, high = answered(0.3, 1), answered(0.6, 2)
    assert compare(low[:200], high) == compare(low[:200], high[:200])
    with pytest.raises(ValueError, match="no row in common"):
        compare(low[:200], high[200:])
