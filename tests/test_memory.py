"""A phase that runs out of memory is tried once with smaller micro-batches.

test_rollout.py tests that the rehearsal of the largest step leaves nothing behind.
"""

import pytest
import torch

from recipes.training.memory import out_of_memory, with_less_memory
from recipes.training.options import Options, UsageError


def full(*_):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_half_the_micro_batch_after_running_out_of_memory_once(capsys):
    tried = []

    def train(options):
        tried.append(options.grpo_micro_batch)
        if len(tried) == 1:
            full()

    with_less_memory(train, Options(grpo_micro_batch=8), "grpo", "grpo_micro_batch")
    assert tried == [8, 4]
    assert "[grpo] out of GPU memory: again with --grpo-micro-batch 4" in capsys.readouterr().out


@pytest.mark.parametrize(("micro", "tries"), [(8, 2), (1, 1)])
def test_what_does_not_fit_either_way_gets_a_remedy(micro, tries):
    tried = []

    def train(options):
        tried.append(options.sft_micro_batch)
        full()

    with pytest.raises(UsageError, match="--max-length"):
        with_less_memory(train, Options(sft_micro_batch=micro), "foundation", "sft_micro_batch")
    assert len(tried) == tries


def test_sampling_that_does_not_fit_is_told_apart(capsys):
    class Model:
        def generate(self):
            full()

    tried = []

    def train(options):
        tried.append(options.grpo_micro_batch)
        Model().generate()

    with pytest.raises(UsageError, match="16 prompts × 8 completions of 128 tokens at once: lower --prompts-per-step"):
        with_less_memory(train, Options(grpo_micro_batch=8), "grpo", "grpo_micro_batch")
    assert tried == [8]  # a smaller micro-batch samples as much


def test_answering_that_does_not_fit_is_told_apart():
    def generate():
        full()

    def answer_rows():
        generate()

    with pytest.raises(UsageError, match="answer 64 rows at once: lower --eval-batch-size"):
        with_less_memory(lambda options: answer_rows(), Options(), "foundation", "sft_micro_batch")


def test_another_error_is_not_taken_for_one_of_memory():
    def train(options):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        with_less_memory(train, Options(), "grpo", "grpo_micro_batch")
    assert out_of_memory(RuntimeError("CUDA error: out of memory")) and not out_of_memory(ValueError("out of memory"))
