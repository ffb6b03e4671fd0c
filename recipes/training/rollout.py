"""The rollout of phase 3: the completions of a step are sampled, and what teaches nothing is left out of the passes.

1. A group is flat if all of its completions earn the same. Then none has an advantage, and all that the group would
   bring is a KL to phase 2. Flat groups are found before the reference pass and the training pass. The model does not
   read their rows, and the loss leaves out their tokens.
2. Completions of one prompt are often equal. The model reads one of them, and all get its logits.

The gradient of the other groups is what it would be without this, because the loss still divides by all completions of
a step. The KL to phase 2 no longer acts on flat groups.
"""

import json
from collections.abc import Callable, Sequence

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from chemr_lite.answers import parse_completion
from chemr_lite.mixing import Mixture
from chemr_lite.model.generation import sample_completions
from chemr_lite.tasks.base import Row
from recipes.training.variety import Variety


class Rollout:
    """Samples completions as GRPOTrainer's `rollout_func`, and knows which of them belong to flat groups.

    `reward` is the reward function before it is wrapped by `mixture`, which knows the rows of the prompts.
    """

    def __init__(self, mixture: Mixture, reward: Callable):
        self.mixture, self.reward = mixture, reward
        self.variety = Variety()
        self.flat: set[tuple[int, ...]] = set()  # the tokens of a prompt and its completion, of the last step

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
            is_flat = self._is_flat(rows, texts, size)
            answers = [parse_completion(text).answer for text in texts]
            groups = [answers[start : start + size] for start in range(0, len(answers), size)]
            for name, value in self.variety.observe([row["task"] for row in rows[::size]], groups).items():
                trainer._metrics["train"][name].append(value)
        self._remember(prompt_ids, completion_ids, is_flat)
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "logprobs": None,  # sampling is on policy, so there is no importance ratio to correct
            "env_mask": [[int(not flat)] * len(ids) for flat, ids in zip(is_flat, completion_ids, strict=True)],
        }

    def _is_flat(self, rows: Sequence[Row], texts: Sequence[str], size: int) -> list[bool]:
        """Return for each completion whether its group is flat. Processes may share a group, so all are asked."""
        columns = {name: [row[name] for row in rows] for name in ("task", "input", "answer", "meta")}
        values = self.reward(completions=texts, **columns)
        of_step = gather_object(list(values))
        groups = [of_step[start : start + size] for start in range(0, len(of_step), size)]
        is_flat = [max(group) == min(group) for group in groups for _ in group]
        first = PartialState().process_index * len(values)
        return is_flat[first : first + len(values)]

    def _remember(self, prompt_ids: list[list[int]], completion_ids: list[list[int]], is_flat: list[bool]) -> None:
        texts = {True: set(), False: set()}
        for prompt, completion, flat in zip(prompt_ids, completion_ids, is_flat, strict=True):
            texts[flat].add((*prompt, *completion))
        self.flat = texts[True] - texts[False]  # a question that is drawn twice may have a flat group and another

    def read_once(self, model) -> None:
        """Make `model` read each text of a GRPO batch once, and those of flat groups not at all: their logits are 0."""
        full_forward = model.forward

        def forward(*args, input_ids=None, attention_mask=None, logits_to_keep=0, **others):
            named = {"attention_mask": attention_mask, "logits_to_keep": logits_to_keep, **others}
            if input_ids is None or attention_mask is None or logits_to_keep < 2:
                return full_forward(*args, **({} if input_ids is None else {"input_ids": input_ids}), **named)
            rows, places = self._distinct_rows(input_ids, attention_mask)
            if len(rows) == len(input_ids):
                return full_forward(*args, input_ids=input_ids, **named)
            named["attention_mask"] = attention_mask[rows]
            output = full_forward(*args, input_ids=input_ids[rows], **named)
            nothing = output.logits.new_zeros(1, *output.logits.shape[1:])
            output.logits = torch.cat([output.logits, nothing])[places]
            return output

        model.forward = forward

    def _distinct_rows(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[list[int], list[int]]:
        """Return the rows to read, and for each row of the batch its place among them; one more stands for flat rows.

        If all rows are flat, the first is read all the same, so that there is a gradient, of 0.
        """
        texts = [tuple(ids[mask.bool()].tolist()) for ids, mask in zip(input_ids, attention_mask, strict=True)]
        rows: list[int] = []
        place: dict[tuple[int, ...], int] = {}
        for row, text in enumerate(texts):
            if text not in self.flat and text not in place:
                place[text] = len(rows)
                rows.append(row)
        rows = rows or [0]
        return rows, [place.get(text, len(rows)) for text in texts]
