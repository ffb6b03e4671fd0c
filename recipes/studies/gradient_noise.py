"""Estimate what phase 3 could learn from a checkpoint before training it: the noise of GRPO's gradient, task by task.

    python recipes/studies/gradient_noise.py outputs/nano/distill                              # from phase 2 of a run
    python recipes/studies/gradient_noise.py outputs/t4/distill --preset t4 --groups 60 --tasks open_generation

1. Sample training prompts of each task, and score and scale their completions, as phase 3 does.
2. Compute a gradient for each prompt's group of completions. The sum over a task's groups grows with their number where
   they agree, and with its square root where they differ by chance.
3. Report the *gradient noise scale* (McCandlish et al. 2018, arXiv 1812.06162): the variance of one group's gradient
   over the square of the mean gradient. It is the number of groups at which signal and noise are alike, for the model
   as it is now. A run that practises far fewer, over all its steps, mostly learns noise. More is no promise.

Where the groups are too few to estimate a task's scale, its lower bound is given (two standard errors). "all" weighs
each task alike. Nothing is trained. The command writes noise.json and noise.md to --output, by default outputs/noise.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tqdm import tqdm

from chemr_lite import reward_functions
from chemr_lite.mixing import Mixture, columns_of
from chemr_lite.protocols import load_protocols
from recipes import grpo
from recipes.training import command
from recipes.training.files import write_json
from recipes.training.options import Options, UsageError, make_parser, read_options
from recipes.training.quiet import silence_libraries
from recipes.training.rows import grpo_rows, load_rows

SKETCH = 8192  # entries that a gradient is compressed to
LEAST = 10  # groups that an estimate needs


class Sketch:
    """Compress vectors of `size` entries to SKETCH entries, which keeps their dot products in expectation.

    Each entry is added to a random place under a random sign (count sketch, Charikar et al. 2002). The dot product of
    two sketches is off by about 1 / √SKETCH of the product of the vectors' lengths.
    """

    def __init__(self, size: int, device: str):
        import torch

        random = torch.Generator().manual_seed(0)
        self.place = torch.randint(SKETCH, (size,), generator=random).to(device)
        self.sign = (2 * torch.randint(2, (size,), generator=random) - 1).to(device)

    def __call__(self, vector):
        return vector.new_zeros(SKETCH).index_add_(0, self.place, vector * self.sign).cpu()


def noise_scale(gradients) -> dict[str, float | None]:
    """Estimate the noise scale, in groups, from `gradients`, a tensor of shape (groups, entries).

    Returns `scale` and its bounds `least` and `most`, two standard errors away (of a U-statistic, Hoeffding 1948).
    The square of the mean gradient is estimated without bias, by the mean product of two different groups' gradients.
    So it may come out below 0. `scale` and `most` are None if the lower bound of that square is not above 0. `least` is
    None if its upper bound is not. All three are None for fewer than LEAST groups.
    """
    import torch

    count = len(gradients)
    if count < LEAST:
        return dict.fromkeys(("scale", "least", "most"))
    products = gradients @ gradients.T
    power = products.diagonal().mean().item()  # signal and noise together
    pairs = products[~torch.eye(count, dtype=torch.bool)]
    of_groups = (products.sum(1) - products.diagonal()) / (count - 1)
    # the covariance of two pairs that share a group
    shared = max(0.0, (of_groups.var() - pairs.var() / (count - 1)).item())
    error = ((4 * (count - 2) * shared + 2 * pairs.var().item()) / count / (count - 1)) ** 0.5

    def scale(signal: float) -> float | None:
        return max(0.0, power / signal - 1) if signal > 0 else None

    signal = pairs.mean().item()
    least, most = scale(signal + 2 * error), scale(signal - 2 * error)
    return {"scale": None if most is None else scale(signal), "least": least, "most": most}


def gradient(
    model, prompt: list[int], completions: list[list[int]], rewards: list[float], temperature: float, at_once: int
):
    """Return GRPO's gradient for one group at its first step, as one vector of all trained parameters of `model`.

    The step is on policy and its KL is 0. So this is the gradient of the mean over completions of (reward − the group's
    mean) × (mean log-probability of the completion's tokens). The model reads `at_once` completions at a time.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    advantages = [reward - fmean(rewards) for reward in rewards]
    total = 0.0
    for start in range(0, len(completions), at_once):
        part = slice(start, start + at_once)
        texts = [torch.tensor([*prompt, *completion], device=model.device) for completion in completions[part]]
        ids, mask = (pad_sequence(rows, batch_first=True) for rows in (texts, list(map(torch.ones_like, texts))))
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=ids.shape[1] - len(prompt) + 1).logits[:, :-1]
        log_probabilities = (logits.float() / temperature).log_softmax(-1)
        of_tokens = log_probabilities.gather(2, ids[:, len(prompt) :, None])[..., 0]
        written = mask[:, len(prompt) :]
        means = (of_tokens * written).sum(1) / written.sum(1)
        objective = (means * torch.tensor(advantages[part], device=model.device)).sum() / len(completions)
        total = total + torch.cat([grad.flatten().float() for grad in torch.autograd.grad(objective, trained)])
    return total


def measure(target: Path, options: Options, per_task: int) -> dict[str, dict]:
    """Sample `per_task` groups of each task from the model in `target`. Return figures by task, and over all in "all".

    The figures are groups, mean reward, share of groups that differ, and noise scale.
    """
    loaded = load_rows(options)
    grpo.check(options, loaded)
    silence_libraries()
    import torch  # this and the imports below take seconds, which --help must not wait for

    from chemr_lite.model.beginnings import share_beginnings
    from chemr_lite.model.folders import base_of
    from chemr_lite.model.generation import sample_completions
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_model, load_tokenizer

    hardware, name = detect_hardware(), base_of(target)
    tokenizer = load_tokenizer(name)
    model = load_model(name, target, "hf", hardware, options.max_length, options.lora_r, options.seed)
    if hardware.device == "cpu":
        share_beginnings(model)
    sketch = Sketch(sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad), model.device)
    [reward] = reward_functions(options.grounding_reward, load_protocols(options.protocols))
    mixture = Mixture(
        grpo_rows(options, loaded.rows), options.prompts_per_step, options.seed, options.sampling, options.scaling
    )
    torch.manual_seed(options.seed)
    random = Random(options.seed)
    rows = [row for of_task in mixture.rows.values() for row in random.sample(of_task, min(per_task, len(of_task)))]
    gradients, rewards, size = defaultdict(list), defaultdict(list), options.num_generations
    with tqdm(total=len(rows), desc="sampling", unit=" groups") as bar:
        for start in range(0, len(rows), options.prompts_per_step):
            columns = columns_of([row for row in rows[start : start + options.prompts_per_step] for _ in range(size)])
            prompts, tasks = columns.pop("prompt"), columns["task"][::size]
            ids, completions = sample_completions(
                model, tokenizer, prompts, options.max_completion_tokens, options.temperature
            )
            texts = tokenizer.batch_decode(completions, skip_special_tokens=True)
            values = reward(prompts=prompts, completions=texts, **columns)
            groups = [slice(first, first + size) for first in range(0, len(completions), size)]
            scaled = mixture.scale(tasks, [values[group] for group in groups])
            for task, group, group_rewards in zip(tasks, groups, scaled, strict=True):
                vector = torch.zeros(SKETCH)
                if max(values[group]) > min(values[group]):
                    vector = sketch(
                        gradient(
                            model,
                            ids[group.start],
                            completions[group],
                            group_rewards,
                            options.temperature,
                            options.grpo_micro_batch,
                        )
                    )
                gradients[task].append(vector)
                rewards[task].append(values[group])
                bar.update()
    for by_task in (gradients, rewards):
        by_task["all"] = [entry for of_task in by_task.values() for entry in of_task]
    return {
        task: {
            "groups": len(groups),
            "reward": fmean(fmean(group) for group in groups),
            "differ": fmean(max(group) > min(group) for group in groups),
            **noise_scale(torch.stack(gradients[task])),
        }
        for task, groups in rewards.items()
    }


def table(results: dict[str, dict]) -> str:
    """Return the figures of `measure` as a Markdown table."""
    lines = [
        "| task | groups | mean reward | groups that differ, % | noise scale, groups |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for task, figures in results.items():
        scale, least, most = figures["scale"], figures["least"], figures["most"]
        if scale is not None:
            text = f"{scale:,.0f} ({least:,.0f} to {most:,.0f})"
        else:
            text = "–" if least is None else f"over {least:,.0f}"
        share = 100 * figures["differ"]
        lines.append(f"| {task} | {figures['groups']} | {figures['reward']:.2f} | {share:.0f} | {text} |")
    return "\n".join(lines)


def make_noise_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__)
    parser.set_defaults(output="outputs/noise")
    parser.add_argument("phase", nargs="?", type=Path, help="the phase to start from, as outputs/nano/distill")
    groups_help = f"prompts of each task, with --num-generations completions each; at least {LEAST}"
    parser.add_argument("--groups", type=int, default=40, help=groups_help)
    return parser


def main() -> None:
    options, args = read_options(make_noise_parser())
    if not args.phase:
        raise UsageError("name the phase to start from: outputs/nano/distill")
    if args.groups < LEAST:
        raise UsageError(f"--groups {args.groups}: at least {LEAST}, each of which is compared with every other")
    results, output = measure(args.phase, options, args.groups), Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    facts = {"from": str(args.phase), "completions": options.num_generations, "tasks": results}
    write_json(output / "noise.json", facts)
    text = table(results)
    (output / "noise.md").write_text(text + "\n")
    groups = options.grpo_steps * options.prompts_per_step
    print(f"\n{text}\n")
    print(f"{args.preset} practises {groups:,} groups: {options.grpo_steps} steps of {options.prompts_per_step}")
    print(f"written to {output}/noise.json and noise.md")


if __name__ == "__main__":
    command.run(main)
