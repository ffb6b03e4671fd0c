"""The text nano is pretrained on: lines of chemistry, none of them a task's question.

NCc1ccccc1.CC(=O)O>>CC(=O)NCc1ccccc1          CC(=O)NCc1ccccc1<< amide coupling: CC(=O)O.NCc1ccccc1
CC(=O)NCc1ccccc1 has amide                    OCC = CCO
CCO has 2 carbon, 1 oxygen                    CCO minus hydroxyl plus halo CCCl
2 carbon, 1 oxygen in 2 carbon, 1 oxygen: C 1,C 0,O 0 = CCO

In two shorter stages the same kind of lines come as dialogue, cut at their sign: the user gives the left side, the
assistant the right one. That makes nano, like the instruct models it stands for, familiar with its chat template. Lines
like the last, which count down atoms or bonds while they write a molecule, come in the third stage only.
"""

import random
import re
from collections.abc import Iterator

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from chemr_lite.facts import groups_of, say_groups
from chemr_lite.nano import molecules
from chemr_lite.tasks.open_generation import count_atoms, count_bonds, count_groups, countdown, measure, say_counts, say_rings
from chemr_lite.tasks.property_prediction import ALERTS
from chemr_lite.tasks.reaction_prediction import group_changes

_SIGN = re.compile(r" has|>>|<<| = | in | (?=\S+$)")


def dialogue(line: str) -> str:
    """`line` with its left side as the user's turn and its right side as the assistant's."""
    cut = _SIGN.search(line).end()
    return f"<|user|>{line[:cut]}<|assistant|>{line[cut:]}"


def _groups(smiles: str) -> str:
    return say_groups(dict(groups_of(smiles)))


def _reaction_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    made = molecules.reaction(rng)
    blocks = list(made.reactants)
    rng.shuffle(blocks)
    reactants, sorted_reactants, product, name = ".".join(blocks), ".".join(made.reactants), made.product, made.name
    consumed, formed = (say_groups(groups) for groups in group_changes(made.reactants, product))
    forward = rng.choice([
        f"{reactants}>>{product}",
        f"{reactants}>> {name}: {product}",
        f"{sorted_reactants} has {'; '.join(_groups(b) for b in made.reactants)}>> {name}: {consumed} → {formed}: {product}",
    ])  # fmt: skip
    backward = rng.choice([
        f"{product}<<{sorted_reactants}",
        f"{product}<< {name}: {sorted_reactants}",
        f"{product} has {_groups(product)}<< {name}: {formed} ← {consumed}: {sorted_reactants}",
    ])  # fmt: skip
    return {product, sorted_reactants}, [forward, backward]


def _facts(rng: random.Random, smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    rings = rdMolDescriptors.CalcNumRings(mol)
    return rng.choice([
        lambda: _groups(smiles),
        lambda: say_counts(count_atoms(mol)),
        lambda: say_counts(count_bonds(mol)),
        lambda: say_counts(count_groups(smiles)),
        lambda: "rings " + say_rings(mol),
        lambda: f"donors {rdMolDescriptors.CalcNumHBD(mol)}, acceptors {rdMolDescriptors.CalcNumHBA(mol)}",
        lambda: f"heavy atoms {mol.GetNumHeavyAtoms()}, rings {rings}, rotatable bonds {rdMolDescriptors.CalcNumRotatableBonds(mol)}",
        lambda: f"LogP about {measure('LogP', smiles):.0f}".replace("-0", "0"),
        lambda: f"MR about {measure('MR', smiles):.0f}",
        lambda: f"QED about {measure('QED', smiles):.1f}",
        lambda: "alerts " + say_groups({g: n for g, n in groups_of(smiles) if g in ALERTS}),
    ])()  # fmt: skip


def _molecule_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    smiles = molecules.molecule(rng, 6, 20)
    shuffled = Chem.MolToSmiles(Chem.MolFromSmiles(smiles), doRandom=True)
    lines = [f"{smiles} has {_facts(rng, smiles)}", f"{smiles} has {_facts(rng, smiles)}", f"{shuffled} = {smiles}"]
    if rng.random() < 0.5:
        lines[1] = f"{_facts(rng, smiles)} in {smiles}"
    return {smiles}, lines


def _edit_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    made = molecules.edit(rng)
    lines = [
        f"{made.bare} plus {made.first_group} {made.first}",
        f"{made.second} minus {made.second_group} {made.bare}",
        f"{made.first} minus {made.first_group} plus {made.second_group} {made.second}",
    ]
    return {made.bare, made.first, made.second}, rng.sample(lines, 2)


def _counted_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    smiles = molecules.molecule(rng, 4, 14)
    mol = Chem.MolFromSmiles(smiles)
    kind, counts = rng.choice([("atoms", count_atoms(mol)), ("bonds", count_bonds(mol))])
    said = say_counts(counts)
    return {smiles}, [f"{said} in {said}: {countdown(mol, kind, counts)} = {smiles}"]


def lines(rng: random.Random, forbidden: set[str], vocabulary: list[str], counted: bool = False) -> Iterator[str]:
    """Lines without end; none shows a molecule or a set of reactants in `forbidden`. `counted` adds the kind that counts down.

    One line in twenty repeats random words of `vocabulary`, so that every token is seen and copying is learnt.
    """
    while True:
        make = rng.choices((_reaction_lines, _molecule_lines, _edit_lines, _counted_lines), (5, 3, 1.5, 5 * counted))[0]
        shown, made = make(rng)
        if shown & forbidden:
            continue
        yield from made
        if rng.random() < 0.12:
            words = "".join(rng.choices(vocabulary, k=rng.randint(3, 10)))
            yield f"{words} = {words}"
