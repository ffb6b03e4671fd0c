"""Splits: no molecule of a test row is trained on, under any task.

The molecules of a row (`Task.subjects`) are compared by canonical SMILES without stereochemistry. Neither another
spelling nor a drawn stereocentre makes a molecule of the test new.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from tqdm import tqdm

from chemr_lite.chemistry.structure import scaffold
from chemr_lite.smiles import key_or_text, parse_smiles, without_stereo
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

SPLITS = ("train", "validation", "test")
SCAFFOLD_SHARES = (0.8, 0.1, 0.1)


def identity(text: str) -> str:
    """Return canonical SMILES without stereochemistry for a molecule or a mixture, and any other text unchanged."""
    parsed = parse_smiles(text)
    return without_stereo(parsed.key) if parsed.ok else text


def identities(row: Row) -> tuple[str, ...]:
    """Return the identities of the molecules or reactions that `row` is about."""
    return tuple(identity(subject) for subject in get_task(row["task"]).subjects(row))


def separate(rows: dict[str, list[dict]]) -> Counter:
    """Remove, in place, rows that repeat one of their split, contradict it, or share a molecule with a later split.

    Where two rows answer one question with Yes and with No, both are removed. Return the numbers of removed rows by
    split and reason.
    """
    later: set[str] = set()
    removed: Counter = Counter()
    for split in reversed(SPLITS):
        kept, own, seen, labels = [], set(), set(), defaultdict(set)
        for row in rows[split]:
            if get_task(row["task"]).answers == "choice" and row["answer"] in ("Yes", "No"):
                labels[_question(row)].add(row["answer"])
        for row in tqdm(rows[split], desc=f"comparing {split}", unit=" rows", delay=2, leave=False):
            subjects, question = identities(row), _question(row)
            if not later.isdisjoint(subjects):
                removed[f"{split} rows with a molecule of a later split"] += 1
            elif len(labels[question]) > 1:
                removed[f"{split} rows whose label another row contradicts"] += 1
            elif question in seen:
                removed[f"repeated {split} rows"] += 1
            else:
                seen.add(question)
                own.update(subjects)
                kept.append(row)
        rows[split] = kept
        later |= own
    return removed


def _question(row: Row) -> tuple[str, str]:
    return row["task"], key_or_text(row["input"])


def by_scaffold(rows: Sequence[dict]) -> None:
    """Set `split` of every property row so that no Bemis-Murcko scaffold is in two splits.

    The commonest scaffolds train and the rarest test, as MoleculeNet splits (Wu et al., Chem. Sci. 2018, 9, 513).
    Rows of other tasks keep their split.
    """
    families: dict[str, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if get_task(row["task"]).macro == "property_prediction":
            family = scaffold(parse_smiles(row["input"]).mol) or identity(row["input"])
            families[row["task"]][family].append(row)
    for groups in families.values():
        total, placed = sum(map(len, groups.values())), 0
        for family in sorted(groups.values(), key=len, reverse=True):
            placed += len(family)
            if placed / total <= SCAFFOLD_SHARES[0]:
                split = SPLITS[0]
            elif placed / total <= sum(SCAFFOLD_SHARES[:2]):
                split = SPLITS[1]
            else:
                split = SPLITS[2]
            for row in family:
                row["split"] = split


def sample(rows: list[dict], per_macro: int, seed: int = 0) -> list[dict]:
    """Return at most `per_macro` rows of each macro-task, spread evenly over its sub-tasks.

    The same arguments give the same rows.
    """
    by_task: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    members = Counter(get_task(task).macro for task in by_task)
    chosen, position = [], Counter()
    for task, group in by_task.items():
        macro = get_task(task).macro
        share = per_macro // members[macro] + (position[macro] < per_macro % members[macro])
        position[macro] += 1
        chosen += group if len(group) <= share else random.Random(f"{seed}/{task}").sample(group, share)
    return chosen
