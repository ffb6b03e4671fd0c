"""Rows: read from their sources, checked, and divided into splits.

A source is `nano` (embedded), the name of a public data set or of a mix of them (`chemr_lite.data.sources`), a file or
a folder of files.
Files are JSONL or CSV, gzipped or not, in the row format

    {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN", "split": "train", "meta": {}}

or tables that `chemr_lite.data.tables` knows. Training rows of a verified task need no answer. Only phase 3 can use
such rows. A bad row is skipped and reported with file, line and reason.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chemr_lite.data import files, sources, splits
from chemr_lite.data.splits import SPLITS
from chemr_lite.data.tables import split_of
from chemr_lite.errors import DataError
from chemr_lite.reasons import Reason
from chemr_lite.rewards import read_meta
from chemr_lite.tasks import get_task, list_tasks
from chemr_lite.tasks.base import unreadable_molecule

NO_MOLECULE = {Reason.EMPTY, Reason.SYNTAX, Reason.CHEMISTRY, Reason.INNER_WHITESPACE, Reason.REACTION_ARROW}
NANO_ROWS = Path(__file__).resolve().parents[1] / "nano" / "rows.jsonl.gz"


@dataclass
class Loaded:
    """Checked rows by split; "practice" has the training rows without an answer.

    `problems` has a line for each row that was skipped. `removed` counts, by reason, the rows that were removed to keep
    the splits apart.
    """

    rows: dict[str, list[dict]] = field(default_factory=lambda: {split: [] for split in (*SPLITS, "practice")})
    problems: list[str] = field(default_factory=list)
    removed: Counter = field(default_factory=Counter)

    @property
    def fingerprint(self) -> str:
        """Return a short hash of all rows, by which two runs can be compared."""
        text = json.dumps(self.rows, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def summary(self) -> str:
        """Return one line with the number of rows by split, of tasks, of skipped rows and of removed rows."""
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in self.rows.items() if rows or split in SPLITS)
        tasks = len({row["task"] for rows in self.rows.values() for row in rows})
        removed = "".join(f"; removed {count:,} {reason}" for reason, count in self.removed.items())
        return f"{sizes} rows of {tasks} tasks; {len(self.problems):,} left out{removed}"


def load(
    names: list[str],
    tasks: list[str] | None = None,
    strict: bool = False,
    data_root: str | None = None,
    scaffold: bool = False,
) -> Loaded:
    """Read and check the sources in `names`, keep the rows of `tasks` (None: all), and separate the splits.

    The files of public data sets are downloaded, or read from the folder `data_root` if it is given. With `scaffold`,
    property rows are split anew by scaffold. Raises DataError for a source that cannot be read or has no usable row,
    and with `strict` for the first bad row. A part of a mix that cannot be read is one of the problems instead, as long
    as another part has rows.
    """
    loaded, selected = Loaded(), set(tasks or list_tasks())
    root = Path(data_root) if data_root else None
    rows: list[dict] = []
    names = [name.strip() for name in names if name.strip()]  # a comma too many names nothing
    if not names:
        raise DataError(
            f"no source of rows is named; a source is nano, {', '.join(sources.names())}, a file or a folder"
        )
    for mix in names:
        for source in sources.members(mix):
            try:
                for name, lines in _files_of(source, root, loaded.problems):
                    rows += _checked(name, lines, loaded.problems, strict, selected)
            except DataError as error:
                if strict or source == mix:
                    raise
                loaded.problems.append(f"{source}: left out of {mix}: {error}")
    if not rows:
        if tasks:
            raise DataError(f"{', '.join(names)}: no row of the tasks {', '.join(sorted(selected))}")
        why = f"; the first problem: {loaded.problems[0]}" if loaded.problems else ""
        raise DataError(f"{', '.join(names)}: no row in it{why}")
    if scaffold:
        splits.by_scaffold(rows)
    for row in rows:
        loaded.rows[row["split"]].append(row)
    loaded.rows["train"].sort(key=lambda row: not row["answer"])  # of two equal questions the answered one is kept
    if names != ["nano"]:  # a test checks nano's splits
        loaded.removed = splits.separate(loaded.rows)
    train = loaded.rows["train"]
    loaded.rows |= {
        "train": [row for row in train if row["answer"]],
        "practice": [row for row in train if not row["answer"]],
    }
    return loaded


def _checked(
    name: str, lines: Iterator[tuple[int, Any]], problems: list[str], strict: bool, tasks: set[str]
) -> Iterator[dict]:
    """Yield the good rows of one file that belong to `tasks`. Raises DataError if no row of the file is good."""
    usable, problems_before = False, len(problems)
    for number, row in tqdm(lines, desc=name.rsplit("/", 1)[-1], unit=" rows", delay=2, leave=False):
        try:
            if isinstance(row, Exception):
                raise row
            if name != str(NANO_ROWS):  # a test checks nano's rows
                row = check_row(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{name}, line {number}: {_message(error)}")
            if strict:
                raise DataError(f"{problems[-1]} (bad rows are skipped unless strict is set)") from error
            continue
        usable = True
        if row["task"] in tasks:
            yield row
    if not usable:
        first = f"; the first problem: {problems[problems_before]}" if problems[problems_before:] else ""
        raise DataError(f"{name}: no usable row in it{first}")


def check_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `row` in the row format, with defaults filled in.

    Raises ValueError, KeyError, TypeError or AttributeError for a bad row.
    """
    if not isinstance(row, dict):
        raise ValueError(f"not a JSON object: {str(row)[:80]!r}")
    row = {str(name).strip().lower(): value for name, value in row.items()}
    for name in ("task", "input"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise ValueError(f"{name!r} is missing or empty")
    task, meta = get_task(row["task"]), read_meta(row.get("meta"))
    clean = {
        "task": row["task"],
        "input": row["input"],
        "answer": row.get("answer") or "",
        "split": row.get("split") or "train",
        "meta": meta,
    }
    if clean["split"] not in SPLITS:
        raise ValueError(f"split {clean['split']!r} is none of {', '.join(SPLITS)}")
    if not isinstance(clean["answer"], str):
        raise ValueError(f"the answer {clean['answer']!r} is not text")
    if task.answers == "choice" and clean["answer"].strip().lower() in ("yes", "no"):
        clean["answer"] = clean["answer"].strip().capitalize()  # figures such as F1 count exactly Yes and No
    score = task.score(clean["answer"] or "C", clean)  # raises where meta lacks what the score needs
    if not clean["answer"]:
        if not task.verified:
            raise ValueError("'answer' is empty")
        return _about_molecules(clean)
    # without a gold answer, an example may score less than 1
    allowed = {Reason.CORRECT} if task.gold(clean) is not None else {Reason.CORRECT, Reason.TOO_DIFFERENT}
    if score.reason not in allowed:
        raise ValueError(f"the answer {clean['answer'][:80]!r} does not pass its own task: {score.reason}")
    return _about_molecules(clean)


def _about_molecules(row: dict[str, Any]) -> dict[str, Any]:
    """Return `row`. Raises ValueError if its question is about something that is no molecule.

    What the gate refuses only as an answer, such as a lone ion, can be asked about.
    """
    unreadable = unreadable_molecule(row)
    if unreadable and unreadable[2] in NO_MOLECULE:
        side, smiles, reason = unreadable
        raise ValueError(f"the {side} {smiles[:80]!r} is no molecule: {reason}")
    return row


def _message(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else f"{error}"  # str() would quote it


def _files_of(source: str, root: Path | None, problems: list[str]) -> Iterator[tuple[str, Iterator[tuple[int, Any]]]]:
    """Yield the name and the lines of each file of a source."""
    if source == "nano":
        yield str(NANO_ROWS), files.read(NANO_ROWS)
    elif source in sources.SOURCES:
        if root and not root.is_dir():
            raise DataError(f"data root {root}: no such folder")
        yield from _public_files(source, root, problems)
    else:
        for path in _own_files(Path(source)):
            yield str(path), files.read(path, split_of(path, Path(source)))


def _public_files(
    source: str, root: Path | None, problems: list[str]
) -> Iterator[tuple[str, Iterator[tuple[int, Any]]]]:
    has_file = False
    for file in sources.SOURCES[source]:
        if root and not (root / file.path).exists():
            problems.append(f"{root / file.path}: not there, left out of {source}")
            continue
        has_file = True
        if isinstance(file, sources.Hub):
            yield file.repo, files.read_hub(sources.hub_lines(file, root), file.repo)
            continue
        path = sources.check(root / file.path, file) if root else sources.fetch(file)
        if not path.name.endswith("_targets"):  # read together with its sources
            yield str(path), files.read(path)
    if not has_file:
        first = root / sources.SOURCES[source][0].path
        raise DataError(f"{root}: none of the files of {source} is there; the first is looked for at {first}")


def _own_files(path: Path) -> list[Path]:
    if path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.name.endswith(files.SUFFIXES))
        if not paths:
            raise DataError(f"{path}: no {', '.join(files.SUFFIXES)} file in this folder")
        return paths
    if not path.exists():
        raise DataError(f"{path}: no such file; a source is nano, {', '.join(sources.names())}, a file or a folder")
    suffixes = files.SUFFIXES + files.SUFFIXES_BY_NAME
    if not path.name.endswith(suffixes):
        raise DataError(f"{path}: not one of {', '.join(suffixes)}")
    return [path]
