"""TOMG-Bench's released evaluator and ours on the same answers to its nine sub-tasks.

1. Rows are those of the benchmark's test files. For MolCustom half of the rows ask for the counts of a real molecule
   instead, because hardly any answer meets the counts of the test files by chance.
2. Answers are real molecules changed a little, the unchanged source, other rows' molecules, mixtures, and texts that
   are no molecule.
3. The benchmark's own script judges them, unchanged, and so does `chemr_lite.scoring.benchmarks`.
"""

import contextlib
import csv
import io
import os
import random
import runpy
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from chemr_lite.data import sources
from chemr_lite.data.tables import reader_of, rows_of
from chemr_lite.scoring.benchmarks import tomg
from chemr_lite.tasks import get_task
from chemr_lite.tasks.open_generation import TOMG_GROUPS, count_groups
from recipes.studies.evaluators_answers import TEXTS, changed


def answers_to(lines: list[dict], molecules: list[str], rng: random.Random) -> Iterator[str]:
    """Yield an answer to each line of a test file."""
    for i, line in enumerate(lines):
        source = line.get("molecule") or molecules[i]
        kind = i % 10
        if kind == 0:
            yield rng.choice(TEXTS)
        elif kind == 1:
            yield source
        elif kind == 2:
            yield rng.choice(molecules)
        else:
            yield changed(source, line, rng) if "molecule" in line or kind < 6 else source


def judged_by_tomg(checkout: Path, folder: str, lines: list[dict], answers: list[str]) -> dict:
    """Return `success` of each answer and the mean `similarity` of valid ones, as the benchmark's script finds them."""
    task, sub = folder.split("/")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path, columns, table in (
            (root / f"data/benchmarks/open_generation/{folder}/test.csv", list(lines[0]), lines),
            (root / f"predictions/ours/open_generation/{folder}.csv", ["outputs"], [{"outputs": a} for a in answers]),
        ):
            path.parent.mkdir(parents=True)
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(table)
        before, arguments, searched = Path.cwd(), sys.argv, list(sys.path)
        os.chdir(root)
        sys.argv = ["evaluate.py", "--name", "ours", "--task", task, "--subtask", sub, "--output_dir", "predictions/"]
        sys.path.insert(0, str(checkout))
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                found = runpy.run_path(str(checkout / "evaluate.py"), run_name="__main__")
        finally:
            os.chdir(before)
            sys.argv, sys.path[:] = arguments, searched
    similarities = found.get("similarities")
    return {
        "success": [bool(flag) for flag in found.get("flags", found.get("successed"))],
        "similarity": 100 * sum(similarities) / len(similarities) if similarities else None,
    }


def with_counts_of(line: dict, molecule: str, folder: str) -> dict:
    """Return a line of MolCustom that asks for the counts of a real molecule, if it has any."""
    kind = {"AtomNum": "atoms", "BondNum": "bonds", "FunctionalGroup": "groups"}[folder.split("/")[1]]
    counts = get_task(f"open_generation/mol_custom_{kind}").counts(molecule)
    numbers = {name: counts.get({"benzene rings": "benzene ring"}.get(name, name), 0) for name in line}
    words = ", ".join(f"{n} {name} {kind.rstrip('s')}" for name, n in counts.items() if n)
    if not words:
        return line
    asked = {name: numbers[name] for name in line if name not in ("Instruction", "index", "Unnamed: 0")}
    return line | asked | {"Instruction": f"Please generate a molecule with {words}."}


def compare_tomg(checkout: Path, root: Path | None, rows: int) -> dict:
    """Return, for each sub-task of TOMG-Bench, both figures and in how many verdicts they differ; and so for counts."""
    table, molecules = {}, []
    files = [file for file in sources.SOURCES["tomg"] if file.path.endswith("test.csv")]
    for file in sorted(files, key=lambda file: "MolCustom" in file.path):  # the others give the molecules for these
        path = root / file.path if root else sources.fetch(file)
        folder, rng = str(Path(*path.parts[-3:-1])), random.Random(file.path)
        with path.open(newline="") as opened:
            lines = list(csv.DictReader(opened))[:rows]
        molecules += [line["molecule"] for line in lines if "molecule" in line]
        drawn = rng.sample(molecules, len(lines))
        if "MolCustom" in folder:
            lines = [
                with_counts_of(line, molecule, folder) if i % 2 else line
                for i, (line, molecule) in enumerate(zip(lines, drawn, strict=True))
            ]
        answers = list(answers_to(lines, drawn, rng))
        theirs = judged_by_tomg(checkout, folder, lines, answers)
        read_line = reader_of({name.lower() for name in lines[0]}, str(path))
        judged = [
            rows_of(line, read_line, path)[0] | {"answer": answer} for line, answer in zip(lines, answers, strict=True)
        ]
        ours = tomg(judged)
        verdicts = [tomg([line])["tomg_success"] == 100 for line in judged]
        table[judged[0]["task"]] = {
            "n": len(lines),
            "successes": sum(theirs["success"]),
            "verdicts that differ": sum(a != b for a, b in zip(verdicts, theirs["success"], strict=True)),
            "theirs": 100 * sum(theirs["success"]) / len(lines),
            "ours": ours["tomg_success"],
            "similarity, theirs": theirs["similarity"],
            "similarity, ours": ours["tomg_similarity"],
        }
    return {"verdicts": table, "counts": compare_counts(checkout, sorted(set(molecules)))}


def compare_counts(checkout: Path, molecules: list[str]) -> dict:
    """Return how many molecules each group is counted differently in."""
    sys.path.insert(0, str(checkout))
    try:
        from utils.evaluation import mol_prop  # the benchmark's
    finally:
        sys.path.remove(str(checkout))
    differ = dict.fromkeys(TOMG_GROUPS, 0)
    for smiles in tqdm(molecules, desc="counting groups", unit=" molecules"):
        ours = count_groups(smiles)
        for name in TOMG_GROUPS:
            differ[name] += ours[name] != mol_prop(smiles, "num_" + name.replace(" ", "_"))
    return {"molecules": len(molecules), "groups": len(differ), "counts that differ": sum(differ.values())} | differ


def describe_tomg(results: dict) -> str:
    """Return the results as Markdown tables."""
    lines = [
        "| sub-task | answers | successes | verdicts that differ | success, theirs | ours | similarity, theirs | ours |",  # noqa: E501
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for task, found in results["verdicts"].items():
        pair = (found["similarity, theirs"], found["similarity, ours"])
        shown = " | ".join("–" if value is None else f"{value:.6f}" for value in pair)
        lines.append(
            f"| {task.split('/')[1]} | {found['n']:,} | {found['successes']:,} | {found['verdicts that differ']} "
            f"| {found['theirs']:.6f} | {found['ours']:.6f} | {shown} |"
        )
    counts = results["counts"]
    lines += [
        "",
        f"Of {counts['groups']} groups in {counts['molecules']:,} molecules, {counts['counts that differ']} counts "
        "differ.",
    ]
    return "\n".join(lines) + "\n"
