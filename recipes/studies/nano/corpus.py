"""The text nano is pretrained on: lines of chemistry, none of which is a task's question.

NCc1ccccc1.CC(=O)O>>CC(=O)NCc1ccccc1          CC(=O)NCc1ccccc1<< amide coupling: CC(=O)O.NCc1ccccc1
CC(=O)NCc1ccccc1 has amide                    OCC = CCO
CCO has 2 carbon, 1 oxygen                    CCO minus hydroxyl plus halo CCCl
Oc1ccccc1Cl named 2-chlorophenol              2-chlorophenol draws Oc1ccccc1Cl
2 carbon, 1 oxygen in 2 carbon, 1 oxygen: C 1,C 0,O 0 = CCO
CCO has formula: C 1 3,C 2 5,O 1 6 = C2H6O

Three shorter stages turn the same kinds of lines into dialogue, cut at their sign: the user gives the left side and
the assistant the right one. This makes nano familiar with its chat template, as instruct models are. The last two kinds
come in later stages only. The third stage counts atoms or bonds down while it writes a molecule. The fourth counts
atoms and hydrogens up.
"""

import random
import re
from collections.abc import Iterator, Mapping

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from chemr_lite.chemistry.groups import group_changes, groups_of
from chemr_lite.chemistry.reactions import USUAL_REAGENT
from chemr_lite.chemistry.structure import ELEMENTS, count_atoms, count_hydrogens, written_atoms
from chemr_lite.chemistry.wording import describe_groups, describe_rings, format_counts, format_groups, running_counts
from chemr_lite.tasks.open_generation import count_bonds, count_groups, measure
from chemr_lite.tasks.property_prediction import ALERTS
from chemr_lite.tasks.yield_prediction import hindrance
from recipes.studies.nano import molecules
from recipes.studies.nano.names import named
from recipes.studies.nano.rows import COUPLINGS

_SIGN = re.compile(r".* (?:needs|uses|beside|named|told|draws)|.*?(?: has|>>|<<| = | in | (?=\S+$))", re.DOTALL)


def dialogue(line: str) -> str:
    """Return `line` with its left side as the user's turn and its right side as the assistant's."""
    cut = _SIGN.match(line).end()
    return f"<|user|>{line[:cut]}<|assistant|>{line[cut:]}"


# each function returns the molecules and sets of reactants that its lines show, and the lines


def _reaction_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    reaction = molecules.reaction(rng)
    product, name = reaction.product, reaction.name
    blocks = list(reaction.reactants)
    rng.shuffle(blocks)
    reactants, sorted_reactants = ".".join(blocks), ".".join(reaction.reactants)
    consumed, formed = (format_groups(groups) for groups in group_changes(reaction.reactants, (product,)))
    groups_of_blocks = "; ".join(describe_groups(block) for block in reaction.reactants)
    forward = rng.choice(
        [
            f"{reactants}>>{product}",
            f"{reactants}>> {name}: {product}",
            f"{sorted_reactants} has {groups_of_blocks}>> {name}: {consumed} → {formed}: {product}",
        ]
    )
    groups_of_product = describe_groups(product)
    backward = rng.choice(
        [
            f"{product}<<{sorted_reactants}",
            f"{product}<< {name}: {sorted_reactants}",
            f"{product} has {groups_of_product}<< {name}: {formed} ← {consumed}: {sorted_reactants}",
        ]
    )
    lines, equation = [forward, backward], f"{sorted_reactants}>>{product}"
    if len(reaction.reactants) > 1:
        given, missing = rng.sample(reaction.reactants, len(reaction.reactants))[:2]
        if rng.random() < 0.15:
            needs = f"{product} from {given} needs"
            lines[1] = rng.choice((f"{needs} {missing}", f"{needs} {name}: {describe_groups(missing)}: {missing}"))
    if name in COUPLINGS and rng.random() < 0.3:
        lines[0] = f"{equation} beside {name}: {', '.join(map(str, hindrance(sorted_reactants)))}"
    elif name in USUAL_REAGENT and rng.random() < 0.15:
        lines[0] = f"{equation} uses {name}: {USUAL_REAGENT[name]}"
    return {product, sorted_reactants}, lines


def _name_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    smiles, name, caption = named(rng)
    lines = [
        f"{smiles} named {name}",
        f"{name} draws {smiles}",
        f"{smiles} told {caption}",
        f"{caption} draws {smiles}",
        f"{rng.choice((smiles, name))} has {_facts(rng, smiles)}",
        f"{rng.choice((smiles, name))} has {_formula(smiles)}",
    ]
    return {smiles}, rng.sample(lines, 2)


def _formula(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    formula = rdMolDescriptors.CalcMolFormula(mol)
    return f"{format_counts(count_atoms(mol))}, hydrogens {count_hydrogens(mol)}, formula {formula}"


def _sizes(mol: Chem.Mol) -> str:
    rings, bonds = rdMolDescriptors.CalcNumRings(mol), rdMolDescriptors.CalcNumRotatableBonds(mol)
    return f"heavy atoms {mol.GetNumHeavyAtoms()}, rings {rings}, rotatable bonds {bonds}"


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
        lambda: _sizes(mol),
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
    edit = molecules.edit(rng)
    lines = [
        f"{edit.bare} plus {edit.first_group} {edit.first}",
        f"{edit.second} minus {edit.second_group} {edit.bare}",
        f"{edit.first} minus {edit.first_group} plus {edit.second_group} {edit.second}",
    ]
    return {edit.bare, edit.first, edit.second}, rng.sample(lines, 2)


def countdown(mol: Chem.Mol, kind: str, wanted: Mapping[str, int]) -> str:
    """Write the canonical SMILES of `mol` atom by atom, each with what is then left of the `wanted` counts.

    For `kind` atoms this is the count of its element, for `kind` bonds the counts of the bonds it has just closed:
    `CC=O` under 2 carbon, 1 oxygen is `C 1,C 0,=O 0`.
    """
    names = {number: name for name, number in ELEMENTS.items()}
    left, entries = dict(wanted), []
    for atom, text in written_atoms(Chem.MolToSmiles(mol)):
        if kind == "atoms":
            spent = [names.get(atom.GetAtomicNum(), atom.GetSymbol())]
        else:
            earlier = [bond for bond in atom.GetBonds() if bond.GetOtherAtomIdx(atom.GetIdx()) < atom.GetIdx()]
            spent = [str(bond.GetBondType()).lower() for bond in earlier]
        for name in spent:
            left[name] = left.get(name, 0) - 1
        entries.append(text + "".join(f" {left[name]}" for name in dict.fromkeys(spent)))
    return ",".join(entries)


def _counted_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    smiles = molecules.molecule(rng, 4, 14)
    mol = Chem.MolFromSmiles(smiles)
    kind, counts = rng.choice([("atoms", count_atoms(mol)), ("bonds", count_bonds(mol))])
    text = format_counts(counts)
    return {smiles}, [f"{text} in {text}: {countdown(mol, kind, counts)} = {smiles}"]


def _tallied_lines(rng: random.Random) -> tuple[set[str], list[str]]:
    smiles, name, _ = named(rng)
    shown = rng.choice((smiles, name))
    if rng.random() < 0.3:
        shown = smiles = molecules.molecule(rng, 6, 20)
    formula = rdMolDescriptors.CalcMolFormula(Chem.MolFromSmiles(smiles))
    return {smiles}, [f"{shown} has formula: {running_counts(smiles)} = {formula}"]


def lines(
    rng: random.Random, forbidden: set[str], vocabulary: list[str], counted: float = 0, tallied: float = 0
) -> Iterator[str]:
    """Yield lines without end. None shows a molecule or a set of reactants in `forbidden`.

    As in the rows, a single building block of two may appear anywhere. `counted` and `tallied` weigh the kinds that
    count down and up; the other kinds weigh 12 together. One line in twenty repeats random words of `vocabulary`, so
    that nano sees every token and learns to copy.
    """
    while True:
        kinds = (_reaction_lines, _molecule_lines, _edit_lines, _name_lines, _counted_lines, _tallied_lines)
        make = rng.choices(kinds, (5, 3, 1.5, 2.5, counted, tallied))[0]
        shown, written = make(rng)
        if shown & forbidden:
            continue
        yield from written
        if rng.random() < 0.12:
            words = "".join(rng.choices(vocabulary, k=rng.randint(3, 10)))
            yield f"{words} = {words}"
