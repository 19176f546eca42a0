"""The pieces in which epochs run: one seed gives the same bits, however they are cut."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import oracles
import pytest
from helpers import DTYPES, ENGINES, SLICINGS, slow_but
from runs import N, counted_pieces, make, regression, state, use

import fastnn
from fastnn.reference import vectors
from fastnn.training import cuts
from fastnn.training import run as run_module
from fastnn.training.run import Run

BATCHES = [1, 7, None]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_one_seed_gives_the_same_bits_twice(engine, batch_size, shuffle):
    def trained():
        net, rng = make(engine)
        history = net.fit(*regression(N), epochs=4, batch_size=batch_size, shuffle=shuffle)
        return *state(net, rng), history.loss

    assert trained() == trained()


@pytest.mark.parametrize("dtype", slow_but(["float64"], DTYPES))
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_epochs_in_one_call_or_one_by_one_give_the_same_bits(engine, batch_size, shuffle, dtype):
    def trained(calls, epochs):
        net, rng = make(engine, dtype=dtype)
        losses = []
        for _ in range(calls):
            history = net.fit(
                *regression(20), epochs=epochs, batch_size=batch_size, shuffle=shuffle,
                learning_rate=0.1,
            )  # fmt: skip
            losses += history.loss
        return *state(net, rng), losses

    assert trained(6, 1) == trained(1, 6) == trained(2, 3)


#: numba compiles for the validation in float32.
PIECES = [("float64", True), ("float64", False), ("float32", True)]
PIECES_FAST = [("numpy", *point) for point in PIECES] + [("numba", *point) for point in PIECES[:2]]


@pytest.mark.parametrize(
    ("engine", "dtype", "shuffle"),
    slow_but(PIECES_FAST, [(engine, *point) for engine in ENGINES for point in PIECES]),
)
@pytest.mark.parametrize("batch_size", [*BATCHES, 100])
def test_no_bit_depends_on_the_pieces(engine, batch_size, shuffle, dtype):
    def trained(slicing):
        net, rng = make(engine, dtype=dtype)
        with pytest.MonkeyPatch.context() as patch:
            use(patch, slicing)
            history = net.fit(
                *regression(N), epochs=4, batch_size=batch_size, shuffle=shuffle,
                learning_rate=0.1, validation_data=regression(9),
            )  # fmt: skip
        return *state(net, rng), history.loss, history.val_loss

    expected = trained("all in one piece")
    assert len(expected[2]) == len(expected[3]) == 4
    for slicing in SLICINGS:
        assert trained(slicing) == expected, slicing


@pytest.mark.parametrize("batch_size", [1, 7])
def test_epochs_are_run_in_parts_when_a_piece_holds_fewer_rows(monkeypatch, batch_size):
    use(monkeypatch, "64 rows a piece")
    with counted_pieces(monkeypatch) as pieces:
        make("numpy")[0].fit(*regression(N), epochs=2, batch_size=batch_size)
    cuts = {1: (0, 64, 128, 150), 7: (0, 70, 140, 150)}[batch_size]
    assert pieces == [(1, *cut) for cut in itertools.pairwise(cuts)] * 2


def test_many_epochs_are_run_in_one_piece_when_it_holds_more_rows(monkeypatch):
    use(monkeypatch, "all in one piece")
    with counted_pieces(monkeypatch) as pieces:
        make("numpy")[0].fit(*regression(N), epochs=25)
    assert pieces == [(25, 0, N)]


def test_pieces_grow_from_a_grain_on(monkeypatch):
    use(monkeypatch, "growing pieces")
    with counted_pieces(monkeypatch) as pieces:
        make("numpy")[0].fit(*regression(N), epochs=100, batch_size=1)
    assert pieces == [(1, 0, 64), (1, 64, N), (99, 0, N)]


def test_the_first_piece_is_what_the_engine_says_it_can_do_in_time(monkeypatch):
    monkeypatch.setattr(vectors, "row_seconds", lambda architecture, plan: 1e-4)
    monkeypatch.setattr(cuts, "PIECE_SECONDS", 1e-4 * 3.5 * N)
    with counted_pieces(monkeypatch) as pieces:
        make("numpy")[0].fit(*regression(N), epochs=100)
    assert pieces[0] == (3, 0, N)


@pytest.mark.parametrize("row_seconds", [1e-7, 1e-5, 1e-3])
def test_pieces_take_as_long_as_they_should_whatever_the_engine_guessed(monkeypatch, row_seconds):
    """By a clock of its own, on which a row takes so long; nothing is computed."""
    monkeypatch.setattr(vectors, "row_seconds", lambda architecture, plan: 1e-5)
    seconds = [0.0]

    def run_piece(self, piece):
        seconds.append(row_seconds * len(piece.rates) * (piece.stop - piece.start))
        return run_module._NOTHING_SEEN

    monkeypatch.setattr(Run, "_run", run_piece)
    monkeypatch.setattr(run_module, "time", SimpleNamespace(perf_counter=lambda: sum(seconds)))
    epochs = round(150 * cuts.PIECE_SECONDS / (50 * row_seconds))
    make("numpy")[0].fit(*regression(50), epochs=epochs, shuffle=False)
    middle = seconds[4:-1]
    assert len(middle) > 10
    assert min(middle) > 0.9 * cuts.PIECE_SECONDS
    assert max(middle) < 1.1 * cuts.PIECE_SECONDS


def test_a_batch_is_never_cut(monkeypatch):
    use(monkeypatch, "64 rows a piece")
    with counted_pieces(monkeypatch) as pieces:
        make("numpy")[0].fit(*regression(N), epochs=2, batch_size=100)
    assert pieces == [(1, 0, 100), (1, 100, 150)] * 2


def test_a_piece_holds_no_more_row_numbers_than_it_may(monkeypatch):
    use(monkeypatch, "three epochs a piece")
    with counted_pieces(monkeypatch) as pieces:
        make("numpy")[0].fit(*regression(N), epochs=7)
    assert [epochs for epochs, _, _ in pieces] == [3, 3, 1]


@pytest.mark.parametrize("generator", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_every_numpy_generator_can_be_taken_back(engine, generator):
    """An early stop goes back to the random state it began the piece with."""

    def start():
        rng = np.random.Generator(getattr(np.random, generator)(4))
        return fastnn.Network([2, 4, 1], seed=rng, engine=engine), rng

    net, rng = start()
    losses = net.fit(*regression(20), epochs=30, batch_size=3, learning_rate=0.5).loss
    stop = oracles.stop_epoch(losses, 0.0, 1, 1)
    assert 2 < stop < 30

    twin, twin_rng = start()
    twin.fit(*regression(20), epochs=stop, batch_size=3, learning_rate=0.5)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, "all in one piece")
        net, rng = start()
        rule = fastnn.EarlyStopping(patience=1)
        net.fit(*regression(20), epochs=30, batch_size=3, learning_rate=0.5, early_stopping=rule)
    assert state(net, rng) == state(twin, twin_rng)
