"""Mine reasoning protocols: how does a model go about each task, and which steps do the tasks share?

1. Cut traces into steps: numbered, bold or headed paragraphs.
2. Cluster similar steps over all tasks (TF-IDF of heading and text, average linkage, cosine distance).
3. Name each cluster by its commonest heading. The protocol of a task lists the clusters that many of its traces have,
   in the order of the traces, each with its support.

The result is a draft for a person to edit. `states` is the most central text of a step.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean

from sklearn.cluster import AgglomerativeClustering
from sklearn.feature_extraction.text import TfidfVectorizer

from chemr_lite import check_claims

DISTANCE = 0.75  # largest mean cosine distance between clusters that are merged; at 1 steps share no word
LEAST_SUPPORT = 0.3  # share of a task's traces that must have a step, for its protocol to list it
LEAST_CLAIMS = 0.3  # share of a cluster's steps that must make a kind of claim, for the step to list that kind

_BOLD = r"^[ \t]*(?:[-*#>]+[ \t]+)?(?:(?:step[ \t]+)?\d+[.):][ \t]*)?\*\*(?P<bold>[^*\n]{2,60}?):?\*\*:?[ \t]*"
_TITLE = r"^[ \t]*#+[ \t]+(?:\d+[.)][ \t]*)?(?P<title>[^\n]{2,60})"
_PLAIN = r"^[ \t]*(?:step[ \t]+)?\d+[.):][ \t]+(?P<plain>[A-Z][^:.\n]{2,40}):"
_STEP = re.compile(f"{_BOLD}|{_TITLE}|{_PLAIN}", re.MULTILINE | re.IGNORECASE)
_NUMBER = re.compile(r"^(?:step\s*)?\d+[.):]?\s*", re.IGNORECASE)  # before a heading


@dataclass
class MinedStep:
    """One step of one trace."""

    task: str
    trace: int  # index of the trace
    heading: str
    text: str
    position: float  # among the steps of its trace, from 0 (first) to 1 (last)


def cut_into_steps(trace: str) -> list[tuple[str, str]]:
    """Return heading and text of each step of a trace; an empty list for prose without steps."""
    matches = list(_STEP.finditer(trace))
    ends = [*(match.start() for match in matches[1:]), len(trace)] if matches else []
    steps = []
    for match, end in zip(matches, ends, strict=True):
        heading = _NUMBER.sub("", (match["bold"] or match["title"] or match["plain"]).strip(" :"))
        if heading:
            steps.append((heading, " ".join(trace[match.end() : end].split())))
    return steps


def cluster(steps: list[MinedStep]) -> list[int]:
    """Return the number of the cluster that each step belongs to."""
    if len(steps) < 2:
        return [0] * len(steps)
    # a heading names the purpose of a step, so it counts three times; SMILES and numbers do not tell the kind of step
    texts = [" ".join([step.heading] * 3 + _words(step.text)) for step in steps]
    vectors = TfidfVectorizer(stop_words="english", sublinear_tf=True).fit_transform(texts).toarray()
    clustering = AgglomerativeClustering(
        n_clusters=None, distance_threshold=DISTANCE, metric="cosine", linkage="average"
    )
    return clustering.fit(vectors + 1e-9).labels_.tolist()  # the cosine of a vector of zeros is undefined


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]{3,}", text.lower())


def mine_protocols(traces: list[tuple[dict, str]]) -> dict:
    """Return mined protocols in the form of their YAML file, from pairs of a row and the teacher's reasoning on it."""
    steps = [
        MinedStep(row["task"], number, heading, text, position / max(1, len(parts) - 1))
        for number, (row, trace) in enumerate(traces)
        for parts in [cut_into_steps(trace)]
        for position, (heading, text) in enumerate(parts)
    ]
    clusters: dict[int, list[MinedStep]] = defaultdict(list)
    for step, label in zip(steps, cluster(steps), strict=True):
        clusters[label].append(step)
    traces_of_task = Counter(row["task"] for row, _ in traces)
    names, definitions = _names(clusters), {}
    protocols: dict[str, list[tuple[float, str]]] = defaultdict(list)  # task → mean position and name of its steps
    for label, members in clusters.items():
        by_task: dict[str, list[MinedStep]] = defaultdict(list)
        for step in members:
            by_task[step.task].append(step)
        support = {
            task: len({step.trace for step in task_steps}) / traces_of_task[task]
            for task, task_steps in by_task.items()
        }
        support = {task: share for task, share in support.items() if share >= LEAST_SUPPORT}
        for task in support:
            protocols[task].append((fmean(step.position for step in by_task[task]), names[label]))
        if support:
            definitions[names[label]] = {
                "states": _most_central(members),
                "about": "both",
                "claims": _kinds_of_claims(members, traces),
                "support": {task: round(share, 2) for task, share in sorted(support.items())},
            }
    return {
        "steps": definitions,
        "protocols": {
            task: {name.capitalize(): name for _, name in sorted(task_steps)}
            for task, task_steps in sorted(protocols.items())
        },
    }


def _names(clusters: dict[int, list[MinedStep]]) -> dict[int, str]:
    """Return the commonest heading of each cluster, with a number where several clusters share one."""
    names: dict[int, str] = {}
    for label, members in sorted(clusters.items(), key=lambda item: -len(item[1])):
        name = Counter(step.heading.lower() for step in members).most_common(1)[0][0]
        taken = sum(used == name or used.startswith(f"{name} (") for used in names.values())
        names[label] = name if not taken else f"{name} ({taken + 1})"
    return names


def _most_central(members: list[MinedStep]) -> str:
    """Return the text that shares most words with the others, at most 300 characters."""
    words = [set(_words(step.text)) for step in members]
    frequency = Counter(word for text_words in words for word in text_words)
    # the 5 keeps very short texts from winning
    best = max(range(len(members)), key=lambda i: sum(frequency[w] for w in words[i]) / (len(words[i]) + 5))
    return members[best].text[:300] or members[best].heading


def _kinds_of_claims(members: list[MinedStep], traces: list[tuple[dict, str]]) -> list[str]:
    """Return the kinds of claim that many steps of a cluster make, the commonest first."""
    kinds = Counter(
        kind for step in members for kind in {claim.kind for claim in check_claims(step.text, traces[step.trace][0])}
    )
    return [kind for kind, count in kinds.most_common() if count >= LEAST_CLAIMS * len(members)]
