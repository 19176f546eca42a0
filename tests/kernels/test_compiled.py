"""Networks in compiled code: outputs, Jacobians and updates, with the JIT on and off."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import ACTIVATIONS, BIASES, DEPTHS, DISTRIBUTIONS, DTYPES, LOSSES, data_for, in_turn
from numba import config

import fastnn
from fastnn import jit
from fastnn.kernels.stack_rows import ROOM, STEP

TIGHT = {"float64": 2e-14, "float32": 2e-6}


def network(sizes, seed=1, **options):
    """With biases that are not zero; the reference is NumPy's."""
    net = fastnn.Network(sizes, seed=seed, engine="numpy", **options)
    for bias in net.biases:
        bias[:] = np.random.default_rng(seed).uniform(-1, 1, bias.shape)
    return net


def row(net, seed=0):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, net.layer_sizes[0]).astype(net.dtype)


def outputs(net, x):
    out = np.empty(net.layer_sizes[-1], net.dtype)
    jit.forward(net.compiled(), x, out)
    return out


def jacobian(net, x):
    J = np.empty((net.layer_sizes[-1], net.layer_sizes[0]), net.dtype)
    jit.jacobian(net.compiled(), x, J)
    return J


def differences(net, x):
    """The Jacobian by central differences of NumPy's outputs."""
    h = 1e-6
    steps = h * np.eye(len(x))
    return ((net.predict(x + steps) - net.predict(x - steps)) / (2 * h)).T


SIZES = [[3, *(5, 17, 4)[:depth], 2] for depth in DEPTHS]
#: With widths at and beside those of registers, single ones, and wide layers.
WIDTHS = [[1, 1], [1, 1, 1], [2, 8, 1], [1, 128, 1], [7, 16, 9, 33], [40, 3, 70], [70, 1, 20]]
OUTPUTS = {"softmax": "cross_entropy", "exp": "poisson", "sigmoid": "binary_cross_entropy"}


@in_turn("case", itertools.product(ACTIVATIONS, SIZES, BIASES, DTYPES))
def test_outputs_are_those_of_numpy(case):
    activation, sizes, bias, dtype = case
    net = network(sizes, activation=activation, output_activation=activation, bias=bias,
                  dtype=dtype)  # fmt: skip
    x = row(net)
    np.testing.assert_allclose(outputs(net, x), net.predict([x])[0], rtol=TIGHT[dtype],
                               atol=TIGHT[dtype])  # fmt: skip


@in_turn("case", itertools.product(WIDTHS, BIASES, DTYPES))
def test_outputs_of_any_width_are_those_of_numpy(case):
    sizes, bias, dtype = case
    net = network(sizes, activation="tanh", bias=bias, dtype=dtype)
    x = row(net)
    np.testing.assert_allclose(outputs(net, x), net.predict([x])[0], rtol=TIGHT[dtype],
                               atol=5 * TIGHT[dtype])  # fmt: skip


@in_turn("output", OUTPUTS)
def test_output_activations_are_those_of_numpy(output):
    net = network([3, 5, 4], loss=OUTPUTS[output])
    np.testing.assert_allclose(outputs(net, row(net)), net.predict([row(net)])[0], rtol=1e-13)


@in_turn("case", itertools.product(ACTIVATIONS, SIZES))
def test_jacobian_is_that_of_differences(case):
    activation, sizes = case
    net = network(sizes, activation=activation, output_activation=activation)
    x = row(net)
    np.testing.assert_allclose(jacobian(net, x), differences(net, x), rtol=1e-6, atol=1e-8)


@in_turn("case", [*itertools.product(WIDTHS, ["half_squared_error"]),
                  *(([3, 5, 4], loss) for loss in OUTPUTS.values())])  # fmt: skip
def test_jacobian_of_any_width_and_output_is_that_of_differences(case):
    sizes, loss = case
    net = network(sizes, activation="tanh", loss=loss)
    x = row(net)
    np.testing.assert_allclose(jacobian(net, x), differences(net, x), rtol=1e-6, atol=1e-8)


def check_updates(net, dtype="float64"):
    """Some updates beside those of the NumPy engine."""
    h, twin = net.compiled(), fastnn.Network(**net._architecture.arguments(), engine="numpy")
    twin.set_parameters(net.parameters)
    architecture = net._architecture
    X, Y = data_for(architecture.loss.name, 4, net.layer_sizes[0], architecture.n_targets)
    X, Y = X.astype(dtype), Y.astype(dtype)
    for x, y in zip(X, Y, strict=True):
        ours, theirs = jit.learn(h, x, y, 0.03), twin.partial_fit([x], [y], learning_rate=0.03)
        assert ours == pytest.approx(theirs, rel=20 * TIGHT[dtype], abs=20 * TIGHT[dtype])
    limits = {"rtol": 20 * TIGHT[dtype], "atol": 20 * TIGHT[dtype]}
    np.testing.assert_allclose(net.parameters, twin.parameters, **limits)


@in_turn("case", itertools.product((*LOSSES, *DISTRIBUTIONS), DTYPES))
def test_updates_with_each_loss_are_those_of_numpy(case):
    loss, dtype = case
    check_updates(network([3, 5, 4], activation="tanh", loss=loss, dtype=dtype), dtype)


@in_turn("case", itertools.product(ACTIVATIONS, SIZES, BIASES))
def test_updates_with_each_activation_are_those_of_numpy(case):
    activation, sizes, bias = case
    check_updates(network(sizes, activation=activation, output_activation=activation, bias=bias))


@in_turn("sizes", WIDTHS)
def test_updates_of_any_width_are_those_of_numpy(sizes):
    check_updates(network(sizes, activation="tanh"))


@in_turn("options", [
    {"loss": "cross_entropy", "label_smoothing": 0.2},
    {"loss": "binary_cross_entropy", "label_smoothing": 0.2},
    {"loss": "quantile", "quantiles": [0.1, 0.9]},
])  # fmt: skip
def test_updates_with_a_setting_of_the_loss_are_those_of_numpy(options):
    check_updates(network([3, 5, 4], **options))


@in_turn("options", [{"l1": 0.1}, {"l2": 0.1}, {"max_norm": 1.0}, {"dropout": 0.5}])
def test_what_learn_does_not_know_is_refused(options):
    net = network([3, 5, 4], **options)
    before = net.parameters.tobytes()
    with pytest.raises(ValueError, match="learn knows no l1"):
        jit.learn(net.compiled(), np.zeros(3), np.zeros(4), 0.1)
    assert net.parameters.tobytes() == before
    assert outputs(net, np.zeros(3)) == pytest.approx(net.predict([np.zeros(3)])[0])


def test_arrays_of_other_lengths_are_refused():
    net = network([3, 5, 4])
    h, x, out, J = net.compiled(), np.zeros(3), np.zeros(4), np.zeros((4, 3))
    before = net.parameters.tobytes()
    for wrong in (np.zeros(2), np.zeros(5)):
        with pytest.raises(ValueError, match=r"forward: x or out"):
            jit.forward(h, wrong, out)
        with pytest.raises(ValueError, match=r"forward: x or out"):
            jit.forward(h, x, wrong)
        with pytest.raises(ValueError, match=r"jacobian: x or J"):
            jit.jacobian(h, wrong, J)
        with pytest.raises(ValueError, match=r"learn: x or y"):
            jit.learn(h, wrong, out, 0.1)
        with pytest.raises(ValueError, match=r"learn: x or y"):
            jit.learn(h, x, wrong, 0.1)
        with pytest.raises(ValueError, match=r"forward: x or out"):
            jit.forward(h._replace(parameters=wrong), x, out)
    for shape in ((3, 4), (4, 2), (5, 3)):
        with pytest.raises(ValueError, match=r"jacobian: x or J"):
            jit.jacobian(h, x, np.zeros(shape))
    assert net.parameters.tobytes() == before


def test_arrays_need_not_lie_in_order_and_may_be_one():
    net = network([3, 5, 3], activation="tanh")
    h, x = net.compiled(), row(net)
    wanted = net.predict([x])[0]
    both, J = np.zeros((3, 2)), np.zeros((3, 3), order="F")
    both[:, 0] = x
    jit.forward(h, both[:, 0], both[:, 1])
    np.testing.assert_allclose(both[:, 1], wanted, rtol=1e-14)
    jit.jacobian(h, both[:, 0], J)
    np.testing.assert_allclose(J, jacobian(net, x), rtol=1e-14)
    jit.forward(h, x, x)
    np.testing.assert_allclose(x, wanted, rtol=1e-14)


def test_new_weights_are_seen_and_the_table_cannot_be_written_to():
    net = network([3, 5, 4])
    h = net.compiled()
    x, out = row(net), np.zeros(4)
    net.set_parameters(2 * net.parameters)
    jit.forward(h, x, out)
    np.testing.assert_allclose(out, net.predict([x])[0], rtol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        h.layers[0, 0] = 1000


def test_what_is_behind_the_widest_network():
    fits = network([ROOM - STEP, 1], bias=False)
    x = row(fits)
    np.testing.assert_allclose(outputs(fits, x), fits.predict([x])[0], rtol=1e-12)
    with pytest.raises(ValueError, match=r"on the stack, where there is room for 4,144, .* 4,160"):
        network([ROOM - STEP + 1, 1]).compiled()


def test_other_types_are_refused():
    net = network([3, 5, 4], dtype="float32")
    h, kind = net.compiled(), TypeError if config.DISABLE_JIT else Exception
    x, out = np.zeros(3, "f"), np.zeros(4, "f")
    for wrong in (lambda: jit.forward(h, np.zeros(3), out), lambda: jit.forward(h, x, out[None])):
        with pytest.raises(kind, match=r"fastnn.jit.forward: .* must be an array of float32 with"):
            wrong()
    with pytest.raises(kind, match=r"fastnn.jit.learn: y must be an array of float32 with 1"):
        jit.learn(h, x, np.zeros(4), 0.1)
    with pytest.raises(kind, match=r"fastnn.jit.jacobian: J must be .* 2 dimensions"):
        jit.jacobian(h, x, out)
