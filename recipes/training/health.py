"""What can go wrong in phase 3: problems read from the log while it trains, each printed once with its remedy.

The bounds are ours. They are so wide that a sound run of nano meets none of them. A task's accuracy in a
step is the mean of one or two groups, and so mostly noise: it counts as fallen only where a test of significance says
so.
"""

import math
from statistics import fmean, pstdev

from scipy.stats import mannwhitneyu
from transformers import TrainerCallback

from chemr_lite import get_task
from recipes.training.distributed import say

WINDOW = 10  # steps that a problem must last
NO_SIGNAL = 0.95  # share of groups whose completions all earn the same
CLIPPED = 0.2  # share of completions that reach the length limit
FORMAT_LOSS = 0.1  # fall of the share of completions in the format, from its best window
ACCURACY_LOSS = 0.2  # fall of a task's accuracy, from all steps before its last window to that window
CHANCE = 2e-5  # highest p-value of such a fall: some 24 tasks are tested at each of some 100 steps of a run
ONE_ANSWER = 0.5  # share of a task's latest questions that have the same answer, where each has many right ones
HIGH_KL = 0.5  # nats per token, from the model of phase 2


def find_problems(log: list[dict]) -> dict[str, str]:
    """Return the problems at the end of `log`, the lines of log.jsonl in order: kind → one line with the remedy."""
    problems = {}

    def recent(name: str) -> list[float]:
        """The last WINDOW values of a metric, none if there are fewer."""
        values = [line[name] for line in log if name in line]
        return values[-WINDOW:] if len(values) >= WINDOW else []

    last = log[-1] if log else {}
    for name in ("loss", "grad_norm", "kl"):
        if not math.isfinite(last.get(name, 0.0)):
            problems["nan"] = (
                f"{name} is {last[name]}: lower --grpo-learning-rate, and on a GPU older than Ampere check that fp16 "
                "is used"
            )
            break
    no_signal, rewards = recent("groups/without_signal"), recent("reward/unscaled")
    if no_signal and min(no_signal) >= NO_SIGNAL:
        problems["signal"] = (
            f"in {100 * fmean(no_signal):.0f} % of the groups all completions earn the same, so they teach nothing: "
            "if all are wrong, train phase 2 longer; if all are right, take harder rows; or raise --temperature or "
            "--num-generations"
        )
    if rewards and pstdev(rewards) < 1e-9:
        problems["constant"] = (
            f"the mean reward has been {rewards[0]:.3f} in each of {WINDOW} steps: read the reasons in "
            "predictions.jsonl"
        )
    clipped = recent("completions/clipped_ratio")
    if clipped and fmean(clipped) > CLIPPED:
        problems["cut"] = (
            f"{100 * fmean(clipped):.0f} % of the completions are cut off and earn nothing: raise "
            "--max-completion-tokens"
        )
    in_format = [line["format"] for line in log if "format" in line]
    if len(in_format) >= 2 * WINDOW:
        now = fmean(in_format[-WINDOW:])
        best = max(fmean(in_format[i : i + WINDOW]) for i in range(len(in_format) - WINDOW))
        if now < best - FORMAT_LOSS:
            problems["format"] = (
                f"only {100 * now:.0f} % of the completions are still in the format: lower --grpo-learning-rate"
            )
    kl = recent("kl")
    if kl and fmean(kl) > HIGH_KL:
        problems["kl"] = (
            f"the model runs away from phase 2 (KL {fmean(kl):.2f}): raise --beta or lower --grpo-learning-rate"
        )
    for name in _named(log, "commonest/"):
        task = name.removeprefix("commonest/")
        share = next(line[name] for line in reversed(log) if name in line)
        if get_task(task).verified and share > ONE_ANSWER:
            problems[name] = (
                f"{100 * share:.0f} % of the latest questions of {task} got one and the same answer: raise "
                "--temperature or --beta, lower --grpo-learning-rate, or train phase 2 on more varied traces"
            )
    for name in _named(log, "accuracy/"):
        accuracy = [line[name] for line in log if name in line]
        if len(accuracy) < 2 * WINDOW:
            continue
        earlier, latest = accuracy[:-WINDOW], accuracy[-WINDOW:]
        before, now = fmean(earlier), fmean(latest)
        if now < before - ACCURACY_LOSS and mannwhitneyu(earlier, latest, alternative="greater").pvalue < CHANCE:
            problems[name] = (
                f"{name.removeprefix('accuracy/')} falls from {100 * before:.0f} to {100 * now:.0f} %: raise --beta, "
                "lower --grpo-learning-rate, or see whether another task's reward can be farmed "
                "(recipes/studies/adversarial.py)"
            )
    return problems


def _named(log: list[dict], prefix: str) -> list[str]:
    return sorted({name for line in log for name in line if name.startswith(prefix)})


class Health(TrainerCallback):
    """Prints each problem when it first appears."""

    def __init__(self):
        self.log: list[dict] = []
        self.reported: set[str] = set()

    def on_log(self, args, state, control, logs=None, **_):
        self.log.append(logs or {})
        for kind, text in find_problems(self.log).items():
            if kind not in self.reported:
                self.reported.add(kind)
                say(f"\n[grpo] step {state.global_step}, warning: {text}")
