"""A phase's model in one piece: base and adapter merged, as any tool loads it that reads a Hugging Face model folder.

    python recipes/export.py outputs/nano/grpo                       # writes outputs/nano/grpo-merged
    transformers serve outputs/nano/grpo-merged                      # then it answers at http://localhost:8000/v1

1. The 4-bit base is unpacked: the adapter has learnt to go with those weights, not with the ones they were rounded from.
2. The adapter is added in, and all is written as safetensors in the precision that this machine computes in.
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes.options import UsageError


def merge(adapter: Path, output: Path) -> None:
    """Write the model of a phase's directory `adapter` to `output`; nothing is left there if it fails."""
    from chemr_lite import models
    from recipes import ladder

    if output.exists():
        raise UsageError(f"{output} is there already; give another --output, or delete it")
    ladder.quieten()
    try:
        name = models.base_of(adapter)
        tokenizer = models.load_tokenizer(name)
        base = models.load_base(models.base_path(name), models.detect_hardware()).dequantize()
        merged = models.with_adapter(base, adapter).merge_and_unload()
    except models.ModelError as error:
        raise UsageError(str(error)) from error
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        needed, free = merged.get_memory_footprint(), shutil.disk_usage(partial).free
        if needed > free:
            raise UsageError(f"{output} needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} are free; give an --output on a larger disk")
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or error}; choose another --output") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"{adapter} and its base, merged, in {output}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", type=Path, help="a finished phase's directory, with an adapter in it")
    parser.add_argument("--output", type=Path, help="where to write the model; default: the phase's directory with -merged")
    args = parser.parse_args()
    merge(args.phase, args.output or args.phase.with_name(args.phase.name + "-merged"))


if __name__ == "__main__":
    main()
