"""The ladder: run the phases that are missing, in order, and show what each one added.

base → foundation → distill → grpo, per macro-task and balanced, in ladder.json, ladder.md and ladder.png

Every training recipe ends here. Several runs that differ in their seed are averaged by

    python recipes/ladder.py outputs/seed0 outputs/seed1 outputs/seed2 --output recipes/results/nano
"""

import shutil
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, stdev

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import processes, runs
from recipes.options import Options, UsageError

SHARES = ("validity", "format", "grounding")  # in percent, None where there is nothing to count
LITTLE = 8 * 2**20  # bytes on a disk that is called full
REPORTS = ("none", "tensorboard", "trackio", "wandb")
EXPECTED = {"smoke": "about a minute", "nano": "about 25 minutes on two idle CPU cores"}


def climb(options: Options, preset: str, last: str) -> None:
    """Run all phases up to `last` that are not there yet, then print and write the ladder.

    Errors of use end the program with one line and exit status 2.
    """
    from safetensors import SafetensorError

    from chemr_lite.data import DataError
    from chemr_lite.models import ModelError
    from chemr_lite.protocols import ProtocolError

    try:
        _climb(options, preset, last)
    except (DataError, ModelError, ProtocolError) as error:
        raise UsageError(str(error)) from error
    except (OSError, RuntimeError, SafetensorError) as error:  # each library says in its own way that it could not write
        run = Path(options.output)
        free = shutil.disk_usage(run if run.exists() else ".").free
        if free > LITTLE:
            raise
        raise UsageError(
            f"{run}: its disk is full ({free / 2**20:.0f} MiB are free). Make room, and the same command goes on from the last whole checkpoint"
        ) from error


def _climb(options: Options, preset: str, last: str) -> None:
    from chemr_lite import models, protocols
    from recipes import grpo, teacher

    started = time.time()
    backend = models.choose_backend(options.backend, options.vllm)
    hardware = models.detect_hardware()
    processes.join(cpu=hardware.device == "cpu")
    wanted = runs.PHASES[: runs.PHASES.index(last) + 1]
    # --max-steps is for the phase that was asked for; those before it run as configured
    phases = [runs.Phase(options if name == last else replace(options, max_steps=0), name) for name in wanted]
    for phase in phases:
        phase.check()
    missing = processes.first(lambda: [phase for phase in phases if not phase.finished])
    if options.report_to not in REPORTS:
        raise UsageError(f"--report-to {options.report_to!r}: choose {', '.join(REPORTS)}")
    if options.report_to != "none" and not find_spec(options.report_to):
        raise UsageError(f"--report-to {options.report_to}: it is not installed; python -m pip install {options.report_to}")
    loaded = processes.first(lambda: load_rows(options))
    for split, what in (("train", "train row with an answer"), ("test", "test row")):
        if not loaded.rows[split]:
            raise UsageError(f"{options.data}: no {what} in it")
    protocols.load_protocols(options.protocols)  # what cannot be used is told before anything is trained
    if any(phase.name == "distill" for phase in missing):
        teacher.check(options)
    if any(phase.name == "grpo" for phase in missing):
        grpo.check(options, loaded.rows)
    quieten()
    print(f"chemr-lite: {' → '.join(phase.name for phase in missing) or 'nothing left to train'} on {options.model}")
    memory = f", {hardware.memory_gb:.1f} GiB" if hardware.memory_gb else ""
    print(f"  preset {preset}, {hardware.name}{memory}, {hardware.precision}, backend {backend}; run directory {options.output}")
    if processes.NUMBER > 1:
        print(f"  {processes.NUMBER} processes share each step")
    print(f"  {runs.versions()}")
    print(f"  data {options.data}: {loaded.summary()}")
    for problem in loaded.problems[:5]:
        print(f"    {problem}")
    print(f"  expected: {EXPECTED.get(preset, 'not yet measured')}", flush=True)
    processes.first(lambda: evaluate_base(options, loaded, hardware))
    for phase in missing:
        from recipes import distill, foundation

        {"foundation": foundation, "distill": distill, "grpo": grpo}[phase.name].run(phase.options, loaded, backend)
    processes.first(lambda: write(options, preset, collect(Path(options.output))))
    print(f"done in {(time.time() - started) / 60:.1f} minutes, peak memory {runs.peak_memory_gb()} GiB")


def quieten() -> None:
    """Leave the terminal to our own lines and bars: the libraries' notices are many and mean nothing to a user."""
    import logging
    import os

    import datasets
    import transformers

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is one; our version of trl is pinned
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in ("bitsandbytes", "torchao", "trl", "peft"):
        logging.getLogger(name).setLevel(logging.ERROR)


def load_rows(options: Options):
    """The rows that the options ask for, as chemr_lite.data.Loaded."""
    from chemr_lite import data
    from chemr_lite.splits import sample

    if options.split not in ("given", "scaffold"):
        raise UsageError(f"--split {options.split!r} is neither given nor scaffold")
    loaded = data.load(options.data.split(","), chosen_tasks(options.tasks), options.strict, options.data_root, options.split == "scaffold")
    for split in ("train", "practice") if options.train_rows else ():
        loaded.rows[split] = sample(loaded.rows[split], options.train_rows)
    return loaded


def chosen_tasks(names: str | None, flag: str = "--tasks") -> list[str] | None:
    """The sub-tasks that `flag` names, None for all."""
    from chemr_lite import select_tasks

    try:
        return select_tasks(names.split(",")) if names else None
    except KeyError as error:
        raise UsageError(f"{flag}: {error.args[0]}") from error


def evaluate_base(options: Options, loaded, hardware) -> None:
    """The first rung: the untouched base on the same test rows."""
    folder = Path(options.output) / "base"
    if (folder / "metrics.json").exists():
        return
    from chemr_lite import models
    from recipes.evaluate import evaluate

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; choose another --output") from error
    try:
        tokenizer = models.load_tokenizer(options.model)
        model = models.load_base(models.base_path(options.model), hardware)
    except models.ModelError:
        folder.rmdir()  # nothing is in it yet
        raise
    metrics = evaluate(
        model, tokenizer, loaded.rows["test"], options, options.eval_rows, folder / "predictions.jsonl", "evaluating the base"
    )
    runs.write_json(folder / "metrics.json", metrics)
    print(f"[base] balanced {metrics['balanced']} (n = {metrics['n']})")


def collect(run: Path) -> list[dict]:
    """The rungs that are there in a run directory: metrics of base and of every finished phase, in order."""
    rows = []
    for name in ("base", *runs.PHASES):
        path = run / name / "metrics.json"
        if path.exists():
            metrics = runs.read_json(path)
            scores = {task: figures["score"] for task, figures in metrics["tasks"].items()}
            rows.append(
                {
                    "phase": name,
                    **{k: metrics[k] for k in ("balanced", "interval", "macros", "n")},
                    **{k: metrics.get(k) for k in SHARES},
                    "tasks": scores,
                }
            )
    return rows


def table(rows: list[dict]) -> str:
    """The ladder as a Markdown table: one line per task, a column per phase."""
    head = ["task", *(row["phase"] for row in rows)]
    lines = [head, ["---", *("---:" for _ in rows)]]
    lines.append(["**balanced**", *(f"**{row['balanced']:.1f}** ± {row['interval']:.1f}" for row in rows)])
    for macro in rows[-1]["macros"]:
        lines.append([f"*{macro}*", *(f"*{row['macros'][macro]:.1f}*" for row in rows)])
        lines += [[task, *(f"{row['tasks'][task]:.1f}" for row in rows)] for task in rows[-1]["tasks"] if task.startswith(macro + "/")]
    for name in SHARES:
        lines.append([f"{name}, %", *("–" if row[name] is None else f"{row[name]:.1f}" for row in rows)])
    lines.append(["test rows", *(str(row["n"]) for row in rows)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))) + " |"
        for line in lines
    )


def write(options: Options, preset: str, rows: list[dict]) -> None:
    folder = Path(options.output)
    runs.write_json(folder / "ladder.json", {"preset": preset, "seed": options.seed, "rows": rows})
    text = table(rows)
    (folder / "ladder.md").write_text(text + "\n")
    draw(rows, folder / "ladder.png", f"{options.model}, seed {options.seed}, greedy, {rows[-1]['n']} held-out rows")
    print(f"\n{text}\n\nwritten to {folder}/ladder.json, ladder.md and ladder.png", file=sys.stdout, flush=True)


def draw(rows: list[dict], path: Path, caption: str, whiskers: str = "95 % interval") -> None:
    """The ladder as a picture: balanced score as bars with intervals, macro-tasks as lines over them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9.5, 4.5), layout="constrained")
    names, x = [row["phase"] for row in rows], range(len(rows))
    axes.bar(
        x,
        [row["balanced"] for row in rows],
        yerr=[row["interval"] for row in rows],
        color="#c9d6e8",
        capsize=4,
        label=f"balanced ({whiskers})",
        width=0.55,
    )
    for macro, colour in zip(
        rows[-1]["macros"],
        ("#0b6e4f", "#c1440e", "#6a3d9a", "#b8860b", "#1f77b4", "#8c564b", "#e377c2", "#17becf", "#7f7f7f"),
        strict=False,
    ):
        axes.plot(x, [row["macros"][macro] for row in rows], marker="o", color=colour, linewidth=1.5, label=macro.replace("_", " "))
    # the figures below the axis, where no line runs
    axes.set_xticks(list(x), [f"{name}\n{row['balanced']:.1f}" for name, row in zip(names, rows, strict=True)], fontsize=11)
    axes.set_ylim(0, 100)
    axes.set_ylabel("score, 0 to 100")
    axes.set_title(f"What each phase adds\n{caption}", fontsize=11)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False)  # beside it: lines run everywhere within
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _mean(values: list[float | None]) -> float | None:
    return None if None in values else fmean(values)


def average(ladders: list[dict]) -> list[dict]:
    """The mean of each figure over runs; `interval` becomes the standard deviation of the balanced score over them."""
    means = []
    for rungs in zip(*(ladder["rows"] for ladder in ladders), strict=True):
        balanced = [row["balanced"] for row in rungs]
        mean = {"phase": rungs[0]["phase"], "balanced": fmean(balanced), "interval": stdev(balanced) if len(balanced) > 1 else 0.0}
        for part in ("macros", "tasks"):
            mean[part] = {name: fmean(row[part][name] for row in rungs) for name in rungs[0][part]}
        means.append(mean | {name: _mean([row.get(name) for row in rungs]) for name in SHARES} | {"n": rungs[0]["n"]})
    return means


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run directories that hold a ladder.json")
    parser.add_argument("--output", type=Path, required=True, help="where to write ladder.json, ladder.md and ladder.png")
    args = parser.parse_args()
    ladders = [runs.read_json(run / "ladder.json") for run in args.runs]
    rows, seeds = average(ladders), [ladder["seed"] for ladder in ladders]
    args.output.mkdir(parents=True, exist_ok=True)
    runs.write_json(args.output / "ladder.json", {"preset": ladders[0]["preset"], "seeds": seeds, "rows": rows})
    (args.output / "ladder.md").write_text(table(rows) + "\n")
    draw(
        rows,
        args.output / "ladder.png",
        f"mean of seeds {', '.join(map(str, seeds))}, greedy, {rows[-1]['n']} held-out rows",
        "standard deviation over seeds",
    )
    print(table(rows))


if __name__ == "__main__":
    main()
