"""Reagent selection: choose what the reaction needs from a list.

    Reactant: Brc1ccccc1
    Product: c1ccc(-c2ccccc2)cc1
    List: OB(O)c1ccccc1, NCc1ccccc1, CC(=O)Cl      →  <answer>OB(O)c1ccccc1</answer>      (rule_reactant)

`reactant`, `solvent` and `ligand` are ChemLLMBench's, from measured Suzuki couplings: the candidate with the highest
yield is right, and as there any ligand in the better half. The `rule_*` sub-tasks are ours: the reactant that makes the
product, and the usual reagent of a named reaction (chemr_lite.chemistry.reactions.USUAL_REAGENT). `meta` holds
`candidates` and `accepted`. Headline: accuracy.
"""

from chemr_lite.chemistry.reactions import identify
from chemr_lite.chemistry.wording import describe_groups
from chemr_lite.reasons import Reason
from chemr_lite.registry import register
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks.base import CORRECT, Row, Score, Task, zero
from chemr_lite.tasks.yield_prediction import well


def same_structure(answer: str, candidate: str) -> bool:
    """Return whether both are the same structure. Equal texts are, even salts and complexes that the gate refuses."""
    if answer == candidate:
        return True
    parsed, target = parse_smiles(answer), parse_smiles(candidate)
    return parsed.ok and target.ok and parsed.key == target.key


class ReagentSelection(Task):
    """A choice by measured yield. RDKit cannot derive it, so there is no grounded trace."""

    label = ""
    metric = "accuracy"
    answers = "choice"

    def __init__(self, sub: str, instruction: str):
        self.name, self.instruction = f"reagent_selection/{sub}", instruction

    def question(self, row: Row) -> str:
        return f"{self.instruction}\n{row['input']}"

    def sides(self, row: Row) -> dict[str, str]:
        return {}  # the question lists chemicals by their roles, and is about none of them alone

    def subjects(self, row: Row) -> list[str]:
        lines = (line.split(": ", 1) for line in row["input"].splitlines())
        given = [chemical for role, chemical in lines if role != "List"]
        return [well([*given, candidate]) for candidate in row["meta"]["candidates"]]

    def score(self, answer: str, row: Row) -> Score:
        choice = answer.strip()
        if not choice:
            return zero(Reason.EMPTY)
        if any(same_structure(choice, accepted) for accepted in row["meta"]["accepted"]):
            return CORRECT
        is_candidate = any(same_structure(choice, candidate) for candidate in row["meta"]["candidates"])
        return zero(Reason.WRONG if is_candidate else Reason.NOT_A_CHOICE)


class RuleSelection(ReagentSelection):
    """A choice that follows from the named reaction."""

    def subjects(self, row: Row) -> list[str]:
        return list(self.sides(row).values())

    def sides(self, row: Row) -> dict[str, str]:
        lines = dict(line.split(": ", 1) for line in row["input"].splitlines())
        # a missing reactant is one of the reactants, a missing reagent is not
        molecules = (lines["Reactant"], row["answer"]) if "Reactant" in lines else (lines["Reactants"],)
        return {"reactants": ".".join(filter(None, molecules)), "product": lines["Product"]}

    def facts(self, row: Row) -> dict[str, str] | None:
        reactants, product = map(parse_smiles, self.sides(row).values())
        if not (reactants.ok and product.ok):
            return None
        name = identify(reactants.fragments, product.key)
        lacks_reactant = row["input"].startswith("Reactant: ")
        needed = describe_groups(parse_smiles(row["answer"]).key) if lacks_reactant else row["answer"]
        return name and {"reaction type": name, "needed": needed}


for role in ("reactant", "solvent", "ligand"):
    instruction = f"Now choose from the list the {role} that gives this Suzuki coupling the highest yield."
    register(ReagentSelection(role, instruction))
register(RuleSelection("rule_reactant", "Now choose from the list the reactant that makes this product."))
register(RuleSelection("rule_reagent", "Now choose from the list the reagent that this reaction needs."))
