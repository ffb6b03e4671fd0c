"""The rollout of phase 3: the completions of a step are sampled, and groups without signal are left out of training.

A group is flat if all of its completions earn the same. Then no completion has an advantage, and all that the group
would bring is a KL to phase 2. Many groups are flat, so they are found before the reference pass and the training
pass: the model leaves their rows out, and the loss their tokens.

The gradient of the other groups is the same as before, because the loss still divides by all completions of a step.
The KL to phase 2 acts on completions that teach something, and no longer on the others.
"""

import json
from collections.abc import Callable, Sequence

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from chemr_lite.mixing import Mixture
from chemr_lite.model.generation import sample_completions


class Rollout:
    """Samples completions as GRPOTrainer's `rollout_func`, and knows which of them belong to flat groups.

    `reward` is the reward function before it is wrapped by `mixture`, which knows the rows of the prompts.
    """

    def __init__(self, mixture: Mixture, reward: Callable):
        self.mixture, self.reward = mixture, reward
        self.flat: set[tuple[int, ...]] = set()  # the tokens of a prompt and its completion, of the last step

    def __call__(self, prompts: list[list[dict]], trainer) -> dict:
        """Return the completions of `prompts`, which hold each prompt `num_generations` times."""
        model, tokenizer = trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class
        prompt_ids, completion_ids = sample_completions(
            model, tokenizer, prompts, trainer.max_completion_length, trainer.temperature
        )
        texts = tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
        is_flat = self._is_flat(prompts, texts, trainer.num_generations)
        texts_of = {True: set(), False: set()}
        for flat, prompt, completion in zip(is_flat, prompt_ids, completion_ids, strict=True):
            texts_of[flat].add((*prompt, *completion))
        self.flat = texts_of[True] - texts_of[False]  # a question that is drawn twice may have a flat group and another
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "logprobs": None,  # sampling is on policy, so there is no importance ratio to correct
            "env_mask": [[int(not flat)] * len(ids) for flat, ids in zip(is_flat, completion_ids, strict=True)],
        }

    def _is_flat(self, prompts: Sequence[list[dict]], texts: Sequence[str], size: int) -> list[bool]:
        """Return for each completion whether its group is flat. Processes may share a group, so all are asked."""
        rows = [self.mixture.drawn.get(json.dumps(prompt)) for prompt in prompts]
        if None in rows:  # the rehearsal's prompts, which stand for the largest step
            return [False] * len(texts)
        columns = {name: [row[name] for row in rows] for name in ("task", "input", "answer", "meta")}
        values = self.reward(completions=texts, **columns)
        of_step = gather_object(list(values))
        groups = [of_step[start : start + size] for start in range(0, len(of_step), size)]
        is_flat = [max(group) == min(group) for group in groups for _ in group]
        first = PartialState().process_index * len(values)
        return is_flat[first : first + len(values)]

    def leave_out_flat(self, model) -> None:
        """Make `model` leave the rows of flat groups out of each pass over a GRPO batch. Their logits are 0."""
        full_forward = model.forward

        def forward(*args, input_ids=None, attention_mask=None, logits_to_keep=0, **others):
            named = {"attention_mask": attention_mask, "logits_to_keep": logits_to_keep, **others}
            rows = self._live_rows(input_ids, attention_mask) if self.flat and logits_to_keep > 1 else None
            if rows is None or len(rows) == len(input_ids):
                return full_forward(*args, **({} if input_ids is None else {"input_ids": input_ids}), **named)
            named["attention_mask"] = attention_mask[rows]
            output = full_forward(*args, input_ids=input_ids[rows], **named)
            every = output.logits.new_zeros(len(input_ids), *output.logits.shape[1:])
            output.logits = every.index_copy(0, rows, output.logits)
            return output

        model.forward = forward

    def _live_rows(self, input_ids, attention_mask) -> torch.Tensor | None:
        """Return the rows of a batch that are not flat; the first row if all are, so that there is a gradient, of 0."""
        if input_ids is None or attention_mask is None:
            return None
        rows = [
            row
            for row, (ids, mask) in enumerate(zip(input_ids, attention_mask, strict=True))
            if tuple(ids[mask.bool()].tolist()) not in self.flat
        ]
        return torch.tensor(rows or [0], device=input_ids.device)
