"""Molecule captioning: a molecule → its description.

    SMILES: CCOC(=O)c1ccc(Cl)cc1
        →  <answer>The molecule is a benzoate ester that is the ethyl ester of 4-chlorobenzoic acid.</answer>

Many wordings are right, so a caption is scored by its overlap with the recorded one: F1 over content words and pairs of
neighbouring content words. The phrases of every caption ("The molecule is a …, It has a role as …") do not count, and a
word written twice counts twice only if the recorded caption has it twice. The measure is ours; BLEU, ROUGE and METEOR
over a whole test set are in scoring/benchmarks.py. Headline: that F1.
"""

import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.tasks.base import CORRECT, MoleculeAndText, Row, Score, zero

MAX_CAPTION = 10_000  # characters
CORRECT_FROM = 0.8  # the F1 from which a caption counts as correct (ours)
_WORD = re.compile(r"[^\s.,;:!?()\"](?:\S*[^\s.,;:!?()\"])?")
_STOP_WORDS = frozenset((
    "the", "molecule", "is", "a", "an", "of", "and", "it", "has", "have", "had", "role", "as", "in", "to", "by", "at",
    "with", "that", "from", "which", "are", "was", "been", "on", "or", "its", "this", "be",
))  # fmt: skip


def content(text: str) -> Counter:
    """Count the content words of a caption, and the pairs of neighbouring content words."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]
    return Counter(words) + Counter(pairwise(words))


_content_of_gold = lru_cache(maxsize=1024)(content)


def overlap(answer: str, gold: str) -> float:
    """Return the F1 score in [0, 1] of the content of `answer` against that of `gold`."""
    actual, wanted = content(answer), _content_of_gold(gold)
    total = actual.total() + wanted.total()
    return 2 * (actual & wanted).total() / total if total else 0.0


class MoleculeCaptioning(MoleculeAndText):
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


register(MoleculeCaptioning())
