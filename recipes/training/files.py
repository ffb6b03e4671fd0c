"""Files that survive a kill: written beside their place and renamed, and JSON lines whose last one may be cut short."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chemr_lite.data.files import decode, load_json
from recipes.training.options import UsageError


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Give a temporary path for a file or a folder, and rename it to `target` at the end.

    What a killed start left at that path is removed first. If writing fails, nothing is left.
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
    """Write `value` as JSON, so that a reader never sees half of it."""
    with written_aside(path) as aside:
        aside.write_text(as_json(value))


def read_json(path: Path):
    """Return the JSON in `path`. Raises UsageError, which names the file, if it is damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged ({error}); delete {path.parent} to start it anew") from error


def copy_phase(source: Path, target: Path) -> None:
    """Copy a finished phase, unless `target` exists."""
    if not target.exists():
        with written_aside(target) as aside:
            shutil.copytree(source, aside)


def as_jsonl(lines: Iterable[dict]) -> str:
    """Return `lines` as the text of a file of JSON lines."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_jsonl(path: Path) -> list[dict]:
    """Return the complete lines of a file of JSON lines that may still be written, or whose writer was killed.

    A missing file counts as empty. Raises UsageError for a line that is not a JSON object.
    """
    return [line for _, line in read_lines(path, allow_cut=True)] if path.exists() else []


def resume_jsonl(path: Path) -> list[dict]:
    """Return the complete lines of a file of JSON lines, and remove a last one that was cut short, to append more."""
    lines = read_jsonl(path)
    if path.exists():
        text = path.read_text(encoding="utf-8")
        complete = text[: text.rfind("\n") + 1]
        if complete != text:
            path.write_text(complete, encoding="utf-8")
    return lines


def read_lines(path: Path, allow_cut: bool = False) -> Iterator[tuple[int, dict]]:
    """Yield line number and object for each line of a file of JSON lines; empty lines are skipped.

    With `allow_cut` a last line without a line end is skipped too. Raises UsageError for a file that cannot be read and
    for a line that is not a JSON object.
    """
    try:
        text = decode(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    lines = text.split("\n")  # splitlines() would also split at other line ends of Unicode, which JSON allows in text
    for number, line in enumerate(lines[:-1] if allow_cut else lines, 1):
        if not line.strip():
            continue
        try:
            value = load_json(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: not JSON ({error}); move the file away to start anew") from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}, line {number}: not a JSON object; move the file away to start anew")
        yield number, value


def append_jsonl(path: Path, lines: Iterable[dict]) -> None:
    """Append `lines` to a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(as_jsonl(lines))
