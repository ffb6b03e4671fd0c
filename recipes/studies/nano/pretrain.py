"""Make nano from nothing: its rows, its tokenizer and the weights of a 2.8 M parameter Llama.

    python recipes/studies/nano/pretrain.py --output outputs/pretrain            # about two hours on two CPU cores
    python recipes/studies/nano/pretrain.py --output outputs/pretrain --install  # also copies it into chemr_lite/nano/

1. The generator (recipes/studies/nano) writes the finite rows of train, validation and test.
2. It writes lines of chemistry that show no validation or test molecule, packed into blocks of 256 tokens.
3. A Llama learns to continue them: Muon for the matrices, AdamW for the embeddings, cosine decay.
4. Three shorter stages, at half the rate, show fresh lines as dialogue between user and assistant. In the second of
   them a third of the lines count atoms or bonds down while they write a molecule. In the third a third of the lines
   count atoms up or down.
5. Validation loss, the share of valid SMILES among samples, time and hardware go into pretraining.json.

Left out: dropout, masks between packed lines, several devices. If it is killed, the same command resumes from the
newest checkpoint.
"""

import argparse
import gzip
import json
import math
import multiprocessing
import platform
import random
import shutil
import sys
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np
from tqdm import tqdm

from chemr_lite import parse_smiles
from recipes.studies.nano.corpus import dialogue, lines
from recipes.studies.nano.rows import held_out, make_rows
from recipes.studies.nano.tokenizer import build_tokenizer, pieces
from recipes.training.files import written_aside

# torch, transformers and safetensors are imported where they are used: --help must not wait for them

BLOCK = 256  # tokens
# stage → the weights of the lines that count (recipes.studies.nano.corpus.lines)
STAGES = {"text": {}, "dialogue": {}, "counting": {"counted": 5}, "tallying": {"counted": 2, "tallied": 5}}
NANO = Path(__file__).resolve().parents[3] / "chemr_lite" / "nano"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("outputs/pretrain"), help="working directory")
    parser.add_argument("--lines", type=int, default=600_000, help="lines of text to generate")
    tokens_help = "tokens to train on; the text is read again if it is shorter"
    parser.add_argument("--tokens", type=float, default=26e6, help=tokens_help)
    dialogue_help = "lines of dialogue in the second and third stage, read once; the fourth has half as many"
    parser.add_argument("--dialogue-lines", type=int, default=100_000, help=dialogue_help)
    parser.add_argument("--batch-size", type=int, default=32, help=f"blocks of {BLOCK} tokens a step")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="of AdamW; Muon takes ten times as much")
    parser.add_argument("--hidden-size", type=int, default=192, help="multiple of the head size, 64")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--save-minutes", type=float, default=5, help="minutes between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--install", action="store_true", help="copy rows, tokenizer and weights into chemr_lite/nano/")
    return parser.parse_args()


def write_rows(path: Path, seed: int) -> list[dict]:
    """Write the finite rows, unless `path` exists, and return them.

    The gzip file has no time stamp, so that the same seed gives the same bytes.
    """
    if not path.exists():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in make_rows(seed))
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def _tokenise_lines(job: tuple[str, int, int, set[str]]) -> list[int]:
    stage, seed, count, forbidden = job
    tokenizer = build_tokenizer()
    text = list(islice(lines(random.Random(seed), forbidden, pieces(), **STAGES[stage]), count))
    text = text if stage == "text" else [dialogue(line) for line in text]
    return [token for ids in tokenizer(text)["input_ids"] for token in (*ids, tokenizer.eos_token_id)]


def write_text(stage: str, path: Path, forbidden: set[str], count: int, seed: int) -> np.ndarray:
    """Write `count` lines of one of STAGES, unless `path` exists.

    Returns them as packed tokens, an array of shape (blocks, BLOCK).
    """
    if not path.exists():
        chunk = 5000
        first = seed * 1_000_003 + 1 + 500_000 * list(STAGES).index(stage)
        jobs = [(stage, first + i, chunk, forbidden) for i in range(math.ceil(count / chunk))]
        with multiprocessing.get_context("spawn").Pool() as pool:
            parts = list(tqdm(pool.imap(_tokenise_lines, jobs), total=len(jobs), desc=f"writing {stage}"))
        tokens = np.concatenate([np.array(part, dtype=np.uint16) for part in parts])
        np.save(path, tokens[: len(tokens) // BLOCK * BLOCK].reshape(-1, BLOCK))
    return np.load(path)


def build_model(hidden: int, layers: int, tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 64 * 64,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 64,
        head_dim=64,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.02,
        rope_theta=10_000.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def orthogonalise(grad, coefficients: tuple[float, float, float], steps: int, eps: float):
    """Orthogonalise a gradient by Muon's Newton-Schulz iteration (Keller Jordan, 2024) in full precision.

    torch's own always computes in bf16. A processor that only emulates bf16 would spend most of a step there.
    """
    a, b, c = coefficients
    update = grad.T if grad.size(0) > grad.size(1) else grad
    update = update / update.norm().clamp(min=eps)
    for _ in range(steps):
        gram = update @ update.T
        update = a * update + (b * gram + c * gram @ gram) @ update
    return update.T if grad.size(0) > grad.size(1) else update


def build_optimizers(model, learning_rate: float) -> list:
    """Return torch's Muon for the weight matrices of the layers and AdamW for everything else."""
    import torch

    if model.device.type == "cpu":
        torch.optim._muon._zeropower_via_newtonschulz = orthogonalise

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=10 * learning_rate, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def save_checkpoint(folder: Path, model, optimizers, progress: dict) -> None:
    """Write weights and optimiser state as safetensors to `folder`, in place of the checkpoint before."""
    from safetensors.torch import save_file

    with written_aside(folder) as aside:
        aside.mkdir()
        model.save_pretrained(aside)
        state = {
            f"{o}.{i}.{key}": value.contiguous()
            for o, optimizer in enumerate(optimizers)
            for i, entry in optimizer.state_dict()["state"].items()
            for key, value in entry.items()
        }
        save_file(state, aside / "optimizer.safetensors")
        (aside / "progress.json").write_text(json.dumps(progress))
        shutil.rmtree(folder, ignore_errors=True)


def load_checkpoint(folder: Path, model, optimizers) -> dict:
    """Load a checkpoint into model and optimisers. Return its progress."""
    from safetensors.torch import load_file

    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)  # the tied head is not stored
    state = load_file(folder / "optimizer.safetensors")
    for o, optimizer in enumerate(optimizers):
        full = optimizer.state_dict()
        for name, value in state.items():
            owner, index, key = name.split(".", 2)
            if int(owner) == o:
                full["state"].setdefault(int(index), {})[key] = value
        optimizer.load_state_dict(full)
    return json.loads((folder / "progress.json").read_text())


def train(args: argparse.Namespace, model, blocks, tokens: float, learning_rate: float, folder: Path) -> dict:
    """Train `model` in place on `tokens` tokens. Return the step, the seconds and the curve of validation losses."""
    import torch

    device = model.device.type
    optimizers = build_optimizers(model, learning_rate)
    validation, training = blocks[:128], blocks[128:]
    steps, warmup = int(tokens / (args.batch_size * BLOCK)), 100
    progress = {"step": 0, "seconds": 0.0, "curve": []}
    if folder.exists():
        progress = load_checkpoint(folder, model, optimizers)
        print(f"resuming at step {progress['step']} of {steps}")
    started, saved = time.time() - progress["seconds"], time.time()
    per_epoch = len(training) // args.batch_size
    bar = tqdm(range(progress["step"], steps), initial=progress["step"], total=steps, desc=folder.name)
    for step in bar:
        epoch, position = divmod(step, per_epoch)
        order = torch.randperm(len(training), generator=torch.Generator().manual_seed(args.seed + epoch))
        rows = order[position * args.batch_size : (position + 1) * args.batch_size]
        ids = torch.from_numpy(training[rows.numpy()].astype("int64")).to(device)
        share = min(1.0, (step + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, base in zip(optimizers, (10 * learning_rate, learning_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress.update(step=step + 1, seconds=time.time() - started)
        if (step + 1) % 250 == 0 or step + 1 == steps:
            tokens_read = (step + 1) * args.batch_size * BLOCK
            point = {"tokens": tokens_read, "validation_loss": evaluate(model, validation, device)}
            progress["curve"].append(point)
            minutes = round(progress["seconds"] / 60, 1)
            bar.write(json.dumps(point | {"minutes": minutes, "loss": round(loss.item(), 4)}))
        if time.time() - saved > 60 * args.save_minutes or step + 1 == steps:
            save_checkpoint(folder, model, optimizers, progress)
            saved = time.time()
    return progress


def evaluate(model, blocks, device: str) -> float:
    """Return the mean loss over `blocks`, in batches of 32."""
    import torch

    with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        losses = [
            model(input_ids=ids, labels=ids).loss.item()
            for ids in torch.from_numpy(blocks.astype("int64")).to(device).split(32)
        ]
    return round(sum(losses) / len(losses), 4)


def sample_validity(model, tokenizer, samples: int = 200) -> float:
    """Return the percentage of `samples` lines, sampled at temperature 1, whose first word passes the gate.

    Lines whose first word is a number do not count.
    """
    import torch

    start = torch.tensor([[tokenizer.eos_token_id]] * samples, device=model.device)
    sampled = model.generate(
        start, attention_mask=torch.ones_like(start), max_new_tokens=60, do_sample=True, temperature=1.0
    )
    texts = tokenizer.batch_decode(sampled, skip_special_tokens=True)
    first_words = [text.replace(">>", " ").replace("<<", " ").split(" ")[0] for text in texts]
    molecules = [word for word in first_words if not word.isdigit()]
    return round(100 * sum(parse_smiles(word).ok for word in molecules) / max(1, len(molecules)), 1)


def main() -> None:
    args = options()
    args.output.mkdir(parents=True, exist_ok=True)
    rows = write_rows(args.output / "rows.jsonl.gz", args.seed)
    tokenizer, forbidden = build_tokenizer(), held_out(rows)
    counts = dict.fromkeys(STAGES, args.dialogue_lines) | {"text": args.lines, "tallying": args.dialogue_lines // 2}
    blocks = {
        stage: write_text(stage, args.output / f"{stage}.npy", forbidden, count, args.seed)
        for stage, count in counts.items()
    }
    print(f"{len(rows)} rows, {blocks['text'].size / 1e6:.1f} M tokens of text, vocabulary {len(tokenizer)}")

    import torch

    cuda = torch.cuda.is_available()
    torch.manual_seed(args.seed)
    model = build_model(args.hidden_size, args.layers, tokenizer).to("cuda" if cuda else "cpu")
    done = {}
    for stage, text in blocks.items():
        tokens, rate = args.tokens, args.learning_rate
        if stage != "text":
            tokens, rate = text[128:].size, args.learning_rate / 2  # once over all that is not for validation
        done[stage] = train(args, model, text, tokens, rate, args.output / stage)
    cpu = f"{platform.machine()}, {torch.get_num_threads()} CPU threads"
    facts = {
        "parameters": model.num_parameters(),
        "tokens": sum(progress["curve"][-1]["tokens"] for progress in done.values()),
        "validation_loss": {stage: progress["curve"][-1]["validation_loss"] for stage, progress in done.items()},
        "sampled_validity_percent": sample_validity(model, tokenizer),
        "minutes": round(sum(progress["seconds"] for progress in done.values()) / 60, 1),
        "hardware": torch.cuda.get_device_name() if cuda else cpu,
        "torch": torch.__version__,
        "seed": args.seed,
        "curve": {stage: progress["curve"] for stage, progress in done.items()},
    }
    final = args.output / "model"
    model.to(torch.bfloat16).save_pretrained(final)
    tokenizer.save_pretrained(final)
    (final / "pretraining.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps({name: fact for name, fact in facts.items() if name != "curve"}, indent=1))
    if args.install:
        shutil.copytree(final, NANO / "model", dirs_exist_ok=True)
        shutil.copy(args.output / "rows.jsonl.gz", NANO / "rows.jsonl.gz")


if __name__ == "__main__":
    main()
