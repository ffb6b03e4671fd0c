"""What a run takes, told before anything is trained: rows, tokens and steps of each phase, memory and hours.

The hours of a graphics card are arithmetic from two figures that others have measured on a T4 (a 3B model, 4-bit with
LoRA): TRAINED tokens a second, and DECODING seconds for one more token of all completions. Training is scaled by the
number of parameters and by the card's peak. Decoding is bound by launching kernels, so it is scaled by the number of
layers only. On a CPU both are measured here, with the model itself.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from transformers import AutoConfig

from chemr_lite import get_task
from chemr_lite.data import Loaded
from chemr_lite.data.splits import sample
from chemr_lite.errors import ModelError, first_line
from chemr_lite.model.cpu import complete, pad_left
from chemr_lite.model.folders import base_path
from chemr_lite.model.hardware import Hardware
from chemr_lite.model.load import load_model, load_tokenizer
from recipes.training.callbacks import VALIDATION_ROWS
from recipes.training.options import Options
from recipes.training.sft import make_examples

GIB = 2**30
TRAINED, DECODING, PARAMETERS, LAYERS = 650.0, 0.1, 3.1e9, 36  # measured by others: a T4, Qwen2.5-3B
# card → peak of 16-bit tensor cores in TFLOPS and memory in GiB, as their makers state them
CARDS = {"T4": (65, 14.6), "RTX 3090": (71, 23.7), "L4": (121, 22.0), "RTX 4090": (165, 23.7), "A100": (312, 79.3)}
LOGIT_BYTES = {"sft": 16, "grpo": 12}  # of each logit in a forward and backward pass without Unsloth
SMALL = 1e9  # parameters of a model that a CPU may train
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


def measured_speed(options: Options, hardware: Hardware, examples: list[dict], tokenizer) -> Speed:
    """Time a training step and some tokens of decoding with the model itself, on a CPU. Nothing is kept."""
    model = load_model(options.model, None, "hf", hardware, options.max_length, options.lora_r, options.seed)
    prompts = [example["prompt"] for example in examples[:: max(1, len(examples) // TRIAL)][:TRIAL]]
    ids = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=False)
    batch, _ = pad_left(ids, tokenizer.pad_token_id)
    seconds = []
    for _ in range(2):  # the first step also warms up
        started = time.perf_counter()
        model(input_ids=batch, labels=batch).loss.backward()
        seconds.append(time.perf_counter() - started)
    rate = batch.numel() / seconds[-1]
    never = model.config.vocab_size - 1  # a token that hardly ever comes, so that no completion ends
    many = ids * 4  # each prompt is read once, and its completions are decoded together
    short, long = (_timed(lambda n=n: complete(model, many, n, never)) for n in (TRIAL, 3 * TRIAL))
    decoding = 2 * TRIAL * len(many) / max(long - short, 1e-6)
    return Speed(
        f"this machine ({hardware.name})", lambda tokens: tokens / rate, lambda at_once, n: at_once * n / decoding
    )


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Work:
    """What one rung takes: tokens to train on, and what to generate, as batches, completions of each, and tokens."""

    rung: str
    line: str  # of the plan
    trained: float
    generated: list[tuple[int, int, float]]


def describe(options: Options, preset: str, rows: Loaded, phases, hardware: Hardware) -> str:
    """Return the plan of a run as text. Trains nothing; loads the model only on a CPU, and only if it is small."""
    tokenizer, shape = load_tokenizer(options.model), shape_of(options.model)
    tested = len(sample(rows.rows["test"], options.eval_rows))
    checked = len(sample(rows.rows["validation"], min(VALIDATION_ROWS, options.eval_rows)))

    def answering(number: int, tokens: float) -> tuple[int, int, float]:
        return math.ceil(number / options.eval_batch_size), min(number, options.eval_batch_size), tokens

    limit = options.max_completion_tokens
    line = f"base: {tested:,} test rows to answer, and again after each phase"
    works, examples, answer = [Work("base", line, 0.0, [answering(tested, limit)])], [], limit / 2
    for phase in phases:
        if phase.completions:
            texts = phase.completions(options, rows)
            examples, counts = make_examples(rows.rows["train"], texts, tokenizer, options.max_length)
            answer = _length_of_answers(examples, tokenizer)
            work = _supervised(options, phase.name, counts)
        else:
            work = _practice(options, fmean(_prompt_lengths(rows, tokenizer)), answer, hardware)
            if options.validation_steps:  # phases 1 and 2 leave out checks that would take long
                checks = options.grpo_steps // options.validation_steps + 1
                work.generated.extend([answering(checked, _longest(answer, options))] * checks)
        work.generated.append(answering(tested, _longest(answer, options)))
        works.append(work)
    return "\n".join(
        [
            f"plan of preset {preset}: {options.model}, {shape.parameters / 1e6:,.0f} million parameters",
            *(f"  {work.line}" for work in works),
            "",
            *_time_table(works, _speeds(options, shape, hardware, examples, tokenizer)),
            *_memory_lines(options, shape, hardware),
            "",
            "nothing was trained",
        ]
    )


def _supervised(options: Options, name: str, counts: dict) -> Work:
    epochs = getattr(options, f"{name}_epochs")
    steps = math.ceil(epochs * math.ceil(counts["rows"] / options.sft_batch_size))
    line = f"{name}: {counts['rows']:,} rows, {counts['tokens']:,} tokens, {epochs:g} × over them: {steps:,} steps"
    if counts["too_long"]:
        line += f"; {counts['too_long']:,} rows are longer than {options.max_length} tokens and left out"
    return Work(name, line, counts["tokens"] * epochs, [])


def _practice(options: Options, prompt: float, answer: float, hardware: Hardware) -> Work:
    steps, completions = options.grpo_steps, options.prompts_per_step * options.num_generations
    read = prompt / options.num_generations if hardware.device == "cpu" else prompt  # model.cpu.share_prompts
    passes = 4 / 3 if options.beta else 1.0  # the reference model reads each completion once
    line = (
        f"grpo: {steps:,} steps of {options.prompts_per_step} prompts × {options.num_generations} completions, "
        f"about {answer:.0f} tokens each"
    )
    trained = steps * completions * (read + answer) * passes
    return Work("grpo", line, trained, [(steps, completions, _longest(answer, options))])


def _speeds(options: Options, shape: Shape, hardware: Hardware, examples: list[dict], tokenizer) -> list[Speed]:
    if hardware.device == "cpu" and shape.parameters < SMALL:
        return [measured_speed(options, hardware, examples, tokenizer)]
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
    return speed.train(work.trained) + sum(n * speed.decode(size, tokens) for n, size, tokens in work.generated)


def _memory_lines(options: Options, shape: Shape, hardware: Hardware) -> list[str]:
    if hardware.device == "cpu" and shape.parameters < SMALL:
        return []
    lines = ["", "memory of a graphics card in GiB, estimated, without the 1 or 2 that CUDA itself takes:"]
    for backend in ("unsloth", "hf"):
        sft, grpo = memory(shape, options, backend)
        lines.append(f"  {backend}: phases 1 and 2 {sft:.1f}, phase 3 {grpo:.1f}")
    return [*lines, "  cards have " + ", ".join(f"{name} {gib}" for name, (_, gib) in CARDS.items())]


def _longest(mean: float, options: Options) -> float:
    """Return the tokens after which all completions of a batch have ended: some are twice as long as the mean."""
    return min(2 * mean, options.max_completion_tokens)


def _length_of_answers(examples: list[dict], tokenizer) -> float:
    texts = [example["completion"][0]["content"] for example in examples[:: max(1, len(examples) // 500)]]
    return fmean(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]) + 1


def _prompt_lengths(rows: Loaded, tokenizer) -> list[int]:
    some = sample(rows.rows["train"], 50)
    prompts = [get_task(row["task"]).prompt(row) for row in some]
    return [len(ids) for ids in tokenizer.apply_chat_template(prompts, tokenize=True, return_dict=False)]
