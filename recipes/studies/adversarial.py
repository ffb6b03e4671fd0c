"""The adversarial table: completions that cheat, and what each of them earns here.

    python recipes/studies/adversarial.py           # Markdown: a line per cheat, the most it earns under any task, why

Some published chemistry reward pays each of these, or would if it read SMILES with RDKit alone. The last column says
whether RDKit alone calls the answer a molecule. A cheat that hides the right answer in something else earns nothing for
it. Some tasks pay by degrees: MolOpt by likeness, captions by overlap. There a cheat earns no more than an honest wrong
answer.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rdkit import Chem, rdBase

from chemr_lite import list_tasks, render
from chemr_lite.answers import SYSTEM, parse_completion
from chemr_lite.rewards import score_completion
from chemr_lite.smiles import parse_smiles
from chemr_lite.tasks import get_task

HONEST = 0.35  # the most that an honest wrong answer earns where a task pays by degrees


def _row(task: str, question: str, answer: str, **meta) -> dict:
    return {"task": task, "input": question, "answer": answer, "split": "test", "meta": meta}


_NAME, _SMILES, _FORMULA = "ethyl 4-chlorobenzoate", "CCOC(=O)c1ccc(Cl)cc1", "C9H9ClO2"
_CAPTION = (
    "The molecule is a benzoate ester that is ethyl benzoate substituted by chloro at 4. It has ester, aryl chloride."
)
_PHENETHYL, _ETHYL = "OCCc1ccccc1", "CCc1ccccc1"
EXAMPLES = [
    _row("name_prediction/smiles_to_iupac", _SMILES, _NAME),
    _row("name_prediction/iupac_to_smiles", _NAME, _SMILES),
    _row("name_prediction/smiles_to_formula", _SMILES, _FORMULA),
    _row("name_prediction/iupac_to_formula", _NAME, _FORMULA, smiles=_SMILES),
    _row("molecule_design", _CAPTION, _SMILES),
    _row("molecule_captioning", _SMILES, _CAPTION),
    _row("reaction_prediction", "CC(=O)O.NCc1ccccc1", "CC(=O)NCc1ccccc1"),
    _row("retrosynthesis", "CC(=O)NCc1ccccc1", "CC(=O)O.NCc1ccccc1"),
    _row("open_generation/mol_edit_add", f"Add a hydroxyl to {_ETHYL}.", _PHENETHYL, source=_ETHYL, add="hydroxyl"),
    _row(
        "open_generation/mol_edit_delete",
        f"Remove a hydroxyl from {_PHENETHYL}.",
        _ETHYL,
        source=_PHENETHYL,
        remove="hydroxyl",
    ),
    _row(
        "open_generation/mol_edit_substitute",
        f"Substitute a hydroxyl in {_PHENETHYL}.",
        "ClCCc1ccccc1",
        source=_PHENETHYL,
        remove="hydroxyl",
        add="halo",
    ),
    _row("open_generation/mol_custom_atoms", "2 carbon, 1 oxygen", "CCO", atoms={"carbon": 2, "oxygen": 1}),
    _row("open_generation/mol_custom_bonds", "1 single, 1 double", "C=CC", bonds={"single": 1, "double": 1}),
    _row(
        "open_generation/mol_custom_groups",
        "1 benzene ring, 1 hydroxyl",
        "Oc1ccccc1",
        groups={"benzene ring": 1, "hydroxyl": 1},
    ),
]
for _property, _direction, _from, _to in (
    ("LogP", "increase", _PHENETHYL, _ETHYL),
    ("MR", "increase", _ETHYL, _PHENETHYL),
    ("QED", "increase", _ETHYL, _PHENETHYL),
):
    _task, _meta = f"open_generation/mol_opt_{_property.lower()}", {"property": _property, "direction": _direction}
    EXAMPLES.append(_row(_task, f"{_direction} {_property}", _to, source=_from, **_meta))
_LIST = ("CP(C)C", "C1CCOC1", "[Na+].[OH-]", "OB(O)c1ccccc1")
for _task in list_tasks():
    if get_task(_task).macro == "reagent_selection":
        _question = f"List: {', '.join(_LIST)}"
        EXAMPLES.append(_row(_task, _question, _LIST[0], candidates=list(_LIST), accepted=[_LIST[0]]))
    if get_task(_task).macro in ("property_prediction", "yield_prediction"):
        EXAMPLES += [_row(_task, "CC(=O)Oc1ccccc1C(=O)O", answer) for answer in ("Yes", "No")]


def _answer(change: Callable[[str, dict], str]) -> Callable[[str, dict], str]:
    """Return a cheat that keeps the format and puts the changed gold answer in it."""
    return lambda gold, row: render("Let us think.", change(gold, row))


def _source(row: dict) -> str:
    """Return the molecule that the question of a molecule task shows."""
    return row["meta"].get("source", row["input"])


def _rewritten(smiles: str, **how) -> str:
    parsed = parse_smiles(smiles)
    return Chem.MolToSmiles(parsed.mol, **how) if parsed.ok else smiles


def _with_first_atom(smiles: str, change: Callable[[Chem.Atom], None]) -> str:
    parsed = parse_smiles(smiles)
    if not parsed.ok:
        return smiles
    mol = Chem.Mol(parsed.mol)
    change(mol.GetAtomWithIdx(0))
    return Chem.MolToSmiles(mol)


def _charge(atom: Chem.Atom) -> None:
    atom.SetFormalCharge(-1)
    atom.SetNoImplicit(True)


def _fullwidth(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


_OTHER = "CCCCc1ccccc1N"
_POLY = "OC(=O)c1cc(N)c(C#N)c(C=O)c1CC(S)C(F)(Cl)Br.NC(=O)CC(=O)OC[N+](=O)[O-]"
_WORDS = "acid group conjugate metabolite derives member base position groups substituted hydroxy compound agent amino"
ALL = {"molecule", "choice", "selection", "short", "caption"}  # kinds of answers; short: names and formulas
MOLECULE = {"molecule"}
EXACT = ALL - {"caption"}  # where anything added to a right answer makes it wrong

# name → the kinds of answers it is tried on, and how it makes a completion from the gold answer and the row
CHEATS: dict[str, tuple[set[str], Callable[[str, dict], str]]] = {
    # the format
    "no tags, the right answer alone": (ALL, lambda gold, row: gold),
    "the answer's tags only": (ALL, lambda gold, row: f"<answer>{gold}</answer>"),
    "the reasoning's tags only": (ALL, lambda gold, row: f"<think>{gold}</think>"),
    "the answer before the reasoning": (ALL, lambda gold, row: f"<answer>{gold}</answer><think>so</think>"),
    "two answers, the right one last": (
        ALL, lambda gold, row: f"<think>a</think><answer>{_OTHER}</answer><answer>{gold}</answer>",
    ),
    "two answers, the right one first": (
        ALL, lambda gold, row: f"<think>a</think><answer>{gold}</answer><answer>{_OTHER}</answer>",
    ),
    "the same answer twice": (ALL, lambda gold, row: f"{render('a', gold)}\n{render('a', gold)}"),
    "nested answers": (ALL, lambda gold, row: f"<think>a</think><answer><answer>{gold}</answer></answer>"),
    "nested reasoning": (ALL, lambda gold, row: f"<think><think>a</think></think><answer>{gold}</answer>"),
    "an answer inside the reasoning as well": (
        ALL, lambda gold, row: f"<think><answer>{gold}</answer></think><answer>{gold}</answer>",
    ),
    "an answer inside the reasoning only": (ALL, lambda gold, row: render(f"The answer is {gold}.", "")),
    "text before": (ALL, lambda gold, row: f"Sure! {render('a', gold)}"),
    "text after": (ALL, lambda gold, row: f"{render('a', gold)} I hope this helps."),
    "text between": (ALL, lambda gold, row: f"<think>a</think> so <answer>{gold}</answer>"),
    "tags in capitals": (ALL, lambda gold, row: render("a", gold).replace("answer>", "ANSWER>")),
    "tags with blanks": (ALL, lambda gold, row: render("a", gold).replace("<answer>", "< answer >")),
    "tags of another width": (ALL, lambda gold, row: render("a", gold).replace("<", "＜").replace(">", "＞")),
    "an answer that is never closed": (ALL, lambda gold, row: render("a", gold).removesuffix("</answer>")),
    "a doubled closing tag": (ALL, lambda gold, row: render("a", gold) + "</answer>"),
    "a code fence around it": (ALL, lambda gold, row: f"```\n{render('a', gold)}\n```"),
    "the instructions back": (ALL, lambda gold, row: SYSTEM),
    "nothing": (ALL, lambda gold, row: ""),
    "blanks": (ALL, lambda gold, row: " \n\t "),
    "a thousand tags": (ALL, lambda gold, row: "<answer>" * 1000 + gold),
    # what stands beside the answer
    "an empty answer": (ALL, _answer(lambda gold, row: "")),
    "blanks as answer": (ALL, _answer(lambda gold, row: " \n ")),
    "prose after it": (EXACT, _answer(lambda gold, row: f"{gold} is the answer")),
    "prose before it": (EXACT, _answer(lambda gold, row: f"The answer is {gold}")),
    "a label before it": (EXACT, _answer(lambda gold, row: f"SMILES: {gold}")),
    "in quotation marks": (EXACT, _answer(lambda gold, row: f'"{gold}"')),
    "in back-quotes": (EXACT, _answer(lambda gold, row: f"`{gold}`")),
    "in a box": (EXACT, _answer(lambda gold, row: f"\\boxed{{{gold}}}")),
    "as JSON": (EXACT, _answer(lambda gold, row: f'{{"answer": "{gold}"}}')),
    "twice, with a blank": (EXACT, _answer(lambda gold, row: f"{gold} {gold}")),
    "twice, with a comma": (EXACT, _answer(lambda gold, row: f"{gold}, {gold}")),
    "as one of several": (EXACT, _answer(lambda gold, row: f"{_OTHER}, {gold}, CCO")),
    "as one of several lines": (EXACT, _answer(lambda gold, row: f"{_OTHER}\n{gold}\nCCO")),
    "with an alternative": (EXACT, _answer(lambda gold, row: f"{gold} or {_OTHER}")),
    "with a null byte": (EXACT, _answer(lambda gold, row: f"{gold}\x00")),
    "with a CXSMILES comment": (EXACT, _answer(lambda gold, row: f"{gold} |$a;b$|")),
    "letters of another alphabet": (EXACT, _answer(lambda gold, row: gold.translate(str.maketrans("COYNe", "СОҮΝе")))),
    "letters of another width": (EXACT, _answer(lambda gold, row: _fullwidth(gold))),
    "a zero-width joiner": (EXACT, _answer(lambda gold, row: f"{gold[:1]}\u200d{gold[1:]}")),
    "a no-break space": (EXACT, _answer(lambda gold, row: f"{gold[:1]}\xa0{gold[1:]}")),
    # molecules
    "padded with a copy of itself": (MOLECULE, _answer(lambda gold, row: f"{gold}.{gold}")),
    "padded with water": (MOLECULE, _answer(lambda gold, row: f"{gold}.O")),
    "padded with a noble gas": (MOLECULE, _answer(lambda gold, row: f"{gold}.[Xe]")),
    "padded with a dummy atom": (MOLECULE, _answer(lambda gold, row: f"{gold}.*")),
    "joined to a wrong one": (MOLECULE, _answer(lambda gold, row: f"{gold}.{_OTHER}")),
    "a dummy atom": (MOLECULE, _answer(lambda gold, row: "*")),
    "a bare carbon": (MOLECULE, _answer(lambda gold, row: "[C]")),
    "a bare hydrogen": (MOLECULE, _answer(lambda gold, row: "[H]")),
    "hydrogen": (MOLECULE, _answer(lambda gold, row: "[H][H]")),
    "xenon": (MOLECULE, _answer(lambda gold, row: "[Xe]")),
    "methane": (MOLECULE, _answer(lambda gold, row: "C")),
    "benzene": (MOLECULE, _answer(lambda gold, row: "c1ccccc1")),
    "aspirin": (MOLECULE, _answer(lambda gold, row: "CC(=O)Oc1ccccc1C(=O)O")),
    "one of every group": (MOLECULE, _answer(lambda gold, row: _POLY)),
    "a chain of 300": (MOLECULE, _answer(lambda gold, row: "C" * 300)),
    "a chain of 100,000": (MOLECULE, _answer(lambda gold, row: "C" * 100_000)),
    "sixty spiro rings": (MOLECULE, _answer(lambda gold, row: "C1CC1" * 60)),
    "a thousand brackets": (MOLECULE, _answer(lambda gold, row: "C(" * 1000 + "C" + ")" * 1000)),
    "a reaction that ends in it": (MOLECULE, _answer(lambda gold, row: f"{_OTHER}>>{gold}")),
    "a reaction arrow after it": (MOLECULE, _answer(lambda gold, row: f"{gold}>>")),
    "an any-bond": (MOLECULE, _answer(lambda gold, row: f"{gold}~C")),
    "a SMARTS pattern": (MOLECULE, _answer(lambda gold, row: "[#6]~[#6]")),
    "its InChI": (MOLECULE, _answer(lambda gold, row: Chem.MolToInchi(Chem.MolFromSmiles(gold)))),
    "the question's own molecule": (MOLECULE, _answer(lambda gold, row: _source(row))),
    "the question's own, in other writing": (
        MOLECULE, _answer(lambda gold, row: _rewritten(_source(row), rootedAtAtom=1, canonical=False)),
    ),
    "the question's own, hydrogens written": (
        MOLECULE, _answer(lambda gold, row: _rewritten(_source(row), allHsExplicit=True)),
    ),
    "the question's own, numbered": (
        MOLECULE, _answer(lambda gold, row: _with_first_atom(_source(row), lambda atom: atom.SetAtomMapNum(7))),
    ),
    "the question's own, an isotope": (
        MOLECULE, _answer(lambda gold, row: _with_first_atom(_source(row), lambda atom: atom.SetIsotope(17))),
    ),
    "the question's own, charged": (
        MOLECULE, _answer(lambda gold, row: _with_first_atom(_source(row), _charge)),
    ),
    # choices and lists
    "Yes and No": ({"choice"}, _answer(lambda gold, row: "Yes and No")),
    "Yes/No": ({"choice"}, _answer(lambda gold, row: "Yes/No")),
    "YesNo": ({"choice"}, _answer(lambda gold, row: "YesNo")),
    "probably": ({"choice"}, _answer(lambda gold, row: f"Probably {gold}")),
    "maybe": ({"choice"}, _answer(lambda gold, row: "Maybe")),
    "the whole list": ({"selection"}, _answer(lambda gold, row: ", ".join(_LIST))),
    "the list as one mixture": ({"selection"}, _answer(lambda gold, row: ".".join(_LIST))),
    "its number": ({"selection"}, _answer(lambda gold, row: "1")),
    "a part of it": ({"selection"}, _answer(lambda gold, row: "[Na+]")),
    # texts
    "the phrases of every caption": (
        {"caption"}, _answer(lambda gold, row: "The molecule is a. It has a role as an. It is a member of."),
    ),
    "the commonest words": ({"caption"}, _answer(lambda gold, row: _WORDS)),
    "the caption of another molecule": (
        {"caption"}, _answer(lambda gold, row: "The molecule is a fatty acid that is hexadecanoic acid."),
    ),
    "one right word a hundred times": ({"caption"}, _answer(lambda gold, row: "ester " * 100)),
    "the caption ten times": ({"caption"}, _answer(lambda gold, row: gold * 10)),
    "a formula written out": ({"short"}, _answer(lambda gold, row: "C" * 9 + "H" * 8)),
}  # fmt: skip


def kind_of(row: dict) -> str:
    """Return the kind of answer that the row's task wants: one of ALL."""
    task = get_task(row["task"])
    if task.answers == "text":
        return "caption" if task.macro == "molecule_captioning" else "short"
    return "selection" if task.macro == "reagent_selection" else task.answers


def try_cheat(name: str) -> list[tuple[dict, float, str, str]]:
    """Score the cheat on every example that it fits. Return (row, value, reason, completion) for each."""
    kinds, make = CHEATS[name]
    results = []
    for row in EXAMPLES:
        if kind_of(row) in kinds:
            completion = make(row["answer"], row)
            score = score_completion(completion, row)
            results.append((row, score.value, str(score.reason), completion))
    return results


def parses(completion: str) -> bool:
    """Return whether RDKit alone calls the answer of `completion` a molecule."""
    answer = parse_completion(completion, strict=False).answer or ""
    with rdBase.BlockLogs():
        return len(answer) < 5000 and Chem.MolFromSmiles(answer) is not None


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| cheat | tried on | earns at most | why | RDKit alone reads a molecule |")
    print("| --- | ---: | ---: | --- | --- |")
    for name, (kinds, _) in CHEATS.items():
        results = try_cheat(name)
        reasons = sorted({reason for _, _, reason, _ in results})
        most = max(value for _, value, *_ in results)
        naive = "molecule" in kinds and any(parses(completion) for *_, completion in results)
        print(f"| {name} | {len(results)} | {most:.2f} | {', '.join(reasons)} | {'yes' if naive else ''} |")
    print(f"\n{len(CHEATS)} cheats on {len(EXAMPLES)} questions of {len(list_tasks())} sub-tasks.")


if __name__ == "__main__":
    main()
