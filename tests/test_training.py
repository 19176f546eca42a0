"""The training loop: what an epoch is.

In what pieces it runs is in test_pieces.py, how training stops early in test_stopping.py, how it
fails in test_divergence.py, and what Ctrl-C does in test_interrupts.py.
"""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import ENGINES, PYTHON_SLOW, data_for, random_state, slow_but
from runs import N, make, regression, state, use

import fastnn
from fastnn.training.run import Run

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
    assert net.fit(X, y, epochs=1, batch_size=None).loss == [pytest.approx(before, rel=1e-13)]


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
        twin.fit(X, Y, epochs=1, batch_size=5)
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
        net.fit(np.zeros(n), np.arange(n), epochs=1, batch_size=1, learning_rate=0.5)
        assert net.parameters[1] == pytest.approx(b, rel=1e-14)
        orders.append(tuple(order))
    assert len(set(orders)) > 1


def test_without_shuffling_rows_are_taken_as_they_lie_and_nothing_is_drawn(engine):
    net, rng = make(engine, (1, 1), initializer="zeros")
    before = random_state(rng)
    net.fit(np.zeros(5), np.arange(5), epochs=1, batch_size=1, learning_rate=0.5, shuffle=False)
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
    assert net.fit([1.0], [2.0], epochs=1, learning_rate=0.5).loss == [0.0]
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


# validation_split.


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


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_in_a_piece_takes_the_piece_back(monkeypatch, error):
    """The piece has changed parameters and random state; the pieces before it count."""
    run_piece = Run._run
    pieces = []

    def failing(self, piece):
        pieces.append(piece)
        losses = run_piece(self, piece)
        if len(pieces) == 3:
            raise error
        return losses

    use(monkeypatch, "one epoch a piece")
    net, rng = make("numpy")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_run", failing)
        with pytest.raises(error):
            net.fit(*regression(20), epochs=5, batch_size=3)
    twin, twin_rng = make("numpy")
    twin.fit(*regression(20), epochs=2, batch_size=3)
    assert state(net, rng) == state(twin, twin_rng)


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


@pytest.mark.parametrize("engine", PYTHON_SLOW)
def test_two_threads_get_what_each_would_get_alone(engine):
    epochs = {"python": 10, "numpy": 30, "numba": 2000}[engine]

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


def test_kernels_let_other_threads_run(monkeypatch):
    """While a kernel runs for some tenths of a second, another thread counts on in Python."""
    net, _ = make("numba", (2, 64, 1))
    X, y = regression(1000)
    net.fit(X, y, epochs=1, batch_size=100)
    use(monkeypatch, "all in one piece")
    ticks, counted, done = [], [], threading.Event()
    run_piece = Run._run

    def counting(self, piece):
        before = len(ticks)
        result = run_piece(self, piece)
        counted.append(len(ticks) - before)
        return result

    def tick():
        while not done.wait(0.002):
            ticks.append(None)

    monkeypatch.setattr(Run, "_run", counting)
    ticker = threading.Thread(target=tick)
    ticker.start()
    net.fit(X, y, epochs=4000, batch_size=100, shuffle=False)
    done.set()
    ticker.join()
    assert len(counted) == 1
    assert counted[0] > 10


@pytest.mark.parametrize("engine", slow_but(["numba"], ENGINES))
def test_what_a_fit_took_is_free_when_it_ends(engine):
    """Not when Python next looks for cycles: many fits would hold much until then."""
    (net, _), (X, y) = make(engine), regression(20)
    net.fit(X, y, epochs=2, metrics=["r2"], validation_split=0.5)
    left = []
    gc.disable()
    try:
        for _ in range(3):  # one may meet what other tests' threads leave
            gc.collect()
            net.fit(X, y, epochs=2, metrics=["r2"], validation_split=0.5)
            left.append(gc.collect())
        assert min(left) == 0
    finally:
        gc.enable()
