"""Ctrl-C during training: when it is answered, what stays, and whose it is afterwards.

It is pressed when training has come so far, not after some time: a busy machine must not decide.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import scripted
from helpers import ENGINES, PYTHON_SLOW, slow_but
from runs import N, diverge, fit_noisily, make, regression, state, use

import fastnn
from fastnn.training import cuts, job
from fastnn.training import run as run_module
from fastnn.training.interrupts import Interrupts
from fastnn.training.run import Run

pytestmark = pytest.mark.usefixtures("default_ctrl_c")

#: Seconds after which a fit that has not answered has failed; 0.1 on a quiet machine.
MOST_SECONDS = 60


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def ctrl_c_in_piece(number: int):
    """Press Ctrl-C when a fit inside runs its piece of that number, from 1."""
    begun, ended = threading.Event(), threading.Event()
    pieces, presses = [], []
    run_piece = Run._run

    def noting(self, piece):
        pieces.append(piece)
        if len(pieces) == number:
            begun.set()
        return run_piece(self, piece)

    def press_and_wait():
        begun.wait(MOST_SECONDS)
        presses.append(press())
        if not ended.wait(MOST_SECONDS):  # the fit does not listen
            presses.append(press())

    presser = threading.Thread(target=press_and_wait)
    presser.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_run", noting)
        try:
            yield
        except KeyboardInterrupt:
            pytest.fail("fit did not listen to Ctrl-C")
        finally:
            ended.set()
            presser.join()
    assert len(presses) == 1, "fit has not answered"


@pytest.mark.parametrize("engine", PYTHON_SLOW)
@pytest.mark.parametrize(
    ("n", "batch_size", "progress"),
    slow_but(
        [(20, 1, False), (3000, 7, False), (20, None, True)],
        [(*size, shown) for size in [(20, 1), (3000, 7), (20, None)] for shown in (False, True)],
    ),
)
def test_ctrl_c_ends_training_at_once_and_keeps_what_was_reached(
    engine, n, batch_size, progress, capsys
):
    X, y = regression(n)
    net, _ = make(engine)
    net.fit(X, y, batch_size=batch_size, progress=progress, epochs=1)  # imports and compiles
    start = net.parameters.tobytes()
    with ctrl_c_in_piece(3):
        history = net.fit(X, y, epochs=10**9, batch_size=batch_size, progress=progress)
    assert history.stop_reason == "interrupted"
    assert history.epochs == len(history.loss)
    assert np.isfinite(history.loss).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert net.parameters.tobytes() != start
    assert np.isfinite(net.parameters).all()
    assert np.isfinite(net.predict(X)).all()
    assert net.fit(X, y, epochs=1).stop_reason == "completed"


@pytest.mark.parametrize("engine", PYTHON_SLOW)
def test_an_interrupted_training_is_that_many_whole_epochs(engine):
    """Small data: whole epochs fit a piece, so the parameters are those of the last epoch."""
    X, y = regression(10)
    net, rng = make(engine)
    with ctrl_c_in_piece(3):
        history = net.fit(X, y, epochs=10**9, batch_size=3)
    twin, twin_rng = make(engine)
    again = twin.fit(X, y, epochs=history.epochs, batch_size=3)
    assert again.loss == history.loss
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.parametrize("engine", PYTHON_SLOW)
def test_an_interrupted_training_restores_the_best_if_asked_to(engine):
    net, _ = make(engine)
    rule = fastnn.EarlyStopping(patience=10**9, restore_best=True)
    with ctrl_c_in_piece(3):
        history = fit_noisily(net, epochs=10**9, early_stopping=rule)
    assert history.stop_reason == "interrupted"
    twin, _ = make(engine)
    fit_noisily(twin, epochs=history.best_epoch)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


#: Epochs of 20 samples in one full batch that take an engine a second or two: what is given up goes
#: on by itself, beside the next tests. The scripted engine works only when it is let go.
SECONDS_OF_EPOCHS = {"numpy": 40_000, "numba": 2_000_000, "scripted": 1}


@pytest.fixture
def seconds_of_work(loop_engine, monkeypatch):
    """A network, its generator, and a function that fits it with one piece of some seconds.

    And one that lets the scripted engine do what was given up, and waits for its end.
    """
    if loop_engine == "python":  # a single update
        net, rng = make(loop_engine)
        data = regression(200_000)
        yield net, rng, lambda: net.fit(*data, epochs=3, batch_size=None), lambda: None
        return
    let_go, done = threading.Event(), threading.Event()
    run = scripted.Trainer.run

    def run_late(*arguments):
        let_go.wait(MOST_SECONDS)
        run(*arguments)
        done.set()

    def end():
        let_go.set()
        assert loop_engine != "scripted" or done.wait(MOST_SECONDS)

    use(monkeypatch, "all in one piece")
    monkeypatch.setattr(cuts, "MOST_ORDERED_ROWS", 1 << 40)
    net, rng = make(loop_engine)
    net.fit(*regression(20), batch_size=None, epochs=1)
    monkeypatch.setattr(job, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(scripted.Trainer, "run", run_late)
    epochs = SECONDS_OF_EPOCHS[loop_engine]
    yield net, rng, lambda: net.fit(*regression(20), epochs=epochs, batch_size=None), end
    let_go.set()


def test_ctrl_c_gives_up_work_that_takes_seconds(seconds_of_work, monkeypatch):
    net, rng, fit, end = seconds_of_work
    before = state(net, rng)
    with ctrl_c_in_piece(1):
        history = fit()
    assert history.stop_reason == "interrupted"
    assert history is net.history
    assert history.epochs == 0
    end()
    assert state(net, rng) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(job, "LONG_SECONDS", 60.0)
    assert net.fit(*regression(20), epochs=2).stop_reason == "completed"


def test_a_second_ctrl_c_at_once_raises_keyboard_interrupt(seconds_of_work, monkeypatch):
    monkeypatch.setattr(Interrupts, "_remind", lambda self: press())  # when the first was heard
    net, rng, fit, _ = seconds_of_work
    before, history = state(net, rng), net.history
    run_piece = Run._run
    monkeypatch.setattr(Run, "_run", lambda self, piece: (press(), run_piece(self, piece))[1])
    with pytest.raises(KeyboardInterrupt):
        fit()
    assert net.history is history
    assert state(net, rng) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("engine", "optimizer"),
    slow_but(
        [("python", "adam"), ("numpy", "adam"), ("numba", "sgd")],
        itertools.product(ENGINES, ["sgd", "adam"]),
    ),
)
def test_long_updates_and_orders_give_the_same_bits_in_another_thread(
    engine, optimizer, default_ctrl_c
):
    """What may be given up is done on copies; nothing shows of that if it is not given up."""

    def trained():
        net, rng = make(engine)
        history = net.fit(
            *regression(N), epochs=3, batch_size=7, validation_data=regression(9),
            optimizer=optimizer,
        )  # fmt: skip
        return *state(net, rng), history.loss, history.val_loss

    expected = trained()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "LONG_SECONDS", 0.0)
        patch.setattr(run_module, "MANY_ROWS", 0)
        assert trained() == expected


def test_ctrl_c_is_as_before_after_every_end_of_a_fit(engine):
    net, _ = make(engine)
    net.fit(*regression(10), epochs=1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    diverge(engine)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="epochs"):
        net.fit(*regression(10), epochs=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_somebody_elses_ctrl_c_handler_is_left_in_charge(engine):
    heard = []
    theirs = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        mine = signal.getsignal(signal.SIGINT)
        net, _ = make(engine)
        handlers = []

        def press_once(network, epoch, logs):
            handlers.append(signal.getsignal(signal.SIGINT))
            if epoch == 2:
                press()

        history = net.fit(
            *regression(10), epochs=3, callbacks=[SimpleNamespace(on_epoch_end=press_once)]
        )
    finally:
        signal.signal(signal.SIGINT, theirs)
    assert handlers == [mine] * 3
    assert heard == [signal.SIGINT]
    assert history.stop_reason == "completed"


@pytest.mark.parametrize("engine", PYTHON_SLOW)
@pytest.mark.parametrize("batch_size", [1, 32, None])
def test_small_work_needs_no_thread_for_ctrl_c(engine, batch_size, monkeypatch):
    def refuse(self, work, *arguments):
        raise AssertionError(f"{work} got a thread")

    monkeypatch.setattr(Interrupts, "wait_for", refuse)
    X, y = regression(1000)
    make(engine)[0].fit(X, y, batch_size=batch_size, validation_data=(X, y), epochs=1)
