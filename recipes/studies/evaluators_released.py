"""The figures that the released evaluators of MolT5, LlaSMol and ChemLLMBench give, by their own code, in percent.

Each function takes a checkout of the benchmark's repository, the answers and the golds. It runs the released code,
unchanged. Of ChemLLMBench, whose evaluators are cells of notebooks, it runs the functions and loops in those cells.
"""

import ast
import contextlib
import csv
import importlib
import io
import json
import runpy
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy
import pandas
from rdkit import Chem

from chemr_lite.scoring.benchmarks import SCIBERT

Figures = dict[str, float]


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let modules in `folder` be imported inside the context, and forget them afterwards. Nothing is printed."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:  # two benchmarks have a package `utils`
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
                del sys.modules[name]


def percent(figures: Figures, *counts: str) -> Figures:
    """Return `figures` times 100, except those named in `counts`."""
    return {name: float(value) * (1 if name in counts else 100) for name, value in figures.items()}


def molt5(checkout: Path, script: str, answers: Sequence[str], golds: Sequence[str], *arguments) -> tuple:
    """Return what `evaluate` of a script in MolT5's folder evaluation/ returns for these answers."""
    with tempfile.TemporaryDirectory() as folder, importable(checkout / "evaluation"):
        path = Path(folder) / "answers.txt"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
            first = "SMILES" if script.startswith("text") else "description"
            writer.writerow([first, "ground truth", "output"])
            writer.writerows(["", gold, answer] for gold, answer in zip(golds, answers, strict=True))
        return importlib.import_module(script).evaluate(*[path if a is INPUT else a for a in arguments])


INPUT = object()  # stands for the file of answers among a script's arguments


def molt5_molecules(checkout: Path, task: str, answers: Sequence[str], golds: Sequence[str]) -> Figures:
    """Return MolT5's figures of caption to molecule."""
    bleu, exact, levenshtein, _ = molt5(checkout, "mol_translation_metrics", answers, golds, INPUT)
    valid, maccs, rdk, morgan = molt5(checkout, "fingerprint_metrics", answers, golds, INPUT, 2)
    figures = {"BLEU": bleu, "exact": exact, "Levenshtein": levenshtein, "validity": valid}
    return percent(figures | {"MACCS": maccs, "RDK": rdk, "Morgan": morgan}, "Levenshtein")


def molt5_captions(checkout: Path, task: str, answers: Sequence[str], golds: Sequence[str]) -> Figures:
    """Return MolT5's figures of molecule to caption."""
    values = molt5(checkout, "text_translation_metrics", answers, golds, SCIBERT, INPUT, 512)
    names = ("BLEU-2", "BLEU-4", "ROUGE-1", "ROUGE-2", "ROUGE-L", "METEOR")
    return percent(dict(zip(names, values, strict=True)))


def llasmol(checkout: Path, task: str, answers: Sequence[str], golds: Sequence[str]) -> Figures:
    """Return LlaSMol's figures of one of our tasks."""
    predicted, recorded = [[answer] for answer in answers], [[gold] for gold in golds]
    with importable(checkout):
        metrics = importlib.import_module("utils.metrics")
        if task == "molecule_captioning":
            found = metrics.calculate_text_metrics(predicted, recorded)
            names = {"BLEU-2": "bleu2", "BLEU-4": "bleu4", "METEOR": "meteor_score"}
            names |= {"ROUGE-1": "rouge_1", "ROUGE-2": "rouge_2", "ROUGE-L": "rouge_l"}
            return percent({name: found[theirs] for name, theirs in names.items()})
        if task.endswith("_to_formula"):
            found = metrics.calculate_formula_metrics(predicted, recorded, metrics=("element_match",))
            return percent({"element match": found["num_t1_ele_match"] / len(answers)})
        if task.endswith("_to_iupac"):
            found = metrics.calculate_formula_metrics(predicted, recorded, metrics=("split_match",))
            return percent({"split match": found["num_t1_split_match"] / len(answers)})
        if task.startswith("property_prediction/"):
            found = metrics.calculate_boolean_metrics(predicted, recorded)
            accuracy = found["num_correct"] / len(answers)
            return percent({"accuracy": accuracy, "F1": found["f1_score"], "ROC-AUC": found["roc_auc_score"]})
        found = metrics.calculate_smiles_metrics(predicted, recorded)
    invalid = found["num_t1_no_answer"] + found["num_t1_invalid"]
    figures = {"exact": found["num_t1_exact_match"] / len(answers), "validity": 1 - invalid / len(answers)}
    return percent(figures | {name: found[f"t1_{name.lower()}_fps"] for name in ("MACCS", "RDK", "Morgan")})


def cells(checkout: Path, notebook: str) -> Iterator[ast.Module]:
    """Yield the cells of a notebook that are Python."""
    for cell in json.loads((checkout / f"{notebook}.ipynb").read_text())["cells"]:
        with contextlib.suppress(SyntaxError):
            if cell["cell_type"] == "code":
                yield ast.parse("".join(cell["source"]))


def run(nodes: Sequence[ast.stmt], names: dict) -> dict:
    """Run statements of a notebook with `names` defined. Return all names afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.py"
        path.write_text(ast.unparse(ast.Module(list(nodes), [])))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return runpy.run_path(str(path), names)


def chemllmbench_function(checkout: Path, name: str):
    """Return a function of the notebook Molecule_Design, with the imports of its cell, and numpy of another."""
    for cell in cells(checkout, "Molecule_Design"):
        functions = [node for node in cell.body if isinstance(node, ast.FunctionDef) and node.name == name]
        if functions:
            imports = [node for node in cell.body if isinstance(node, ast.ImportFrom) and node.module != "fcd"]
            return run([*imports, *functions], {"np": numpy})[name]
    raise LookupError(f"{checkout}: no function {name} in Molecule_Design.ipynb")


def chemllmbench_molecules(checkout: Path, task: str, answers: Sequence[str], golds: Sequence[str]) -> Figures:
    """Return ChemLLMBench's figures of molecule design."""
    lines = [("", gold, answer) for gold, answer in zip(golds, answers, strict=True)]
    bleu, exact, levenshtein, _ = chemllmbench_function(checkout, "evaluate1")(lines)
    valid, maccs, rdk, morgan = chemllmbench_function(checkout, "evaluate2")(lines)
    figures = {"BLEU": bleu, "exact": exact, "Levenshtein": levenshtein, "validity": valid}
    return percent(figures | {"MACCS": maccs, "RDK": rdk, "Morgan": morgan}, "Levenshtein")


def chemllmbench_captions(checkout: Path, task: str, answers: Sequence[str], golds: Sequence[str]) -> Figures:
    """Return ChemLLMBench's figures of molecule captioning."""
    lines = [("", gold, answer) for gold, answer in zip(golds, answers, strict=True)]
    values = chemllmbench_function(checkout, "evaluate4")(lines)
    names = ("BLEU-2", "BLEU-4", "ROUGE-1", "ROUGE-2", "ROUGE-L", "METEOR")
    return percent(dict(zip(names, values, strict=True)))


# our tasks that a notebook counts correct answers to: its name, its name of the task and its column of golds
COUNTED = {
    "name_prediction/smiles_to_iupac": ("Name_Prediction", "smiles2iupac", "iupac"),
    "name_prediction/iupac_to_smiles": ("Name_Prediction", "iupac2smiles", "smiles"),
    "name_prediction/smiles_to_formula": ("Name_Prediction", "smiles2formula", "formula"),
    "reaction_prediction": ("Reaction_Prediction", "reaction", "products_smiles"),
}


def chemllmbench_accuracy(checkout: Path, task: str, answers: Sequence[str], golds: Sequence[str]) -> Figures:
    """Return ChemLLMBench's accuracy, by the last loop in the notebook of the task that counts correct answers."""
    notebook, name, column = COUNTED[task]
    loops = [
        node
        for cell in cells(checkout, notebook)
        for node in ast.walk(cell)
        if isinstance(node, ast.For) and ast.unparse(node.target) == "repeat"
    ]
    names = {
        "acc_list": [],
        "predicted_products": [[answer] * 5 for answer in answers],  # the benchmark samples five
        "test": pandas.DataFrame({column: golds}),
        "output_col": column,
        "task": name,
        "Chem": Chem,
        "np": numpy,
    }
    return percent({"accuracy": run(loops[-1:], names)["acc_list"][0]})
