"""The model card of an exported model: what it was made from, how good it is, and what it must not be used for.

Everything in it is read from the phase's run.json and from the ladder of its run.
"""

from pathlib import Path

from chemr_lite.data.sources import LICENCES, members
from chemr_lite.model.folders import PHASES
from recipes.training import ladder
from recipes.training.files import as_json, read_json

HEADER = """---
{base_model}library_name: transformers
pipeline_tag: text-generation
tags: [chemistry, smiles, chemr-lite, grpo, qlora]
---"""
INTRODUCTION = (
    "{base}, taught to reason about molecules and reactions with chemr-lite, a reproduction of "
    "*Chem-R: Learning to Reason as a Chemist* (arXiv 2510.16880). It is not the paper's model."
)
PHASE_TEXTS = {
    "foundation": "chemical foundation training: answers of all tasks, supervised",
    "distill": "distillation of chemical reasoning protocols: traces whose claims are checked, supervised",
    "grpo": "multi-task GRPO: sampled answers, rewarded after verification",
}
FORMAT = (
    "It answers as `<think> reasoning </think> <answer> answer </answer>`, to questions in the words of chemr-lite's "
    "tasks."
)
USE = """```python
from chemr_lite import Chemist

reply = Chemist("{name}").ask("retrosynthesis", "CC(=O)Nc1ccc(O)cc1")
print(reply.answer, reply.reasoning, sep="\\n")
```"""
MEASURED = (
    "Greedy answers to {n} held-out rows, scores from 0 to 100; ± is a 95 % interval over the rows of one training "
    "run. *Grounding* is the share of the checkable claims in the reasoning that are true."
)
LIMITS = """- Its reasoning can be wrong and still read well. \
Check the claims: `chemr_lite.check_claims`, or the page of `recipes/demo.py`.
- It was tested on questions in the words it was trained on, and on molecules like those of its data.
- A route or a property that it names is a guess, not a measurement. Nobody has assessed it for safety."""


def write(phase: Path, base: str, name: str) -> str:
    """Return the card of the model `name`: the adapter in the directory `phase`, merged into the model `base`."""
    run = read_json(phase / "run.json")
    options, trained = _without_paths(run["options"]), PHASES[: PHASES.index(run["phase"]) + 1]
    rungs = [row for row in ladder.collect(phase.parent) if row["phase"] in ("base", *trained)]
    evaluated = rungs and rungs[-1]["phase"] == run["phase"]
    on_hub = base != "nano" and not Path(base).exists()
    parts = [
        HEADER.format(base_model=f"base_model: {base}\n" if on_hub else ""),
        f"# {name}",
        INTRODUCTION.format(base="The nano model of chemr-lite" if base == "nano" else options["model"]),
        "\n".join(f"{number}. {PHASE_TEXTS[rung]}" for number, rung in enumerate(trained, 1)),
        "## Use",
        FORMAT,
        USE.format(name=name),
        "## How good it is",
        *([MEASURED.format(n=rungs[-1]["n"]), ladder.table(rungs)] if evaluated else ["Not evaluated."]),
        "## What it was trained on",
        _two_columns({"data": "licence"} | _licences(options["data"])),
        f"Fingerprint of the rows: `{run['data']}`. No molecule, product or reaction of a test row was trained on.",
        "## Limits",
        LIMITS,
        "## How it was made",
        _two_columns({"": ""} | _facts(run, options)),
        f"All options:\n\n```json\n{as_json(options)}```",
    ]
    return "\n\n".join(parts) + "\n"


def _two_columns(cells: dict) -> str:
    """Return a Markdown table of two columns; the first item is its head."""
    head, *lines = [f"| {left} | {right} |" for left, right in cells.items()]
    return "\n".join([head, "| --- | --- |", *lines])


def _licences(data: str) -> dict[str, str]:
    """Return the licence of each part of --data."""
    names = [name for part in data.split(",") for name in members(part)]
    return {name: LICENCES.get(name, "a file of its maker's own") for name in names}


def _without_paths(options: dict) -> dict:
    """Return the options without the folders of the machine that the run was made on."""
    public = {key: value for key, value in options.items() if key != "data_root"}
    for key in ("data", "protocols", "traces"):
        if options.get(key):
            public[key] = ",".join(Path(part).name for part in options[key].split(","))
    if Path(options["model"]).exists():
        public["model"] = Path(options["model"]).name
    return public


def _facts(run: dict, options: dict) -> dict:
    return {
        "adapter": f"LoRA of rank {options['lora_r']} and scale 1, on a 4-bit (NF4) base, merged",
        "seed": options["seed"],
        "hardware": run["hardware"],
        "minutes of the last phase": run.get("train_minutes", "unknown"),
        "peak memory, GiB": run.get("peak_memory_gb", "unknown"),
        "versions": ", ".join(f"{name} {version}" for name, version in run["versions"].items()),
        "code": run["commit"] or "unknown",
    }
