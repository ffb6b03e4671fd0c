"""Rows: where questions come from, and what is wrong with those that are left out.

A source is `nano` (embedded), a file or a folder of files. Files are JSONL or CSV, gzipped or not, in the row format

    {"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN", "split": "train", "meta": {}}

or tables with the columns named in `TABLES` below. A bad row is left out and reported with file, line and reason.
"""

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chemr_lite.reasons import Reason
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import get_task, list_tasks

SPLITS = ("train", "validation", "test")
NANO_ROWS = Path(__file__).parent / "nano" / "rows.jsonl.gz"
SUFFIXES = (".jsonl", ".csv", ".jsonl.gz", ".csv.gz")


class DataError(ValueError):
    """Data that cannot be used, said in one line: file, what is wrong, what to do."""


@dataclass
class Loaded:
    """Rows by split, and a line for each row that was left out."""

    rows: dict[str, list[dict]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    problems: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """A short hash of all rows, for run.json: the same rows give the same one."""
        text = json.dumps(self.rows, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def summary(self) -> str:
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in self.rows.items())
        tasks = len({row["task"] for rows in self.rows.values() for row in rows})
        return f"{sizes} rows of {tasks} tasks; {len(self.problems):,} left out"


def _forward(table: dict, stem: str) -> dict:
    return {"task": "reaction_prediction", "input": table["input"], "answer": table["product"], "meta": {}}


def _retro(table: dict, stem: str) -> dict:
    meta = {"class": table["reaction_class"]} if table.get("reaction_class") else {}
    return {"task": "retrosynthesis", "input": table["product"], "answer": table["reactants"], "meta": meta}


def _property(table: dict, stem: str) -> dict:
    sub = stem.split("_")[0].split(".")[0]  # the file says which property it is: bbbp.csv, tox21_sr_p53.csv.gz
    if table["label"] not in ("0", "1"):
        raise ValueError(f"label {table['label']!r} is neither 0 nor 1")
    return {"task": f"property_prediction/{sub}", "input": table["smiles"], "answer": "Yes" if table["label"] == "1" else "No", "meta": {}}


_TOMG = {
    "AddComponent": "mol_edit_add", "DelComponent": "mol_edit_delete", "SubComponent": "mol_edit_substitute",
    "LogP": "mol_opt_logp", "MR": "mol_opt_mr", "QED": "mol_opt_qed",
    "AtomNum": "mol_custom_atoms", "BondNum": "mol_custom_bonds", "FunctionalGroup": "mol_custom_groups",
}  # fmt: skip


def _tomg(table: dict, stem: str) -> dict:
    sub, wanted = _TOMG[table["subtask"]], json.loads(table["constraint"])
    if sub.startswith("mol_custom"):
        meta = {sub.rsplit("_", 1)[1]: {name.replace("benzene rings", "benzene ring"): n for name, n in wanted.items()}}
    else:
        meta = wanted | {"source": table["source_molecule"]}
    return {"task": f"open_generation/{sub}", "input": table["instruction"], "answer": table["answer"], "meta": meta}


# columns that tell a table's kind → how one of its lines becomes a row. A `split` column is used where there is one.
TABLES: dict[tuple[str, ...], Callable[[dict, str], dict]] = {
    ("subtask", "instruction", "source_molecule", "constraint", "answer"): _tomg,
    ("product", "reactants", "reaction_class"): _retro,
    ("input", "product"): _forward,
    ("smiles", "label"): _property,
}


def load(sources: list[str], tasks: list[str] | None = None, strict: bool = False) -> Loaded:
    """Read and check all `sources`; keep the rows of `tasks` (None: all).

    Raises DataError for a source that cannot be read, for one without a usable row, and with `strict` for a bad row.
    """
    loaded, wanted = Loaded(), set(tasks or list_tasks())
    for source in sources:
        for path in _files(source):
            count = 0
            for line, raw in tqdm(_read(path), desc=path.name, unit=" rows", delay=2, leave=False):
                where = f"{path}, line {line}"
                try:
                    row = raw if isinstance(raw, dict) else json.loads(raw)
                    row = row if path == NANO_ROWS else check_row(row)  # the tests check the embedded rows once and for all
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    loaded.problems.append(f"{where}: {_plain(error)}")
                    if strict:
                        raise DataError(f"{loaded.problems[-1]} (leave --strict out to skip such rows)") from error
                    continue
                count += 1
                if row["task"] in wanted:
                    loaded.rows[row["split"]].append(row)
            if not count:
                why = f"; the first problem: {loaded.problems[-1]}" if loaded.problems else ""
                raise DataError(f"{path}: no usable row in it{why}")
    if tasks and not any(loaded.rows.values()):
        raise DataError(f"{', '.join(sources)}: no row of the tasks {', '.join(sorted(wanted))}")
    _separate(loaded)
    return loaded


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
        if not clean["task"].startswith("open_generation"):
            raise ValueError("'answer' is empty")
        if clean["split"] == "train":
            raise ValueError("'answer' is empty in a training row")
        return clean
    # an example of what has no gold may be paid less than 1, but not nothing
    fine = {Reason.CORRECT} if task.gold(clean) is not None else {Reason.CORRECT, Reason.TOO_DIFFERENT}
    if score.reason not in fine:
        raise ValueError(f"the answer {clean['answer'][:80]!r} does not pass its own task: {score.reason}")
    return clean


def _plain(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else f"{error}"


def _files(source: str) -> list[Path]:
    if source == "nano":
        return [NANO_ROWS]
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.endswith(SUFFIXES))
        if not files:
            raise DataError(f"{path}: no {', '.join(SUFFIXES)} file in this folder")
        return files
    if not path.exists():
        raise DataError(f"{path}: no such file; --data takes nano, a file or a folder")
    if not path.name.endswith(SUFFIXES):
        raise DataError(f"{path}: not one of {', '.join(SUFFIXES)}")
    return [path]


def _read(path: Path) -> Iterator[tuple[int, Any]]:
    """Lines of a file as (line number, text or mapping)."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if ".jsonl" in path.suffixes:
        yield from ((n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    csv.field_size_limit(sys.maxsize)
    reader = csv.DictReader(io.StringIO(text))
    columns = set(reader.fieldnames or ())
    if {"task", "input", "answer"} <= columns:
        yield from ((reader.line_num, dict(line)) for line in reader)
        return
    reads = next((reads for needed, reads in TABLES.items() if set(needed) <= columns), None)
    if reads is None:
        known = "; ".join(", ".join(needed) for needed in TABLES)
        raise DataError(
            f"{path}: columns {', '.join(sorted(columns)) or 'none'} are not known. A table has task, input, answer or one of: {known}"
        )
    for line in reader:
        try:
            yield reader.line_num, reads(line, path.name) | {"split": line.get("split", "")}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            yield reader.line_num, {"task": f"unreadable: {_plain(error)}", "input": "-"}


def _separate(loaded: Loaded) -> None:
    """Drop repeated rows, and training or validation rows whose question is also one of a later split."""
    seen: set[tuple] = set()
    dropped: Counter = Counter()
    for split in reversed(SPLITS):
        kept, fresh = [], set()
        for row in loaded.rows[split]:
            parsed = parse_smiles(row["input"])
            key = (row["task"], parsed.key if parsed.ok else row["input"])
            if key in seen or key in fresh:
                dropped[split] += 1
                continue
            fresh.add(key)
            kept.append(row)
        loaded.rows[split], seen = kept, seen | fresh
    for split, count in dropped.items():
        loaded.problems.append(f"{count} {split} rows: repeated, or also in a later split")


def sample(rows: list[dict], per_macro: int, seed: int = 0) -> list[dict]:
    """At most `per_macro` rows of each macro-task, spread evenly over its sub-tasks; the same ones on every call."""
    import random

    by_task: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    members = Counter(get_task(task).macro for task in by_task)
    chosen, place = [], Counter()
    for task, group in by_task.items():
        macro = get_task(task).macro
        share = per_macro // members[macro] + (place[macro] < per_macro % members[macro])
        place[macro] += 1
        chosen += group if len(group) <= share else random.Random(f"{seed}/{task}").sample(group, share)
    return chosen
