"""What happens beside training: the journal of a run, the progress bar, greedy checks on validation rows, and a clean end
before a borrowed machine is taken back."""

import json
import signal
import threading
import time
from pathlib import Path

from transformers import TrainerCallback
from transformers.trainer_callback import ProgressCallback

from recipes.evaluate import evaluate


class Journal(TrainerCallback):
    """Keeps log.jsonl in step with the checkpoints, and marks each checkpoint as whole once all of it is written.

    `extra` are functions called with the checkpoint's folder to save what the trainer does not know of.
    """

    def __init__(self, folder: Path, resumed_step: int, extra=()):
        self.path, self.extra = folder / "log.jsonl", extra
        if self.path.exists():  # lines after the checkpoint belong to steps that are trained again
            kept = [line for line in self.path.read_text().splitlines() if json.loads(line)["step"] <= resumed_step]
            self.path.write_text("".join(line + "\n" for line in kept))

    def write(self, step: int, values: dict) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def on_log(self, args, state, control, logs=None, **_):
        self.write(state.global_step, {k: round(v, 6) if isinstance(v, float) else v for k, v in (logs or {}).items()})

    def on_save(self, args, state, control, **_):
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for save in self.extra:
            save(folder)
        (folder / "complete").touch()


class Bar(ProgressCallback):
    """The trainer's progress bar with the figures that matter at its end, in place of a line per step."""

    SHOWN = ("loss", "reward/unscaled", "kl", "completions/mean_length")

    @classmethod
    def replace(cls, trainer) -> None:
        """Show this bar in place of the one that `trainer` was born with."""
        trainer.remove_callback(ProgressCallback)
        trainer.add_callback(cls())

    def on_log(self, args, state, control, logs=None, **_):
        if self.training_bar is not None and logs:
            self.training_bar.set_postfix({k.split("/")[-1]: f"{float(logs[k]):.3g}" for k in self.SHOWN if k in logs})


class GreedyCheck(TrainerCallback):
    """Answers validation rows greedily every `validation_steps` steps, and writes the figures to the journal."""

    def __init__(self, options, tokenizer, data, journal: Journal):
        self.options, self.tokenizer, self.rows, self.journal = options, tokenizer, data.rows["validation"], journal

    def on_step_end(self, args, state, control, model=None, **_):
        every = self.options.validation_steps
        if not every or not self.rows or state.global_step % every:
            return
        figures = evaluate(model, self.tokenizer, self.rows, self.options, self.options.validation_rows, show="")
        self.journal.write(
            state.global_step,
            {
                "validation": figures["balanced"],
                **{f"validation/{name}": figures[name] for name in ("format", "grounding") if figures[name] is not None},
                **{f"validation/{macro}": score for macro, score in figures["macros"].items()},
            },
        )


class Limit(TrainerCallback):
    """Ends training after the step under way, with a checkpoint, once --max-hours are over or SIGTERM has come."""

    STATUS = 75  # "temporary failure": try the same command again
    started = time.time()  # of the program, near enough: every phase counts from here

    def __init__(self, max_hours: float):
        self.until = self.started + 3600 * max_hours if max_hours else float("inf")
        self.reason, self.stopped_at = "", ""
        if threading.current_thread() is threading.main_thread():  # nobody else may
            self.before = signal.signal(signal.SIGTERM, self._told)

    def _told(self, *_):
        self.reason = "as the system asked"

    def on_step_end(self, args, state, control, **_):
        if time.time() > self.until:
            self.reason = "since --max-hours are over"
        if self.reason and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_at = f"{state.global_step} of {state.max_steps} steps"

    def conclude(self, name: str) -> None:
        """After training: end the program, if training was ended; the checkpoint is written by then."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)
        if self.stopped_at:
            print(f"[{name}] stopped after {self.stopped_at}, {self.reason}; the same command goes on from there", flush=True)
            raise SystemExit(self.STATUS)
