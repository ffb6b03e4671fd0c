"""Mining reasoning protocols: how does a model go about each task, and which steps do the tasks share?

1. Traces are cut into steps: numbered, bold or headed paragraphs.
2. Steps that say alike are clustered over all tasks (TF-IDF of heading and text, average linkage, cosine distance).
3. A cluster is named by its commonest heading; a task's protocol lists the clusters that many of its traces have, in
   the order in which they come. The support of each stands beside it.

The result is a draft for a person to edit: `states` is the step of the traces that is nearest to all others.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean

from sklearn.cluster import AgglomerativeClustering
from sklearn.feature_extraction.text import TfidfVectorizer

from chemr_lite import check_claims

DISTANCE = 0.75  # between steps of one cluster, at most, on average: 1 shares no word
LEAST_SUPPORT = 0.3  # of a task's traces, for a step to stand in its protocol
LEAST_CLAIMS = 0.3  # of a cluster's steps, for it to be said to make a kind of claim

_STEP = re.compile(
    r"^[ \t]*(?:[-*#>]+[ \t]+)?(?:(?:step[ \t]+)?\d+[.):][ \t]*)?\*\*(?P<bold>[^*\n]{2,60}?):?\*\*:?[ \t]*"
    r"|^[ \t]*#+[ \t]+(?:\d+[.)][ \t]*)?(?P<title>[^\n]{2,60})"
    r"|^[ \t]*(?:step[ \t]+)?\d+[.):][ \t]+(?P<plain>[A-Z][^:.\n]{2,40}):",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass
class MinedStep:
    """One step of one trace: its heading, its text, and its place among the trace's steps, from 0 to 1."""

    task: str
    trace: int
    heading: str
    text: str
    place: float


def cut_into_steps(trace: str) -> list[tuple[str, str]]:
    """(heading, text) of each step of a trace; nothing for one without steps."""
    heads = list(_STEP.finditer(trace))
    ends = [*(head.start() for head in heads[1:]), len(trace)] if heads else []
    steps = []
    for head, end in zip(heads, ends, strict=True):
        heading = (head["bold"] or head["title"] or head["plain"]).strip(" :")
        steps.append(
            (
                re.sub(r"^(?:step\s*)?\d+[.):]?\s*", "", heading, flags=re.IGNORECASE),
                " ".join(trace[head.end() : end].split()),
            )
        )
    return [(heading, text) for heading, text in steps if heading]


def cluster(steps: list[MinedStep]) -> list[int]:
    """The number of the cluster that each step belongs to."""
    if len(steps) < 2:
        return [0] * len(steps)
    # the heading says what a step is for, so it weighs as much as its text; SMILES and numbers say nothing of the kind of step
    texts = [" ".join([step.heading] * 3 + re.findall(r"[a-z]{3,}", step.text.lower())) for step in steps]
    vectors = TfidfVectorizer(stop_words="english", sublinear_tf=True).fit_transform(texts).toarray()
    return (
        AgglomerativeClustering(n_clusters=None, distance_threshold=DISTANCE, metric="cosine", linkage="average")
        .fit(vectors + 1e-9)
        .labels_.tolist()
    )


def mine_protocols(traces: list[tuple[dict, str]]) -> dict:
    """The mined protocols, as they stand in the file, from pairs of a row and the teacher's reasoning."""
    steps = [
        MinedStep(row["task"], n, heading, text, place / max(1, len(parts) - 1))
        for n, (row, trace) in enumerate(traces)
        for parts in [cut_into_steps(trace)]
        for place, (heading, text) in enumerate(parts)
    ]
    clusters: dict[int, list[MinedStep]] = defaultdict(list)
    for step, label in zip(steps, cluster(steps), strict=True):
        clusters[label].append(step)
    total = Counter(row["task"] for row, _ in traces)
    names, told = _names(clusters), {}
    listed: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for label, members in clusters.items():
        by_task: dict[str, list[MinedStep]] = defaultdict(list)
        for step in members:
            by_task[step.task].append(step)
        support = {task: len({step.trace for step in own}) / total[task] for task, own in by_task.items()}
        for task, share in support.items():
            if share >= LEAST_SUPPORT:
                listed[task].append((fmean(step.place for step in by_task[task]), names[label]))
                told[names[label]] = {
                    "states": _central(members),
                    "about": "both",
                    "claims": _kinds(members, traces),
                    "support": {
                        task: round(share, 2) for task, share in sorted(support.items()) if share >= LEAST_SUPPORT
                    },
                }
    return {
        "steps": told,
        "protocols": {
            task: {name.capitalize(): name for _, name in sorted(own)} for task, own in sorted(listed.items())
        },
    }


def _names(clusters: dict[int, list[MinedStep]]) -> dict[int, str]:
    """The commonest heading of each cluster, told apart by a number where two would bear the same."""
    names: dict[int, str] = {}
    for label, members in sorted(clusters.items(), key=lambda item: -len(item[1])):
        name = Counter(step.heading.lower() for step in members).most_common(1)[0][0]
        taken = sum(other == name or other.startswith(f"{name} (") for other in names.values())
        names[label] = name if not taken else f"{name} ({taken + 1})"
    return names


def _central(members: list[MinedStep]) -> str:
    """The text that shares most words with all others."""
    words = [set(re.findall(r"[a-z]{3,}", step.text.lower())) for step in members]
    common = Counter(word for own in words for word in own)
    best = max(range(len(members)), key=lambda i: sum(common[w] for w in words[i]) / (len(words[i]) + 5))
    return members[best].text[:300] or members[best].heading


def _kinds(members: list[MinedStep], traces: list[tuple[dict, str]]) -> list[str]:
    kinds = Counter(
        kind for step in members for kind in {claim.kind for claim in check_claims(step.text, traces[step.trace][0])}
    )
    return [kind for kind, n in kinds.most_common() if n >= LEAST_CLAIMS * len(members)]
