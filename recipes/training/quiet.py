"""Quiet libraries: their many notices would bury our own lines and progress bars."""

import logging
import os

from rdkit import rdBase


def silence_libraries() -> None:
    """Turn down the notices of RDKit, torch, transformers, datasets, trl, peft and bitsandbytes."""
    rdBase.DisableLog("rdApp.*")  # public rows make it warn by the hundred
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is experimental; our version of trl is pinned
    # before peft is imported: it loads torchao, whose enums warn of a future torch
    for name in ("torch.utils._pytree", "bitsandbytes", "torchao", "trl", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)

    import datasets  # both take seconds to import, and --help must not wait for them
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
