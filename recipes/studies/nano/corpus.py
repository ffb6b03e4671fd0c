"""The text nano is pretrained on: lines of chemistry, none of them a task's question.

NCc1ccccc1.CC(=O)O>>CC(=O)NCc1ccccc1          CC(=O)NCc1ccccc1<< amide coupling: CC(=O)O.NCc1ccccc1
CC(=O)NCc1ccccc1 has amide                    OCC = CCO
CCO has 2 carbon, 1 oxygen                    CCO minus hydroxyl plus halo CCCl
Oc1ccccc1Cl named 2-chlorophenol              2-chlorophenol draws Oc1ccccc1Cl
2 carbon, 1 oxygen in 2 carbon, 1 oxygen: C 1,C 0,O 0 = CCO
CCO has formula: C 1 3,C 2 5,O 1 6 = C2H6O

In three shorter stages the same kind of lines come as dialogue, cut at their sign: the user gives the left side, the
assistant the right one. That makes nano, like the instruct models it stands for, familiar with its chat template. Lines
like the last two come in a later stage only: those that count atoms or bonds down while they write a molecule in the
third, those that count atoms and hydrogens up in the fourth.
"""

import random
import re
from collections.abc import Iterator

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from chemr_lite.chemistry.groups import group_changes, groups_of
from chemr_lite.chemistry.reactions import USUAL_REAGENT
from chemr_lite.chemistry.structure import count_atoms, count_hydrogens
from chemr_lite.chemistry.wording import describe_groups, describe_rings, format_counts, format_groups, running_counts
from chemr_lite.tasks.open_generation import count_bonds, count_groups, countdown, measure
from chemr_lite.tasks.property_prediction import ALERTS
from chemr_lite.tasks.yield_prediction import hindrance
from recipes.studies.nano import molecules
from recipes.studies.nano.names import named
from recipes.studies.nano.rows import COUPLINGS

_SIGN = re.compile(r".* (?:needs|uses|beside|named|told|draws)|.*?(?: has|>>|<<| = | in | (?=\S+$))", re.DOTALL)


def dialogue(line: str) -> str:
    """`line` with its left side as the user's turn and its right side as the assistant's."""
    cut = _SIGN.match(line).end()
    return f"<|user|>{line[:cut]}<|assistant|>{line[cut:]}"


def _reaction_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    made = molecules.reaction(rng)
    blocks = list(made.reactants)
    rng.shuffle(blocks)
    reactants, sorted_reactants, product, name = ".".join(blocks), ".".join(made.reactants), made.product, made.name
    consumed, formed = (format_groups(groups) for groups in group_changes(made.reactants, (product,)))
    forward = rng.choice([
        f"{reactants}>>{product}",
        f"{reactants}>> {name}: {product}",
        f"{sorted_reactants} has {'; '.join(describe_groups(b) for b in made.reactants)}>> {name}: {consumed} → {formed}: {product}",
    ])  # fmt: skip
    backward = rng.choice([
        f"{product}<<{sorted_reactants}",
        f"{product}<< {name}: {sorted_reactants}",
        f"{product} has {describe_groups(product)}<< {name}: {formed} ← {consumed}: {sorted_reactants}",
    ])  # fmt: skip
    lines, whole = [forward, backward], f"{sorted_reactants}>>{product}"
    given, missing = rng.sample(made.reactants, len(made.reactants))[:2] if len(made.reactants) > 1 else ("", "")
    if missing and rng.random() < 0.15:
        lines[1] = rng.choice(
            (
                f"{product} from {given} needs {missing}",
                f"{product} from {given} needs {name}: {describe_groups(missing)}: {missing}",
            )
        )
    if name in COUPLINGS and rng.random() < 0.3:
        lines[0] = f"{whole} beside {name}: {', '.join(map(str, hindrance(sorted_reactants)))}"
    elif name in USUAL_REAGENT and rng.random() < 0.15:
        lines[0] = f"{whole} uses {name}: {USUAL_REAGENT[name]}"
    return {product, sorted_reactants}, lines


def _name_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    smiles, name, caption = named(rng)
    lines = [
        f"{smiles} named {name}", f"{name} draws {smiles}", f"{smiles} told {caption}", f"{caption} draws {smiles}",
        f"{rng.choice((smiles, name))} has {_facts(rng, smiles)}", f"{rng.choice((smiles, name))} has {_formula(smiles)}",
    ]  # fmt: skip
    return {smiles}, rng.sample(lines, 2)


def _formula(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    return f"{format_counts(count_atoms(mol))}, hydrogens {count_hydrogens(mol)}, formula {rdMolDescriptors.CalcMolFormula(mol)}"


def _facts(rng: random.Random, smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    return rng.choice([
        lambda: describe_groups(smiles),
        lambda: format_counts(count_atoms(mol)),
        lambda: _formula(smiles),
        lambda: format_counts(count_bonds(mol)),
        lambda: format_counts(count_groups(smiles)),
        lambda: "rings " + describe_rings(mol),
        lambda: f"donors {rdMolDescriptors.CalcNumHBD(mol)}, acceptors {rdMolDescriptors.CalcNumHBA(mol)}",
        lambda: f"heavy atoms {mol.GetNumHeavyAtoms()}, rings {rdMolDescriptors.CalcNumRings(mol)}, rotatable bonds {rdMolDescriptors.CalcNumRotatableBonds(mol)}",
        lambda: f"LogP about {measure('LogP', smiles):.0f}".replace("-0", "0"),
        lambda: f"MR about {measure('MR', smiles):.0f}",
        lambda: f"QED about {measure('QED', smiles):.1f}",
        lambda: "alerts " + format_groups({g: n for g, n in groups_of(smiles) if g in ALERTS}),
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
    said = format_counts(counts)
    return {smiles}, [f"{said} in {said}: {countdown(mol, kind, counts)} = {smiles}"]


def _tallied_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    smiles, name, _ = named(rng)
    shown = rng.choice((smiles, name))
    if rng.random() < 0.3:
        shown = smiles = molecules.molecule(rng, 6, 20)
    return {smiles}, [
        f"{shown} has formula: {running_counts(smiles)} = {rdMolDescriptors.CalcMolFormula(Chem.MolFromSmiles(smiles))}"
    ]


def lines(
    rng: random.Random, forbidden: set[str], vocabulary: list[str], counted: float = 0, tallied: float = 0
) -> Iterator[str]:
    """Lines without end; none shows a molecule or a set of reactants in `forbidden` (a single building block of two is free,
    as it is in the rows). `counted` and `tallied` are how many there are of the kinds that count down and up, where the
    others come to 12.

    One line in twenty repeats random words of `vocabulary`, so that every token is seen and copying is learnt.
    """
    while True:
        kinds = (_reaction_lines, _molecule_lines, _edit_lines, _name_lines, _counted_lines, _tallied_lines)
        make = rng.choices(kinds, (5, 3, 1.5, 2.5, counted, tallied))[0]
        shown, made = make(rng)
        if shown & forbidden:
            continue
        yield from made
        if rng.random() < 0.12:
            words = "".join(rng.choices(vocabulary, k=rng.randint(3, 10)))
            yield f"{words} = {words}"
