"""Files that survive a kill: written aside and renamed, and JSON lines whose last may have been cut short."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recipes.training.options import UsageError


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to, which becomes `target` once all is written.

    What is left there from a start that was killed goes first, and nothing stays where writing fails.
    """
    aside = target.with_name(target.name + ".partial")
    _remove(aside)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield aside
        aside.replace(target)
    finally:
        _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def as_json(value) -> str:
    """Return `value` as the text of a JSON file."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, value) -> None:
    """Write JSON so that a reader never sees half of it."""
    with written_aside(path) as aside:
        aside.write_text(as_json(value))


def read_json(path: Path):
    """Return the JSON in `path`. Raises UsageError, which names it, if it is damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged ({error}); delete {path.parent} to start it anew") from error


def as_jsonl(lines: Iterable[dict]) -> str:
    """Return `lines` as the text of a file of JSON lines."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_jsonl(path: Path) -> list[dict]:
    """Return the whole lines of a file of JSON lines that may still be written, or whose writer was killed.

    No file has no lines. Raises UsageError for a line that is no JSON object.
    """
    return [line for _, line in read_lines(path, cut=True)] if path.exists() else []


def resume_jsonl(path: Path) -> list[dict]:
    """Return the lines of a file of JSON lines and take a last one that was cut short off it, so that more can follow."""
    lines = read_jsonl(path)
    if path.exists():
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole, encoding="utf-8")
    return lines


def read_lines(path: Path, cut: bool = False) -> Iterator[tuple[int, dict]]:
    """Yield the objects in a file of JSON lines with their line numbers; empty lines are skipped.

    With `cut` a last line without its end is skipped too. Raises UsageError for a file that cannot be read, and for a
    line that is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    lines = text.split("\n")  # not at every character that Unicode calls a line's end
    for number, line in enumerate(lines[:-1] if cut else lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: not JSON ({error}); move the file away to start anew") from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}, line {number}: no JSON object; move the file away to start anew")
        yield number, value


def append_jsonl(path: Path, lines: Iterable[dict]) -> None:
    """Add `lines` to the end of a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(as_jsonl(lines))
