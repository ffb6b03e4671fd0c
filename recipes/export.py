"""Export a phase as one model: base and adapter merged, for every tool that loads a Hugging Face model folder.

    python recipes/export.py outputs/nano/grpo                       # writes outputs/nano/grpo-merged
    python recipes/export.py outputs/nano/grpo --precision 4bit      # about a third of the size, in grpo-merged-4bit
    python recipes/export.py outputs/t4/grpo --gguf --llama-cpp DIR  # also model.gguf, and a Modelfile for Ollama
    python recipes/export.py outputs/t4/grpo --push-to-hub you/name  # also to the Hugging Face hub, with a model card
    python recipes/export.py outputs/t4 --adapters t4-adapters       # the adapters of all phases, to keep or to share
    transformers serve outputs/nano/grpo-merged                      # then it answers at http://localhost:8000/v1

1. Dequantise the 4-bit base: the adapter was trained on those weights, not on the ones they were rounded from.
2. Merge the adapter and save everything as safetensors, in 16 bits by default. In fp32 the greedy answers are those of
   base and adapter, token for token; a lower precision may change some.
3. Write a model card, README.md, from the phase's run.json and the ladder.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite.answers import SYSTEM
from chemr_lite.model.folders import base_of, phases_of
from recipes.training import command
from recipes.training.files import write_json, written_aside
from recipes.training.options import UsageError
from recipes.training.quiet import silence_libraries

PRECISIONS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "4bit": "bfloat16"}  # 4bit is rounded from bf16
CONVERTER = "convert_hf_to_gguf.py"
MODELFILE = '''FROM ./model.gguf
SYSTEM """{system}"""
PARAMETER temperature 0
'''


def refuse_existing(folder: Path, flag: str) -> None:
    """Raise UsageError, which names the `flag`, if `folder` exists."""
    if folder.exists():
        raise UsageError(f"{folder} is there already; give another {flag}, or delete it")


@contextmanager
def new_folder(folder: Path, flag: str) -> Iterator[Path]:
    """Give a temporary folder to write into, and rename it to `folder` at the end. If writing fails, nothing is left.

    Raises UsageError, which names the `flag`, if it cannot be written.
    """
    try:
        with written_aside(folder) as aside:
            aside.mkdir()
            yield aside
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}; choose another {flag}") from error


def merge(adapter: Path, output: Path, precision: str, copies: int = 1, name: str | None = None) -> None:
    """Merge the phase in the directory `adapter` with its base, and write model, tokenizer and card to `output`.

    The card calls the model `name`. Raises UsageError if the disk has no room for the model `copies` times.
    """
    silence_libraries()
    import torch  # this and what follows would slow down --help

    from chemr_lite.model.adapters import with_adapter
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_base, load_tokenizer
    from recipes.training import model_card

    base_name = base_of(adapter)
    tokenizer = load_tokenizer(base_name)
    base = load_base(base_name, detect_hardware()).dequantize()
    merged = with_adapter(base, adapter).merge_and_unload().to(getattr(torch, PRECISIONS[precision]))
    with new_folder(output, "--output") as partial:
        needed, free = copies * merged.get_memory_footprint(), shutil.disk_usage(partial).free
        if needed > free:
            raise UsageError(
                f"{output} needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} are free; "
                "give an --output on a larger disk"
            )
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if precision == "4bit":
            load_base(str(partial), detect_hardware()).save_pretrained(partial)
        (partial / "README.md").write_text(model_card.write(adapter, base_name, name or output.name))
    print(f"merged {adapter} and its base: {output}")


def copy_adapters(run: Path, folder: Path) -> None:
    """Copy the finished phases of a run, without checkpoints, to a new `folder`, with a card and Kaggle's metadata."""
    from recipes.training import model_card  # matplotlib, which --help must not wait for

    phases = phases_of(run)
    if not phases:
        raise UsageError(f"{run}: no finished phase in it; name a run directory, as outputs/nano")
    refuse_existing(folder, "--adapters")
    with new_folder(folder, "--adapters") as partial:
        for name in ("base", *phases):
            shutil.copytree(run / name, partial / name)
        for path in run.glob("ladder.*"):
            shutil.copy(path, partial)
        last = run / phases[-1]
        (partial / "README.md").write_text(model_card.write(last, base_of(last), folder.name))
        write_json(
            partial / "dataset-metadata.json",
            {"title": folder.name, "id": f"YOUR-NAME/{folder.name}", "licenses": [{"name": "other"}]},
        )
    print(
        f"copied {', '.join(phases)} of {run} to {folder}: Chemist reads it, and kaggle datasets create -p {folder} "
        "uploads it"
    )


def find_converter(llama_cpp: str | None) -> Path:
    """Return llama.cpp's converter, from the folder `llama_cpp` or from the PATH. Raises UsageError."""
    in_folder = Path(llama_cpp, CONVERTER) if llama_cpp else None
    converter = in_folder if in_folder and in_folder.exists() else shutil.which(CONVERTER)
    if not converter:
        place = f"in {llama_cpp}" if llama_cpp else "on the PATH"
        raise UsageError(
            f"--gguf needs llama.cpp's {CONVERTER}, which is not {place}: "
            "git clone https://github.com/ggml-org/llama.cpp, then give --llama-cpp llama.cpp"
        )
    return Path(converter)


def to_gguf(folder: Path, converter: Path) -> None:
    """Write model.gguf (16 bits) and a Modelfile into the model folder. Raises UsageError if the converter fails."""
    target = folder / "model.gguf"
    arguments = [sys.executable, str(converter), str(folder), "--outfile", str(target), "--outtype", "f16"]
    process = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if process.returncode or not target.exists():
        last_line = (process.stderr.strip() or process.stdout.strip() or "it wrote nothing").splitlines()[-1]
        raise UsageError(f"{converter} cannot convert {folder}, which is complete otherwise: {last_line}")
    (folder / "Modelfile").write_text(MODELFILE.format(system=SYSTEM))
    print(f"{target}; with Ollama: cd {folder} && ollama create {folder.name} -f Modelfile")


def check_token() -> None:
    """Raise UsageError if there is no token for the hub, before the model is merged."""
    from huggingface_hub import get_token  # half a second, which --help must not wait for

    if not get_token():
        raise UsageError(
            "--push-to-hub needs a token of the hub with the right to write: set HF_TOKEN, or run hf auth login"
        )


def push(folder: Path, repo: str, public: bool) -> None:
    """Upload a model folder to the Hugging Face hub. Raises UsageError if the hub refuses."""
    from huggingface_hub import HfApi  # half a second, which --help must not wait for
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        hub = HfApi()
        hub.create_repo(repo, private=not public, exist_ok=True)
        hub.upload_folder(repo_id=repo, folder_path=folder, commit_message="Model and card, by chemr-lite")
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UsageError(f"{repo} cannot be pushed: {' '.join(str(error).split())[:300]}. {folder} stays") from error
    print(f"pushed to {hub.endpoint}/{repo}{'' if public else ', private until you change that there'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("phase", type=Path, help="directory of a finished phase; with --adapters a run directory")
    add("--output", type=Path, help="new folder for the model; default: PHASE-merged, or PHASE-merged-PRECISION")
    add("--precision", choices=PRECISIONS, default="bf16", help="of the weights; default: bf16")
    add("--gguf", action="store_true", help="also write model.gguf and a Modelfile, by llama.cpp's converter")
    add("--llama-cpp", metavar="DIR", help="folder of llama.cpp; default: $LLAMA_CPP")
    add("--push-to-hub", metavar="REPO", help="also upload the folder to this repository, private unless --public")
    add("--public", action="store_true", help="with --push-to-hub: let everybody see the repository")
    add("--adapters", type=Path, metavar="FOLDER", help="copy the adapters of all phases there, and merge nothing")
    args = parser.parse_args()
    if args.adapters:
        return copy_adapters(args.phase, args.adapters)
    if args.gguf and args.precision == "4bit":
        raise UsageError("--gguf is written from 16 or 32 bits; leave --precision 4bit out")
    converter = find_converter(args.llama_cpp or os.environ.get("LLAMA_CPP")) if args.gguf else None
    if args.push_to_hub:
        check_token()
    suffix = "-merged" if args.precision == "bf16" else f"-merged-{args.precision}"
    output = args.output or args.phase.with_name(args.phase.name + suffix)
    refuse_existing(output, "--output")
    merge(args.phase, output, args.precision, 2 if args.gguf else 1, args.push_to_hub)
    if converter:
        to_gguf(output, converter)
    if args.push_to_hub:
        push(output, args.push_to_hub, args.public)


if __name__ == "__main__":
    command.run(main)
