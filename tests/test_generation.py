"""Our generation loop for CPUs, compared with the model's `generate` and with the model's probabilities."""

import pytest
import torch
from peft.tuners.lora import LoraLayer

from chemr_lite import build_prompt, data, get_task
from chemr_lite.data import splits
from chemr_lite.model.beginnings import complete, share_beginnings
from chemr_lite.model.cpu import merged_layers
from chemr_lite.model.generation import _generate
from chemr_lite.model.hardware import detect_hardware
from chemr_lite.model.load import load_model, load_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("nano")


@pytest.fixture(scope="module")
def model():
    """Return nano with a random adapter, because a fresh one changes nothing."""
    model = load_model("nano", None, "hf", detect_hardware(), 128, 8, seed=0)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.03)
    return model


@pytest.fixture(scope="module")
def prompts(tokenizer):
    rows = splits.sample(data.load(["nano"]).rows["test"], 2)
    texts = [build_prompt(get_task(row["task"]).question(row)) for row in rows]
    prompt_ids = [
        tokenizer.apply_chat_template(text, add_generation_prompt=True, tokenize=True, return_dict=False)
        for text in texts
    ]
    assert len({len(ids) for ids in prompt_ids}) > 5  # different lengths, so that padding matters
    return prompt_ids


def greedy(model, prompts, end):
    """Complete the prompts one by one, without padding, with transformers."""
    model.eval()
    with torch.no_grad():
        completions = [
            model.generate(
                torch.tensor([prompt]), max_new_tokens=24, do_sample=False, pad_token_id=0, eos_token_id=end
            )[0, len(prompt) :]
            for prompt in prompts
        ]
    return [tokens.tolist() for tokens in completions]


def test_greedy_completions_are_those_of_generate(model, prompts, tokenizer):
    end = tokenizer.eos_token_id
    completions = complete(model, prompts, 24, [end])
    assert completions == greedy(model, prompts, end)
    tokens = sum(completions, [])
    common = max(set(tokens), key=tokens.count)  # as the end, it comes early in many completions and never in others
    assert complete(model, prompts, 24, [common]) == greedy(model, prompts, common)


def test_a_models_own_defaults_change_no_completion(model, prompts, tokenizer, monkeypatch):
    """A GPU samples by `generate`, whose defaults come with the model: some instruct models punish repetition."""
    end = [tokenizer.eos_token_id]
    plain = _generate(model, prompts[:4], 24, end, None)
    monkeypatch.setattr(model.generation_config, "repetition_penalty", 3.0)
    assert _generate(model, prompts[:4], 24, end, None) == plain == complete(model, prompts[:4], 24, end)


def test_a_repeated_prompt_is_completed_at_each_of_its_positions(model, prompts, tokenizer):
    end = tokenizer.eos_token_id
    completions = complete(model, prompts, 16, [end])
    assert complete(model, prompts[::-1] + prompts, 16, [end]) == completions[::-1] + completions


def test_samples_follow_the_model(model, prompts, tokenizer):
    """The first token of 4,000 samples against the softmax at that temperature."""
    with torch.no_grad():
        expected = (model(torch.tensor(prompts[:1])).logits[0, -1] / 1.5).softmax(-1)
    torch.manual_seed(0)
    first = [tokens[0] for tokens in complete(model, prompts[:1] * 4000, 1, [tokenizer.eos_token_id], temperature=1.5)]
    shares = torch.bincount(torch.tensor(first), minlength=len(expected)) / 4000
    assert len(set(first)) > 10
    assert (shares - expected).abs().max() < 4 * (0.25 / 4000) ** 0.5


def test_samples_that_begin_alike_are_drawn_apart(model, prompts, tokenizer):
    """Against each sample read whole and alone, with the same random numbers."""
    end, asked, temperature, limit = tokenizer.eos_token_id, sorted(prompts[:3] * 6), 0.8, 20
    numbers_of_tokens = []
    hook = model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: numbers_of_tokens.append(inputs[0].numel())
    )
    torch.manual_seed(1)
    samples = complete(model, asked, limit, [end], temperature)
    hook.remove()
    torch.manual_seed(1)
    expected = [[] for _ in asked]
    for _ in range(limit):
        unfinished = [number for number, tokens in enumerate(expected) if end not in tokens]
        for number, draw in zip(unfinished, torch.rand(len(unfinished), 1), strict=True):
            with torch.no_grad():
                logits = model(torch.tensor([asked[number] + expected[number]])).logits[0, -1]
            token = torch.searchsorted((logits / temperature).softmax(-1).cumsum(0), draw)
            expected[number].append(int(token))
    assert samples == expected and len(set(map(tuple, samples))) > 6
    beginnings = {
        (*ids, *sample[:n]) for ids, sample in zip(asked, samples, strict=True) for n in range(1, len(sample))
    }
    padded = 3 * max(map(len, prompts[:3]))
    assert sum(numbers_of_tokens) == padded + len(beginnings) < padded + 0.75 * sum(map(len, samples))


def lora_forwards(model) -> list:
    """Return the forward method of each layer with a LoRA."""
    return [module.forward for module in model.modules() if isinstance(module, LoraLayer)]


def test_the_model_is_left_as_it_was(model, prompts, tokenizer):
    ids, plain = torch.tensor(prompts[:1]), lora_forwards(model)
    model.train()
    with torch.no_grad():
        before = model(ids).logits
        with merged_layers(model):
            merged = model(ids).logits
        complete(model, prompts, 4, [tokenizer.eos_token_id])
        after = model(ids).logits
    assert model.training
    torch.testing.assert_close(merged, before, atol=1e-4, rtol=1e-4)
    assert torch.equal(before, after)
    assert lora_forwards(model) == plain


def test_an_error_inside_merged_layers_leaves_no_trace(model):
    plain = lora_forwards(model)
    with pytest.raises(RuntimeError, match="in between"), merged_layers(model):
        assert len(plain) == 42 and not set(map(id, lora_forwards(model))) & set(map(id, plain))
        raise RuntimeError("in between")
    assert lora_forwards(model) == plain


def test_reading_prompts_once_changes_neither_logits_nor_gradients(model):
    torch.manual_seed(0)
    prompts, group_size, prompt, completion = 3, 4, 30, 25
    rows = prompts * group_size
    ids = torch.randint(5, 60, (rows, prompt + completion))
    mask = torch.zeros(rows, prompt + completion, dtype=torch.long)
    groups = torch.randperm(rows) % prompts  # the rows of a group are scattered
    for group, start in zip(range(prompts), (0, 11, 25), strict=True):
        ids[groups == group, :prompt] = ids[groups == group, :prompt][0]
        mask[groups == group, start:prompt] = 1
    for row, length in enumerate(torch.randint(1, completion, (rows,)).tolist()):  # padded on both sides, as GRPO does
        mask[row, prompt : prompt + length] = 1
    ids[mask == 0] = 0
    is_read = mask[:, -completion - 1 :].bool()

    def logits_and_gradient():
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=completion + 1).logits
        model.zero_grad()
        logits.log_softmax(-1)[is_read].sum().backward()
        return logits.detach()[is_read], torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])

    logits, gradient = logits_and_gradient()
    with torch.no_grad(), model.disable_adapter():
        reference = model(input_ids=ids, attention_mask=mask, logits_to_keep=completion + 1).logits[is_read]
    numbers_of_tokens = []
    hook = model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: numbers_of_tokens.append(inputs[0].numel())
    )
    share_beginnings(model)
    try:
        logits_after, gradient_after = logits_and_gradient()
        assert sum(numbers_of_tokens) == 30 + 19 + 5 + int(mask[:, prompt:].sum()) < mask.sum()
        with torch.no_grad(), model.disable_adapter():
            reference_after = model(input_ids=ids, attention_mask=mask, logits_to_keep=completion + 1).logits[is_read]
        with_positions = model(
            input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0), logits_to_keep=1
        )
        assert with_positions.logits.shape[:2] == (rows, 1)  # as probability_of_yes calls it
    finally:
        del model.forward
        hook.remove()
    torch.testing.assert_close(logits_after, logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(reference_after, reference, atol=1e-4, rtol=1e-4)
    assert (reference - logits).abs().max() > 0.1  # the adapter changes the logits
    torch.testing.assert_close(gradient_after, gradient, atol=1e-3 * float(gradient.abs().max()), rtol=1e-3)
