"""Molecules made together with their systematic names and descriptions.

    CCOC(=O)c1ccc(Cl)cc1 · ethyl 4-chlorobenzoate
    The molecule is a benzoate ester that is ethyl benzoate substituted by chloro at 4. It has ester, aryl chloride.

A frame is a parent structure with numbered places: a ring or a chain, with the group that names it. Substituents go on
its places. Name and description follow from where they stand: lowest locants, alphabetical order, multipliers. Each
molecule comes from one frame only, so that its name can be worked out. A test has OPSIN read the names.
"""

import random
from collections import defaultdict
from functools import cache
from typing import NamedTuple

from rdkit import Chem

from chemr_lite.chemistry.wording import describe_groups

# prefix → its SMILES, written from the atom that binds
PREFIXES = {
    "fluoro": "F", "chloro": "Cl", "bromo": "Br", "iodo": "I", "methyl": "C", "ethyl": "CC", "methoxy": "OC",
    "ethoxy": "OCC", "nitro": "[N+](=O)[O-]", "trifluoromethyl": "C(F)(F)F", "propan-2-yl": "C(C)C", "hydroxy": "O",
    "amino": "N", "cyano": "C#N",
}  # fmt: skip
SENIORITY = {"cyano": 3, "hydroxy": 2, "amino": 1}  # these are prefixes only where the naming group ranks higher
# those that never lengthen the chain
ON_CHAINS = ("fluoro", "chloro", "bromo", "methyl", "methoxy", "ethoxy", "hydroxy")
ALKYL = {
    "methyl": "C",
    "ethyl": "CC",
    "propyl": "CCC",
    "propan-2-yl": "C(C)C",
    "butyl": "CCCC",
    "2-methylpropyl": "CC(C)C",
}
ACYL = {"acet": "C(C)=O", "propan": "C(CC)=O", "butan": "C(CCC)=O"}
BRACKETED = ("trifluoromethyl", "2-methylpropyl")
CHAINS = ("but", "pent", "hex", "hept", "oct")  # from four carbons on


class Frame(NamedTuple):
    """A parent structure. `atoms[i]` is the SMILES of place i + 1; substituents may go on the places in `free`."""

    kind: str  # what descriptions call it
    core: str  # the end of the numbered part's name
    atoms: tuple[str, ...]
    free: tuple[int, ...]
    rank: int  # how senior its naming group is
    whole: str = "{}"  # the whole name around the numbered part
    nitrogen: str = ""  # the alkyl group on an amide's nitrogen
    mirrored: bool = False  # the ring may also be numbered the other way round


class Named(NamedTuple):
    smiles: str
    name: str
    caption: str


def _benzene(kind: str, core: str, group: str, rank: int, whole: str = "{}", nitrogen: str = "") -> Frame:
    return Frame(
        kind, core, (f"c1({group})", "c", "c", "c", "c", "c1"), (2, 3, 4, 5, 6), rank, whole, nitrogen, mirrored=True
    )


def _heteroarenes() -> list[Frame]:
    rings = (("pyridine", 6, "n1", (2, 3, 4)), ("thiophene", 5, "s1", (2, 3)), ("furan", 5, "o1", (2, 3)))
    groups = (("acid", "carboxylic acid", "C(=O)O"), ("amide", "carboxamide", "C(N)=O"))
    heteroarenes = []
    for ring, size, first, places in rings:
        for place in places:
            free = tuple(p for p in range(2, size + 1) if p != place)
            mirrored = (size, place) == (6, 4)
            for kind, suffix, group in groups:
                atoms = [first, *["c"] * (size - 2), "c1"]
                atoms[place - 1] += f"({group})"
                core = f"{ring}-{place}-{suffix}"
                heteroarenes.append(Frame(f"{ring} {kind}", core, tuple(atoms), free, 4, mirrored=mirrored))
    return heteroarenes


def _chains() -> list[Frame]:
    ends = (
        ("alkanoic acid", "anoic acid", "C(=O)(O)", 4), ("alkanamide", "anamide", "C(N)(=O)", 4),
        ("alkanenitrile", "anenitrile", "C(#N)", 3), ("alkanal", "anal", "C(=O)", 3),
    )  # fmt: skip
    return [
        Frame(kind, stem + end, (group, *["C"] * (length - 1)), tuple(range(2, length)), rank)
        for length, stem in enumerate(CHAINS, 4)
        for kind, end, group, rank in ends
    ]


@cache
def frames() -> tuple[list[Frame], list[float]]:
    """Return all frames, and how often each is drawn. A family weighs the same whatever its size."""
    arenes = [
        _benzene("benzoic acid", "benzoic acid", "C(=O)O", 4), _benzene("benzamide", "benzamide", "C(N)=O", 4),
        _benzene("sulfonamide", "benzenesulfonamide", "S(N)(=O)=O", 4),
        _benzene("benzonitrile", "benzonitrile", "C#N", 3),
        _benzene("benzaldehyde", "benzaldehyde", "C=O", 3), _benzene("phenol", "phenol", "O", 2),
        _benzene("benzenethiol", "benzenethiol", "S", 1), _benzene("aniline", "aniline", "N", 1),
        _benzene("arylacetic acid", "phenyl", "CC(=O)O", 4, "2-({})acetic acid"),
        _benzene("aromatic ketone", "phenyl", "C(C)=O", 3, "1-({})ethanone"),
        _benzene("benzyl alcohol", "phenyl", "CO", 2, "({})methanol"),
        _benzene("phenethylamine", "phenyl", "CCN", 1, "2-({})ethanamine"),
    ]  # fmt: skip
    esters = [
        _benzene("benzoate ester", "benzoate", f"C(=O)O{smiles}", 4, f"{name} {{}}") for name, smiles in ALKYL.items()
    ]
    amides = [
        _benzene("N-alkylbenzamide", "benzamide", f"C(=O)N{smiles}", 4, nitrogen=name) for name, smiles in ALKYL.items()
    ]
    anilides = [_benzene("anilide", "phenyl", f"N{smiles}", 4, f"N-({{}}){acyl}amide") for acyl, smiles in ACYL.items()]
    families = ((3, arenes), (1.5, esters), (1.5, amides), (1, anilides), (1, _heteroarenes()), (1, _chains()))
    weights = [weight / len(family) for weight, family in families for _ in family]
    return [frame for _, family in families for frame in family], weights


def _numbered_part(frame: Frame, substituents: dict[int, str]) -> str:
    """Return the numbered part of a name.

    `{2: "chloro", 4: "chloro", 3: "methyl"}` on benzoic acid gives `2,4-dichloro-3-methylbenzoic acid`.
    """
    places = defaultdict(list)
    for place, prefix in sorted(substituents.items()):
        places[prefix].append(str(place))
    if frame.nitrogen:
        places[frame.nitrogen].append("N")
        places[frame.nitrogen].sort(reverse=True)  # N before the numbers
    parts = []
    for prefix in sorted(places, key=lambda p: p.lstrip("0123456789-")):
        times = ("", "di", "tri", "tetra")[len(places[prefix]) - 1]
        parts.append(f"{','.join(places[prefix])}-{times}{f'({prefix})' if prefix in BRACKETED else prefix}")
    return "-".join(parts) + frame.core


def _name(frame: Frame, substituents: dict[int, str]) -> str:
    part = _numbered_part(frame, substituents)
    bracketed = part if not substituents else f"[{part}]" if "(" in part else f"({part})"
    return frame.whole.replace("({})", bracketed).replace("{}", part)


def _renumber(frame: Frame, substituents: dict[int, str]) -> dict[int, str]:
    """Return the numbering with the lowest locants. At a tie the prefix that is named first gets the lower one."""
    ways = [substituents]
    if frame.mirrored:
        ways.append({len(frame.atoms) + 2 - place: prefix for place, prefix in substituents.items()})
    return min(ways, key=lambda way: (sorted(way), [place for _, place in sorted((p, n) for n, p in way.items())]))


def named(rng: random.Random) -> Named:
    """Return a random molecule with its name and its description."""
    every, weights = frames()
    frame = rng.choices(every, weights)[0]
    possible = ON_CHAINS if frame.atoms[-1] == "C" else PREFIXES
    allowed = [prefix for prefix in possible if SENIORITY.get(prefix, 0) < frame.rank]
    places = rng.sample(frame.free, min(rng.choice((0, 1, 1, 2, 2, 3)), len(frame.free)))
    substituents = _renumber(frame, {place: rng.choice(allowed) for place in places})
    if list(substituents.values()).count("trifluoromethyl") > 1:
        return named(rng)  # its multiplier is another word
    atoms = (
        f"{atom}({PREFIXES[substituents[place]]})" if place in substituents else atom
        for place, atom in enumerate(frame.atoms, 1)
    )
    smiles = Chem.CanonSmiles("".join(atoms))
    places_text = ", ".join(f"{prefix} at {place}" for place, prefix in sorted(substituents.items()))
    caption = f"The molecule is {'an' if frame.kind[0] in 'aeiouN' else 'a'} {frame.kind} that is {_name(frame, {})}"
    caption += (f" substituted by {places_text}" if substituents else "") + f". It has {describe_groups(smiles)}."
    return Named(smiles, _name(frame, substituents), caption)
