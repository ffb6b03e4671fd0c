"""The rollout of phase 3: the completions of a step are sampled, and what teaches nothing is left out of the passes.

A group is flat if all of its completions earn the same. Then none has an advantage, and all that the group would bring
is a KL to phase 2. Flat groups are found here, before the reference pass and the training pass. Of their completions
one token is left, which the loss does not count. Rewards, `completions/length` and `completions/clipped_ratio` are of
the whole completions. The KL, the entropy and the trainer's other lengths are of what is trained on.

The gradient of the other groups is what it would be without this, because the loss still divides by all completions of
a step. The KL to phase 2 no longer acts on flat groups. Time is saved where a batch is read without its padding: on a
CPU (chemr_lite.model.beginnings), and by Unsloth, which packs its batches.
"""

import json
from collections.abc import Callable, Sequence

from accelerate import PartialState
from accelerate.utils import gather_object

from chemr_lite.answers import parse_completion
from chemr_lite.mixing import Mixture
from chemr_lite.model.generation import sample_completions
from chemr_lite.tasks.base import Row
from recipes.training.variety import Variety


class Rollout:
    """Samples completions as GRPOTrainer's `rollout_func`, and empties those of flat groups.

    `reward` is the reward function before it is wrapped by `mixture`, which knows the rows of the prompts.
    """

    def __init__(self, mixture: Mixture, reward: Callable):
        self.mixture, self.reward, self.variety = mixture, reward, Variety()

    def __call__(self, prompts: list[list[dict]], trainer) -> dict:
        """Return the completions of `prompts`, which hold each prompt `num_generations` times."""
        model, tokenizer = trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class
        prompt_ids, completion_ids = sample_completions(
            model,
            tokenizer,
            prompts,
            trainer.max_completion_length,
            trainer.temperature,
            trainer.generation_config.min_new_tokens,
        )
        texts, size = tokenizer.batch_decode(completion_ids, skip_special_tokens=True), trainer.num_generations
        rows = [self.mixture.drawn.get(json.dumps(prompt)) for prompt in prompts]
        is_flat = [False] * len(texts)
        if None not in rows:  # the prompts of the rehearsal stand for the largest step, and were not drawn
            is_flat, metrics = self.judge(rows, texts, size)
            for name, value in metrics.items():
                trainer._metrics["train"][name].append(value)
        if trainer.accelerator.device.type == "cpu":  # elsewhere prompts of one token would widen the padding
            prompt_ids = [ids[:1] if flat else ids for ids, flat in zip(prompt_ids, is_flat, strict=True)]
        return {
            "prompt_ids": prompt_ids,
            # the last token tells the trainer whether the completion was cut
            "completion_ids": [ids[-1:] if flat else ids for ids, flat in zip(completion_ids, is_flat, strict=True)],
            "env_mask": [[0] if flat else [1] * len(ids) for ids, flat in zip(completion_ids, is_flat, strict=True)],
            "logprobs": None,  # sampling is on policy, so there is no importance ratio to correct
            # columns for the reward
            "whole": texts,
            "tokens": list(map(len, completion_ids)),
        }

    def judge(self, rows: Sequence[Row], texts: Sequence[str], size: int) -> tuple[list[bool], dict[str, float]]:
        """Return for each completion whether its group is flat, and the metrics of variety.

        Processes may share a group, so each hears of the whole step.
        """
        columns = {name: [row[name] for row in rows] for name in ("task", "input", "answer", "meta")}
        values, answers = self.reward(completions=texts, **columns), [parse_completion(text).answer for text in texts]
        step = gather_object(list(zip(columns["task"], values, answers, strict=True)))
        groups = [step[start : start + size] for start in range(0, len(step), size)]
        is_flat = []
        for group in groups:
            rewards = [value for _, value, _ in group]
            is_flat += [max(rewards) == min(rewards)] * len(group)
        metrics = self.variety.observe([group[0][0] for group in groups], [[a for *_, a in group] for group in groups])
        first = PartialState().process_index * len(values)
        return is_flat[first : first + len(values)], metrics
