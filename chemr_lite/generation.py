"""Completions: `model.generate` on a GPU, a loop of our own on a CPU.

On two cores a small model answers several times faster than `generate` lets it, because here

1. 4-bit weights and adapter are multiplied out once per call, not once per token,
2. keys and values are written into place, not copied for every token,
3. a prompt that is asked several times is read once, and completions that have ended leave the batch.

Greedy completions are those of `generate`; a test holds the two side by side. What GRPO then trains on is read in the same
spirit (`read_prompts_once`).
"""

from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch.nn.functional import linear, pad
from transformers.cache_utils import Cache, DynamicLayer

from chemr_lite.models import dense

COMPACT = 0.75  # the batch is copied without its ended rows once fewer than this share of them goes on


class InPlace(DynamicLayer):
    """Keys and values of one layer in a tensor made for `length` positions at once."""

    def __init__(self, length: int):
        super().__init__()
        self.length, self.filled = length, 0

    def update(self, key_states, value_states, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.room = [states.new_empty(*states.shape[:2], self.length, states.shape[3]) for states in (key_states, value_states)]
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
def multiplied_out(model):
    """Within, every 4-bit layer with a LoRA is one dense matrix; the weights of `model` are not touched."""
    from peft.tuners.lora import LoraLayer

    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    before = [vars(layer).get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.forward = partial(linear, weight=dense(layer), bias=layer.base_layer.bias)
        yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            vars(layer).pop("forward", None)
            if forward:
                layer.forward = forward


def read_prompts_once(model) -> None:
    """Let `model`, on CPU, read what GRPO trains on group by group from now on: a prompt once, and its completions behind it,
    none of which sees another.

    The trainer hands over a prompt as often as it has completions, and pads each to the longest: of what nano's would read
    a sixth is left. The logits are the same but for rounding, and 0 where there is nothing to read.
    """
    whole = model.forward

    def forward(*args, input_ids=None, attention_mask=None, logits_to_keep=0, **others):
        trains = input_ids is not None and attention_mask is not None and logits_to_keep > 1 and "position_ids" not in others
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
        with multiplied_out(model):  # one product of base and adapter for all groups
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
    model, prompts: Sequence[Sequence[int]], max_new_tokens: int, end: int, temperature: float | None = None, streamer=None
) -> list[list[int]]:
    """The tokens that `model`, on CPU, puts after each prompt: up to and with `end`, or `max_new_tokens` of them.

    Greedy, or sampled at `temperature` from torch's global generator; a prompt given n times gets n samples. `streamer`,
    one of transformers', is given the tokens of a single prompt as they come.
    """
    different = list(dict.fromkeys(map(tuple, prompts)))
    ids, mask = _pad(different, end)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    cache = Cache(layers=[InPlace(ids.shape[1] + max_new_tokens) for _ in range(model.config.num_hidden_layers)])
    made = torch.full((len(prompts), max_new_tokens), end)
    writes = torch.arange(len(prompts))  # the completion that each row of the batch is writing
    was_training = model.training
    model.eval()
    if streamer:
        streamer.put(ids)
    with multiplied_out(model):
        for step in range(max_new_tokens):
            read = model(ids, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True, logits_to_keep=1)
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
    return _cut(made, end)


def _draw(probabilities: torch.Tensor) -> torch.Tensor:
    """A token for each row; one random number a row, where `torch.multinomial` takes one for each token it could be."""
    drawn = torch.searchsorted(probabilities.cumsum(1), torch.rand(len(probabilities), 1))
    return drawn[:, 0].clamp(max=probabilities.shape[1] - 1)  # the sum may end a rounding below 1


def _way(model):
    """`complete` for a model on CPU, and for others `_generate`, which has the same signature."""
    return complete if model.device.type == "cpu" else _generate


def answer(
    model,
    tokenizer,
    prompts: list[list[dict]],
    batch_size: int,
    max_new_tokens: int,
    temperature: float | None = None,
    streamer=None,
) -> list[str]:
    """The completion of each prompt (a list of messages) as text, in order: greedy, or sampled at `temperature`; that of a
    single prompt also to `streamer` while it comes."""
    asked = [tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False) for prompt in prompts]
    order = sorted(range(len(asked)), key=lambda i: len(asked[i]))
    texts = [""] * len(asked)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        made = _way(model)(model, [asked[i] for i in batch], max_new_tokens, tokenizer.eos_token_id, temperature, streamer)
        for i, text in zip(batch, tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
            texts[i] = text
    return texts


def sample_groups(
    model, tokenizer, prompts: list[list[dict]], size: int, max_new_tokens: int, temperature: float
) -> tuple[list[list[int]], list[list[int]]]:
    """`size` completions of each prompt (a list of messages), side by side: the tokens of the prompt of each, and its own."""
    asked = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=False)
    asked = [ids for ids in asked for _ in range(size)]
    return asked, _way(model)(model, asked, max_new_tokens, tokenizer.eos_token_id, temperature)


@torch.inference_mode()
def _generate(
    model, prompts: Sequence[Sequence[int]], max_new_tokens: int, end: int, temperature: float | None, streamer=None
) -> list[list[int]]:
    """`complete` by the model's own `generate`: Unsloth and CUDA have their fast ways there."""
    ids, mask = _pad(prompts, end)
    was_training = model.training
    model.eval()
    made = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
        max_new_tokens=max_new_tokens, do_sample=temperature is not None, use_cache=True,
        temperature=temperature, top_p=None, top_k=None, pad_token_id=end, eos_token_id=end, streamer=streamer,
    )  # fmt: skip
    model.train(was_training)
    return _cut(made[:, ids.shape[1] :], end)


@torch.inference_mode()
def probability_of_yes(model, tokenizer, prompts: list[list[dict]], completions: list[str], batch_size: int) -> list[float | None]:
    """P(Yes) / (P(Yes) + P(No)) as the answer, given the prompt and the reasoning before it; None without an answer.

    Both words are read at their first token, which differs in every tokenizer that we know of.
    """
    told = [i for i, completion in enumerate(completions) if "<answer>" in completion]
    if not told:
        return [None] * len(completions)
    texts = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=False)
    heads = [completion.split("<answer>")[0] + "<answer>" for completion in completions]
    words = torch.tensor([tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("Yes", "No")])
    shares: list[float | None] = [None] * len(completions)
    was_training = model.training
    model.eval()
    for start in range(0, len(told), batch_size):
        batch = told[start : start + batch_size]
        asked = tokenizer([texts[i] + heads[i] for i in batch], add_special_tokens=False)["input_ids"]
        ids, mask = (part.to(model.device) for part in _pad(asked, tokenizer.eos_token_id))
        places = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=places, logits_to_keep=1).logits[:, -1].float()
        for i, share in zip(batch, logits[:, words.to(logits.device)].softmax(-1)[:, 0].tolist(), strict=True):
            shares[i] = share
    model.train(was_training)
    return shares


def _pad(prompts: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts padded on the left to one length, and their attention mask."""
    width = max(map(len, prompts))
    ids = torch.tensor([[filler] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    return ids, torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])


def _cut(made: torch.Tensor, end: int) -> list[list[int]]:
    """Each row up to and with its first `end`."""
    return [row[: row.index(end) + 1] if end in row else row for row in made.tolist()]
