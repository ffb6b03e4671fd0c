"""The ablation: what each arm trains on, that all read as many tokens, and the table of their figures."""

import json
import math
import re
import sys

import pytest
from safetensors.torch import load_file

from chemr_lite import data, get_task, render
from chemr_lite.protocols import load_protocols
from recipes import grpo
from recipes.studies import ablation, ablation_arms, ablation_table
from recipes.training.files import read_jsonl
from recipes.training.options import Options, UsageError

PROTOCOLS = load_protocols("nano")
ROWS = data.load(["nano"], tasks=["reaction_prediction"]).rows["train"][:40]


def reasoning(text: str) -> list[str]:
    return text.split("<think>")[1].split("</think>")[0].strip().split("\n")


@pytest.mark.parametrize("row", ROWS[:5], ids=lambda row: row["input"])
def test_what_the_arms_teach(row):
    whole = render(get_task(row["task"]).trace(row, PROTOCOLS), row["answer"])
    protocol, shuffled, answers = (
        ablation_arms.completion(arm, row, PROTOCOLS) for arm in ("protocol", "shuffled", "answers")
    )
    assert protocol == whole and answers == render(None, row["answer"])
    assert "**" not in shuffled
    assert sorted(reasoning(shuffled)) == sorted(line.split(":** ")[1] for line in reasoning(protocol))
    assert shuffled == ablation_arms.completion("shuffled", row, PROTOCOLS)


def test_shuffled_steps_come_in_every_order():
    firsts = set()
    for row in ROWS:
        facts = [line.split(":** ")[1] for line in reasoning(ablation_arms.completion("protocol", row, PROTOCOLS))]
        firsts.add(facts.index(reasoning(ablation_arms.completion("shuffled", row, PROTOCOLS))[0]))
    assert firsts == set(range(len(facts)))


def figures(balanced: float) -> dict:
    return {
        "balanced": balanced,
        "macros": {"retrosynthesis": balanced},
        "validity": 90.0,
        "format": 99.0,
        "grounding": None,
    }


def finished(folder, arm: str, seed: int, balanced: float) -> None:
    phase = folder / f"seed{seed}" / arm / "distill"
    phase.mkdir(parents=True)
    (phase / "metrics.json").write_text(json.dumps(figures(balanced)))
    facts = {"options": {"distill_epochs": 2.0}, "examples": {"tokens": 1_500_000}, "train_minutes": 7.0}
    (phase / "run.json").write_text(json.dumps(facts))


def test_differences_are_paired_by_seed(tmp_path):
    for seed, (protocol, answers) in enumerate(((60, 50), (64, 52), (62, 48))):
        finished(tmp_path, "protocol", seed, protocol)
        finished(tmp_path, "answers", seed, answers)
    finished(tmp_path, "shuffled", 1, 60)
    (tmp_path / "seed0/shuffled/distill.partial").mkdir(parents=True)  # not finished
    results = ablation_table.collect(tmp_path)
    assert {arm: sorted(by_seed) for arm, by_seed in results.items()} == {
        "protocol": [0, 1, 2],
        "shuffled": [1],
        "answers": [0, 1, 2],
    }
    gain, width = ablation_table.difference(results["protocol"], results["answers"], lambda f: f["balanced"])
    assert gain == 12 and width == pytest.approx(4.303 * 2 / math.sqrt(3), abs=0.01)  # 10, 12, 14
    text = ablation_table.table(results)
    assert "| balanced | 62.0 ± 2.0 | 60.0 | 50.0 ± 2.0 |" in text and "| million tokens | 3.0 | 3.0 | 3.0 |" in text
    assert (
        "protocol − answers: +12.0 [+7.0, +17.0]; of the lowest" in text
        and "protocol − shuffled: +4.0 (one seed); of" in text
    )
    ablation_table.draw(results, tmp_path / "ablation.png", "a title")
    assert (tmp_path / "ablation.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_arms_are_trained_on_equal_tokens_and_once(tmp_path, monkeypatch, capsys):
    args = ["--preset", "smoke", "--tasks", "retrosynthesis", "--train-rows", "60", "--eval-rows", "4", "--seeds", "5"]
    args += ["--arms", "protocol,answers", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["ablation.py", *args])
    ablation.main()
    read = {}
    for arm in ("protocol", "answers"):
        facts = json.loads((tmp_path / "seed5" / arm / "distill/run.json").read_text())
        assert facts["options"]["seed"] == 5 and facts["examples"]["rows"] == 60
        read[arm] = facts["options"]["distill_epochs"] * facts["examples"]["tokens"]
        facts = (tmp_path / "seed5" / arm / "foundation/run.json").read_bytes()
        assert facts == (tmp_path / "seed5/first/foundation/run.json").read_bytes()
    assert read["answers"] == pytest.approx(read["protocol"], rel=0.001)
    assert set(json.loads((tmp_path / "ablation.json").read_text())) == {"protocol", "answers"}
    capsys.readouterr()
    monkeypatch.setattr(
        sys, "argv", ["ablation.py", *args[:-4], "--arms", "answers", *args[-2:]]
    )  # another share of the same work
    ablation.main()
    assert capsys.readouterr().out.count("nothing left to train") == 1

    # arms of phase 3, from the same phase 2
    hot = "temperature=1.2+grpo_tasks=retrosynthesis"
    arms = ["adaptive", "mt-grpo", "no-distill", "sft", hot]
    more = ["--phase", "grpo", "--max-steps", "2", "--arms", ",".join(arms), "--practice-rows", "20", *args[-2:]]
    monkeypatch.setattr(sys, "argv", ["ablation.py", *args[:-4], *more])
    monkeypatch.setattr(grpo, "grpo_rows", grpo.grpo_rows)  # the command replaces it, and this test puts it back
    ablation.main()
    assert "phase 3 practises 20 fresh questions" in capsys.readouterr().out
    fresh = read_jsonl(tmp_path / "practice-20.jsonl")
    assert grpo.grpo_rows(Options(), {}) == fresh and {row["split"] for row in fresh} == {"practice"}
    seed = tmp_path / "seed5"
    assert (seed / "mt-grpo/distill/adapter_model.safetensors").read_bytes() == (
        seed / "protocol/distill/adapter_model.safetensors"
    ).read_bytes()
    assert json.loads((seed / "mt-grpo/grpo/run.json").read_text())["options"]["sampling"] == "mt-grpo"
    options = json.loads((seed / hot / "grpo/run.json").read_text())["options"]
    assert (options["temperature"], options["grpo_tasks"], options["sampling"]) == (1.2, "retrosynthesis", "adaptive")
    weights = [
        load_file(seed / f"no-distill/{phase}/adapter_model.safetensors") for phase in ("foundation", "distill", "grpo")
    ]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])  # its phase 2 changed nothing
    assert any((weights[1][name] != weights[2][name]).any() for name in weights[0])
    before = seed / "protocol/distill/adapter_model.safetensors"
    assert (seed / "sft/foundation/adapter_model.safetensors").read_bytes() == before.read_bytes()
    assert (seed / "sft/distill/adapter_model.safetensors").read_bytes() != before.read_bytes()
    text = (tmp_path / "ablation-grpo.md").read_text()
    assert (
        f"| | {' | '.join(arms)} | distill |" in text
        and "| lowest macro-task |" in text
        and "adaptive − sft:" in text
        and "adaptive − distill:" in text
    )
    assert list(json.loads((tmp_path / "ablation-grpo.json").read_text())) == [*arms, "distill"]


def test_an_arm_changes_what_its_name_says():
    options = Options(strict=True)
    assert ablation_arms.changes("mt-grpo", options) == {"sampling": "mt-grpo"}
    arm = "temperature=1.2+num_generations=16+strict=false+grpo_tasks=retrosynthesis"
    changed = {"temperature": 1.2, "num_generations": 16, "strict": False, "grpo_tasks": "retrosynthesis"}
    assert ablation_arms.changes(arm, options) == changed


@pytest.mark.parametrize(
    "args, message",
    [
        (["--arms", "free"], "no arm 'free'; choose protocol"),
        (["--seeds", "a"], "whole numbers"),
        (["--phase", "grpo", "--arms", "heat=1"], "no option 'heat'"),
        (["--phase", "grpo", "--arms", "temperature=1.0+heat"], "no option 'heat'"),
        (["--phase", "grpo", "--arms", "temperature=hot"], "'hot' is not like"),
        (["--phase", "grpo", "--arms", "strict=no"], "'no' is not like False"),
    ],
)
def test_unknown_arms_and_values_are_refused(args, message, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ablation.py", "--preset", "smoke", "--output", str(tmp_path / "run"), *args])
    with pytest.raises(UsageError, match=re.escape(message)):
        ablation.main()
    assert not (tmp_path / "run").exists()
