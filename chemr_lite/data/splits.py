"""Which rows train and which test: no molecule of a test row is trained on, under any task.

What a row is about (`Task.subjects`) is compared by canonical SMILES without stereochemistry, so that neither another
spelling nor a drawn stereocentre makes a test molecule new.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from rdkit.Chem.Scaffolds import MurckoScaffold
from tqdm import tqdm

from chemr_lite.smiles import parse_smiles, without_stereo
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row

SPLITS = ("train", "validation", "test")
SCAFFOLD_SHARES = (0.8, 0.1, 0.1)


def identity(text: str) -> str:
    """What makes two molecules or mixtures the same here; a text that is none stands for itself."""
    parsed = parse_smiles(text)
    return without_stereo(parsed.key) if parsed.ok else text


def identities(row: Row) -> tuple[str, ...]:
    return tuple(identity(subject) for subject in get_task(row["task"]).subjects(row))


def separate(rows: dict[str, list[dict]]) -> Counter:
    """Drop from `rows`, in place, what is repeated in its split or known in a later one; count by split and reason."""
    later: set[str] = set()
    removed: Counter = Counter()
    for split in reversed(SPLITS):
        kept, own, seen = [], set(), set()
        for row in tqdm(rows[split], desc=f"comparing {split}", unit=" rows", delay=2, leave=False):
            about, parsed = identities(row), parse_smiles(row["input"])
            question = (row["task"], parsed.key if parsed.ok else row["input"])
            if not later.isdisjoint(about):
                removed[f"{split} rows about what a later split holds"] += 1
            elif question in seen:
                removed[f"repeated {split} rows"] += 1
            else:
                seen.add(question)
                own.update(about)
                kept.append(row)
        rows[split] = kept
        later |= own
    return removed


def by_scaffold(rows: Sequence[dict]) -> None:
    """Set `split` of every property row so that no Bemis-Murcko scaffold stands in two splits: the largest families
    train, the rarest test (as MoleculeNet splits: Wu et al., Chem. Sci. 2018, 9, 513). Other rows keep theirs."""
    families: dict[str, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if get_task(row["task"]).macro == "property_prediction":
            scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=parse_smiles(row["input"]).mol) or identity(row["input"])
            families[row["task"]][scaffold].append(row)
    for by_family in families.values():
        total, place = sum(map(len, by_family.values())), 0
        for family in sorted(by_family.values(), key=len, reverse=True):
            at = (place + len(family)) / total
            split = (
                SPLITS[0] if at <= SCAFFOLD_SHARES[0] else SPLITS[1] if at <= sum(SCAFFOLD_SHARES[:2]) else SPLITS[2]
            )
            place += len(family)
            for row in family:
                row["split"] = split


def sample(rows: list[dict], per_macro: int, seed: int = 0) -> list[dict]:
    """At most `per_macro` rows of each macro-task, spread evenly over its sub-tasks; the same ones on every call."""
    by_task: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    members = Counter(get_task(task).macro for task in by_task)
    chosen, place = [], Counter()
    for task, group in by_task.items():
        macro = get_task(task).macro
        share = per_macro // members[macro] + (place[macro] < per_macro % members[macro])
        place[macro] += 1
        chosen += group if len(group) <= share else random.Random(f"{seed}/{task}").sample(group, share)
    return chosen
