"""The training loop: what an epoch is, in what pieces it runs, and how it ends."""

from __future__ import annotations

import functools
import itertools
import math
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import oracles
import pytest
from helpers import DTYPES, ENGINES, SLICINGS, data_for, random_state

import fastnn
from fastnn import interrupts, training
from fastnn.interrupts import Interrupts
from fastnn.reference import vectors


def regression(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, 2) and noisy targets (n,)."""
    rng = np.random.default_rng([7, n])
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.3 * rng.normal(size=n)


def make(engine: str, sizes=(2, 4, 1), **options) -> tuple[fastnn.Network, np.random.Generator]:
    """A network, and the generator that it draws from."""
    rng = np.random.default_rng(options.pop("seed", 11))
    options = {"engine": engine, "seed": rng} | options
    return fastnn.Network(list(sizes), **options), rng


def state(net: fastnn.Network, rng: np.random.Generator) -> tuple[bytes, str]:
    return net.parameters.tobytes(), random_state(rng)


def use(monkeypatch: pytest.MonkeyPatch, slicing: str) -> None:
    for name, value in SLICINGS[slicing].items():
        assert hasattr(training, name)
        monkeypatch.setattr(training, name, value)


@contextmanager
def counted_pieces(monkeypatch: pytest.MonkeyPatch):
    """Yield a list that receives (epochs, start, stop) of every piece that is run."""
    pieces = []
    run = training._Run._run

    def noting(self, piece):
        pieces.append((len(piece.rates), piece.start, piece.stop))
        return run(self, piece)

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "_run", noting)
        yield pieces


# One seed, the same bits.

BATCHES = [1, 7, None]
N = 150  # with 64 rows a piece, an epoch is run in parts


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_one_seed_gives_the_same_bits_twice(engine, batch_size, shuffle):
    def trained():
        net, rng = make(engine)
        history = net.fit(*regression(N), epochs=4, batch_size=batch_size, shuffle=shuffle)
        return *state(net, rng), history.loss

    assert trained() == trained()


@pytest.mark.parametrize("dtype", DTYPES)
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


@pytest.mark.parametrize(("dtype", "shuffle"), [("float64", True), ("float64", False),
                                                ("float32", True)])  # fmt: skip
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
    monkeypatch.setattr(training, "PIECE_SECONDS", 1e-4 * 3.5 * N)
    with counted_pieces(monkeypatch) as pieces:
        make("numpy")[0].fit(*regression(N), epochs=100)
    assert pieces[0] == (3, 0, N)


@pytest.mark.usefixtures("default_ctrl_c")
@pytest.mark.parametrize("batch_size", [1, 32, None])
def test_small_work_needs_no_thread_for_ctrl_c(engine, batch_size, monkeypatch):
    def refuse(self, work, *arguments):
        raise AssertionError(f"{work} got a thread")

    monkeypatch.setattr(Interrupts, "wait_for", refuse)
    X, y = regression(1000)
    make(engine)[0].fit(X, y, batch_size=batch_size, validation_data=(X, y))


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


# Updates and orders.


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [1, 4, 10, None])
def test_an_epoch_is_one_step_down_the_gradient_per_batch(engine, batch_size, reduction):
    X, y = regression(10)
    net, _ = make(engine, reduction=reduction)
    twin, _ = make(engine, reduction=reduction)
    losses = net.fit(X, y, epochs=3, batch_size=batch_size, learning_rate=0.05, shuffle=False).loss
    size = batch_size or 10
    for epoch in range(3):
        total, count = 0.0, 0
        for first in range(0, 10, size):
            rows = slice(first, min(first + size, 10))
            loss, gradient = twin.loss_and_gradient(X[rows], y[rows])
            n_rows = rows.stop - rows.start
            weight = n_rows if reduction == "mean" else 1
            total, count = total + weight * loss, count + weight
            twin.parameters[:] -= 0.05 * gradient
        assert losses[epoch] == pytest.approx(total / count, rel=1e-12)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=1e-12, atol=1e-15)


def hand_written_losses(sizes, X, y, vector, batch_size, rate, epochs, reduction):
    """Losses of a linear neuron under half squared error, by hand."""
    w, b = np.array(vector[:-1]), vector[-1]
    losses = []
    for _ in range(epochs):
        batch_losses, weights = [], []
        for first in range(0, len(X), batch_size):
            xs, ys = X[first : first + batch_size], y[first : first + batch_size]
            error = xs @ w + b - ys
            sums = 0.5 * (error**2).sum(), xs.T @ error, error.sum()
            scale = 1 / len(xs) if reduction == "mean" else 1.0
            batch_losses.append(sums[0] * scale)
            weights.append(len(xs) if reduction == "mean" else 1)
            w, b = w - rate * scale * sums[1], b - rate * scale * sums[2]
        losses.append(np.average(batch_losses, weights=weights))
    return losses


@pytest.mark.parametrize("slicing", ["as it is", "64 rows a piece"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 150])
def test_history_loss_is_the_mean_of_the_batches_losses_before_their_updates(
    engine, monkeypatch, batch_size, reduction, slicing
):
    use(monkeypatch, slicing)
    X, y = regression(N)
    net, _ = make(engine, (2, 1), reduction=reduction)
    start = net.parameters.tolist()
    history = net.fit(X, y, epochs=3, batch_size=batch_size, learning_rate=0.003, shuffle=False)
    expected = hand_written_losses((2, 1), X, y, start, batch_size, 0.003, 3, reduction)
    assert history.loss == pytest.approx(expected, rel=1e-11)
    assert history.loss[0] != pytest.approx(history.loss[1], rel=1e-3)


def test_the_loss_of_a_full_batch_is_the_loss_before_its_update(engine):
    X, y = regression(12)
    net, _ = make(engine)
    before = net.evaluate(X, y)["loss"]
    assert net.fit(X, y, batch_size=None).loss == [pytest.approx(before, rel=1e-13)]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_val_loss_is_the_loss_on_the_validation_data_after_each_epoch(engine, reduction):
    X, Y = data_for("half_squared_error", 12, 2, 3)
    X_val, Y_val = data_for("half_squared_error", 5, 2, 3, seed=1)
    options = {"reduction": reduction}
    net, _ = make(engine, (2, 4, 3), **options)
    history = net.fit(X, Y, epochs=4, batch_size=5, validation_data=(X_val, Y_val))
    twin, _ = make(engine, (2, 4, 3), **options)
    after = []
    for _ in range(4):
        twin.fit(X, Y, batch_size=5)
        after.append(twin.evaluate(X_val, Y_val)["loss"])
    assert history.val_loss == pytest.approx(after, rel=1e-13)


def test_looking_at_validation_data_changes_nothing_of_the_training(engine):
    X, y = regression(12)
    alone, alone_rng = make(engine)
    plain = alone.fit(X, y, epochs=4, batch_size=5)
    net, rng = make(engine)
    history = net.fit(X, y, epochs=4, batch_size=5, validation_data=regression(6))
    assert state(net, rng) == state(alone, alone_rng)
    assert history.loss == plain.loss
    assert plain.val_loss == []


def test_shuffling_takes_every_row_once_and_in_a_new_order_each_epoch(engine):
    """With inputs of 0 a bias alone is trained; where it ends tells the order of the targets."""
    n = 6
    net, rng = make(engine, (1, 1), initializer="zeros")
    orders = []
    for _ in range(4):
        twin = np.random.default_rng()
        twin.bit_generator.state = rng.bit_generator.state
        order = twin.permuted(np.arange(n))
        b = float(net.parameters[1])
        for row in order:
            b -= 0.5 * (b - row)
        net.fit(np.zeros(n), np.arange(n), batch_size=1, learning_rate=0.5)
        assert net.parameters[1] == pytest.approx(b, rel=1e-14)
        orders.append(tuple(order))
    assert len(set(orders)) > 1


def test_without_shuffling_rows_are_taken_as_they_lie_and_nothing_is_drawn(engine):
    net, rng = make(engine, (1, 1), initializer="zeros")
    before = random_state(rng)
    net.fit(np.zeros(5), np.arange(5), batch_size=1, learning_rate=0.5, shuffle=False)
    b = 0.0
    for target in range(5):
        b -= 0.5 * (b - target)
    assert net.parameters[1] == pytest.approx(b, rel=1e-14)
    assert random_state(rng) == before


def test_a_full_batch_draws_nothing(engine):
    net, rng = make(engine)
    before = random_state(rng)
    net.fit(*regression(10), epochs=3, batch_size=None)
    assert random_state(rng) == before


def test_fit_goes_on_from_the_present_parameters(engine):
    net, _ = make(engine, (1, 1))
    net.set_parameters([3.0, -1.0])
    assert net.fit([1.0], [2.0], learning_rate=0.5).loss == [0.0]
    assert net.parameters.tolist() == [3.0, -1.0]


def test_the_default_rate_is_that_of_sgd(engine):
    def trained(**options):
        net, _ = make(engine)
        net.fit(*regression(10), **options)
        return net.parameters.tobytes()

    assert trained() == trained(learning_rate=0.01) == trained(optimizer=fastnn.SGD())
    assert trained(learning_rate=0.2) == trained(optimizer=fastnn.SGD(0.2)) != trained()


def test_a_whole_training_that_went_well(engine):
    started = time.perf_counter()
    history = make(engine)[0].fit(*regression(10), epochs=5)
    assert history.epochs == len(history.loss) == 5
    assert history.stop_reason == "completed"
    assert history.best_epoch is None
    assert 0 < history.seconds <= time.perf_counter() - started
    assert all(type(loss) is float for loss in history.loss)


# Early stopping.

RULES = [
    {"patience": 0},
    {"patience": 2},
    {"patience": 5},
    {"patience": 1, "min_delta": 0.002},
    {"patience": 0, "start_from_epoch": 9},
    {"patience": 3, "start_from_epoch": 6, "min_delta": 0.001},
]
EPOCHS = 40


def fit_noisily(net, epochs=EPOCHS, n=20, **options):
    """A fit whose losses go up and down."""
    return net.fit(
        *regression(n), epochs=epochs, batch_size=3, learning_rate=0.6,
        validation_data=regression(n + 1), **options,
    )  # fmt: skip


@functools.cache
def full_course(engine, n=20):
    """What `fit_noisily` does when nothing stops it."""
    return fit_noisily(make(engine)[0], n=n)


@pytest.mark.parametrize("slicing", ["all in one piece", "growing pieces"])
@pytest.mark.parametrize("monitor", ["loss", "val_loss"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_training_stops_by_the_rule_in_the_state_of_that_epoch(
    engine, monkeypatch, rule, monitor, slicing
):
    full = full_course(engine)
    use(monkeypatch, slicing)
    values = getattr(full, monitor)
    stop = oracles.stop_epoch(values, **{"min_delta": 0, "start_from_epoch": 1} | rule)
    assert stop is not None
    assert 1 < stop < EPOCHS, "the data must make the rule fire"

    net, rng = make(engine)
    history = fit_noisily(net, early_stopping=fastnn.EarlyStopping(monitor, **rule))
    twin, twin_rng = make(engine)
    fit_noisily(twin, epochs=stop)
    assert history.epochs == stop
    assert history.stop_reason == "early stopping"
    assert history.loss == full.loss[:stop]
    assert history.val_loss == full.val_loss[:stop]
    assert history.best_epoch == oracles.best_epoch(values[:stop])
    assert state(net, rng) == state(twin, twin_rng)

    for each in (net, twin):
        fit_noisily(each, epochs=2)
    assert state(net, rng) == state(twin, twin_rng), "training on must give the same bits"


@pytest.mark.parametrize("slicing", ["all in one piece", "64 rows a piece", "growing pieces"])
@pytest.mark.parametrize("monitor", ["loss", "val_loss"])
@pytest.mark.parametrize("epochs", [EPOCHS, 3])
def test_restore_best_goes_back_to_the_parameters_of_the_best_epoch(
    engine, monkeypatch, monitor, slicing, epochs
):
    """Whether the rule fires or not (3 epochs); n = 150: epochs run in parts too."""
    use(monkeypatch, slicing)
    n = N if slicing == "64 rows a piece" else 20
    net, rng = make(engine)
    rule = fastnn.EarlyStopping(monitor, patience=4, restore_best=True)
    history = fit_noisily(net, epochs=epochs, n=n, early_stopping=rule)
    assert (history.stop_reason == "early stopping") == (epochs == EPOCHS)
    best = oracles.best_epoch(getattr(history, monitor))
    assert history.best_epoch == best

    twin, twin_rng = make(engine)
    fit_noisily(twin, epochs=best, n=n)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    if best < history.epochs:
        fit_noisily(twin, epochs=history.epochs - best, n=n)
        assert net.parameters.tobytes() != twin.parameters.tobytes()
    assert random_state(rng) == random_state(twin_rng), "the random state is that of the last epoch"


@pytest.mark.parametrize("patience", [0, 2])
def test_early_stopping_with_epochs_run_in_parts(engine, monkeypatch, patience):
    full = full_course(engine, N)
    stop = oracles.stop_epoch(full.loss, 0.0, patience, 1)
    assert 1 < stop < EPOCHS
    use(monkeypatch, "64 rows a piece")
    net, rng = make(engine)
    history = fit_noisily(net, n=N, early_stopping=fastnn.EarlyStopping(patience=patience))
    twin, twin_rng = make(engine)
    fit_noisily(twin, n=N, epochs=stop)
    assert history.loss == full.loss[:stop]
    assert state(net, rng) == state(twin, twin_rng)


def test_a_rule_that_never_fires_changes_nothing(engine):
    plain, plain_rng = make(engine)
    expected = fit_noisily(plain, epochs=10)
    net, rng = make(engine)
    history = fit_noisily(net, epochs=10, early_stopping=fastnn.EarlyStopping(patience=1000))
    assert history.stop_reason == "completed"
    assert history.loss == expected.loss
    assert state(net, rng) == state(plain, plain_rng)


def test_a_rule_starts_afresh_in_each_fit(engine):
    """The best of an earlier fit does not count, though the same settings are used again."""
    rule = fastnn.EarlyStopping(patience=0)
    net, _ = make(engine, (1, 1))
    net.set_parameters([0.0, 0.0])
    assert net.fit([1.0], [0.0], epochs=5, early_stopping=rule).epochs == 2  # 0 is not below 0
    assert net.fit([1.0], [1.0], epochs=5, early_stopping=rule).epochs == 5  # falls all the time


# Targets, time, validation_split.


@pytest.mark.parametrize("slicing", ["all in one piece", "64 rows a piece"])
def test_training_stops_with_the_epoch_that_reaches_the_target(engine, monkeypatch, slicing):
    full = full_course(engine)
    target = sorted(full.val_loss)[3]
    use(monkeypatch, slicing)
    net, rng = make(engine)
    rule = fastnn.EarlyStopping("val_loss", patience=None, target=target)
    history = fit_noisily(net, early_stopping=rule)
    epoch = next(e for e, loss in enumerate(full.val_loss, start=1) if loss <= target)
    assert (history.epochs, history.stop_reason) == (epoch, "target reached")
    twin, twin_rng = make(engine)
    fit_noisily(twin, epochs=epoch)
    assert state(net, rng) == state(twin, twin_rng)


def test_training_stops_when_the_time_is_up(engine):
    net, rng = make(engine)
    rule = fastnn.EarlyStopping(patience=None, max_seconds=0.2)
    history = net.fit(*regression(20), epochs=10**9, early_stopping=rule)
    assert history.stop_reason == "time limit"
    assert history.seconds >= 0.2
    twin, twin_rng = make(engine)
    twin.fit(*regression(20), epochs=history.epochs)
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.parametrize(("split", "remaining"), [(0.25, 15), (0.33, 13), (0.8, 4), (1e-3, 19)])
def test_validation_split_holds_out_the_last_rows(engine, split, remaining):
    X, y = regression(20)
    net, rng = make(engine)
    history = net.fit(X, y, epochs=3, validation_split=split)
    twin, twin_rng = make(engine)
    again = twin.fit(
        X[:remaining], y[:remaining], epochs=3, validation_data=(X[remaining:], y[remaining:])
    )
    assert history.loss == again.loss
    assert history.val_loss == again.val_loss
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_split": 0.0}, r"validation_split must be between 0 and 1, got 0\.0"),
        ({"validation_split": 1}, r"validation_split must be between 0 and 1, got 1"),
        ({"validation_split": 0.99}, r"of 10 samples leaves none for training"),
        ({"validation_split": 0.5, "validation_data": ([[0, 0]], [0])}, r"give one of the two"),
    ],
)
def test_bad_validation_splits(options, message):
    net, rng = make("numpy")
    before = state(net, rng)
    with pytest.raises(ValueError, match=message):
        net.fit(*regression(10), **options)
    assert state(net, rng) == before


def test_the_history_tells_how_training_goes_while_it_runs(engine):
    net, _ = make(engine)
    assert net.history is None
    history = net.fit(*regression(10), epochs=3, learning_rate=0.5)
    assert net.history is history
    assert history.learning_rate == [0.5] * 3
    assert history.metrics == {}


# Divergence.

RATE_TOO_HIGH = 3.0


def course_of_a_diverging_neuron(rate=RATE_TOO_HIGH):
    X, y = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, -2.0, 3.0])
    course = oracles.descend(np.array([0.5]), 0.0, X, y, rate, 400)
    good = [math.isfinite(loss) and np.isfinite(after).all() for loss, after in course]
    return X, y, course, good.index(False) + 1  # the epoch, from 1, in which it goes wrong


def diverge(engine, slicing="as it is", epochs=400, **options):
    X, y, _, _ = course_of_a_diverging_neuron()
    net, rng = make(engine, (1, 1))
    net.set_parameters([0.5, 0.0])
    with pytest.MonkeyPatch.context() as patch:
        use(patch, slicing)
        try:
            history = net.fit(
                X, y, epochs=epochs, learning_rate=RATE_TOO_HIGH, batch_size=None, **options
            )
        except fastnn.TrainingDivergedError as error:
            return net, rng, error
    return net, rng, history


@pytest.mark.parametrize("slicing", SLICINGS)
def test_divergence_names_the_epoch_and_keeps_the_last_finite_parameters(engine, slicing):
    _, _, course, epoch = course_of_a_diverging_neuron()
    assert 10 < epoch < 400
    net, _, error = diverge(engine, slicing)
    assert isinstance(error, fastnn.TrainingDivergedError)
    assert error.epoch == epoch
    assert f"epoch {epoch}" in str(error)
    assert "learning_rate" in str(error)
    assert f"{RATE_TOO_HIGH:g}" in str(error)
    np.testing.assert_allclose(net.parameters, course[epoch - 2][1], rtol=1e-9)


def test_a_network_that_diverged_can_be_used_and_trained_on(engine):
    net, _, _ = diverge(engine)
    assert np.isfinite(net.parameters).all()
    net.set_parameters([0.0, 0.0])
    assert net.fit([1.0], [1.0], epochs=50, learning_rate=0.5).loss[-1] < 1e-10


def test_a_divergence_error_is_an_arithmetic_error_and_can_be_pickled():
    error = fastnn.TrainingDivergedError(7, 0.5)
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(error, ArithmeticError)
    assert (type(twin), str(twin), twin.epoch) == (type(error), str(error), 7)


@pytest.mark.parametrize(
    ("engine", "batch_size", "dtype", "rate"),
    [
        pytest.param(
            engine, batch_size, dtype, rate,
            marks=[pytest.mark.slow] if (engine, dtype) == ("numba", "float32") else [],
        )
        for engine in ENGINES
        for batch_size, dtype, rate in [
            (1, "float64", 2.0), (7, "float64", 8.0), (None, "float64", 1e9),
            (1, "float32", 1.4), (7, "float32", 3.0), (None, "float32", 1e4),
        ]
    ],
)  # fmt: skip
def test_divergence_leaves_the_same_bits_however_training_is_cut(engine, batch_size, dtype, rate):
    """n = 150: with 64 rows a piece the loss overflows inside an epoch."""

    def trained(slicing):
        net, rng = make(engine, (2, 1), dtype=dtype)
        with pytest.MonkeyPatch.context() as patch:
            use(patch, slicing)
            with pytest.raises(fastnn.TrainingDivergedError) as error:
                net.fit(*regression(N), epochs=25, batch_size=batch_size, learning_rate=rate)
        assert np.isfinite(net.parameters).all()
        return error.value.epoch, *state(net, rng)

    expected = trained("one epoch a piece")
    assert 1 < expected[0] < 25
    for slicing in ("as it is", "64 rows a piece", "all in one piece", "three epochs a piece"):
        assert trained(slicing) == expected, slicing


def test_the_parameters_kept_are_those_of_the_last_whole_epoch(engine, monkeypatch):
    use(monkeypatch, "64 rows a piece")
    options = {"batch_size": 1, "learning_rate": 2.0}
    net, rng = make(engine, (2, 1))
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit(*regression(N), epochs=25, **options)
    twin, twin_rng = make(engine, (2, 1))
    twin.fit(*regression(N), epochs=error.value.epoch - 1, **options)
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.parametrize("slicing", SLICINGS)
def test_training_that_stops_early_has_not_diverged(engine, slicing):
    """The rule fires in the second epoch; that later epochs would overflow is nobody's business."""
    net, rng, history = diverge(engine, slicing, early_stopping=fastnn.EarlyStopping())
    assert isinstance(history, fastnn.History), history
    assert (history.epochs, history.stop_reason) == (2, "early stopping")
    twin, twin_rng, _ = diverge(engine, epochs=2)
    assert state(net, rng) == state(twin, twin_rng)


def test_validation_data_that_overflow_are_a_divergence_too(engine):
    net, _ = make(engine, (1, 1))
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit([1.0], [1.0], epochs=3, validation_data=([1e200], [0.0]))
    assert error.value.epoch == 1


def test_parameters_that_overflow_behind_a_finite_loss_are_a_divergence_too(engine, monkeypatch):
    """The first update makes the hidden unit's input weight -inf; outputs and loss are then 0."""
    use(monkeypatch, "all in one piece")
    start = [0.001, 0.0, 1.0, 0.0]
    net, _ = make(engine, (1, 1, 1), output_activation="sigmoid")
    net.set_parameters(start)
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit([1000.0], [0.0], epochs=1000, learning_rate=1e308, batch_size=1)
    assert error.value.epoch == 1
    assert net.parameters.tolist() == start


def test_the_best_epoch_is_not_one_that_diverged(engine):
    net, _ = make(engine, (1, 1, 1), output_activation="sigmoid")
    net.set_parameters([0.001, 0.0, 1.0, 0.0])
    rule = fastnn.EarlyStopping(patience=5)
    with pytest.raises(fastnn.TrainingDivergedError):
        net.fit([1000.0], [0.0], epochs=10, learning_rate=1e308, batch_size=1, early_stopping=rule)
    assert net.history.epochs == 0
    assert net.history.best_epoch is None


def test_going_back_before_a_divergence_takes_few_runs(engine, monkeypatch):
    """The same overflow, though not in the piece's first epochs: one by one would take minutes."""
    use(monkeypatch, "all in one piece")
    runs = []
    go_back = training._Run._go_back
    monkeypatch.setattr(
        training._Run, "_go_back", lambda *args: (runs.append(args[-1]), go_back(*args))
    )
    net, _ = make(engine, (1, 1, 1), output_activation="sigmoid")
    net.set_parameters([0.001, 0.0, 1.0, 0.0])
    with pytest.raises(fastnn.TrainingDivergedError):
        net.fit([1000.0], [0.0], epochs=1000, learning_rate=1e308, batch_size=1)
    assert len(runs) <= 20


def test_a_rate_too_large_for_float32_is_a_divergence(engine):
    net, _ = make(engine, (1, 1), dtype="float32")
    before = net.parameters.tobytes()
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit([1.0], [1.0], epochs=3, learning_rate=1e300)
    assert error.value.epoch == 1
    assert net.parameters.tobytes() == before


# Ctrl-C.


@contextmanager
def ctrl_c_after(*delays: float):
    """Press Ctrl-C after each of the *delays*; a list with the times of pressing."""
    pressed = []

    def press():
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timers = [threading.Timer(delay, press) for delay in delays]
    for timer in timers:
        timer.start()
    try:
        yield pressed
    except KeyboardInterrupt:
        pytest.fail("fit did not listen to Ctrl-C")
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()


@pytest.mark.parametrize("progress", [False, True])
@pytest.mark.parametrize(("n", "batch_size"), [(20, 1), (3000, 7), (20, None)])
@pytest.mark.usefixtures("default_ctrl_c")
def test_ctrl_c_ends_training_at_once_and_keeps_what_was_reached(
    engine, n, batch_size, progress, capsys
):
    X, y = regression(n)
    net, _ = make(engine)
    net.fit(X, y, batch_size=batch_size, progress=progress)  # imports and compiles
    start = net.parameters.tobytes()
    with ctrl_c_after(0.5, 8.0) as pressed:  # the second is for a fit that does not listen
        history = net.fit(X, y, epochs=10**9, batch_size=batch_size, progress=progress)
        answered = time.perf_counter()
    assert answered - pressed[0] < 3.0  # 0.1 on a quiet machine
    assert history.stop_reason == "interrupted"
    assert history.epochs == len(history.loss)
    assert np.isfinite(history.loss).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert net.parameters.tobytes() != start
    assert np.isfinite(net.parameters).all()
    assert np.isfinite(net.predict(X)).all()
    assert net.fit(X, y).stop_reason == "completed"


@pytest.mark.usefixtures("default_ctrl_c")
def test_pieces_of_a_long_training_take_about_as_long_as_they_should(engine, monkeypatch):
    monkeypatch.setattr(training, "PIECE_SECONDS", 0.02)
    seconds = []
    run = training._Run._run

    def timed(self, piece):
        started = time.perf_counter()
        result = run(self, piece)
        seconds.append(time.perf_counter() - started)
        return result

    monkeypatch.setattr(training._Run, "_run", timed)
    with ctrl_c_after(0.5, 4.0):
        make(engine)[0].fit(*regression(50), epochs=10**9, batch_size=1)
    assert 0.005 < np.median(seconds[len(seconds) // 2 :]) < 0.08


@pytest.mark.usefixtures("default_ctrl_c")
def test_an_interrupted_training_is_that_many_whole_epochs(engine):
    """Small data: whole epochs fit a piece, so the parameters are those of the last epoch."""
    X, y = regression(10)
    net, rng = make(engine)
    with ctrl_c_after(0.5, 4.0):
        history = net.fit(X, y, epochs=10**9, batch_size=3)
    twin, twin_rng = make(engine)
    again = twin.fit(X, y, epochs=history.epochs, batch_size=3)
    assert again.loss == history.loss
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.usefixtures("default_ctrl_c")
def test_an_interrupted_training_restores_the_best_if_asked_to(engine):
    net, _ = make(engine)
    rule = fastnn.EarlyStopping(patience=10**9, restore_best=True)
    with ctrl_c_after(0.5, 4.0):
        history = fit_noisily(net, epochs=10**9, early_stopping=rule)
    assert history.stop_reason == "interrupted"
    twin, _ = make(engine)
    fit_noisily(twin, epochs=history.best_epoch)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


#: Epochs of 20 samples in one full batch that take an engine some seconds.
SECONDS_OF_EPOCHS = {"numpy": 100_000, "numba": 10_000_000}


def begin_seconds_of_work(monkeypatch, engine):
    """A network, its generator, and a function that fits it with one piece of some seconds."""
    if engine == "python":  # a single update
        net, rng = make(engine)
        data = regression(200_000)
        return net, rng, lambda: net.fit(*data, epochs=3, batch_size=None)
    use(monkeypatch, "all in one piece")
    monkeypatch.setattr(training, "_MOST_ORDERED_ROWS", 1 << 40)
    monkeypatch.setattr(training, "LONG_SECONDS", 0.0)
    net, rng = make(engine)
    net.fit(*regression(20), batch_size=None)
    epochs = SECONDS_OF_EPOCHS[engine]
    return net, rng, lambda: net.fit(*regression(20), epochs=epochs, batch_size=None)


@pytest.mark.usefixtures("default_ctrl_c")
def test_ctrl_c_gives_up_work_that_takes_seconds(engine, monkeypatch):
    net, rng, fit = begin_seconds_of_work(monkeypatch, engine)
    before = state(net, rng)
    with ctrl_c_after(0.3) as pressed:
        history = fit()
        answered = time.perf_counter()
    assert answered - pressed[0] < 2.0  # 0.1 on a quiet machine
    assert history.stop_reason == "interrupted"
    assert history is net.history
    assert history.epochs == 0
    assert state(net, rng) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.undo()
    assert net.fit(*regression(20), epochs=2).stop_reason == "completed"


@pytest.mark.usefixtures("default_ctrl_c")
def test_a_second_ctrl_c_at_once_raises_keyboard_interrupt(engine, monkeypatch):
    monkeypatch.setattr(interrupts, "PATIENCE_SECONDS", 60.0)
    net, rng, fit = begin_seconds_of_work(monkeypatch, engine)
    before = state(net, rng)
    # Far apart: two that come during one long call of C count as one.
    presses = [threading.Timer(d, os.kill, (os.getpid(), signal.SIGINT)) for d in (0.3, 1.3)]
    for press in presses:
        press.start()
    with pytest.raises(KeyboardInterrupt):
        fit()
    assert net.history.stop_reason == "interrupted"
    assert state(net, rng) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_long_updates_and_orders_give_the_same_bits_in_another_thread(engine, default_ctrl_c):
    """What may be given up is done on copies; nothing shows of that if it is not given up."""

    def trained():
        net, rng = make(engine)
        history = net.fit(
            *regression(N), epochs=3, batch_size=7, validation_data=regression(9),
            optimizer="adam",
        )  # fmt: skip
        return *state(net, rng), history.loss, history.val_loss

    expected = trained()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LONG_SECONDS", 0.0)
        patch.setattr(training, "_MANY_ROWS", 0)
        assert trained() == expected


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_in_a_piece_takes_the_piece_back(monkeypatch, error):
    """The piece has changed parameters and random state; the pieces before it count."""
    run = training._Run._run
    pieces = []

    def failing(self, piece):
        pieces.append(piece)
        losses = run(self, piece)
        if len(pieces) == 3:
            raise error
        return losses

    use(monkeypatch, "one epoch a piece")
    net, rng = make("numpy")
    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "_run", failing)
        with pytest.raises(error):
            net.fit(*regression(20), epochs=5, batch_size=3)
    twin, twin_rng = make("numpy")
    twin.fit(*regression(20), epochs=2, batch_size=3)
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.usefixtures("default_ctrl_c")
def test_ctrl_c_is_as_before_after_every_end_of_a_fit(engine):
    net, _ = make(engine)
    net.fit(*regression(10))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    diverge(engine)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="epochs"):
        net.fit(*regression(10), epochs=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_ctrl_c")
def test_somebody_elses_ctrl_c_handler_is_left_in_charge(engine):
    heard = []
    theirs = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        mine = signal.getsignal(signal.SIGINT)
        net, _ = make(engine)
        with ctrl_c_after(0.1):
            until = time.perf_counter() + 5
            while not heard and time.perf_counter() < until:
                history = net.fit(*regression(10), epochs=50)
                assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, theirs)
    assert heard == [signal.SIGINT]
    assert history.stop_reason == "completed"


# Threads.


@pytest.mark.usefixtures("default_ctrl_c")
def test_fit_works_outside_the_main_thread(engine):
    net, rng = make(engine)
    expected = net.fit(*regression(20), epochs=5)
    twin, twin_rng = make(engine)
    with ThreadPoolExecutor(1) as pool:
        history = pool.submit(twin.fit, *regression(20), epochs=5).result()
    assert history.loss == expected.loss
    assert state(twin, twin_rng) == state(net, rng)


def test_two_threads_get_what_each_would_get_alone(engine):
    epochs = {"python": 15, "numpy": 60, "numba": 5000}[engine]

    def train(seed, barrier=None):
        net, rng = make(engine, [(2, 4, 1), (2, 9, 5, 1)][seed % 2], seed=seed)
        if barrier is not None:
            barrier.wait(30)
        history = net.fit(*regression(40 + seed), epochs=epochs, batch_size=3, learning_rate=0.05)
        return *state(net, rng), history.loss

    alone = [train(seed) for seed in range(4)]
    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(train, range(4), [barrier] * 4))
    assert together == alone


def test_kernels_let_other_threads_run():
    """While a kernel runs for half a second, another thread counts on in Python."""
    net, _ = make("numba", (2, 64, 1))
    X, y = regression(1000)
    net.fit(X, y, batch_size=1)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, "all in one piece")
        gaps, done = [], threading.Event()

        def watch():
            last = time.perf_counter()
            while not done.is_set():
                time.sleep(0.002)
                now = time.perf_counter()
                gaps.append(now - last)
                last = now

        watcher = threading.Thread(target=watch)
        watcher.start()
        history = net.fit(X, y, epochs=2000, batch_size=1, shuffle=False)
        done.set()
        watcher.join()
    assert history.seconds > 0.1, "long enough to tell"
    assert max(gaps) < history.seconds / 2
    assert len(gaps) > 10


# Progress.


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
