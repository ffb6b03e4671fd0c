"""Rows: where questions come from, and what is wrong with those that are left out.

A source is `nano` (embedded), the name of a public data set (chemr_lite.sources), a file or a folder of files. Files are
JSONL or CSV, gzipped or not, in the row format

    {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN", "split": "train", "meta": {}}

or tables that chemr_lite.tables knows. A training row without an answer, which a verified task may have, is one to practise
in phase 3 and of no use before. A bad row is left out and reported with file, line and reason.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chemr_lite.data import sources, splits, tables
from chemr_lite.data.splits import SPLITS
from chemr_lite.errors import DataError
from chemr_lite.reasons import Reason
from chemr_lite.tasks import get_task, list_tasks

NANO_ROWS = Path(__file__).resolve().parents[1] / "nano" / "rows.jsonl.gz"


@dataclass
class Loaded:
    """Rows by split, a line for each row that was left out, and how many were removed to keep the splits apart.

    Under "practice" are the training rows that have no answer.
    """

    rows: dict[str, list[dict]] = field(default_factory=lambda: {split: [] for split in (*SPLITS, "practice")})
    problems: list[str] = field(default_factory=list)
    removed: Counter = field(default_factory=Counter)

    @property
    def fingerprint(self) -> str:
        """A short hash of all rows, for run.json: the same rows give the same one."""
        text = json.dumps(self.rows, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def summary(self) -> str:
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in self.rows.items() if rows or split in SPLITS)
        tasks = len({row["task"] for rows in self.rows.values() for row in rows})
        removed = "".join(f"; removed {count:,} {what}" for what, count in self.removed.items())
        return f"{sizes} rows of {tasks} tasks; {len(self.problems):,} left out{removed}"


def load(
    wanted: list[str],
    tasks: list[str] | None = None,
    strict: bool = False,
    data_root: str | None = None,
    scaffold: bool = False,
) -> Loaded:
    """Read and check all sources in `wanted`; keep the rows of `tasks` (None: all) and keep the splits apart.

    `data_root` is a folder with the files of the named sources, read instead of downloading; `scaffold` splits the
    properties anew by scaffold. Raises DataError for a source that cannot be read, for one without a usable row, and
    with `strict` for a bad row.
    """
    loaded, chosen = Loaded(), set(tasks or list_tasks())
    rows: list[dict] = []
    for source in wanted:
        for name, lines in _parts(source, Path(data_root) if data_root else None, loaded.problems):
            rows += _checked(name, lines, loaded.problems, strict, chosen)
    if not rows:
        if tasks:
            raise DataError(f"{', '.join(wanted)}: no row of the tasks {', '.join(sorted(chosen))}")
        raise DataError(f"{', '.join(wanted)}: no row in it")
    if scaffold:
        splits.by_scaffold(rows)
    for row in rows:
        loaded.rows[row["split"]].append(row)
    loaded.rows["train"].sort(
        key=lambda row: not row["answer"]
    )  # of a question that comes twice the answered row stays
    if wanted != ["nano"]:  # nano's own splits are apart; a test proves it once and for all
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
    """The good rows of one file that belong to `tasks`; DataError if it has none at all."""
    usable = False
    for number, row in tqdm(lines, desc=name.rsplit("/", 1)[-1], unit=" rows", delay=2, leave=False):
        try:
            if isinstance(row, Exception):
                raise row
            if name != str(NANO_ROWS):  # the tests check the embedded rows
                row = check_row(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{name}, line {number}: {_plain(error)}")
            if strict:
                raise DataError(f"{problems[-1]} (bad rows are skipped unless strict is set)") from error
            continue
        usable = True
        if row["task"] in tasks:
            yield row
    if not usable:
        raise DataError(f"{name}: no usable row in it{f'; the first problem: {problems[-1]}' if problems else ''}")


def check_row(row: dict[str, Any]) -> dict[str, Any]:
    """`row` in the row format, with defaults filled in. Raises ValueError or KeyError with the reason if it is bad."""
    if not isinstance(row, dict):
        raise ValueError(f"no JSON object but {str(row)[:80]!r}")
    for name in ("task", "input"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise ValueError(f"{name!r} is missing or empty")
    task, meta = get_task(row["task"]), row.get("meta") or {}
    meta = json.loads(meta) if isinstance(meta, str) else meta
    if not isinstance(meta, dict):
        raise ValueError("'meta' is no JSON object")
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
        raise ValueError(f"the answer {clean['answer']!r} is no text")
    score = task.score(clean["answer"] or "C", clean)  # raises where meta lacks what the score needs
    if not clean["answer"]:
        if not task.verified:
            raise ValueError("'answer' is empty")
        return clean
    # an example of what has no gold may be paid less than 1, but not nothing
    fine = {Reason.CORRECT} if task.gold(clean) is not None else {Reason.CORRECT, Reason.TOO_DIFFERENT}
    if score.reason not in fine:
        raise ValueError(f"the answer {clean['answer'][:80]!r} does not pass its own task: {score.reason}")
    return clean


def _plain(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else f"{error}"


def _parts(source: str, root: Path | None, problems: list[str]) -> Iterator[tuple[str, Iterator[tuple[int, Any]]]]:
    """The files of a source, each as its name and its lines."""
    if source == "nano":
        yield str(NANO_ROWS), tables.read(NANO_ROWS)
    elif source in sources.names():
        if root and not root.is_dir():
            raise DataError(f"data root {root}: no such folder")
        yield from _named(source, root, problems)
    else:
        for path in _files(Path(source)):
            yield str(path), tables.read(path)


def _named(source: str, root: Path | None, problems: list[str]) -> Iterator[tuple[str, Iterator[tuple[int, Any]]]]:
    found = False
    for part in sources.files_of(source):
        if root and not (root / part.path).exists():
            problems.append(f"{root / part.path}: not there, left out of {source}")
            continue
        found = True
        if isinstance(part, sources.Hub):
            yield part.repo, tables.read_hub(sources.hub_lines(part, root), part.repo)
            continue
        path = sources.check(root / part.path, part) if root else sources.fetch(part)
        if not path.name.endswith("_targets"):  # read beside its sources
            yield str(path), tables.read(path)
    if not found:
        raise DataError(
            f"{root}: none of the files of {source} is there; the first is looked for at {root / sources.files_of(source)[0].path}"
        )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.name.endswith(tables.SUFFIXES))
        if not files:
            raise DataError(f"{path}: no {', '.join(tables.SUFFIXES)} file in this folder")
        return files
    if not path.exists():
        raise DataError(f"{path}: no such file; a source is nano, {', '.join(sources.names())}, a file or a folder")
    if not path.name.endswith(tables.SUFFIXES + tables.BY_NAME):
        raise DataError(f"{path}: not one of {', '.join(tables.SUFFIXES + tables.BY_NAME)}")
    return [path]
