"""Multi-task balance: which task to draw prompts from, and how to bring the rewards of different tasks to one scale.

A strategy is a function, registered by name in SAMPLING (a weight for each task) or in SCALING (a divisor for each
group of rewards). Add one of your own like this:

    def hardest(tasks):
        return {name: 1 - task.reward for name, task in tasks.items()}
    SAMPLING["hardest"] = hardest                                  # Mixture(rows, 8, sampling="hardest")

`Mixture` applies the strategies in the dataset and in the reward function. TRL's and Unsloth's trainers need no change:
with `scale_rewards="none"` they only subtract the mean of each group. We could not read the paper's formula, so the
defaults are ours.
"""

import functools
import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isclose
from statistics import fmean, stdev

from chemr_lite.registry import balance_shares
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

STD_FLOOR = 0.2
WEIGHT_FLOOR = 0.25  # share of the prompts that all tasks get in equal parts, so that none starves
SMOOTHING = 0.8  # weight of the old estimate, for each step in which the task was drawn
TEMPERATURE = 2.0
MT_GRPO_RATE, MT_GRPO_LAMBDA = 0.1, 0.3  # step size of the log-weights; weight of the reward against its improvement
TINY = 1e-4  # added to standard deviations that may be 0, as in TRL
ESTIMATES = ("reward", "signal", "spread", "length", "logits")  # attributes of a mixture, each by task


@dataclass(frozen=True)
class TaskStatistics:
    """What the mixture knows of one task. Means are exponential, over the steps in which the task was drawn."""

    rows: int  # number of questions
    share: float  # in the balanced score; sums to 1 over the tasks
    reward: float  # mean reward, in [0, 1]
    signal: float  # how much its groups teach: mean of min(1, std / STD_FLOOR), in [0, 1]
    spread: float  # root mean square of the standard deviations of its groups
    length: float  # mean tokens of a completion; for a task not drawn yet, the mean of the others
    logit: float  # log-weight of MT-GRPO; falls with the reward, and with each improvement of it


Statistics = Mapping[str, TaskStatistics]
Groups = Sequence[tuple[str, Sequence[float]]]  # for each prompt of a step: its task, the rewards of its completions


def _spread(rewards: Sequence[float]) -> float:
    """Return the sample standard deviation, as TRL does; 0 for a single reward."""
    return stdev(rewards) if len(rewards) > 1 else 0.0


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    if isclose(total, 1.0):
        return dict(values)
    return {name: value / total for name, value in values.items()}


# Sampling strategies map the statistics of the tasks to weights, which need not sum to 1.


def uniform(tasks: Statistics) -> dict[str, float]:
    """Weight each task by its share in the balanced score."""
    return {name: task.share for name, task in tasks.items()}


def proportional(tasks: Statistics) -> dict[str, float]:
    """Weight each task by its number of rows."""
    return {name: task.rows for name, task in tasks.items()}


def temperature(tasks: Statistics) -> dict[str, float]:
    """Weight each task by its number of rows to the power 1 / TEMPERATURE: between uniform and proportional."""
    return {name: task.rows ** (1 / TEMPERATURE) for name, task in tasks.items()}


def adaptive(tasks: Statistics) -> dict[str, float]:
    """Weight each task by what a token of it teaches, gap × signal ÷ length, above a floor that keeps it alive.

    The gap, 1 − mean reward, is what a task can still gain.
    """
    value = {name: (1 - task.reward) * task.signal / task.length for name, task in tasks.items()}
    if not sum(value.values()):
        return uniform(tasks)
    floor = WEIGHT_FLOOR / len(value)
    return {name: floor + (1 - WEIGHT_FLOOR) * share for name, share in _normalised(value).items()}


def balanced(tasks: Statistics) -> dict[str, float]:
    """Weight each task by what a token of it adds to the balanced score: share × gap × signal ÷ length.

    The floor is dealt out by shares as well.
    """
    value = {name: task.share * (1 - task.reward) * task.signal / task.length for name, task in tasks.items()}
    if not sum(value.values()):
        return uniform(tasks)
    parts = _normalised(value)
    return {name: WEIGHT_FLOOR * task.share + (1 - WEIGHT_FLOOR) * parts[name] for name, task in tasks.items()}


def mt_grpo(tasks: Statistics) -> dict[str, float]:
    """Move away from tasks that earn much or improve fast (after arXiv 2602.05547).

    The method resamples groups that teach nothing, up to three times. Here such a task is drawn more often instead.
    """
    highest = max(task.logit for task in tasks.values())
    return {name: exp(task.logit - highest) / max(task.signal, 1 / 3) for name, task in tasks.items()}


SAMPLING: dict[str, Callable[[Statistics], dict[str, float]]] = {
    "adaptive": adaptive,
    "uniform": uniform,
    "proportional": proportional,
    "temperature": temperature,
    "mt-grpo": mt_grpo,
    "balanced": balanced,
}


# Scaling strategies map the groups of a step to the divisor of each.


def group_floor(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the standard deviation of the group, but never by less than STD_FLOOR.

    The floor keeps the noise of a dense reward below the difference between right and wrong.
    """
    return [max(_spread(rewards), STD_FLOOR) for _, rewards in groups]


def group_std(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the standard deviation of the group, as GRPO does.

    A difference of 0.03 in similarity then weighs as much as right against wrong.
    """
    return [_spread(rewards) + TINY for _, rewards in groups]


def task_std(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the recent standard deviation within the groups of the task."""
    return [tasks[name].spread + TINY for name, _ in groups]


def gdpo(groups: Groups, tasks: Statistics) -> list[float]:
    """Divide by the standard deviation of the group, then of the whole step (arXiv 2601.05242, with one reward)."""
    divisors = group_std(groups, tasks)
    scaled = [
        (r - fmean(rewards)) / divisor for (_, rewards), divisor in zip(groups, divisors, strict=True) for r in rewards
    ]
    whole = _spread(scaled) + TINY
    return [divisor * whole for divisor in divisors]


def unscaled(groups: Groups, tasks: Statistics) -> list[float]:
    """Leave the rewards as they are."""
    return [1.0] * len(groups)


SCALING: dict[str, Callable[[Groups, Statistics], list[float]]] = {
    "group-floor": group_floor,
    "group": group_std,
    "task": task_std,
    "gdpo": gdpo,
    "none": unscaled,
}


def columns_of(rows: Sequence[Row]) -> dict[str, list]:
    """Return rows as columns for GRPOTrainer: prompt (messages), task, input, answer and meta (JSON text)."""
    return {
        "prompt": [get_task(row["task"]).prompt(row) for row in rows],
        **{name: [row[name] for row in rows] for name in ("task", "input", "answer")},
        "meta": [json.dumps(row["meta"]) for row in rows],
    }


class Mixture:
    """Draws the prompts of a GRPO run and learns from the rewards which tasks to draw more of.

    `prompts_per_step` is the number of prompts in one generation step of the whole run. A draw depends only on the
    seed, its slot and the weights of two steps before, never on when the trainer fetches it. A run that is resumed from
    `state` therefore draws what the uninterrupted run would have. Raises ValueError for an unknown strategy.
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
        self.prompts_per_step, self.seed, self.sampling, self.scaling = prompts_per_step, seed, sampling, scaling
        self.rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self.rows[row["task"]].append(row)
        self.shares = balance_shares(list(self.rows))
        self.reward = dict.fromkeys(self.rows, 0.5)
        self.signal = dict.fromkeys(self.rows, 1.0)
        self.spread = dict.fromkeys(self.rows, 0.5)
        self.length: dict[str, float] = {}  # only of tasks that were drawn
        self.logits = dict.fromkeys(self.rows, 0.0)
        self.steps = 0
        self.drawn: dict[str, Row] = {}  # by prompt, as JSON text
        self.history = {0: self.weights()}  # number of steps → weights after them, for the last three steps

    def draw(self, slot: int) -> Row:
        """Return the row of `slot`. Step s has the slots from s × prompts_per_step on."""
        # the trainer fetches one step ahead, so the weights after step − 1 steps are the newest it is sure to find
        known = max(0, slot // self.prompts_per_step - 1)
        weights = self.history.get(known) or self.history[max(self.history)]
        rng = random.Random(f"{self.seed}/{slot}")
        name = rng.choices(list(weights), list(weights.values()))[0]
        return rng.choice(self.rows[name])

    def dataset(self, steps: int):
        """Return a `datasets.Dataset` of `steps × prompts_per_step` rows that are drawn when the trainer reads them.

        Train on it with `shuffle_dataset=False`, because the mixture sets the order.
        """
        from datasets import Dataset  # imports torch

        def fill(batch: dict) -> dict:
            rows = [self.draw(slot) for slot in batch["slot"]]
            columns = columns_of(rows)
            self.drawn.update(zip(map(json.dumps, columns["prompt"]), rows, strict=True))
            return columns

        return Dataset.from_dict({"slot": list(range(steps * self.prompts_per_step))}).with_transform(fill)

    def wrap(self, reward: Callable) -> Callable:
        """Return `reward` with its values observed and scaled. Each call of it must be one generation step.

        A rollout may give the trainer less than it has sampled. Then its columns `whole` and `tokens` hold the texts
        and their numbers of tokens.
        """

        @functools.wraps(reward)
        def mixed(prompts, completions, task, log_metric=None, **columns) -> list[float]:
            from accelerate import PartialState  # imports torch
            from accelerate.utils import gather_object

            log = log_metric or (lambda name, value: None)
            whole, lengths = columns.pop("whole", completions), columns.pop("tokens", None)
            values = reward(prompts=prompts, completions=whole, task=task, log_metric=log, **columns)
            if lengths is None:
                lengths = map(len, columns.get("completion_ids", [[0]] * len(values)))
            # each process sees only its part of the step, and all must learn from the whole
            step = gather_object(list(zip(task, values, lengths, strict=True)))
            size = len(step) // self.prompts_per_step
            parts = [step[start : start + size] for start in range(0, len(step), size)]
            tasks, groups = [part[0][0] for part in parts], [[value for _, value, _ in part] for part in parts]
            self.observe(tasks, groups, [fmean(length for *_, length in part) for part in parts])
            for name, value in self._metrics(tasks, groups).items():
                log(name, value)
            log("completions/length", fmean(length for *_, length in step))
            scaled = [value for group in self.scale(tasks, groups) for value in group]
            first = PartialState().process_index * len(values)
            return scaled[first : first + len(values)]

        return mixed

    def _metrics(self, tasks: Sequence[str], groups: Sequence[Sequence[float]]) -> dict[str, float]:
        """Return the metrics of a step: mean reward, share of groups without signal, and the weights after the step."""
        wasted = [(name, max(rewards) == min(rewards)) for name, rewards in zip(tasks, groups, strict=True)]
        return {
            "groups/without_signal": fmean(is_wasted for _, is_wasted in wasted),
            **{f"wasted/{task}": fmean(is_wasted for name, is_wasted in wasted if name == task) for task in tasks},
            **{f"weight/{name}": weight for name, weight in self.history[self.steps].items()},
            "reward/unscaled": fmean(value for rewards in groups for value in rewards),
        }

    def observe(
        self, tasks: Sequence[str], groups: Sequence[Sequence[float]], lengths: Sequence[float] | None = None
    ) -> None:
        """Learn from one step.

        `groups[i]` holds the rewards of one prompt of `tasks[i]`, and `lengths[i]` the mean number of tokens of its
        completions (default: all equal).
        """
        observed = defaultdict(list)
        for name, rewards, length in zip(tasks, groups, lengths or [1] * len(groups), strict=True):
            observed[name].append((fmean(rewards), _spread(rewards), length))
        before = dict(self.reward)
        for name, prompts in observed.items():
            means, deviations, sizes = zip(*prompts, strict=True)
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
        self.history = {step: weights for step, weights in self.history.items() if step >= self.steps - 2}

    def statistics(self) -> dict[str, TaskStatistics]:
        """Return what is known of each task now."""
        usual_length = fmean(self.length.values()) if self.length else 1.0
        return {
            name: TaskStatistics(
                rows=len(rows),
                share=self.shares[name],
                reward=self.reward[name],
                signal=self.signal[name],
                spread=self.spread[name],
                length=self.length.get(name, usual_length),
                logit=self.logits[name],
            )
            for name, rows in self.rows.items()
        }

    def weights(self) -> dict[str, float]:
        """Return the share of each task in the prompts, summing to 1."""
        return _normalised(SAMPLING[self.sampling](self.statistics()))

    def scale(self, tasks: Sequence[str], groups: Sequence[Sequence[float]]) -> list[list[float]]:
        """Return the scaled rewards of a step. The trainer subtracts the mean of each group afterwards."""
        divisors = SCALING[self.scaling](list(zip(tasks, groups, strict=True)), self.statistics())
        return [[reward / divisor for reward in group] for group, divisor in zip(groups, divisors, strict=True)]

    @property
    def state(self) -> dict:
        """A JSON-serialisable snapshot for checkpoints. Assign it to a new mixture of the same tasks to resume."""
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
