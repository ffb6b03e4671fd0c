"""Varied answers to a row, right and wrong in many ways, for two evaluators to judge."""

import random
import re
from collections.abc import Callable

from rdkit import Chem, rdBase

from chemr_lite.tasks import get_task
from chemr_lite.tasks.open_generation import TOMG_GROUPS
from recipes.studies.nano.molecules import EDIT_GROUPS, add_group

TEXTS = ("", "no", "C1CC", "CCO and more", "c1ccccc1.CCO", "[Na+].CC(=O)[O-]", "C" * 60, "[NH4+]", "CC(C)(C)(C)C")


def with_group(smiles: str, group: str, rng: random.Random) -> str:
    """Return `smiles` with `group` added somewhere, or as it is where nothing can carry it."""
    with rdBase.BlockLogs():
        return (group in EDIT_GROUPS and add_group(rng, smiles, group)) or smiles


def without_group(smiles: str, group: str, rng: random.Random) -> str:
    """Return the largest part that is left of `smiles` without one `group`, or `smiles` where there is none."""
    mol = Chem.MolFromSmiles(smiles)
    matches = mol.GetSubstructMatches(Chem.MolFromSmarts(TOMG_GROUPS[group]))
    if not matches:
        return smiles
    smaller = Chem.RWMol(mol)
    for index in sorted(rng.choice(matches), reverse=True):
        smaller.RemoveAtom(index)
    with rdBase.BlockLogs():
        parts = sorted(Chem.MolToSmiles(smaller).split("."), key=len, reverse=True)
        return next((part for part in parts if Chem.MolFromSmiles(part)), smiles)


def changed(smiles: str, line: dict, rng: random.Random) -> str:
    """Return `smiles` changed as the line asks, or with any group added or taken away where it names none."""
    add, remove = (line.get(f"{name}_group", "").replace("_", " ") for name in ("added", "removed"))
    if not (add or remove):
        add, remove = rng.choice([(rng.choice(list(EDIT_GROUPS)), ""), ("", rng.choice(list(TOMG_GROUPS)))])
    smaller = without_group(smiles, remove, rng) if remove else smiles
    return with_group(smaller, add, rng) if add else smaller


def rewritten(smiles: str, rng: random.Random) -> str:
    """Return another SMILES of the same molecule."""
    mol = Chem.MolFromSmiles(smiles)
    mol = Chem.RenumberAtoms(mol, rng.sample(range(mol.GetNumAtoms()), mol.GetNumAtoms()))
    return Chem.MolToSmiles(mol, canonical=False, kekuleSmiles=rng.random() < 0.5)


def flat(smiles: str, rng: random.Random) -> str:
    """Return `smiles` without stereochemistry."""
    return Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False)


def cut(text: str, rng: random.Random) -> str:
    """Return `text` without one of its characters."""
    i = rng.randrange(len(text))
    return text[:i] + text[i + 1 :]


def shuffled(text: str, rng: random.Random) -> str:
    """Return the words of `text` in another order."""
    words = text.split()
    return " ".join(rng.sample(words, len(words)))


def other_order(formula: str, rng: random.Random) -> str:
    """Return a formula with its elements in another order and its charge at the end."""
    atoms = re.findall(r"[A-Z][a-z]?\d*", formula)
    return "".join(rng.sample(atoms, len(atoms))) + formula[len("".join(atoms)) :]


def one_more(formula: str, rng: random.Random) -> str:
    """Return a formula with another number behind its first element."""
    return re.sub(r"\d+|$", lambda match: str(int(match[0] or 1) + 1), formula, count=1)


Variant = Callable[[str, random.Random], str]
SAME: Variant = lambda text, rng: text  # noqa: E731
VARIANTS: dict[str, tuple[Variant, ...]] = {
    "molecule": (
        rewritten,
        SAME,
        flat,
        cut,
        lambda smiles, rng: changed(smiles, {}, rng),
        lambda smiles, rng: f"{smiles}.O",
        lambda smiles, rng: f"{smiles}.{smiles}",
        lambda smiles, rng: f"{smiles} is the answer",
        lambda smiles, rng: rng.choice(TEXTS),
    ),
    "caption": (
        SAME,
        shuffled,
        cut,
        lambda text, rng: text.split(". ")[0],
        lambda text, rng: text.upper(),
        lambda text, rng: f"{text} {text}",
        lambda text, rng: rng.choice(("", "It is a molecule.", "no")),
    ),
    "name": (
        SAME,
        cut,
        lambda name, rng: name.upper(),
        lambda name, rng: ";".join(rng.sample(name.split(";"), name.count(";") + 1)),
        lambda name, rng: re.sub(r"\([\dRSEZ,]+\)-", "", name),
        lambda name, rng: rng.choice(("", "water", "1-")),
    ),
    "formula": (SAME, cut, other_order, one_more, lambda formula, rng: rng.choice(("", "H2O", "c6h6", "CH4 gas"))),
    "choice": (
        SAME,
        lambda answer, rng: {"Yes": "No", "No": "Yes"}[answer],
        lambda answer, rng: answer.lower(),
        lambda answer, rng: rng.choice(("", "maybe", "Yes and No")),
    ),
}


def kind_of(task: str) -> str:
    """Return the kind of answer that `task` asks for, a key of VARIANTS."""
    if task == "molecule_captioning":
        return "caption"
    if task.endswith("_to_formula"):
        return "formula"
    kind = get_task(task).answers
    return "name" if kind == "text" else kind


def vary(rows: list[dict], seed: int = 0) -> list[str]:
    """Return an answer to each row: its own gold in some variant, or another row's. The same seed, the same answers."""
    rng, answers = random.Random(seed), []
    for i, row in enumerate(rows):
        variants = VARIANTS[kind_of(row["task"])]
        kind = i % (len(variants) + 1)
        with rdBase.BlockLogs():
            answers.append(variants[kind](row["answer"], rng) if kind < len(variants) else rng.choice(rows)["answer"])
    return answers
