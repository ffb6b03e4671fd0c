"""Reasoning traces of a larger model, for phase 2: asked for along the protocol, and kept only if they hold.

1. For each training row the teacher gets the question, the steps of its protocol, and the facts that RDKit knows.
2. It is asked `teacher_samples` times (recipes/server.py: many at once, nothing paid twice, a budget of tokens).
3. A trace is kept if it is in the format, its answer is correct by the task's own `score`, its claims are grounded, no
   word of the facts it was given is left in it, and it is no copy of another. What is dropped is counted, by reason.

`accept` is that filter. The kept traces are lines of JSON (task, input, completion) that `--traces FILE.jsonl` reads.
"""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

from chemr_lite import build_prompt, check_claims, get_task, parse_completion
from chemr_lite.answers import SYSTEM
from chemr_lite.claims import grounding
from chemr_lite.protocols import Protocols
from chemr_lite.rewards import score_completion
from recipes.options import Options, UsageError
from recipes.server import Server

MIN_CHARS = 80  # of the reasoning; less is no trace
# a student never sees the facts, so a trace that mentions them teaches it to invent some
HINTS = re.compile(
    r"\b(?:provided|supplied|given|above|listed|known|tool|computed)\s+(?:functional groups?|facts?|hints?|information|data|analysis|list|counts?|scaffold|descriptors?)\b"
    r"|\b(?:the|these|those) (?:facts|hints?)\b|\bas (?:provided|given|stated above)\b|\baccording to the (?:tool|facts|hints?|list|provided)\b|\bRDKit\b",
    re.IGNORECASE,
)
WAY = (
    "\n\nReason in these steps, each as a numbered line with its heading in bold, and write one short paragraph for each:\n{steps}\n"
    "Say nothing that you are not sure of. The facts below the question are for your eyes only: use them, never mention them."
)


def conversation(row: dict, protocols: Protocols, hints: bool = True) -> list[dict]:
    """The teacher's prompt for one row: the format, the protocol's steps, the question, and what RDKit knows."""
    task = get_task(row["task"])
    steps = protocols.of(row["task"])
    facts = (task.facts(row) or {}) if hints else {}
    told = "\n".join(f"{i}. **{step.heading}:** {step.states}" for i, step in enumerate(steps, 1))
    known = "\n".join(f"- {step.heading}: {facts[step.fact]}" for step in steps if step.fact in facts)
    system, user = build_prompt(task.question(row))
    return [
        {"role": "system", "content": SYSTEM + (WAY.format(steps=told) if told else "")},
        {"role": "user", "content": user["content"] + (f"\n\nFacts:\n{known}" if known else "")},
    ]


def accept(row: dict, text: str, least: float, seen: set[str], protocols: Protocols | None = None) -> str | None:
    """Why a trace is not kept, or None if it is; `seen` holds the reasoning kept so far."""
    completion = parse_completion(text)
    if completion.answer is None:
        return f"format: {completion.reason}"
    if not score_completion(text, row).correct:
        return "wrong answer"
    if len(completion.think) < MIN_CHARS:
        return "too short"
    if HINTS.search(completion.think):
        return "mentions what it was given"
    share = grounding(check_claims(completion.think, row, completion.answer, protocols))
    if share is not None and share < least:
        return "ungrounded"
    plain = " ".join(completion.think.lower().split())
    if plain in seen:
        return "duplicate"
    seen.add(plain)
    return None


def check(options: Options) -> None:
    """Raise UsageError for a --traces that cannot be had, before anything is trained."""
    if options.traces in ("teacher", "both"):
        estimate(server_of(options), [], options)
        if not traces_of(options).exists():
            server_of(options).check()
    elif options.traces != "grounded":
        if not Path(options.traces).exists():
            raise UsageError(f"--traces {options.traces}: no such file; choose grounded, teacher, both or a .jsonl of traces")
        read_traces(Path(options.traces))


def traces_of(options: Options) -> Path:
    """Where the kept traces of a run stand."""
    return Path(options.output) / "teacher" / "traces.jsonl"


def server_of(options: Options) -> Server:
    if not (options.teacher_url and options.teacher_model):
        raise UsageError("--traces teacher and both need --teacher-url and --teacher-model")
    return Server(options.teacher_url, options.teacher_model, options.teacher_concurrency)


def estimate(server: Server, questions: list[list[dict]], options: Options) -> str:
    """What asking will cost at most, in words."""
    prompts, answers = server.estimate(questions * options.teacher_samples, options.teacher_max_tokens)
    text = f"{len(questions) * options.teacher_samples:,} requests, about {prompts:,} tokens of prompts and at most {answers:,} of answers"
    if options.teacher_price:
        try:
            price_in, price_out = (float(part) for part in options.teacher_price.split(","))
        except ValueError as error:
            raise UsageError(
                f"--teacher-price {options.teacher_price!r}: give two numbers, per million tokens in and out: 0.5,1.5"
            ) from error
        text += f": at most {(prompts * price_in + answers * price_out) / 1e6:.2f} in the currency of --teacher-price"
    return text


def synthesise(rows: list[dict], options: Options, protocols: Protocols) -> Path:
    """Ask the teacher for traces of `rows`, filter them, and write those kept to `traces_of(options)`; returns that path.

    Traces that an earlier start of the run has written are used as they are: phase 2 resumes on what it began with.
    """
    path = traces_of(options)
    if path.exists():
        print(f"[teacher] using {path}; delete it to ask for what is missing")
        return path
    folder, server = path.parent, server_of(options)
    if options.teacher_max_tokens > options.max_length:
        print(
            f"[teacher] traces may have {options.teacher_max_tokens} tokens, and rows over --max-length {options.max_length} are left out: mind the count"
        )
    server.check()
    questions = [conversation(row, protocols) for row in rows]
    budget = f"; a budget of {options.teacher_budget:,} tokens ends it" if options.teacher_budget else ""
    print(f"[teacher] {estimate(server, questions, options)}{budget}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    temperature = options.teacher_temperature if options.teacher_samples > 1 else 0.0
    answers = server.ask(
        questions,
        folder / "answers.jsonl",
        options.teacher_max_tokens,
        temperature,
        options.teacher_samples,
        options.teacher_budget,
        "asking the teacher",
    )
    kept, dropped = [], defaultdict(Counter)
    seen: set[str] = set()
    for row, texts in zip(rows, answers, strict=True):
        for text in texts:
            why = accept(row, text, options.least_grounding, seen, protocols)
            dropped[row["task"]][why or "kept"] += 1
            if why is None:
                kept.append({"task": row["task"], "input": row["input"], "completion": text.strip()})
    total = sum(dropped.values(), Counter())
    (folder / "filter.json").write_text(json.dumps(dropped, indent=1) + "\n")
    if not kept:
        raise UsageError(
            f"no trace of {options.teacher_model} was kept; {folder}/filter.json says why, {folder}/answers.jsonl holds what it wrote"
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    print(f"[teacher] {', '.join(f'{name} {count:,}' for name, count in server.spent.items()) or 'everything was there already'}")
    print(f"[teacher] of {sum(map(len, answers)):,} traces: " + ", ".join(f"{why} {count:,}" for why, count in total.most_common()))
    for task, counts in dropped.items():
        print(f"  {task}: " + ", ".join(f"{why} {count:,}" for why, count in counts.most_common()))
    return path


def read_traces(path: Path, rows: list[dict] | None = None) -> dict[tuple[str, str], list[str]]:
    """The completions in a file of traces by (task, input), for `rows` (None: all). Raises UsageError for a line that is none."""
    wanted = rows and {(row["task"], row["input"]) for row in rows}
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # and not at every character that Unicode calls a line's end
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            held = json.loads(line)
            key, text = (str(held["task"]), str(held["input"])), str(held["completion"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}, line {number}: not a trace with task, input and completion ({error})") from error
        if not wanted or key in wanted:
            found[key].append(text)
    if not found:
        raise UsageError(f"{path}: none of its traces belongs to a training row of --data")
    return dict(found)
