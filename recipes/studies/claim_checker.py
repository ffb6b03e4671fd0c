"""Measure how good the checker of claims is, on true statements about real molecules and on false twins of them.

    python recipes/studies/claim_checker.py --data my.csv                 # default: nano's rows
    python recipes/studies/claim_checker.py --data uspto50k,chebi20 --rows 500

1. For every molecule and reaction of the rows, write statements in several wordings from what RDKit counts.
2. Give each a false twin: another group, another count, an altered formula, a reaction that does not give the product.
3. Let the checker read both. A table shows, by kind, how many false ones it flags and how many true ones it flags
   wrongly.
4. Let it also read the traces that RDKit writes for the rows. A second table shows, by task, how many rows have one,
   how many claims a trace makes, and how many are flagged.

The truth comes from the facts, not from the checker. A false group is one that RDKit does not find under its own
pattern.
"""

import argparse
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rdkit import Chem, rdBase
from rdkit.Chem import BRICS, Crippen, Descriptors, rdMolDescriptors

from chemr_lite import check_claims, data, get_task, parse_smiles
from chemr_lite.chemistry.groups import FUNCTIONAL_GROUPS, PLACES, functional_groups, places_of
from chemr_lite.chemistry.reactions import NAMES, named_reaction
from chemr_lite.chemistry.structure import count_atoms, scaffold
from chemr_lite.claims import count_claims
from chemr_lite.data import splits
from recipes.training import command

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
RINGS = {
    "pyridine": "c1ccncc1",
    "thiophene": "c1ccsc1",
    "imidazole": "c1c[nH]cn1",
    "piperazine": "C1CNCCN1",
    "morpholine": "C1COCCN1",
    "naphthalene": "c1ccc2ccccc2c1",
    "indole": "c1ccc2[nH]ccc2c1",
    "cyclopropane": "C1CC1",
}
# only in false statements
FOREIGN_RINGS = {
    "quinoline": "c1ccc2ncccc2c1",
    "furan": "c1ccoc1",
    "tetrazole": "c1nnn[nH]1",
    "pyrrolidine": "C1CCNC1",
}
BOND_PAIRS = {"C-N", "C-O", "C-C", "C-S", "C-Br", "C-Cl", "N-O", "C-B", "C-F"}
TAKES_A = ("Suzuki", "Sonogashira", "Stille", "urea", "Ste")  # spoken with a consonant, unlike "SNAr"
Statement = tuple[str, str, str]  # kind, a true statement, a false one


# wording


def in_words(n: int, rng: random.Random) -> str:
    """Return `n` as a word or in digits."""
    return NUMBERS[n] if n < len(NUMBERS) and rng.random() < 0.5 else str(n)


def wrong_count(n: int, rng: random.Random) -> int:
    """Return a positive number near `n` that is not `n`."""
    return rng.choice([m for m in (n - 2, n - 1, n + 1, n + 2) if m > 0])


def plural(noun: str, n: int) -> str:
    return noun if n == 1 else re.sub(r"y$", "ie", noun) + "s"


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOS' and not noun.startswith(TAKES_A) else 'a'} {noun}"


def verb(n: int) -> str:
    return "is" if n == 1 else "are"


def counted(n: int, noun: str, rng: random.Random) -> str:
    """Return a sentence that says how many of `noun` a molecule has."""
    text = f"{in_words(n, rng)} {plural(noun, n)}"
    return rng.choice((f"There {verb(n)} {text}.", f"The molecule has {text}.", f"I count {text}."))


# pieces of molecules


def scaffold_of(smiles: str) -> str:
    return scaffold(Chem.MolFromSmiles(smiles))


def fragments_of(mol: Chem.Mol) -> list[str]:
    """Return what is left when every bond that BRICS would break is broken.

    The bonds are broken at once: all their combinations would take forever on a large molecule.
    """
    parts = Chem.MolToSmiles(BRICS.BreakBRICSBonds(mol)).split(".")
    return [fragment for fragment in map(without_dummies, parts) if fragment]


def without_dummies(fragment: str) -> str | None:
    """Return a BRICS fragment without its dummy atoms, or None if that is no molecule of at least four atoms."""
    text = re.sub(r"\(\[\d*\*\]\)|\[\d*\*\][-=]?", "", fragment)
    parsed = parse_smiles(text)
    return parsed.key if parsed.ok and parsed.mol.GetNumHeavyAtoms() >= 4 else None


def contains(mol: Chem.Mol, smiles: str) -> bool:
    return mol.HasSubstructMatch(Chem.MolFromSmiles(smiles))


# statements


def about_molecule(smiles: str, strangers: list[str], rng: random.Random) -> Iterator[Statement]:
    """Yield statements about a molecule. `strangers` are other molecules, which lend pieces to the false ones."""
    mol = Chem.MolFromSmiles(smiles)
    opening = rng.choice(("The molecule contains", "This compound has", "Looking at the structure, I see", "It bears"))
    yield from about_groups(mol, functional_groups(mol), opening, rng)
    yield from about_rings(mol, opening, rng)
    yield from about_formula(mol, rng)
    yield from about_structure(mol, rng)
    yield from about_pieces(smiles, mol, strangers, rng)
    yield from about_properties(mol, rng)


def about_groups(mol: Chem.Mol, groups: dict[str, int], opening: str, rng: random.Random) -> Iterator[Statement]:
    absent = [name for name in FUNCTIONAL_GROUPS if name not in groups]
    for name, n in rng.sample(sorted(groups.items()), min(2, len(groups))):
        wrong = rng.choice(absent)
        yield "group", f"{opening} {with_article(name)}.", f"{opening} {with_article(wrong)}."
        true = f"There {verb(n)} {in_words(n, rng)} {plural(f'{name} group', n)}."
        yield "group", true, counted(wrong_count(n, rng), f"{name} group", rng)
        yield "group", f"- Functional groups: {name}", f"- Functional groups: {wrong}"
        yield "group", f"No {wrong} is present.", f"No {name} is present."
        matches = mol.GetSubstructMatches(Chem.MolFromSmarts(FUNCTIONAL_GROUPS[name]))
        places = {place for atoms in matches for place in places_of(mol, atoms)}
        if 0 < len(places) < len(PLACES):
            here, elsewhere = rng.choice(sorted(places)), rng.choice(sorted(set(PLACES) - places))
            bears = f"{opening} {with_article(name)} {{}}."
            line = rng.choice((bears, f"The {name} sits {{}}.", f"- Key elements: {name} {{}}"))
            yield "place", line.format(here), line.format(elsewhere)


def about_rings(mol: Chem.Mol, opening: str, rng: random.Random) -> Iterator[Statement]:
    n = rdMolDescriptors.CalcNumAromaticRings(mol)
    if n:
        yield "ring", counted(n, "aromatic ring", rng), counted(wrong_count(n, rng), "aromatic ring", rng)
    for ring, smiles in RINGS.items():
        if contains(mol, smiles):
            wrong = rng.choice([other for other, s in (RINGS | FOREIGN_RINGS).items() if not contains(mol, s)])
            true, false = (f"{opening} {with_article(f'{name} ring')}." for name in (ring, wrong))
            yield "ring", true, false


def about_formula(mol: Chem.Mol, rng: random.Random) -> Iterator[Statement]:
    formula = rdMolDescriptors.CalcMolFormula(mol)
    match = re.search(r"H(\d+)", formula)
    hydrogens = int(match[1]) if match else 0
    if hydrogens > 2:
        altered = re.sub(r"H\d+", f"H{hydrogens + rng.choice((-2, 2))}", formula)
        line = rng.choice(
            ("The molecular formula is {}.", "Molecular formula: {}", "Its formula, {}, follows from the SMILES.")
        )
        yield "formula", line.format(formula), line.format(altered)
    element, n = rng.choice(sorted(count_atoms(mol).items()))
    yield "atoms", counted(n, f"{element} atom", rng), counted(wrong_count(n, rng), f"{element} atom", rng)
    n = mol.GetNumHeavyAtoms()
    yield "atoms", f"It has {n} heavy atoms.", f"It has {wrong_count(n, rng)} heavy atoms."


def about_structure(mol: Chem.Mol, rng: random.Random) -> Iterator[Statement]:
    """Yield statements about rotatable bonds, weight, charge and stereocentres."""
    rules = rdMolDescriptors.NumRotatableBondsOptions
    n, loose = (rdMolDescriptors.CalcNumRotatableBonds(mol, rule) for rule in (rules.Strict, rules.NonStrict))
    if n:
        wrong = rng.choice([m for m in range(1, loose + 4) if m not in (n, loose)])
        yield "bonds", counted(n, "rotatable bond", rng), counted(wrong, "rotatable bond", rng)
    weight = Descriptors.MolWt(mol)
    line = rng.choice(
        ("The molecular weight is {:.2f} g/mol.", "MW: {:.1f}", "Its molar mass of {:.1f} g/mol is moderate.")
    )
    yield "weight", line.format(weight), line.format(weight + rng.choice((-16, -14, -2, 2, 14, 16, 18)))
    charge = Chem.GetFormalCharge(mol)
    line = rng.choice(("The net charge is {:+d}.", "Its overall charge is {:+d}."))
    true = line.format(charge) if charge else "The molecule is neutral."
    yield "charge", true, line.format(charge + rng.choice((-1, 1)))
    n = len(Chem.FindMolChiralCenters(mol, includeUnassigned=True, useLegacyImplementation=False))
    true = counted(n, "stereocenter", rng) if n else "No stereocentres are present."
    yield "stereo", true, counted(wrong_count(n, rng) + n, "stereocenter", rng)


def about_pieces(smiles: str, mol: Chem.Mol, strangers: list[str], rng: random.Random) -> Iterator[Statement]:
    """Yield statements about the scaffold and a fragment; the false ones name those of strangers."""
    own = scaffold_of(smiles)
    wrong = next((other for other in map(scaffold_of, strangers) if other not in ("", own)), None)
    if own and wrong:
        yield "scaffold", f"The Murcko scaffold is {own}.", f"The Murcko scaffold is {wrong}."
    present = [fragment for fragment in fragments_of(mol) if contains(mol, fragment)]
    foreign = [fragment for stranger in strangers[:3] for fragment in fragments_of(Chem.MolFromSmiles(stranger))]
    absent = [fragment for fragment in foreign if not contains(mol, fragment)]
    if present and absent:
        true, false = (f"The fragment {rng.choice(sorted(fragments))} is present." for fragments in (present, absent))
        yield "fragment", true, false


def about_properties(mol: Chem.Mol, rng: random.Random) -> Iterator[Statement]:
    logp, n = Crippen.MolLogP(mol), rdMolDescriptors.CalcNumHBD(mol)
    yield "property", f"LogP is about {logp:.1f}.", f"LogP is about {logp + rng.choice((-1.5, 1.5, 2.5)):.1f}."
    if n:
        noun = "hydrogen bond donor"
        yield "property", counted(n, noun, rng), counted(wrong_count(n, rng), noun, rng)
    area = rdMolDescriptors.CalcTPSA(mol)
    yield "property", f"TPSA = {area:.1f}.", f"TPSA = {area + rng.choice((-17, 9, 20)):.1f}."


def about_reaction(reactants: str, product: str, rng: random.Random) -> Iterator[Statement]:
    """Yield statements about a reaction, or none if it is no named reaction."""
    fragments, key = parse_smiles(reactants).fragments, parse_smiles(product).key
    known = named_reaction(fragments, key)
    if known is None:
        return
    wrong = rng.choice([name for name in NAMES if not named_reaction(fragments, key, (name,))])
    line = rng.choice(("This is {}.", "The reaction type is {}.", "The product is formed by {}."))
    yield "reaction", line.format(with_article(known.name)), line.format(with_article(wrong))
    for changed, wordings in (
        (known.formed, ("A new {} bond is formed.", "The {} bond is formed.")),
        (known.broken, ("The {} bond is broken.", "The {} bond is cleaved.")),
    ):
        untouched = sorted(BOND_PAIRS - known.formed - known.broken - known.changed)
        for pair in sorted(changed)[:1]:
            line = rng.choice(wordings)
            if pair in BOND_PAIRS:
                yield "bond_change", line.format(pair), line.format(rng.choice(untouched))


def statements(rows: list[dict], rng: random.Random) -> Iterator[tuple[dict, str, str, str]]:
    """Yield (row, kind, true statement, false statement) for the reactions of `rows`, then for their molecules."""
    molecules = []
    for row in rows:
        sides = get_task(row["task"]).sides(row)
        if not all(parse_smiles(smiles).ok for smiles in sides.values()):
            continue
        if "reactants" in sides:
            for kind, true, false in about_reaction(sides["reactants"], sides["product"], rng):
                yield row, kind, true, false
        else:
            molecules += [smiles for smiles in sides.values() if "." not in smiles]
    for smiles in dict.fromkeys(molecules):
        row = {"task": "molecule_captioning", "input": smiles, "answer": "", "meta": {}}
        for kind, true, false in about_molecule(smiles, rng.sample(molecules, min(5, len(molecules))), rng):
            yield row, kind, true, false


# measurement


def judge(rows: list[dict], seed: int = 0) -> dict[str, Counter]:
    """Count, by kind: `n` pairs, false statements `flagged`, true ones `wronged` (flagged) and `found` (supported)."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for row, kind, true, false in statements(rows, random.Random(seed)):
        claims, twins = check_claims(true, row), check_claims(false, row)
        counts[kind].update(
            n=1,
            flagged=any(claim.supported is False for claim in twins),
            wronged=any(claim.supported is False for claim in claims),
            found=any(claim.supported for claim in claims),
        )
    return dict(counts)


def traces(rows: list[dict]) -> dict[str, Counter]:
    """Count, by task: `rows`, rows `traced` by RDKit, the different `claims` in those traces, and those `flagged`."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        trace = get_task(row["task"]).trace(row)
        supported, checkable = count_claims(check_claims(trace, row)) if trace else (0, 0)
        counts[row["task"]].update(rows=1, traced=bool(trace), claims=checkable, flagged=checkable - supported)
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="nano", help="what --data of the other recipes takes")
    parser.add_argument("--data-root", help="folder with the files of the public data sets")
    parser.add_argument("--rows", type=int, default=100, help="rows of each macro-task")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    loaded = data.load(args.data.split(","), None, False, args.data_root)
    rows = splits.sample([row for split in splits.SPLITS for row in loaded.rows[split]], args.rows, args.seed)
    rdBase.DisableLog("rdApp.*")  # public rows make RDKit warn
    counts = judge(rows, args.seed)
    print("| kind | statements | false ones flagged | true ones flagged | true ones supported |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        shares = (f"{100 * count[name] / count['n']:.1f} %" for name in ("flagged", "wronged", "found"))
        print(f"| {kind} | {count['n']} | {' | '.join(shares)} |")
    print("\n| task | rows | with a trace | claims a trace | flagged |\n| --- | ---: | ---: | ---: | ---: |")
    for task, count in traces(rows).items():
        traced, claims = 100 * count["traced"] / count["rows"], count["claims"] / max(1, count["traced"])
        print(f"| {task} | {count['rows']} | {traced:.1f} % | {claims:.1f} | {count['flagged']} |")


if __name__ == "__main__":
    command.run(main)
