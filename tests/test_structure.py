"""The structure of the project: imports run one way, the core stands alone, and nothing happens when it is imported."""

import ast
import re
import subprocess
import sys
from dataclasses import fields

import pytest

from recipes.training.options import RUNGS, Options
from tests.starter import ROOT, changed_by_importing

FILES = [path for folder in ("chemr_lite", "recipes") for path in (ROOT / folder).rglob("*.py")]
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
CORE_FREE_OF_TORCH = [
    name
    for name in MODULES
    if name.startswith("chemr_lite") and not name.startswith("chemr_lite.model") and name != "chemr_lite.tasks.template"
]


def module_of(name: str, importer: str) -> str | None:
    """The project's module that importing `name` loads; a package does not count for its own members."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    is_own_package = name and MODULES[name].name == "__init__.py" and importer.startswith(name + ".")
    return None if not name or name == importer or is_own_package else name


def imports_of(importer: str) -> set[str]:
    found = set()
    for node in ast.walk(TREES[importer]):
        if isinstance(node, ast.Import):
            found |= {module_of(alias.name, importer) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{importer}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {module_of(name if name in MODULES else node.module, importer) for name in names}
    return found - {None}


IMPORTS = {name: imports_of(name) for name in MODULES}


def reached_from(start: str) -> set[str]:
    seen, stack = set(), [start]
    while stack:
        for target in IMPORTS[stack.pop()] - seen:
            seen.add(target)
            stack.append(target)
    return seen


def test_no_module_imports_itself_in_a_circle():
    assert len(MODULES) > 60 and sum(map(len, IMPORTS.values())) > 200  # the walk has seen the project
    assert [name for name in MODULES if name in reached_from(name)] == []


def test_the_core_knows_no_recipe():
    assert [
        name
        for name in MODULES
        if name.startswith("chemr_lite") and any(t.startswith("recipes") for t in IMPORTS[name])
    ] == []


def test_what_phases_share_knows_no_command():
    shared = [name for name in MODULES if name.startswith("recipes.training.")]
    assert len(shared) > 10
    allowed = ("recipes.training.", "chemr_lite")
    assert {name: t for name in shared for t in IMPORTS[name] if not t.startswith(allowed)} == {}


def test_the_core_but_for_models_needs_no_torch():
    """Everything is imported, and something is asked of it, with torch, accelerate and the trainers out of reach."""
    code = f"""
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "accelerate", "transformers", "trl", "peft", "datasets"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
for name in {CORE_FREE_OF_TORCH!r}:
    importlib.import_module(name)
from chemr_lite import reward_functions, render
from chemr_lite.mixing import Mixture
from chemr_lite.scoring.judge import judge
from chemr_lite.scoring.metrics import summarise
row = {{"task": "retrosynthesis", "input": "CC(=O)NC", "answer": "CC(=O)O.CN", "meta": {{}}}}
judged = judge(row, render("An amide.", "CC(=O)O.CN"))
assert summarise([judged])["balanced"] == 100.0 and Mixture([row], 1).weights() == {{"retrosynthesis": 1.0}}
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_importing_changes_nothing():
    """No log level, no environment variable, no stream: what a command needs it sets when it runs."""
    assert changed_by_importing() == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("chemr_lite")])
def test_the_core_names_no_command_line_flag(name):
    """Neither in a message nor in a docstring: flags belong to the recipes."""
    texts = [n.value for n in ast.walk(TREES[name]) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    allowed = "--index-url"  # pip's
    assert [text for text in texts if re.search(r"(?<![\w-])--[a-z]", text.replace(allowed, ""))] == []


def test_an_error_prints_nothing_until_the_command_ends(capsys):
    from chemr_lite.errors import ChemrError
    from recipes.training import command
    from recipes.training.options import UsageError

    UsageError("something")
    assert capsys.readouterr() == ("", "")

    def main():
        raise ChemrError("the file is gone")

    with pytest.raises(SystemExit) as ended:
        command.run(main)
    assert ended.value.code == 2 and capsys.readouterr() == ("", "error: the file is gone\n")


def test_every_option_says_what_it_decides():
    assert len(fields(Options)) <= 40
    for field in fields(Options):
        assert field.metadata["help"] and field.metadata["rung"] in (*RUNGS, None)
    decides = {field.name: field.metadata["rung"] for field in fields(Options)}
    # what changes how a rung is measured may not differ between the rungs of one ladder
    measuring = ("model", "data", "data_root", "split", "tasks", "protocols", "eval_rows", "max_completion_tokens")
    assert {decides[name] for name in measuring} == {"base"}
