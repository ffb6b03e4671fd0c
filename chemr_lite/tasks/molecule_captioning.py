"""Molecule captioning: a molecule → its description.

    SMILES: CCOC(=O)c1ccc(Cl)cc1
        →  <answer>The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid.</answer>

No wording is the only right one, so a caption is paid by its overlap with the recorded one: F1 over content words and
neighbouring pairs of them. The phrases that stand in every caption ("The molecule is a …, It has a role as …") count
nothing, neither does length: what is written twice must stand there twice. The measure is ours; BLEU, ROUGE and METEOR
over a whole test set are in benchmark.py. Headline: that F1.
"""

import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.tasks.base import CORRECT, Row, Score, Task, structure_facts, zero

MAX_CAPTION = 10_000  # characters
CORRECT_FROM = 0.8  # the F1 from which a caption counts as correct (ours)
_WORD = re.compile(r"[^\s.,;:!?()\"](?:\S*[^\s.,;:!?()\"])?")
_EVERYWHERE = frozenset((
    "the", "molecule", "is", "a", "an", "of", "and", "it", "has", "have", "had", "role", "as", "in", "to", "by", "at", "with",
    "that", "from", "which", "are", "was", "been", "on", "or", "its", "this", "be",
))  # fmt: skip


def content(text: str) -> Counter:
    """The content words of a caption and the neighbouring pairs of them, with their number."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _EVERYWHERE]
    return Counter(words) + Counter(pairwise(words))


_content_of_gold = lru_cache(maxsize=1024)(content)


def overlap(answer: str, gold: str) -> float:
    """F1 in [0, 1] of the content of two captions."""
    said, wanted = content(answer), _content_of_gold(gold)
    total = said.total() + wanted.total()
    return 2 * (said & wanted).total() / total if total else 0.0


class MoleculeCaptioning(Task):
    name = "molecule_captioning"
    instruction = "Now describe this molecule."
    label = "SMILES"
    metric = "content F1"
    answers = "text"

    def score(self, answer: str, row: Row) -> Score:
        if not answer.strip():
            return zero(Reason.EMPTY)
        if len(answer) > MAX_CAPTION:
            return zero(Reason.TOO_LONG)
        if answer.split() == row["answer"].split():
            return CORRECT
        value = overlap(answer, row["answer"])
        if value >= CORRECT_FROM:
            return Score(value, True, Reason.CORRECT)
        return Score(value, False, Reason.INCOMPLETE) if value else zero(Reason.WRONG)

    def facts(self, row: Row) -> dict[str, str] | None:
        return structure_facts(row["input"])


register(MoleculeCaptioning())
