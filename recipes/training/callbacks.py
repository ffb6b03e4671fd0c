"""What happens beside training: the journal of a run, the progress bar, greedy checks on validation rows, and a clean end
before a borrowed machine is taken back."""

import signal
import threading
import time
from pathlib import Path

from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from chemr_lite.model.adapters import restore_adapter, saved_weights
from chemr_lite.model.folders import PHASES
from recipes.training.distributed import IS_MAIN, on_main, say
from recipes.training.evaluation import evaluate
from recipes.training.files import append_jsonl, as_jsonl, read_json, read_jsonl, write_json
from recipes.training.run_directory import WHOLE, step_of

VALIDATION_ROWS = 48  # per macro-task in a greedy check; where fewer test rows are asked for, as many


class Journal(TrainerCallback):
    """Keeps log.jsonl and the time spent in step with the checkpoints, and marks each as whole once all of it is written.

    `extra` are functions called with the checkpoint's folder to save what the trainer does not know of.
    """

    def __init__(self, folder: Path, checkpoint: Path | None, extra=()):
        self.path, self.extra = folder / "log.jsonl", extra
        self.spent = read_json(checkpoint / WHOLE) if checkpoint else 0.0  # seconds, before this start
        self.started: float | None = None
        resumed_step = step_of(checkpoint)
        if IS_MAIN and self.path.exists():  # lines after the checkpoint belong to steps that are trained again
            kept = [line for line in read_jsonl(self.path) if line["step"] <= resumed_step]
            self.path.write_text(as_jsonl(kept))

    def write(self, step: int, values: dict) -> None:
        if not IS_MAIN:
            return
        append_jsonl(self.path, [{"step": step, **values}])

    def on_log(self, args, state, control, logs=None, **_):
        self.write(state.global_step, {k: round(v, 6) if isinstance(v, float) else v for k, v in (logs or {}).items()})

    def on_save(self, args, state, control, **_):
        if not IS_MAIN:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for save in self.extra:
            save(folder)
        write_json(folder / WHOLE, round(self.seconds(), 1))

    def on_train_begin(self, args, state, control, **_):
        self.started = time.time()

    def seconds(self) -> float:
        """Of training, all starts together; what a kill undid is not counted."""
        return self.spent + (time.time() - self.started if self.started else 0.0)


class Bar(ProgressCallback):
    """The trainer's progress bar with the figures that matter at its end, in place of a line per step."""

    SHOWN = ("loss", "reward/unscaled", "kl", "completions/mean_length")

    @classmethod
    def replace(cls, trainer, name: str) -> None:
        """Show this bar in place of the one, or of the printed lines, that `trainer` was born with."""
        for born in (ProgressCallback, PrinterCallback):
            trainer.remove_callback(born)
        bar = cls()
        bar.name = f"{PHASES.index(name) + 1}/{len(PHASES)} {name}"
        trainer.add_callback(bar)

    def on_train_begin(self, args, state, control, **_):
        super().on_train_begin(args, state, control)
        if self.training_bar is not None:  # only the first process has one
            self.training_bar.set_description(self.name)

    def on_log(self, args, state, control, logs=None, **_):
        if self.training_bar is not None and logs:
            self.training_bar.set_postfix({k.split("/")[-1]: f"{float(logs[k]):.3g}" for k in self.SHOWN if k in logs})


class GreedyCheck(TrainerCallback):
    """Answers validation rows greedily every `validation_steps` steps, and writes the figures to the journal.

    With `best`, a folder, it also checks before the first step and after the last, keeps the best adapter there, and ends
    training that has fallen far below it: what collapses in GRPO does not come back.
    """

    COLLAPSE = 10.0  # points of the balanced score below the best; the noise of a check is a third of that

    def __init__(self, options, tokenizer, data, journal: Journal, best: Path | None = None):
        self.options, self.tokenizer, self.rows, self.journal, self.best = (
            options,
            tokenizer,
            data.rows["validation"],
            journal,
            best,
        )
        self.every = options.validation_steps if self.rows else 0
        self.last = None

    def on_train_begin(self, args, state, control, model=None, **_):
        if self.every and self.best and state.global_step == 0:
            self.check(model, 0)

    def on_step_end(self, args, state, control, model=None, **_):
        if not self.every or (
            state.global_step % self.every and not (self.best and state.global_step == state.max_steps)
        ):
            return
        best = self.check(model, state.global_step)
        if best and self.last < best["validation"] - self.COLLAPSE:
            say(
                f"\n[grpo] step {state.global_step}: {self.last:.1f} on validation rows, {best['validation']:.1f} at step {best['step']}: stopped"
            )
            control.should_training_stop = True

    def check(self, model, step: int) -> dict | None:
        """Evaluate, write it down, and keep the adapter if it is the best yet; what is known of the best one."""
        self.last, best = on_main(lambda: self._check(model, step))
        return best

    def _check(self, model, step: int) -> tuple[float, dict | None]:
        figures = evaluate(
            model, self.tokenizer, self.rows, self.options, min(VALIDATION_ROWS, self.options.eval_rows), label=""
        )
        last = figures["balanced"]
        shares = {f"validation/{name}": figures[name] for name in ("format", "grounding") if figures[name] is not None}
        self.journal.write(
            step, {"validation": last, **shares, **{f"validation/{k}": v for k, v in figures["macros"].items()}}
        )
        if not self.best:
            return last, None
        path = self.best / "best.json"
        best = read_json(path) if path.exists() else None
        if best is None or last > best["validation"]:
            best = {"step": step, "validation": last}
            model.save_pretrained(self.best, selected_adapters=["default"])
            write_json(path, best)
        return last, best

    def keep_best(self, model) -> None:
        """After training: give `model` the best adapter back, and say of which step it is."""
        if not self.best or not (self.best / "best.json").exists():
            return
        best = read_json(self.best / "best.json")
        restore_adapter(model, saved_weights(self.best))
        say(f"[grpo] the adapter of step {best['step']} is kept ({best['validation']:.1f} on validation rows)")


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
        self.reason = on_main(lambda: self.reason)  # all end after the same step
        if self.reason and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_at = f"{state.global_step} of {state.max_steps} steps"

    def conclude(self, name: str) -> None:
        """After training: end the program, if training was ended; the checkpoint is written by then."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)
        if self.stopped_at:
            say(f"[{name}] stopped after {self.stopped_at}, {self.reason}; the same command goes on from there")
            raise SystemExit(self.STATUS)
