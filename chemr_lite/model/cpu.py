"""The fast path on a CPU: how a small 4-bit model with a LoRA trains and samples several times faster than by default.

1. The 4-bit weights are unpacked once (`unpack_base`), and each layer makes one product with its adapter, where peft
   makes three (`fuse_adapters`).
2. While it generates, base and adapter are merged once per call, not once per token (`merged_layers`), and keys and
   values are written into place, not copied for every token (`PreallocatedLayer`).
3. A prompt that is asked several times is read once, and completions that have ended leave the batch (`complete`).
   GRPO's training pass reads each prompt once as well (`share_prompts`).

Greedy completions are those of transformers' `generate`, and logits and gradients agree but for rounding. Tests hold
the two side by side.
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

COMPACT = 0.75  # the batch is copied without its ended rows once fewer than this share of them goes on


def unpack_base(model) -> None:
    """Let every 4-bit layer of `model` multiply by a copy of its weights that is unpacked once.

    A CPU seldom lacks memory, and always lacks time. This also keeps bitsandbytes from repacking the weights at the
    first pass in eval mode, as it does on processors with AVX512-BF16: no gradient passes repacked weights, so GRPO
    would train on wrong gradients after its first completions.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.unpacked = dequantize_4bit(module.weight.data, module.weight.quant_state)
            module.forward = partial(linear, weight=module.unpacked, bias=module.bias)


def merged_weight(layer: LoraLayer) -> torch.Tensor:
    """Return base and active adapters of an unpacked 4-bit layer as one matrix, of shape (out, in)."""
    base = layer.base_layer.unpacked
    return base if layer.disable_adapters else base + sum(map(layer.get_delta_weight, layer.active_adapters))


def fuse_adapters(model) -> None:
    """Let every layer with a LoRA make one product, of its matrix and adapter together, where peft makes three.

    The gradients agree but for rounding. With a rank of 64 beside a width of 192 a step of nano takes a sixth less
    time. It needs full precision: bf16 would round away most of what an adapter adds to a matrix.
    """

    def forward(layer, x):
        return linear(x, merged_weight(layer), layer.base_layer.bias)

    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.forward = partial(forward, layer)


class PreallocatedLayer(DynamicLayer):
    """Keys and values of one layer in a tensor made for `length` positions at once."""

    def __init__(self, length: int):
        super().__init__()
        self.length, self.filled = length, 0

    def update(self, key_states, value_states, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.room = [
                states.new_empty(*states.shape[:2], self.length, states.shape[3])
                for states in (key_states, value_states)
            ]
        start, self.filled = self.filled, self.filled + key_states.shape[2]
        for room, states in zip(self.room, (key_states, value_states), strict=True):
            room[:, :, start : self.filled] = states
        self.keys, self.values = (room[:, :, : self.filled] for room in self.room)
        return self.keys, self.values

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows of the batch; a row may be named several times."""
        for i, room in enumerate(self.room):
            chosen = room.new_empty(len(rows), *room.shape[1:])
            chosen[:, :, : self.filled] = room[rows, :, : self.filled]
            self.room[i] = chosen


@contextmanager
def merged_layers(model) -> Iterator[None]:
    """Within, every 4-bit layer with a LoRA is one dense matrix; the weights of `model` are not touched."""
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    before = [vars(layer).get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.forward = partial(linear, weight=merged_weight(layer), bias=layer.base_layer.bias)
        yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            vars(layer).pop("forward", None)
            if forward:
                layer.forward = forward


def share_prompts(model) -> None:
    """Let `model`, on CPU, read what GRPO trains on group by group from now on: a prompt once, and its completions behind it,
    none of which sees another.

    The trainer hands over a prompt as often as it has completions, and pads each to the longest: of what nano's would read
    a sixth is left. The logits are the same but for rounding, and 0 where there is nothing to read.
    """
    whole = model.forward

    def forward(*args, input_ids=None, attention_mask=None, logits_to_keep=0, **others):
        trains = (
            input_ids is not None and attention_mask is not None and logits_to_keep > 1 and "position_ids" not in others
        )
        if not trains:
            named = {"input_ids": input_ids} if input_ids is not None else {}
            return whole(*args, **named, attention_mask=attention_mask, logits_to_keep=logits_to_keep, **others)
        width = input_ids.shape[1]
        head = width - logits_to_keep + 1  # where completions begin
        first, end = attention_mask.argmax(1).tolist(), (width - attention_mask.flip(1).argmax(1)).tolist()
        groups: dict[tuple[int, ...], list[int]] = {}
        for row, ids in enumerate(input_ids.tolist()):
            groups.setdefault(tuple(ids[first[row] : head]), []).append(row)
        logits = {}
        with merged_layers(model):  # one product of base and adapter for all groups
            for prompt, rows in groups.items():
                completions = [input_ids[row, head : end[row]] for row in rows]
                read = whole(*args, **_behind(input_ids.new_tensor(prompt), completions), **others)
                after_prompt, *told = read.logits[0].split([1, *map(len, completions)])
                for row, part in zip(rows, told, strict=True):
                    logits[row] = pad(torch.cat([after_prompt, part]), (0, 0, 0, width - end[row]))
        read.logits = torch.stack([logits[row] for row in range(len(input_ids))])
        return read

    model.forward = forward


def _behind(prompt: torch.Tensor, completions: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a model is given to read all `completions` behind one `prompt`, each as if it alone were there."""
    parts = [prompt, *completions]
    lengths = torch.tensor([len(part) for part in parts])
    part = torch.arange(len(parts)).repeat_interleave(lengths)
    places = torch.cat([torch.arange(len(prompt)), *(len(prompt) + torch.arange(len(c)) for c in completions)])
    before = torch.ones(len(part), len(part), dtype=torch.bool).tril()
    sees = before & ((part == part[:, None]) | (part == 0))
    return {
        "input_ids": torch.cat(parts)[None],
        "position_ids": places[None],
        "attention_mask": torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[None, None],
        "logits_to_keep": len(part) - len(prompt) + 1,
    }


@torch.inference_mode()
def complete(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    end: int,
    temperature: float | None = None,
    streamer=None,
) -> list[list[int]]:
    """The tokens that `model`, on CPU, puts after each prompt: up to and with `end`, or `max_new_tokens` of them.

    Greedy, or sampled at `temperature` from torch's global generator; a prompt given n times gets n samples. `streamer`,
    one of transformers', is given the tokens of a single prompt as they come.
    """
    different = list(dict.fromkeys(map(tuple, prompts)))
    ids, mask = pad_left(different, end)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    cache = Cache(
        layers=[PreallocatedLayer(ids.shape[1] + max_new_tokens) for _ in range(model.config.num_hidden_layers)]
    )
    made = torch.full((len(prompts), max_new_tokens), end)
    writes = torch.arange(len(prompts))  # the completion that each row of the batch is writing
    was_training = model.training
    model.eval()
    if streamer:
        streamer.put(ids)
    with merged_layers(model):
        for step in range(max_new_tokens):
            read = model(
                ids, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            logits = read.logits[:, -1].float()
            if step == 0:  # from one row for each different prompt to one for each completion
                numbers = {prompt: row for row, prompt in enumerate(different)}
                rows = torch.tensor([numbers[tuple(prompt)] for prompt in prompts])
                logits, mask, places = logits[rows], mask[rows], places[rows, -1:]
                for layer in cache.layers:
                    layer.select(rows)
            tokens = _draw((logits / temperature).softmax(-1)) if temperature else logits.argmax(-1)
            made[writes, step] = tokens
            if streamer:
                streamer.put(tokens)
            going = (made[writes, : step + 1] != end).all(1)
            if not going.any():
                break
            if going.float().mean() < COMPACT:
                rows = going.nonzero()[:, 0]
                writes, tokens, mask, places = writes[rows], tokens[rows], mask[rows], places[rows]
                for layer in cache.layers:
                    layer.select(rows)
            ids, places = tokens[:, None], places + 1
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
    model.train(was_training)
    if streamer:
        streamer.end()
    return cut_at_end(made, end)


def _draw(probabilities: torch.Tensor) -> torch.Tensor:
    """A token for each row; one random number a row, where `torch.multinomial` takes one for each token it could be."""
    drawn = torch.searchsorted(probabilities.cumsum(1), torch.rand(len(probabilities), 1))
    return drawn[:, 0].clamp(max=probabilities.shape[1] - 1)  # the sum may end a rounding below 1


def pad_left(prompts: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts padded on the left to one length, and their attention mask."""
    width = max(map(len, prompts))
    ids = torch.tensor([[filler] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    return ids, torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])


def cut_at_end(made: torch.Tensor, end: int) -> list[list[int]]:
    """Each row up to and with its first `end`."""
    return [row[: row.index(end) + 1] if end in row else row for row in made.tolist()]
