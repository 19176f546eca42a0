"""The progress bar of a fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from runs import EPOCHS, diverge, fit_noisily, make, regression, state

import fastnn


@pytest.mark.parametrize("terminal", [False, True])
def test_a_progress_bar_on_request(engine, capsys, monkeypatch, terminal):
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))
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
