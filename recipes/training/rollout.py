"""The rollout of phase 3: the completions of a step are sampled, and what teaches nothing is left out of the passes.

A group is flat if all of its completions earn the same. Then none has an advantage, and all that the group would bring
is a KL to phase 2. Flat groups are found here, before the reference pass and the training pass. Of their prompts and
completions one token each is left, which the loss does not count. Rewards and metrics are of the whole completions.

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
            is_flat = self.is_flat(rows, texts, size)
            answers = [parse_completion(text).answer for text in texts]
            groups = [answers[start : start + size] for start in range(0, len(answers), size)]
            for name, value in self.variety.observe([row["task"] for row in rows[::size]], groups).items():
                trainer._metrics["train"][name].append(value)
        return {
            "prompt_ids": [ids[:1] if flat else ids for ids, flat in zip(prompt_ids, is_flat, strict=True)],
            # the last token tells the trainer whether the completion was cut
            "completion_ids": [ids[-1:] if flat else ids for ids, flat in zip(completion_ids, is_flat, strict=True)],
            "env_mask": [[0] if flat else [1] * len(ids) for ids, flat in zip(completion_ids, is_flat, strict=True)],
            "logprobs": None,  # sampling is on policy, so there is no importance ratio to correct
            # columns for the reward
            "whole": texts,
            "tokens": list(map(len, completion_ids)),
        }

    def is_flat(self, rows: Sequence[Row], texts: Sequence[str], size: int) -> list[bool]:
        """Return for each completion whether its group is flat. Processes may share a group, so all are asked."""
        columns = {name: [row[name] for row in rows] for name in ("task", "input", "answer", "meta")}
        values = self.reward(completions=texts, **columns)
        of_step = gather_object(list(values))
        groups = [of_step[start : start + size] for start in range(0, len(of_step), size)]
        is_flat = [max(group) == min(group) for group in groups for _ in group]
        first = PartialState().process_index * len(values)
        return is_flat[first : first + len(values)]
