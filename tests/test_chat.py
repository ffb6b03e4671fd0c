"""Chat templates of the kinds that published models have: each is noticed, and made to fit our conversations."""

import json
import logging
import shutil

import pytest
from transformers import AutoTokenizer

from chemr_lite import build_prompt, render
from chemr_lite.errors import ModelError
from chemr_lite.model import chat
from chemr_lite.model.folders import NANO
from chemr_lite.model.load import load_tokenizer
from tests.conftest import recipe

TURNS = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + eos_token }}{% endfor %}"
ASK = "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
REFUSES_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
ALTERNATES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}"
)
KEEPS_LAST = (
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.role == 'assistant' %}"
    "{{ m.content.split('</think>')[-1] + eos_token }}{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)
TEMPLATES = {
    "refuses": REFUSES_SYSTEM + TURNS + ASK,
    "alternates": ALTERNATES + TURNS + ASK,
    "opens": TURNS + "{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}",
    "closes": TURNS + "{% if add_generation_prompt %}{{ '<|assistant|><think>\n\n</think>\n\n' }}{% endif %}",
    "cuts": KEEPS_LAST + ASK,
    "all at once": REFUSES_SYSTEM
    + KEEPS_LAST
    + "{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}",
    "never ends": "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}" + ASK,
}
COMPLETION = render("The molecule has a hydroxyl.", "CCO")


def folder_with(template: str, path):
    """Return nano's folder, copied to `path`, with another chat template."""
    shutil.copytree(NANO, path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_is_made_to_fit(kind, tmp_path, caplog):
    source = str(folder_with(TEMPLATES[kind], tmp_path / "model"))
    with caplog.at_level(logging.WARNING):
        tokenizer = load_tokenizer(source)
    assert f"{source}: its chat template" in caplog.text and "adapted" in caplog.text
    messages = build_prompt("Which one?")
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([*messages, {"role": "assistant", "content": COMPLETION}], tokenize=False)
    assert whole == f"{prompt}{COMPLETION}{tokenizer.eos_token}"
    assert prompt.endswith("<|assistant|>") and "Which one?" in prompt and "expert chemist" in prompt


def test_a_template_that_fits_stays_as_it_is(caplog):
    before = AutoTokenizer.from_pretrained(NANO).chat_template
    assert load_tokenizer("nano").chat_template == before and not caplog.text


def test_the_end_of_a_turn_ends_a_completion(tmp_path):
    path = folder_with(TURNS.replace("eos_token", "'<|turn|>'") + ASK, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    tokenizer.save_pretrained(path)
    assert load_tokenizer(str(path)).eos_token == "<|turn|>"


def test_what_cannot_be_made_to_fit_is_one_line(tmp_path):
    path = folder_with("{{ raise_exception('no conversation, please') }}", tmp_path / "model")
    with pytest.raises(ModelError, match="no conversation, please.*another instruct model") as raised:
        load_tokenizer(str(path))
    assert "\n" not in str(raised.value)


def test_it_is_said_once(tmp_path, caplog):
    source = str(folder_with(TEMPLATES["cuts"], tmp_path / "model"))
    for _ in range(2):
        load_tokenizer(source)
    assert caplog.text.count(source) == 1 and source in chat._told


@pytest.mark.slow
def test_all_phases_train_on_such_a_model(tmp_path):
    path = folder_with(TEMPLATES["all at once"], tmp_path / "model")
    config = json.loads((path / "generation_config.json").read_text())
    ids = AutoTokenizer.from_pretrained(path)
    config["eos_token_id"] = [ids.eos_token_id, ids.convert_tokens_to_ids("C")]  # several end tokens
    (path / "generation_config.json").write_text(json.dumps(config))
    small = ["--foundation-epochs", 0.1, "--distill-epochs", 0.1, "--grpo-steps", 1, "--validation-steps", 0]
    done = recipe("grpo", "--preset", "smoke", "--model", path, *small, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("its chat template") == 1 and "Traceback" not in done.stderr
    assert (tmp_path / "run/grpo/adapter_model.safetensors").exists()
    saved = AutoTokenizer.from_pretrained(tmp_path / "run/grpo")
    prompt = saved.apply_chat_template(build_prompt("Q"), add_generation_prompt=True, tokenize=False)
    assert prompt.endswith("<|assistant|>")  # whoever uses the adapter gets the template that it was trained with
