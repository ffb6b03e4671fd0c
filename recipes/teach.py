"""Let a larger model teach: it writes traces that phase 2 learns from, or a draft of the protocols to reason by.

    python recipes/teach.py --server URL --server-model NAME --output traces.jsonl --data chemllmbench
    python recipes/distill.py --traces grounded,traces.jsonl --data chemllmbench     # then learn from them
    python recipes/teach.py --mine --server URL --server-model NAME --output mine.yaml --data chemllmbench

1. The teacher gets the question of a training row, the steps of its protocol, and the facts that RDKit knows. With
   --mine it gets the question only.
2. It is asked --samples times, many requests at once. Answers are stored as they come, and --budget limits the tokens.
3. A trace is kept if it is in the format, its answer is correct by the task's own `score`, its claims are grounded, it
   does not mention the facts it was given, and it is not a duplicate. Dropped traces are counted by reason.
   With --mine the steps of the traces are clustered over all tasks instead, into a draft of protocols for you to edit.

Next to --output stand the stored answers (….answers.jsonl) and why traces were dropped (….filter.json). URL is
the address of any server of the OpenAI protocol, as http://localhost:8000/v1. Its key comes from CHEMR_API_KEY.
"""

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml

from chemr_lite import get_task, parse_completion
from chemr_lite.answers import SYSTEM
from chemr_lite.data.splits import sample
from chemr_lite.protocols import Protocols, load_protocols
from recipes.training import command
from recipes.training.files import as_jsonl, write_json
from recipes.training.options import UsageError, make_parser, read_options, truth
from recipes.training.rows import load_rows
from recipes.training.served_model import ServedModel
from recipes.training.traces import rejection_reason

DATA_OPTIONS = ("data", "data_root", "split", "tasks", "protocols", "train_rows", "seed", "strict")
INSTRUCTION = (
    "\n\nReason in these steps, each as a numbered line with its heading in bold, and write one short paragraph for "
    "each:\n{steps}\nSay nothing that you are not sure of. The facts below the question are for your eyes only: use "
    "them, never mention them."
)
ROWS_TO_TRACE = 1000  # of each macro-task, if --rows is not given
ROWS_TO_MINE = 20  # of each sub-task, if --rows is not given


def make_teach_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__, DATA_OPTIONS)
    add = parser.add_argument_group("the teacher").add_argument
    rows_help = (
        f"rows to ask about: of each macro-task [{ROWS_TO_TRACE}], with --mine of each sub-task [{ROWS_TO_MINE}]"
    )
    add("--server", required=True, metavar="URL", help="server of the OpenAI protocol; the URL ends in /v1")
    add("--server-model", required=True, metavar="NAME", help="the teacher's name on the server")
    add("--server-tokens", type=int, default=1500, metavar="INT", help="limit on the tokens of one answer")
    add("--rows", type=int, metavar="INT", help=rows_help)
    add("--samples", type=int, default=1, metavar="INT", help="answers per row: greedy if 1, else sampled")
    add("--temperature", type=float, default=0.7, metavar="FLOAT", help="sampling temperature, if --samples is above 1")
    add("--concurrency", type=int, default=8, metavar="INT", help="requests at once")
    add("--budget", type=int, default=0, metavar="TOKENS", help="stop asking after so many tokens; 0: no limit")
    add("--price", default="", metavar="IN,OUT", help="price per million tokens, for the estimate, as in 0.5,1.5")
    add("--least-grounding", type=float, default=0.9, metavar="SHARE", help="drop a trace with fewer supported claims")
    add("--mine", type=truth, nargs="?", const=True, default=False, help="draft protocols instead of writing traces")
    add("--output", type=Path, required=True, metavar="FILE", help="new file: traces (.jsonl) or protocols (.yaml)")
    return parser


def conversation(row: dict, protocols: Protocols, hints: bool = True) -> list[dict]:
    """Return the teacher's prompt for a row: format, steps of the protocol, question, and the facts if `hints`."""
    task = get_task(row["task"])
    steps = protocols.of(row["task"])
    facts = (task.facts(row) or {}) if hints else {}
    step_list = "\n".join(f"{i}. **{step.heading}:** {step.states}" for i, step in enumerate(steps, 1))
    fact_list = "\n".join(f"- {step.heading}: {facts[step.fact]}" for step in steps if step.fact in facts)
    _, user = task.prompt(row)
    return [
        {"role": "system", "content": SYSTEM + (INSTRUCTION.format(steps=step_list) if step_list else "")},
        {"role": "user", "content": user["content"] + (f"\n\nFacts:\n{fact_list}" if fact_list else "")},
    ]


def estimate(server: ServedModel, questions: list[list[dict]], samples: int, max_tokens: int, price: str = "") -> str:
    """Return the largest possible cost of the requests as text. Raises UsageError if `price` is not two numbers."""
    prompt_tokens, answer_tokens = server.estimate(questions * samples, max_tokens)
    requests = len(questions) * samples
    text = f"{requests:,} requests, about {prompt_tokens:,} tokens of prompts and at most {answer_tokens:,} of answers"
    if price:
        try:
            price_in, price_out = (float(part) for part in price.split(","))
        except ValueError as error:
            raise UsageError(f"--price {price!r}: give two numbers, per million tokens in and out: 0.5,1.5") from error
        cost = (prompt_tokens * price_in + answer_tokens * price_out) / 1e6
        text += f": at most {cost:.2f} in the currency of --price"
    return text


def answers_file(output: Path) -> Path:
    """Return the file next to `output` that stores the teacher's answers."""
    return output.with_suffix(".answers.jsonl")


def ask(server: ServedModel, questions: list[list[dict]], parsed: argparse.Namespace) -> list[list[str]]:
    """Print what the answers may cost. Then return the teacher's answers to each question."""
    cost = estimate(server, questions, parsed.samples, parsed.server_tokens, parsed.price)
    server.check()
    budget = f"; it ends after the budget of {parsed.budget:,} tokens" if parsed.budget else ""
    print(f"[teach] {cost}{budget}", flush=True)
    answers = server.ask(
        questions,
        answers_file(parsed.output),
        parsed.server_tokens,
        parsed.temperature if parsed.samples > 1 else 0.0,
        parsed.samples,
        parsed.budget,
        "asking the teacher",
    )
    print(f"[teach] {server.summary() or 'everything was there already'}")
    return answers


def write_traces(rows: list[dict], server: ServedModel, protocols: Protocols, parsed: argparse.Namespace) -> None:
    """Ask for traces of `rows`, filter them, and write those that are kept. Raises UsageError if none is kept."""
    answers = ask(server, [conversation(row, protocols) for row in rows], parsed)
    kept, counts = [], defaultdict(Counter)
    seen: set[str] = set()
    for row, texts in zip(rows, answers, strict=True):
        for text in texts:
            reason = rejection_reason(row, text, parsed.least_grounding, seen, protocols)
            counts[row["task"]][reason or "kept"] += 1
            if reason is None:
                kept.append({"task": row["task"], "input": row["input"], "completion": text.strip()})
    filter_file = parsed.output.with_suffix(".filter.json")
    write_json(filter_file, counts)
    if not kept:
        raise UsageError(
            f"no trace of {server.model} was kept; {filter_file} says why, and {answers_file(parsed.output)} holds "
            "what it wrote"
        )
    parsed.output.write_text(as_jsonl(kept))
    print(f"[teach] of {sum(map(len, answers)):,} traces: {_list_counts(sum(counts.values(), Counter()))}")
    for task, task_counts in counts.items():
        print(f"  {task}: {_list_counts(task_counts)}")
    print(f"[teach] written to {parsed.output}: python recipes/distill.py --traces grounded,{parsed.output}")


def _list_counts(counts: Counter) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())


def write_protocols(rows: list[dict], server: ServedModel, parsed: argparse.Namespace) -> None:
    """Ask the plain questions of `rows`, mine protocols from the reasoning, and write them as YAML.

    Raises UsageError if no step is common enough.
    """
    from recipes.training.protocol_mining import LEAST_SUPPORT, mine_protocols  # scikit-learn would slow down --help

    answers = ask(server, [get_task(row["task"]).prompt(row) for row in rows], parsed)
    traces = [
        (row, parse_completion(text, strict=False).think)
        for row, texts in zip(rows, answers, strict=True)
        for text in texts
    ]
    mined = mine_protocols(traces)
    if not mined["protocols"]:
        raise UsageError(
            f"no step stands in {LEAST_SUPPORT:.0%} of a task's traces; read {answers_file(parsed.output)}"
        )
    head = (
        f"# Mined from {len(traces)} traces of {server.model}: a draft, to be edited. `support` is the share of a "
        "task's traces with the step.\n\n"
    )
    parsed.output.write_text(head + yaml.safe_dump(mined, sort_keys=False, allow_unicode=True, width=120))
    print(
        f"[teach] {len(mined['steps'])} steps in the protocols of {len(mined['protocols'])} tasks, written to "
        f"{parsed.output}; edit it, then use --protocols {parsed.output}"
    )


def main() -> None:
    options, parsed = read_options(make_teach_parser())
    if parsed.output.exists():
        raise UsageError(f"{parsed.output} is there already; choose another --output, or move it away")
    rows = load_rows(options).rows["train"]
    if not rows:
        raise UsageError(f"{options.data}: no training row in it")
    server = ServedModel(parsed.server, parsed.server_model, parsed.concurrency)
    if not parsed.mine:
        chosen = sample(rows, parsed.rows or ROWS_TO_TRACE, options.seed)
        return write_traces(chosen, server, load_protocols(options.protocols), parsed)
    by_task: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    chosen = [
        row for task_rows in by_task.values() for row in sample(task_rows, parsed.rows or ROWS_TO_MINE, options.seed)
    ]
    write_protocols(chosen, server, parsed)


if __name__ == "__main__":
    command.run(main)
