"""What a reader finds: one claim, held against the molecules it is about."""

import re
from collections.abc import Callable
from functools import partial

from chemr_lite.claims.measures import Counter, holds
from chemr_lite.claims.passages import NUMBER, Passage, Quantity

Found = tuple[tuple[int, int], str, str, bool | None, bool, str]
any_case = partial(re.compile, flags=re.IGNORECASE)
NUMBERED = any_case(rf"(?:(?<![\w.-]){NUMBER}|\bno|\bzero)\s+$")


def counted_claim(
    passage: Passage,
    span: tuple[int, int],
    kind: str,
    noun: str,
    readings: list[Counter],
    quantity: Quantity | None = None,
) -> Found:
    """The claim that there are so many of `noun`, as `readings` count it."""
    quantity = quantity or passage.quantity(*span, plural=passage.plain[slice(*span)].endswith("s"))
    subjects = passage.subjects(span[0])
    supported = holds(quantity, subjects, readings) if quantity.sure else None
    whole = (span[0] if quantity.start is None else min(quantity.start, span[0]), span[1])
    return whole, kind, f"{quantity} {noun}", supported, quantity.denied, passage.where(subjects)


def stated_claim(
    passage: Passage,
    span: tuple[int, int],
    kind: str,
    said: str,
    is_so: Callable[[str], bool],
    quantity: Quantity | None = None,
) -> Found:
    """The claim that something `is_so` of a molecule, or, where the clause denies it, that it is not."""
    quantity = quantity or passage.quantity(*span)
    subjects = passage.subjects(span[0])
    found = (
        smiles for molecules in subjects for smiles in {*molecules, ".".join(molecules)}
    )  # a salt: its ions, and the whole
    supported = any(map(is_so, found)) != quantity.denied if quantity.sure else None
    return span, kind, f"{'not ' if quantity.denied else ''}{said}", supported, quantity.denied, passage.where(subjects)
