"""Files of rows: JSONL, CSV and TSV, gzipped or not, Excel sheets, and two formats of published reaction files.

Every function yields (line number, row) without checking the row, and (line number, ValueError) where a line gives
none.
"""

import codecs
import csv
import gzip
import io
import json
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rdkit import Chem

from chemr_lite.data.tables import LineReader, build_row, reader_of, rows_of, split_of
from chemr_lite.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".jsonl.gz", ".csv.gz", ".tsv", ".xlsx")  # read wherever a folder holds them
SUFFIXES_BY_NAME = (".txt", ".txt.tar.gz", "_sources")  # read only where the file itself is named


def read(path: Path, split: str | None = None) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a file with their line numbers.

    A line of a table that names no split is in `split`, by default the one that the file's name suggests. Raises
    DataError for an unreadable file or an unknown table.
    """
    try:
        yield from _read(path, split or split_of(path))
    except (OSError, EOFError, UnicodeError, zlib.error, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def read_hub(lines: Iterator[tuple[str, dict]], name: str) -> Iterator[tuple[int, Any]]:
    """Yield the rows of the hub's data set `name` from its (split, line) pairs. Raises DataError."""
    read_line = None
    for number, (split, line) in enumerate(lines, 1):
        read_line = read_line or reader_of({column.lower() for column in line}, name)
        yield from _numbered_rows(number, line, read_line, Path(name), split_of(Path(split)))


def _read(path: Path, split: str) -> Iterator[tuple[int, Any]]:
    if path.name.endswith(".xlsx"):
        yield from _table(path, _excel_sheet(path), split)
    elif path.name.endswith("_sources"):
        yield from _uspto50k(path, split)
    elif path.name.endswith(".txt.tar.gz"):
        yield from _uspto480k(path, split)
    else:
        data = path.read_bytes()
        text = decode(gzip.decompress(data) if path.name.endswith(".gz") else data)
        if ".jsonl" in path.suffixes:
            yield from _jsonl(text, split)
        else:
            yield from _table(path, _separated_values(text, is_tsv=path.suffix in (".tsv", ".txt")), split)


def decode(data: bytes) -> str:
    """Return the text of a file in UTF-8 or, with a byte order mark, UTF-16, with a line feed at each line's end.

    Raises UnicodeDecodeError.
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def load_json(text: str) -> Any:
    """Return the value of a JSON text. Half a surrogate pair in it could not be written again and becomes `?`.

    Raises ValueError.
    """
    return _writable(json.loads(text))


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_writable(part) for part in value]
    if isinstance(value, dict):
        return {_writable(name): _writable(part) for name, part in value.items()}
    return value


def _separated_values(text: str, is_tsv: bool) -> Iterator[tuple[int, list | ValueError]]:
    """Yield the records of a CSV or TSV with the numbers of their first lines.

    A quote that is never closed would swallow what follows. Its line gives an error, and the next one is read anew.
    """
    csv.field_size_limit(sys.maxsize)
    lines, start = [f"{line}\n" for line in text.split("\n")], 0
    while start < len(lines):
        # `strict` tells of an open quote at the end of the file and of text behind a closing one
        reader = csv.reader(
            lines[start:],
            delimiter="\t" if is_tsv else ",",
            quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL,
            strict=True,
        )
        read = 0
        try:
            for record in reader:
                if record:
                    yield start + read + 1, record
                read = reader.line_num
            return
        except csv.Error as error:
            yield start + read + 1, ValueError(f"a quote in it is not closed, or stands inside a field ({error})")
            start += read + 1


def _jsonl(text: str, split: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):  # JSON may hold the other line ends that splitlines knows
        if line.strip():
            try:
                row = load_json(line)
            except ValueError as error:
                row = error
            yield number, {"split": split} | row if isinstance(row, dict) else row


def _table(path: Path, records: Iterator[tuple[int, list | ValueError]], split: str) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a table, whose first record has the names of the columns."""
    _, header = next(records, (1, []))
    if isinstance(header, ValueError):
        raise DataError(f"{path}: line 1: {header}")
    columns = [str(name or "").strip().lower() for name in header]
    in_row_format = {"task", "input", "answer"} <= set(columns)
    read_line = None if in_row_format else reader_of(set(columns) - {""}, str(path))
    for number, record in records:
        try:
            line = _by_column(columns, record)
        except ValueError as error:
            yield number, error
            continue
        if read_line:
            yield from _numbered_rows(number, line, read_line, path, split)
        else:
            yield number, {"split": split} | {name: value for name, value in line.items() if value}


def _by_column(columns: list[str], record: list | ValueError) -> dict[str, str]:
    """Return the fields of a record by column; those that are missing at its end are empty. Raises ValueError."""
    if isinstance(record, ValueError):
        raise record
    fields = ["" if field is None else str(field) for field in record]
    if any(fields[len(columns) :]):
        raise ValueError(f"{len(fields)} fields, but {len(columns)} columns: put text that holds a comma in quotes")
    return dict(zip_longest(columns, fields[: len(columns)], fillvalue=""))


def _numbered_rows(number: int, line: dict, read_line: LineReader, path: Path, split: str) -> Iterator[tuple[int, Any]]:
    try:
        rows = rows_of(line, read_line, path, split)
    except ValueError as error:
        rows = [error]
    yield from ((number, row) for row in rows)


def _excel_sheet(path: Path) -> Iterator[tuple[int, list]]:
    """Yield the numbered lines of the first sheet."""
    import openpyxl  # optional: only Excel files need it

    sheet = openpyxl.load_workbook(path, read_only=True).worksheets[0]
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if any(cell is not None for cell in row):
            yield number, list(row)


def _uspto50k(path: Path, split: str) -> Iterator[tuple[int, dict]]:
    """Yield the rows of USPTO-50k as Liu et al. (2017) publish it, with a space between tokens.

    Each line of `*_sources` is a reaction class and a product. The same line of `*_targets` has the reactants.
    """
    targets = path.with_name(path.name.replace("_sources", "_targets"))
    with path.open() as source_lines, targets.open() as target_lines:
        for number, (source, target) in enumerate(zip_longest(source_lines, target_lines), 1):
            if source is None or target is None:
                shorter = path if source is None else targets
                raise DataError(f"{path} and {targets} differ in length: {shorter.name} ends after line {number - 1}")
            class_token, _, product = source.partition(" ")
            product, reactants = (tokens.replace(" ", "").strip() for tokens in (product, target))
            row = build_row(
                "retrosynthesis", product, reactants, **{"class": class_token.strip("<>").removeprefix("RX_")}
            )
            yield number, row | {"split": split}


def _uspto480k(path: Path, split: str) -> Iterator[tuple[int, Any]]:
    """Yield the rows of USPTO-480k as rexgen_direct packs it: lines of an atom-mapped reaction and its bond changes."""
    with tarfile.open(path) as archive:
        member = next(m for m in archive.getmembers() if m.isfile() and not Path(m.name).name.startswith("."))
        for number, line in enumerate(io.TextIOWrapper(archive.extractfile(member)), 1):
            reactants, _, product = next(iter(line.split()), "").partition(">>")
            sides = [_without_atom_maps(side) for side in (reactants, product)]
            if all(sides):
                yield number, build_row("reaction_prediction", *sides) | {"split": split}
            else:
                yield number, ValueError("no reaction that RDKit can read")


def _without_atom_maps(smiles: str) -> str | None:
    mol = Chem.MolFromSmiles(smiles)
    for atom in mol.GetAtoms() if mol else ():
        atom.SetAtomMapNum(0)
    return mol and Chem.MolToSmiles(mol)
