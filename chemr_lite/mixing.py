"""The multi-task balance: which task to ask next, and how rewards of different tasks are brought to one scale.

Both live in the dataset and in the reward function, so that TRL's and Unsloth's trainers need no change. They are told
`scale_rewards="none"`, and only subtract the group's mean. We could not read the paper's formula; the defaults are ours.

SAMPLING holds the ways to share out the prompts, SCALING the ways to scale rewards. Each is a function of a few lines.
To add one, write such a function and register it: `SAMPLING["mine"] = mine`.
"""

import functools
import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isclose
from statistics import fmean, stdev

from chemr_lite.answers import build_prompt
from chemr_lite.registry import balance_shares
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

STD_FLOOR = 0.2
WEIGHT_FLOOR = 0.25  # of the prompts are dealt out evenly, so that no task starves
SMOOTHING = 0.8  # of the old estimate, per step in which the task was asked
TEMPERATURE = 2.0
MT_GRPO_RATE, MT_GRPO_LAMBDA = 0.1, 0.3  # the step of the weights; the weight of the reward beside the improvement
ESTIMATES = ("reward", "signal", "spread", "length", "logits")  # of each task: the part of the state that is learnt
TINY = 1e-4  # beside a standard deviation that may be 0, as in TRL


@dataclass(frozen=True)
class TaskStatistics:
    """What the mixture knows of one task. Means are exponential, over the steps in which the task was asked."""

    rows: int  # how many questions there are
    share: float  # of the balanced score, summing to 1 over the tasks
    reward: float  # mean, in [0, 1]
    signal: float  # how much its groups teach: mean of min(1, std / STD_FLOOR), in [0, 1]
    spread: float  # root mean square of the standard deviations of its groups
    length: float  # mean tokens of a completion; for a task not asked yet the mean of the others
    logit: float  # MT-GRPO's log-weight: falls with the reward, and with each improvement of it


Statistics = Mapping[str, TaskStatistics]


# sampling: from the statistics of the tasks to their share of the prompts, up to a factor


def uniform(tasks: Statistics) -> dict[str, float]:
    """Ask each task as often as it counts in the balanced score."""
    return {name: task.share for name, task in tasks.items()}


def proportional(tasks: Statistics) -> dict[str, float]:
    """Ask each task in proportion to its rows."""
    return {name: task.rows for name, task in tasks.items()}


def temperature(tasks: Statistics) -> dict[str, float]:
    """Ask each task in proportion to its rows to the power 1 / TEMPERATURE: between uniform and proportional."""
    return {name: task.rows ** (1 / TEMPERATURE) for name, task in tasks.items()}


def adaptive(tasks: Statistics) -> dict[str, float]:
    """Ask by what a token teaches: gap × signal ÷ length, above a floor that keeps every task alive.

    The gap, 1 − mean reward, is what a task can still gain.
    """
    value = {name: (1 - task.reward) * task.signal / task.length for name, task in tasks.items()}
    if not sum(value.values()):
        return uniform(tasks)
    even = WEIGHT_FLOOR / len(value)
    return {name: even + (1 - WEIGHT_FLOOR) * share for name, share in _normalised(value).items()}


def mt_grpo(tasks: Statistics) -> dict[str, float]:
    """Move away from tasks that earn much or improve fast (after arXiv 2602.05547).

    The method resamples groups that teach nothing, up to three times. Here such a task is asked more often instead.
    """
    highest = max(task.logit for task in tasks.values())
    return {name: exp(task.logit - highest) / max(task.signal, 1 / 3) for name, task in tasks.items()}


SAMPLING: dict[str, Callable[[Statistics], dict[str, float]]] = {
    "adaptive": adaptive,
    "uniform": uniform,
    "proportional": proportional,
    "temperature": temperature,
    "mt-grpo": mt_grpo,
}


# scaling: from a step's groups of rewards, with their tasks, to what each group is divided by

Groups = Sequence[tuple[str, Sequence[float]]]


def group_floor(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the group's standard deviation, but never by less than STD_FLOOR.

    The floor keeps the noise of a dense reward below right against wrong.
    """
    return [max(spread(rewards), STD_FLOOR) for _, rewards in groups]


def group(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the group's standard deviation, as GRPO does.

    A difference of 0.03 in similarity then weighs as much as right against wrong.
    """
    return [spread(rewards) + TINY for _, rewards in groups]


def task(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the standard deviation within the task's groups of late."""
    return [tasks[name].spread + TINY for name, _ in groups]


def gdpo(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the group's standard deviation, then by that of the whole step (arXiv 2601.05242, with one reward)."""
    own = group(groups, tasks)
    centred = [
        (r - fmean(rewards)) / divisor for (_, rewards), divisor in zip(groups, own, strict=True) for r in rewards
    ]
    whole = spread(centred) + TINY
    return [divisor * whole for divisor in own]


def unscaled(groups: Groups, tasks: Statistics) -> list[float]:
    """Leave the rewards as they are."""
    return [1.0] * len(groups)


SCALING: dict[str, Callable[[Groups, Statistics], list[float]]] = {
    "group-floor": group_floor,
    "group": group,
    "task": task,
    "gdpo": gdpo,
    "none": unscaled,
}


def spread(rewards: Sequence[float]) -> float:
    """Return the sample standard deviation, as TRL's; 0 for a single reward."""
    return stdev(rewards) if len(rewards) > 1 else 0.0


def columns_of(rows: Sequence[Row]) -> dict[str, list]:
    """Return rows as columns for GRPOTrainer: prompt (messages), task, input, answer and meta (JSON text)."""
    return {
        "prompt": [build_prompt(get_task(row["task"]).question(row)) for row in rows],
        **{name: [row[name] for row in rows] for name in ("task", "input", "answer")},
        "meta": [json.dumps(row["meta"]) for row in rows],
    }


class Mixture:
    """Draws the prompts of a GRPO run, and learns from its rewards which task to draw more of.

    `prompts_per_step` is the number of different prompts in one generation step of the whole run. Every draw depends
    only on the seed, its place and the weights of two steps before, never on when the trainer fetches it: a run that
    is resumed from `state` asks what the uninterrupted one would have. Raises ValueError for an unknown strategy.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        prompts_per_step: int,
        seed: int = 0,
        sampling: str = "adaptive",
        scaling: str = "group-floor",
    ):
        for kind, name, known in (("sampling", sampling, SAMPLING), ("scaling", scaling, SCALING)):
            if name not in known:
                raise ValueError(f"{kind}: {name!r} is none of {', '.join(known)}")
        self.rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self.rows[row["task"]].append(row)
        self.prompts_per_step, self.seed, self.sampling, self.scaling = prompts_per_step, seed, sampling, scaling
        self.shares = balance_shares(list(self.rows))
        self.reward = dict.fromkeys(self.rows, 0.5)
        self.signal = dict.fromkeys(self.rows, 1.0)
        self.spread = dict.fromkeys(self.rows, 0.5)
        self.length: dict[str, float] = {}  # of those that were asked
        self.logits = dict.fromkeys(self.rows, 0.0)
        self.steps = 0
        self.history = {0: self.weights()}  # weights after so many steps; the last three are kept

    def draw(self, slot: int) -> Row:
        """Return the row asked in `slot`; step s asks slots s × prompts_per_step onwards."""
        # the trainer fetches one step ahead: the weights after step − 1 steps are the newest it is sure to find
        known = max(0, slot // self.prompts_per_step - 1)
        weights = self.history.get(known) or self.history[max(self.history)]
        rng = random.Random(f"{self.seed}/{slot}")
        name = rng.choices(list(weights), list(weights.values()))[0]
        return rng.choice(self.rows[name])

    def dataset(self, steps: int):
        """Return a `datasets.Dataset` of `steps × prompts_per_step` rows that are drawn when the trainer reads them.

        Train on it with `shuffle_dataset=False`: the order is the mixture's.
        """
        from datasets import Dataset  # the strategies and the scaling serve without it

        def fill(batch: dict) -> dict:
            return columns_of([self.draw(slot) for slot in batch["slot"]])

        return Dataset.from_dict({"slot": list(range(steps * self.prompts_per_step))}).with_transform(fill)

    def wrap(self, reward: Callable) -> Callable:
        """Return `reward` with its values observed and scaled; one call of it is one generation step."""

        @functools.wraps(reward)
        def mixed(prompts, completions, task, log_metric=None, **columns) -> list[float]:
            from accelerate import PartialState  # comes with every trainer, and brings torch
            from accelerate.utils import gather_object

            log = log_metric or (lambda name, value: None)
            values = reward(prompts=prompts, completions=completions, task=task, log_metric=log, **columns)
            lengths = map(len, columns["completion_ids"]) if "completion_ids" in columns else [1] * len(values)
            # several processes: each sees its part of the step, and all must learn the same
            everywhere = gather_object(list(zip(task, values, lengths, strict=True)))
            size = len(everywhere) // self.prompts_per_step
            parts = [everywhere[start : start + size] for start in range(0, len(everywhere), size)]
            tasks, groups = [part[0][0] for part in parts], [[value for _, value, _ in part] for part in parts]
            self.observe(tasks, groups, [fmean(length for *_, length in part) for part in parts])
            for name, value in self.figures(tasks, groups).items():
                log(name, value)
            scaled = [value for group in self.scale(tasks, groups) for value in group]
            first = PartialState().process_index * len(values)
            return scaled[first : first + len(values)]

        return mixed

    def figures(self, tasks: Sequence[str], groups: Sequence[Sequence[float]]) -> dict[str, float]:
        """Return what is logged of a step: mean reward, groups that taught nothing, and the weights after it."""
        wasted = defaultdict(list)
        for name, rewards in zip(tasks, groups, strict=True):
            wasted[name].append(max(rewards) == min(rewards))
        return {
            "groups/without_signal": fmean(share for shares in wasted.values() for share in shares),
            **{f"wasted/{name}": fmean(shares) for name, shares in wasted.items()},
            **{f"weight/{name}": weight for name, weight in self.history[self.steps].items()},
            "reward/unscaled": fmean(value for rewards in groups for value in rewards),
        }

    def observe(
        self, tasks: Sequence[str], groups: Sequence[Sequence[float]], lengths: Sequence[float] | None = None
    ) -> None:
        """Learn from one step: `groups[i]` are the rewards of one prompt of `tasks[i]`, `lengths[i]` the mean number of
        tokens of its completions (default: all alike)."""
        seen = defaultdict(list)
        for name, rewards, length in zip(tasks, groups, lengths or [1] * len(groups), strict=True):
            seen[name].append((fmean(rewards), spread(rewards), length))
        before = dict(self.reward)
        for name, figures in seen.items():
            means, deviations, sizes = zip(*figures, strict=True)
            for estimates, value in (
                (self.reward, fmean(means)),
                (self.signal, fmean(min(1.0, deviation / STD_FLOOR) for deviation in deviations)),
                (self.spread, fmean(deviation**2 for deviation in deviations) ** 0.5),
                (self.length, fmean(sizes)),
            ):
                estimates[name] = SMOOTHING * estimates.get(name, value) + (1 - SMOOTHING) * value
        for name, reward in self.reward.items():
            self.logits[name] -= MT_GRPO_RATE * (reward - before[name] + MT_GRPO_LAMBDA * reward)
        self.steps += 1
        self.history[self.steps] = self.weights()
        for old in [step for step in self.history if step < self.steps - 2]:
            del self.history[old]

    def statistics(self) -> dict[str, TaskStatistics]:
        """Return what is known of each task now."""
        usual = fmean(self.length.values()) if self.length else 1.0
        return {
            name: TaskStatistics(
                rows=len(rows),
                share=self.shares[name],
                reward=self.reward[name],
                signal=self.signal[name],
                spread=self.spread[name],
                length=self.length.get(name, usual),
                logit=self.logits[name],
            )
            for name, rows in self.rows.items()
        }

    def weights(self) -> dict[str, float]:
        """Return the share of prompts of each task, summing to 1."""
        return _normalised(SAMPLING[self.sampling](self.statistics()))

    def scale(self, tasks: Sequence[str], groups: Sequence[Sequence[float]]) -> list[list[float]]:
        """Return the rewards of a step as scaled; the trainer subtracts the groups' means afterwards."""
        divisors = SCALING[self.scaling](list(zip(tasks, groups, strict=True)), self.statistics())
        return [[reward / divisor for reward in group] for group, divisor in zip(groups, divisors, strict=True)]

    @property
    def state(self) -> dict:
        """What a checkpoint has to hold; JSON-serialisable."""
        history = {str(step): dict(weights) for step, weights in self.history.items()}
        return {**{name: dict(getattr(self, name)) for name in ESTIMATES}, "steps": self.steps, "history": history}

    @state.setter
    def state(self, saved: dict) -> None:
        if set(saved["reward"]) != set(self.rows):
            raise ValueError(f"the state mixes {sorted(saved['reward'])}, these rows {sorted(self.rows)}")
        for name in ESTIMATES:
            setattr(self, name, dict(saved[name]))
        self.steps = saved["steps"]
        self.history = {int(step): weights for step, weights in saved["history"].items()}


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    if isclose(total, 1.0):
        return dict(values)
    return {name: value / total for name, value in values.items()}
