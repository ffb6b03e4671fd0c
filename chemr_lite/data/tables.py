"""Published tables: the columns that identify each, and how one of its lines becomes rows.

Columns are compared in lower case. The tables are the benchmarks' own files and tidy versions of them. One line can
give several rows: a molecule with its name is four questions. The published files have these oddities:

* HIV's column `activity` repeats the label, so only the structure goes into the question.
* ChemLLMBench's Tox21 is the assay SR-p53. Lines without that label give no row.
* A yield of 60 % and more is "high".
* ChemLLMBench's selection prompts mix up the roles of the chemicals. Their structures tell the roles.
* OpenMolIns swaps molecule and group in some instructions, and TOMG's test files write `benzene_ring`.
* Some names give stereochemistry that the structure does not show. Such a name is asked for without it.
* ChEBI-20's text files double each backslash.
"""

import ast
import json
import math
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from rdkit import Chem

from chemr_lite.data.yield_screens import buchwald_reaction, role_of, suzuki_reaction
from chemr_lite.errors import DataError
from chemr_lite.smiles import shows_stereo
from chemr_lite.tasks.name_prediction import STEREO
from chemr_lite.tasks.open_generation import read_instruction

_BORON, _AMINE = Chem.MolFromSmarts("[#5]"), Chem.MolFromSmarts("[NX3;!H0]")
HIGH_YIELD = 60.0  # percent, as ChemLLMBench cuts them

LineReader = Callable[[dict, Path], list[dict]]  # a line (lower-case columns → values) and its file → rows


def build_row(task: str, question: str, answer: str, **meta) -> dict:
    """Return a row without a split."""
    return {"task": task, "input": question, "answer": answer, "meta": meta}


def _yes_or_no(label: str) -> str:
    if str(label) not in ("0", "1", "0.0", "1.0"):
        raise ValueError(f"label {label!r} is neither 0 nor 1")
    return "Yes" if float(label) else "No"


def _property(sub: str, structure: str, label: str) -> LineReader:
    def read_line(line: dict, path: Path) -> list[dict]:
        if not line[label]:
            return []  # Tox21 leaves the label empty where nothing was measured
        return [build_row(f"property_prediction/{sub}", line[structure], _yes_or_no(line[label]))]

    return read_line


def _property_of_file(line: dict, path: Path) -> list[dict]:
    sub = path.name.split("_")[0].split(".")[0]  # bbbp.csv, tox21_sr_p53.csv.gz
    return [build_row(f"property_prediction/{sub}", line["smiles"], _yes_or_no(line["label"]))]


def _names(line: dict, path: Path) -> list[dict]:
    smiles, name, formula = line["smiles"], line["iupac"], line["formula"]
    answerable_name = name if shows_stereo(smiles) else STEREO.sub("", name)
    split = {"split": line["label"]} if line.get("label") in ("train", "test") else {}  # ChemLLMBench's column for it
    return [
        build_row("name_prediction/smiles_to_iupac", smiles, answerable_name) | split,
        build_row("name_prediction/iupac_to_smiles", name, smiles) | split,
        build_row("name_prediction/smiles_to_formula", smiles, formula) | split,
        build_row("name_prediction/iupac_to_formula", name, formula, smiles=smiles) | split,
    ]


def _captions(line: dict, path: Path) -> list[dict]:
    smiles = line["smiles"].replace("\\\\", "\\")
    return [
        build_row("molecule_design", line["description"], smiles),
        build_row("molecule_captioning", smiles, line["description"]),
    ]


_TOMG = {
    "AddComponent": "mol_edit_add", "DelComponent": "mol_edit_delete", "SubComponent": "mol_edit_substitute",
    "LogP": "mol_opt_logp", "MR": "mol_opt_mr", "QED": "mol_opt_qed",
    "AtomNum": "mol_custom_atoms", "BondNum": "mol_custom_bonds", "FunctionalGroup": "mol_custom_groups",
}  # fmt: skip


def _tomg_tidy(line: dict, path: Path) -> list[dict]:
    sub, constraint = _TOMG[line["subtask"]], json.loads(line["constraint"])
    if sub.startswith("mol_custom"):
        counts = {name.replace("benzene rings", "benzene ring"): n for name, n in constraint.items()}
        meta = {sub.rsplit("_", 1)[1]: counts}
    else:
        meta = constraint | {"source": line["source_molecule"]}
    return [build_row(f"open_generation/{sub}", line["instruction"], line["answer"], **meta)]


def _tomg_test(line: dict, path: Path) -> list[dict]:
    sub, meta = read_instruction(line["instruction"])
    return [build_row(f"open_generation/{sub}", line["instruction"], "", **meta)]


def _openmolins(line: dict, path: Path) -> list[dict]:
    sub, meta = read_instruction(line["instruction"])
    return [build_row(f"open_generation/{sub}", line["instruction"], line["molecule"], **meta)]


def _yield(sub: str, reaction: str, measured: str | float) -> dict:
    percent = float(measured or "nan")
    if not math.isfinite(percent) or percent < 0:
        raise ValueError(f"{measured!r} is no yield")
    return build_row(f"yield_prediction/{sub}", reaction, "Yes" if percent >= HIGH_YIELD else "No", percent=percent)


def _yield_tidy(line: dict, path: Path) -> list[dict]:
    return [_yield(_screen_of(line, path), line["rxn"], line["yield_pct"])]


def _screen_of(line: dict, path: Path) -> str:
    """Return which of the two couplings a reaction belongs to: by a column, the file's name, or what reacts."""
    name = path.name.lower()
    if "aryl_halide" in line or "buchwald" in name:
        return "buchwald_hartwig"
    if "suzuki" in name:
        return "suzuki"
    reactants = [Chem.MolFromSmiles(smiles) for smiles in line["rxn"].split(">")[0].split(".")]
    for screen, pattern in (("suzuki", _BORON), ("buchwald_hartwig", _AMINE)):
        if any(mol and mol.HasSubstructMatch(pattern) for mol in reactants):
            return screen
    raise ValueError("neither a boron compound nor an amine reacts: no Suzuki and no Buchwald-Hartwig coupling")


def _with_hashed_split(row: dict) -> dict:
    """Return `row` with a split drawn by a hash of its reaction: a tenth test, a twentieth validation (ours).

    The screens are published without a split. ChemLLMBench's tests of them are pickles, which are never read.
    """
    draw = sha256(row["input"].encode()).digest()[0]
    return row | {"split": "test" if draw < 26 else "validation" if draw < 39 else "train"}


def _buchwald(line: dict, path: Path) -> list[dict]:
    reaction = buchwald_reaction(line["aryl halide"], line["ligand"], line["base"], line["additive"])
    return [_with_hashed_split(_yield("buchwald_hartwig", reaction, line["output"]))]


def _suzuki(line: dict, path: Path) -> list[dict]:
    columns = (
        "reactant_1_name",
        "reactant_2_name",
        "ligand_short_hand",
        "reagent_1_short_hand",
        "solvent_1_short_hand",
    )
    reaction = suzuki_reaction(*(line[column] for column in columns))
    return [_with_hashed_split(_yield("suzuki", reaction, line["product_yield_pct_area_uv"]))]


def _selection(
    role: str, components: Iterable[tuple[str, str]], candidates: list[str], ranked: list[str], yields: list[float]
) -> dict:
    """Return the row that asks for the best candidate for `role`, given the other (role, SMILES) `components`.

    Candidates with the highest yield are right. For ligands the better half is, as ChemLLMBench counts them.
    """
    if role == "ligand":
        accepted = ranked[: len(ranked) // 2]
    else:
        accepted = [candidate for candidate, y in zip(ranked, yields, strict=True) if y == yields[0]]
    lines = [f"{name.capitalize()}: {smiles}" for name, smiles in components if smiles]
    question = "\n".join([*lines, f"List: {', '.join(candidates)}"])
    return build_row(f"reagent_selection/{role}", question, ranked[0], candidates=candidates, accepted=accepted)


def _selection_tidy(line: dict, path: Path) -> list[dict]:
    columns = ("reactant_1", "reactant_2", "ligand", "base", "solvent")
    components = [(column.split("_")[0], line[column]) for column in columns]
    lists = (json.loads(line[column]) for column in ("candidates", "ranked", "yields"))
    return [_selection(line["kind"], components, *lists)]


def _selection_prompt(line: dict, path: Path) -> list[dict]:
    question = line["task"].rsplit("Given the rest of reaction components:", 1)[1]
    given, listed = question.split("list for selection:")
    *given, role = given.strip().splitlines()  # the last line opens the list: "Reactants "
    candidates = listed.split("Optimal")[0].strip().split(",")
    chemicals = [text.split(":", 1)[1].strip() for text in given]
    order = ("reactant", "ligand", "base", "solvent").index
    components = sorted(((role_of(smiles), smiles) for smiles in chemicals), key=lambda part: order(part[0]))
    details = [entry for group in ast.literal_eval(line["yield_details"]) for entry in group]
    ranked, yields = [smiles for smiles, _ in details], [y for _, y in details]
    return [_selection(role.strip().lower().rstrip("s"), components, candidates, ranked, yields)]


def _reaction(question: str, answer: str) -> LineReader:
    return lambda line, path: [build_row("reaction_prediction", line[question], line[answer])]


def _retrosynthesis(product: str, reactants: str) -> LineReader:
    def read_line(line: dict, path: Path) -> list[dict]:
        meta = {"class": line["reaction_class"]} if line.get("reaction_class") else {}
        return [build_row("retrosynthesis", line[product], line[reactants], **meta)]

    return read_line


_SMOLINSTRUCT = {
    "forward_synthesis": "reaction_prediction", "retrosynthesis": "retrosynthesis",
    "molecule_generation": "molecule_design", "molecule_captioning": "molecule_captioning",
    "name_conversion-s2i": "name_prediction/smiles_to_iupac", "name_conversion-i2s": "name_prediction/iupac_to_smiles",
    "name_conversion-s2f": "name_prediction/smiles_to_formula",
    "name_conversion-i2f": "name_prediction/iupac_to_formula",
    "property_prediction-bbbp": "property_prediction/bbbp", "property_prediction-hiv": "property_prediction/hiv",
    "property_prediction-clintox": "property_prediction/clintox",
}  # fmt: skip


def _smolinstruct(line: dict, path: Path) -> list[dict]:
    task = _SMOLINSTRUCT.get(line["task"])  # None for solubility, side effects and the like, which we do not have
    return [build_row(task, line["raw_input"], line["raw_output"])] if task else []


# the columns that identify a table → its reader; the first entry whose columns are all there is taken
TABLES: dict[tuple[str, ...], LineReader] = {
    ("subtask", "instruction", "source_molecule", "constraint", "answer"): _tomg_tidy,
    ("subtask", "instruction", "molecule"): _openmolins,
    ("instruction",): _tomg_test,
    ("task", "candidate_rank", "yield_details"): _selection_prompt,
    ("kind", "candidates", "ranked", "yields"): _selection_tidy,
    ("rxn", "yield_pct"): _yield_tidy,
    ("aryl halide", "ligand", "base", "additive", "output"): _buchwald,
    ("reactant_1_name", "reactant_2_name", "product_yield_pct_area_uv"): _suzuki,
    ("product", "reactants", "reaction_class"): _retrosynthesis("product", "reactants"),
    ("products_smiles", "reactants_smiles"): _retrosynthesis("products_smiles", "reactants_smiles"),
    ("task", "raw_input", "raw_output"): _smolinstruct,
    ("input", "product"): _reaction("input", "product"),
    ("reactant", "product"): _reaction("reactant", "product"),
    ("smiles", "description"): _captions,
    ("smiles", "iupac", "formula"): _names,
    ("smiles", "hiv_active"): _property("hiv", "smiles", "hiv_active"),
    ("smiles", "p_np"): _property("bbbp", "smiles", "p_np"),
    ("smiles", "ct_tox"): _property("clintox", "smiles", "ct_tox"),
    ("mol", "class"): _property("bace", "mol", "class"),
    ("smiles", "label"): _property_of_file,
    ("smiles", "sr-p53"): _property("tox21", "smiles", "sr-p53"),
}


def reader_of(columns: set[str], name: str) -> LineReader:
    """Return the reader of the table `name`, which has these lower-case `columns`. Raises DataError if none fits."""
    for identifying, read_line in TABLES.items():
        if set(identifying) <= columns:
            return read_line
    known = "; ".join(", ".join(identifying) for identifying in TABLES)
    raise DataError(
        f"{name}: columns {', '.join(sorted(columns)) or 'none'} are not known. "
        f"A table has task, input, answer or one of: {known}"
    )


def rows_of(line: dict, read_line: LineReader, path: Path, split: str) -> list[dict]:
    """Return the rows of one line, with the split that the line gives, or else `split`.

    Raises ValueError for a line that cannot be read.
    """
    try:
        lower = {str(name).strip().lower(): value for name, value in line.items()}
        return [{"split": lower.get("split") or split} | row for row in read_line(lower, path)]
    except KeyError as error:
        raise ValueError(f"missing {error}") from error
    except (ValueError, IndexError, TypeError, AttributeError, SyntaxError) as error:
        raise ValueError(str(error)) from error


# words of a name and the split that they mean, the more telling first; ChemLLMBench calls its selection tests samples
_SPLIT_WORDS = (
    ("test", {"test", "tests", "testing"}),
    ("validation", {"valid", "validation", "val", "dev"}),
    ("train", {"train", "training"}),
    ("test", {"sample", "samples"}),
)


def split_of(path: Path, source: Path | None = None) -> str:
    """Return the split that a word of the file's name suggests, else the name of its folder, by default train.

    Of the folders, those from the file up to `source` count, which is the file or folder that was named as data.
    """
    if split := _split_in(path.name):
        return split
    if source:
        outermost = source.parent if source == path else source
        for folder in path.parents:
            if not folder.is_relative_to(outermost):
                break
            if any(folder.name.lower() in words for _, words in _SPLIT_WORDS):  # the whole name, not a word of it
                return _split_in(folder.name)
    return "train"


def _split_in(name: str) -> str | None:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    found = {re.sub("(set|data|split)$", "", word) for word in words}
    return next((split for split, meaning in _SPLIT_WORDS if meaning & found), None)
