"""The published benchmarks' own metrics, beside the one headline per task that rewards and tables use.

`details` computes, for the judged answers of one task (metrics.judge), what its benchmark reports. BLEU is sacrebleu's,
ROUGE rouge-score's, METEOR nltk's, Levenshtein rapidfuzz's; F1, balanced accuracy and ROC-AUC are scikit-learn's;
fingerprints, similarities and InChI are RDKit's. All on a scale of 0 to 100, except `levenshtein` (edits). What cannot be computed is None.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean

from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import MACCSkeys, rdFingerprintGenerator

from chemr_lite.registry import balance_shares
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import get_task
from chemr_lite.tasks.open_generation import OpenGeneration

RESAMPLES = 2000
# the benchmarks' settings: Morgan radius 2 with 2,048 bits, MACCS keys, RDKit's path fingerprint
FINGERPRINTS: dict[str, Callable] = {
    "morgan": rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint,
    "maccs": MACCSkeys.GenMACCSKeys,
    "rdk": Chem.RDKFingerprint,
}


def _rounded(value: float) -> float:
    """Six digits: enough to be compared with anyone's figure, and short enough for a file."""
    return round(float(value), 6)


def _percent(values: Sequence[float]) -> float:
    return _rounded(100 * fmean(values))


def details(lines: Sequence[dict]) -> dict[str, float | None]:
    """The metrics of one task's benchmark over its judged answers."""
    task = get_task(lines[0]["task"])
    if isinstance(task, OpenGeneration):
        return tomg(lines)
    if task.answers == "choice" and {line["gold"] for line in lines} <= {"Yes", "No"}:
        return choices(lines)
    if task.macro == "molecule_captioning":
        return captions([line["answer"] or "" for line in lines], [line["gold"] for line in lines])
    if task.answers == "molecule":
        return structures([line["answer"] or "" for line in lines], [line["gold"] for line in lines])
    return {}


def structures(answers: Sequence[str], golds: Sequence[str]) -> dict[str, float | None]:
    """Exact match by InChI, mean Tanimoto similarities over the valid answers, BLEU over characters, and edit distance.

    InChI calls tautomers the same that canonical SMILES tells apart (2-pyridone and 2-hydroxypyridine).
    """
    import sacrebleu
    from rapidfuzz.distance import Levenshtein

    pairs = [(parse_smiles(answer), parse_smiles(gold)) for answer, gold in zip(answers, golds, strict=True)]
    valid = [(said.mol, wanted.mol) for said, wanted in pairs if said.ok and wanted.ok]
    with rdBase.BlockLogs():
        inchi = [
            said.ok and wanted.ok and Chem.MolToInchi(said.mol) == Chem.MolToInchi(wanted.mol) for said, wanted in pairs
        ]
    figures: dict[str, float | None] = {"exact_inchi": _percent(inchi)}
    for name, fingerprint in FINGERPRINTS.items():
        alike = [DataStructs.TanimotoSimilarity(fingerprint(said), fingerprint(wanted)) for said, wanted in valid]
        figures[name] = _percent(alike) if alike else None
    figures["bleu_characters"] = _rounded(
        sacrebleu.BLEU(tokenize="char").corpus_score(list(answers), [list(golds)]).score
    )
    figures["levenshtein"] = _rounded(
        fmean(Levenshtein.distance(answer, gold) for answer, gold in zip(answers, golds, strict=True))
    )
    return figures


def captions(answers: Sequence[str], golds: Sequence[str]) -> dict[str, float | None]:
    """BLEU-2 and -4 of the corpus, mean ROUGE-1, -2 and -L (F, stemmed), mean METEOR (None without WordNet's data)."""
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    figures: dict[str, float | None] = {
        f"bleu_{n}": _rounded(sacrebleu.BLEU(max_ngram_order=n).corpus_score(list(answers), [list(golds)]).score)
        for n in (2, 4)
    }
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    scores = [scorer.score(gold, answer) for answer, gold in zip(answers, golds, strict=True)]
    for name in scorer.rouge_types:
        figures[name] = _percent([score[name].fmeasure for score in scores])
    return figures | {"meteor": meteor(answers, golds)}


def meteor(answers: Sequence[str], golds: Sequence[str]) -> float | None:
    """Mean METEOR; None where WordNet is not at hand (`python -m nltk.downloader wordnet`)."""
    from nltk.corpus import wordnet
    from nltk.translate.meteor_score import meteor_score

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return None
    return _percent([meteor_score([gold.split()], answer.split()) for answer, gold in zip(answers, golds, strict=True)])


def choices(lines: Sequence[dict]) -> dict[str, float | None]:
    """F1 of Yes, balanced accuracy, and ROC-AUC from `p_yes` where every line has it. No answer counts as the wrong one;
    where all gold answers are alike there is nothing to tell apart, and all are None."""
    from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

    gold = [line["gold"] == "Yes" for line in lines]
    said = [wanted if line["correct"] else not wanted for line, wanted in zip(lines, gold, strict=True)]
    if len(set(gold)) == 1:
        return dict.fromkeys(("f1", "balanced_accuracy", "roc_auc"))
    scored = all(line.get("p_yes") is not None for line in lines)
    return {
        "f1": _rounded(100 * f1_score(gold, said, zero_division=0.0)),
        "balanced_accuracy": _rounded(100 * balanced_accuracy_score(gold, said)),
        "roc_auc": _rounded(100 * roc_auc_score(gold, [line["p_yes"] for line in lines])) if scored else None,
    }


def tomg(lines: Sequence[dict]) -> dict[str, float | None]:
    """TOMG-Bench's success rate, and for edits and optimisations its weighted one: success × Morgan similarity."""
    task, met, weighted = get_task(lines[0]["task"]), [], []
    for line in lines:
        answer, source = parse_smiles(line["answer"] or ""), parse_smiles(line["meta"].get("source", ""))
        met.append(answer.ok and task.meets(answer, source, line))
        if source.ok:
            prints = [FINGERPRINTS["morgan"](parsed.mol) for parsed in (answer, source)] if met[-1] else None
            weighted.append(DataStructs.TanimotoSimilarity(*prints) if prints else 0.0)
    return {"tomg_success": _percent(met), "tomg_weighted": _percent(weighted) if weighted else None}


def pass_at(correct: Sequence[bool], k: int) -> float:
    """The chance that one of `k` of these samples is right, in [0, 1]: 1 − C(n − c, k) / C(n, k) (Chen et al. 2021)."""
    n, c = len(correct), sum(correct)
    if k > n:
        raise ValueError(f"pass@{k} needs {k} samples, there are {n}")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def compare(before: Sequence[dict], after: Sequence[dict], seed: int = 0) -> dict:
    """What `after` gains over `before` on the rows both answered: balanced, by macro-task and by task.

    Each is (gain, low, high) in points, with the 95 % interval of a bootstrap over rows within each task; the two
    answers of a row stay together, so that the difficulty of rows cancels.
    """
    first = {(line["task"], line["input"]): line["score"] for line in before}
    gains = defaultdict(list)
    for line in after:
        if (line["task"], line["input"]) in first:
            gains[line["task"]].append(line["score"] - first[line["task"], line["input"]])
    if not gains:
        raise ValueError("the two have no row in common")
    rng = random.Random(seed)
    means = {
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
        name: _interval([_weighted(means, members, shares, at) for at in range(RESAMPLES + 1)])
        for name, members in groups.items()
    }


def _weighted(means: dict[str, list[float]], members: list[str], shares: dict[str, float], at: int) -> float:
    return sum(shares[task] * means[task][at] for task in members) / sum(shares[task] for task in members)


def _interval(draws: list[float]) -> tuple[float, float, float]:
    value, ordered = draws[0], sorted(draws[1:])
    low, high = (ordered[round(share * (RESAMPLES - 1))] for share in (0.025, 0.975))
    return tuple(round(100 * number, 2) for number in (value, low, high))
