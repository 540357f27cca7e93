"""What one sees of a training while it runs, and Ctrl-C."""
import io
import re
import signal
import time
from types import SimpleNamespace

import pytest

from nanoemo.training import catch_interrupt
from nanoemo.training.progress import PlainProgress, TerminalProgress, _Clock, duration
from training_runs import make_trainer


def test_plain_progress_has_no_control_codes(capsys):
    make_trainer(callbacks=[PlainProgress(every=0)]).fit(epochs=2)
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\r" not in out
    assert len([line for line in out.splitlines() if line.startswith("epoch 1/2  step")]) == 8
    assert "val_accuracy" in out and "examples/s" in out and "left" in out
    assert duration(3725) == "1 h 02 min"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_progress_draws_and_leaves_a_line_an_epoch():
    terminal = Terminal()
    make_trainer(callbacks=[TerminalProgress(terminal)]).fit(epochs=2)
    assert terminal.getvalue().count("val_accuracy") == 2


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_figure_is_lost_on_a_narrow_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    display = TerminalProgress(terminal := Terminal())
    trainer = make_trainer(callbacks=[display])
    trainer.fit(epochs=12)
    terminal.seek(0), terminal.truncate()
    display.bar.console.print(display.bar.get_renderable())
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    shown = " ".join(" ".join(lines).split())
    for figure in ("epoch 12/12", "step 8/8", "loss ", "accuracy ", "examples/s", "0 s left"):
        assert figure in shown
    assert all(len(line) <= columns for line in lines) and "…" not in shown


def test_first_interrupt_asks_and_the_second_stops():
    before = signal.getsignal(signal.SIGINT)        # ignored, where the tests run in the background
    with pytest.raises(KeyboardInterrupt):
        with catch_interrupt() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_time_left_falls_within_an_epoch(monkeypatch):
    clock = _Clock()
    clock.steps = 2
    monkeypatch.setattr(time, "perf_counter", lambda: clock.start + 3)
    left = [clock.seconds_left(SimpleNamespace(epochs=2, epoch=0, steps_per_epoch=5, step=step)) for step in (0, 4)]
    assert left == pytest.approx([15, 9])
