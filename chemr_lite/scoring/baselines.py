"""What needs no language model: the figures every model should be read beside.

majority     the commonest training answer of the task (of molecules and texts: the commonest, too)
copy         the question's own molecule or text back
neighbour    the answer of the most similar training question of the task
forest       a random forest on Morgan fingerprints, for Yes/No tasks; elsewhere no answer

"""

from collections import Counter, defaultdict
from collections.abc import Callable

from rdkit.Chem import rdFingerprintGenerator

from chemr_lite import get_task, render
from chemr_lite.scoring.judge import judge
from chemr_lite.smiles import parse_smiles

MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)


def _by_task(rows: list[dict]) -> dict[str, list[dict]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["task"]].append(row)
    return grouped


def _judged(rows: list[dict], answers: dict[int, str]) -> list[dict]:
    return [judge(row, render(None, answers[i]) if i in answers else "") for i, row in enumerate(rows)]


def majority(train: list[dict], rows: list[dict]) -> list[dict]:
    common = {
        task: Counter(row["answer"] for row in group).most_common(1)[0][0] for task, group in _by_task(train).items()
    }
    return _judged(rows, {i: common[row["task"]] for i, row in enumerate(rows) if row["task"] in common})


def copy(train: list[dict], rows: list[dict]) -> list[dict]:
    return _judged(rows, {i: row["meta"].get("source", row["input"]) for i, row in enumerate(rows)})


def features(row: dict):
    """What two questions are compared by: the summed Morgan counts of their molecules, None for a question in words."""
    import numpy as np

    parts = [parse_smiles(part) for part in row["meta"].get("source", row["input"]).replace(">>", ".").split(".")]
    known = [MORGAN.GetCountFingerprintAsNumPy(part.mol) for part in parts if part.ok]
    return np.sum(known, axis=0).astype("float32") if known else None


def neighbour(train: list[dict], rows: list[dict]) -> list[dict]:
    """Nearest by Tanimoto of counts where questions are molecules, else by words and letters (TF-IDF of 1 to 3 characters)."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    known, answers = _by_task(train), {}
    for task, group in _by_task(rows).items():
        places = [i for i, row in enumerate(rows) if row["task"] == task]
        if task not in known:
            continue
        left, right = [features(row) for row in known[task]], [features(row) for row in group]
        if any(f is None for f in (*left, *right)):
            reader = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
            matrix = reader.fit_transform(row["input"] for row in known[task])
            nearest = [
                int(np.asarray((matrix @ reader.transform([row["input"]]).T).todense()).argmax()) for row in group
            ]
        else:
            table = np.stack(left)
            sizes = table.sum(1)
            nearest = []
            for one in right:
                both = np.minimum(table, one).sum(1)
                nearest.append(int((both / np.maximum(sizes + one.sum() - both, 1)).argmax()))
        answers |= {place: known[task][at]["answer"] for place, at in zip(places, nearest, strict=True)}
    return _judged(rows, answers)


def forest(train: list[dict], rows: list[dict]) -> list[dict]:
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    known, answers, chances = _by_task(train), {}, {}
    for task in _by_task(rows):
        labels = {row["answer"] for row in known.get(task, ())}
        if get_task(task).answers != "choice" or labels != {"Yes", "No"}:
            continue
        fitted = [(features(row), row["answer"]) for row in known[task]]
        fitted = [(f, answer) for f, answer in fitted if f is not None]
        model = RandomForestClassifier(500, random_state=0, n_jobs=-1).fit(
            np.stack([f for f, _ in fitted]), [a for _, a in fitted]
        )
        asked = {i: f for i, row in enumerate(rows) if row["task"] == task and (f := features(row)) is not None}
        if asked:
            shares = model.predict_proba(np.stack(list(asked.values())))[:, list(model.classes_).index("Yes")]
            chances |= dict(zip(asked, shares.tolist(), strict=True))
            answers |= {i: "Yes" if chances[i] > 0.5 else "No" for i in asked}
    return [line | ({"p_yes": chances[i]} if i in chances else {}) for i, line in enumerate(_judged(rows, answers))]


BASELINES: dict[str, Callable[[list[dict], list[dict]], list[dict]]] = {
    "majority": majority, "copy": copy, "neighbour": neighbour, "forest": forest,
}  # fmt: skip
