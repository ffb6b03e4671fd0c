"""Rows that took long to read and check are kept on disk, so that the next start of a run has them at once."""

import gzip
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import chemr_lite
from chemr_lite.data import Loaded, sources
from recipes.training.files import written_aside

SLOW = 20  # seconds of reading from which on the rows are kept


def kept(read: Callable[[], Loaded], names: list[str], root: str | None, *choices) -> Loaded:
    """Return `read()`, or what it returned before for the same files and `choices` by the same code."""
    path = sources.cache() / "rows" / f"{_key(names, root, choices)}.json.gz"
    if path.exists():
        content = json.loads(gzip.decompress(path.read_bytes()))
        return Loaded(content["rows"], content["problems"], Counter(content["removed"]))
    started = time.time()
    loaded = read()
    if time.time() - started > SLOW:
        content = {"rows": loaded.rows, "problems": loaded.problems, "removed": loaded.removed}
        with written_aside(path) as aside:
            aside.write_bytes(gzip.compress(json.dumps(content).encode(), 3))
    return loaded


def _key(names: list[str], root: str | None, choices: tuple) -> str:
    """Return a hash of what decides the rows: names, sizes and times of the files, the choices, and the code."""
    folder = Path(root) if root else sources.cache()
    paths = list(Path(chemr_lite.__file__).parent.rglob("*.py"))
    for name in (source for mix in names for source in sources.members(mix)):
        own = Path(name)
        named = [folder / file.path for file in sources.SOURCES.get(name, ())] or [own]
        paths += [found for path in named for found in ((path, *path.rglob("*")) if path.is_dir() else (path,))]
    state = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(paths) if path.is_file()]
    return hashlib.sha256(json.dumps([names, root, choices, state]).encode()).hexdigest()[:24]
