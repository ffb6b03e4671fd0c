"""Find what a trace claims of its molecules, and check each claim with RDKit.

    check_claims("The product contains an amide and two nitriles.", row)
        → Claim("amide", "group", …, supported=True), Claim("two nitriles", "group", …, supported=False)

README.md in this folder explains what is checked, and how to add a word or a reader. The files, in the order in which a
text passes through them: passages.py (with language.py) cuts it into clauses; readers.py lists the readers, which stand
in groups.py, rings.py, amounts.py, properties.py, shape.py and changes.py; they look words up in lexicon.py and
composed.py, count with measures.py, and yield what statements.py defines.
"""

import re
from dataclasses import dataclass

from chemr_lite.claims.passages import Span, passages
from chemr_lite.claims.readers import READERS
from chemr_lite.protocols import Protocols, load_protocols
from chemr_lite.smiles import molecules_of, parse_smiles
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

KINDS = (
    "group", "ring", "formula", "atoms", "bonds", "weight", "charge", "stereo", "scaffold", "fragment", "reaction",
    "bond_change", "property",
)  # fmt: skip
ENOUGH = 4  # different supported claims for the full grounding reward: about one for each step of a protocol
MAX_CHARS = 20_000  # of a trace; the rest is not read


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: `text` is `trace[start:end]`, `kind` one of KINDS, and `says` what the text was read as.

    `supported` is None where the claim cannot be checked. `denies` is True where the claim is that something is absent.
    `about` is the SMILES of the molecules it was compared with, where the row has several.
    """

    text: str
    start: int
    end: int
    kind: str
    says: str
    supported: bool | None
    denies: bool
    about: str


def check_claims(trace: str, row: Row, answer: str | None = None, protocols: Protocols | None = None) -> list[Claim]:
    """Return the claims of `trace` about the molecules of `row`, in order. Never raises on any text.

    `answer`, where it is a valid molecule, replaces the row's own: a trace is compared with the answer it leads to.
    `protocols` (by default those of this package) tell which headings are steps, and whose molecules a step is about.
    """
    task = get_task(row["task"])
    if answer is not None and task.answers == "molecule" and parse_smiles(answer).ok:
        row = {**row, "answer": answer}
    sides = {side: molecules_of(smiles) for side, smiles in task.sides(row).items() if parse_smiles(smiles).ok}
    steps = {step.heading.lower(): step for step in (protocols or load_protocols()).of(task.name)}
    claims: list[Claim] = []
    for passage in passages(trace[:MAX_CHARS], steps, sides):
        if passage.step and not passage.claims:
            continue  # a step that repeats the question, or decides
        taken: list[Span] = []
        for reader in READERS:
            for (start, end), *reading in reader(passage):
                if any(start < b and a < end for a, b in taken):
                    continue  # where two readers take the same words, the first keeps them
                taken.append((start, end))
                start, end = passage.at + start, passage.at + end
                claims.append(Claim(trace[start:end], start, end, *reading))
    return sorted(claims, key=lambda claim: claim.start)


def count_claims(claims: list[Claim]) -> tuple[int, int]:
    """Return how many different claims are (supported, checkable). A claim that is made twice counts once."""
    checked = {(claim.kind, claim.says, claim.supported) for claim in claims if claim.supported is not None}
    return sum(supported for _, _, supported in checked), len(checked)


def grounding(claims: list[Claim]) -> float | None:
    """Return supported ÷ checkable over different claims, in [0, 1]; None where nothing can be checked."""
    supported, checkable = count_claims(claims)
    return supported / checkable if checkable else None


def grounding_reward(claims: list[Claim]) -> float:
    """Return the reward of a completion for its claims, in [0, 1]: their grounding, in full from ENOUGH claims on.

    Ours, and hard to farm: a completion without claims earns nothing, a repeated claim counts once, denials earn
    nothing (there is no end to what a molecule lacks), and a false claim costs.
    """
    supported, checkable = count_claims(claims)
    # `an amide` and `one amide` are the same claim
    affirmed = len(
        {(claim.kind, re.sub(r"≥?\d+ ", "", claim.says)) for claim in claims if claim.supported and not claim.denies}
    )
    return supported / checkable * min(1.0, affirmed / ENOUGH) if checkable else 0.0


__all__ = ["KINDS", "Claim", "check_claims", "count_claims", "grounding", "grounding_reward"]
