"""nano's questions: the finite rows of train, validation and test, written from the generator's chemistry.

`make_rows` is how rows.jsonl.gz was made. No molecule, product or building-block pair stands in two splits; single
building blocks do, as they do in life. `held_out` names what the pretraining text must never show.
"""

import random
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
# of each sub-task of open generation, rows without an answer for phase 3; molecules to make have few different questions
PRACTICE = {"mol_edit": 1200, "mol_opt": 1200, "mol_custom": 300}
COUPLINGS = ("Suzuki coupling", "Buchwald-Hartwig amination", "Sonogashira coupling")
MAX_REACTANT = 40  # characters of a candidate, to keep the list short
_VOWELS = "aeiou"


def _row(task: str, question: str, answer: str, **meta) -> dict:
    return {"task": task, "input": question, "answer": answer, "split": "", "meta": meta}


def _reaction(rng: random.Random, task: str) -> dict:
    made = molecules.reaction(rng)
    sides = ".".join(made.reactants), made.product
    question, answer = sides if task == "reaction_prediction" else sides[::-1]
    return _row(task, question, answer, reaction=made.name)


def _edit(rng: random.Random, task: str) -> dict:
    made = molecules.edit(rng)
    a = {g: f"{'an' if g[0] in _VOWELS else 'a'} {g}" for g in (made.first_group, made.second_group)}
    if task.endswith("add"):
        question = f"Please add {a[made.first_group]} to the molecule {made.bare}."
        return _row(task, question, made.first, source=made.bare, add=made.first_group)
    if task.endswith("delete"):
        question = f"Please remove {a[made.first_group]} from the molecule {made.first}."
        return _row(task, question, made.bare, source=made.first, remove=made.first_group)
    question = f"Please substitute {a[made.first_group]} in the molecule {made.first} with {a[made.second_group]}."
    return _row(task, question, made.second, source=made.first, remove=made.first_group, add=made.second_group)


def _optimise(rng: random.Random, task: str) -> dict | None:
    made = molecules.edit(rng)
    name = {"logp": "LogP", "mr": "MR", "qed": "QED"}[task.rsplit("_", 1)[1]]
    source, answer = rng.sample((made.bare, made.first, made.second), 2)
    gain = measure(name, answer) - measure(name, source)
    if abs(gain) < 0.02 or similarity(parse_smiles(source), parse_smiles(answer)) < 0.25:
        return None
    direction = "increase" if gain > 0 else "decrease"
    question = f"Please {direction} the {name} value of the molecule {source}."
    return _row(task, question, answer, source=source, property=name, direction=direction)


def _custom(rng: random.Random, task: str) -> dict:
    kind = task.rsplit("_", 1)[1]
    answer = molecules.molecule(rng, 6, 14)
    maker: MolCustom = get_task(task)
    counts = {name: n for name, n in maker.counts(parse_smiles(answer)).items() if n}
    if not counts:
        return None
    return _row(task, f"Please generate a molecule with {format_counts(counts)} {kind}.", answer, **{kind: counts})


def _property(rng: random.Random, task: str) -> dict:
    smiles = molecules.molecule(rng, 8, 20)
    _, verdict = get_task(task).judge(Chem.MolFromSmiles(smiles))
    return _row(task, smiles, "Yes" if verdict else "No")


def _name(rng: random.Random, task: str) -> dict:
    made = named(rng)
    asked, _, wanted = task.partition("/")[2].partition("_to_")
    said = {"smiles": made.smiles, "iupac": made.name, "formula": CalcMolFormula(Chem.MolFromSmiles(made.smiles))}
    return _row(task, said[asked], said[wanted], smiles=made.smiles)


def _description(rng: random.Random, task: str) -> dict:
    made = named(rng)
    sides = made.caption, made.smiles
    question, answer = sides if task == "molecule_design" else sides[::-1]
    return _row(task, question, answer)


def _yield(rng: random.Random, task: str) -> dict | None:
    made = molecules.reaction(rng)
    if made.name not in COUPLINGS:
        return None
    question = f"{'.'.join(made.reactants)}>>{made.product}"
    return _row(task, question, "No" if any(hindrance(".".join(made.reactants))) else "Yes", reaction=made.name)


def _reactant(rng: random.Random, task: str) -> dict | None:
    """One reactant is missing: among the candidates is another with the same group, and one with a different group."""
    made = molecules.reaction(rng)
    if len(made.reactants) != 2:
        return None
    given, answer = rng.sample(made.reactants, 2)
    others = [molecules.reaction(rng) for _ in range(12)]
    like = [r for other in others for r in other.reactants if groups_of(r) == groups_of(answer)]
    unlike = [r for other in others for r in other.reactants if groups_of(r) != groups_of(answer)]
    candidates = list(dict.fromkeys([answer, *like[:1], *unlike[:1]]))
    if len(candidates) < 3 or max(map(len, candidates)) > MAX_REACTANT:
        return None
    return _selection(rng, task, f"Reactant: {given}\nProduct: {made.product}", answer, candidates)


def _reagent(rng: random.Random, task: str) -> dict | None:
    made = molecules.reaction(rng)
    if made.name not in USUAL_REAGENT:
        return None
    answer = USUAL_REAGENT[made.name]
    candidates = [answer, *rng.sample([other for other in USUAL_REAGENT.values() if other != answer], 2)]
    return _selection(rng, task, f"Reactants: {'.'.join(made.reactants)}\nProduct: {made.product}", answer, candidates)


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
    """What a row may not share with another split: its molecules, but of a reaction only the product and the set of
    reactants (a single building block of two is free)."""
    return {about for about in identities(row) if parse_smiles(about).ok}


def make_rows(seed: int = 0) -> Iterator[dict]:
    """All rows, test first: a later split never repeats a key of an earlier one, nor a row one of its own. Last come training
    rows without an answer; the molecule that the generator had in mind for one is in no other split either."""
    rng = random.Random(seed)
    taken: set[str] = set()
    asked: set[str] = set()
    for split in reversed(SPLITS):
        fresh: set[str] = set()
        for task, make in MAKERS.items():
            size = SIZES[task.split("/")[0]][SPLITS.index(split)]
            questions: set[str] = set()
            answers = {"Yes": 0, "No": 0}
            while len(questions) < size:
                row = make(rng, task)
                if row is None or keys(row) & taken or row["input"] in questions:
                    continue
                if row["answer"] in answers:  # as many Yes as No
                    if answers[row["answer"]] >= (size + 1) // 2:
                        continue
                    answers[row["answer"]] += 1
                elif get_task(task).gold(row) and not get_task(task).score(row["answer"], row).correct:
                    continue
                questions.add(row["input"])
                fresh |= keys(row)
                yield row | {"split": split}
            asked |= questions
        if split != "train":
            taken |= fresh
    rng = random.Random(f"{seed}/practice")
    for task, make in MAKERS.items():
        wanted = next((number for kind, number in PRACTICE.items() if f"/{kind}" in task), 0)
        while wanted:
            row = make(rng, task)
            if row is None or keys(row) & taken or row["input"] in asked:
                continue
            asked.add(row["input"])
            wanted -= 1
            yield row | {"answer": "", "split": "train"}


def held_out(rows: list[dict]) -> set[str]:
    """Every key of the validation and test rows: what pretraining must not see."""
    return set().union(*(keys(row) for row in rows if row["split"] != "train"))
