"""Training on the derivatives of the targets: ``fit(..., dydx=D)``."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from helpers import NUMBA_SLOW, in_turn

import fastnn
from fastnn.activations import ACTIVATIONS

N, STEP = 23, 1e-5
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 3))
Y = rng.uniform(0.1, 0.9, (N, 2))
Y /= Y.sum(axis=1, keepdims=True)
D = rng.normal(size=(N, 2, 3))
WEIGHTS = np.linspace(0, 2, N)
#: Activation, loss, reduction, biases.
NETWORKS = [
    ("sigmoid", "half_squared_error", "mean", True),
    ("tanh", "cross_entropy", "sum", False),
    ("silu", "binary_cross_entropy", "mean", True),
    ("elu", "poisson", "sum", True),
]


def network(engine, activation="tanh", loss="half_squared_error", reduction="mean", bias=True,
            **options):  # fmt: skip
    net = fastnn.Network(
        options.pop("sizes", [3, 5, 4, 2]), activation=activation, loss=loss, reduction=reduction,
        bias=bias, engine=engine, seed=3, **options,
    )  # fmt: skip
    for b in net.biases:
        b[:] = np.linspace(-0.3, 0.4, len(b))
    return net


def definition(net, weight, weights=None, reduction="mean"):
    """The loss as the documentation has it."""
    errors = ((net.jacobian(X) - D) ** 2).mean(axis=(1, 2))
    of_jacobians = weight * getattr(errors if weights is None else errors * weights, reduction)()
    return net.evaluate(X, Y, sample_weight=weights, metrics=[])["loss"] + of_jacobians


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@in_turn("case", NETWORKS)
def test_a_step_goes_down_the_gradient_of_the_loss(engine, case, weights):
    """The gradient is what a step of rate 1 takes off, by differences of the definition."""
    net = network(engine, *case)
    twin = network("numpy", *case)
    history = net.fit(
        X,
        Y,
        epochs=1,
        dydx=D,
        dydx_weight=0.7,
        batch_size=None,
        learning_rate=1e-3,
        sample_weight=weights,
    )
    assert history.loss[0] == pytest.approx(definition(twin, 0.7, weights, case[2]), rel=1e-12)
    vector = twin.parameters
    gradient = (vector - net.parameters) / 1e-3
    for k in range(0, len(vector), 3):
        value, sides = vector[k], []
        for step in (STEP, -STEP):
            vector[k] = value + step
            sides.append(definition(twin, 0.7, weights, case[2]))
        vector[k] = value
        slope = (sides[0] - sides[1]) / (2 * STEP)
        assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-7)


#: What may come with it.
WAYS = {
    "sample by sample": {"batch_size": 1},
    "in batches": {"batch_size": 8},
    "all at once": {"batch_size": None},
    "by adam, weighted": {"batch_size": 7, "optimizer": "adam", "sample_weight": WEIGHTS},
    "by lbfgs": {"optimizer": "lbfgs", "learning_rate": None},
    "held out": {"validation_split": 0.3, "metrics": ["r2"]},
}


@pytest.mark.parametrize("engine", ["python", *NUMBA_SLOW[2:]])
@pytest.mark.parametrize("way", WAYS)
def test_the_engines_learn_alike(engine, way):
    """With numba, whose kernels take long to compile, each way with one of the networks."""
    numbers = range(3) if engine == "python" else [list(WAYS).index(way) % 3]
    for number in numbers:
        found = []
        for name in (engine, "numpy"):
            net = network(name, *NETWORKS[number], l2=0.01)
            options = {"learning_rate": 0.02} | WAYS[way]
            history = net.fit(X, Y, epochs=3, dydx=D, dydx_weight=0.7, **options)
            found.append((net.parameters, history.loss, history.val_loss))
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[3, 2], [3, 40, 30, 20, 2], [120, 6, 2]])
def test_numba_learns_in_blocks_and_in_single_precision(sizes):
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(700, sizes[0])), rng.normal(size=(700, 2))
    D = rng.normal(size=(700, 2, sizes[0]))
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        found = []
        for engine in ("numba", "numpy"):
            net = network(engine, sizes=sizes, dtype=dtype)
            history = net.fit(X, Y, epochs=2, batch_size=350, learning_rate=0.05, dydx=D)
            found.append((net.parameters, history.loss))
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_slopes_make_up_for_samples():
    """Eight values of a curve with their slopes tell more of it than eight values alone.

    The median of nine networks: where one ends hangs on the last bits of sums.
    """

    def curve(x):
        return np.sin(3 * x) + np.sin(7 * x) / 2

    x, places = np.linspace(-1.5, 1.5, 8)[:, None], np.linspace(-1.5, 1.5, 101)[:, None]
    slopes = (3 * np.cos(3 * x) + 3.5 * np.cos(7 * x))[:, :, None]

    def error(seed, **derivatives):
        net = fastnn.Network([1, 16, 1], activation="tanh", seed=seed, engine="numpy")
        net.fit(x, curve(x), epochs=200, optimizer="lbfgs", **derivatives)
        return abs(net.predict(places) - curve(places)).max()

    alone, both = ([error(seed, **more) for seed in range(9)] for more in ({}, {"dydx": slopes}))
    assert np.median(both) < np.median(alone) / 2


@in_turn("name", [name for name, row in ACTIVATIONS.items() if not row.smooth])
def test_activations_with_jumps_in_their_slopes_are_refused(name):
    net = network("numpy", name)
    with pytest.raises(ValueError, match=rf"^dydx needs activations .* '{name}'"):
        net.fit(X, Y, dydx=D)


@pytest.mark.parametrize(
    ("options", "more", "message"),
    [
        ({"dropout": 0.1}, {}, r"^dydx needs a network without chance.*dropout=\[0.1, 0.1\]"),
        ({"loss": "gaussian_nll"}, {}, "^dydx needs a loss with one output for each target"),
        ({}, {"dydx": D[0]}, r"^dydx must have shape \(23, 2, 3\).*got shape \(2, 3\)"),
        ({}, {"dydx": D.transpose(0, 2, 1)}, r"^dydx must have shape \(23, 2, 3\)"),
        ({}, {"dydx": D * np.nan}, "^dydx must be finite"),
        ({}, {"dydx": "steep"}, "^dydx must hold real numbers"),
        ({}, {"dydx_weight": 0}, "^dydx_weight must be above 0"),
        ({}, {"dydx_weight": "1"}, "^dydx_weight must be a number"),
        ({}, {"dydx": None, "dydx_weight": 2.0}, "^dydx_weight=2.0 needs dydx"),
        ({}, {"dydx": None, "dydx_weight": np.ones(2)}, "^dydx_weight must be a number"),
    ],
)
def test_bad_arguments(options, more, message):
    net = network("numpy", **options)
    before = net.parameters.copy()
    y = Y[:, :1] if options.get("loss") == "gaussian_nll" else Y
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(X, y, **{"dydx": D} | more)
    np.testing.assert_array_equal(net.parameters, before)


def test_fit_many_says_that_it_has_no_such_argument():
    with pytest.raises(TypeError, match="fit_many has no argument 'dydx'"):
        fastnn.fit_many([network("numpy")], X, Y, dydx=D)


def test_a_fit_without_it_goes_on_without():
    net = network("numpy")
    net.fit(X, Y, epochs=1, dydx=D)
    twin = copy.deepcopy(net)
    net.fit(X, Y, epochs=1)
    twin.fit(X, Y, epochs=1, dydx=D)
    assert abs(net.parameters - twin.parameters).max() > 1e-4


def test_the_network_is_as_before_when_it_diverges():
    for engine in ("numpy", "python"):
        net = network(engine)
        before = net.parameters.copy()
        with pytest.raises(fastnn.TrainingDivergedError):
            net.fit(X, Y, dydx=1e200 * D, learning_rate=1e300)
        np.testing.assert_array_equal(net.parameters, before)
