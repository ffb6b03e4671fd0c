"""A larger model as a teacher: traces that phase 2 learns from, or a draft of the protocols it reasons by.

    python recipes/teach.py --server http://localhost:8000/v1 --server-model NAME --data chemllmbench --output traces.jsonl
    python recipes/distill.py --traces grounded,traces.jsonl --data chemllmbench        # then learn from them
    python recipes/teach.py --mine true --server … --server-model NAME --data chemllmbench --output mine.yaml

1. For each training row the teacher gets the question, the steps of its protocol, and the facts that RDKit knows. With
   --mine it gets the question alone.
2. It is asked --samples times: many at once, nothing paid twice, a budget of tokens.
3. A trace is kept if it is in the format, its answer is correct by the task's own `score`, its claims are grounded, no
   word of the facts it was given is left in it, and it is no copy of another. What is dropped is counted, by reason.
   With --mine the steps of its traces are clustered over all tasks, and a draft of protocols is written, to be edited.

Beside the output stand the answers as they came (….answers.jsonl) and why traces were dropped (….filter.json). The key
of the server comes from CHEMR_API_KEY.
"""

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml

from chemr_lite import build_prompt, get_task, parse_completion
from chemr_lite.answers import SYSTEM
from chemr_lite.data.splits import sample
from chemr_lite.protocols import Protocols, load_protocols
from recipes.training import command
from recipes.training.files import as_jsonl, write_json
from recipes.training.options import UsageError, make_parser, read_options, truth
from recipes.training.rows import load_rows
from recipes.training.served_model import ServedModel
from recipes.training.traces import rejection_reason

DATA = ("data", "data_root", "split", "tasks", "protocols", "train_rows", "seed", "strict")
INSTRUCTION = (
    "\n\nReason in these steps, each as a numbered line with its heading in bold, and write one short paragraph for each:\n"
    "{steps}\nSay nothing that you are not sure of. The facts below the question are for your eyes only: use them, never "
    "mention them."
)
TRACED_ROWS, MINED_ROWS = 1000, 20  # asked about by default: of each macro-task for traces, of each sub-task to mine


def make_teach_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__, DATA)
    group = parser.add_argument_group("the teacher")
    group.add_argument(
        "--server", required=True, metavar="URL", help="server of the OpenAI protocol, up to and with /v1"
    )
    group.add_argument("--server-model", required=True, metavar="NAME", help="name of the teacher there")
    group.add_argument("--server-tokens", type=int, default=1500, metavar="INT", help="its answers are cut here")
    group.add_argument(
        "--rows",
        type=int,
        metavar="INT",
        help=f"training rows to ask about: of each macro-task [{TRACED_ROWS}], with --mine of each sub-task [{MINED_ROWS}]",
    )
    group.add_argument("--samples", type=int, default=1, metavar="INT", help="traces per row")
    group.add_argument(
        "--temperature", type=float, default=0.7, metavar="FLOAT", help="where there is more than one sample"
    )
    group.add_argument("--concurrency", type=int, default=8, metavar="INT", help="requests under way at once")
    group.add_argument(
        "--budget", type=int, default=0, metavar="TOKENS", help="ask no more after so many tokens; 0: no limit"
    )
    group.add_argument("--price", default="", metavar="IN,OUT", help="of a million tokens, for the estimate: 0.5,1.5")
    group.add_argument(
        "--least-grounding", type=float, default=0.9, metavar="SHARE", help="of a trace's claims that must be supported"
    )
    group.add_argument(
        "--mine",
        type=truth,
        nargs="?",
        const=True,
        default=False,
        help="mine a draft of protocols instead of writing traces",
    )
    group.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="traces (.jsonl), or protocols (.yaml)"
    )
    return parser


def conversation(row: dict, protocols: Protocols, hints: bool = True) -> list[dict]:
    """Return the teacher's prompt for one row: the format, the protocol's steps, the question, and what RDKit knows."""
    task = get_task(row["task"])
    steps = protocols.of(row["task"])
    facts = (task.facts(row) or {}) if hints else {}
    listed = "\n".join(f"{i}. **{step.heading}:** {step.states}" for i, step in enumerate(steps, 1))
    known = "\n".join(f"- {step.heading}: {facts[step.fact]}" for step in steps if step.fact in facts)
    _, user = build_prompt(task.question(row))
    return [
        {"role": "system", "content": SYSTEM + (INSTRUCTION.format(steps=listed) if listed else "")},
        {"role": "user", "content": user["content"] + (f"\n\nFacts:\n{known}" if known else "")},
    ]


def estimate(server: ServedModel, questions: list[list[dict]], samples: int, max_tokens: int, price: str = "") -> str:
    """Return in words what asking will cost at most. Raises UsageError for a `price` that is not two numbers."""
    prompts, answers = server.estimate(questions * samples, max_tokens)
    requests = len(questions) * samples
    text = f"{requests:,} requests, about {prompts:,} tokens of prompts and at most {answers:,} of answers"
    if price:
        try:
            price_in, price_out = (float(part) for part in price.split(","))
        except ValueError as error:
            raise UsageError(f"--price {price!r}: give two numbers, per million tokens in and out: 0.5,1.5") from error
        text += f": at most {(prompts * price_in + answers * price_out) / 1e6:.2f} in the currency of --price"
    return text


def ask(server: ServedModel, questions: list[list[dict]], wanted: argparse.Namespace) -> list[list[str]]:
    """Return the teacher's answers to each question, after printing what they may cost."""
    cost = estimate(server, questions, wanted.samples, wanted.server_tokens, wanted.price)
    server.check()
    budget = f"; a budget of {wanted.budget:,} tokens ends it" if wanted.budget else ""
    print(f"[teach] {cost}{budget}", flush=True)
    temperature = wanted.temperature if wanted.samples > 1 else 0.0
    answers = server.ask(
        questions,
        wanted.output.with_suffix(".answers.jsonl"),
        wanted.server_tokens,
        temperature,
        wanted.samples,
        wanted.budget,
        "asking the teacher",
    )
    counts = ", ".join(f"{name} {count:,}" for name, count in server.spent.items())
    print(f"[teach] {counts or 'everything was there already'}")
    return answers


def write_traces(rows: list[dict], server: ServedModel, protocols: Protocols, wanted: argparse.Namespace) -> None:
    """Ask for traces of `rows`, filter them, and write those kept. Raises UsageError where none is."""
    answers = ask(server, [conversation(row, protocols) for row in rows], wanted)
    kept, counts = [], defaultdict(Counter)
    seen: set[str] = set()
    for row, texts in zip(rows, answers, strict=True):
        for text in texts:
            reason = rejection_reason(row, text, wanted.least_grounding, seen, protocols)
            counts[row["task"]][reason or "kept"] += 1
            if reason is None:
                kept.append({"task": row["task"], "input": row["input"], "completion": text.strip()})
    reasons = wanted.output.with_suffix(".filter.json")
    write_json(reasons, counts)
    if not kept:
        raise UsageError(
            f"no trace of {server.model} was kept; {reasons} says why, and {wanted.output.with_suffix('.answers.jsonl')} "
            "holds what it wrote"
        )
    wanted.output.write_text(as_jsonl(kept))
    total = sum(counts.values(), Counter())
    print(f"[teach] of {sum(map(len, answers)):,} traces: {_listed(total)}")
    for task, own in counts.items():
        print(f"  {task}: {_listed(own)}")
    print(f"[teach] written to {wanted.output}: python recipes/distill.py --traces grounded,{wanted.output}")


def _listed(counts: Counter) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())


def write_protocols(rows: list[dict], server: ServedModel, wanted: argparse.Namespace) -> None:
    """Ask the bare questions of `rows`, mine protocols from the reasoning, and write them. Raises UsageError for none."""
    from recipes.training.protocol_mining import LEAST_SUPPORT, mine_protocols  # brings scikit-learn

    answers = ask(server, [build_prompt(get_task(row["task"]).question(row)) for row in rows], wanted)
    traces = [
        (row, parse_completion(text, strict=False).think)
        for row, texts in zip(rows, answers, strict=True)
        for text in texts
    ]
    mined = mine_protocols(traces)
    if not mined["protocols"]:
        raise UsageError(
            f"no step stands in {LEAST_SUPPORT:.0%} of a task's traces; read {wanted.output.with_suffix('.answers.jsonl')}"
        )
    head = (
        f"# Mined from {len(traces)} traces of {server.model}: a draft, to be edited. `support` is the share of a task's "
        "traces with the step.\n\n"
    )
    wanted.output.write_text(head + yaml.safe_dump(mined, sort_keys=False, allow_unicode=True, width=120))
    print(
        f"[teach] {len(mined['steps'])} steps in the protocols of {len(mined['protocols'])} tasks, written to "
        f"{wanted.output}; edit it, then use --protocols {wanted.output}"
    )


def main() -> None:
    options, wanted = read_options(make_teach_parser())
    if wanted.output.exists():
        raise UsageError(f"{wanted.output} is there already; choose another --output, or move it away")
    rows = load_rows(options).rows["train"]
    if not rows:
        raise UsageError(f"{options.data}: no training row in it")
    server = ServedModel(wanted.server, wanted.server_model, wanted.concurrency)
    if wanted.mine:
        by_task: dict[str, list[dict]] = defaultdict(list)
        for row in rows:
            by_task[row["task"]].append(row)
        chosen = [row for own in by_task.values() for row in sample(own, wanted.rows or MINED_ROWS, options.seed)]
        write_protocols(chosen, server, wanted)
    else:
        write_traces(
            sample(rows, wanted.rows or TRACED_ROWS, options.seed), server, load_protocols(options.protocols), wanted
        )


if __name__ == "__main__":
    command.run(main)
