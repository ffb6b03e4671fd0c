"""What phase 3 could learn from here, told before it is paid for: the noise of GRPO's gradient, task by task.

    python recipes/studies/gradient_noise.py outputs/nano/distill                              # from phase 2 of a run
    python recipes/studies/gradient_noise.py outputs/t4/distill --preset t4 --groups 60 --tasks open_generation

1. Some training prompts of each task are sampled as phase 3 does, and paid and scaled as there.
2. Each prompt's group of completions has a gradient of its own. Where the groups of a task agree, their sum grows with
   their number; where they are luck, with its root.
3. The *gradient noise scale* (McCandlish et al. 2018, arXiv 1812.06162), the variance of one group's gradient over the
   square of the mean gradient, is the number of groups in which the two are alike, as long as the model is what it is now.
   A run that practises far fewer, all its steps together, mostly learns luck. More is no promise.

Where the groups are too few to tell a task's scale, its lower bound is given (two standard errors). Under "all" each task
is asked equally often. Nothing is trained.
Writes noise.json and noise.md to --output, by default outputs/noise.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from chemr_lite import reward_functions
from chemr_lite.mixing import Mixture, columns_of
from chemr_lite.protocols import load_protocols
from recipes import grpo
from recipes.training import command
from recipes.training.files import write_json
from recipes.training.options import Options, UsageError, make_parser, read_options
from recipes.training.rows import grpo_rows, load_rows

SKETCH = 8192  # numbers that a gradient is kept as
LEAST = 10  # groups that a scale is estimated from


class Sketch:
    """Keeps long vectors as SKETCH numbers each, whose dot products are the vectors' own in expectation.

    Every entry is added, under a random sign, to a random one of the numbers (count sketch, Charikar et al. 2002). A
    product of two is off by about 1 / √SKETCH of the product of their lengths.
    """

    def __init__(self, size: int, device: str):
        import torch

        random = torch.Generator().manual_seed(0)
        self.place = torch.randint(SKETCH, (size,), generator=random).to(device)
        self.sign = (2 * torch.randint(2, (size,), generator=random) - 1).to(device)

    def __call__(self, vector):
        return vector.new_zeros(SKETCH).index_add_(0, self.place, vector * self.sign).cpu()


def noise_scale(gradients) -> dict[str, float | None]:
    """The noise scale, in groups, of `gradients`, a tensor (groups, entries): `scale`, and `least` and `most` that it may be.

    The square of the mean gradient is estimated without bias, by the mean product of two different groups' gradients, and
    may come out below 0. `least` and `most` stand two standard errors beside it (that of a U-statistic, Hoeffding 1948).
    Each is None where the mean gradient is not told from nothing there, and all are for fewer than LEAST groups.
    """
    import torch

    count = len(gradients)
    if count < LEAST:
        return dict.fromkeys(("scale", "least", "most"))
    products = gradients @ gradients.T
    power = products.diagonal().mean().item()  # signal and noise together
    pairs = products[~torch.eye(count, dtype=torch.bool)]
    of_groups = (products.sum(1) - products.diagonal()) / (count - 1)
    shared = max(
        0.0, (of_groups.var() - pairs.var() / (count - 1)).item()
    )  # two pairs with a group in common vary together
    error = ((4 * (count - 2) * shared + 2 * pairs.var().item()) / count / (count - 1)) ** 0.5

    def scale(signal: float) -> float | None:
        return max(0.0, power / signal - 1) if signal > 0 else None

    signal = pairs.mean().item()
    least, most = scale(signal + 2 * error), scale(signal - 2 * error)
    return {"scale": None if most is None else scale(signal), "least": least, "most": most}


def gradient(
    model, prompt: list[int], completions: list[list[int]], rewards: list[float], temperature: float, at_once: int
):
    """GRPO's for one group at its first step, where it is on policy and the KL is 0: of the mean over completions of their reward
    above the group's mean × the mean log-probability of their tokens. One vector of all that is trained of `model`, which
    reads so many completions `at_once`."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    advantages = [reward - fmean(rewards) for reward in rewards]
    whole = 0.0
    for start in range(0, len(completions), at_once):
        texts = [torch.tensor([*prompt, *made], device=model.device) for made in completions[start : start + at_once]]
        ids, mask = (pad_sequence(rows, batch_first=True) for rows in (texts, list(map(torch.ones_like, texts))))
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=ids.shape[1] - len(prompt) + 1).logits[:, :-1]
        told = (logits.float() / temperature).log_softmax(-1).gather(2, ids[:, len(prompt) :, None])[..., 0]
        written = mask[:, len(prompt) :]
        means = (told * written).sum(1) / written.sum(1)
        gain = (means * torch.tensor(advantages[start : start + at_once], device=model.device)).sum() / len(completions)
        whole = whole + torch.cat([grad.flatten().float() for grad in torch.autograd.grad(gain, trained)])
    return whole


def measure(target: Path, options: Options, per_task: int) -> dict[str, dict]:
    """Of each task, and of all alike under "all": groups, mean reward, share of groups that differ, noise scale."""
    loaded = load_rows(options)
    grpo.check(options, loaded)
    from recipes.training.quiet import silence_libraries

    silence_libraries()
    import torch  # this and what brings it are no matter of --help
    from tqdm import tqdm

    from chemr_lite.model.cpu import share_prompts
    from chemr_lite.model.folders import base_of
    from chemr_lite.model.generation import sample_groups
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_model, load_tokenizer

    hardware, name = detect_hardware(), base_of(target)
    tokenizer = load_tokenizer(name)
    model = load_model(name, target, "hf", hardware, options.max_length, options.lora_r, options.seed)
    if hardware.device == "cpu":
        share_prompts(model)
    keep = Sketch(sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad), model.device)
    [reward] = reward_functions(options.grounding_reward, load_protocols(options.protocols))
    mixture = Mixture(
        grpo_rows(options, loaded.rows), options.prompts_per_step, options.seed, options.sampling, options.scaling
    )
    torch.manual_seed(options.seed)
    random = Random(options.seed)
    asked = [row for of_task in mixture.rows.values() for row in random.sample(of_task, min(per_task, len(of_task)))]
    gradients, earned, size = defaultdict(list), defaultdict(list), options.num_generations
    with tqdm(total=len(asked), desc="sampling", unit=" groups") as bar:
        for start in range(0, len(asked), options.prompts_per_step):
            columns = columns_of([row for row in asked[start : start + options.prompts_per_step] for _ in range(size)])
            prompts, tasks = columns.pop("prompt"), columns["task"][::size]
            ids, made = sample_groups(
                model, tokenizer, prompts[::size], size, options.max_completion_tokens, options.temperature
            )
            values = reward(
                prompts=prompts, completions=tokenizer.batch_decode(made, skip_special_tokens=True), **columns
            )
            groups = [slice(first, first + size) for first in range(0, len(made), size)]
            scaled = mixture.scale(tasks, [values[group] for group in groups])
            for task, group, weighs in zip(tasks, groups, scaled, strict=True):
                vector, rewards = torch.zeros(SKETCH), values[group]
                if max(rewards) > min(rewards):
                    read = gradient(
                        model, ids[group.start], made[group], weighs, options.temperature, options.grpo_micro_batch
                    )
                    vector = keep(read)
                gradients[task].append(vector)
                earned[task].append(rewards)
                bar.update()
    gradients["all"], earned["all"] = (
        [one for of_task in parts.values() for one in of_task] for parts in (gradients, earned)
    )
    return {
        task: {
            "groups": len(groups),
            "reward": fmean(fmean(rewards) for rewards in groups),
            "differ": fmean(max(rewards) > min(rewards) for rewards in groups),
            **noise_scale(torch.stack(gradients[task])),
        }
        for task, groups in earned.items()
    }


def table(found: dict[str, dict]) -> str:
    lines = [
        "| task | groups | mean reward | groups that differ, % | noise scale, groups |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for task, told in found.items():
        bound = "–" if told["least"] is None else f"over {told['least']:,.0f}"
        scale = (
            bound if told["scale"] is None else f"{told['scale']:,.0f} ({told['least']:,.0f} to {told['most']:,.0f})"
        )
        lines.append(f"| {task} | {told['groups']} | {told['reward']:.2f} | {100 * told['differ']:.0f} | {scale} |")
    return "\n".join(lines)


def make_noise_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__)
    parser.set_defaults(output="outputs/noise")
    parser.add_argument("phase", nargs="?", type=Path, help="the phase to start from, as outputs/nano/distill")
    parser.add_argument(
        "--groups",
        type=int,
        default=40,
        help="prompts of each task, with --num-generations completions each; at least 10",
    )
    return parser


def main() -> None:
    options, wanted = read_options(make_noise_parser())
    if not wanted.phase:
        raise UsageError("name the phase to start from: outputs/nano/distill")
    if wanted.groups < LEAST:
        raise UsageError(f"--groups {wanted.groups}: at least {LEAST}, each of which is compared with every other")
    found, output = measure(wanted.phase, options, wanted.groups), Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    write_json(
        output / "noise.json", {"from": str(wanted.phase), "completions": options.num_generations, "tasks": found}
    )
    text = table(found)
    (output / "noise.md").write_text(text + "\n")
    practised = options.grpo_steps * options.prompts_per_step
    print(
        f"\n{text}\n\n{practised:,} groups are what {wanted.preset} practises: {options.grpo_steps} steps of "
        f"{options.prompts_per_step}"
    )
    print(f"written to {output}/noise.json and noise.md")


if __name__ == "__main__":
    command.run(main)
