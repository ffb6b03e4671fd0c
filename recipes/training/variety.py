"""How varied the answers of phase 3 are: within a group, and over the questions of a task.

Practice can narrow a model until it gives one answer to every question of a task. In the reward this shows late.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from statistics import fmean

from chemr_lite.smiles import key_or_text

MEMORY = 48  # questions of a task
ENOUGH = 16  # questions of a task from which on its commonest answer says something


class Variety:
    """Remembers, for the latest questions of each task, the answer that most of the group gave.

    Checkpoints do not keep it: after a resume it begins anew.
    """

    def __init__(self):
        self.answers: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=MEMORY))

    def observe(self, tasks: Sequence[str], groups: Sequence[Sequence[str | None]]) -> dict[str, float]:
        """Learn the answers of each group, None for a completion without one, and return metrics in [0, 1] by task.

        `distinct`, and `distinct/<task>` of one task, is the share of different answers in a group.
        `commonest/<task>` is the share of the latest questions that have the commonest answer. Two spellings of a
        molecule are one answer.
        """
        distinct = defaultdict(list)
        for task, answers in zip(tasks, groups, strict=True):
            given = Counter(key_or_text(answer) for answer in answers if answer)
            distinct[task].append(len(given) / len(answers))
            if given:
                self.answers[task].append(given.most_common(1)[0][0])
        whole = {"distinct": fmean(share for shares in distinct.values() for share in shares)}
        return (
            whole
            | {f"distinct/{task}": fmean(shares) for task, shares in distinct.items()}
            | {
                f"commonest/{task}": Counter(self.answers[task]).most_common(1)[0][1] / len(self.answers[task])
                for task in distinct
                if len(self.answers[task]) >= ENOUGH
            }
        )
