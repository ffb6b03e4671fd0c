"""The fast path on a CPU: a small 4-bit model with a LoRA trains and samples several times faster than by default.

1. The 4-bit weights are unpacked once (`unpack_base`). Each layer and its adapter make one matrix product, where peft
   makes three (`fuse_adapters`).
2. In generation, base and adapter are merged once per call instead of once per token (`merged_layers`). Keys and
   values are written into preallocated tensors instead of copied for every token (`PreallocatedLayer`).
3. A prompt with several completions is read once, and finished completions leave the batch (`complete`). GRPO's
   training pass reads each prompt once as well (`share_prompts`).

Greedy completions equal those of transformers' `generate`. Logits and gradients agree up to rounding. Tests compare the
two. In bf16, base and adapter stay apart, because rounding their sum would lose most of what an adapter adds.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from peft.tuners.lora import LoraLayer
from torch.nn.functional import linear, pad
from transformers.cache_utils import Cache, DynamicLayer

COMPACT = 0.75  # finished rows leave the batch once a smaller share than this is unfinished


def unpack_base(model) -> None:
    """Make every 4-bit layer of `model` multiply by a copy of its weights that is unpacked once.

    On a CPU, memory is cheaper than time. The copy also keeps bitsandbytes from repacking the weights at the first pass
    in eval mode, as it does on processors with AVX512-BF16. No gradient passes repacked weights, so GRPO would train on
    wrong gradients after its first completions.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.unpacked = dequantize_4bit(module.weight.data, module.weight.quant_state)
            module.forward = partial(linear, weight=module.unpacked, bias=module.bias)


def merged_weight(layer: LoraLayer) -> torch.Tensor:
    """Return the sum of base and active adapters of an unpacked 4-bit layer, of shape (out, in)."""
    base = layer.base_layer.unpacked
    return base if layer.disable_adapters else base + sum(map(layer.get_delta_weight, layer.active_adapters))


def fuse_adapters(model) -> None:
    """Make every layer with a LoRA multiply once, by the sum of matrix and adapter, where peft multiplies three times.

    The gradients agree up to rounding. With rank 64 and width 192, a step of nano takes a sixth less time. The base
    must be in full precision.
    """

    def forward(layer, x):
        return linear(x, merged_weight(layer), layer.base_layer.bias)

    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.forward = partial(forward, layer)


class PreallocatedLayer(DynamicLayer):
    """A cache of one layer's keys and values in tensors allocated once, for `length` positions."""

    def __init__(self, length: int):
        super().__init__()
        self.length, self.filled = length, 0

    def update(self, key_states, value_states, *args, **kwargs):
        """Append keys and values of shape (batch, heads, positions, width), and return all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = [
                states.new_empty(*states.shape[:2], self.length, states.shape[3])
                for states in (key_states, value_states)
            ]
        start, self.filled = self.filled, self.filled + key_states.shape[2]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, start : self.filled] = states
        self.keys, self.values = (buffer[:, :, : self.filled] for buffer in self.buffers)
        return self.keys, self.values

    def select(self, rows: torch.Tensor) -> None:
        """Keep these rows of the batch, in this order; a row may be repeated."""
        for i, buffer in enumerate(self.buffers):
            selected = buffer.new_empty(len(rows), *buffer.shape[1:])
            selected[:, :, : self.filled] = buffer[rows, :, : self.filled]
            self.buffers[i] = selected


@contextmanager
def merged_layers(model) -> Iterator[None]:
    """Make every 4-bit layer with a LoRA one dense matrix inside the context, if the base is in full precision.

    No weight of `model` changes.
    """
    layers = [] if _computes_in_bf16(model) else [m for m in model.modules() if isinstance(m, LoraLayer)]
    forwards = [vars(layer).get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.forward = partial(linear, weight=merged_weight(layer), bias=layer.base_layer.bias)
        yield
    finally:
        for layer, forward in zip(layers, forwards, strict=True):
            vars(layer).pop("forward", None)
            if forward:
                layer.forward = forward


def _computes_in_bf16(model) -> bool:
    return any(module.unpacked.dtype == torch.bfloat16 for module in model.modules() if hasattr(module, "unpacked"))


@contextmanager
def in_eval_mode(model) -> Iterator[None]:
    """Turn dropout and the like off inside the context.

    A model of Unsloth's is left as it is. It has no dropout, and its `generate` switches to inference and back. But if
    `generate` finds it in eval mode, gradient checkpointing stays off for the rest of training.
    """
    if hasattr(model, "for_inference"):
        yield
        return
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def share_prompts(model) -> None:
    """Make `model`, on a CPU, read each prompt of a GRPO batch once, followed by all of its completions.

    The trainer repeats a prompt for each of its completions and pads all rows to one length. Of these tokens nano then
    reads a sixth. No completion attends to another. The logits are the same up to rounding, and 0 at padded positions.
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
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, ids in enumerate(input_ids.tolist()):
            groups.setdefault(tuple(ids[starts[row] : prompt_end]), []).append(row)
        logits = {}
        with merged_layers(model):  # base and adapter are added once for all groups
            for prompt, rows in groups.items():
                completions = [input_ids[row, prompt_end : ends[row]] for row in rows]
                output = full_forward(*args, **_shared_input(input_ids.new_tensor(prompt), completions), **others)
                after_prompt, *parts = output.logits[0].split([1, *map(len, completions)])
                for row, part in zip(rows, parts, strict=True):
                    logits[row] = pad(torch.cat([after_prompt, part]), (0, 0, 0, width - ends[row]))
        output.logits = torch.stack([logits[row] for row in range(len(input_ids))])
        return output

    model.forward = forward


def _shared_input(prompt: torch.Tensor, completions: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the arguments with which a model reads `completions` behind one `prompt`, each as if it were alone.

    Position ids start again after the prompt for each completion, and the mask hides the completions from each other.
    """
    parts = [prompt, *completions]
    lengths = torch.tensor([len(part) for part in parts])
    part = torch.arange(len(parts)).repeat_interleave(lengths)
    positions = torch.cat([torch.arange(len(prompt)), *(len(prompt) + torch.arange(len(c)) for c in completions)])
    earlier = torch.ones(len(part), len(part), dtype=torch.bool).tril()
    visible = earlier & ((part == part[:, None]) | (part == 0))
    mask = torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)
    return {
        "input_ids": torch.cat(parts)[None],
        "position_ids": positions[None],
        "attention_mask": mask[None, None],
        "logits_to_keep": len(part) - len(prompt) + 1,
    }


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
    cache = Cache(
        layers=[PreallocatedLayer(ids.shape[1] + max_new_tokens) for _ in range(model.config.num_hidden_layers)]
    )
    completions, any_end = torch.full((len(prompts), max_new_tokens), ends[0]), torch.tensor(ends)
    active = torch.arange(len(prompts))  # the completion that each row of the batch belongs to
    if streamer:
        streamer.put(ids)
    in_bf16 = torch.autocast("cpu", torch.bfloat16, enabled=_computes_in_bf16(model))
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
            if step == 0:  # from one row for each unique prompt to one for each completion
                row_of = {prompt: row for row, prompt in enumerate(unique_prompts)}
                rows = torch.tensor([row_of[tuple(prompt)] for prompt in prompts])
                logits, mask, positions = logits[rows], mask[rows], positions[rows, -1:]
                for layer in cache.layers:
                    layer.select(rows)
            tokens = _draw((logits / temperature).softmax(-1)) if temperature else logits.argmax(-1)
            completions[active, step] = tokens
            if streamer:
                streamer.put(tokens)
            unfinished = ~torch.isin(completions[active, : step + 1], any_end).any(1)
            if not unfinished.any():
                break
            if unfinished.float().mean() < COMPACT:
                rows = unfinished.nonzero()[:, 0]
                active, tokens, mask, positions = active[rows], tokens[rows], mask[rows], positions[rows]
                for layer in cache.layers:
                    layer.select(rows)
            ids, positions = tokens[:, None], positions + 1
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
    if streamer:
        streamer.end()
    return cut_at_end(completions, ends)


def _draw(probabilities: torch.Tensor) -> torch.Tensor:
    """Draw a token for each row of `probabilities`, of shape (rows, vocabulary).

    One random number a row is enough, where `torch.multinomial` takes one for each token of the vocabulary.
    """
    drawn = torch.searchsorted(probabilities.cumsum(1), torch.rand(len(probabilities), 1))
    return drawn[:, 0].clamp(max=probabilities.shape[1] - 1)  # rounding can leave the sum a little below 1


def pad_left(prompts: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the prompts padded on the left to one length, and their attention mask, both (prompts, length)."""
    width = max(map(len, prompts))
    ids = torch.tensor([[filler] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    return ids, torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """Return the position ids that belong to the attention mask of left-padded prompts."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def cut_at_end(completions: torch.Tensor, ends: Sequence[int]) -> list[list[int]]:
    """Return each row up to and including its first token of `ends`."""
    rows = completions.tolist()
    return [row[: next((n for n, token in enumerate(row, 1) if token in ends), len(row))] for row in rows]
