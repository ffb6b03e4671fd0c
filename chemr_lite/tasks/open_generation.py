"""Open-ended generation (the nine sub-tasks of TOMG-Bench): many answers are right, and RDKit verifies them.

    Add a hydroxyl to the molecule CCOC.                         →  <answer>CCOCO</answer>
    Increase the LogP of the molecule OCCO.                      →  <answer>CCCO</answer>
    Generate a molecule with 2 carbon atoms and 1 oxygen atom.   →  <answer>CCO</answer>

The instruction is the row's `input`, and `meta` holds what it asks for:

    {"source": …, "add": group}, {"source": …, "remove": group}, or both in one
    {"source": …, "property": "LogP", "direction": "increase"}
    {"atoms"|"bonds"|"groups": {name: count}}

The counting rules are TOMG-Bench's (arXiv 2412.14642). How much of its source a changed molecule must keep is our rule:
TOMG-Bench only counts, so that one constant molecule could answer every edit.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from rdkit import Chem
from rdkit.Chem import QED, Crippen, rdMolDescriptors

from chemr_lite.chemistry.groups import group_changes
from chemr_lite.chemistry.structure import ELEMENTS, count_atoms, written_atoms
from chemr_lite.chemistry.wording import describe_rings, format_counts, format_groups
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import Parsed, parse_smiles, similarity, skeleton
from chemr_lite.tasks.base import CORRECT, Row, Score, Task, group_facts, zero

# an edit must keep this similarity to its source, or that of the reference answer if it is lower (ours)
EDIT_SIMILARITY = 0.4
# an optimised molecule is correct from this similarity on: δ = 0.4 of constrained optimisation (Jin et al. 2018)
OPT_SIMILARITY = 0.4

BONDS = ("single", "double", "triple", "rotatable", "aromatic")
# TOMG-Bench's definitions, kept as they are so that success here is success there
TOMG_GROUPS = {
    "benzene ring": "[cX3]1[cX3][cX3][cX3][cX3][cX3]1", "hydroxyl": "[OH]", "anhydride": "[CX3](=O)[OX2][CX3](=O)",
    "aldehyde": "[CX3H](=O)", "ketone": "[CX3](=O)[CX4]", "carboxyl": "[CX3](=O)[OX2H]", "ester": "[CX3](=O)[OX2][CX4]",
    "amide": "[NX3][CX3](=O)", "amine": "[NX3;H2,H1;!$(NC=O)]", "nitro": "[NX3](=O)=O", "halo": "[F,Cl,Br,I]",
    "thioether": "[SX2][CX4]", "nitrile": "C#N", "thiol": "[SH]", "sulfide": "[SX2H0]", "disulfide": "S=S",
    "sulfoxide": "[SX3](=O)[CX4]", "sulfone": "[SX4](=O)(=O)[CX4]", "borane": "[BX3]",
}  # fmt: skip
UNCHECKED_GROUP = "thioether"  # TOMG-Bench does not demand its absence
_NITRO = Chem.MolFromSmarts("[$([NX3](=O)=O),$([NX3+](=O)[O-])]")
_PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in TOMG_GROUPS.items()} | {"nitro": _NITRO}
PROPERTIES = {"LogP": Crippen.MolLogP, "MR": Crippen.MolMR, "QED": QED.qed}


@lru_cache(maxsize=8192)
def count_groups(key: str) -> Mapping[str, int]:
    """Count TOMG-Bench's groups in a canonical SMILES.

    Its nitro pattern is repaired: as published it matches nothing that RDKit has sanitised.
    """
    mol = Chem.MolFromSmiles(key)
    return {name: len(mol.GetSubstructMatches(pattern)) for name, pattern in _PATTERNS.items()}


@lru_cache(maxsize=8192)
def measure(name: str, key: str) -> float:
    """Return the LogP, MR (both Crippen) or QED of a canonical SMILES."""
    return PROPERTIES[name](Chem.MolFromSmiles(key))


def count_bonds(mol: Chem.Mol) -> dict[str, int]:
    """Count bonds by kind as TOMG-Bench does: aromatic bonds are neither single nor double."""
    kinds = {"single": Chem.BondType.SINGLE, "double": Chem.BondType.DOUBLE, "triple": Chem.BondType.TRIPLE}
    counts = {name: sum(b.GetBondType() == kind for b in mol.GetBonds()) for name, kind in kinds.items()}
    counts["rotatable"] = rdMolDescriptors.CalcNumRotatableBonds(mol)
    counts["aromatic"] = sum(b.GetIsAromatic() for b in mol.GetBonds())
    return counts


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


_ITEM = r"(\d+) ([a-z]+(?: ring)?)"
# TOMG-Bench writes the kind after each item (2 carbon atoms, 1 oxygen atom), nano at the end (2 carbon, 1 oxygen atoms)
_WANTED = re.compile(r"((?:\d+ [a-z]+(?: ring)?, )*\d+ [a-z]+(?: ring)?) (atom|bond|group)s?")
_GROUP_NAMES = re.compile(r"\b(" + "|".join(sorted(TOMG_GROUPS, key=len, reverse=True)) + r")\b")


def read_instruction(text: str) -> tuple[str, dict]:
    """Return the sub-task of a TOMG-Bench instruction and what it asks for, as `meta` holds it. Raises ValueError."""
    plain = text.replace("benzene_ring", "benzene ring")
    wanted = _WANTED.findall(plain)
    if wanted:
        kind = f"{wanted[0][1]}s"
        counts = {name: int(n) for items, _ in wanted for n, name in re.findall(_ITEM, items)}
        return f"mol_custom_{kind}", {kind: counts}
    source = max(plain.rstrip(".").split(), key=lambda word: (parse_smiles(word).ok, len(word)))
    if not parse_smiles(source).ok:
        raise ValueError(f"no molecule in the instruction {text[:80]!r}")
    words = plain.replace(source, " ")
    for name in PROPERTIES:
        if f" {name} " in words:
            direction = "increase" if re.search("increase|higher", words) else "decrease"
            return f"mol_opt_{name.lower()}", {"source": source, "property": name, "direction": direction}
    groups = _GROUP_NAMES.findall(words)
    if len(groups) == 2:
        return "mol_edit_substitute", {"source": source, "remove": groups[0], "add": groups[1]}
    if len(groups) == 1:
        if re.search("remov", words, re.IGNORECASE):
            return "mol_edit_delete", {"source": source, "remove": groups[0]}
        return "mol_edit_add", {"source": source, "add": groups[0]}
    raise ValueError(f"no change of a molecule in the instruction {text[:80]!r}")


class OpenGeneration(Task):
    """Base class of the nine: the question is the row's instruction, and the answer is one molecule."""

    instruction = label = ""
    verified = True

    def __init__(self, sub: str):
        self.name = f"open_generation/{sub}"

    def question(self, row: Row) -> str:
        return row["input"]

    def sides(self, row: Row) -> dict[str, str]:
        sides = {"source": row["meta"].get("source"), "result": row["answer"]}
        return {side: smiles for side, smiles in sides.items() if smiles}

    def subjects(self, row: Row) -> list[str]:
        molecules = list(self.sides(row).values())
        return molecules if row["meta"].get("source") else [row["input"], *molecules]

    def score(self, answer: str, row: Row) -> Score:
        parsed = parse_smiles(answer)
        if not parsed.ok:
            return zero(parsed.reason)
        source = parse_smiles(row["meta"].get("source", ""))
        if len(parsed.fragments) > max(1, len(source.fragments)):
            return zero(Reason.FRAGMENTS)
        # no question asks to move a hydrogen, a charge or a mass
        if source.ok and skeleton(parsed.key) == skeleton(source.key):
            return zero(Reason.UNCHANGED)
        return self.judge(parsed, source, row)

    def meets(self, answer: Parsed, source: Parsed, row: Row) -> bool:
        """Return whether `answer` succeeds by TOMG-Bench's own rule, which ignores its similarity to `source`."""
        raise NotImplementedError

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        """Score a molecule that is valid and not the source."""
        raise NotImplementedError


class MolEdit(OpenGeneration):
    """Add, delete or substitute a group: its count moves by exactly one, and the rest of the molecule stays."""

    metric = "success"

    def meets(self, answer: Parsed, source: Parsed, row: Row) -> bool:
        before, after = count_groups(source.key), count_groups(answer.key)
        changes = ((row["meta"].get("remove"), -1), (row["meta"].get("add"), 1))
        return all(after[group] == before[group] + change for group, change in changes if group)

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        if not self.meets(answer, source, row):
            return zero(Reason.WRONG_COUNT)
        reference = parse_smiles(row["answer"] or "")
        required = min(EDIT_SIMILARITY, similarity(reference, source)) if reference.ok else EDIT_SIMILARITY
        return CORRECT if similarity(answer, source) >= required else zero(Reason.TOO_DIFFERENT)

    def facts(self, row: Row) -> dict[str, str] | None:
        source, answer, meta = parse_smiles(row["meta"]["source"]), parse_smiles(row["answer"]), row["meta"]
        if not (source.ok and answer.ok):
            return None
        before, after = count_groups(source.key), count_groups(answer.key)
        groups = [g for g in (meta.get("remove"), meta.get("add")) if g]
        return {
            **group_facts([source.key], [answer.key]),
            "counts": ", ".join(f"{before[g]} {g}" for g in groups),
            "change": ", ".join(f"{before[g]} → {after[g]} {g}" for g in groups),
        }


def _estimate(name: str, key: str) -> str:
    """Describe a property as precisely as one can estimate it: a model should not learn figures it cannot work out."""
    step = {"LogP": 1, "MR": 5, "QED": 0.1}[name]
    return f"{name} about {step * round(measure(name, key) / step):g}"


class MolOpt(OpenGeneration):
    """Raise or lower a property. The score is the similarity to the source if the property moves the right way, else 0.

    This is TOMG-Bench's weighted success with our similarity, and a constant answer earns next to nothing. There is no
    gold answer; the row's `answer` is an example for supervised training.
    """

    metric = "weighted success"

    def gold(self, row: Row) -> None:
        return None

    def meets(self, answer: Parsed, source: Parsed, row: Row) -> bool:
        name, sign = row["meta"]["property"], 1 if row["meta"]["direction"] == "increase" else -1
        return sign * (measure(name, answer.key) - measure(name, source.key)) > 1e-6

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        if not self.meets(answer, source, row):
            return zero(Reason.NOT_IMPROVED)
        value = similarity(answer, source)
        is_correct = value >= OPT_SIMILARITY
        return Score(value, is_correct, Reason.CORRECT if is_correct else Reason.TOO_DIFFERENT)

    def facts(self, row: Row) -> dict[str, str] | None:
        source, answer, name = parse_smiles(row["meta"]["source"]), parse_smiles(row["answer"]), row["meta"]["property"]
        if not (source.ok and answer.ok):
            return None
        consumed, formed = map(format_groups, group_changes((source.key,), (answer.key,)))
        return {
            **group_facts([source.key]),
            "estimate": _estimate(name, source.key),
            "group changes": f"{consumed} → {formed}",
            "estimate of the answer": _estimate(name, answer.key),
        }


class MolCustom(OpenGeneration):
    """Make a molecule with the given counts of atoms, bonds or groups.

    By TOMG-Bench's rule, elements and groups that are not named must be absent; kinds of bonds may be present.
    """

    metric = "success"

    def __init__(self, sub: str):
        super().__init__(f"mol_custom_{sub}")
        self.kind = sub

    def counts(self, parsed: Parsed) -> Mapping[str, int]:
        if self.kind == "atoms":
            return count_atoms(parsed.mol)
        return count_bonds(parsed.mol) if self.kind == "bonds" else count_groups(parsed.key)

    def meets(self, answer: Parsed, source: Parsed, row: Row) -> bool:
        wanted, counts = row["meta"][self.kind], self.counts(answer)
        if any(counts.get(name, 0) != n for name, n in wanted.items()):
            return False
        allowed = {*wanted, *BONDS, UNCHECKED_GROUP}
        return not any(n for name, n in counts.items() if name not in allowed)

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        return CORRECT if self.meets(answer, source, row) else zero(Reason.WRONG_COUNT)

    def facts(self, row: Row) -> dict[str, str] | None:
        answer = parse_smiles(row["answer"] or "")
        if not answer.ok:
            return None
        wanted = row["meta"][self.kind]
        if self.kind != "groups":
            return {"requirement": format_counts(wanted), "countdown": countdown(answer.mol, self.kind, wanted)}
        counts = {name: n for name, n in self.counts(answer).items() if name in wanted}
        return {
            "requirement": format_counts(wanted),
            **group_facts(answer=[answer.key]),
            "rings": describe_rings(answer.mol),
            "check": format_counts(counts),
        }


for sub in ("mol_edit_add", "mol_edit_delete", "mol_edit_substitute"):
    register(MolEdit(sub))
for sub in ("mol_opt_logp", "mol_opt_mr", "mol_opt_qed"):
    register(MolOpt(sub))
for sub in ("atoms", "bonds", "groups"):
    register(MolCustom(sub))
