"""Baselines that need no language model, to read beside the figures of every model.

majority     the commonest training answer of the task, also for molecules and texts
copy         the question's own molecule or text
neighbour    the answer of the most similar training question of the task
forest       a random forest on Morgan fingerprints for Yes/No tasks; no answer for others

Each takes the training rows and the rows to answer, and returns the judged answers in the order of the rows.
"""

from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
from rdkit.Chem import rdFingerprintGenerator

from chemr_lite import get_task, render
from chemr_lite.scoring.judge import judge
from chemr_lite.smiles import parse_smiles

MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)


def majority(train: list[dict], rows: list[dict]) -> list[dict]:
    """Answer with the commonest training answer of the task."""
    commonest = {
        task: Counter(row["answer"] for row in group).most_common(1)[0][0] for task, group in _by_task(train).items()
    }
    return _judged(rows, {i: commonest[row["task"]] for i, row in enumerate(rows) if row["task"] in commonest})


def copy(train: list[dict], rows: list[dict]) -> list[dict]:
    """Answer with the source molecule or the question itself."""
    return _judged(rows, {i: row["meta"].get("source", row["input"]) for i, row in enumerate(rows)})


def neighbour(train: list[dict], rows: list[dict]) -> list[dict]:
    """Answer as the most similar training question is answered.

    Molecules are compared by the Tanimoto similarity of Morgan counts, other questions by TF-IDF of 1 to 3 characters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # optional and slow to import

    train_of, answers = _by_task(train), {}
    for task, group in _by_task(rows).items():
        positions = [i for i, row in enumerate(rows) if row["task"] == task]
        if task not in train_of:
            continue
        train_counts = [morgan_counts(row) for row in train_of[task]]
        test_counts = [morgan_counts(row) for row in group]
        if any(counts is None for counts in (*train_counts, *test_counts)):
            vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
            matrix = vectorizer.fit_transform(row["input"] for row in train_of[task])
            similarities = (matrix @ vectorizer.transform([row["input"]]).T for row in group)
            nearest = [int(np.asarray(similarity.todense()).argmax()) for similarity in similarities]
        else:
            table = np.stack(train_counts)
            sizes = table.sum(1)
            nearest = []
            for counts in test_counts:
                common = np.minimum(table, counts).sum(1)
                nearest.append(int((common / np.maximum(sizes + counts.sum() - common, 1)).argmax()))
        answers |= {i: train_of[task][best]["answer"] for i, best in zip(positions, nearest, strict=True)}
    return _judged(rows, answers)


def forest(train: list[dict], rows: list[dict]) -> list[dict]:
    """Answer Yes/No tasks by a random forest on Morgan counts; the lines also have its `p_yes`."""
    from sklearn.ensemble import RandomForestClassifier  # optional and slow to import

    train_of, answers, p_yes = _by_task(train), {}, {}
    for task in _by_task(rows):
        labels = {row["answer"] for row in train_of.get(task, ())}
        if get_task(task).answers != "choice" or labels != {"Yes", "No"}:
            continue
        examples = [(morgan_counts(row), row["answer"]) for row in train_of[task]]
        examples = [(counts, answer) for counts, answer in examples if counts is not None]
        model = RandomForestClassifier(500, random_state=0, n_jobs=-1).fit(
            np.stack([counts for counts, _ in examples]), [answer for _, answer in examples]
        )
        test_counts = {i: morgan_counts(row) for i, row in enumerate(rows) if row["task"] == task}
        test_counts = {i: counts for i, counts in test_counts.items() if counts is not None}
        if test_counts:
            yes = list(model.classes_).index("Yes")
            shares = model.predict_proba(np.stack(list(test_counts.values())))[:, yes]
            p_yes |= dict(zip(test_counts, shares.tolist(), strict=True))
            answers |= {i: "Yes" if p_yes[i] > 0.5 else "No" for i in test_counts}
    return [line | ({"p_yes": p_yes[i]} if i in p_yes else {}) for i, line in enumerate(_judged(rows, answers))]


BASELINES: dict[str, Callable[[list[dict], list[dict]], list[dict]]] = {
    "majority": majority,
    "copy": copy,
    "neighbour": neighbour,
    "forest": forest,
}


def morgan_counts(row: dict) -> np.ndarray | None:
    """Return the summed Morgan counts of the molecules in a question, of shape (2048,), or None for one in words."""
    parts = [parse_smiles(part) for part in row["meta"].get("source", row["input"]).replace(">>", ".").split(".")]
    counts = [MORGAN.GetCountFingerprintAsNumPy(part.mol) for part in parts if part.ok]
    return np.sum(counts, axis=0).astype("float32") if counts else None


def _by_task(rows: list[dict]) -> dict[str, list[dict]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["task"]].append(row)
    return grouped


def _judged(rows: list[dict], answers: dict[int, str]) -> list[dict]:
    return [judge(row, render(None, answers[i]) if i in answers else "") for i, row in enumerate(rows)]
