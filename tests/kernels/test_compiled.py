"""Networks in compiled code: outputs, Jacobians and updates, with the JIT on and off."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import ACTIVATIONS, BIASES, DEPTHS, DISTRIBUTIONS, DTYPES, LOSSES, data_for, in_turn
from numba import config
from numba.core.errors import TypingError
from problems import slow_to_compile

import fastnn
from fastnn import jit
from fastnn.kernels.jit import kernel
from fastnn.kernels.llvm import stack
from fastnn.kernels.stack_rows import ROOM, STEP
from fastnn.losses import COUPLED

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
CASES = [
    *itertools.product(ACTIVATIONS, SIZES, BIASES),
    *itertools.product(["tanh"], WIDTHS, BIASES),
]


def check_outputs(case, dtype):
    activation, sizes, bias = case
    net = network(sizes, activation=activation, output_activation=activation, bias=bias,
                  dtype=dtype)  # fmt: skip
    limits = {"rtol": TIGHT[dtype], "atol": TIGHT[dtype]}
    np.testing.assert_allclose(outputs(net, row(net)), net.predict([row(net)])[0], **limits)


@in_turn("case", CASES)
def test_outputs_are_those_of_numpy(case):
    check_outputs(case, "float64")


@slow_to_compile
@in_turn("case", CASES)
def test_outputs_in_single_precision_are_those_of_numpy(case):
    check_outputs(case, "float32")


@in_turn("output", OUTPUTS)
def test_output_activations_are_those_of_numpy(output):
    net = network([3, 5, 4], loss=OUTPUTS[output])
    np.testing.assert_allclose(outputs(net, row(net)), net.predict([row(net)])[0], rtol=1e-13)


def check_jacobian(net):
    x = row(net)
    J = jacobian(net, x)
    np.testing.assert_allclose(J, differences(net, x), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(J, net.jacobian([x])[0], rtol=1e-11, atol=1e-13)


@slow_to_compile
@in_turn("case", CASES)
def test_jacobian_is_that_of_differences_and_of_numpy(case):
    activation, sizes, bias = case
    check_jacobian(network(sizes, activation=activation, output_activation=activation, bias=bias))


@slow_to_compile
@in_turn("output", OUTPUTS)
def test_jacobian_with_other_output_activations_is_that_of_both(output):
    check_jacobian(network([3, 5, 4], activation="tanh", loss=OUTPUTS[output]))


@slow_to_compile
def test_jacobian_in_single_precision_is_that_in_double():
    single, double = (network([9, 17, 5], activation="tanh", dtype=dtype) for dtype in DTYPES[::-1])
    double.set_parameters(single.parameters)
    x = row(single)
    np.testing.assert_allclose(jacobian(single, x), jacobian(double, x.astype(float)), rtol=1e-4)


def check_updates(net, dtype="float64", missing=()):
    """Some updates beside those of the NumPy engine; some targets may be *missing*."""
    h, twin = net.compiled(), fastnn.Network(**net._architecture.arguments(), engine="numpy")
    twin.set_parameters(net.parameters)
    architecture = net._architecture
    X, Y = data_for(architecture.loss.name, 4, net.layer_sizes[0], architecture.n_targets)
    X, Y = X.astype(dtype), Y.astype(dtype)
    for place in missing:
        Y[place] = np.nan
    for x, y in zip(X, Y, strict=True):
        ours, theirs = jit.learn(h, x, y, 0.03), twin.partial_fit([x], [y], learning_rate=0.03)
        assert ours == pytest.approx(theirs, rel=20 * TIGHT[dtype], abs=20 * TIGHT[dtype])
    limits = {"rtol": 20 * TIGHT[dtype], "atol": 20 * TIGHT[dtype]}
    np.testing.assert_allclose(net.parameters, twin.parameters, **limits)


@slow_to_compile
@in_turn("case", itertools.product((*LOSSES, *DISTRIBUTIONS), DTYPES))
def test_updates_with_each_loss_are_those_of_numpy(case):
    loss, dtype = case
    check_updates(network([3, 5, 4], activation="tanh", loss=loss, dtype=dtype), dtype)


@slow_to_compile
@in_turn("case", CASES)
def test_updates_with_each_activation_are_those_of_numpy(case):
    activation, sizes, bias = case
    check_updates(network(sizes, activation=activation, output_activation=activation, bias=bias))


@slow_to_compile
@in_turn("options", [
    {"loss": "cross_entropy", "label_smoothing": 0.2},
    {"loss": "binary_cross_entropy", "label_smoothing": 0.2},
    {"loss": "quantile", "quantiles": [0.1, 0.9]},
])  # fmt: skip
def test_updates_with_a_setting_of_the_loss_are_those_of_numpy(options):
    check_updates(network([3, 5, 4], **options))


@slow_to_compile
@in_turn("loss", [loss for loss in LOSSES if loss not in COUPLED])
def test_updates_with_missing_targets_are_those_of_numpy(loss):
    net = network([3, 5, 4], activation="tanh", loss=loss, missing="ignore")
    check_updates(net, missing=[(0, 1), (1, slice(None)), (3, 0)])


@slow_to_compile
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
    h, x, out = net.compiled(), np.zeros(3), np.zeros(4)
    for wrong in (np.zeros(2), np.zeros(5)):
        with pytest.raises(ValueError, match=r"forward: x or out"):
            jit.forward(h, wrong, out)
        with pytest.raises(ValueError, match=r"forward: x or out"):
            jit.forward(h, x, wrong)
        with pytest.raises(ValueError, match=r"forward: x or out"):
            jit.forward(h._replace(parameters=wrong), x, out)


@slow_to_compile
def test_arrays_of_other_lengths_are_refused_by_the_others():
    net = network([3, 5, 4])
    h, x, y, J = net.compiled(), np.zeros(3), np.zeros(4), np.zeros((4, 3))
    before = net.parameters.tobytes()
    for wrong in (np.zeros(2), np.zeros(5)):
        with pytest.raises(ValueError, match=r"jacobian: x or J"):
            jit.jacobian(h, wrong, J)
        with pytest.raises(ValueError, match=r"learn: x or y"):
            jit.learn(h, wrong, y, 0.1)
        with pytest.raises(ValueError, match=r"learn: x or y"):
            jit.learn(h, x, wrong, 0.1)
    for shape in ((3, 4), (4, 2), (5, 3)):
        with pytest.raises(ValueError, match=r"jacobian: x or J"):
            jit.jacobian(h, x, np.zeros(shape))
    assert net.parameters.tobytes() == before


@slow_to_compile
def test_arrays_need_not_lie_in_order():
    net = network([3, 5, 3], activation="tanh")
    h, both, J = net.compiled(), np.zeros((3, 2)), np.zeros((3, 3), order="F")
    both[:, 0] = row(net)
    jit.forward(h, both[:, 0], both[:, 1])
    np.testing.assert_allclose(both[:, 1], net.predict([row(net)])[0], rtol=1e-12)
    jit.jacobian(h, both[:, 0], J)
    np.testing.assert_allclose(J, jacobian(net, row(net)), rtol=1e-12)


def test_inputs_and_outputs_may_be_one_array():
    net = network([3, 5, 3], activation="tanh")
    x = row(net)
    jit.forward(net.compiled(), x, x)
    np.testing.assert_allclose(x, net.predict([row(net)])[0], rtol=1e-12)


def test_new_weights_are_seen_and_the_table_cannot_be_written_to():
    net = network([3, 5, 4])
    h = net.compiled()
    x, out = row(net), np.zeros(4)
    net.set_parameters(2 * net.parameters)
    jit.forward(h, x, out)
    np.testing.assert_allclose(out, net.predict([x])[0], rtol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        h.layers[0, 0] = 1000


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="there is no stack with the JIT off")
def test_a_place_on_the_stack_is_one_however_often_it_is_asked_for():
    @kernel
    def count(like, n):
        w = like
        for k in range(n):
            w = stack(4096, like)
            w[0] = 1 if k == 0 else w[0] + 1
        return w[0]

    assert count(np.zeros(1), 10_000) == 10_000


def test_what_is_behind_the_widest_network():
    fits = network([ROOM - STEP, 1], bias=False)
    x = row(fits)
    np.testing.assert_allclose(outputs(fits, x), fits.predict([x])[0], rtol=1e-12)
    with pytest.raises(ValueError, match=r"on the stack, where there is room for 4,144, .* 4,160"):
        network([ROOM - STEP + 1, 1]).compiled()


REFUSED = TypeError if config.DISABLE_JIT else TypingError


def test_arrays_of_another_type_are_refused():
    net = network([3, 5, 4])
    with pytest.raises(REFUSED, match=r"jit.forward: x must be an array of float64 with 1 dim"):
        jit.forward(net.compiled(), np.zeros(3, np.float32), np.zeros(4))


@slow_to_compile
def test_arrays_of_another_type_are_refused_by_the_others():
    net = network([3, 5, 4], dtype="float32")
    h, x, out = net.compiled(), np.zeros(3, "f"), np.zeros(4, "f")
    with pytest.raises(REFUSED, match=r"jit.forward: out must be an array of float32 with 1 dim"):
        jit.forward(h, x, out[None])
    with pytest.raises(REFUSED, match=r"jit.learn: y must be an array of float32 with 1 dim"):
        jit.learn(h, x, np.zeros(4), 0.1)
    with pytest.raises(REFUSED, match=r"jit.jacobian: J must be an array of float32 with 2 dim"):
        jit.jacobian(h, x, out)


def read_only(array):
    array.flags.writeable = False
    return array


@slow_to_compile
def test_read_only_arrays_are_refused_where_they_are_written_to():
    net = network([3, 5, 4])
    h, x, y = net.compiled(), read_only(np.zeros(3)), read_only(np.zeros(4))
    jit.learn(h, x, y, 0.1)
    with pytest.raises(REFUSED, match=r"jit.forward: out must be .* written to.*readonly array"):
        jit.forward(h, x, y)
    with pytest.raises(REFUSED, match=r"jit.jacobian: J must be .* written to.*readonly array"):
        jit.jacobian(h, x, read_only(np.zeros((4, 3))))
    fixed = h._replace(parameters=read_only(net.parameters.copy()))
    with pytest.raises(REFUSED, match=r"jit.learn: h.parameters must be .* that can be written to"):
        jit.learn(fixed, x, y, 0.1)


@slow_to_compile
@in_turn("rate", [None, "0.1", 0.1j, True, np.array([0.1])])
def test_rates_that_are_no_numbers_are_refused(rate):
    with pytest.raises(REFUSED, match=r"jit.learn: rate must be a number, got "):
        jit.learn(network([3, 5, 4]).compiled(), np.zeros(3), np.zeros(4), rate)
