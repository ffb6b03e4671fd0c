"""Chemical reasoning protocols: the steps in which a task is reasoned through, kept as data (protocols.yaml).

`load_protocols()` gives those of this package, `load_protocols(path)` those of a file that someone has edited or mined
from a teacher; its name alone gives one of BUILT_IN. A task without a protocol there has none, and trains on its answers
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from chemr_lite.errors import ProtocolError
from chemr_lite.registry import select_tasks

DEFAULT = Path(__file__).with_name("protocols.yaml")
BUILT_IN = {"default": DEFAULT, "nano": DEFAULT.parent / "nano" / "protocols.yaml"}
ABOUT = ("question", "answer", "both")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a protocol: `heading` as it stands in a trace, `fact` its name in the file, and what that says of it."""

    heading: str
    fact: str
    states: str
    about: str
    claims: tuple[str, ...]


class Protocols:
    """Protocols by the name of a task or a macro-task."""

    def __init__(self, by_name: Mapping[str, tuple[Step, ...]]):
        self.by_name = dict(by_name)

    def of(self, task: str) -> tuple[Step, ...]:
        """The steps of `task`: its own, else those of its macro-task, else none."""
        return self.by_name.get(task) or self.by_name.get(task.split("/")[0], ())


@lru_cache(maxsize=8)
def load_protocols(path: Path | str = "default") -> Protocols:
    """Read a protocols file, or one of BUILT_IN by its name. Raises ProtocolError."""
    path = BUILT_IN.get(path, path)
    try:
        held = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProtocolError(f"{path}: {' '.join(str(error).split())}") from error
    if (
        not isinstance(held, dict)
        or not isinstance(held.get("protocols"), dict)
        or not isinstance(held.get("steps", {}), dict)
    ):
        raise ProtocolError(f"{path}: must hold `protocols:` and may hold `steps:`; {DEFAULT} is an example")
    shared = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))["steps"]
    known = {name: _step(path, name, told) for name, told in (shared | held.get("steps", {})).items()}
    by_name = {}
    for task, listed in held["protocols"].items():
        try:
            select_tasks([str(task)])
        except KeyError as error:
            raise ProtocolError(f"{path}: {error.args[0]}") from error
        if not isinstance(listed, dict) or not listed:
            raise ProtocolError(f"{path}: the protocol of {task} must list `Heading: step`")
        for heading, fact in listed.items():
            if not isinstance(fact, str) or fact not in known:
                raise ProtocolError(f"{path}: {task}, {heading}: no step {fact!r}; the steps are {', '.join(known)}")
        by_name[str(task)] = tuple(Step(str(heading), fact, *known[fact]) for heading, fact in listed.items())
    return Protocols(by_name)


def _step(path: Path | str, name: str, told) -> tuple[str, str, tuple[str, ...]]:
    if not isinstance(told, dict) or not isinstance(told.get("states"), str):
        raise ProtocolError(f"{path}: the step {name!r} must say what it `states`")
    about, claims = told.get("about", "both"), told.get("claims", [])
    if about not in ABOUT:
        raise ProtocolError(f"{path}: the step {name!r} is about {about!r}; choose {', '.join(ABOUT)}")
    if not isinstance(claims, list):
        raise ProtocolError(f"{path}: `claims` of the step {name!r} must be a list")
    return told["states"], about, tuple(claims)
