"""Completions of a model: by its own `generate` on a GPU, by the loop of `chemr_lite.model.cpu` on a CPU."""

from collections.abc import Sequence

import torch

from chemr_lite.model.cpu import complete, cut_at_end, pad_left


def _complete_for(model):
    """`complete` for a model on CPU, and for others `_generate`, which has the same signature."""
    return complete if model.device.type == "cpu" else _generate


def answer_prompts(
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
    asked = [
        tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
        for prompt in prompts
    ]
    order = sorted(range(len(asked)), key=lambda i: len(asked[i]))
    texts = [""] * len(asked)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        made = _complete_for(model)(
            model, [asked[i] for i in batch], max_new_tokens, tokenizer.eos_token_id, temperature, streamer
        )
        for i, text in zip(batch, tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
            texts[i] = text
    return texts


def sample_groups(
    model, tokenizer, prompts: list[list[dict]], size: int, max_new_tokens: int, temperature: float
) -> tuple[list[list[int]], list[list[int]]]:
    """`size` completions of each prompt (a list of messages), side by side: the tokens of the prompt of each, and its own."""
    asked = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=False)
    asked = [ids for ids in asked for _ in range(size)]
    return asked, _complete_for(model)(model, asked, max_new_tokens, tokenizer.eos_token_id, temperature)


@torch.inference_mode()
def _generate(
    model, prompts: Sequence[Sequence[int]], max_new_tokens: int, end: int, temperature: float | None, streamer=None
) -> list[list[int]]:
    """`complete` by the model's own `generate`: Unsloth and CUDA have their fast ways there."""
    ids, mask = pad_left(prompts, end)
    was_training = model.training
    model.eval()
    made = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
        max_new_tokens=max_new_tokens, do_sample=temperature is not None, use_cache=True,
        temperature=temperature, top_p=None, top_k=None, pad_token_id=end, eos_token_id=end, streamer=streamer,
    )  # fmt: skip
    model.train(was_training)
    return cut_at_end(made[:, ids.shape[1] :], end)


@torch.inference_mode()
def probability_of_yes(
    model, tokenizer, prompts: list[list[dict]], completions: list[str], batch_size: int
) -> list[float | None]:
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
        ids, mask = (part.to(model.device) for part in pad_left(asked, tokenizer.eos_token_id))
        places = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=places, logits_to_keep=1).logits[:, -1].float()
        for i, share in zip(batch, logits[:, words.to(logits.device)].softmax(-1)[:, 0].tolist(), strict=True):
            shares[i] = share
    model.train(was_training)
    return shares
