"""The multi-task balance: which task to ask next, and how rewards of different tasks are brought to one scale.

Both are ours; the paper's formula is not public. They live in the dataset and in the reward function, so that TRL's
and Unsloth's trainers need no change:

* **Weights.** A sub-task's share of the prompts is proportional to `gap × signal`, above a floor that keeps every task
  alive: `gap` = 1 − mean reward is what it can still gain, `signal` how much its groups teach once they are scaled:
  min(1, std / STD_FLOOR), which is 0 where all rewards are alike. Both are smoothed over steps.
* **Scaling.** Rewards are divided by the standard deviation of their group, but never by less than STD_FLOOR: plain
  group scaling blows a difference of 0.03 in similarity up to the size of right against wrong (use it with
  `scale_rewards="none"`, the trainer then only subtracts the group's mean).
"""

import functools
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import groupby
from statistics import fmean, stdev

from chemr_lite.answers import build_prompt
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

STD_FLOOR = 0.2
WEIGHT_FLOOR = 0.25  # of the prompts are dealt out evenly, so that no task starves
SMOOTHING = 0.8  # of the old estimate, per step in which the task was asked


def balance_shares(tasks: Sequence[str]) -> dict[str, float]:
    """Each sub-task's share of the balanced score: equal among macro-tasks, and within each among its sub-tasks."""
    macro = {task: get_task(task).macro for task in tasks}
    members = Counter(macro.values())
    return {task: 1 / len(members) / members[macro[task]] for task in tasks}


def scale_group(rewards: Sequence[float], floor: float = STD_FLOOR) -> list[float]:
    """Rewards of one group divided by max(std, floor); std is the sample standard deviation, as TRL's."""
    spread = stdev(rewards) if len(rewards) > 1 else 0.0
    return [reward / max(spread, floor) for reward in rewards]


class Mixture:
    """Draws the prompts of a GRPO run, and learns from its rewards which task to draw more of.

    `prompts_per_step` is the number of different prompts in one generation step of the whole run. Every draw depends
    only on the seed, its place and the weights of two steps before, never on when the trainer fetches it: a run that
    is resumed from `state` asks what the uninterrupted one would have.
    """

    def __init__(self, rows: Sequence[Row], prompts_per_step: int, seed: int = 0, adaptive: bool = True):
        self.rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self.rows[row["task"]].append(row)
        self.prompts_per_step, self.seed, self.adaptive = prompts_per_step, seed, adaptive
        self.shares = balance_shares(list(self.rows))
        self.reward = dict.fromkeys(self.rows, 0.5)
        self.signal = dict.fromkeys(self.rows, 1.0)
        self.steps = 0
        self.history = {0: self.weights()}  # weights after so many steps; the last three are kept

    def draw(self, slot: int) -> Row:
        """The row asked in `slot`; step s asks slots s × prompts_per_step onwards."""
        # the trainer fetches one step ahead: the weights after step − 1 steps are the newest it is sure to find
        known = max(0, slot // self.prompts_per_step - 1)
        weights = self.history.get(known) or self.history[max(self.history)]
        rng = random.Random(f"{self.seed}/{slot}")
        task = rng.choices(list(weights), list(weights.values()))[0]
        return rng.choice(self.rows[task])

    def dataset(self, steps: int):
        """A `datasets.Dataset` of `steps × prompts_per_step` rows that are drawn when the trainer reads them.

        Train on it with `shuffle_dataset=False`: the order is the mixture's.
        """
        from datasets import Dataset

        def fill(batch: dict) -> dict:
            rows = [self.draw(slot) for slot in batch["slot"]]
            return {
                "prompt": [build_prompt(get_task(row["task"]).question(row)) for row in rows],
                "task": [row["task"] for row in rows],
                "input": [row["input"] for row in rows],
                "answer": [row["answer"] for row in rows],
                "meta": [json.dumps(row["meta"]) for row in rows],
            }

        return Dataset.from_dict({"slot": list(range(steps * self.prompts_per_step))}).with_transform(fill)

    def wrap(self, reward: Callable) -> Callable:
        """`reward` with its values observed and scaled by group; one call of it is one generation step."""

        @functools.wraps(reward)
        def mixed(prompts, completions, task, log_metric=None, **columns) -> list[float]:
            values = reward(prompts=prompts, completions=completions, task=task, log_metric=log_metric, **columns)
            runs = [list(members) for _, members in groupby(range(len(values)), key=lambda i: json.dumps(prompts[i]))]
            size = max(1, len(values) // self.prompts_per_step)  # a question drawn twice in a row is two groups
            groups = [run[i : i + size] for run in runs for i in range(0, len(run), size)]
            grouped = [[values[i] for i in members] for members in groups]
            self.observe([task[members[0]] for members in groups], grouped)
            if log_metric:
                log_metric("reward/unscaled", fmean(values))
                log_metric("groups/without_signal", fmean(max(g) == min(g) for g in grouped))
                for name, weight in self.history[self.steps].items():
                    log_metric(f"weight/{name}", weight)
            return [value for group in grouped for value in scale_group(group)]

        return mixed

    def observe(self, tasks: Sequence[str], groups: Sequence[Sequence[float]]) -> None:
        """Learn from one step: `groups[i]` are the rewards of one prompt of `tasks[i]`."""
        seen = defaultdict(list)
        for task, rewards in zip(tasks, groups, strict=True):
            seen[task].append(rewards)
        for task, rewards in seen.items():
            mean = fmean(fmean(group) for group in rewards)
            signal = fmean(min(1.0, stdev(group) / STD_FLOOR) if len(group) > 1 else 0.0 for group in rewards)
            self.reward[task] = SMOOTHING * self.reward[task] + (1 - SMOOTHING) * mean
            self.signal[task] = SMOOTHING * self.signal[task] + (1 - SMOOTHING) * signal
        self.steps += 1
        self.history[self.steps] = self.weights()
        for old in [step for step in self.history if step < self.steps - 2]:
            del self.history[old]

    def weights(self) -> dict[str, float]:
        """The share of prompts of each task, summing to 1."""
        room = {task: (1 - self.reward[task]) * self.signal[task] for task in self.rows}
        total = sum(room.values())
        if not self.adaptive or not total:
            return dict(self.shares)
        even = WEIGHT_FLOOR / len(room)
        return {task: even + (1 - WEIGHT_FLOOR) * (value / total) for task, value in room.items()}

    @property
    def state(self) -> dict:
        """What a checkpoint has to hold; JSON-serialisable."""
        history = {str(step): dict(weights) for step, weights in self.history.items()}
        return {"reward": dict(self.reward), "signal": dict(self.signal), "steps": self.steps, "history": history}

    @state.setter
    def state(self, saved: dict) -> None:
        if set(saved["reward"]) != set(self.rows):
            raise ValueError(f"the checkpoint mixes {sorted(saved['reward'])}, this run {sorted(self.rows)}: use another --output")
        self.reward, self.signal, self.steps = saved["reward"], saved["signal"], saved["steps"]
        self.history = {int(step): weights for step, weights in saved["history"].items()}
