"""Showing how training goes: a live bar on a terminal, plain lines anywhere else (a pipe, a log file).

Both are callbacks of the trainer. Plain lines hold no control codes: one an epoch, and one about every ten
seconds.
"""
import sys
import time

from nanoemo.training.callbacks import Callback

__all__ = ["progress", "PlainProgress", "TerminalProgress", "counted", "duration", "epoch_line"]

BAR_NEEDS = 100         # columns; a narrower terminal shows the figures alone, on two lines if need be


def progress():
    """The display that suits standard output."""
    return TerminalProgress() if sys.stdout.isatty() else PlainProgress()


def duration(seconds):
    """Seconds as a reader would say them.

    >>> duration(7.6), duration(205), duration(7500)
    ('8 s', '3 min 25 s', '2 h 05 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def counted(number, thing):
    """A number of things as a reader would say it.

    >>> counted(1, "epoch"), counted(2500, "step")
    ('1 epoch', '2,500 steps')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def epoch_line(row, epochs):
    """One line for a finished epoch, from its row of the history."""
    parts = [f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}", _figures(row, "")]
    if row["val_loss"] is not None:
        parts.append(_figures(row, "val_"))
    parts.append(f"{duration(row['seconds'])}, {row['images_per_second']:.0f} examples/s, "
                 f"{100 * row['waiting']:.1f} % waiting for them")
    return " | ".join(parts)


def _figures(row, prefix):
    accuracy = row[f"{prefix}accuracy"]             # None of what is no classifier
    share = "" if accuracy is None else f"  {prefix}accuracy {100 * accuracy:5.1f} %"
    return f"{prefix}loss {row[f'{prefix}loss']:.4f}{share}"


def _so_far(trainer, clock):
    """The figures of the epoch under way."""
    tally = trainer.tally
    accuracy = f"  accuracy {100 * tally.accuracy:.1f} %" if trainer.classifies else ""
    return (f"loss {tally.loss:.4f}{accuracy}  {tally.images_per_second:.0f} examples/s"
            f"  {duration(clock.seconds_left(trainer))} left")


class _Clock:
    """Estimates the time left from the steps made since this process started."""

    def __init__(self):
        self.start = time.perf_counter()
        self.steps = 0

    def seconds_left(self, trainer):
        to_do = (trainer.epochs - trainer.epoch) * trainer.steps_per_epoch - trainer.step
        return (time.perf_counter() - self.start) / max(1, self.steps) * to_do


class PlainProgress(Callback):
    """Lines of text; `every` seconds at least pass between two lines within an epoch."""

    def __init__(self, every=10.0):
        self.every = every

    def train_start(self, trainer):
        self.clock = _Clock()
        self.last = self.clock.start

    def step_end(self, trainer):
        self.clock.steps += 1
        now = time.perf_counter()
        if now - self.last < self.every:
            return
        self.last = now
        print(f"epoch {trainer.epoch + 1}/{trainer.epochs}  step {trainer.step}/{trainer.steps_per_epoch}"
              f"  {_so_far(trainer, self.clock)}", flush=True)

    def epoch_end(self, trainer):
        print(epoch_line(trainer.history[-1], trainer.epochs), flush=True)


class TerminalProgress(Callback):
    """A live bar for the epoch under way, drawn by rich; finished epochs scroll up as lines."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stdout

    def train_start(self, trainer):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self.clock = _Clock()
        console = Console(file=self.stream, highlight=False)
        text = TextColumn("epoch {task.fields[epoch]}  step {task.completed:.0f}/{task.total:.0f}  "
                          "{task.fields[figures]}", table_column=Column(no_wrap=False))
        wide = console.width >= BAR_NEEDS
        bar = [BarColumn(bar_width=None, table_column=Column(ratio=1))] if wide else []
        self.bar = Progress(text, *bar, console=console, expand=wide, refresh_per_second=4, transient=True)
        self.task = self.bar.add_task("", total=trainer.steps_per_epoch, completed=trainer.step,
                                      epoch=f"{trainer.epoch + 1}/{trainer.epochs}", figures="")
        self.bar.start()

    def step_end(self, trainer):
        self.clock.steps += 1
        self.bar.update(self.task, completed=trainer.step, epoch=f"{trainer.epoch + 1}/{trainer.epochs}",
                        figures=_so_far(trainer, self.clock))

    def epoch_end(self, trainer):
        self.bar.console.print(epoch_line(trainer.history[-1], trainer.epochs))

    def train_end(self, trainer):
        self.bar.stop()
