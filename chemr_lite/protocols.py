"""Chemical reasoning protocols: the steps in which a model reasons about a task, kept as data (protocols.yaml).

`load_protocols()` loads the protocols of this package, and `load_protocols(path)` a file that was edited by hand or
mined from a teacher's traces. The names in BUILT_IN work as paths. A task without a protocol trains on answers alone.
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
    """One step of a protocol: its `heading` in a trace, the name of its `fact`, and what the file says of that fact."""

    heading: str
    fact: str
    states: str
    about: str
    claims: tuple[str, ...]


class Protocols:
    """The protocols of tasks and macro-tasks, by name."""

    def __init__(self, by_name: Mapping[str, tuple[Step, ...]]):
        self.by_name = dict(by_name)

    def of(self, task: str) -> tuple[Step, ...]:
        """Return the steps of `task`: its own, else those of its macro-task, else none."""
        return self.by_name.get(task) or self.by_name.get(task.split("/")[0], ())


@lru_cache(maxsize=8)
def load_protocols(path: Path | str = "default") -> Protocols:
    """Load a protocols file, or one of BUILT_IN by its name. Raises ProtocolError."""
    path = BUILT_IN.get(path, path)
    content = _read(path)
    facts = _read(DEFAULT)["steps"] | content.get("steps", {})
    described = {fact: _describe(path, fact, entry) for fact, entry in facts.items()}
    by_name = {}
    for task, steps in content["protocols"].items():
        try:
            select_tasks([str(task)])
        except KeyError as error:
            raise ProtocolError(f"{path}: {error.args[0]}") from error
        if not isinstance(steps, dict) or not steps:
            raise ProtocolError(f"{path}: the protocol of {task} must list `Heading: step`")
        for heading, fact in steps.items():
            if not isinstance(fact, str) or fact not in described:
                known = ", ".join(described)
                raise ProtocolError(f"{path}: {task}, {heading}: no step {fact!r} under `steps`; there are {known}")
        by_name[str(task)] = tuple(Step(str(heading), fact, *described[fact]) for heading, fact in steps.items())
    return Protocols(by_name)


def _read(path: Path | str) -> dict:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProtocolError(f"{path}: {' '.join(str(error).split())}") from error
    is_valid = (
        isinstance(content, dict)
        and isinstance(content.get("protocols"), dict)
        and isinstance(content.get("steps", {}), dict)
    )
    if not is_valid:
        raise ProtocolError(f"{path}: must hold `protocols:` and may hold `steps:`; {DEFAULT} is an example")
    return content


def _describe(path: Path | str, fact: str, entry) -> tuple[str, str, tuple[str, ...]]:
    """Return what the file says of a fact, as the last three fields of a Step: states, about, claims."""
    if not isinstance(entry, dict) or not isinstance(entry.get("states"), str):
        raise ProtocolError(f"{path}: the step {fact!r} must say what it `states`")
    about, claims = entry.get("about", "both"), entry.get("claims", [])
    if about not in ABOUT:
        raise ProtocolError(f"{path}: the step {fact!r} is about {about!r}; choose {', '.join(ABOUT)}")
    if not isinstance(claims, list):
        raise ProtocolError(f"{path}: `claims` of the step {fact!r} must be a list")
    return entry["states"], about, tuple(claims)
