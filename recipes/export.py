"""A phase's model in one piece: base and adapter merged, as any tool loads it that reads a Hugging Face model folder.

    python recipes/export.py outputs/nano/grpo                       # writes outputs/nano/grpo-merged
    python recipes/export.py outputs/nano/grpo --precision 4bit      # NF4, about a third of the size, in grpo-merged-4bit
    python recipes/export.py outputs/t4/grpo --gguf --llama-cpp DIR  # also model.gguf, and a Modelfile for Ollama
    python recipes/export.py outputs/t4/grpo --push-to-hub you/name  # also to the Hugging Face hub, with a model card
    python recipes/export.py outputs/t4 --adapters t4-adapters       # the adapters of all phases, to keep or to share
    transformers serve outputs/nano/grpo-merged                      # then it answers at http://localhost:8000/v1

1. The 4-bit base is unpacked: the adapter has learnt to go with those weights, not with the ones they were rounded from.
2. The adapter is added in, and all is written as safetensors, in 16 bits unless you ask for others. In fp32 the greedy
   answers are those of base and adapter, token for token; a rounder precision may change some.
3. README.md beside it is a model card, written from the phase's run.json and the ladder.
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

PRECISIONS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "4bit": "bfloat16"}  # 4bit is rounded from bf16
CONVERTER = "convert_hf_to_gguf.py"
MODELFILE = '''FROM ./model.gguf
SYSTEM """{system}"""
PARAMETER temperature 0
'''


def refuse_existing(folder: Path, flag: str) -> None:
    if folder.exists():
        raise UsageError(f"{folder} is there already; give another {flag}, or delete it")


@contextmanager
def new_folder(folder: Path, flag: str) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` once all is written; nothing is left of it if that fails. Raises
    UsageError, which names the `flag`, where it cannot be written."""
    try:
        with written_aside(folder) as aside:
            aside.mkdir()
            yield aside
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}; choose another {flag}") from error


def merge(adapter: Path, output: Path, precision: str, copies: int = 1, name: str | None = None) -> None:
    """Write the model of a phase's directory `adapter`, its tokenizer and its card to `output`, which needs room for it
    `copies` times; nothing is left there if it fails."""
    from recipes.training.quiet import silence_libraries

    silence_libraries()
    import torch  # this and what brings it are no matter of --help

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
                f"{output} needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} are free; give an --output on a larger disk"
            )
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if precision == "4bit":
            load_base(str(partial), detect_hardware()).save_pretrained(partial)
        (partial / "README.md").write_text(model_card.write(adapter, base_name, name or output.name))
    print(f"{adapter} and its base, merged, in {output}")


def keep(run: Path, folder: Path) -> None:
    """Copy what is finished in a run directory, without checkpoints, to a new `folder`, with a card and Kaggle's metadata."""
    from recipes.training import model_card  # brings matplotlib

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
        f"{', '.join(phases)} of {run} in {folder}: Chemist reads it, and kaggle datasets create -p {folder} uploads it"
    )


def find_converter(llama_cpp: str | None) -> Path:
    """llama.cpp's converter, in the folder that is given or on the PATH."""
    given = Path(llama_cpp, CONVERTER) if llama_cpp else None
    found = given if given and given.exists() else shutil.which(CONVERTER)
    if not found:
        raise UsageError(
            f"--gguf needs llama.cpp's {CONVERTER}, which is {f'not in {llama_cpp}' if llama_cpp else 'not on the PATH'}: "
            "git clone https://github.com/ggml-org/llama.cpp, then give --llama-cpp llama.cpp"
        )
    return Path(found)


def to_gguf(folder: Path, converter: Path) -> None:
    """Write model.gguf (16 bits) and a Modelfile into the model folder."""
    target = folder / "model.gguf"
    command = [sys.executable, str(converter), str(folder), "--outfile", str(target), "--outtype", "f16"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not target.exists():
        last = (done.stderr.strip() or done.stdout.strip() or "it wrote nothing").splitlines()[-1]
        raise UsageError(f"{converter} cannot convert {folder}, which is whole otherwise: {last}")
    (folder / "Modelfile").write_text(MODELFILE.format(system=SYSTEM))
    print(f"{target}; with Ollama: cd {folder} && ollama create {folder.name} -f Modelfile")


def check_token() -> None:
    """Refuse before anything is made, where the hub would refuse after all of it."""
    from huggingface_hub import get_token

    if not get_token():
        raise UsageError(
            "--push-to-hub needs a token of the hub with the right to write: set HF_TOKEN, or run hf auth login"
        )


def push(folder: Path, repo: str, public: bool) -> None:
    """Upload a model folder to the Hugging Face hub."""
    from huggingface_hub import HfApi
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
    parser.add_argument(
        "phase", type=Path, help="a finished phase's directory, with an adapter in it; with --adapters a run directory"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="where to write the model; default: the phase's directory with -merged, and the precision where it is not bf16",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16", help="of the weights; default: bf16")
    parser.add_argument(
        "--gguf", action="store_true", help="also write model.gguf and a Modelfile, by llama.cpp's converter"
    )
    parser.add_argument("--llama-cpp", metavar="DIR", help="llama.cpp's folder, default: $LLAMA_CPP")
    parser.add_argument(
        "--push-to-hub",
        metavar="REPO",
        help="also upload the folder to this repository of yours, private unless --public",
    )
    parser.add_argument("--public", action="store_true", help="with --push-to-hub: a repository that everybody sees")
    parser.add_argument(
        "--adapters", type=Path, metavar="FOLDER", help="copy the adapters of all phases there, and merge nothing"
    )
    args = parser.parse_args()
    if args.adapters:
        return keep(args.phase, args.adapters)
    if args.gguf and args.precision == "4bit":
        raise UsageError("--gguf is written from 16 or 32 bits; leave --precision 4bit out")
    converter = find_converter(args.llama_cpp or os.environ.get("LLAMA_CPP")) if args.gguf else None
    if args.push_to_hub:
        check_token()
    kind = "-merged" if args.precision == "bf16" else f"-merged-{args.precision}"
    output = args.output or args.phase.with_name(args.phase.name + kind)
    refuse_existing(output, "--output")
    merge(args.phase, output, args.precision, 2 if args.gguf else 1, args.push_to_hub)
    if converter:
        to_gguf(output, converter)
    if args.push_to_hub:
        push(output, args.push_to_hub, args.public)


if __name__ == "__main__":
    command.run(main)
