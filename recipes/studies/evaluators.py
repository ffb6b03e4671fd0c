"""Hold our figures against the evaluators that public benchmarks have released, on the same answers.

    git clone https://github.com/phenixace/TOMG-Bench && git -C TOMG-Bench checkout 692f6b1
    git clone https://github.com/blender-nlp/MolT5 && git -C MolT5 checkout 754f9bf
    git clone https://github.com/OSU-NLP-Group/LLM4Chem && git -C LLM4Chem checkout 43ab5fc
    git clone https://github.com/ChemFoundationModels/ChemLLMBench && git -C ChemLLMBench checkout b8cfb59
    python -m pip install rdchiral Levenshtein && python -m nltk.downloader wordnet
    hf download allenai/scibert_scivocab_uncased vocab.txt
    python recipes/studies/evaluators.py --tomg TOMG-Bench --molt5 MolT5 --llasmol LLM4Chem --chemllmbench ChemLLMBench

1. Each benchmark whose checkout is named judges answers to its tasks, by its own code, unchanged.
2. `chemr_lite.scoring` judges the same answers: the gold, written anew, changed, cut, mixed, other rows', and texts.
3. A table holds figure against figure. Where the two differ by design, the last columns leave those answers out.

The evaluators are not part of chemr-lite, and they are code that runs on your machine: read it first.
"""

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rdkit import Chem, rdBase

from chemr_lite import data
from chemr_lite.answers import render
from chemr_lite.data import splits
from chemr_lite.scoring.benchmarks import details
from chemr_lite.scoring.judge import judge
from recipes.studies import evaluators_released as released
from recipes.studies.evaluators_answers import vary
from recipes.studies.evaluators_tomg import compare_tomg, describe_tomg
from recipes.training import command
from recipes.training.files import write_json
from recipes.training.options import UsageError


@dataclass(frozen=True)
class Design:
    """A difference by design: the answers, as judged lines, that the two read differently, and why."""

    differs: Callable[[dict], bool]
    reason: str


def canonical(smiles: str) -> str | None:
    """Return what RDKit writes of a molecule, without our gate; None if it reads none."""
    mol = Chem.MolFromSmiles(smiles)
    return mol and Chem.MolToSmiles(mol)


def stopped_by_gate(line: dict) -> bool:
    """Return whether RDKit reads a molecule in an answer that our gate refuses: prose behind it, or nothing at all."""
    return not line["valid"] and canonical(line["answer"]) is not None


def has_repeats(line: dict) -> bool:
    """Return whether the answer or the gold has a component twice."""
    parts = [(canonical(line[name]) or "").split(".") for name in ("answer", "gold")]
    return any(len(set(components)) < len(components) for components in parts)


def has_unusual_hydrogens(line: dict) -> bool:
    """Return whether the answer or the gold has an isotope, or an atom without the hydrogens of its usual valence."""
    for smiles in (line["answer"], line["gold"]):
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            continue
        before = Chem.MolToSmiles(mol)
        for atom in mol.GetAtoms():
            atom.SetIsotope(0)
            if not atom.GetIsAromatic():
                atom.SetNoImplicit(False)
                atom.SetNumExplicitHs(0)
                atom.SetNumRadicalElectrons(0)
        mol.UpdatePropertyCache(strict=False)
        if Chem.MolToSmiles(mol) != before:
            return True
    return False


def is_empty(line: dict) -> bool:
    return not line["answer"]


def is_right_in_other_words(line: dict) -> bool:
    return line["correct"] and line["answer"] != line["gold"]


EMPTY = Design(is_empty, "they count an empty answer as a molecule without atoms")
NO_ANSWER = Design(is_empty, "they leave out empty answers; here these count as wrong")
NO_CHOICE = Design(
    lambda line: line["answer"] not in ("Yes", "No"), "they leave out what is neither Yes nor No; here that is wrong"
)
GATE = Design(stopped_by_gate, "our gate: neither prose nor an empty answer is a molecule")
SETS = Design(has_repeats, "they compare the sets of components, so that a repeated one counts once")
REWRITTEN = Design(
    has_unusual_hydrogens, "they rewrite molecules first: isotopes go, radicals and bare metals get hydrogens"
)
COMPONENT = Design(
    lambda line: stopped_by_gate(line) or "." in line["answer"],
    "any component of the answer may be the gold; they have no gate",
)
FORMULA = Design(is_right_in_other_words, "they compare strings; here elements may come in any order")
SPELLING = Design(
    is_right_in_other_words,
    "they compare strings; here case, dashes and unasked descriptors do not count",
)
PARTS = Design(
    lambda line: is_right_in_other_words(line) or ";" in line["answer"],
    "they compare parts in any order; here case, dashes and unasked descriptors do not count",
)
STEREO = Design(
    lambda line: stopped_by_gate(line) or (line["correct"] and canonical(line["answer"]) != line["gold"]),
    "they have no gate; here stereochemistry that only the name has is not demanded",
)

# for each figure of theirs: the name of ours, and where the two differ by design
Figures = dict[str, tuple[str, Design | None]]
FINGERPRINTS: Figures = {"MACCS": ("maccs", EMPTY), "RDK": ("rdk", EMPTY), "Morgan": ("morgan", EMPTY)}
MOLECULES: Figures = {
    "BLEU": ("bleu_characters", None),
    "exact": ("exact_inchi", None),
    "Levenshtein": ("levenshtein", None),
    "validity": ("validity", GATE),
    **FINGERPRINTS,
}
LLASMOL: Figures = {
    "exact": ("exact_inchi", SETS),
    "validity": ("validity", GATE),
    "MACCS": ("maccs", REWRITTEN),
    "RDK": ("rdk", REWRITTEN),
    "Morgan": ("morgan", REWRITTEN),
}
TEXTS = {"BLEU-2": "bleu_2", "BLEU-4": "bleu_4", "ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL"}
TEXTS["METEOR"] = "meteor"
CAPTIONS: Figures = {theirs: (ours, None) for theirs, ours in TEXTS.items()}
ANSWERED: Figures = {theirs: (ours, NO_ANSWER) for theirs, ours in TEXTS.items()}
CHOICES: Figures = {
    "accuracy": ("accuracy", None),
    "F1": ("f1", NO_CHOICE),
    "ROC-AUC": ("balanced_accuracy", NO_CHOICE),  # of answers without probabilities the two are the same
}

# benchmark, our task, how they judge, figures
COMPARISONS: list[tuple[str, str, Callable, Figures]] = [
    ("MolT5", "molecule_design", released.molt5_molecules, MOLECULES),
    ("MolT5", "molecule_captioning", released.molt5_captions, CAPTIONS),
    *(
        ("LlaSMol", task, released.llasmol, LLASMOL)
        for task in ("molecule_design", "name_prediction/iupac_to_smiles", "reaction_prediction", "retrosynthesis")
    ),
    ("LlaSMol", "molecule_captioning", released.llasmol, ANSWERED),
    *(
        ("LlaSMol", f"name_prediction/{sub}_to_formula", released.llasmol, {"element match": ("accuracy", None)})
        for sub in ("smiles", "iupac")
    ),
    ("LlaSMol", "name_prediction/smiles_to_iupac", released.llasmol, {"split match": ("accuracy", PARTS)}),
    *(("LlaSMol", f"property_prediction/{name}", released.llasmol, CHOICES) for name in ("bbbp", "clintox", "hiv")),
    ("ChemLLMBench", "molecule_design", released.chemllmbench_molecules, MOLECULES),
    ("ChemLLMBench", "molecule_captioning", released.chemllmbench_captions, CAPTIONS),
    *(
        ("ChemLLMBench", task, released.chemllmbench_accuracy, {"accuracy": ("accuracy", design)})
        for task, design in (
            ("reaction_prediction", COMPONENT),
            ("name_prediction/smiles_to_formula", FORMULA),
            ("name_prediction/smiles_to_iupac", SPELLING),
            ("name_prediction/iupac_to_smiles", STEREO),
        )
    ),
]


def our_figures(lines: list[dict]) -> dict:
    """Return the metrics of a task's benchmark, the share of correct answers, and the validity behind our gate."""
    shares = {"validity": "valid", "accuracy": "correct"}
    return details(lines) | {
        name: 100 * sum(bool(line[key]) for line in lines) / len(lines) for name, key in shares.items()
    }


def compare(benchmark: str, checkout: Path, theirs: Callable, figures: Figures, lines: list[dict]) -> list[dict]:
    """Return, for each figure, theirs and ours on all lines, and on those without a difference by design."""

    task = lines[0]["task"]

    def both(chosen: list[dict]) -> tuple[dict, dict, int]:
        answers, golds = ([line[name] for line in chosen] for name in ("answer", "gold"))
        return theirs(checkout, task, answers, golds), our_figures(chosen), len(chosen)

    rows, found = [], {None: both(lines)}
    for name, (ours, design) in figures.items():
        if design not in found:
            found[design] = both([line for line in lines if not design.differs(line)])
        their_figures, figures_here, n = found[None]
        row = {"benchmark": benchmark, "task": task, "figure": name, "n": n}
        row |= {"theirs": their_figures[name], "ours": figures_here[ours]}
        if design:
            their_figures, figures_here, n = found[design]
            row |= {"reason": design.reason, "alike": n}
            row |= {"theirs_alike": their_figures[name], "ours_alike": figures_here[ours]}
        rows.append(row)
    return rows


def unexplained(row: dict) -> float:
    """Return the difference in a row of the table that no reason explains."""
    suffix = "_alike" if "reason" in row else ""
    theirs, ours = row[f"theirs{suffix}"], row[f"ours{suffix}"]
    return float("inf") if ours is None else abs(theirs - ours)


def describe(rows: list[dict]) -> str:
    """Return the comparisons as a Markdown table."""
    lines = [
        "| benchmark | task | figure | answers | theirs | ours | difference | why | answers without | difference |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for row in rows:
        ours = "–" if row["ours"] is None else f"{row['ours']:.6f}"
        difference = "–" if row["ours"] is None else f"{row['ours'] - row['theirs']:+.6f}"
        alike = f"{row['alike']:,}" if "reason" in row else ""
        lines.append(
            f"| {row['benchmark']} | {row['task']} | {row['figure']} | {row['n']:,} | {row['theirs']:.6f} | {ours} "
            f"| {difference} | {row.get('reason', '')} | {alike} | {unexplained(row):.6f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tomg", "molt5", "llasmol", "chemllmbench"):
        parser.add_argument(f"--{name}", type=Path, help="checkout of its repository")
    parser.add_argument("--data", default="chemr", help="rows to answer, as --data of the other recipes [chemr]")
    parser.add_argument("--data-root", type=Path, help="folder with the files of the public data sets")
    parser.add_argument("--rows", type=int, default=2000, help="rows of each task [2000]")
    parser.add_argument("--output", type=Path, default=Path("outputs/evaluators"), help="folder for the tables")
    args = parser.parse_args()
    checkouts = {"MolT5": args.molt5, "LlaSMol": args.llasmol, "ChemLLMBench": args.chemllmbench}
    checkouts = {name: path.resolve() for name, path in checkouts.items() if path}
    if not (args.tomg or checkouts):
        raise UsageError("name at least one checkout: --tomg, --molt5, --llasmol or --chemllmbench")
    for path in (args.tomg, *checkouts.values()):
        if path and not path.is_dir():
            raise UsageError(f"{path}: there is no such folder")
    args.output.mkdir(parents=True, exist_ok=True)
    with rdBase.BlockLogs():  # half of the answers are not meant to be read
        if args.tomg:
            results = compare_tomg(args.tomg.resolve(), args.data_root, args.rows)
            write_json(args.output / "tomg.json", results)
            _show(args.output / "tomg.md", describe_tomg(results))
            worst = max(abs(found["theirs"] - found["ours"]) for found in results["verdicts"].values())
            print(f"largest difference {worst:.1e}\n")
        if checkouts:
            rows = compare_all(checkouts, args)
            write_json(args.output / "figures.json", rows)
            _show(args.output / "figures.md", describe(rows))
            print(f"largest difference without a reason {max(map(unexplained, rows)):.1e}")


def compare_all(checkouts: dict[str, Path], args: argparse.Namespace) -> list[dict]:
    """Return the comparisons with the benchmarks in `checkouts`, on rows of all splits."""
    loaded = data.load(args.data.split(","), None, False, args.data_root and str(args.data_root))
    everything = [row for split in splits.SPLITS for row in loaded.rows[split]]
    table = []
    for benchmark, task, theirs, figures in COMPARISONS:
        rows = [row for row in everything if row["task"] == task]
        if benchmark in checkouts and rows:
            rows = random.Random(task).sample(rows, min(args.rows, len(rows)))
            answers = vary(rows)
            lines = [judge(row, render(None, answer)) for row, answer in zip(rows, answers, strict=True)]
            table += compare(benchmark, checkouts[benchmark], theirs, figures, lines)
    return table


def _show(path: Path, text: str) -> None:
    path.write_text(text)
    print(text)


if __name__ == "__main__":
    command.run(main)
