"""What the pages show works: scripts run, commands name recipes and options that exist, links lead on."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from statistics import median

import pytest

from chemr_lite import Chemist
from chemr_lite.model.folders import NANO
from recipes.training.options import Options
from tests.conftest import recipe
from tests.starter import ROOT, environment

FRONT = ROOT / "README.md"
RECIPES = ROOT / "recipes" / "README.md"
TASKS = ROOT / "chemr_lite" / "tasks" / "README.md"
PAGES = [
    FRONT,
    RECIPES,
    TASKS,
    ROOT / "recipes" / "studies" / "README.md",
    ROOT / "chemr_lite" / "data" / "README.md",
    ROOT / "chemr_lite" / "claims" / "README.md",
]


def scripts(language: str, page) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def prose(page) -> str:
    """The sentences of a page: no code, tables, pictures, headings or addresses."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "!", "#", "    "))]
    return re.sub(r"\]\([^)]*\)", "]", "\n".join(lines))


def words_per_sentence(page) -> list[int]:
    parts = [
        part
        for block in re.split(r"\n\s*\n|\n[-*] |\n\d+\. ", prose(page))
        for part in re.split(r"(?<=[.!?:])\s", block)
    ]
    return sorted(n for part in parts if (n := len(re.findall(r"\S*\w\S*", part))))


def test_the_front_page_is_short():
    assert len(FRONT.read_text().splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_sentences_are_short(page):
    counts = words_per_sentence(page)
    assert median(counts) <= 14 and counts[int(0.9 * len(counts))] <= 28


def test_the_commands_to_set_up_stand_on_a_line_each():
    text = FRONT.read_text()
    assert "python -m pip install -r requirements.txt && python recipes/grpo.py" in text
    assert "python -m pip install -r requirements.txt -r tests/requirements.txt && python -m pytest" in text


def test_the_script_of_someone_else_trains(tmp_path):
    (script,) = [text for text in scripts("python", RECIPES) if "trainer.train()" in text]
    assert len(script.splitlines()) <= 30
    script = script.replace('"Qwen/Qwen2.5-1.5B-Instruct"', repr(str(NANO)))
    script = script.replace('report_to="none"', 'report_to="none", use_cpu=True, bf16=False')  # it is written for a GPU
    script = script.replace('output_dir="grpo"', f"output_dir={str(tmp_path / 'grpo')!r}")
    shown = "\nprint([sorted(line) for line in trainer.state.log_history if 'reward' in line])\n"
    (tmp_path / "mine.py").write_text(script + shown)
    done = recipe(str(tmp_path / "mine"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("accuracy/") >= 2 and "groups/without_signal" in done.stdout


def test_the_checker_and_the_gate_say_what_is_printed_beside_them():
    (script,) = [text for text in scripts("python", FRONT) if "check_claims" in text]
    printed, names = [], {}
    names["print"] = lambda *words: printed.append(words)
    exec(script, names)  # noqa: S102 - our own README
    (shown,) = re.findall(r"# (amide group.*)", script)
    assert ", ".join(" ".join(map(str, words)) for words in printed) == shown
    assert "# inner_whitespace" in script and "# Score(value=1.0, correct=True" in script
    assert names["parse_smiles"]("CCO and any prose").reason == "inner_whitespace"
    assert names["get_task"]("retrosynthesis").score("CN.CC(O)=O", names["row"]).value == 1.0


def test_asking_from_python(smoke):
    (script,) = [text for text in scripts("python", RECIPES) if "chemist.ask" in text]
    names: dict = {}
    exec(script.replace('"outputs/nano/grpo"', repr(str(smoke / "grpo"))), names)  # noqa: S102
    assert isinstance(names["chemist"], Chemist) and names["reply"].completion


def flags_of(source: str) -> set[str]:
    """The flags that a command takes: those of Options where it has them, and its own."""
    own = set(re.findall(r'"--([a-z][\w-]*)"', source))
    shared = {field.name.replace("_", "-") for field in fields(Options)} | {"preset", "config"}
    is_phase = "training.pipeline import" in source
    return (
        own | (shared if is_phase or "make_parser(" in source else set()) | ({"plan"} if is_phase else set()) | {"help"}
    )


def test_commands_name_recipes_and_options_that_exist():
    sources = {
        str(path.relative_to(ROOT / "recipes").with_suffix("")): path.read_text()
        for path in (ROOT / "recipes").rglob("*.py")
    }
    seen = 0
    for page in PAGES:
        for name, rest in re.findall(r"python recipes/([\w/]+)\.py([^\n`#]*)", page.read_text()):
            assert name in sources, f"{page}: {name}"
            for flag in re.findall(r"(?<![\w-])--([a-z][\w-]*)", rest):
                assert flag in flags_of(sources[name]), f"{page}: {name} --{flag}"
                seen += 1
    assert seen > 30


def test_flags_named_in_the_text_exist():
    """Somewhere: an option, or a flag of some command of ours or of the tools that the pages name."""
    known = {"master", "num_processes", "standalone", "no-deps", "version"}  # accelerate's, pip's
    for path in (ROOT / "recipes").rglob("*.py"):
        known |= flags_of(path.read_text())
    for page in PAGES:
        assert set(re.findall(r"`--([a-z][\w-]*)", page.read_text())) <= known, page


def anchors(page) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if target.startswith("http"):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(there), f"{page}: {target}"


@pytest.mark.slow
def test_an_own_task_as_the_guide_says(tmp_path):
    """The guide's steps on a copy of the package, with a table of its kind; phases 1 and 2 train on it."""
    for part in ("chemr_lite", "recipes"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
    rows, *_ = scripts("python", TASKS)
    table = ["smiles,logS"] + [
        f"{'C' * n}{tail},{-0.5 * n:.1f}" for n in range(2, 18) for tail in ("O", "N", "Cl", "C(=O)O")
    ]
    (tmp_path / "delaney.csv").write_text("\n".join(table) + "\n")
    (copy,) = [text for text in scripts("bash", TASKS) if "cp " in text]
    (listed,) = scripts("text", TASKS)
    protocol, _ = scripts("yaml", TASKS)
    (look,) = [text for text in scripts("python", TASKS) if "task.score" in text]
    subprocess.run(copy, shell=True, cwd=tmp_path, check=True)
    register = tmp_path / "chemr_lite" / "tasks" / "__init__.py"
    register.write_text(register.read_text().replace("    retrosynthesis,\n", listed, 1))
    with (tmp_path / "chemr_lite" / "protocols.yaml").open("a") as file:
        file.write(protocol)

    def run(*args) -> str:
        command, variables = [sys.executable, *map(str, args)], environment(PYTHONPATH=".")
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    shown = run("-c", rows + look)
    assert "1. **Functional groups:**" in shown
    assert shown.count("Score(") == 3 and "Score(value=1.0, correct=True" in shown
    sizes = ["--max-length", 256, "--max-completion-tokens", 60, "--eval-rows", 4]
    sizes += ["--foundation-epochs", 1, "--distill-epochs", 1, "--output", "run"]
    data = ["--data", "solubility.csv", "--protocols", "default"]
    assert "*solubility*" in run("recipes/distill.py", "--preset", "smoke", *data, *sizes)
    assert json.loads((tmp_path / "run/distill/run.json").read_text())["examples"]["too_long"] == 0
