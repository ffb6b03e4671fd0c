"""More prompts for phase 3: where an answer is verified, a prompt needs no gold, and any known molecule makes one.

A few hundred prompts are soon known by heart. An edit or an optimisation is told of one molecule,

    Please add a hydroxyl to the molecule CCOC.

and asks as much of every other one that the training rows of the macro-task hold: the wording is one row's, the molecule
another's, and RDKit verifies what is answered. Phases 1 and 2 cannot use such a prompt, since nobody knows its answer.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import get_task
from chemr_lite.tasks.base import Row


def more_prompts(rows: Sequence[Row], number: int, seed: int = 0) -> list[Row]:
    """At most `number` new rows, without an answer, of each sub-task of `rows` whose instruction can be given of another
    molecule. The same ones for the same `rows` and `seed`."""
    asked: dict[str, list[Row]] = defaultdict(list)
    known: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        task = get_task(row["task"])
        asked[task.name].append(row)
        known[task.macro] |= dict.fromkeys(task.subjects(row))
    made = []
    for task, like in asked.items():
        rng, seen = random.Random(f"{seed}/{task}"), {row["input"] for row in like}
        molecules = list(known[get_task(task).macro])
        for smiles in rng.sample(molecules, len(molecules)):
            if len(seen) >= len(like) + number:
                break
            row = get_task(task).of_molecule(rng.choice(like), smiles) if parse_smiles(smiles).ok else None
            if row and row["input"] not in seen:
                seen.add(row["input"])
                made.append(row)
    return made
