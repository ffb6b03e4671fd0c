"""What goes wrong in phase 3, read from the log while it trains: each trouble once, in one line, with the remedy.

The bounds are ours: wide enough that a sound run of nano meets none of them.
"""

import math
from statistics import fmean, pstdev

from transformers import TrainerCallback

from recipes.training.distributed import say

WINDOW = 10  # steps, over which a trouble must last
SILENT = 0.95  # share of groups in which all completions earn the same
CUT = 0.2  # share of completions that reach the length limit
FORMAT_LOST = 0.1  # fall of the share of completions in the format
TASK_LOST = 0.3  # fall of a task's accuracy, from its first answers to its last
KL_HIGH = 0.5  # nats a token from the model of phase 2


def find_problems(log: list[dict]) -> dict[str, str]:
    """What is wrong at the end of `log`, the logged steps in order (runs' log.jsonl): kind → line with the remedy."""
    found = {}

    def last(name: str) -> list[float]:
        values = [line[name] for line in log if name in line]
        return values[-WINDOW:] if len(values) >= WINDOW else []

    latest = log[-1] if log else {}
    broken = [name for name in ("loss", "grad_norm", "kl") if not math.isfinite(latest.get(name, 0.0))]
    if broken:
        found["nan"] = (
            f"{broken[0]} is {latest[broken[0]]}: lower --grpo-learning-rate, and on a GPU older than Ampere see that fp16 is used"
        )
    silent, rewards = last("groups/without_signal"), last("reward/unscaled")
    if silent and min(silent) >= SILENT:
        found["signal"] = (
            f"in {100 * fmean(silent):.0f} % of the groups all completions earn the same, so nothing is learnt from them: train phase 2 "
            "longer if they are all wrong, take harder rows if they are all right, or raise --temperature or --num-generations"
        )
    if rewards and pstdev(rewards) < 1e-9:
        found["constant"] = (
            f"the mean reward has been {rewards[0]:.3f} in each of {WINDOW} steps: look at the reasons in predictions.jsonl"
        )
    cut = last("completions/clipped_ratio")
    if cut and fmean(cut) > CUT:
        found["cut"] = (
            f"{100 * fmean(cut):.0f} % of the completions are cut off and earn nothing: raise --max-completion-tokens"
        )
    kept = [line["format"] for line in log if "format" in line]
    if (
        len(kept) >= 2 * WINDOW
        and fmean(kept[-WINDOW:]) < max(fmean(kept[i : i + WINDOW]) for i in range(len(kept) - WINDOW)) - FORMAT_LOST
    ):
        found["format"] = (
            f"only {100 * fmean(kept[-WINDOW:]):.0f} % of the completions are still in the format: lower --grpo-learning-rate"
        )
    kl = last("kl")
    if kl and fmean(kl) > KL_HIGH:
        found["kl"] = (
            f"the model runs away from phase 2 (KL {fmean(kl):.2f}): raise --beta or lower --grpo-learning-rate"
        )
    for name in sorted({name for line in log for name in line if name.startswith("accuracy/")}):
        seen = [line[name] for line in log if name in line]
        if len(seen) >= 2 * WINDOW and fmean(seen[-WINDOW:]) < fmean(seen[:WINDOW]) - TASK_LOST:
            task = name.removeprefix("accuracy/")
            found[name] = (
                f"{task} falls from {100 * fmean(seen[:WINDOW]):.0f} to {100 * fmean(seen[-WINDOW:]):.0f} %: raise --beta, lower "
                "--grpo-learning-rate, or see whether another task's reward can be farmed (recipes/studies/adversarial.py)"
            )
    return found


class Health(TrainerCallback):
    """Prints each trouble when it first shows."""

    def __init__(self):
        self.log: list[dict] = []
        self.told: set[str] = set()

    def on_log(self, args, state, control, logs=None, **_):
        self.log.append(logs or {})
        for kind, text in find_problems(self.log).items():
            if kind not in self.told:
                self.told.add(kind)
                say(f"\n[grpo] step {state.global_step}, warning: {text}")
