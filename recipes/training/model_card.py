"""The model card of an exported model: what it was made from, how good it is, and what it must not be taken for. All of it
is read from the phase's run.json and from the ladder beside it."""

from pathlib import Path

from chemr_lite.data.sources import LICENCES
from chemr_lite.model.folders import PHASES
from recipes.training import ladder
from recipes.training.files import as_json, read_json

USE = """```python
from chemr_lite import Chemist

reply = Chemist("{name}").ask("retrosynthesis", "CC(=O)Nc1ccc(O)cc1")
print(reply.answer, reply.reasoning, sep="\\n")
```"""
PHASE = {
    "foundation": "chemical foundation training: answers of all tasks, supervised",
    "distill": "distillation of chemical reasoning protocols: traces whose claims are checked, supervised",
    "grpo": "multi-task GRPO: sampled answers, paid after verification",
}


def write(phase: Path, base: str, name: str) -> str:
    """The card, as the README.md of the repository `name`, of the model in the directory `phase` on the model `base`."""
    run = read_json(phase / "run.json")
    options, done = _public(run["options"]), PHASES[: PHASES.index(run["phase"]) + 1]
    data = {part: LICENCES.get(part, "a file of its maker's own") for part in options["data"].split(",")}
    if "all" in data:
        data = {part: licence for part, licence in LICENCES.items() if part != "nano"}
    rungs = [row for row in ladder.collect(phase.parent) if row["phase"] in ("base", *done)]
    hub = "" if base == "nano" or Path(base).exists() else f"base_model: {base}\n"
    known = rungs[-1] if rungs and rungs[-1]["phase"] == run["phase"] else None
    lines = [
        f"---\n{hub}library_name: transformers\npipeline_tag: text-generation\ntags: [chemistry, smiles, chemr-lite, grpo, qlora]\n---",
        f"# {name}",
        f"{'The nano model of chemr-lite' if base == 'nano' else options['model']}, taught to reason about molecules and reactions with chemr-lite, "
        "a reproduction of *Chem-R: Learning to Reason as a Chemist* (arXiv 2510.16880). It is not the paper's model.",
        "\n".join(f"{number}. {PHASE[name]}" for number, name in enumerate(done, 1)),
        "## Use",
        "It answers as `<think> reasoning </think> <answer> answer </answer>`, to questions in the words of chemr-lite's tasks.",
        USE.format(name=name),
        "## How good it is",
    ]
    if known:
        lines += [
            f"Greedy answers to {known['n']} held-out rows, scores from 0 to 100; ± is a 95 % interval over the rows, one training run. "
            "*Grounding* is the share of the checkable claims in the reasoning that hold.",
            ladder.table(rungs),
        ]
    else:
        lines.append("Not evaluated.")
    lines += [
        "## What it was trained on",
        "| data | licence |\n| --- | --- |\n" + "\n".join(f"| {part} | {licence} |" for part, licence in data.items()),
        f"Fingerprint of the rows: `{run['data']}`. No molecule, product or reaction of a test row was trained on.",
        "## Limits",
        "- Its reasoning can be wrong and still read well: check the claims (`chemr_lite.check_claims`, or the page of `recipes/demo.py`).\n"
        "- It was tested on questions in the words it was trained on, and on molecules like those of its data.\n"
        "- A route or a property that it names is a guess, not a measurement. Nobody has assessed it for safety.",
        "## How it was made",
        "| | |\n| --- | --- |\n"
        + "\n".join(f"| {key} | {value} |" for key, value in _facts(run, options).items())
        + "\n\nAll options:\n\n```json\n"
        + as_json(options)
        + "```",
    ]
    return "\n\n".join(lines) + "\n"


def _public(options: dict) -> dict:
    """The options without the folders of the machine they were used on."""
    names = {
        key: ",".join(Path(part).name for part in options[key].split(","))
        for key in ("data", "protocols", "traces")
        if options.get(key)
    }
    model = options["model"]
    return (
        {key: value for key, value in options.items() if key != "data_root"}
        | names
        | {"model": Path(model).name if Path(model).exists() else model}
    )


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
