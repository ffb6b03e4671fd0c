"""The time left until the last phase has ended, estimated from what the run itself has measured.

Training is scaled by its tokens from the phase under way to the later ones, and generation from the base's evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Generation:
    """Completions to generate: `batches` of `size` completions of about `tokens` each, after prompts of `prompt`."""

    batches: int
    size: int
    tokens: float
    prompt: float


@dataclass(frozen=True)
class Work:
    """What one rung takes: tokens to train on, completions to train with, and answers to test and validation rows."""

    rung: str
    line: str  # of the plan
    trained: float
    practice: Generation  # the completions of phase 3
    answers: tuple[Generation, ...]


NOTHING = Generation(0, 0, 0.0, 0.0)


class TimeLeft:
    """Estimates the seconds left of a run from its `works`, in order, on a `device`: "cuda" or "cpu".

    Without works, it knows only of the phase under way.
    """

    def __init__(self, works: Sequence[Work] = (), device: str = "cpu"):
        self.works, self.on_cpu = {work.rung: work for work in works}, device == "cpu"
        self.token = self.unit = 0.0  # seconds of training on a token, and of generating a unit; 0: not known yet
        self.seconds: float | None = None  # left; None: not known yet

    def _units(self, generations: Sequence[Generation]) -> float:
        """Return the units of generation: tokens on a CPU, and on a GPU, which is bound by its launches, batches."""
        return sum(part.batches * part.tokens * (part.size if self.on_cpu else 1) for part in generations)

    def answered(self, rung: str, seconds: float) -> None:
        """Learn how long the test answers of `rung` took."""
        if rung in self.works:
            self.unit = seconds / max(1.0, self._units(self.works[rung].answers))

    def phase(self, name: str, made: float, seconds: float, done: float) -> None:
        """Learn that `made`, a share of the steps of phase `name`, took so long, and that the share `done` is over."""
        whole = seconds / made
        self.seconds = whole * (1 - done)
        if name not in self.works:
            return
        work = self.works[name]
        self.seconds += self.unit * self._units(work.answers[-1:])
        if work.trained and not work.practice.batches:
            self.token = whole / work.trained
        for later in list(self.works.values())[list(self.works).index(name) + 1 :]:
            self.seconds += self.token * later.trained + self.unit * self._units((later.practice, *later.answers))

    def __str__(self) -> str:
        if self.seconds is None:
            return "time left of all phases: not known yet"
        return f"all phases {timedelta(seconds=round(self.seconds))} left"
