"""Published tables: how a line of one becomes rows.

A table is known by its columns (lower case), those of a benchmark's own files and of tidy ones alike. One line can give
several rows: a molecule with its name is four questions. What is odd in the published files is handled here:

* HIV's column `activity` repeats the label, so nothing but the structure reaches the question.
* ChemLLMBench's Tox21 is the assay SR-p53; lines without that label are no rows.
* "High" yield is 60 % and more.
* In ChemLLMBench's selection prompts the roles are shuffled between the chemicals; they are told apart by structure.
* OpenMolIns exchanges molecule and group in some instructions; and TOMG's test files write `benzene_ring`.
* Names tell stereochemistry of structures that are drawn without: a name is asked for as far as the drawing goes.
* ChEBI-20's text files double each backslash.
"""

import ast
import csv
import gzip
import io
import json
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from rdkit import Chem

from chemr_lite.data.yield_screens import buchwald_reaction, role_of, suzuki_reaction
from chemr_lite.errors import DataError
from chemr_lite.smiles import shows_stereo
from chemr_lite.tasks.name_prediction import STEREO
from chemr_lite.tasks.open_generation import read_instruction

SUFFIXES = (".jsonl", ".csv", ".jsonl.gz", ".csv.gz", ".tsv", ".xlsx")  # what a folder is searched for
BY_NAME = (".txt", ".txt.tar.gz", "_sources")  # read too where they are named
HIGH_YIELD = 60.0


def _row(task: str, question: str, answer: str, **meta) -> dict:
    return {"task": task, "input": question, "answer": answer, "meta": meta}


def _yes(flag: str) -> str:
    if str(flag) not in ("0", "1", "0.0", "1.0"):
        raise ValueError(f"label {flag!r} is neither 0 nor 1")
    return "Yes" if float(flag) else "No"


def _property(sub: str, structure: str, label: str) -> Callable[[dict, Path], list[dict]]:
    def read(line: dict, path: Path) -> list[dict]:
        if not line[label]:
            return []  # Tox21: not measured
        return [_row(f"property_prediction/{sub}", line[structure], _yes(line[label]))]

    return read


def _labelled(line: dict, path: Path) -> list[dict]:
    sub = path.name.split("_")[0].split(".")[0]  # the file says which property it is: bbbp.csv, tox21_sr_p53.csv.gz
    return [_row(f"property_prediction/{sub}", line["smiles"], _yes(line["label"]))]


def _names(line: dict, path: Path) -> list[dict]:
    smiles, name, formula = line["smiles"], line["iupac"], line["formula"]
    shown = name if shows_stereo(smiles) else STEREO.sub("", name)  # nobody can tell what is not drawn
    split = {"split": line["label"]} if line.get("label") in ("train", "test") else {}  # ChemLLMBench says so there
    return [
        _row("name_prediction/smiles_to_iupac", smiles, shown) | split,
        _row("name_prediction/iupac_to_smiles", name, smiles) | split,
        _row("name_prediction/smiles_to_formula", smiles, formula) | split,
        _row("name_prediction/iupac_to_formula", name, formula, smiles=smiles) | split,
    ]


def _captions(line: dict, path: Path) -> list[dict]:
    smiles = line["smiles"].replace("\\\\", "\\")
    return [
        _row("molecule_design", line["description"], smiles),
        _row("molecule_captioning", smiles, line["description"]),
    ]


_TOMG = {
    "AddComponent": "mol_edit_add", "DelComponent": "mol_edit_delete", "SubComponent": "mol_edit_substitute",
    "LogP": "mol_opt_logp", "MR": "mol_opt_mr", "QED": "mol_opt_qed",
    "AtomNum": "mol_custom_atoms", "BondNum": "mol_custom_bonds", "FunctionalGroup": "mol_custom_groups",
}  # fmt: skip


def _tomg_tidy(line: dict, path: Path) -> list[dict]:
    sub, wanted = _TOMG[line["subtask"]], json.loads(line["constraint"])
    if sub.startswith("mol_custom"):
        meta = {sub.rsplit("_", 1)[1]: {name.replace("benzene rings", "benzene ring"): n for name, n in wanted.items()}}
    else:
        meta = wanted | {"source": line["source_molecule"]}
    return [_row(f"open_generation/{sub}", line["instruction"], line["answer"], **meta)]


def _tomg_test(line: dict, path: Path) -> list[dict]:
    sub, meta = read_instruction(line["instruction"])
    return [_row(f"open_generation/{sub}", line["instruction"], "", **meta)]


def _openmolins(line: dict, path: Path) -> list[dict]:
    sub, meta = read_instruction(line["instruction"])
    return [_row(f"open_generation/{sub}", line["instruction"], line["molecule"], **meta)]


def _yield(sub: str, reaction: str, percent: float) -> dict:
    return _row(f"yield_prediction/{sub}", reaction, "Yes" if percent >= HIGH_YIELD else "No", percent=percent)


def _yield_tidy(line: dict, path: Path) -> list[dict]:
    return [_yield("buchwald_hartwig" if "aryl_halide" in line else "suzuki", line["rxn"], float(line["yield_pct"]))]


def _with_own_split(row: dict) -> dict:
    """The screens come without a split (ChemLLMBench's tests of them are pickles, which are never read): a tenth of the
    reactions is for the test and a twentieth for validation, by a hash of the reaction (ours)."""
    draw = sha256(row["input"].encode()).digest()[0]
    return row | {"split": "test" if draw < 26 else "validation" if draw < 39 else "train"}


def _buchwald(line: dict, path: Path) -> list[dict]:
    reaction = buchwald_reaction(line["aryl halide"], line["ligand"], line["base"], line["additive"])
    return [_with_own_split(_yield("buchwald_hartwig", reaction, float(line["output"])))]


def _suzuki(line: dict, path: Path) -> list[dict]:
    names = ("reactant_1_name", "reactant_2_name", "ligand_short_hand", "reagent_1_short_hand", "solvent_1_short_hand")
    reaction = suzuki_reaction(*(line[name] for name in names))
    return [_with_own_split(_yield("suzuki", reaction, float(line["product_yield_pct_area_uv"])))]


def _selection(
    role: str, given: Iterable[tuple[str, str]], candidates: list[str], ranked: list[str], yields: list[float]
) -> dict:
    """Right are the candidates of the highest yield; of ligands the better half, as ChemLLMBench counts them."""
    best = (
        ranked[: len(ranked) // 2]
        if role == "ligand"
        else [c for c, y in zip(ranked, yields, strict=True) if y == yields[0]]
    )
    lines = [f"{name.capitalize()}: {smiles}" for name, smiles in given if smiles]
    question = "\n".join([*lines, f"List: {', '.join(candidates)}"])
    return _row(f"reagent_selection/{role}", question, ranked[0], candidates=candidates, accepted=best)


def _selection_tidy(line: dict, path: Path) -> list[dict]:
    given = [(name.split("_")[0], line[name]) for name in ("reactant_1", "reactant_2", "ligand", "base", "solvent")]
    return [_selection(line["kind"], given, *(json.loads(line[name]) for name in ("candidates", "ranked", "yields")))]


def _selection_prompt(line: dict, path: Path) -> list[dict]:
    asked = line["task"].rsplit("Given the rest of reaction components:", 1)[1]
    given, listed = asked.split("list for selection:")
    *given, role = given.strip().splitlines()  # the last line opens the list: "Reactants "
    candidates = listed.split("Optimal")[0].strip().split(",")
    chemicals = [text.split(":", 1)[1].strip() for text in given]
    parts = sorted(
        ((role_of(c), c) for c in chemicals), key=lambda part: ("reactant", "ligand", "base", "solvent").index(part[0])
    )
    details = [entry for group in ast.literal_eval(line["yield_details"]) for entry in group]
    return [
        _selection(
            role.strip().lower().rstrip("s"), parts, candidates, [c for c, _ in details], [y for _, y in details]
        )
    ]


def _reaction(question: str, answer: str) -> Callable[[dict, Path], list[dict]]:
    return lambda line, path: [_row("reaction_prediction", line[question], line[answer])]


def _retro(product: str, reactants: str) -> Callable[[dict, Path], list[dict]]:
    def read(line: dict, path: Path) -> list[dict]:
        meta = {"class": line["reaction_class"]} if line.get("reaction_class") else {}
        return [_row("retrosynthesis", line[product], line[reactants], **meta)]

    return read


_SMOLINSTRUCT = {
    "forward_synthesis": "reaction_prediction", "retrosynthesis": "retrosynthesis",
    "molecule_generation": "molecule_design", "molecule_captioning": "molecule_captioning",
    "name_conversion-s2i": "name_prediction/smiles_to_iupac", "name_conversion-i2s": "name_prediction/iupac_to_smiles",
    "name_conversion-s2f": "name_prediction/smiles_to_formula", "name_conversion-i2f": "name_prediction/iupac_to_formula",
    "property_prediction-bbbp": "property_prediction/bbbp", "property_prediction-hiv": "property_prediction/hiv",
    "property_prediction-clintox": "property_prediction/clintox",
}  # fmt: skip


def _smolinstruct(line: dict, path: Path) -> list[dict]:
    task = _SMOLINSTRUCT.get(line["task"])  # the others (solubility, side effects …) are none of ours
    return [_row(task, line["raw_input"], line["raw_output"])] if task else []


# columns that tell a table's kind → how one of its lines becomes rows; the first that fits is taken
TABLES: dict[tuple[str, ...], Callable[[dict, Path], list[dict]]] = {
    ("subtask", "instruction", "source_molecule", "constraint", "answer"): _tomg_tidy,
    ("subtask", "instruction", "molecule"): _openmolins,
    ("instruction",): _tomg_test,
    ("task", "candidate_rank", "yield_details"): _selection_prompt,
    ("kind", "candidates", "ranked", "yields"): _selection_tidy,
    ("rxn", "yield_pct"): _yield_tidy,
    ("aryl halide", "ligand", "base", "additive", "output"): _buchwald,
    ("reactant_1_name", "reactant_2_name", "product_yield_pct_area_uv"): _suzuki,
    ("product", "reactants", "reaction_class"): _retro("product", "reactants"),
    ("products_smiles", "reactants_smiles"): _retro("products_smiles", "reactants_smiles"),
    ("task", "raw_input", "raw_output"): _smolinstruct,
    ("input", "product"): _reaction("input", "product"),
    ("reactant", "product"): _reaction("reactant", "product"),
    ("smiles", "description"): _captions,
    ("smiles", "iupac", "formula"): _names,
    ("smiles", "hiv_active"): _property("hiv", "smiles", "hiv_active"),
    ("smiles", "p_np"): _property("bbbp", "smiles", "p_np"),
    ("smiles", "ct_tox"): _property("clintox", "smiles", "ct_tox"),
    ("mol", "class"): _property("bace", "mol", "class"),
    ("smiles", "label"): _labelled,
    ("smiles", "sr-p53"): _property("tox21", "smiles", "sr-p53"),
}


def split_of(path: Path) -> str:
    """The split that a file's name speaks of, else train; ChemLLMBench's selection tests are called samples."""
    name = path.name.lower()
    return "test" if "test" in name or "sample" in name else "validation" if "valid" in name else "train"


def read(path: Path) -> Iterator[tuple[int, Any]]:
    """The rows of a file, unchecked, as (line number, mapping); (line number, ValueError) for a line that is none.

    Raises DataError for a file that cannot be read or a table that is not known.
    """
    try:
        yield from _read(path)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, tarfile.TarError, KeyError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _read(path: Path) -> Iterator[tuple[int, Any]]:
    if path.name.endswith(".xlsx"):
        yield from _lines(path, *_sheet(path))
    elif path.name.endswith("_sources"):
        yield from _paired(path)
    elif path.name.endswith(".txt.tar.gz"):
        yield from _mapped(path)
    else:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("utf-8-sig")
        if ".jsonl" in path.suffixes:
            for number, line in enumerate(text.split("\n"), 1):
                if line.strip():
                    yield number, _json(line)
        else:
            csv.field_size_limit(sys.maxsize)
            tabs = path.suffix in (".tsv", ".txt")
            reader = csv.DictReader(
                io.StringIO(text),
                delimiter="\t" if tabs else ",",
                quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
            )
            yield from _lines(path, reader.fieldnames or (), ((reader.line_num, line) for line in reader))


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        return error


def _lines(path: Path, columns: Iterable, lines: Iterable[tuple[int, dict]]) -> Iterator[tuple[int, Any]]:
    columns = {str(name).lower() for name in columns if name}
    if {"task", "input", "answer"} <= columns:
        yield from ((number, dict(line)) for number, line in lines)
        return
    reads = reader_of(columns, str(path))
    for number, line in lines:
        yield from _rows(number, line, reads, path)


def reader_of(columns: set[str], name: str) -> Callable[[dict, Path], list[dict]]:
    """The reader of a table with these columns (lower case); DataError where there is none."""
    for needed, reads in TABLES.items():
        if set(needed) <= columns:
            return reads
    known = "; ".join(", ".join(needed) for needed in TABLES)
    raise DataError(
        f"{name}: columns {', '.join(sorted(columns)) or 'none'} are not known. A table has task, input, answer or one of: {known}"
    )


def _rows(number: int, line: dict, reads: Callable[[dict, Path], list[dict]], path: Path) -> Iterator[tuple[int, Any]]:
    try:
        lower = {str(name).lower(): value for name, value in line.items()}
        for row in reads(lower, path):
            yield number, {"split": lower.get("split") or split_of(path)} | row
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, SyntaxError) as error:
        yield number, ValueError(f"missing {error}" if isinstance(error, KeyError) else str(error))


def read_hub(lines: Iterator[tuple[str, dict]], name: str) -> Iterator[tuple[int, Any]]:
    """The rows of a data set of the hub, from its (split, line) pairs."""
    reads = None
    for number, (split, line) in enumerate(lines, 1):
        reads = reads or reader_of({column.lower() for column in line}, name)
        yield from _rows(number, line | {"split": split_of(Path(split))}, reads, Path(name))


def _sheet(path: Path) -> tuple[list, Iterator[tuple[int, dict]]]:
    """Columns and lines of the first sheet of an Excel file; empty cells are empty texts."""
    import openpyxl

    rows = openpyxl.load_workbook(path, read_only=True).worksheets[0].iter_rows(values_only=True)
    columns = list(next(rows))
    lines = (dict(zip(columns, ("" if cell is None else str(cell) for cell in row), strict=True)) for row in rows)
    return columns, enumerate(lines, 2)


def _paired(path: Path) -> Iterator[tuple[int, dict]]:
    """USPTO-50k of Liu et al. 2017: products with their class in `*_sources`, reactants in `*_targets`, tokens spaced."""
    targets = path.with_name(path.name.replace("_sources", "_targets"))
    with path.open() as products, targets.open() as reactants:
        for number, (source, target) in enumerate(zip(products, reactants, strict=True), 1):
            kind, _, product = source.partition(" ")
            meta = {"class": kind.strip("<>").removeprefix("RX_")}
            yield (
                number,
                _row("retrosynthesis", product.replace(" ", "").strip(), target.replace(" ", "").strip(), **meta)
                | {"split": split_of(path)},
            )


def _mapped(path: Path) -> Iterator[tuple[int, Any]]:
    """USPTO-480k as rexgen_direct packs it: lines of an atom-mapped reaction and its bond changes."""
    with tarfile.open(path) as archive:
        member = next(m for m in archive.getmembers() if m.isfile() and not Path(m.name).name.startswith("."))
        for number, line in enumerate(io.TextIOWrapper(archive.extractfile(member)), 1):
            left, _, right = line.split()[0].partition(">>")
            sides = [_unmapped(side) for side in (left, right)]
            if all(sides):
                yield number, _row("reaction_prediction", *sides) | {"split": split_of(path)}
            else:
                yield number, ValueError("no reaction that RDKit can read")


def _unmapped(smiles: str) -> str | None:
    mol = Chem.MolFromSmiles(smiles)
    for atom in mol.GetAtoms() if mol else ():
        atom.SetAtomMapNum(0)
    return mol and Chem.MolToSmiles(mol)
