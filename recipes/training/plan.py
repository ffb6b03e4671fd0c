"""What a run takes, told before anything is trained: rows, tokens and steps of each phase, memory and hours.

The hours of a graphics card are arithmetic from two figures that others have measured on a T4 (a 3B model, 4-bit with
LoRA): TRAINED tokens a second, and DECODING seconds for one more token of all completions. Training is scaled by the
number of parameters and by the card's peak. Decoding is bound by launching kernels, so it is scaled by the number of
layers only. On a CPU both are measured here, with the model itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import AutoConfig

from chemr_lite import get_task
from chemr_lite.data import Loaded
from chemr_lite.errors import ModelError, first_line
from chemr_lite.model.beginnings import complete
from chemr_lite.model.cpu import pad_left
from chemr_lite.model.folders import base_path
from chemr_lite.model.hardware import Hardware
from chemr_lite.model.load import load_model, load_tokenizer
from recipes.training.options import Options
from recipes.training.time_left import Work
from recipes.training.work import evenly, work_of

GIB = 2**30
TRAINED, DECODING, PARAMETERS, LAYERS = 650.0, 0.1, 3.1e9, 36  # measured by others: a T4, Qwen2.5-3B
# card → peak of 16-bit tensor cores in TFLOPS and memory in GiB, as their makers state them
CARDS = {"T4": (65, 14.6), "RTX 3090": (71, 23.7), "L4": (121, 22.0), "RTX 4090": (165, 23.7), "A100": (312, 79.3)}
LOGIT_BYTES = {"sft": 16, "grpo": 12}  # of each logit in a forward and backward pass without Unsloth
SMALL = 1e9  # parameters of a model that a CPU may train
FORWARD = 1 / 3  # time of a forward pass alone, against that of a step of training
TRIAL = 8  # rows and tokens of what is timed on a CPU


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama-like model that decide memory and time."""

    layers: int
    hidden: int
    intermediate: int
    keys: int  # width of all key heads of a layer
    vocabulary: int
    embeddings: int  # 1 if input and output share one, else 2

    @property
    def linear(self) -> int:
        """Parameters of the linear layers, which are quantised."""
        return self.layers * self.hidden * (2 * self.hidden + 2 * self.keys + 3 * self.intermediate)

    @property
    def parameters(self) -> int:
        return self.linear + self.embeddings * self.vocabulary * self.hidden

    def adapter(self, rank: int) -> int:
        """Parameters of a LoRA on every linear layer."""
        h, k, i = self.hidden, self.keys, self.intermediate
        return self.layers * rank * (2 * (h + h) + 2 * (h + k) + 3 * (h + i))


def shape_of(model: str) -> Shape:
    """Return the shape of the base `model` from its config. Raises ModelError."""
    source = base_path(model)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{source}: its config cannot be read: {first_line(error)}") from error
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Shape(
        config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.num_key_value_heads * width,
        config.vocab_size, 1 if config.tie_word_embeddings else 2,
    )  # fmt: skip


def memory(shape: Shape, options: Options, backend: str) -> tuple[float, float]:
    """Return the GiB that phases 1 and 2 need on a graphics card, and those that phase 3 needs.

    Unsloth keeps 16-bit embeddings and never holds all logits at once; the backend hf keeps 32-bit embeddings and does.
    """
    is_hf = backend == "hf"
    embeddings = shape.embeddings * shape.vocabulary * shape.hidden * (4 if is_hf else 2)
    fixed = 0.516 * shape.linear + embeddings + 16 * shape.adapter(options.lora_r)  # weight, gradient, two moments

    def training(tokens: int, kind: str) -> float:
        checkpoints = 2 * tokens * shape.hidden * shape.layers
        return checkpoints + is_hf * LOGIT_BYTES[kind] * tokens * shape.vocabulary

    cache = 4 * shape.layers * shape.keys * options.prompts_per_step * options.num_generations * options.max_length
    sft = fixed + training(options.sft_micro_batch * options.max_length, "sft")
    logits = options.grpo_micro_batch * (options.max_completion_tokens + 1)
    grpo = fixed + max(cache, training(logits, "grpo"))
    return sft / GIB, grpo / GIB


@dataclass(frozen=True)
class Speed:
    """How fast a machine is with a model: `train` seconds of training on so many tokens, `decode` so many at once."""

    name: str
    train: Callable[[float], float]
    decode: Callable[[int, float], float]  # takes completions at once and tokens of each


def speed_of_card(name: str, shape: Shape) -> Speed:
    rate = TRAINED * CARDS[name][0] / CARDS["T4"][0] * PARAMETERS / shape.parameters
    seconds = DECODING * shape.layers / LAYERS
    return Speed(name, lambda tokens: tokens / rate, lambda at_once, tokens: tokens * seconds)


def measured_speed(options: Options, hardware: Hardware, rows: Loaded, tokenizer) -> Speed:
    """Time a training step and some tokens of decoding with the model itself, on a CPU. Nothing is kept."""
    model = load_model(options.model, None, "hf", hardware, options.max_length, options.lora_r, options.seed)
    prompts = [get_task(row["task"]).prompt(row) for row in evenly(rows.rows["train"], TRIAL)]
    ids = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=False)
    batch, _ = pad_left(ids, tokenizer.pad_token_id)
    seconds = []
    for _ in range(2):  # the first step also warms up
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=hardware.precision == "bf16"):
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        seconds.append(time.perf_counter() - started)
    rate = batch.numel() / seconds[-1]
    never = model.config.vocab_size - 1  # a token that hardly ever comes, so that no completion ends
    many = ids * 4  # each prompt is read once, and its samples are decoded together as soon as they differ
    short, long = (_timed(lambda n=n: complete(model, many, n, [never], 1.0)) for n in (TRIAL, 3 * TRIAL))
    decoding = 2 * TRIAL * len(many) / max(long - short, 1e-6)
    return Speed(
        f"this machine ({hardware.name})", lambda tokens: tokens / rate, lambda at_once, n: at_once * n / decoding
    )


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def describe(options: Options, preset: str, rows: Loaded, phases, hardware: Hardware) -> str:
    """Return the plan of a run as text. Trains nothing; loads the model only on a CPU, and only if it is small."""
    tokenizer, shape = load_tokenizer(options.model), shape_of(options.model)
    works = work_of(options, rows, phases, tokenizer, hardware.device)
    return "\n".join(
        [
            f"plan of preset {preset}: {options.model}, {shape.parameters / 1e6:,.0f} million parameters",
            *(f"  {work.line}" for work in works),
            "",
            *_time_table(works, _speeds(options, shape, hardware, rows, tokenizer)),
            *_memory_lines(options, shape, hardware),
            "",
            "nothing was trained",
        ]
    )


def _speeds(options: Options, shape: Shape, hardware: Hardware, rows: Loaded, tokenizer) -> list[Speed]:
    if hardware.device == "cpu" and shape.parameters < SMALL:
        return [measured_speed(options, hardware, rows, tokenizer)]
    return [speed_of_card(name, shape) for name in CARDS]


def _time_table(works: list[Work], speeds: list[Speed]) -> list[str]:
    names = [work.rung for work in works]
    table = [["machine", *names, "in all"], ["---", *("---:" for _ in names), "---:"]]
    for speed in speeds:
        hours = [_seconds(speed, work) / 3600 for work in works]
        table.append([speed.name, *(f"{h:.1f} h" if h >= 1 else f"{60 * h:.0f} min" for h in [*hours, sum(hours)])])
    source = "measured just now" if len(speeds) == 1 else "estimated"
    return [f"time, {source}:", *(f"| {' | '.join(row)} |" for row in table)]


def _seconds(speed: Speed, work: Work) -> float:
    seconds = speed.train(work.trained)
    for part in (work.practice, *work.answers):
        reading = FORWARD * part.batches * part.size * part.prompt
        seconds += speed.train(reading) + part.batches * speed.decode(part.size, part.tokens)
    return seconds


def _memory_lines(options: Options, shape: Shape, hardware: Hardware) -> list[str]:
    if hardware.device == "cpu" and shape.parameters < SMALL:
        return []
    lines = ["", "memory of a graphics card in GiB, estimated, without the 1 or 2 that CUDA itself takes:"]
    for backend in ("unsloth", "hf"):
        sft, grpo = memory(shape, options, backend)
        lines.append(f"  {backend}: phases 1 and 2 {sft:.1f}, phase 3 {grpo:.1f}")
    return [*lines, "  cards have " + ", ".join(f"{name} {gib}" for name, (_, gib) in CARDS.items())]
