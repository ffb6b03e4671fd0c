"""The multi-task balance: which task to ask next, and how rewards of different tasks are brought to one scale.

Both live in the dataset and in the reward function, so that TRL's and Unsloth's trainers need no change (they are told
`scale_rewards="none"`, and only subtract the group's mean). The paper's formula is not public; the default of each is ours.

**Sampling**: each sub-task's share of the prompts.

* `uniform`: its share of the balanced score: macro-tasks alike, and sub-tasks within each.
* `proportional`: its share of the rows; `temperature`: of the rows to the power 1 / TEMPERATURE, between the two.
* `adaptive`: `gap × signal ÷ length` above a floor that keeps every task alive. `gap` = 1 − mean reward is what it can
  still gain, `signal` how much its groups teach once they are scaled: min(1, std / STD_FLOOR), 0 where all rewards are
  alike, and `length` what they cost: the mean number of tokens of its completions.
* `mt-grpo`: away from tasks that earn much or improve fast (after arXiv 2602.05547).

**Scaling**: what a reward of a group is divided by.

* `group`: the group's standard deviation, as in GRPO: a difference of 0.03 in similarity weighs as much as right
  against wrong. `group-floor`: the same, but never less than STD_FLOOR.
* `task`: the standard deviation within the task's groups of late. `none`: nothing.
* `gdpo`: the group's, then the standard deviation of the whole step (arXiv 2601.05242, here of one reward).

**Oversampling**: where sampling is cheap beside training, more completions are sampled than trained on, and of each prompt
those are kept whose rewards differ most (`most_varied`), so that fewer groups teach nothing.
"""

import functools
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from math import exp
from statistics import fmean, pvariance, stdev

from accelerate import PartialState
from accelerate.utils import gather_object

from chemr_lite.answers import build_prompt
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

SAMPLING = ("adaptive", "uniform", "proportional", "temperature", "mt-grpo")
SCALING = ("group-floor", "group", "task", "gdpo", "none")
STD_FLOOR = 0.2
WEIGHT_FLOOR = 0.25  # of the prompts are dealt out evenly, so that no task starves
SMOOTHING = 0.8  # of the old estimate, per step in which the task was asked
TEMPERATURE = 2.0
MT_GRPO_RATE, MT_GRPO_LAMBDA = 0.1, 0.3  # the step of the weights; the weight of the reward beside the improvement
ESTIMATES = ("reward", "signal", "spread", "length", "logits")  # of each task: the part of the state that is learnt
TINY = 1e-4  # beside a standard deviation that may be 0, as in TRL


def balance_shares(tasks: Sequence[str]) -> dict[str, float]:
    """Each sub-task's share of the balanced score: equal among macro-tasks, and within each among its sub-tasks."""
    macro = {task: get_task(task).macro for task in tasks}
    members = Counter(macro.values())
    return {task: 1 / len(members) / members[macro[task]] for task in tasks}


def spread(rewards: Sequence[float]) -> float:
    """The sample standard deviation, as TRL's; 0 for a single reward."""
    return stdev(rewards) if len(rewards) > 1 else 0.0


def most_varied(rewards: Sequence[float], keep: int) -> list[int]:
    """The places of `keep` rewards with the largest variance: some of the lowest and the rest of the highest.

    Max-variance down-sampling, arXiv 2504.13818. Among equal rewards the earlier are taken.
    """
    order = sorted(range(len(rewards)), key=rewards.__getitem__)
    choices = (order[: keep - high] + order[len(order) - high :] for high in range(keep + 1))
    return max(choices, key=lambda places: pvariance([rewards[i] for i in places]))


def columns_of(rows: Sequence[Row]) -> dict[str, list]:
    """Rows as the columns of a data set for GRPOTrainer: prompt (messages), task, input, answer and meta (JSON text)."""
    return {
        "prompt": [build_prompt(get_task(row["task"]).question(row)) for row in rows],
        **{name: [row[name] for row in rows] for name in ("task", "input", "answer")},
        "meta": [json.dumps(row["meta"]) for row in rows],
    }


class Mixture:
    """Draws the prompts of a GRPO run, and learns from its rewards which task to draw more of.

    `prompts_per_step` is the number of different prompts in one generation step of the whole run. Every draw depends
    only on the seed, its place and the weights of two steps before, never on when the trainer fetches it: a run that
    is resumed from `state` asks what the uninterrupted one would have. Raises ValueError for an unknown name.
    """

    def __init__(self, rows: Sequence[Row], prompts_per_step: int, seed: int = 0, sampling: str = SAMPLING[0], scaling: str = SCALING[0]):
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
        self.asked: dict[str, Row] = {}  # by prompt
        self.chosen: tuple[list[float], dict] | None = None  # what `choose` saw of this step

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
            columns = columns_of(rows)
            self.asked.update(zip(map(json.dumps, columns["prompt"]), rows, strict=True))
            return columns

        return Dataset.from_dict({"slot": list(range(steps * self.prompts_per_step))}).with_transform(fill)

    def choose(self, reward: Callable, prompts: Sequence, completions: Sequence, keep: int) -> list[int]:
        """The places of the completions to train on: for each prompt the `keep` whose rewards differ most.

        `prompts`, drawn from this mixture's dataset, have the same number of `completions` each, side by side. What the
        tasks earn is learnt, and logged, from all of them.
        """
        size, logs = len(completions) // len(prompts), {}
        columns = columns_of([self.asked[json.dumps(prompt)] for prompt in prompts for _ in range(size)])
        values = reward(prompts=columns.pop("prompt"), completions=completions, log_metric=logs.__setitem__, **columns)
        groups = [values[start : start + size] for start in range(0, len(values), size)]
        self.chosen = [fmean(group) for group in groups for _ in range(keep)], logs
        return [number * size + i for number, group in enumerate(groups) for i in most_varied(group, keep)]

    def wrap(self, reward: Callable) -> Callable:
        """`reward` with its values observed and scaled; one call of it is one generation step."""

        @functools.wraps(reward)
        def mixed(prompts, completions, task, log_metric=None, **columns) -> list[float]:
            log = log_metric or (lambda name, value: None)
            values = reward(prompts=prompts, completions=completions, task=task, log_metric=None if self.chosen else log, **columns)
            earned, logs = self.chosen or (values, {})
            self.chosen = None
            lengths = map(len, columns["completion_ids"]) if "completion_ids" in columns else [1] * len(values)
            # several processes: each sees its part of the step, and all must learn the same
            everywhere = gather_object(list(zip(task, values, earned, lengths, strict=True)))
            size = len(everywhere) // self.prompts_per_step
            steps = [list(zip(*everywhere[start : start + size], strict=True)) for start in range(0, len(everywhere), size)]
            tasks, groups = [named[0] for named, *_ in steps], [list(values) for _, values, *_ in steps]
            self.observe(tasks, groups, [fmean(earned) for *_, earned, _ in steps], [fmean(lengths) for *_, lengths in steps])
            for name, value in {**logs, **self.figures(tasks, groups), "reward/unscaled": fmean(e for _, _, e, _ in everywhere)}.items():
                log(name, value)
            scaled = [value for group in self.scale(tasks, groups) for value in group]
            first = PartialState().process_index * len(values)
            return scaled[first : first + len(values)]

        return mixed

    def figures(self, tasks: Sequence[str], groups: Sequence[Sequence[float]]) -> dict[str, float]:
        """What is logged of a step: the weights after it, and the share of groups that taught nothing, of all and by task."""
        wasted = defaultdict(list)
        for task, group in zip(tasks, groups, strict=True):
            wasted[task].append(max(group) == min(group))
        return {
            "groups/without_signal": fmean(share for shares in wasted.values() for share in shares),
            **{f"wasted/{task}": fmean(shares) for task, shares in wasted.items()},
            **{f"weight/{task}": weight for task, weight in self.history[self.steps].items()},
        }

    def observe(
        self,
        tasks: Sequence[str],
        groups: Sequence[Sequence[float]],
        earned: Sequence[float] | None = None,
        lengths: Sequence[float] | None = None,
    ) -> None:
        """Learn from one step: `groups[i]` are the rewards of one prompt of `tasks[i]` that are trained on, `earned[i]` the mean
        reward of all that was sampled for it (default: of the group), `lengths[i]` the mean tokens of its completions
        (default: all alike)."""
        seen = defaultdict(list)
        for task, rewards, mean, length in zip(tasks, groups, earned or map(fmean, groups), lengths or [1] * len(groups), strict=True):
            seen[task].append((mean, spread(rewards), length))
        before = dict(self.reward)
        for task, figures in seen.items():
            means, deviations, lengths = zip(*figures, strict=True)
            for estimates, value in (
                (self.reward, fmean(means)),
                (self.signal, fmean(min(1.0, deviation / STD_FLOOR) for deviation in deviations)),
                (self.spread, fmean(deviation**2 for deviation in deviations) ** 0.5),
                (self.length, fmean(lengths)),
            ):
                estimates[task] = SMOOTHING * estimates.get(task, value) + (1 - SMOOTHING) * value
        for task, reward in self.reward.items():
            self.logits[task] -= MT_GRPO_RATE * (reward - before[task] + MT_GRPO_LAMBDA * reward)
        self.steps += 1
        self.history[self.steps] = self.weights()
        for old in [step for step in self.history if step < self.steps - 2]:
            del self.history[old]

    def weights(self) -> dict[str, float]:
        """The share of prompts of each task, summing to 1."""
        sizes = {task: len(rows) for task, rows in self.rows.items()}
        match self.sampling:
            case "uniform":
                return dict(self.shares)
            case "proportional":
                return _normalised(sizes)
            case "temperature":
                return _normalised({task: size ** (1 / TEMPERATURE) for task, size in sizes.items()})
            case "mt-grpo":
                # its task weights z, and its sampler's aim, z among the groups that teach: it resamples up to three times
                highest = max(self.logits.values())
                return _normalised({task: exp(z - highest) / max(self.signal[task], 1 / 3) for task, z in self.logits.items()})
        usual = fmean(self.length.values()) if self.length else 1.0
        room = {task: (1 - self.reward[task]) * self.signal[task] / self.length.get(task, usual) for task in self.rows}
        if not sum(room.values()):
            return dict(self.shares)
        even = WEIGHT_FLOOR / len(room)
        return {task: even + (1 - WEIGHT_FLOOR) * share for task, share in _normalised(room).items()}

    def scale(self, tasks: Sequence[str], groups: Sequence[Sequence[float]]) -> list[list[float]]:
        """The rewards of a step, each divided by what `scaling` says; the trainer subtracts the groups' means afterwards."""
        spreads = [spread(group) for group in groups]
        match self.scaling:
            case "none":
                by = [1.0] * len(groups)
            case "group-floor":
                by = [max(deviation, STD_FLOOR) for deviation in spreads]
            case "task":
                by = [self.spread[task] + TINY for task in tasks]
            case "group" | "gdpo":
                by = [deviation + TINY for deviation in spreads]
        scaled = [[reward / divisor for reward in group] for group, divisor in zip(groups, by, strict=True)]
        if self.scaling == "gdpo":
            whole = spread([reward - fmean(group) for group in scaled for reward in group]) + TINY
            scaled = [[reward / whole for reward in group] for group in scaled]
        return scaled

    @property
    def state(self) -> dict:
        """What a checkpoint has to hold; JSON-serialisable."""
        history = {str(step): dict(weights) for step, weights in self.history.items()}
        return {**{name: dict(getattr(self, name)) for name in ESTIMATES}, "steps": self.steps, "history": history}

    @state.setter
    def state(self, saved: dict) -> None:
        if set(saved["reward"]) != set(self.rows):
            raise ValueError(f"the checkpoint mixes {sorted(saved['reward'])}, this run {sorted(self.rows)}: use another --output")
        for name in ESTIMATES:
            setattr(self, name, dict(saved[name]))
        self.steps = saved["steps"]
        self.history = {int(step): weights for step, weights in saved["history"].items()}


def _normalised(values: dict[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {name: value / total for name, value in values.items()}
