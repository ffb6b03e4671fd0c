"""Open-ended generation (the nine sub-tasks of TOMG-Bench): many answers are right, and RDKit verifies them.

    Add a hydroxyl to the molecule CCCCCCC.                      →  <answer>CCCCCCCO</answer>
    Increase the LogP of the molecule OCCc1ccccc1.               →  <answer>CCc1ccccc1</answer>
    Generate a molecule with 2 carbon atoms and 1 oxygen atom.   →  <answer>CCO</answer>

The instruction is the row's `input`, and `meta` holds what it asks for:

    {"source": …, "add": group}, {"source": …, "remove": group}, or both in one
    {"source": …, "property": "LogP", "direction": "increase"}
    {"atoms"|"bonds"|"groups": {name: count}}

`meets` is the rule of TOMG-Bench (arXiv 2412.14642) as its released evaluator has it. Our score comes after the gate,
and asks for more: a changed molecule must keep its source, because otherwise one constant molecule could answer every
edit.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from rdkit import Chem
from rdkit.Chem import QED, Crippen, rdMolDescriptors

from chemr_lite.chemistry.groups import group_changes
from chemr_lite.chemistry.structure import ELEMENTS, count_atoms
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
# the definitions of TOMG-Bench's evaluator (utils/evaluation.py at 692f6b1), so that success here is success there
TOMG_GROUPS = {
    "benzene ring": "[cR1]1[cR1][cR1][cR1][cR1][cR1]1",
    "hydroxyl": "[OX2H]",
    "anhydride": "[CX3](=[OX1])[OX2][CX3](=[OX1])",
    "aldehyde": "[CX3H1](=O)[#6]",
    "ketone": "[#6][CX3](=O)[#6]",
    "carboxyl": "[CX3](=O)[OX2H1]",
    "ester": "[#6][CX3](=O)[OX2H0][#6]",
    "amide": "[NX3][CX3](=[OX1])[#6]",
    "amine": "[NX3;H2,H1;!$(NC=O)]",
    "nitro": "[$([NX3](=O)=O),$([NX3+](=O)[O-])][!#8]",
    "halo": "[F,Cl,Br,I]",
    "thioether": "[SX2][CX4]",
    "nitrile": "[NX1]#[CX2]",
    "thiol": "[#16X2H]",
    "sulfide": "[#16X2H0]",  # less the disulfides
    "disulfide": "[#16X2H0][#16X2H0]",
    "sulfoxide": "[$([#16X3]=[OX1]),$([#16X3+][OX1-])]",
    "sulfone": "[$([#16X4](=[OX1])=[OX1]),$([#16X4+2]([OX1-])[OX1-])]",
    "borane": "[BX3]",
}
UNCHECKED_GROUP = "thioether"  # TOMG-Bench does not demand its absence
_PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in TOMG_GROUPS.items()}
LEAST_CHANGE = 1e-6  # of a property; below it lies the rounding of sums over atoms
PROPERTIES = {"LogP": Crippen.MolLogP, "MR": Crippen.MolMR, "QED": QED.qed}


@lru_cache(maxsize=8192)
def count_groups(smiles: str) -> Mapping[str, int]:
    """Count TOMG-Bench's groups in a valid SMILES."""
    mol = Chem.MolFromSmiles(smiles)
    counts = {name: len(mol.GetSubstructMatches(pattern)) for name, pattern in _PATTERNS.items()}
    return counts | {"sulfide": counts["sulfide"] - counts["disulfide"]}


@lru_cache(maxsize=8192)
def measure(name: str, smiles: str) -> float:
    """Return the LogP, MR (both Crippen) or QED of a valid SMILES."""
    return PROPERTIES[name](Chem.MolFromSmiles(smiles))


def count_bonds(mol: Chem.Mol) -> dict[str, int]:
    """Count bonds by kind as TOMG-Bench does: aromatic bonds are neither single nor double."""
    kinds = {"single": Chem.BondType.SINGLE, "double": Chem.BondType.DOUBLE, "triple": Chem.BondType.TRIPLE}
    counts = {name: sum(b.GetBondType() == kind for b in mol.GetBonds()) for name, kind in kinds.items()}
    counts["rotatable"] = rdMolDescriptors.CalcNumRotatableBonds(mol)
    counts["aromatic"] = sum(b.GetIsAromatic() for b in mol.GetBonds())
    return counts


_ITEM = r"(\d+) ([a-z]+(?: ring)?)"
# TOMG-Bench writes the kind after each item (2 carbon atoms, 1 oxygen atom), nano at the end (2 carbon, 1 oxygen atoms)
_WANTED = re.compile(r"((?:\d+ [a-z]+(?: ring)?, )*\d+ [a-z]+(?: ring)?) (atom|bond|group)s?")
# how instructions are worded, by the benchmark and by people
_UP = re.compile(r"\b(?:increas|higher|rais|boost|enhanc|improv|great|larger|elevat|maximi|more\b|up\b)", re.IGNORECASE)
_DOWN = re.compile(r"\b(?:decreas|lower|reduc|diminish|lessen|smaller|minimi|less\b|drop|down\b)", re.IGNORECASE)
_REMOVE = re.compile(r"\b(?:remov|delet|eliminat|strip|take (?:away|off)|detach|cleav|without\b|drop)", re.IGNORECASE)
_ADD = re.compile(r"\b(?:add|attach|introduc|insert|append|incorporat|put|install|includ|bring|giv)", re.IGNORECASE)
# of two groups the first is removed and the second added, unless it is said the other way round
_REVERSED = re.compile(r"\b(?:instead of|in place of|in exchange for)\b|\badd.*\b(?:remov|delet)", re.IGNORECASE)
_PROPERTY_WORDS = {
    "LogP": re.compile(r"\blog ?p\b", re.IGNORECASE),
    "MR": re.compile(r"\bMR\b|\bmolar refractivity\b", re.IGNORECASE),
    "QED": re.compile(r"\bQED\b|\bdrug[- ]?likeness\b", re.IGNORECASE),
}
_GROUP_NAMES = re.compile(r"\b(" + "|".join(sorted(TOMG_GROUPS, key=len, reverse=True)) + r")\b")


def read_instruction(text: str) -> tuple[str, dict]:
    """Return the sub-task of a TOMG-Bench instruction and what it asks for, as `meta` holds it. Raises ValueError."""
    plain = re.sub("benzene[_ ]rings?", "benzene ring", text)  # the benchmark writes all four
    wanted = _WANTED.findall(plain)
    if wanted:
        kind = f"{wanted[0][1]}s"
        counts = {name: int(n) for items, _ in wanted for n, name in re.findall(_ITEM, items)}
        return f"mol_custom_{kind}", {kind: counts}
    by_length = sorted((word.strip(".,;:!?'\"`") for word in plain.split()), key=len, reverse=True)
    source = next((word for word in by_length if parse_smiles(word).ok), None)
    if source is None:
        raise ValueError(f"no molecule in the instruction {text[:80]!r}")
    words = plain.replace(source, " ")
    for name, pattern in _PROPERTY_WORDS.items():
        if pattern.search(words):
            direction = _one_of({"increase": _UP, "decrease": _DOWN}, words, text)
            return f"mol_opt_{name.lower()}", {"source": source, "property": name, "direction": direction}
    groups = _GROUP_NAMES.findall(words)
    if len(groups) == 2:
        removed, added = reversed(groups) if _REVERSED.search(words) else groups
        return "mol_edit_substitute", {"source": source, "remove": removed, "add": added}
    if len(groups) == 1:
        change = _one_of({"remove": _REMOVE, "add": _ADD}, words, text)
        return f"mol_edit_{'delete' if change == 'remove' else 'add'}", {"source": source, change: groups[0]}
    raise ValueError(f"no change of a molecule in the instruction {text[:80]!r}")


def _one_of(patterns: Mapping[str, re.Pattern], words: str, text: str) -> str:
    """Return the name of the one pattern that is found in `words`. Raises ValueError if none is, or both are."""
    found = [name for name, pattern in patterns.items() if pattern.search(words)]
    if len(found) != 1:
        which = f"both {' and '.join(patterns)}" if found else f"neither {' nor '.join(patterns)}"
        raise ValueError(f"{which} in the instruction {text[:80]!r}")
    return found[0]


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

    def meets(self, answer: str, row: Row) -> bool:
        """Return whether a SMILES that RDKit can read succeeds by TOMG-Bench's own rule."""
        raise NotImplementedError

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        """Score a molecule that is valid and not the source."""
        raise NotImplementedError


class MolEdit(OpenGeneration):
    """Add, delete or substitute a group: its count moves by exactly one, and the rest of the molecule stays."""

    metric = "success"

    def meets(self, answer: str, row: Row) -> bool:
        before, after = count_groups(row["meta"]["source"]), count_groups(answer)
        changes = ((row["meta"].get("remove"), -1), (row["meta"].get("add"), 1))
        return all(after[group] == before[group] + change for group, change in changes if group)

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        if not self.meets(answer.key, row):
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

    def change(self, answer: str, row: Row) -> float:
        """Return how far the property of `answer` lies from that of the source, in the direction that is asked for."""
        name, sign = row["meta"]["property"], 1 if row["meta"]["direction"] == "increase" else -1
        return sign * (measure(name, answer) - measure(name, row["meta"]["source"]))

    def meets(self, answer: str, row: Row) -> bool:
        return self.change(answer, row) > 0

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        if self.change(answer.key, row) <= LEAST_CHANGE:
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

    By TOMG-Bench's rule, elements and groups that are not named must be absent; kinds of bonds may be present. It does
    not look at elements that it has no name for, such as sodium, nor at kinds of bonds of which 0 are asked for. Our
    score looks at both.
    """

    metric = "success"

    def __init__(self, sub: str):
        super().__init__(f"mol_custom_{sub}")
        self.kind = sub

    def counts(self, smiles: str) -> Mapping[str, int]:
        """Count what the task asks for in a valid SMILES."""
        if self.kind == "groups":
            return count_groups(smiles)
        mol = Chem.MolFromSmiles(smiles)
        return count_atoms(mol) if self.kind == "atoms" else count_bonds(mol)

    def meets(self, answer: str, row: Row) -> bool:
        return self._agree(self.counts(answer), row["meta"][self.kind])

    def _agree(self, counts: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
        """Return whether `counts` are those `wanted`, by TOMG-Bench's rule."""
        if self.kind == "bonds":
            checked = {name for name, n in wanted.items() if n}
        else:
            checked = ELEMENTS if self.kind == "atoms" else TOMG_GROUPS.keys() - {UNCHECKED_GROUP}
        return all(counts.get(name, 0) == wanted.get(name, 0) for name in checked)

    def judge(self, answer: Parsed, source: Parsed, row: Row) -> Score:
        wanted, counts = row["meta"][self.kind], self.counts(answer.key)
        is_known = self.kind != "atoms" or counts.keys() <= ELEMENTS.keys()
        if is_known and all(counts.get(name, 0) == n for name, n in wanted.items()) and self._agree(counts, wanted):
            return CORRECT
        return zero(Reason.WRONG_COUNT)

    def facts(self, row: Row) -> dict[str, str] | None:
        answer = parse_smiles(row["answer"] or "")
        if not answer.ok:
            return None
        wanted = row["meta"][self.kind]
        unit = " bond" if self.kind == "bonds" else ""  # without it the claim checker sees no claim
        counts = {f"{name}{unit}": n for name, n in self.counts(answer.key).items() if name in wanted}
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
