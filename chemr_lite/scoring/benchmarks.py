"""The metrics that published benchmarks report, beside the one headline per task that rewards and tables use.

`details` takes the judged answers of one task (`scoring.judge`). BLEU and METEOR come from nltk, ROUGE from
rouge-score, Levenshtein from rapidfuzz, F1, balanced accuracy and ROC-AUC from scikit-learn, and fingerprints,
similarities and InChI from RDKit. All go from 0 to 100, except `levenshtein` (edits). A metric that cannot be computed
is None.

Structures and captions are measured as by MolT5's evaluator (evaluation/ at 754f9bf), which has no gate. LlaSMol and
ChemLLMBench use it too. `recipes/studies/evaluators.py` holds all figures against the released evaluators.
"""

import math
import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import MACCSkeys, rdFingerprintGenerator

from chemr_lite.reasons import Reason
from chemr_lite.registry import balance_shares
from chemr_lite.smiles import key_or_text, parse_smiles
from chemr_lite.tasks import get_task
from chemr_lite.tasks.open_generation import OpenGeneration

RESAMPLES = 2000  # of the bootstrap
SCIBERT = "allenai/scibert_scivocab_uncased"  # its word pieces are the words of BLEU and METEOR
FINGERPRINTS: dict[str, Callable] = {
    "morgan": rdFingerprintGenerator.GetMorganGenerator(radius=2).GetSparseCountFingerprint,
    "maccs": MACCSkeys.GenMACCSKeys,
    "rdk": Chem.RDKFingerprint,
}
MORGAN_BITS = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint  # TOMG-Bench's


def _rounded(value: float) -> float:
    """Round to six decimals: enough to compare with published figures, and short enough for a file."""
    return round(float(value), 6)


def _percent(values: Sequence[float]) -> float:
    return _rounded(100 * fmean(values))


def details(lines: Sequence[dict]) -> dict[str, float | None]:
    """Return the metrics of one task's benchmark over its judged answers."""
    task = get_task(lines[0]["task"])
    if isinstance(task, OpenGeneration):
        return tomg(lines) | variety([line["answer"] for line in lines])
    if task.answers == "choice" and {line["gold"] for line in lines} <= {"Yes", "No"}:
        return choices(lines)
    if task.macro == "molecule_captioning":
        return captions([line["answer"] or "" for line in lines], [line["gold"] for line in lines])
    if task.answers == "molecule":
        return structures([line["answer"] or "" for line in lines], [line["gold"] for line in lines])
    return {}


def structures(answers: Sequence[str], golds: Sequence[str]) -> dict[str, float | None]:
    """Return exact match by InChI, mean Tanimoto similarities of valid answers, character BLEU and edit distance.

    An answer is valid if RDKit reads a molecule in it that is not too large: fingerprints of some would take for ever.
    InChI does not distinguish some tautomers that canonical SMILES does (2-pyridone and 2-hydroxypyridine).
    """
    from nltk.translate.bleu_score import corpus_bleu  # optional and slow to import
    from rapidfuzz.distance import Levenshtein

    pairs = list(zip(answers, golds, strict=True))
    with rdBase.BlockLogs():
        mols = [(_read(answer), Chem.MolFromSmiles(gold)) for answer, gold in pairs]
        valid = [(answer, gold) for answer, gold in mols if answer is not None]
        same_inchi = [Chem.MolToInchi(answer) == Chem.MolToInchi(gold) for answer, gold in valid]
    figures: dict[str, float | None] = {"exact_inchi": _rounded(100 * sum(same_inchi) / len(pairs))}
    for name, fingerprint in FINGERPRINTS.items():
        similarities = [
            DataStructs.TanimotoSimilarity(fingerprint(answer), fingerprint(gold)) for answer, gold in valid
        ]
        figures[name] = _percent(similarities) if similarities else None
    with _without_warnings():
        bleu = corpus_bleu([[list(gold)] for gold in golds], [list(answer) for answer in answers])
    figures["bleu_characters"] = _rounded(100 * bleu)
    figures["levenshtein"] = _rounded(fmean(Levenshtein.distance(answer, gold) for answer, gold in pairs))
    return figures


def _read(answer: str) -> Chem.Mol | None:
    """Return what RDKit reads in an answer; None for nothing, and for what is too large."""
    if not answer or parse_smiles(answer).reason in (Reason.TOO_LONG, Reason.TOO_COMPLEX):
        return None
    return Chem.MolFromSmiles(answer)


def captions(answers: Sequence[str], golds: Sequence[str]) -> dict[str, float | None]:
    """Return mean ROUGE-1, -2 and -L (F), and corpus BLEU-2 and -4 and mean METEOR over SciBERT's word pieces.

    BLEU and METEOR are None without SciBERT's tokenizer (`hf download allenai/scibert_scivocab_uncased vocab.txt`), and
    METEOR also without WordNet (`python -m nltk.downloader wordnet`).
    """
    from rouge_score.rouge_scorer import RougeScorer  # optional and slow to import

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    scores = [scorer.score(gold, answer) for answer, gold in zip(answers, golds, strict=True)]
    figures: dict[str, float | None] = {
        name: _percent([score[name].fmeasure for score in scores]) for name in scorer.rouge_types
    }
    return figures | _bleu_and_meteor(answers, golds)


def _bleu_and_meteor(answers: Sequence[str], golds: Sequence[str]) -> dict[str, float | None]:
    from nltk.corpus import wordnet  # optional and slow to import
    from nltk.translate.bleu_score import corpus_bleu
    from nltk.translate.meteor_score import meteor_score
    from transformers import BertTokenizerFast

    figures: dict[str, float | None] = dict.fromkeys(("bleu_2", "bleu_4", "meteor"))
    try:
        tokenizer = BertTokenizerFast.from_pretrained(SCIBERT, local_files_only=True)
    except (OSError, ValueError, TypeError):
        return figures
    words, references = (
        [tokenizer.tokenize(text, truncation=True, max_length=512) for text in texts] for texts in (answers, golds)
    )
    for n in (2, 4):
        with _without_warnings():
            bleu = corpus_bleu([[reference] for reference in references], words, weights=[1 / n] * n)
        figures[f"bleu_{n}"] = _rounded(100 * bleu)
    try:
        wordnet.ensure_loaded()
    except LookupError:
        return figures
    pairs = zip(references, words, strict=True)
    return figures | {"meteor": _percent([meteor_score([reference], answer) for reference, answer in pairs])}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep nltk from warning of answers that share no long n-gram with their gold; their BLEU is close to 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def choices(lines: Sequence[dict]) -> dict[str, float | None]:
    """Return F1 of Yes, balanced accuracy, and ROC-AUC if every line has `p_yes`.

    A line without an answer counts as wrong. If all gold answers are the same, all three are None.
    """
    from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score  # optional and slow to import

    golds = [line["gold"] == "Yes" for line in lines]
    answers = [gold if line["correct"] else not gold for line, gold in zip(lines, golds, strict=True)]
    if len(set(golds)) == 1:
        return dict.fromkeys(("f1", "balanced_accuracy", "roc_auc"))
    has_probabilities = all(line.get("p_yes") is not None for line in lines)
    roc_auc = _rounded(100 * roc_auc_score(golds, [line["p_yes"] for line in lines])) if has_probabilities else None
    return {
        "f1": _rounded(100 * f1_score(golds, answers, zero_division=0.0)),
        "balanced_accuracy": _rounded(100 * balanced_accuracy_score(golds, answers)),
        "roc_auc": roc_auc,
    }


def tomg(lines: Sequence[dict]) -> dict[str, float | None]:
    """Return what TOMG-Bench's evaluator (evaluate.py at 692f6b1) says of the answers, without our gate.

    These are its success rate and, for edits and optimisations, the mean Morgan similarity of valid answers to their
    source, and the product of the two: the weighted success of its leaderboard.
    """
    task, successes, similarities = get_task(lines[0]["task"]), [], []
    for line in lines:
        with rdBase.BlockLogs():
            answer = Chem.MolFromSmiles(line["answer"]) if line["answer"] else None
        successes.append(answer is not None and task.meets(line["answer"], line))
        if answer is not None and "source" in line["meta"]:
            source = Chem.MolFromSmiles(line["meta"]["source"])
            similarities.append(DataStructs.TanimotoSimilarity(MORGAN_BITS(answer), MORGAN_BITS(source)))
    success, similarity = _percent(successes), _percent(similarities) if similarities else None
    weighted = None if similarity is None else _rounded(success * similarity / 100)
    return {"tomg_success": success, "tomg_similarity": similarity, "tomg_weighted": weighted}


def variety(answers: Sequence[str | None]) -> dict[str, float | None]:
    """Return the share of different answers and that of the commonest, in percent of the answers that were given.

    Two spellings of a molecule are one answer. A model that gives every question the same answer can still score.
    """
    given = Counter(key_or_text(answer) for answer in answers if answer)
    if not given:
        return {"distinct": None, "commonest": None}
    return {
        "distinct": _rounded(100 * len(given) / given.total()),
        "commonest": _rounded(100 * max(given.values()) / given.total()),
    }


def pass_at(correct: Sequence[bool], k: int) -> float:
    """Return the chance in [0, 1] that one of `k` of these samples is right: 1 − C(n − c, k) / C(n, k).

    The formula is Chen et al.'s (2021). Raises ValueError if there are fewer than `k` samples.
    """
    n, c = len(correct), sum(correct)
    if k > n:
        raise ValueError(f"pass@{k} needs {k} samples, there are {n}")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def compare(before: Sequence[dict], after: Sequence[dict], seed: int = 0) -> dict:
    """Return the gain of `after` over `before` on their common rows: balanced, by macro-task and by task.

    Each is (gain, low, high) in points, with the 95 % interval of a bootstrap over rows within each task. The two
    answers to a row stay together, so that the difficulty of rows cancels. Raises ValueError without a common row.
    """
    scores_before = {(line["task"], line["input"]): line["score"] for line in before}
    gains = defaultdict(list)
    for line in after:
        if (line["task"], line["input"]) in scores_before:
            gains[line["task"]].append(line["score"] - scores_before[line["task"], line["input"]])
    if not gains:
        raise ValueError("the two have no row in common")
    rng = random.Random(seed)
    means = {  # of each task: the mean gain, then those of the resamples
        task: [fmean(values)] + [fmean(rng.choices(values, k=len(values))) for _ in range(RESAMPLES)]
        for task, values in gains.items()
    }
    shares = balance_shares(list(gains))
    macros = {get_task(task).macro for task in gains}
    groups = {"balanced": list(gains)} | {
        macro: [task for task in gains if get_task(task).macro == macro] for macro in sorted(macros)
    }
    groups |= {task: [task] for task in gains}
    return {
        name: _interval([_weighted_mean(means, members, shares, i) for i in range(RESAMPLES + 1)])
        for name, members in groups.items()
    }


def _weighted_mean(means: dict[str, list[float]], members: list[str], shares: dict[str, float], i: int) -> float:
    return sum(shares[task] * means[task][i] for task in members) / sum(shares[task] for task in members)


def _interval(gains: list[float]) -> tuple[float, float, float]:
    """Return the first of `gains` with the 2.5 % and 97.5 % quantiles of the others, in points."""
    gain, ordered = gains[0], sorted(gains[1:])
    low, high = (ordered[round(share * (RESAMPLES - 1))] for share in (0.025, 0.975))
    return tuple(round(100 * value, 2) for value in (gain, low, high))
