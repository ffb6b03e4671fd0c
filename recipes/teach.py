"""Let a model teach: a larger one writes traces for phase 2, or drafts protocols; or the model teaches itself.

    python recipes/teach.py --server URL --server-model NAME --output traces.jsonl --data chemllmbench
    python recipes/distill.py --traces grounded,traces.jsonl --data chemllmbench     # then learn from them
    python recipes/teach.py --mine --server URL --server-model NAME --output mine.yaml --data chemllmbench
    python recipes/teach.py --own outputs/nano/distill --output own.jsonl            # the model's own traces
    python recipes/teach.py --own outputs/nano/distill --rounds 2 --output outputs/own   # and learn from them, twice

1. The teacher gets the question of a training row, the steps of its protocol, and the facts that RDKit knows. With
   --mine it gets the question only.
2. It is asked --samples times, many requests at once. Answers are stored as they come, and --budget limits the tokens.
3. A trace is kept if it is in the format, its answer is correct by the task's own `score`, its claims are grounded, it
   does not mention the facts it was given, and it is not a duplicate. Dropped traces are counted by reason.
   With --mine the steps of the traces are clustered over all tasks instead, into a draft of protocols for you to edit.

With --own a finished phase answers the questions itself, --samples times. Rows without a known answer are among them,
because `score` verifies those too. What is kept has passed the filter, and it is varied: of a question only traces with
different answers, and of traces that differ in molecules and numbers alone no more than --per-template. With --rounds N
the phase makes one pass over these traces, and RDKit's for the other training rows, at a third of phase 2's learning
rate. The next round asks the trained phase. Stopped or killed, the same command goes on.

Next to --output stand the stored answers (….answers.jsonl) and why traces were dropped (….filter.json). URL is
the address of any server of the OpenAI protocol, as http://localhost:8000/v1. Its key comes from CHEMR_API_KEY.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml

from chemr_lite import get_task, parse_completion
from chemr_lite.answers import SYSTEM
from chemr_lite.data import Loaded
from chemr_lite.data.splits import sample
from chemr_lite.model.folders import base_of
from chemr_lite.protocols import Protocols, load_protocols
from recipes import distill, foundation
from recipes.training import command
from recipes.training.files import as_jsonl, copy_phase, write_json, written_aside
from recipes.training.local_model import ask_model
from recipes.training.options import Options, UsageError, make_parser, read_options, truth
from recipes.training.pipeline import run_phases
from recipes.training.rows import load_rows
from recipes.training.served_model import ServedModel
from recipes.training.traces import Varied, rejection_reason

DATA_OPTIONS = ("data", "data_root", "split", "tasks", "protocols", "train_rows", "seed", "strict", "eval_batch_size")
INSTRUCTION = (
    "\n\nReason in these steps, each as a numbered line with its heading in bold, and write one short paragraph for "
    "each:\n{steps}\nSay nothing that you are not sure of. The facts below the question are for your eyes only: use "
    "them, never mention them."
)
ROWS_TO_TRACE = 1000  # of each macro-task, if --rows is not given
OWN_SAMPLES = 4
OWN_RATE = 1 / 3  # of phase 2's learning rate, in a round: the whole rate would first undo what the phase has learned
ROWS_TO_MINE = 20  # of each sub-task, if --rows is not given


def make_teach_parser() -> argparse.ArgumentParser:
    parser = make_parser(__doc__, DATA_OPTIONS)
    add = parser.add_argument_group("the teacher").add_argument
    rows_help = (
        f"rows to ask about: of each macro-task [{ROWS_TO_TRACE}], with --mine of each sub-task [{ROWS_TO_MINE}]"
    )
    add("--server", metavar="URL", help="server of the OpenAI protocol; the URL ends in /v1")
    add("--server-model", metavar="NAME", help="the teacher's name on the server")
    add("--server-tokens", type=int, default=1500, metavar="INT", help="limit on the tokens of one answer")
    add("--rows", type=int, metavar="INT", help=rows_help)
    samples_help = f"answers per row: greedy if 1, else sampled [1, with --own {OWN_SAMPLES}]"
    add("--samples", type=int, metavar="INT", help=samples_help)
    add("--temperature", type=float, default=0.7, metavar="FLOAT", help="sampling temperature, if --samples is above 1")
    add("--concurrency", type=int, default=8, metavar="INT", help="requests at once")
    add("--budget", type=int, default=0, metavar="TOKENS", help="stop asking after so many tokens; 0: no limit")
    add("--price", default="", metavar="IN,OUT", help="price per million tokens, for the estimate, as in 0.5,1.5")
    add("--least-grounding", type=float, default=0.9, metavar="SHARE", help="drop a trace with fewer supported claims")
    add("--mine", type=truth, nargs="?", const=True, default=False, help="draft protocols instead of writing traces")
    output_help = "new file: traces (.jsonl) or protocols (.yaml); with --rounds a folder"
    add("--output", type=Path, required=True, metavar="FILE", help=output_help)
    add = parser.add_argument_group("the model as its own teacher").add_argument
    add("--own", metavar="PHASE", help="the directory of a finished phase, which answers instead of a server")
    template_help = "keep so many traces of a task that differ in molecules and numbers only"
    add("--per-template", type=int, default=50, metavar="INT", help=template_help)
    add("--rounds", type=int, default=0, metavar="INT", help="learn from the traces, and repeat it so many times")
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
    cost = estimate(server, questions, parsed.samples or 1, parsed.server_tokens, parsed.price)
    server.check()
    budget = f"; it ends after the budget of {parsed.budget:,} tokens" if parsed.budget else ""
    print(f"[teach] {cost}{budget}", flush=True)
    answers = server.ask(
        questions,
        answers_file(parsed.output),
        parsed.server_tokens,
        parsed.temperature if (parsed.samples or 1) > 1 else 0.0,
        parsed.samples or 1,
        parsed.budget,
        "asking the teacher",
    )
    print(f"[teach] {server.summary() or 'everything was there already'}")
    return answers


def write_traces(rows: list[dict], server: ServedModel, protocols: Protocols, parsed: argparse.Namespace) -> None:
    """Ask for traces of `rows`, filter them, and write those that are kept. Raises UsageError if none is kept."""
    answers = ask(server, [conversation(row, protocols) for row in rows], parsed)
    seen: set[str] = set()

    def reject(row: dict, text: str) -> str | None:
        return rejection_reason(row, text, parsed.least_grounding, seen, protocols)

    keep(rows, answers, server.model, reject, parsed.output)
    print(f"[teach] to learn from them: python recipes/distill.py --traces grounded,{parsed.output}")


def keep(
    rows: list[dict], answers: list[list[str]], teacher: str, reject: Callable[[dict, str], str | None], output: Path
) -> None:
    """Write the traces among `answers` for which `reject` gives no reason, and count the others by reason.

    Raises UsageError if none is kept.
    """
    kept, counts = [], defaultdict(Counter)
    for row, texts in zip(rows, answers, strict=True):
        for text in texts:
            reason = reject(row, text)
            counts[row["task"]][reason or "kept"] += 1
            if reason is None:
                kept.append({"task": row["task"], "input": row["input"], "completion": text.strip()})
    filter_file = output.with_suffix(".filter.json")
    write_json(filter_file, counts)
    if not kept:
        raise UsageError(
            f"no trace of {teacher} was kept; {filter_file} says why, and {answers_file(output)} holds what it wrote"
        )
    print(f"[teach] of {sum(map(len, answers)):,} traces: {_list_counts(sum(counts.values(), Counter()))}")
    for task, task_counts in counts.items():
        print(f"  {task}: {_list_counts(task_counts)}")
    with written_aside(output) as aside:
        aside.write_text(as_jsonl(kept))
    print(f"[teach] written to {output}")


def write_own_traces(phase: Path, loaded: Loaded, options: Options, parsed: argparse.Namespace, output: Path) -> None:
    """Let `phase` answer practice questions, and write the traces that are kept to `output`, unless it is there."""
    if output.exists():
        return
    samples = parsed.samples or OWN_SAMPLES
    rows = sample(loaded.rows["train"] + loaded.rows["practice"], parsed.rows or ROWS_TO_TRACE, options.seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    print(f"[teach] {phase} answers {len(rows):,} questions {samples} times")
    judged = ask_model(str(phase), rows, options, samples, answers_file(output), "answering")
    texts = [line["completion"] for line in judged]
    answers = [texts[start : start + samples] for start in range(0, len(texts), samples)]
    varied = Varied(load_protocols(options.protocols), parsed.least_grounding, parsed.per_template)
    keep(rows, answers, str(phase), varied.rejection_reason, output)


def teach_itself(options: Options, loaded: Loaded, parsed: argparse.Namespace) -> None:
    """Write the own traces of a phase, or with --rounds learn from them, each round from the one before."""
    phase = Path(parsed.own)
    base_of(phase)  # raises ModelError where it is none
    if not parsed.rounds:
        return write_own_traces(phase, loaded, options, parsed, parsed.output)
    from chemr_lite.model.hardware import choose_backend  # torch, which --help must not wait for
    from recipes.training.run_directory import RungDirectory

    choose_backend(options.backend)  # imports Unsloth, which must come before trl and peft
    rate = options.distill_learning_rate * OWN_RATE
    for number in range(1, parsed.rounds + 1):
        folder = parsed.output / f"round{number}"
        traces = folder / "traces.jsonl"
        # the phase that writes the traces stands in the place of phase 1, from which phase 2 goes on
        if (phase.parent / "base").exists():
            copy_phase(phase.parent / "base", folder / "base")
        copy_phase(phase, folder / "foundation")
        own = replace(options, output=str(folder), traces=str(traces), distill_epochs=1.0, distill_learning_rate=rate)
        RungDirectory(own, "foundation").check()  # before hours of sampling
        write_own_traces(phase, loaded, replace(options, seed=options.seed + number - 1), parsed, traces)
        run_phases(own, parsed.preset, [foundation.PHASE, distill.PHASE])
        phase = folder / "distill"


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
    if bool(parsed.own) == bool(parsed.server) or bool(parsed.server) != bool(parsed.server_model):
        raise UsageError("name the teacher: --server URL and --server-model NAME, or --own PHASE")
    if parsed.own and parsed.mine:
        raise UsageError("--mine: protocols are mined from the traces of a server's model, not from --own")
    if parsed.rounds and not parsed.own:
        raise UsageError(f"--rounds {parsed.rounds}: only a model of its own can learn in rounds: give --own PHASE")
    if parsed.output.exists() and not parsed.rounds:
        raise UsageError(f"{parsed.output} is there already; choose another --output, or move it away")
    loaded = load_rows(options)
    rows = loaded.rows["train"]
    if not rows:
        raise UsageError(f"{options.data}: no training row in it")
    if parsed.own:
        return teach_itself(options, loaded, parsed)
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
