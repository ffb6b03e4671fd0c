"""The notebooks: clean files that name only what exists (fast), and all run on the smoke preset."""

import ast
import json
import re
import shutil
from dataclasses import fields

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from recipes.training.options import PRESETS, Options
from tests.starter import ROOT

NAMES = ("01_foundation", "02_protocol_distillation", "03_grpo", "04_evaluate", "chemr")
# the phases that are on the ladder once a notebook has run
LADDERS = {
    "01_foundation": ["base", "foundation"],
    "02_protocol_distillation": ["base", "foundation", "distill"],
    "03_grpo": ["base", "foundation", "distill", "grpo"],
    "04_evaluate": ["base", "foundation", "distill", "grpo"],
    "chemr": ["base", "foundation", "distill", "grpo"],
}
FLAGS = {f.name for f in fields(Options)} | {"preset", "config", "help", "plan", "adapters"}  # the last is export.py's


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def code(name: str) -> list[str]:
    """The code cells of a notebook as plain Python."""
    return [TransformerManager().transform_cell(cell.source) for cell in read(name).cells if cell.cell_type == "code"]


def imported(source: str) -> set[str]:
    """Names of the top-level packages that `source` imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def test_there_are_five():
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_file_is_valid_and_holds_no_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert cell.id
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None, cell.id


@pytest.mark.parametrize("name", NAMES)
def test_code_compiles(name):
    for source in code(name):
        compile(source, name, "exec")


@pytest.mark.parametrize("name", NAMES)
def test_install_comes_before_any_import_of_what_it_installs(name):
    install, *rest = code(name)
    assert "notebooks/install.py" in install
    assert imported(install) <= {"os", "subprocess", "sys", "pathlib"}
    assert any("chemr_lite" in imported(source) for source in rest)


def test_install_and_settings_are_the_same_in_all():
    assert len({(install, settings.replace(", the same in all four notebooks", "")) for install, settings in
                (code(name)[:2] for name in NAMES)}) == 1  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_recipes_flags_and_presets_exist(name):
    text = "\n".join(cell.source for cell in read(name).cells)
    recipes = set(re.findall(r"recipes/(\w+)\.py", text))
    assert recipes
    for recipe in recipes:
        assert (ROOT / "recipes" / f"{recipe}.py").exists(), recipe
    assert {flag.replace("-", "_") for flag in re.findall(r"(?<![\w-])--([a-z][\w-]*)", text)} <= FLAGS
    assert set(re.findall(r"(?:--preset |PRESET = \")(\w+)", text)) <= set(PRESETS)


@pytest.mark.parametrize("name", NAMES)
def test_badges_point_at_this_notebook_and_install_clones_the_same_repository(name):
    first, install = read(name).cells[0].source, code(name)[0]
    (repository,) = re.findall(r'REPO = "https://github.com/([^"]+)"', install)
    paths = re.findall(r"github(?:\.com)?/" + repository + r"/blob/main/([^)]+)\)", first)
    assert paths == [f"notebooks/{name}.ipynb"] * 2 and (ROOT / paths[0]).exists()


@pytest.mark.parametrize("name", NAMES)
def test_packages_are_pinned_in_one_place(name):
    text = "\n".join(code(name))
    assert "notebooks/install.py" in text and not re.search(r"pip install[^\n]*==", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_failing_recipe_stops_the_notebook(name):
    cells = [cell.source for cell in read(name).cells if cell.cell_type == "code" and cell.source.startswith("!")]
    assert cells
    for source in cells:
        assert source.splitlines()[1].startswith("run_ended(_exit_code)")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A run directory that the four share, and a `python3` kernel that is the interpreter of this test."""
    from ipykernel.kernelspec import install

    home = tmp_path_factory.mktemp("notebooks")
    install(prefix=str(home))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(home / "share" / "jupyter"))
        patch.setenv("IPYTHONDIR", str(home / "ipython"))  # no startup files of the user
        patch.setenv("PIP_NO_INDEX", "1")  # nothing may be missing here; an install would fail instead of downloading
        patch.setenv("CHEMR_PRESET", "smoke")
        patch.setenv("CHEMR_OUTPUT", str(home / "run"))
        yield home / "run"


def run_cells(*sources: str) -> list[str]:
    """Run code cells in a kernel of their own and return what each has printed."""
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    where = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]


@pytest.mark.slow
def test_a_run_that_stops_for_want_of_time_ends_the_notebook_without_an_error(workplace):
    run = "# recipes/grpo.py\nrun_ended({})"
    printed = run_cells(
        "import sys; sys.path.insert(0, '.')\nfrom recipes.training.machine import run_ended",
        run.format(75),
        "print(1 / 0)",
        run.format(75) + "\nprint('again')",
        run.format(0),
        "print('behind')",
    )
    assert "stopped with a checkpoint" in printed[1] and "To go on" in printed[1]
    assert printed[2] == "" and "again" in printed[3] and printed[5] == "behind\n"


@pytest.mark.slow
def test_a_recipe_that_fails_stops_the_notebook(workplace):
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="the recipe failed"):
        run_cells("import sys; sys.path.insert(0, '.')\nfrom recipes.training.machine import run_ended\nrun_ended(2)")


# finished phases that a notebook finds: training them again would only take time; phase 3 is trained by its notebook
GIVEN = {"01_foundation": ["base", "foundation"], "02_protocol_distillation": ["distill"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_executes_on_smoke(name, workplace, smoke):
    from nbclient import NotebookClient

    for phase in GIVEN.get(name, ()):
        shutil.copytree(smoke / phase, workplace / phase)
    notebook = read(name)
    where = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs and not [output for output in outputs if output.output_type == "error"]
    rows = json.loads((workplace / "ladder.json").read_text())["rows"]
    assert [row["phase"] for row in rows] == LADDERS[name]
