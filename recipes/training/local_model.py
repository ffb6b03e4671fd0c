"""Answers of a model on this machine, kept as they come."""

from pathlib import Path

from chemr_lite.model.folders import base_of, check_there
from recipes.training.files import read_json, write_json
from recipes.training.options import Options
from recipes.training.quiet import silence_libraries


def ask_model(target: str, rows: list[dict], options: Options, samples: int, journal: Path, label: str) -> list[dict]:
    """Return judged answers (scoring.judge) of `target`, a phase's directory or a base, to `rows`, in their order.

    Each row has one greedy answer, or several `samples`. They are appended to `journal`, and those of an earlier start
    are reused if the same model was asked the same. `label` names the progress bar. Raises ModelError.
    """
    import torch  # this and what follows would slow down --help

    from chemr_lite.model.adapters import with_adapter
    from chemr_lite.model.hardware import detect_hardware
    from chemr_lite.model.load import load_base, load_tokenizer
    from recipes.training.evaluation import answer_rows

    check_there(target)
    adapter = Path(target) if (Path(target) / "adapter_config.json").exists() else None
    name = base_of(adapter) if adapter else target
    request = {"target": target, "data": options.data, "tasks": options.tasks, "samples": samples, "seed": options.seed}
    if samples > 1:
        request["temperature"] = options.temperature
    asked = journal.with_suffix(".asked.json")
    if not asked.exists() or read_json(asked) != request:
        journal.unlink(missing_ok=True)
        write_json(asked, request)
    silence_libraries()
    tokenizer, model = load_tokenizer(name), load_base(name, detect_hardware(name))
    if adapter:
        model = with_adapter(model, adapter)
    torch.manual_seed(options.seed)
    return answer_rows(model, tokenizer, rows, options, label, journal, samples)
