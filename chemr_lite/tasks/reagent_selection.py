"""Reagent selection: choose from a list what the reaction needs.

    Reactant: Brc1ccccc1
    Product: c1ccc(-c2ccccc2)cc1
    List: OB(O)c1ccccc1, NCc1ccccc1, CC(=O)Cl      →  <answer>OB(O)c1ccccc1</answer>      (rule_reactant)

`reactant`, `solvent` and `ligand` are ChemLLMBench's, from measured Suzuki couplings: right is the candidate of the
highest yield (of ligands any of the better half, as there). The `rule_*` sub-tasks are ours: the reactant that makes
the product, and the usual reagent of a named reaction (chemr_lite.reactions.USUAL_REAGENT, a table written by us).
`meta` holds `candidates` and `accepted`. Headline: accuracy.
"""

from chemr_lite.chemistry.reactions import identify
from chemr_lite.chemistry.wording import describe_groups
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import CORRECT, Row, Score, Task, zero


def same_structure(answer: str, candidate: str) -> bool:
    """Whether both are written alike, or are one structure: lists hold salts and complexes that the gate refuses."""
    if answer == candidate:
        return True
    said, meant = parse_smiles(answer), parse_smiles(candidate)
    return said.ok and meant.ok and said.key == meant.key


class ReagentSelection(Task):
    """A measured optimum: it comes with the row, so there is no grounded trace to write."""

    label = ""
    metric = "accuracy"
    answers = "choice"

    def __init__(self, sub: str, instruction: str):
        self.name, self.instruction = f"reagent_selection/{sub}", instruction

    def question(self, row: Row) -> str:
        return f"{self.instruction}\n{row['input']}"

    def score(self, answer: str, row: Row) -> Score:
        said, meta = answer.strip(), row["meta"]
        if not said:
            return zero(Reason.EMPTY)
        if any(same_structure(said, right) for right in meta["accepted"]):
            return CORRECT
        return zero(
            Reason.WRONG if any(same_structure(said, other) for other in meta["candidates"]) else Reason.NOT_A_CHOICE
        )


class RuleSelection(ReagentSelection):
    def sides(self, row: Row) -> dict[str, str]:
        parts = dict(line.split(": ", 1) for line in row["input"].splitlines())
        # a reactant that is asked for is part of the product, a reagent is not
        both = (parts["Reactant"], row["answer"]) if "Reactant" in parts else (parts["Reactants"],)
        reactants = ".".join(part for part in both if part)
        return {"reactants": reactants, "product": parts["Product"]}

    def facts(self, row: Row) -> dict[str, str] | None:
        reactants, product = map(parse_smiles, self.subjects(row))
        if not (reactants.ok and product.ok):
            return None
        name = identify(reactants.fragments, product.key)
        is_reactant = row["input"].startswith("Reactant: ")
        needed = describe_groups(parse_smiles(row["answer"]).key) if is_reactant else row["answer"]
        return name and {"reaction type": name, "needed": needed}


for role in ("reactant", "solvent", "ligand"):
    register(
        ReagentSelection(
            role, f"Now choose from the list the {role} that gives this Suzuki coupling the highest yield."
        )
    )
register(RuleSelection("rule_reactant", "Now choose from the list the reactant that makes this product."))
register(RuleSelection("rule_reagent", "Now choose from the list the reagent that this reaction needs."))
