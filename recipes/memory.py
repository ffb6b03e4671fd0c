"""GPU memory: found too small in the first minute, and answered once by smaller micro-batches.

1. Before the first step `Rehearsal` trains one that is as large as any can be, of which nothing stays.
2. Out of memory there or later, `with_less_memory` starts the phase again with half the micro-batch and twice the accumulation:
   the same step, of the same rows. It goes on from the newest checkpoint.
"""

import gc
from collections.abc import Callable
from dataclasses import replace

import torch
from transformers import TrainerCallback

from recipes import processes
from recipes.options import Options, UsageError

GIB = 2**30


class Rehearsal(TrainerCallback):
    """One step on `rows` before training, `restore` called after it: weights, random numbers and logs are as before.

    `rows` are what the trainer's own data loader would hand to its `training_step`. Completions of GRPO are drawn out to their
    full length, and the room that the optimiser will take is held meanwhile.
    """

    def __init__(self, trainer, rows, restore: Callable[[], None] = lambda: None):
        self.trainer, self.rows, self.restore = trainer, rows, restore

    def on_train_begin(self, args, state, control, model=None, **_):
        trainer = self.trainer
        trainer.current_gradient_accumulation_steps = args.gradient_accumulation_steps
        told = getattr(trainer, "generation_config", None)
        if told:
            told.min_new_tokens = trainer.max_completion_length
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        adam = torch.empty(2 * trained, device=args.device)
        devices = [args.device] if args.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            trainer.training_step(trainer.model_wrapped, self.rows, torch.tensor(1, device=args.device))
        del adam
        model.zero_grad(set_to_none=True)
        if told:
            told.min_new_tokens = None
            # the trainer goes on as if it had not generated yet
            trainer._step, trainer._buffered_inputs = 0, None
            for kept in (trainer._metrics["train"], trainer._pending_metrics, trainer._pending_extra_logs, *trainer._logs.values()):
                kept.clear()
        self.restore()
        if devices:
            reserved, whole = torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties(0).total_memory
            print(f"  the largest step takes {reserved / GIB:.1f} of {whole / GIB:.1f} GiB", flush=True)
            torch.cuda.empty_cache()


def rehearses(options: Options, device: str) -> bool:
    """Whether the largest step is tried: as --rehearsal says, by default on a GPU."""
    return device == "cuda" if options.rehearsal is None else options.rehearsal


def out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and "out of memory" in str(error).lower())


def with_less_memory(train: Callable[[Options], None], options: Options, name: str, field: str) -> None:
    """`train(options)`; where the GPU's memory does not suffice, once again with half of `options.<field>`, its micro-batch.

    Raises UsageError where that does not help.
    """
    if processes.NUMBER > 1:
        return train(options)  # one of them cannot start again alone
    flag = "--" + field.replace("_", "-")
    for tried in (options, replace(options, **{field: getattr(options, field) // 2})):
        if not getattr(tried, field):
            break
        if tried is not options:
            print(f"\n[{name}] out of GPU memory: again with {flag} {getattr(tried, field)}, which trains the same steps in more parts")
        try:
            return train(tried)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        # outside the handler: the traceback held the tensors
        gc.collect()
        torch.cuda.empty_cache()
    raise UsageError(
        f"{name} does not fit into the GPU's memory, nor with {flag} halved: lower --max-length, --max-completion-tokens or "
        "--num-generations, take a smaller --model, or end what else uses the GPU (nvidia-smi shows it)"
    )
