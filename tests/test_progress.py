"""The progress bar of a fit."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import rich
from rich.console import Console
from rich.errors import LiveError
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress import Progress
from runs import EPOCHS, diverge, fit_noisily, make, regression, state

import fastnn
from fastnn.profiling.progress import show_progress
from fastnn.progress import Display


def say_terminal(monkeypatch, terminal):
    """Tell rich that the output is a terminal or is none; by two names, one for older versions."""
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_progress_bar_on_request(engine, capsys, monkeypatch, terminal):
    say_terminal(monkeypatch, terminal)
    net, _ = make(engine)
    net.fit(*regression(10), epochs=5, progress=True, validation_data=regression(3))
    text = capsys.readouterr().out
    assert "5/5" in text
    assert "loss" in text
    assert "val_loss" in text
    assert "samples/s" in text
    assert text.endswith("\n") or text.endswith("\x1b[?25h")
    if terminal:
        assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is back"


def test_no_progress_bar_without_request(engine, capsys):
    make(engine)[0].fit(*regression(10), epochs=5)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_the_bar_shows_where_training_stopped_early(capsys, engine):
    rule = fastnn.EarlyStopping(patience=0)
    history = fit_noisily(make(engine)[0], progress=True, early_stopping=rule)
    assert f"{history.epochs}/{EPOCHS}" in capsys.readouterr().out


def test_a_bar_ends_with_a_diverging_fit_and_the_next_one_starts(engine, capsys):
    diverge(engine, progress=True)
    make(engine)[0].fit(*regression(10), epochs=5, progress=True)
    assert "5/5" in capsys.readouterr().out


def test_a_bar_changes_no_bit(engine, capsys):
    plain, plain_rng = make(engine)
    fit_noisily(plain)
    net, rng = make(engine)
    fit_noisily(net, progress=True)
    capsys.readouterr()
    assert state(net, rng) == state(plain, plain_rng)


def test_two_bars_at_once(capsys):
    with ThreadPoolExecutor(2) as pool:
        fits = [
            pool.submit(make("numpy")[0].fit, *regression(50), epochs=100, progress=True)
            for _ in range(2)
        ]
        assert [fit.result().epochs for fit in fits] == [100, 100]
    capsys.readouterr()


# A bar never stops the work.


@pytest.fixture(params=["this rich", "an older rich"])
def console(request, monkeypatch, capsys):
    """The console that bars are drawn on; before rich 14.1 it showed one at a time."""
    say_terminal(monkeypatch, True)
    console = rich.get_console()
    if request.param == "an older rich":
        shown = []

        def set_live(live):
            if shown:
                raise LiveError("Only one live display may be active at once")
            shown.append(live)
            return True

        monkeypatch.setattr(console, "set_live", set_live)
        monkeypatch.setattr(console, "clear_live", shown.clear)
    yield console
    capsys.readouterr()


def fit_with_bar(**options):
    return make("numpy")[0].fit(*regression(20), epochs=20, progress=True, **options)


class Fitting:
    """A callback that fits another network, with a bar."""

    def on_epoch_end(self, network, epoch, logs):
        assert fit_with_bar().epochs == 20


def in_a_callback():
    return fit_with_bar(callbacks=[Fitting()])


def in_two_threads():
    both = threading.Barrier(2)

    class Meet:
        def on_epoch_end(self, network, epoch, logs):
            both.wait(60)

    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(fit_with_bar, callbacks=[Meet()]) for _ in range(2)]
        fits[0].result()
        return fits[1].result()


def in_a_display_of_the_users():
    with Live("mine", console=rich.get_console()):
        return fit_with_bar()


def in_a_bar_of_the_users():
    with Progress(console=rich.get_console()) as bar:
        for _ in bar.track(range(2)):
            history = fit_with_bar()
    return history


def in_a_stream():
    def chunks():
        for _ in range(20):
            fit_with_bar()
            yield regression(10)

    return make("numpy")[0].fit_stream(chunks(), progress=True)


NESTED = (in_a_callback, in_two_threads, in_a_display_of_the_users, in_a_bar_of_the_users,
          in_a_stream)  # fmt: skip


@pytest.mark.parametrize("fit", NESTED)
def test_bars_within_displays(console, fit):
    history = fit()
    assert (history.epochs, history.stop_reason) == (20, "completed")
    with Live("afterwards", console=console):  # nothing stayed behind
        pass
    assert console.is_terminal
    assert not isinstance(sys.stdout, FileProxy)


class Refusing(io.StringIO):
    """An output that takes no bar, for one reason or another."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


@pytest.fixture
def pipe_nobody_reads():
    read, write = os.pipe()
    os.close(read)
    with contextlib.suppress(BrokenPipeError), os.fdopen(write, "w") as output:
        yield output


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "error",
    [
        None,
        UnicodeEncodeError("ascii", "━", 0, 1, "ordinal not in range"),
        ValueError("I/O operation on closed file"),
        OSError(28, "No space left on device"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("terminal", [False, True])
def test_an_output_that_fails_stops_no_fit(monkeypatch, terminal, error, pipe_nobody_reads):
    say_terminal(monkeypatch, terminal)
    output = Refusing(error) if error else pipe_nobody_reads
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        patch.setattr(rich, "_console", None)
        history = fit_with_bar()
        assert sys.stdout is output
    assert (history.epochs, history.stop_reason) == (20, "completed")


def test_a_bar_stops_no_exit_but_that_of_a_broken_pipe():
    """A signal's handler may exit wherever the program is."""

    def exit_now(_bar):
        sys.exit(3)

    with pytest.raises(SystemExit):
        Display(Progress()).draw(exit_now)


@pytest.mark.parametrize("nested", [False, True])
def test_the_profiler_goes_on_without_its_bar(console, nested, monkeypatch):
    shown = Console(stderr=True)
    monkeypatch.setattr("rich.console.Console", lambda **_: console if nested else shown)
    monkeypatch.setattr(type(console), "is_terminal", True)
    said = []
    with Live("mine", console=console), show_progress(True) as report:
        report("half", 0.5)
        said.append("done")
    assert said == ["done"]
