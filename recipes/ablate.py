"""What a part of the method is worth: the same phase with that part changed, at equal cost, over seeds.

    python recipes/ablate.py --preset nano                     # phase 2: every arm and seed that is missing
    python recipes/ablate.py --phase grpo                      # phase 3: ways of mixing, and no phase 3 at all
    python recipes/ablate.py --seeds 0 --arms answers          # some of them; two such commands may run side by side
    python recipes/ablate.py --results recipes/results/nano    # also where the table and the picture go

Arms of phase 2, all from one phase 1, at equal numbers of tokens:

    protocol   traces along the protocol, as recipes/distill.py writes them
    shuffled   the same facts, row by row in another order, without numbers and headings: free reasoning
    answers    no reasoning: what phase 1 learnt, for longer

Arms of phase 3, all from the phase 2 of the arm `protocol`, at equal numbers of steps:

    adaptive   as recipes/grpo.py does it: sampling adaptive, scaling group-floor
    uniform, mt-grpo               other shares of the tasks
    group, task, gdpo, none        other scalings of the rewards
    oversampled                    four times the samples, of which those that differ are trained on, in 0.6 of the steps
    no-anchor                      without --anchor
    no-foundation, no-distill      without phase 1 (of which phase 2 is trained anew), without phase 2
    sft                            phase 2 goes on instead, for as many minutes as `adaptive` took, at a third of its rate:
                                   the whole rate would first undo what phase 2 ended with
    OPTION=VALUE                   any other option, or several: --arms adaptive,temperature=1.0+num_generations=16

1. Each seed trains what comes before once; each arm starts from a copy of as much of it as it shares.
2. In phase 2 an arm with shorter texts goes over them more often, so that all read as many tokens as the arm `protocol`.
3. All answer the same held-out rows greedily; so has `distill`, the phase 2 that the arms of phase 3 begin with. A difference is told per seed, then as mean with a 95 % interval over seeds
   (Student's t): an interval that holds 0 shows nothing.
"""

import json
import random
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import cycle
from pathlib import Path
from statistics import fmean, stdev

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import options as cli

_HEADING = re.compile(r"^\d+\. \*\*.+?:\*\* ", re.MULTILINE)
ONE_STEP = 1e-6  # of an epoch: a phase makes one step, at the learning rate where warming up begins, which is 0
ARMS = {  # of each phase, the one that the others are held against first; of phase 3 the options that an arm changes
    "distill": {"protocol": {}, "shuffled": {}, "answers": {}},
    "grpo": {
        "adaptive": {},
        "uniform": {"sampling": "uniform"},
        "mt-grpo": {"sampling": "mt-grpo"},
        "group": {"scaling": "group"},
        "task": {"scaling": "task"},
        "gdpo": {"scaling": "gdpo"},
        "none": {"scaling": "none"},
        "oversampled": {"oversampling": 4},
        "no-anchor": {"anchor": 0.0},
        "no-foundation": {"foundation_epochs": ONE_STEP},
        "no-distill": {"distill_epochs": ONE_STEP},
        "sft": {},
    },
}
FEWER = 0.6  # of the steps: over-sampling by four makes a step of nano 1.7 times as long


TITLES = {
    "distill": "What the protocol is worth, at equal numbers of tokens",
    "grpo": "Ways of mixing in phase 3, from one phase 2",
}
TOLD = ("balanced", "macros", "validity", "format", "grounding", "epochs", "tokens", "wasted", "minutes", "n")


@dataclass
class Options(cli.Options):
    # ablation alone
    output: str | None = cli.option(None, "folder of the runs; default: outputs/ablate-<preset>")
    phase: str = cli.option("distill", "the phase that is changed: distill or grpo")
    arms: str | None = cli.option(None, "which arms, separated by commas; default: all of the phase")
    seeds: str = cli.option("0,1,2", "seeds, separated by commas")
    results: str | None = cli.option(None, "folder for the table (.json, .md) and the picture; default: the run directory")


def completion(arm: str, row: dict, protocols) -> str:
    """What `arm` teaches a model to write for `row`."""
    from chemr_lite import get_task, render

    trace = None if arm == "answers" else get_task(row["task"]).trace(row, protocols)
    if trace and arm == "shuffled":
        facts = _HEADING.sub("", trace).split("\n")
        random.Random(row["input"]).shuffle(facts)
        trace = "\n".join(facts)
    return render(trace, row["answer"])


def take_over(source: Path, target: Path) -> None:
    """A copy of a finished phase, unless it is there: made aside, so that what is there is whole."""
    if not target.exists():
        aside = target.with_name(f"{target.name}.copy")
        shutil.copytree(source, aside, dirs_exist_ok=True)
        aside.rename(target)


def changes(arm: str, options: Options) -> dict:
    """The options that `arm` of phase 3 changes, by its name in ARMS or as OPTION=VALUE. Raises UsageError."""
    if arm in ARMS["grpo"]:
        return ARMS["grpo"][arm]
    found = {}
    for name, _, text in (part.partition("=") for part in arm.split("+")):
        if name not in {f.name for f in fields(cli.Options)}:
            raise cli.UsageError(f"--arms {arm}: there is no option {name!r}; --help names them")
        before = getattr(options, name)
        read = {"true": True, "false": False}.__getitem__ if isinstance(before, bool) else str if before is None else type(before)
        try:
            found[name] = read(text)
        except (ValueError, KeyError) as error:
            raise cli.UsageError(f"--arms {arm}: {text!r} is not like {before!r}") from error
    return found


def run_grpo_arm(arm: str, options: cli.Options, preset: str) -> None:
    """Train `arm` of phase 3 in `<output>/seed<N>/<arm>` from that seed's arm `protocol`, unless it is there."""
    from recipes import ladder, runs

    seed = Path(options.output) / f"seed{options.seed}"
    start, folder = seed / "protocol", seed / arm
    folder.mkdir(exist_ok=True)
    changed = replace(options, output=str(folder), **changes(arm, options))
    if arm == "oversampled":
        changed.grpo_steps = round(FEWER * options.grpo_steps)
    take_over(start / "base", folder / "base")
    if arm == "sft":
        began = runs.read_json(start / "distill" / "run.json")
        minutes = runs.read_json(seed / "adaptive" / "grpo" / "run.json")["train_minutes"]
        steps = began["examples"]["rows"] * options.distill_epochs / options.sft_batch_size
        changed.max_steps = max(1, round(steps * minutes / began["train_minutes"]))
        changed.distill_learning_rate = options.distill_learning_rate / 3
        take_over(start / "distill", folder / "foundation")
    else:
        for name in ("foundation", "distill"):
            if runs.relevant(changed, name) == runs.relevant(options, name):
                take_over(start / name, folder / name)
    ladder.climb(changed, preset, "distill" if arm == "sft" else "grpo")


def run_arm(arm: str, options: cli.Options, preset: str, rows: list[dict], epochs: float) -> None:
    """Train `arm` in `<output>/seed<N>/<arm>` from a copy of that seed's phase 1, unless it is there."""
    from recipes import ladder, runs

    seed = Path(options.output) / f"seed{options.seed}"
    folder, first = seed / arm, replace(options, output=str(seed / "first"))
    if not runs.Phase(first, "foundation").finished:
        ladder.climb(first, preset, "foundation")
    folder.mkdir(exist_ok=True)
    for shared in ("base", "foundation"):
        take_over(seed / "first" / shared, folder / shared)
    changed = replace(options, output=str(folder), distill_epochs=epochs)
    if arm != "protocol":
        path = folder / "texts.jsonl"
        from chemr_lite.protocols import load_protocols

        protocols = load_protocols(options.protocols)
        texts = ({"task": row["task"], "input": row["input"], "completion": completion(arm, row, protocols)} for row in rows)
        path.write_text("".join(json.dumps(line) + "\n" for line in texts))
        changed.traces = str(path)
    ladder.climb(changed, preset, "distill")


def epochs_of(arms: list[str], options: Options, rows: list[dict]) -> dict[str, float]:
    """How often each arm goes over its texts to read as many tokens as the protocol does in `distill_epochs`."""
    from chemr_lite import models
    from chemr_lite.protocols import load_protocols
    from recipes.sft import examples

    tokenizer, protocols = models.load_tokenizer(options.model), load_protocols(options.protocols)

    def tokens(arm: str) -> int:
        return examples(rows, lambda row: [completion(arm, row, protocols)], tokenizer, options.max_length)[1]["tokens"]

    whole = options.distill_epochs * tokens("protocol")
    return {arm: options.distill_epochs if arm == "protocol" else round(whole / tokens(arm), 3) for arm in arms}


def collect(output: Path, phase: str = "distill") -> dict[str, dict[int, dict]]:
    """The figures of every finished arm by seed: those of ARMS in its order, then the others, at last what phase 3 began with."""
    from recipes import runs

    others = [*sorted({path.name for path in output.glob("seed*/*=*")}), "distill"] if phase == "grpo" else []
    place = {"sft": "sft/distill", "distill": "protocol/distill"}
    found: dict[str, dict[int, dict]] = {arm: {} for arm in [*ARMS[phase], *others]}
    for arm, by_seed in found.items():
        for path in sorted(output.glob(f"seed*/{place.get(arm, f'{arm}/{phase}')}/metrics.json")):
            run = runs.read_json(path.with_name("run.json"))
            facts = {} if arm == "distill" else {"minutes": run["train_minutes"]}
            if phase == "distill":
                facts |= {"epochs": run["options"]["distill_epochs"], "tokens": run["examples"]["tokens"]}
            elif arm not in place:
                log = map(json.loads, path.with_name("log.jsonl").read_text().splitlines())
                facts["wasted"] = 100 * fmean(line["groups/without_signal"] for line in log if "groups/without_signal" in line)
            by_seed[int(path.parts[-4].removeprefix("seed"))] = runs.read_json(path) | facts
    return {arm: by_seed for arm, by_seed in found.items() if by_seed}


def differences(one: dict[int, dict], other: dict[int, dict], figure: Callable[[dict], float]) -> list[float]:
    """`one` − `other` for each seed that both have."""
    return [figure(one[seed]) - figure(other[seed]) for seed in sorted(one.keys() & other.keys())]


def difference(one: dict[int, dict], other: dict[int, dict], figure: Callable[[dict], float]) -> tuple[float, float | None]:
    """Mean of `one` − `other` over the seeds that both have, and the half-width of its 95 % interval (None for one seed)."""
    from scipy.stats import t

    apart = differences(one, other, figure)
    return fmean(apart), float(t.ppf(0.975, len(apart) - 1)) * stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else None


def compared(found: dict[str, dict[int, dict]]) -> tuple[str, list[str]]:
    """The arm that the others are held against, and those that share a seed with it."""
    against = next(arm for arm in (*ARMS["distill"], *ARMS["grpo"], *found) if arm in found)
    return against, [arm for arm in found if arm != against and found[arm].keys() & found[against].keys()]


def table(found: dict[str, dict[int, dict]]) -> str:
    """The arms as a Markdown table, and what the first of them gains over each."""

    def row(name: str, figure: Callable[[dict], float | None]) -> str:
        told = []
        for by_seed in found.values():
            values = [figure(figures) for figures in by_seed.values()]
            values = [value for value in values if value is not None]
            spread = f" ± {stdev(values):.1f}" if name == "balanced" and len(values) > 1 else ""
            told.append(f"{fmean(values):.1f}{spread}" if values else "–")
        return f"| {name} | {' | '.join(told)} |"

    macros = next(iter(next(iter(found.values())).values()))["macros"]
    lines = [f"| | {' | '.join(found)} |", f"| --- |{' ---: |' * len(found)}", row("balanced", lambda f: f["balanced"])]
    lines += [row(macro, lambda f, macro=macro: f["macros"][macro]) for macro in macros]
    lines += [row(f"{name}, %", lambda f, name=name: f[name]) for name in ("validity", "format", "grounding")]
    if "tokens" in next(iter(next(iter(found.values())).values())):
        lines += [row("passes over the rows", lambda f: f["epochs"]), row("million tokens", lambda f: f["epochs"] * f["tokens"] / 1e6)]
    else:
        lines += [
            row("lowest macro-task", lambda f: min(f["macros"].values())),
            row("groups that taught nothing, %", lambda f: f.get("wasted")),
        ]
    lines += [row("minutes of training", lambda f: f.get("minutes"))]
    seeds = "; ".join(f"{arm} {', '.join(map(str, sorted(by_seed)))}" for arm, by_seed in found.items())
    lines += ["", f"Seeds: {seeds}. ± is the standard deviation over them.", ""]
    against, others = compared(found)
    for arm in others:
        told = []
        for figure in (lambda f: f["balanced"], lambda f: min(f["macros"].values())):
            gain, width = difference(found[against], found[arm], figure)
            told.append(f"{gain:+.1f} " + ("(one seed)" if width is None else f"[{gain - width:+.1f}, {gain + width:+.1f}]"))
        lines.append(f"{against} − {arm}: {told[0]}; of the lowest macro-task {told[1]}  ")
    return "\n".join(lines)


def draw(found: dict[str, dict[int, dict]], path: Path, title: str) -> None:
    """How far each arm lies from the first, in points: a row for the balanced score and for each macro-task."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    against, others = compared(found)
    figures = {"balanced": lambda f: f["balanced"]}
    for macro in next(iter(found[against].values()))["macros"]:
        figures[macro] = lambda f, macro=macro: f["macros"][macro]
    figure, axes = plt.subplots(figsize=(8.5, 2 + 0.1 * len(figures) * (len(others) + 1)), layout="constrained")
    shades = matplotlib.colormaps["tab20"].colors  # in pairs, a dark and a light one
    for number, (colour, arm) in enumerate(zip(cycle(shades[::2] + shades[1::2]), others, strict=False)):
        for place, (name, read) in enumerate(figures.items()):
            y = place + 0.7 * ((number + 0.5) / len(others) - 0.5)
            apart = differences(found[arm], found[against], read)
            axes.scatter(apart, [y] * len(apart), s=9, color=colour, alpha=0.6)
            gain, width = difference(found[arm], found[against], read)
            # of single tasks three seeds tell little more than the dots do
            axes.errorbar(
                gain, y, xerr=width if name == "balanced" else None, fmt="|", color=colour, ms=9, mew=2, label=None if place else arm
            )
    axes.axvline(0, color="#444", linewidth=0.8)
    axes.set_yticks(range(len(figures)), [name.replace("_", " ") for name in figures])
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.invert_yaxis()
    axes.set_xlabel(f"points above “{against}”: a stroke is the mean, a dot a seed, a bar (balanced) its 95 % interval")
    axes.set_title(title, fontsize=11)
    axes.grid(axis="y", color="#e6e9ee")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    from recipes import ladder, runs

    options, preset = cli.parse(__doc__, kind=Options)
    if options.output == f"outputs/{preset}":
        options.output = f"outputs/ablate-{preset}"
    if options.phase not in ARMS:
        raise cli.UsageError(f"--phase {options.phase!r}: choose {' or '.join(ARMS)}")
    # a preset without an anchor has no arm without it
    arms = [arm for arm in ARMS[options.phase] if arm != "no-anchor" or options.anchor]
    arms = options.arms.split(",") if options.arms else arms
    others = [arm for arm in arms if "=" in arm and options.phase == "grpo"]
    for arm in others:
        changes(arm, options)  # what it cannot mean is told before anything is trained
    unknown = [arm for arm in arms if arm not in ARMS[options.phase] and arm not in others]
    if unknown:
        raise cli.UsageError(f"--arms: no arm {', '.join(map(repr, unknown))}; choose {', '.join(ARMS[options.phase])}")
    try:
        seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError as error:
        raise cli.UsageError(f"--seeds {options.seeds!r}: give whole numbers, separated by commas") from error
    rows = ladder.load_rows(options).rows["train"]
    # which arms and seeds there are besides is nothing to a run
    plain = cli.Options(**{f.name: getattr(options, f.name) for f in fields(cli.Options)})
    epochs = epochs_of(arms if options.phase == "distill" else ["protocol"], options, rows)
    for seed in seeds:
        for arm in arms if options.phase == "distill" else ["protocol"]:
            print(f"\n== seed {seed}, {arm}: {epochs[arm]:g} passes over the rows", flush=True)
            steps = options.max_steps if options.phase == "distill" else 0  # --max-steps is for the phase that is changed
            run_arm(arm, replace(plain, seed=seed, max_steps=steps), preset, rows, epochs[arm])
        for arm in arms if options.phase == "grpo" else []:
            print(f"\n== seed {seed}, {arm}", flush=True)
            run_grpo_arm(arm, replace(plain, seed=seed), preset)
    found = collect(Path(options.output), options.phase)
    results = Path(options.results or options.output)
    results.mkdir(parents=True, exist_ok=True)
    told = {arm: {seed: {k: f[k] for k in TOLD if k in f} for seed, f in by_seed.items()} for arm, by_seed in found.items()}
    name = "ablation" if options.phase == "distill" else "ablation-grpo"
    runs.write_json(results / f"{name}.json", told)
    text = table(found)
    (results / f"{name}.md").write_text(text + "\n")
    written = [f"{name}.json", f"{name}.md"]
    if compared(found)[1]:  # one arm alone is no picture
        written.append(f"{name}.png")
        draw(found, results / written[-1], TITLES[options.phase])
    print(f"\n{text}\n\nwritten to {results}: {', '.join(written)}")


if __name__ == "__main__":
    main()
