"""Training that diverges: the error, and that the last finite parameters are kept."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import ENGINES, NUMBA_SLOW, SLICINGS, slow_but
from runs import (
    RATE_TOO_HIGH,
    N,
    course_of_a_diverging_neuron,
    diverge,
    make,
    regression,
    state,
    use,
)

import fastnn
from fastnn.training.run import Run


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


RATES = [
    (1, "float64", 2.0), (7, "float64", 8.0), (None, "float64", 1e9),
    (1, "float32", 1.4), (7, "float32", 3.0), (None, "float32", 1e4),
]  # fmt: skip
DIVERGING = [(engine, *rate) for engine in ENGINES for rate in RATES]


@pytest.mark.parametrize(
    ("engine", "batch_size", "dtype", "rate"),
    slow_but(
        [
            point
            for point in DIVERGING
            if point[0] == "numpy" or point[0:3:2] == ("numba", "float64")
        ],
        DIVERGING,
    ),
)
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


@pytest.mark.parametrize("engine", NUMBA_SLOW)
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


@pytest.mark.parametrize("engine", NUMBA_SLOW)
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
    go_back = Run._go_back
    monkeypatch.setattr(Run, "_go_back", lambda *args: (runs.append(args[-1]), go_back(*args)))
    net, _ = make(engine, (1, 1, 1), output_activation="sigmoid")
    net.set_parameters([0.001, 0.0, 1.0, 0.0])
    with pytest.raises(fastnn.TrainingDivergedError):
        net.fit([1000.0], [0.0], epochs=1000, learning_rate=1e308, batch_size=1)
    assert len(runs) <= 20


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_a_rate_too_large_for_float32_is_a_divergence(engine):
    net, _ = make(engine, (1, 1), dtype="float32")
    before = net.parameters.tobytes()
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit([1.0], [1.0], epochs=3, learning_rate=1e300)
    assert error.value.epoch == 1
    assert net.parameters.tobytes() == before


def test_parameters_whose_squares_overflow_are_finite_all_the_same():
    net, _ = make("numpy", (1, 1), dtype="float32")
    net.set_parameters(np.array([1e25, 0.0], np.float32))
    assert net.fit([0.0], [0.0]).stop_reason == "completed"
    assert net.partial_fit([[0.0]], [[0.0]]) == 0.0
