"""The terminal is for our own lines and bars: the libraries' notices are many, and mean nothing to a user."""

import logging
import os


def silence_libraries() -> None:
    """Turn down the notices of torch, transformers, datasets, trl, peft and bitsandbytes."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is experimental; our version of trl is pinned
    # before peft is imported: it loads torchao, whose enums warn of torch's future
    for name in ("torch.utils._pytree", "bitsandbytes", "torchao", "trl", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)

    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
