"""What the README shows works: its scripts run, its commands name recipes and options that exist."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from chemr_lite import Chemist
from chemr_lite.model.folders import NANO
from tests.starter import ROOT, environment

PAGES = [ROOT / "README.md", ROOT / "chemr_lite" / "tasks" / "README.md"]
TEXT = PAGES[0].read_text()


def scripts(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_script_of_someone_else_trains(tmp_path):
    (script,) = [text for text in scripts("python") if "trainer.train()" in text]
    assert len(script.splitlines()) <= 30
    script = script.replace('"Qwen/Qwen2.5-1.5B-Instruct"', repr(str(NANO)))
    script = script.replace('report_to="none"', 'report_to="none", use_cpu=True, bf16=False')  # it is written for a GPU
    (tmp_path / "mine.py").write_text(
        script + "\nprint([sorted(line) for line in trainer.state.log_history if 'reward' in line])\n"
    )
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
                          env=environment(PYTHONPATH=str(ROOT), TRL_EXPERIMENTAL_SILENCE="1"))  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("accuracy/") >= 2 and "groups/without_signal" in done.stdout


def test_the_checker_and_the_gate_say_what_is_printed_beside_them():
    (claims,) = [text for text in scripts("python") if "check_claims" in text]
    printed = []
    exec(claims, {"print": lambda *words: printed.append(words)})  # noqa: S102 - our own README
    (told,) = re.findall(r"# (amide True.*)", claims)
    assert ", ".join(f"{text} {supported}" for text, _, supported in printed) == told
    (gate,) = [text for text in scripts("python") if "parse_smiles(" in text]
    found: dict = {}
    exec(gate, found)  # noqa: S102
    assert found["parse_smiles"]("CCO and any prose").reason == "inner_whitespace"
    assert found["get_task"]("retrosynthesis").score("CN.CC(O)=O", found["row"]).value == 1.0


def test_asking_from_python(smoke):
    (script,) = [text for text in scripts("python") if "chemist.ask" in text]
    found: dict = {}
    exec(script.replace('"outputs/nano/grpo"', repr(str(smoke / "grpo"))), found)  # noqa: S102
    assert isinstance(found["chemist"], Chemist) and found["reply"].completion


def test_commands_name_recipes_and_options_that_exist():
    sources = {path.stem: path.read_text() for path in (ROOT / "recipes").glob("*.py")}
    options = {
        name
        for text in sources.values()
        for name in re.findall(r"^    (\w+): .* = (?:cli\.)?option\(", text, re.MULTILINE)
    }
    seen = 0
    for page in PAGES:
        for name, rest in re.findall(r"python recipes/(\w+)\.py([^\n`#]*)", page.read_text()):
            assert name in sources, name
            for flag in re.findall(r"--([a-z][\w-]*)", rest):
                known = flag.replace("-", "_") in options | {"preset", "config"} or f'"--{flag}"' in sources[name]
                assert known or f"--{flag}" in sources[name], f"{name} --{flag}"
                seen += 1
    assert seen > 30


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.slow
def test_an_own_task_as_the_guide_says(tmp_path):
    """The guide's steps on a copy of the package, with a table of its kind; two steps of phase 1 and phase 2 train on it."""
    for part in ("chemr_lite", "recipes"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
    guide = PAGES[1].read_text()
    rows, *_ = scripts("python", guide)
    table = ["smiles,logS"] + [
        f"{'C' * n}{tail},{-0.5 * n:.1f}" for n in range(2, 18) for tail in ("O", "N", "Cl", "C(=O)O")
    ]
    (tmp_path / "delaney.csv").write_text("\n".join(table) + "\n")
    (copy,) = [text for text in scripts("bash", guide) if "cp " in text]
    (listed,) = scripts("text", guide)
    (protocol,) = scripts("yaml", guide)
    (look,) = [text for text in scripts("python", guide) if "task.score" in text]
    subprocess.run(copy, shell=True, cwd=tmp_path, check=True)
    register = tmp_path / "chemr_lite" / "tasks" / "__init__.py"
    register.write_text(register.read_text().replace("    retrosynthesis,\n", listed, 1))
    with (tmp_path / "chemr_lite" / "protocols.yaml").open("a") as file:
        file.write(protocol)

    def run(*args) -> str:
        done = subprocess.run([sys.executable, *map(str, args)], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
                              env=environment(PYTHONPATH="."))  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    told = run("-c", rows + look)
    assert "1. **Functional groups:**" in told and told.count("Score(") == 3 and "Score(value=1.0, correct=True" in told
    told = run("recipes/distill.py", "--preset", "smoke", "--data", "solubility.csv", "--protocols", "default", "--max-length", 256,
               "--max-completion-tokens", 60, "--eval-rows", 4, "--foundation-epochs", 1, "--distill-epochs", 1, "--output", "run")  # fmt: skip
    assert "*solubility*" in told
    assert json.loads((tmp_path / "run/distill/run.json").read_text())["examples"]["too_long"] == 0
