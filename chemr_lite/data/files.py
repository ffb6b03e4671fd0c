"""Files of rows: JSONL, CSV and TSV, gzipped or not, Excel sheets, and two formats of published reaction files.

Every function yields (line number, row) without checking the row, and (line number, ValueError) where a line gives
none.
"""

import csv
import gzip
import io
import json
import sys
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rdkit import Chem

from chemr_lite.data.tables import LineReader, build_row, reader_of, rows_of, split_of
from chemr_lite.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".jsonl.gz", ".csv.gz", ".tsv", ".xlsx")  # read wherever a folder holds them
SUFFIXES_BY_NAME = (".txt", ".txt.tar.gz", "_sources")  # read only where the file itself is named


def read(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a file with their line numbers. Raises DataError for an unreadable file or an unknown table."""
    try:
        yield from _read(path)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, tarfile.TarError, KeyError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def read_hub(lines: Iterator[tuple[str, dict]], name: str) -> Iterator[tuple[int, Any]]:
    """Yield the rows of the hub's data set `name` from its (split, line) pairs. Raises DataError."""
    read_line = None
    for number, (split, line) in enumerate(lines, 1):
        read_line = read_line or reader_of({column.lower() for column in line}, name)
        yield from _numbered_rows(number, line | {"split": split_of(Path(split))}, read_line, Path(name))


def _read(path: Path) -> Iterator[tuple[int, Any]]:
    if path.name.endswith(".xlsx"):
        yield from _table(path, *_excel_sheet(path))
    elif path.name.endswith("_sources"):
        yield from _uspto50k(path)
    elif path.name.endswith(".txt.tar.gz"):
        yield from _uspto480k(path)
    else:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("utf-8-sig")
        if ".jsonl" in path.suffixes:
            yield from _jsonl(text)
        else:
            csv.field_size_limit(sys.maxsize)
            is_tsv = path.suffix in (".tsv", ".txt")
            reader = csv.DictReader(
                io.StringIO(text),
                delimiter="\t" if is_tsv else ",",
                quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL,
            )
            yield from _table(path, reader.fieldnames or (), ((reader.line_num, line) for line in reader))


def _jsonl(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):  # JSON may hold the other line ends that splitlines knows
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                row = error
            yield number, row


def _table(path: Path, columns: Iterable, lines: Iterable[tuple[int, dict]]) -> Iterator[tuple[int, Any]]:
    columns = {str(name).lower() for name in columns if name}
    if {"task", "input", "answer"} <= columns:
        yield from ((number, dict(line)) for number, line in lines)
        return
    read_line = reader_of(columns, str(path))
    for number, line in lines:
        yield from _numbered_rows(number, line, read_line, path)


def _numbered_rows(number: int, line: dict, read_line: LineReader, path: Path) -> Iterator[tuple[int, Any]]:
    try:
        rows = rows_of(line, read_line, path)
    except ValueError as error:
        rows = [error]
    yield from ((number, row) for row in rows)


def _excel_sheet(path: Path) -> tuple[list, Iterator[tuple[int, dict]]]:
    """Return the columns and the numbered lines of the first sheet. An empty cell is an empty text."""
    import openpyxl  # optional: only Excel files need it

    rows = openpyxl.load_workbook(path, read_only=True).worksheets[0].iter_rows(values_only=True)
    columns = list(next(rows))
    lines = (dict(zip(columns, ("" if cell is None else str(cell) for cell in row), strict=True)) for row in rows)
    return columns, enumerate(lines, 2)


def _uspto50k(path: Path) -> Iterator[tuple[int, dict]]:
    """Yield the rows of USPTO-50k as Liu et al. (2017) publish it, with a space between tokens.

    Each line of `*_sources` is a reaction class and a product. The same line of `*_targets` has the reactants.
    """
    targets = path.with_name(path.name.replace("_sources", "_targets"))
    with path.open() as source_lines, targets.open() as target_lines:
        for number, (source, target) in enumerate(zip(source_lines, target_lines, strict=True), 1):
            class_token, _, product = source.partition(" ")
            product, reactants = (tokens.replace(" ", "").strip() for tokens in (product, target))
            row = build_row(
                "retrosynthesis", product, reactants, **{"class": class_token.strip("<>").removeprefix("RX_")}
            )
            yield number, row | {"split": split_of(path)}


def _uspto480k(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the rows of USPTO-480k as rexgen_direct packs it: lines of an atom-mapped reaction and its bond changes."""
    with tarfile.open(path) as archive:
        member = next(m for m in archive.getmembers() if m.isfile() and not Path(m.name).name.startswith("."))
        for number, line in enumerate(io.TextIOWrapper(archive.extractfile(member)), 1):
            reactants, _, product = line.split()[0].partition(">>")
            sides = [_without_atom_maps(side) for side in (reactants, product)]
            if all(sides):
                yield number, build_row("reaction_prediction", *sides) | {"split": split_of(path)}
            else:
                yield number, ValueError("no reaction that RDKit can read")


def _without_atom_maps(smiles: str) -> str | None:
    mol = Chem.MolFromSmiles(smiles)
    for atom in mol.GetAtoms() if mol else ():
        atom.SetAtomMapNum(0)
    return mol and Chem.MolToSmiles(mol)
