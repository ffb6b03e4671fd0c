"""Sampling and GRPO's passes on a CPU, in which texts that begin alike are read once up to where they part.

1. The completions of one prompt are one row of the batch until their tokens differ (`complete`). Keys and values are
   written into tensors that are allocated once, where a row is copied for each way to go on (`PreallocatedLayer`).
2. GRPO's passes read a prompt and its completions as a tree (`share_beginnings`).

Of the tokens that nano samples a third is left in this way. Greedy completions equal those of transformers' `generate`,
and samples are drawn one by one all the same. Logits and gradients agree up to rounding. Tests compare them.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch.nn.functional import pad
from transformers.cache_utils import Cache, DynamicLayer

from chemr_lite.model.cpu import (
    computes_in_bf16,
    cut_at_end,
    in_eval_mode,
    merged_layers,
    pad_left,
    positions_of,
)

AT_ONCE = 512  # tokens of a pass over a GRPO batch; attention grows with the square


class PreallocatedLayer(DynamicLayer):
    """A cache of one layer's keys and values in tensors allocated once, for `rows` rows of `length` positions."""

    def __init__(self, rows: int, length: int):
        super().__init__()
        self.rows, self.length, self.filled = rows, length, 0

    def update(self, key_states, value_states, *args, **kwargs):
        """Append keys and values of shape (batch, heads, positions, width), and return all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = [
                states.new_empty(self.rows, states.shape[1], self.length, states.shape[3])
                for states in (key_states, value_states)
            ]
        start, self.filled = self.filled, self.filled + key_states.shape[2]
        batch = len(key_states)
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:batch, :, start : self.filled] = states
        self.keys, self.values = (buffer[:batch, :, : self.filled] for buffer in self.buffers)
        return self.keys, self.values

    def copy(self, origins: torch.Tensor, rows: torch.Tensor) -> None:
        """Let each of `rows` go on from what the row beside it in `origins` holds."""
        for buffer in self.buffers:
            buffer[rows, :, : self.filled] = buffer[origins, :, : self.filled]


@torch.inference_mode()
def complete(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    ends: Sequence[int],
    temperature: float | None = None,
    streamer=None,
    min_new_tokens: int | None = None,
) -> list[list[int]]:
    """Return a completion of each prompt by `model`, on a CPU, as tokens up to and including the first of `ends`.

    A completion has from `min_new_tokens` to `max_new_tokens` tokens. It is greedy, or sampled at `temperature` with
    torch's global generator. A prompt that is given n times gets n samples. `streamer`, one of transformers', receives
    the tokens of a single prompt as they are generated.
    """
    unique_prompts = list(dict.fromkeys(map(tuple, prompts)))
    ids, mask = pad_left(unique_prompts, ends[0])
    positions = positions_of(mask)
    length = ids.shape[1] + max_new_tokens
    cache = Cache(layers=[PreallocatedLayer(len(prompts), length) for _ in range(model.config.num_hidden_layers)])
    completions = torch.full((len(prompts), max_new_tokens), ends[0])
    row_of_prompt = {prompt: row for row, prompt in enumerate(unique_prompts)}
    # unfinished completion → row of the batch; completions that are equal so far share a row
    row_of = {number: row_of_prompt[tuple(prompt)] for number, prompt in enumerate(prompts)}
    if streamer:
        streamer.put(ids)
    in_bf16 = torch.autocast("cpu", torch.bfloat16, enabled=computes_in_bf16(model))
    with in_eval_mode(model), merged_layers(model), in_bf16:
        for step in range(max_new_tokens):
            output = model(
                ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            logits = output.logits[:, -1].float()
            if step + 1 < (min_new_tokens or 0):
                logits[:, ends] = -torch.inf
            rows = torch.tensor(list(row_of.values()))
            tokens = _draw((logits / temperature).softmax(-1), rows) if temperature else logits.argmax(-1)[rows]
            completions[list(row_of), step] = tokens
            if streamer:
                streamer.put(tokens)
            branch_of = {  # a row and the token that goes on from it
                number: (row, token)
                for (number, row), token in zip(row_of.items(), tokens.tolist(), strict=True)
                if token not in ends
            }
            if not branch_of:
                break
            row_of_branch = _place(list(dict.fromkeys(branch_of.values())))
            row_of = {number: row_of_branch[branch] for number, branch in branch_of.items()}
            branches = sorted(row_of_branch, key=row_of_branch.get)
            origins = torch.tensor([row for row, _ in branches])
            moved = (origins != torch.arange(len(origins))).nonzero()[:, 0]
            if len(moved):
                for layer in cache.layers:
                    layer.copy(origins[moved], moved)
            ids = torch.tensor([[token] for _, token in branches])
            positions = positions[origins, -1:] + 1
            mask = torch.cat([mask[origins], mask.new_ones(len(origins), 1)], 1)
    if streamer:
        streamer.end()
    return cut_at_end(completions, ends)


def _place(branches: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return a row of the next batch for each branch (row, token): its own row, if that is there and still free."""
    place: dict[tuple[int, int], int] = {}
    free = set(range(len(branches)))
    for branch in branches:
        if branch[0] in free:
            place[branch] = branch[0]
            free.remove(branch[0])
    for branch in branches:
        if branch not in place:
            place[branch] = free.pop()
    return place


def _draw(probabilities: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Draw a token for each of `rows` from that row of `probabilities`, of shape (batch, vocabulary).

    One random number a token is enough, where `torch.multinomial` takes one for each token of the vocabulary.
    """
    drawn = torch.searchsorted(probabilities.cumsum(1)[rows], torch.rand(len(rows), 1))
    return drawn[:, 0].clamp(max=probabilities.shape[1] - 1)  # rounding can leave the sum a little below 1


def share_beginnings(model) -> None:
    """Make `model`, on a CPU, read each prompt of a GRPO batch once, and equal beginnings of its completions too.

    The trainer repeats a prompt for each of its completions and pads all rows to one length. Of these tokens nano then
    reads a tenth. No completion attends to another. The logits are the same up to rounding, and 0 at padded positions.
    """
    full_forward = model.forward

    def forward(*args, input_ids=None, attention_mask=None, logits_to_keep=0, **others):
        is_grpo_batch = (
            input_ids is not None and attention_mask is not None and logits_to_keep > 1 and "position_ids" not in others
        )
        if not is_grpo_batch:
            named = {"input_ids": input_ids} if input_ids is not None else {}
            return full_forward(*args, **named, attention_mask=attention_mask, logits_to_keep=logits_to_keep, **others)
        width = input_ids.shape[1]
        prompt_end = width - logits_to_keep + 1
        starts = attention_mask.argmax(1).tolist()  # the first token of each row that is not padding
        ends = (width - attention_mask.flip(1).argmax(1)).tolist()
        groups: dict[tuple[int, ...], dict[int, list[int]]] = {}
        for row, ids in enumerate(input_ids.tolist()):
            completions = groups.setdefault(tuple(ids[starts[row] : prompt_end]), {})
            completions[row] = ids[prompt_end : ends[row]]
        logits = {}
        with merged_layers(model):  # base and adapter are added once for all parts
            for part in _parts(list(groups.items())):
                arguments, paths = _tree_input([(prompt, completions.values()) for prompt, completions in part])
                output = full_forward(*args, **arguments, **others)
                rows = [row for _, completions in part for row in completions]
                for row, path in zip(rows, paths, strict=True):
                    logits[row] = pad(output.logits[0, path], (0, 0, 0, width - ends[row]))
        output.logits = torch.stack([logits[row] for row in range(len(input_ids))])
        return output

    model.forward = forward


def _parts(groups: list[tuple[tuple[int, ...], dict[int, list[int]]]]) -> Iterator[list]:
    """Divide groups into parts of about AT_ONCE tokens: short ones cost most by the number of passes."""
    part, size = [], 0
    for prompt, completions in groups:
        tokens = len(prompt) + sum(map(len, completions.values()))
        if part and size + tokens > AT_ONCE:
            yield part
            part, size = [], 0
        part.append((prompt, completions))
        size += tokens
    yield part


def _tree_input(
    groups: Iterable[tuple[Sequence[int], Iterable[Sequence[int]]]],
) -> tuple[dict[str, torch.Tensor], list[list[int]]]:
    """Return the arguments with which a model reads several prompts, each with its completions, as if each were alone.

    A prompt and what stands behind it are a tree, in which equal beginnings are there once. The mask lets a token see
    what stands before it in its own completions only, and position ids count along them. Also return for each
    completion the places, among the logits that are kept, of the prompt's last token and of its own tokens.
    """
    tokens: list[int] = []
    before: list[int] = []  # for each token the place of the one before it, -1 for the first of a prompt
    positions: list[int] = []
    kept: list[int] = []  # the places whose logits are wanted
    paths: list[list[int]] = []

    def add(token: int, last: int) -> int:
        tokens.append(token)
        before.append(last)
        positions.append(positions[last] + 1 if last >= 0 else 0)
        return len(tokens) - 1

    for prompt, completions in groups:
        last = -1
        for token in prompt:
            last = add(token, last)
        end_of_prompt, first = last, len(kept)
        kept.append(end_of_prompt)
        after: dict[tuple[int, int], int] = {}  # place of a token, next token → place of the next, among the kept
        for completion in completions:
            last, path = end_of_prompt, [first]
            for token in completion:
                if (last, token) not in after:
                    after[last, token] = len(kept)
                    kept.append(add(token, last))
                path.append(after[last, token])
                last = kept[path[-1]]
            paths.append(path)
    visible = np.eye(len(tokens), dtype=bool)
    for place, last in enumerate(before):
        if last >= 0:
            visible[place] |= visible[last]
    mask = torch.zeros(visible.shape).masked_fill(~torch.from_numpy(visible), torch.finfo(torch.float32).min)
    arguments = {
        "input_ids": torch.tensor([tokens]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": mask[None, None],
        "logits_to_keep": torch.tensor(kept),
    }
    return arguments, paths
