"""What happens around the steps of training: the journal of a run, the progress bar, greedy checks on validation rows,
and a clean end before a borrowed machine is taken back.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from chemr_lite.model.adapters import restore_adapter, saved_weights
from chemr_lite.model.folders import PHASES
from recipes.training.command import STARTED, STOPPED
from recipes.training.distributed import IS_MAIN, on_main, say
from recipes.training.evaluation import evaluate, journal_of
from recipes.training.files import append_jsonl, as_jsonl, read_json, read_jsonl, write_json
from recipes.training.run_directory import WHOLE, step_of
from recipes.training.time_left import TimeLeft

VALIDATION_ROWS = 48  # per macro-task in a greedy check, but no more than the test rows that are asked for
CHECKING = 0.1  # of the time of phases 1 and 2 at most, where checks decide nothing


class Journal(TrainerCallback):
    """Writes log.jsonl and the training time in step with the checkpoints, and marks each checkpoint that is whole.

    `savers` are called with a checkpoint's folder, to save there what the trainer does not know about.
    """

    def __init__(self, folder: Path, checkpoint: Path | None, savers: Sequence[Callable[[Path], None]] = ()):
        self.path, self.savers = folder / "log.jsonl", savers
        self.seconds_before = read_json(checkpoint / WHOLE) if checkpoint else 0.0  # of earlier starts
        self.started: float | None = None
        resumed_step = step_of(checkpoint)
        if IS_MAIN and self.path.exists():  # steps after the checkpoint are trained again, so their lines go
            lines = [line for line in read_jsonl(self.path) if line["step"] <= resumed_step]
            self.path.write_text(as_jsonl(lines))

    def write(self, step: int, values: dict) -> None:
        """Append a line to log.jsonl."""
        if not IS_MAIN:
            return
        append_jsonl(self.path, [{"step": step, **values}])

    def on_log(self, args, state, control, logs=None, **_):
        self.write(state.global_step, {k: round(v, 6) if isinstance(v, float) else v for k, v in (logs or {}).items()})

    def on_save(self, args, state, control, **_):
        if not IS_MAIN:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for save in self.savers:
            save(folder)
        write_json(folder / WHOLE, round(self.seconds(), 1))

    def on_train_begin(self, args, state, control, **_):
        self.started = time.time()
        # answers of an earlier start are not those of what is trained now
        journal_of(self.path.with_name("predictions.jsonl")).unlink(missing_ok=True)

    def seconds(self) -> float:
        """Return the seconds of training in all starts together, without the steps that a kill undid."""
        return self.seconds_before + (time.time() - self.started if self.started else 0.0)


class Bar(ProgressCallback):
    """The trainer's progress bar, with the time left of all phases, and metrics instead of a printed line per step."""

    METRICS = ("loss", "reward/unscaled", "kl", "completions/length")

    @classmethod
    def replace(cls, trainer, name: str, time_left: TimeLeft) -> None:
        """Show this bar instead of the trainer's default bar or printed lines."""
        for default in (ProgressCallback, PrinterCallback):
            trainer.remove_callback(default)
        bar = cls()
        bar.phase, bar.time_left = name, time_left
        trainer.add_callback(bar)

    def on_train_begin(self, args, state, control, **_):
        super().on_train_begin(args, state, control)
        self.started, self.first_step = time.time(), state.global_step
        self.describe()

    def describe(self) -> None:
        """Show the phase and the time left of all phases in front of the bar."""
        if self.training_bar is not None:  # only the first process has a bar
            number = PHASES.index(self.phase) + 1
            self.training_bar.set_description(f"{number}/{len(PHASES)} {self.phase}, {self.time_left}")

    def on_step_end(self, args, state, control, **_):
        super().on_step_end(args, state, control)
        share, made = (n / state.max_steps for n in (state.global_step, state.global_step - self.first_step))
        self.time_left.phase(self.phase, made, time.time() - self.started, share)
        self.describe()

    def on_log(self, args, state, control, logs=None, **_):
        if self.training_bar is not None and logs:
            values = {k.split("/")[-1]: f"{float(logs[k]):.3g}" for k in self.METRICS if k in logs}
            self.training_bar.set_postfix(values)


class GreedyCheck(TrainerCallback):
    """Answers validation rows greedily every `validation_steps` steps, and writes the figures to the journal.

    With a folder `best` it also checks before the first step and after the last, and keeps the best adapter there. It
    ends training that falls far below the best check, because a GRPO run that collapses does not recover. Without one,
    a check is left out if the checks would take more than the share CHECKING of the time.
    """

    COLLAPSE = 10.0  # points of the balanced score below the best check; the noise of a check is about a third of that

    def __init__(self, options, tokenizer, data, journal: Journal, best: Path | None = None):
        self.options, self.tokenizer, self.journal, self.best = options, tokenizer, journal, best
        self.rows = data.rows["validation"]
        self.every = options.validation_steps if self.rows else 0
        self.last = None  # balanced score of the last check
        self.started = self.spent = self.longest = 0.0  # seconds: the time of the first step, all checks, the longest

    def on_train_begin(self, args, state, control, model=None, **_):
        self.started = time.time()
        if self.every and self.best and state.global_step == 0:
            self.check(model, 0)

    def on_step_end(self, args, state, control, model=None, **_):
        step = state.global_step
        if not self.every or (step % self.every and not (self.best and step == state.max_steps)):
            return
        if not self.best and on_main(lambda: self.spent + self.longest > CHECKING * (time.time() - self.started)):
            return
        best = self.check(model, step)
        if best and self.last < best["validation"] - self.COLLAPSE:
            say(
                f"\n[grpo] step {step}: {self.last:.1f} on validation rows, {best['validation']:.1f} at step "
                f"{best['step']}: stopped"
            )
            control.should_training_stop = True

    def check(self, model, step: int) -> dict | None:
        """Evaluate the model and keep its adapter if it is the best so far. Return step and score of the best check."""
        begun = time.time()
        self.last, best = on_main(lambda: self._check(model, step))
        seconds = time.time() - begun
        self.spent, self.longest = self.spent + seconds, max(self.longest, seconds)
        return best

    def _check(self, model, step: int) -> tuple[float, dict | None]:
        per_macro = min(VALIDATION_ROWS, self.options.eval_rows)
        figures = evaluate(model, self.tokenizer, self.rows, self.options, per_macro, label="")
        balanced = figures["balanced"]
        shares = {f"validation/{name}": figures[name] for name in ("format", "grounding") if figures[name] is not None}
        macros = {f"validation/{name}": score for name, score in figures["macros"].items()}
        self.journal.write(step, {"validation": balanced, **shares, **macros})
        if not self.best:
            return balanced, None
        path = self.best / "best.json"
        best = read_json(path) if path.exists() else None
        if best is None or balanced > best["validation"]:
            best = {"step": step, "validation": balanced}
            model.save_pretrained(self.best, selected_adapters=["default"])
            write_json(path, best)
        return balanced, best

    def keep_best(self, model) -> None:
        """After training, load the best adapter into `model` and print its step."""
        if not self.best or not (self.best / "best.json").exists():
            return
        best = read_json(self.best / "best.json")
        restore_adapter(model, saved_weights(self.best))
        say(f"[grpo] the adapter of step {best['step']} is kept ({best['validation']:.1f} on validation rows)")


class Limit(TrainerCallback):
    """Ends training with a checkpoint after the step under way, once --max-hours are over or SIGTERM arrives."""

    def __init__(self, max_hours: float):
        self.deadline = STARTED + 3600 * max_hours if max_hours else float("inf")
        self.reason, self.stopped_at = "", ""
        if threading.current_thread() is threading.main_thread():  # no other thread may set a handler
            self.previous_handler = signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, *_):
        self.reason = "as the system asked"

    def on_step_end(self, args, state, control, **_):
        if time.time() > self.deadline:
            self.reason = "since --max-hours are over"
        self.reason = on_main(lambda: self.reason)  # all processes end after the same step
        if self.reason and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_at = f"{state.global_step} of {state.max_steps} steps"

    def conclude(self, name: str) -> None:
        """After training, exit with STOPPED if training was stopped early. The checkpoint is written by then."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.previous_handler)
        if self.stopped_at:
            say(f"[{name}] stopped after {self.stopped_at}, {self.reason}; the same command goes on from there")
            raise SystemExit(STOPPED)
