"""GPU memory: a step that does not fit is noticed in the first minute, and answered once by smaller micro-batches.

1. Before the first step of phase 3 on a GPU, `Rehearsal` tries the largest step that can come, and undoes it.
   (Phases 1 and 2 need no rehearsal: their batches are grouped by length, the longest first.)
2. Out of memory, there or later, `with_less_memory` starts the phase again with half the micro-batch and twice the
   accumulation. These are the same steps over the same rows, from the newest checkpoint on.
   (Not if it was while generating: all completions of a step are sampled at once, whatever the micro-batch.)
"""

import gc
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from transformers import TrainerCallback

from chemr_lite import get_task
from chemr_lite.mixing import Mixture, columns_of
from recipes.training import distributed
from recipes.training.distributed import say
from recipes.training.options import Options, UsageError
from recipes.training.time_left import TimeLeft

GIB = 2**30


class Rehearsal(TrainerCallback):
    """Tries the largest step before training, and restores the state of before: the longest prompt in every place.

    `completions` is the number of completions that this process generates in a step. All of them are extended to their
    full length, and the memory that the optimiser will take is reserved meanwhile.
    """

    def __init__(self, trainer, mixture: Mixture, questions: list[dict], completions: int, time_left: TimeLeft):
        self.trainer, self.mixture, self.time_left = trainer, mixture, time_left
        longest = max(questions, key=lambda row: len(get_task(row["task"]).question(row)))
        prompt = {name: value for name, [value] in columns_of([longest]).items()}
        self.batch = [prompt] * completions  # as the trainer's own data loader would give it

    def on_train_begin(self, args, state, control, model=None, **_):
        trainer, mixture_state, started = self.trainer, self.mixture.state, time.time()
        trainer.current_gradient_accumulation_steps = args.gradient_accumulation_steps
        trainer.generation_config.min_new_tokens = trainer.max_completion_length
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        adam_moments = torch.empty(2 * trained, device=args.device)
        devices = [args.device] if args.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            trainer.training_step(trainer.model_wrapped, self.batch, torch.tensor(1, device=args.device))
        del adam_moments
        model.zero_grad(set_to_none=True)
        trainer.generation_config.min_new_tokens = None
        # make the trainer believe that it has not generated yet
        trainer._step, trainer._buffered_inputs = 0, None
        for log in (
            trainer._metrics["train"],
            trainer._pending_metrics,
            trainer._pending_extra_logs,
            *trainer._logs.values(),
        ):
            log.clear()
        self.mixture.state = mixture_state
        seconds = time.time() - started
        memory = ""
        if devices:
            reserved, total = torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties(0).total_memory
            memory = f" and {reserved / GIB:.1f} of {total / GIB:.1f} GiB"
            torch.cuda.empty_cache()
        self.time_left.phase("grpo", 1 / state.max_steps, seconds, state.global_step / state.max_steps)
        say(f"  the largest step takes {seconds:.1f} s{memory}; {self.time_left}")


def out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that the GPU's memory was too small."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


def where(error: BaseException) -> set[str]:
    """Return the names of the functions that `error` came through."""
    names, frame = set(), error.__traceback__
    while frame:
        names.add(frame.tb_frame.f_code.co_name)
        frame = frame.tb_next
    return names


def _too_much_to_generate(name: str, options: Options, error: BaseException) -> str:
    if "answer_rows" in where(error):  # a greedy check, or the evaluation after the phase
        return (
            f"{name}: the GPU's memory is too small to answer {options.eval_batch_size} rows at once: lower "
            "--eval-batch-size; the same command goes on from the last checkpoint"
        )
    return (
        f"{name}: the GPU's memory is too small to sample {options.prompts_per_step} prompts × "
        f"{options.num_generations} completions of {options.max_completion_tokens} tokens at once: lower "
        "--prompts-per-step, --num-generations or --max-completion-tokens, or take a smaller --model"
    )


def with_less_memory(train: Callable[[Options], None], options: Options, name: str, field: str) -> None:
    """Call `train(options)`. Out of GPU memory, call it once more with half of the micro-batch, `options.<field>`.

    Raises UsageError if that is not enough, or would not help. With several processes there is no second try.
    """
    if distributed.WORLD_SIZE > 1:
        return train(options)  # one process cannot start again alone
    flag = "--" + field.replace("_", "-")
    for attempt in (options, replace(options, **{field: getattr(options, field) // 2})):
        if not getattr(attempt, field):
            break
        if attempt is not options:
            say(
                f"\n[{name}] out of GPU memory: again with {flag} {getattr(attempt, field)}, "
                "which trains the same steps in more parts"
            )
        try:
            return train(attempt)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if "generate" in where(error):
                raise UsageError(_too_much_to_generate(name, options, error)) from error
        # only after the handler, because the traceback holds the tensors
        gc.collect()
        torch.cuda.empty_cache()
    raise UsageError(
        f"{name} does not fit into the GPU's memory, even with {flag} halved: lower --max-length, "
        "--max-completion-tokens or --num-generations, take a smaller --model, or end what else uses the GPU "
        "(nvidia-smi shows it)"
    )
