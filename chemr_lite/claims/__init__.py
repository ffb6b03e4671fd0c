"""What a trace says of its molecules, and whether it is so.

    check_claims("The product contains an amide and two nitriles.", row)
        → Claim("amide", "group", …, supported=True), Claim("two nitriles", "group", …, supported=False)

passages.py cuts the text into clauses and tells which molecules each speaks of; groups.py, amounts.py, shape.py and
changes.py, in the order of readers.py, find the statements that RDKit can decide (KINDS) and hold them against those
molecules (found.py); lexicon.py knows the words, composed.py the names that are put together. `supported` is None where nothing can be decided: general knowledge, hypotheses, a reaction that the
table of named reactions does not know. When in doubt a claim stands: a word has several readings, and one that holds is
enough.

The answer's molecules are those that the trace leads to, where they are given (`answer`), else the row's own.
"""

import re
from dataclasses import dataclass

from chemr_lite.claims.passages import passages
from chemr_lite.claims.readers import READERS
from chemr_lite.protocols import Protocols, load_protocols
from chemr_lite.smiles import molecules_of, parse_smiles
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

KINDS = (
    "group", "ring", "formula", "atoms", "bonds", "weight", "charge", "stereo", "scaffold", "fragment", "reaction", "bond_change", "property",
)  # fmt: skip
ENOUGH = 4  # different supported claims, for `worth`: about one for each step of a protocol
MAX_CHARS = 20_000  # of a trace; what comes after is not read


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement: `text` is `trace[start:end]`, `says` what it was read as, `about` the molecules it was held against where
    the row has several, `denies` whether it says that something is absent."""

    text: str
    start: int
    end: int
    kind: str
    says: str
    supported: bool | None
    denies: bool
    about: str


def check_claims(trace: str, row: Row, answer: str | None = None, protocols: Protocols | None = None) -> list[Claim]:
    """Every claim of `trace` about the molecules of `row`, in order. Never raises on any text."""
    task = get_task(row["task"])
    if answer is not None and task.answers == "molecule" and parse_smiles(answer).ok:
        row = {**row, "answer": answer}
    sides = {side: molecules_of(smiles) for side, smiles in task.sides(row).items() if parse_smiles(smiles).ok}
    steps = {step.heading.lower(): step for step in (protocols or load_protocols()).of(task.name)}
    claims: list[Claim] = []
    for passage in passages(trace[:MAX_CHARS], steps, sides):
        if passage.step and not passage.claims:
            continue  # it repeats the question, or decides
        taken: list[tuple[int, int]] = []
        for reader in READERS:
            for (start, end), kind, says, supported, denies, about in reader(passage):
                if any(start < b and a < end for a, b in taken):
                    continue  # where two readers take the same words, the first keeps them
                taken.append((start, end))
                at = passage.at
                claims.append(
                    Claim(trace[at + start : at + end], at + start, at + end, kind, says, supported, denies, about)
                )
    return sorted(claims, key=lambda claim: claim.start)


def count_claims(claims: list[Claim]) -> tuple[int, int]:
    """How many different claims are (supported, checkable): saying a thing twice counts once."""
    checked = {(claim.kind, claim.says, claim.supported) for claim in claims if claim.supported is not None}
    return sum(supported for _, _, supported in checked), len(checked)


def grounding(claims: list[Claim]) -> float | None:
    """Supported ÷ checkable, over different claims. None where nothing can be checked."""
    supported, checkable = count_claims(claims)
    return supported / checkable if checkable else None


def grounding_reward(claims: list[Claim]) -> float:
    """What the claims of a completion are worth as a reward, in [0, 1]: the supported share, in full from ENOUGH on.

    Ours, and made so that it cannot be farmed: saying nothing is worth nothing, saying one thing often as much as once,
    denials earn nothing (there is no end to what a molecule lacks), and a false claim costs.
    """
    supported, checkable = count_claims(claims)
    # an amide and one amide are one thing said twice
    affirmed = len(
        {(claim.kind, re.sub(r"≥?\d+ ", "", claim.says)) for claim in claims if claim.supported and not claim.denies}
    )
    return supported / checkable * min(1.0, affirmed / ENOUGH) if checkable else 0.0


__all__ = ["KINDS", "Claim", "check_claims", "grounding", "count_claims", "grounding_reward"]
