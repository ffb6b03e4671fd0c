"""nano's questions: the finite rows of train, validation and test, written from the generator's chemistry.

`make_rows` writes what rows.jsonl.gz holds. No two splits share a molecule, a product or a pair of building blocks, but
they may share single building blocks. `held_out` names what the pretraining text must never show.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator

from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from chemr_lite.chemistry.groups import groups_of
from chemr_lite.chemistry.reactions import USUAL_REAGENT
from chemr_lite.chemistry.wording import format_counts
from chemr_lite.data.splits import SPLITS, identities
from chemr_lite.smiles import parse_smiles, similarity
from chemr_lite.tasks import get_task
from chemr_lite.tasks.open_generation import MolCustom, measure
from chemr_lite.tasks.yield_prediction import hindrance
from recipes.studies.nano import molecules
from recipes.studies.nano.names import named

# rows per sub-task: (train, validation, test)
SIZES = {
    "name_prediction": (400, 24, 80),
    "property_prediction": (400, 24, 80),
    "molecule_design": (800, 96, 300),
    "molecule_captioning": (800, 96, 300),
    "open_generation": (300, 12, 40),
    "yield_prediction": (800, 96, 300),
    "reaction_prediction": (1000, 96, 300),
    "reagent_selection": (500, 48, 150),
    "retrosynthesis": (1000, 96, 300),
}
# rows without an answer for phase 3, by sub-task of open generation; mol_custom has few different questions, and of
# groups there are hardly more than those that train
PRACTICE = {"mol_edit": 1200, "mol_opt": 1200, "mol_custom_atoms": 300, "mol_custom_bonds": 300}
COUPLINGS = ("Suzuki coupling", "Buchwald-Hartwig amination", "Sonogashira coupling")
TRIES = 3000  # draws that bring nothing new, after which a sub-task has no more questions
MAX_REACTANT = 40  # characters of a candidate, so that lists stay short
_VOWELS = "aeiou"


def _row(task: str, question: str, answer: str, **meta) -> dict:
    return {"task": task, "input": question, "answer": answer, "split": "", "meta": meta}


# each maker returns a random row of its task, or None where its draw makes none


def _reaction(rng: random.Random, task: str) -> dict:
    reaction = molecules.reaction(rng)
    sides = ".".join(reaction.reactants), reaction.product
    question, answer = sides if task == "reaction_prediction" else sides[::-1]
    return _row(task, question, answer, reaction=reaction.name)


def _edit(rng: random.Random, task: str) -> dict:
    edit = molecules.edit(rng)
    first, second = (f"{'an' if g[0] in _VOWELS else 'a'} {g}" for g in (edit.first_group, edit.second_group))
    if task.endswith("add"):
        question = f"Please add {first} to the molecule {edit.bare}."
        return _row(task, question, edit.first, source=edit.bare, add=edit.first_group)
    if task.endswith("delete"):
        question = f"Please remove {first} from the molecule {edit.first}."
        return _row(task, question, edit.bare, source=edit.first, remove=edit.first_group)
    question = f"Please substitute {first} in the molecule {edit.first} with {second}."
    return _row(task, question, edit.second, source=edit.first, remove=edit.first_group, add=edit.second_group)


def _optimise(rng: random.Random, task: str) -> dict | None:
    edit = molecules.edit(rng)
    name = {"logp": "LogP", "mr": "MR", "qed": "QED"}[task.rsplit("_", 1)[1]]
    source, answer = rng.sample((edit.bare, edit.first, edit.second), 2)
    gain = measure(name, answer) - measure(name, source)
    if abs(gain) < 0.02 or similarity(parse_smiles(source), parse_smiles(answer)) < 0.25:
        return None
    direction = "increase" if gain > 0 else "decrease"
    question = f"Please {direction} the {name} value of the molecule {source}."
    return _row(task, question, answer, source=source, property=name, direction=direction)


def _custom(rng: random.Random, task: str) -> dict | None:
    kind = task.rsplit("_", 1)[1]
    answer = molecules.molecule(rng, 6, 14)
    mol_custom: MolCustom = get_task(task)
    counts = {name: n for name, n in mol_custom.counts(answer).items() if n}
    if not counts:
        return None
    return _row(task, f"Please generate a molecule with {format_counts(counts)} {kind}.", answer, **{kind: counts})


def _property(rng: random.Random, task: str) -> dict:
    smiles = molecules.molecule(rng, 8, 20)
    _, verdict = get_task(task).judge(Chem.MolFromSmiles(smiles))
    return _row(task, smiles, "Yes" if verdict else "No")


def _name(rng: random.Random, task: str) -> dict:
    smiles, name, _ = named(rng)
    source, _, target = task.partition("/")[2].partition("_to_")
    texts = {"smiles": smiles, "iupac": name, "formula": CalcMolFormula(Chem.MolFromSmiles(smiles))}
    return _row(task, texts[source], texts[target], smiles=smiles)


def _description(rng: random.Random, task: str) -> dict:
    smiles, _, caption = named(rng)
    question, answer = (caption, smiles) if task == "molecule_design" else (smiles, caption)
    return _row(task, question, answer)


def _yield(rng: random.Random, task: str) -> dict | None:
    reaction = molecules.reaction(rng)
    if reaction.name not in COUPLINGS:
        return None
    reactants = ".".join(reaction.reactants)
    answer = "No" if any(hindrance(reactants)) else "Yes"
    return _row(task, f"{reactants}>>{reaction.product}", answer, reaction=reaction.name)


def _reactant(rng: random.Random, task: str) -> dict | None:
    """Ask for a missing reactant. Another candidate has the same groups, and a third has different ones."""
    reaction = molecules.reaction(rng)
    if len(reaction.reactants) != 2:
        return None
    given, answer = rng.sample(reaction.reactants, 2)
    strangers = [reactant for _ in range(12) for reactant in molecules.reaction(rng).reactants]
    like = [reactant for reactant in strangers if groups_of(reactant) == groups_of(answer)]
    unlike = [reactant for reactant in strangers if groups_of(reactant) != groups_of(answer)]
    candidates = list(dict.fromkeys([answer, *like[:1], *unlike[:1]]))
    if len(candidates) < 3 or max(map(len, candidates)) > MAX_REACTANT:
        return None
    return _selection(rng, task, f"Reactant: {given}\nProduct: {reaction.product}", answer, candidates)


def _reagent(rng: random.Random, task: str) -> dict | None:
    reaction = molecules.reaction(rng)
    if reaction.name not in USUAL_REAGENT:
        return None
    answer = USUAL_REAGENT[reaction.name]
    candidates = [answer, *rng.sample([reagent for reagent in USUAL_REAGENT.values() if reagent != answer], 2)]
    question = f"Reactants: {'.'.join(reaction.reactants)}\nProduct: {reaction.product}"
    return _selection(rng, task, question, answer, candidates)


def _selection(rng: random.Random, task: str, question: str, answer: str, candidates: list[str]) -> dict:
    rng.shuffle(candidates)
    return _row(task, f"{question}\nList: {', '.join(candidates)}", answer, candidates=candidates, accepted=[answer])


MAKERS: dict[str, Callable] = {
    **{
        f"name_prediction/{sub}": _name
        for sub in ("smiles_to_iupac", "iupac_to_smiles", "smiles_to_formula", "iupac_to_formula")
    },
    "molecule_design": _description,
    "molecule_captioning": _description,
    "yield_prediction/rule_hindrance": _yield,
    "reagent_selection/rule_reactant": _reactant,
    "reagent_selection/rule_reagent": _reagent,
    "reaction_prediction": _reaction,
    "retrosynthesis": _reaction,
    **{f"open_generation/mol_edit_{sub}": _edit for sub in ("add", "delete", "substitute")},
    **{f"open_generation/mol_opt_{sub}": _optimise for sub in ("logp", "mr", "qed")},
    **{f"open_generation/mol_custom_{sub}": _custom for sub in ("atoms", "bonds", "groups")},
    **{f"property_prediction/rule_{sub}": _property for sub in ("permeable", "alert", "lipophilic", "compact")},
}


def keys(row: dict) -> set[str]:
    """Return what a row may not share with another split: its molecules.

    Of a reaction these are only the product and the set of reactants: a single building block of two may be shared.
    """
    return {identity for identity in identities(row) if parse_smiles(identity).ok}


def _rows_of(task: str, size: int, rng: random.Random, taken: set[str], questions: set[str]) -> Iterator[dict]:
    """Yield `size` rows of `task`, as many Yes as No, without a key in `taken` or a question in `questions`.

    The questions are added to `questions`. There are fewer rows if TRIES draws in a row bring nothing new.
    """
    found, tries, verdicts = 0, 0, {"Yes": 0, "No": 0}
    while found < size and tries < TRIES:
        tries += 1
        row = MAKERS[task](rng, task)
        if row is None or keys(row) & taken or row["input"] in questions:
            continue
        if row["answer"] in verdicts:
            if verdicts[row["answer"]] >= (size + 1) // 2:
                continue
            verdicts[row["answer"]] += 1
        elif get_task(task).gold(row) and not get_task(task).score(row["answer"], row).correct:
            continue
        found, tries = found + 1, 0
        questions.add(row["input"])
        yield row


def fresh_rows(number: int, rows: dict[str, list[dict]], seed: int = 0) -> Iterator[dict]:
    """Yield about `number` new questions with answers, evenly of all sub-tasks of `rows`, nano's rows by split.

    They share no key with validation and test, and no question with any row. Sub-tasks with few different questions
    have fewer.
    """
    taken = set().union(*(keys(row) for split in SPLITS[1:] for row in rows[split]))
    questions = defaultdict(set)
    for row in (row for of_split in rows.values() for row in of_split):
        questions[row["task"]].add(row["input"])
    tasks = [task for task in MAKERS if task in questions]
    for place, task in enumerate(tasks):
        size = number // len(tasks) + (place < number % len(tasks))
        rng = random.Random(f"{seed}/fresh/{task}")
        for row in _rows_of(task, size, rng, taken, questions[task]):
            yield row | {"split": "practice"}


def make_rows(seed: int = 0) -> Iterator[dict]:
    """Yield all rows, test first. A later split repeats no key of an earlier one, and no split repeats a question.

    Last come training rows without an answer. The molecule from which such a question was made is in no other split
    either.
    """
    rng = random.Random(seed)
    taken: set[str] = set()  # keys of validation and test
    questions: set[str] = set()
    for split in reversed(SPLITS):
        keys_of_split: set[str] = set()
        for task in MAKERS:
            size = SIZES[task.split("/")[0]][SPLITS.index(split)]
            questions_of_task: set[str] = set()
            for row in _rows_of(task, size, rng, taken, questions_of_task):
                keys_of_split |= keys(row)
                yield row | {"split": split}
            questions |= questions_of_task
        if split != "train":
            taken |= keys_of_split
    rng = random.Random(f"{seed}/practice")
    for task, make in MAKERS.items():
        missing = next((number for kind, number in PRACTICE.items() if f"/{kind}" in task), 0)
        while missing:
            row = make(rng, task)
            if row is None or keys(row) & taken or row["input"] in questions:
                continue
            questions.add(row["input"])
            missing -= 1
            yield row | {"answer": "", "split": "train"}


def held_out(rows: list[dict]) -> set[str]:
    """Return every key of the validation and test rows: what pretraining must not show."""
    return set().union(*(keys(row) for row in rows if row["split"] != "train"))
