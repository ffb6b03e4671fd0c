"""Completions of a model: by its own `generate` on a GPU, by the loop of `chemr_lite.model.beginnings` on a CPU."""

from collections.abc import Sequence

import torch

from chemr_lite.model.beginnings import complete
from chemr_lite.model.cpu import cut_at_end, in_eval_mode, pad_left, positions_of


def answer_prompts(
    model,
    tokenizer,
    prompts: list[list[dict]],
    batch_size: int,
    max_new_tokens: int,
    temperature: float | None = None,
    streamer=None,
) -> list[str]:
    """Return the completion of each prompt (a list of messages) as text, in order.

    Completions are greedy, or sampled at `temperature`. `streamer` receives that of a single prompt as it is generated.
    """
    prompt_ids = [
        tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
        for prompt in prompts
    ]
    order = sorted(range(len(prompt_ids)), key=lambda i: len(prompt_ids[i]))  # similar lengths need little padding
    texts = [""] * len(prompt_ids)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        completions = _complete_for(model)(
            model, [prompt_ids[i] for i in batch], max_new_tokens, end_tokens(model, tokenizer), temperature, streamer
        )
        for i, text in zip(batch, tokenizer.batch_decode(completions, skip_special_tokens=True), strict=True):
            texts[i] = text
    return texts


def sample_completions(
    model,
    tokenizer,
    prompts: list[list[dict]],
    max_new_tokens: int,
    temperature: float,
    min_new_tokens: int | None = None,
) -> tuple[list[list[int]], list[list[int]]]:
    """Sample one completion for each prompt, a list of messages. Repeat a prompt to sample it several times.

    Return the tokens of the prompts and of their completions.
    """
    prompt_ids = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=False)
    ends = end_tokens(model, tokenizer)
    return prompt_ids, _complete_for(model)(
        model, prompt_ids, max_new_tokens, ends, temperature, min_new_tokens=min_new_tokens
    )


def end_tokens(model, tokenizer) -> list[int]:
    """Return the tokens that end a completion: the tokenizer's, then those of the model's generation config.

    TRL follows the same rule in phase 3.
    """
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [] if own is None else [own]
    return list(dict.fromkeys([tokenizer.eos_token_id, *own]))


@torch.inference_mode()
def probability_of_yes(
    model, tokenizer, prompts: list[list[dict]], completions: list[str], batch_size: int
) -> list[float | None]:
    """Return P(Yes) / (P(Yes) + P(No)) as the answer, given prompt and reasoning; None for a completion without answer.

    A word's probability is that of its first token. In every tokenizer that we know of these two differ.
    """
    answered = [i for i, completion in enumerate(completions) if "<answer>" in completion]
    if not answered:
        return [None] * len(completions)
    texts = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=False)
    heads = [completion.split("<answer>")[0] + "<answer>" for completion in completions]
    words = torch.tensor([tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("Yes", "No")])
    shares: list[float | None] = [None] * len(completions)
    with in_eval_mode(model):
        for start in range(0, len(answered), batch_size):
            batch = answered[start : start + batch_size]
            token_ids = tokenizer([texts[i] + heads[i] for i in batch], add_special_tokens=False)["input_ids"]
            ids, mask = (part.to(model.device) for part in pad_left(token_ids, tokenizer.eos_token_id))
            output = model(input_ids=ids, attention_mask=mask, position_ids=positions_of(mask), logits_to_keep=1)
            logits = output.logits[:, -1].float()
            for i, share in zip(batch, logits[:, words.to(logits.device)].softmax(-1)[:, 0].tolist(), strict=True):
                shares[i] = share
    return shares


def _complete_for(model):
    """Return `complete` for a model on a CPU, and for others `_generate`, which has the same signature."""
    return complete if model.device.type == "cpu" else _generate


@torch.inference_mode()
def _generate(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    ends: list[int],
    temperature: float | None,
    streamer=None,
    min_new_tokens: int | None = None,
) -> list[list[int]]:
    """Do what `complete` does by the model's own `generate`, for which Unsloth and CUDA have fast kernels."""
    ids, mask = pad_left(prompts, ends[0])
    with in_eval_mode(model):
        sequences = model.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens, min_new_tokens=min_new_tokens,
            do_sample=temperature is not None, use_cache=True,
            # a model's own defaults would sample from something else than what is trained
            temperature=temperature, top_p=None, top_k=None, min_p=None, repetition_penalty=1.0,
            pad_token_id=ends[0], eos_token_id=ends, streamer=streamer,
        )  # fmt: skip
    return cut_at_end(sequences[:, ids.shape[1] :], ends)
