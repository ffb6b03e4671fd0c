"""GPU memory: found too small in the first minute, and answered once by smaller micro-batches.

1. Before the first step of phase 3 `Rehearsal` trains one that is as large as any can be, of which nothing stays.
   (Phases 1 and 2 need none: their batches are grouped by length, the longest first.)
2. Out of memory there or later, `with_less_memory` starts the phase again with half the micro-batch and twice the
   accumulation: the same steps, of the same rows. It goes on from the newest checkpoint.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from transformers import TrainerCallback

from recipes.training import distributed
from recipes.training.distributed import say
from recipes.training.options import Options, UsageError

GIB = 2**30


class Rehearsal(TrainerCallback):
    """Trains one step on `rows` before training, and calls `restore` after it: all is as before.

    `rows` are what GRPOTrainer's own data loader would hand to its `training_step`. On a GPU completions are drawn out
    to their full length, and the room that the optimiser will take is held meanwhile. `seconds` is the time it took.
    """

    def __init__(self, trainer, rows: list[dict], restore: Callable[[], None]):
        self.trainer, self.rows, self.restore, self.seconds = trainer, rows, restore, 0.0

    def on_train_begin(self, args, state, control, model=None, **_):
        trainer, started = self.trainer, time.time()
        trainer.current_gradient_accumulation_steps = args.gradient_accumulation_steps
        trainer.generation_config.min_new_tokens = trainer.max_completion_length
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        adam = torch.empty(2 * trained, device=args.device)
        devices = [args.device] if args.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            trainer.training_step(trainer.model_wrapped, self.rows, torch.tensor(1, device=args.device))
        del adam
        model.zero_grad(set_to_none=True)
        trainer.generation_config.min_new_tokens = None
        # the trainer goes on as if it had not generated yet
        trainer._step, trainer._buffered_inputs = 0, None
        for log in (
            trainer._metrics["train"],
            trainer._pending_metrics,
            trainer._pending_extra_logs,
            *trainer._logs.values(),
        ):
            log.clear()
        self.restore()
        self.seconds = time.time() - started
        memory = ""
        if devices:
            reserved, whole = torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties(0).total_memory
            memory = f" and {reserved / GIB:.1f} of {whole / GIB:.1f} GiB"
            torch.cuda.empty_cache()
        say(f"  the largest step takes {self.seconds:.1f} s{memory}")


def out_of_memory(error: BaseException) -> bool:
    """Tell whether `error` says that the GPU's memory did not suffice."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


def with_less_memory(train: Callable[[Options], None], options: Options, name: str, field: str) -> None:
    """Call `train(options)`; out of GPU memory, once again with half of `options.<field>`, its micro-batch.

    Raises UsageError where that does not help.
    """
    if distributed.WORLD_SIZE > 1:
        return train(options)  # one of them cannot start again alone
    flag = "--" + field.replace("_", "-")
    for attempt in (options, replace(options, **{field: getattr(options, field) // 2})):
        if not getattr(attempt, field):
            break
        if attempt is not options:
            say(
                f"\n[{name}] out of GPU memory: again with {flag} {getattr(attempt, field)}, which trains the same steps in more parts"
            )
        try:
            return train(attempt)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        # outside the handler: the traceback held the tensors
        gc.collect()
        torch.cuda.empty_cache()
    raise UsageError(
        f"{name} does not fit into the GPU's memory, nor with {flag} halved: lower --max-length, --max-completion-tokens "
        "or --num-generations, take a smaller --model, or end what else uses the GPU (nvidia-smi shows it)"
    )
