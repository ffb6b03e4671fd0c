"""Serve a page to ask a trained model on: its reasoning appears as it is written, each claim marked, the answer judged.

    python recipes/demo.py                       # the run in outputs/nano, at http://127.0.0.1:7860
    python recipes/demo.py outputs/t4            # another run, or one phase of it, or a model folder
    python recipes/demo.py --share               # also at a public address, for Colab and Kaggle

Every phase of a run can be asked, also two at once. The page loads nothing from the network. With `--share` the
questions pass through Gradio's servers.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chemr_lite import data
from chemr_lite.model.folders import phases_of
from chemr_lite.scoring.judge import row_of
from recipes.training import command
from recipes.training.options import UsageError
from recipes.training.quiet import silence_libraries


def load(target: str) -> dict:
    """Return a Chemist for each finished phase of a run by name, the last phase first; all share one base in memory.

    A phase's directory or a model folder gives a single one. Raises UsageError for a folder that does not exist.
    """
    silence_libraries()
    from chemr_lite import Chemist  # torch, which --help must not wait for

    run = Path(target)
    phases = phases_of(run)[::-1]
    if not (phases or target == "nano" or run.exists()):
        raise UsageError(
            f"{target}: no run there; train one with python recipes/grpo.py, or name a phase's directory or a model "
            "folder"
        )
    if not phases:
        return {run.name: Chemist(target)}
    last = Chemist(run / phases[0])
    return {phases[0]: last} | {name: last.load_phase(run / name) for name in phases[1:]}


def known_rows(chemist) -> list[dict]:
    """Return test rows with their answers: those that the phase was evaluated on, or nano's."""
    from recipes.training.evaluation import read_judged  # torch, which --help must not wait for

    if chemist.adapter and (chemist.adapter / "predictions.jsonl").exists():
        return [row_of(line) for line in read_judged(chemist.adapter)]
    return data.load(["nano"]).rows["test"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("target", nargs="?", default="outputs/nano", help="a run, a phase, or a model folder; default: outputs/nano")
    add("--port", type=int, help="default: the first free one from 7860 on")
    add("--share", action="store_true", help="also serve the page at a public address, for 72 hours at most")
    args = parser.parse_args()
    print(f"loading {args.target} …", flush=True)
    chemists = load(args.target)
    from recipes.training import demo_page  # gradio, which --help must not wait for

    page = demo_page.build(chemists, known_rows(next(iter(chemists.values()))))
    try:
        _, local, public = page.launch(server_port=args.port, share=args.share, **demo_page.launch_settings())
    except OSError as error:
        raise UsageError(f"the page cannot be served: {error}; choose another --port") from error
    print(f"asking {', '.join(chemists)} of {args.target} at {public or local}; Ctrl+C ends it", flush=True)
    page.block_thread()


if __name__ == "__main__":
    command.run(main)
