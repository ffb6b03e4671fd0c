"""What a reader yields: one statement of a clause, compared with the molecules that it is about."""

from collections.abc import Callable
from typing import NamedTuple

from chemr_lite.claims.measures import Measure, holds
from chemr_lite.claims.passages import Passage, Quantity, Span


class Statement(NamedTuple):
    """The fields of `Claim`, with `span` (start, end) in the clause instead of the text."""

    span: Span
    kind: str
    says: str
    supported: bool | None
    denies: bool = False
    about: str = ""


def count_statement(
    passage: Passage,
    span: Span,
    kind: str,
    noun: str,
    measures: list[Measure],
    quantity: Quantity | None = None,
) -> Statement:
    """Return the statement that there are so many of `noun`. It holds if one of `measures` gives that number."""
    quantity = quantity or passage.quantity(*span, plural=passage.plain[slice(*span)].endswith("s"))
    subjects = passage.subjects(span[0])
    supported = holds(quantity, subjects, measures) if quantity.sure else None
    whole = (span[0] if quantity.start is None else min(quantity.start, span[0]), span[1])
    return Statement(whole, kind, f"{quantity} {noun}", supported, quantity.denied, passage.where(subjects))


def fact_statement(
    passage: Passage,
    span: Span,
    kind: str,
    fact: str,
    is_true: Callable[[str], bool],
    quantity: Quantity | None = None,
) -> Statement:
    """Return the statement that `fact` is true of a molecule, or, where the clause denies it, that it is not."""
    quantity = quantity or passage.quantity(*span)
    subjects = passage.subjects(span[0])
    # of a salt: its ions, and the whole
    candidates = (smiles for molecules in subjects for smiles in {*molecules, ".".join(molecules)})
    supported = any(map(is_true, candidates)) != quantity.denied if quantity.sure else None
    says = f"{'not ' if quantity.denied else ''}{fact}"
    return Statement(span, kind, says, supported, quantity.denied, passage.where(subjects))
