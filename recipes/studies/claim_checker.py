"""How good the checker of claims is: true statements about real molecules, and the same ones made false.

    python recipes/studies/claim_checker.py --data my.csv                 # default: nano's rows
    python recipes/studies/claim_checker.py --data uspto50k,chebi20 --rows 500

1. For every molecule and reaction of the rows, statements are written in several wordings from what RDKit counts.
2. Each has a false twin: another group, another count, an altered formula, a reaction that does not give the product.
3. The checker reads both. A table tells, per kind, the share of false ones it flags and of true ones it flags wrongly.
4. It also reads the traces that RDKit writes for the rows: a second table tells, per task, how many rows have one, how
   many claims it makes, and whether any is flagged.

The truth comes from the facts, not from the checker; a false group is one that RDKit does not find under its own pattern.
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

SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def say(n: int, rng: random.Random) -> str:
    return SMALL[n] if n < len(SMALL) and rng.random() < 0.5 else str(n)


def other(n: int, rng: random.Random) -> int:
    """A number near `n` that is not `n`, and not 0."""
    return rng.choice([m for m in (n - 2, n - 1, n + 1, n + 2) if m > 0])


def plural(noun: str, n: int) -> str:
    return noun if n == 1 else re.sub(r"y$", "ie", noun) + "s"


def about_molecule(smiles: str, strangers: list[str], rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """(kind, a true statement, a false one) about a molecule; `strangers` are others, to take pieces from."""
    mol = Chem.MolFromSmiles(smiles)
    groups = functional_groups(mol)
    absent = [name for name in FUNCTIONAL_GROUPS if name not in groups]
    opening = rng.choice(("The molecule contains", "This compound has", "Looking at the structure, I see", "It bears"))
    for name, n in rng.sample(sorted(groups.items()), min(2, len(groups))):
        wrong = rng.choice(absent)
        yield "group", f"{opening} {_a(name)}.", f"{opening} {_a(wrong)}."
        yield (
            "group",
            f"There {_are(n)} {say(n, rng)} {plural(f'{name} group', n)}.",
            _counted(other(n, rng), f"{name} group", rng),
        )
        yield "group", f"- Functional groups: {name}", f"- Functional groups: {wrong}"
        yield "group", f"No {wrong} is present.", f"No {name} is present."
        sits = {
            place
            for atoms in mol.GetSubstructMatches(Chem.MolFromSmarts(FUNCTIONAL_GROUPS[name]))
            for place in places_of(mol, atoms)
        }
        if 0 < len(sits) < len(PLACES):
            here, elsewhere = rng.choice(sorted(sits)), rng.choice(sorted(set(PLACES) - sits))
            line = rng.choice((f"{opening} {_a(name)} {{}}.", f"The {name} sits {{}}.", f"- Key elements: {name} {{}}"))
            yield "place", line.format(here), line.format(elsewhere)
    aromatic = rdMolDescriptors.CalcNumAromaticRings(mol)
    if aromatic:
        yield "ring", _counted(aromatic, "aromatic ring", rng), _counted(other(aromatic, rng), "aromatic ring", rng)
    for ring in (
        "pyridine",
        "thiophene",
        "imidazole",
        "piperazine",
        "morpholine",
        "naphthalene",
        "indole",
        "cyclopropane",
    ):
        if mol.HasSubstructMatch(Chem.MolFromSmiles(RING_SMILES[ring])):
            wrong = rng.choice([r for r, s in RING_SMILES.items() if not mol.HasSubstructMatch(Chem.MolFromSmiles(s))])
            yield "ring", f"{opening} {_a(f'{ring} ring')}.", f"{opening} {_a(f'{wrong} ring')}."
    formula = rdMolDescriptors.CalcMolFormula(mol)
    hydrogens = int(re.search(r"H(\d+)", formula)[1]) if re.search(r"H(\d+)", formula) else 0
    if hydrogens > 2:
        altered = re.sub(r"H\d+", f"H{hydrogens + rng.choice((-2, 2))}", formula)
        line = rng.choice(
            ("The molecular formula is {}.", "Molecular formula: {}", "Its formula, {}, follows from the SMILES.")
        )
        yield "formula", line.format(formula), line.format(altered)
    element, n = rng.choice(sorted(count_atoms(mol).items()))
    yield "atoms", _counted(n, f"{element} atom", rng), _counted(other(n, rng), f"{element} atom", rng)
    n = mol.GetNumHeavyAtoms()
    yield "atoms", f"It has {n} heavy atoms.", f"It has {other(n, rng)} heavy atoms."
    rules = rdMolDescriptors.NumRotatableBondsOptions
    n, loosely = (rdMolDescriptors.CalcNumRotatableBonds(mol, rule) for rule in (rules.Strict, rules.NonStrict))
    if n:
        wrong = rng.choice([m for m in range(1, loosely + 4) if m not in (n, loosely)])
        yield "bonds", _counted(n, "rotatable bond", rng), _counted(wrong, "rotatable bond", rng)
    weight = Descriptors.MolWt(mol)
    line = rng.choice(
        ("The molecular weight is {:.2f} g/mol.", "MW: {:.1f}", "Its molar mass of {:.1f} g/mol is moderate.")
    )
    yield "weight", line.format(weight), line.format(weight + rng.choice((-16, -14, -2, 2, 14, 16, 18)))
    charge = Chem.GetFormalCharge(mol)
    line = rng.choice(("The net charge is {:+d}.", "Its overall charge is {:+d}."))
    yield (
        "charge",
        line.format(charge) if charge else "The molecule is neutral.",
        line.format(charge + rng.choice((-1, 1))),
    )
    centres = len(Chem.FindMolChiralCenters(mol, includeUnassigned=True, useLegacyImplementation=False))
    true = _counted(centres, "stereocenter", rng) if centres else "No stereocentres are present."
    yield "stereo", true, _counted(other(centres, rng) + centres, "stereocenter", rng)
    scaffold = _scaffold(smiles)
    wrong = next((s for s in map(_scaffold, strangers) if s not in ("", scaffold)), None)
    if scaffold and wrong:
        yield "scaffold", f"The Murcko scaffold is {scaffold}.", f"The Murcko scaffold is {wrong}."
    pieces = [p for p in _pieces(mol) if mol.HasSubstructMatch(Chem.MolFromSmiles(p))]
    foreign = [p for s in strangers[:3] for p in _pieces(Chem.MolFromSmiles(s))]
    foreign = [p for p in foreign if not mol.HasSubstructMatch(Chem.MolFromSmiles(p))]
    if pieces and foreign:
        yield (
            "fragment",
            f"The fragment {rng.choice(sorted(pieces))} is present.",
            f"The fragment {rng.choice(sorted(foreign))} is present.",
        )
    logp, donors = Crippen.MolLogP(mol), rdMolDescriptors.CalcNumHBD(mol)
    yield "property", f"LogP is about {logp:.1f}.", f"LogP is about {logp + rng.choice((-1.5, 1.5, 2.5)):.1f}."
    if donors:
        yield (
            "property",
            _counted(donors, "hydrogen bond donor", rng),
            _counted(other(donors, rng), "hydrogen bond donor", rng),
        )
    area = rdMolDescriptors.CalcTPSA(mol)
    yield "property", f"TPSA = {area:.1f}.", f"TPSA = {area + rng.choice((-17, 9, 20)):.1f}."


def about_reaction(reactants: str, product: str, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """(kind, a true statement, a false one) about a reaction; nothing where the table does not know it."""
    fragments, key = parse_smiles(reactants).fragments, parse_smiles(product).key
    known = named_reaction(fragments, key)
    if known is None:
        return
    wrong = rng.choice([name for name in NAMES if not named_reaction(fragments, key, (name,))])
    line = rng.choice(("This is {}.", "The reaction type is {}.", "The product is formed by {}."))
    yield "reaction", line.format(_a(known.name)), line.format(_a(wrong))
    pairs = {"C-N", "C-O", "C-C", "C-S", "C-Br", "C-Cl", "N-O", "C-B", "C-F"}
    for changed, words in (
        (known.formed, ("A new {} bond is formed.", "The {} bond is formed.")),
        (known.broken, ("The {} bond is broken.", "The {} bond is cleaved.")),
    ):
        neither = sorted(pairs - known.formed - known.broken - known.changed)
        for pair in sorted(changed)[:1]:
            line = rng.choice(words)
            if pair in pairs:
                yield "bond_change", line.format(pair), line.format(rng.choice(neither))


RING_SMILES = {
    "pyridine": "c1ccncc1", "thiophene": "c1ccsc1", "imidazole": "c1c[nH]cn1", "piperazine": "C1CNCCN1", "morpholine": "C1COCCN1", "naphthalene": "c1ccc2ccccc2c1",
    "indole": "c1ccc2[nH]ccc2c1", "cyclopropane": "C1CC1", "quinoline": "c1ccc2ncccc2c1", "furan": "c1ccoc1", "tetrazole": "c1nnn[nH]1", "pyrrolidine": "C1CCNC1",
}  # fmt: skip


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOS' and not noun.startswith(('Suzuki', 'Sonogashira', 'Stille', 'urea', 'Ste')) else 'a'} {noun}"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _counted(n: int, noun: str, rng: random.Random) -> str:
    text = f"{say(n, rng)} {plural(noun, n)}"
    return rng.choice((f"There {_are(n)} {text}.", f"The molecule has {text}.", f"I count {text}."))


def _scaffold(smiles: str) -> str:
    return scaffold(Chem.MolFromSmiles(smiles))


def _pieces(mol) -> list[str]:
    """What is left when all bonds that BRICS would break are broken at once; all its combinations would take for ever on a
    large molecule."""
    parts = Chem.MolToSmiles(BRICS.BreakBRICSBonds(mol)).split(".")
    return [piece for piece in map(_bare, parts) if piece]


def _bare(piece: str) -> str | None:
    """A BRICS piece without its dummy atoms, if that is still a molecule of some size."""
    text = re.sub(r"\(\[\d*\*\]\)|\[\d*\*\][-=]?", "", piece)
    parsed = parse_smiles(text)
    return parsed.key if parsed.ok and parsed.mol.GetNumHeavyAtoms() >= 4 else None


def statements(rows: list[dict], rng: random.Random) -> Iterator[tuple[dict, str, str, str]]:
    """(row, kind, true statement, false statement) for the molecules and reactions of `rows`."""
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


def judge(rows: list[dict], seed: int = 0) -> dict[str, Counter]:
    """Per kind: how many statements, how many false ones are flagged, and how many true ones are flagged or found."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for row, kind, true, false in statements(rows, random.Random(seed)):
        claims, twins = check_claims(true, row), check_claims(false, row)
        counts[kind].update(
            n=1,
            flagged=any(c.supported is False for c in twins),
            wronged=any(c.supported is False for c in claims),
            found=any(c.supported for c in claims),
        )
    return dict(counts)


def traces(rows: list[dict]) -> dict[str, Counter]:
    """Per task: rows, rows with a grounded trace, the different claims in those traces, and how many are flagged."""
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
    rdBase.DisableLog("rdApp.*")  # warnings about what public rows hold
    counts = judge(rows, args.seed)
    print(
        "| kind | statements | false ones flagged | true ones flagged | true ones supported |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for kind, c in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        shares = (f"{100 * c[k] / c['n']:.1f} %" for k in ("flagged", "wronged", "found"))
        print(f"| {kind} | {c['n']} | {' | '.join(shares)} |")
    print("\n| task | rows | with a trace | claims a trace | flagged |\n| --- | ---: | ---: | ---: | ---: |")
    for task, c in traces(rows).items():
        print(
            f"| {task} | {c['rows']} | {100 * c['traced'] / c['rows']:.1f} % | {c['claims'] / max(1, c['traced']):.1f} | {c['flagged']} |"
        )


if __name__ == "__main__":
    command.run(main)
