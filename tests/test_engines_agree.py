"""Three engines, one contract: the same numbers up to rounding after hundreds of updates."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from helpers import CORE, SINGLE, Case, full_grid, on_engines, slow_but, telling_slice

import fastnn

#: batch size -> epochs of 8 samples, so that there are hundreds of updates
EPOCHS = {1: 30, 7: 120, None: 240}
SAMPLES = 8


@functools.cache
def trained(engine: str, case: Case, batch_size: int | None, reduction: str, shuffle: bool):
    """Parameters, losses, outputs, gradient after hundreds of updates."""
    net = case.network(engine, reduction=reduction)
    X, Y = case.data(SAMPLES)
    rate = 0.02 if reduction == "mean" or batch_size == 1 else 0.02 / (batch_size or SAMPLES)
    history = net.fit(
        X, Y, epochs=EPOCHS[batch_size], batch_size=batch_size, learning_rate=rate,
        shuffle=shuffle, validation_data=case.data(5, seed=1),
    )  # fmt: skip
    loss, gradient = net.loss_and_gradient(X, Y)
    return {
        "parameters": net.parameters.copy(),
        "history.loss": np.array(history.loss),
        "history.val_loss": np.array(history.val_loss),
        "predict": net.predict(X),
        "loss": np.array(loss),
        "gradient": gradient,
    }


def assert_same(got: dict, expected: dict, tolerance: float) -> None:
    for what, array in expected.items():
        np.testing.assert_allclose(
            got[what], array, rtol=tolerance, atol=tolerance * 1e-3, err_msg=what
        )


def check(engine, case, batch_size, reduction="mean", shuffle=True, tolerance=1e-9):
    expected = trained("numpy", case, batch_size, reduction, shuffle)
    if case.loss != "cross_entropy" or case.outputs > 1:  # of a single class it is always 0
        start = case.network("numpy").parameters
        assert abs(expected["parameters"] - start).max() > 1e-3, "updates must have an effect"
    assert_same(trained(engine, case, batch_size, reduction, shuffle), expected, tolerance)


SLICE = telling_slice(("float64",))


@on_engines(
    SLICE,
    ("python", "numba"),
    with_numba=lambda case: SLICE.index(case) % 3 != 1,  # all losses, all activations
    quick=lambda case: SLICE.index(case) % 2 == 0,
)
def test_engines_agree(engine, case):
    """Pairs of a loss and an activation; batch size 1, 7 and all come in turn."""
    batch_size = (1, 7, None)[SLICE.index(case) // 3 % 3]
    check(engine, case, batch_size)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize("other", ["python", "numba"])
def test_engines_agree_on_batches_reductions_and_orders(other, batch_size, reduction, shuffle):
    check(other, CORE[0], batch_size, reduction, shuffle)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("other", slow_but(["python"], ["python", "numba"]))
def test_engines_agree_in_float32(other, batch_size):
    check(other, SINGLE, batch_size, tolerance=2e-4)


@pytest.mark.parametrize(
    ("other", "batch_size"),
    slow_but([("python", 1), ("python", 7)], itertools.product(["python", "numba"], [1, 7])),
)
@pytest.mark.parametrize(
    "activations",
    slow_but(
        [["tanh", "relu", "sigmoid"]],
        [["tanh", "relu", "sigmoid"], ["tanh", "relu"], ["sigmoid", "identity"]],
    ),
    ids="-".join,
)
def test_engines_agree_with_activations_that_differ_by_layer(other, activations, batch_size):
    case = Case("squared_error", activations, 2, len(activations), True, "float64")
    X, Y = case.data(SAMPLES)

    def outcome(engine):
        net = case.network(engine)
        history = net.fit(X, Y, epochs=EPOCHS[batch_size], batch_size=batch_size)
        return {"parameters": net.parameters, "loss": np.array(history.loss)}

    assert_same(outcome(other), outcome("numpy"), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("other", ["python", "numba"])
def test_engines_agree_with_other_output_activations(other, output, batch_size):
    def outcome(engine):
        net = fastnn.Network(
            [2, 4, 2], activation="tanh", output_activation=output, seed=0, engine=engine
        )
        rng = np.random.default_rng(0)
        X, Y = rng.uniform(-1, 1, (SAMPLES, 2)), rng.uniform(0, 0.9, (SAMPLES, 2))
        history = net.fit(X, Y, epochs=EPOCHS[batch_size], batch_size=batch_size)
        return {"parameters": net.parameters, "loss": np.array(history.loss)}

    assert_same(outcome(other), outcome("numpy"), 1e-9)


SIZES = [[1, 1], [1, 128, 1], [3, 4, 1], [17, 9, 5], [40, 33, 3], [1, 2, 3, 2, 1], [70, 10]]


#: Networks with one hidden layer have kernels of their own, sample by sample.
POINTS = [*itertools.product(SIZES, [1, 9, None])]


@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    slow_but([(s, b) for s, b in POINTS if b != 1 or len(s) != 3 or s == [1, 128, 1]], POINTS),
    ids=str,
)
def test_numba_agrees_for_narrow_and_wide_layers(sizes, batch_size):
    """Widths below, at and above what a vector register or a block of a kernel holds."""

    def outcome(engine):
        net = fastnn.Network(sizes, seed=0, engine=engine)
        rng = np.random.default_rng(0)
        X, Y = rng.uniform(-1, 1, (30, sizes[0])), rng.uniform(-1, 1, (30, sizes[-1]))
        history = net.fit(X, Y, epochs=10, batch_size=batch_size, learning_rate=0.02)
        loss, gradient = net.loss_and_gradient(X, Y)
        return {"parameters": net.parameters, "loss": np.array(history.loss), "end": loss,
                "gradient": gradient, "predict": net.predict(X)}  # fmt: skip

    assert_same(outcome("numba"), outcome("numpy"), 1e-9)


FULL_GRID = full_grid(("float64",))


@pytest.mark.slow
@on_engines(FULL_GRID[::2], ("python",))
def test_engines_agree_on_the_full_grid(engine, case):
    """Batch sizes in turn."""
    check(engine, case, (1, 7, None)[FULL_GRID.index(case) % 3])
