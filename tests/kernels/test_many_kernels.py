"""Many networks at once: each is what it is alone by NumPy, to the bit whatever is beside it."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace

import numba
import numpy as np
import pytest
from helpers import slow_but
from simd import AVX2, BASELINE, on_x86, run

import fastnn
from fastnn import losses
from fastnn.contract import Piece, Plan, Samples, State, Together
from fastnn.kernels import llvm, many_engine
from fastnn.kernels.llvm import lanes_of_register
from fastnn.kernels.many_engine import Block, BlockTrainer, lanes_for, pays
from fastnn.reference import vectors

pytestmark = pytest.mark.own_kernels

N, EPOCHS = 39, 4
MOMENTUM = fastnn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01, clip_norm=0.5)
CLIPPED = fastnn.SGD(0.1, clip_value=0.2, clip_norm=0.3)


@dataclass(frozen=True)
class Case:
    """Networks that differ in widths, seeds and rates, and how they are trained."""

    sizes: tuple[int, ...] = (3, 4, 1)
    activation: object = "sigmoid"
    loss: str = "half_squared_error"
    batch_size: int = 1
    optimizer: object = field(default_factory=lambda: fastnn.SGD(0.1))
    arguments: tuple = ()
    dtype: str = "float64"

    def networks(self, n):
        first, *hidden, last = self.sizes
        return [
            fastnn.Network(
                [first, *(width + k % 3 for width in hidden), last],
                activation=self.activation,
                loss=self.loss,
                seed=k,
                dtype=self.dtype,
                engine="numpy",
                **dict(self.arguments),
            )
            for k in range(n)
        ]

    def data(self):
        rng = np.random.default_rng(5)
        X = rng.normal(size=(N, self.sizes[0])).astype(self.dtype)
        if "entropy" in self.loss:
            return X, np.eye(self.sizes[-1], dtype=self.dtype)[rng.integers(self.sizes[-1], size=N)]
        columns = {"quantile": 1, "gaussian_nll": self.sizes[-1] // 2}.get(
            self.loss, self.sizes[-1]
        )
        Y = rng.normal(size=(N, columns)).astype(self.dtype)
        return X, {"poisson": np.abs, "hinge": np.sign}.get(self.loss, np.asarray)(Y)


EVERYTHING = (("l1", 0.01), ("l2", 0.02), ("max_norm", 1.0), ("dropout", 0.3))
CASES = {
    "one output": Case(),
    "one output, float32": Case(dtype="float32"),
    "one output, one input": Case((1, 9, 1), "tanh"),
    "no hidden layer": Case((3, 2), "relu", "squared_error"),
    "samples": Case((3, 4, 5, 3), ("tanh", "gelu"), "cross_entropy"),
    "samples, relu": Case((3, 4, 3), "relu", "binary_cross_entropy"),
    "many inputs, one output": Case((7, 5, 1), "selu", "huber"),
    "batches": Case((3, 4, 5, 3), "relu", "cross_entropy", 7),
    "all samples": Case((3, 6, 2), "softplus", "half_squared_error", N),
    "adam, everything": Case(
        (3, 4, 5, 3), "silu", "cross_entropy", 7, fastnn.Adam(0.01), EVERYTHING
    ),
    "momentum, everything": Case(
        (3, 4, 5, 3), ("elu", "relu"), "squared_error", 1, MOMENTUM, EVERYTHING
    ),
    "rmsprop": Case((3, 6, 2), "leaky_relu", "absolute_error", 4, fastnn.RMSprop(0.01)),
    "adagrad": Case((3, 6, 2), "hard_tanh", "hinge", 1, fastnn.Adagrad(0.05)),
    "samples, adam": Case((3, 4, 5, 3), ("gelu", "tanh"), "cross_entropy", 1, fastnn.AdamW(0.01)),
    "samples, momentum": Case((3, 5, 1), "tanh", optimizer=fastnn.SGD(0.005, momentum=0.9)),
    "samples, penalised": Case(
        (3, 5, 1), "relu", "huber", 1, arguments=(("l1", 0.01), ("l2", 0.1), ("max_norm", 1.0))
    ),
    "samples, l1": Case((3, 5, 2), "relu", "squared_error", arguments=(("l1", 0.01),)),
    "samples, l2": Case(
        (3, 5, 2), "tanh", "squared_error", 1, fastnn.Adam(0.01), (("l2", 0.1),), "float32"
    ),
    "samples, limited": Case((3, 4, 2), "gelu", "squared_error", 1, CLIPPED),
    "samples, float32, everything": Case(
        (3, 4, 3), "tanh", "squared_error", 1, MOMENTUM, EVERYTHING, "float32"
    ),
    "quantiles": Case(
        (3, 5, 3), "tanh", "quantile", 7, arguments=(("quantiles", (0.1, 0.5, 0.9)),)
    ),
    "quantile": Case((3, 5, 1), "tanh", "quantile", arguments=(("quantiles", (0.8,)),)),
    "gaussian": Case((3, 5, 4), "tanh", "gaussian_nll", 1),
    "adamw": Case((3, 6, 1), "identity", "poisson", 5, fastnn.AdamW(0.01)),
}
#: Each takes a kernel, and another one with another number of lanes.
FAST = ["one output", "adam, everything"]
if numba.config.DISABLE_JIT:  # nothing is compiled then, and every line is to be seen
    FAST = list(CASES)
some_cases = pytest.mark.parametrize("name", slow_but(FAST, CASES))


def rates_of(case, n):
    return case.optimizer.learning_rate * (1 + 0.1 * np.arange(n))


def train(case, networks, lanes, rates, rows=None, orders=None, weights=None, cuts=(), spoil=False):
    """The states after training in lanes, and the sums of losses and penalties."""
    plans = [Plan(case.batch_size, case.optimizer, net._dropout_key) for net in networks]
    if weights is not None:
        plans = [replace(plan, weighted=True) for plan in plans]
    members = [(net._architecture, plan) for net, plan in zip(networks, plans, strict=True)]
    block = BlockTrainer(members, lanes)
    states = [State.new(net.parameters.copy(), case.optimizer) for net in networks]
    block.put([(state.parameters, state.moments, 0) for state in states])
    if spoil:
        for name, vector in block._scratch._asdict().items():
            if name not in ("present", "zero"):
                vector[:] = np.nan if vector.dtype.kind == "f" else 1 << 40
        block._gradient[:] = np.nan
    by_lane = np.zeros((EPOCHS, 1, lanes))
    by_lane[:, 0, : len(networks)] = rates
    X, Y = case.data()
    Y = members[0][0].for_loss(Y)
    samples = Together(X, Y, filled(rows, lanes, np.int64), filled(weights, lanes, case.dtype))
    n, sums = samples.rows.shape[1] or N, np.zeros((2, EPOCHS, lanes))
    order = np.zeros((0, lanes, 0), np.int64)
    if orders is not None:
        order = np.ascontiguousarray(filled(orders, lanes, np.int64).transpose(1, 0, 2))
    for epoch in range(EPOCHS):
        one = slice(epoch, epoch + 1)
        for start, stop in zip((0, *cuts), (*cuts, n), strict=True):
            block.run(samples, Piece(by_lane[one], order[one], start, stop, *sums[:, one]))
    for lane, state in enumerate(states):
        [(state.parameters, state.moments, state.updates[0])] = block.get([lane])
    return states, sums.sum(1), block


def filled(values, lanes, dtype):
    """The values of the networks, and for the lanes that have none those of the first."""
    if values is None:
        return np.zeros((lanes, 0), dtype)
    return np.array([*values, *[values[0]] * (lanes - len(values))], dtype)


def assert_same_bits(states, others):
    for state, other in zip(states, others, strict=True):
        assert np.array_equal(state.parameters, other.parameters)
        assert np.array_equal(state.moments, other.moments)
        assert state.updates[0] == other.updates[0]


@some_cases
def test_each_network_is_what_fit_makes_of_it(name):
    case = CASES[name]
    networks, rates = case.networks(5), rates_of(CASES[name], 5)
    states, sums, _ = train(case, networks, 8, rates)
    exact = case.dtype == "float64"
    for lane, (net, state) in enumerate(zip(networks, states, strict=True)):
        optimizer = replace(case.optimizer, learning_rate=float(rates[lane]))
        history = net.fit(
            *case.data(), epochs=EPOCHS, batch_size=case.batch_size, optimizer=optimizer,
            shuffle=False,
        )  # fmt: skip
        close = {"rtol": 1e-11 if exact else 1e-3, "atol": 1e-12 if exact else 1e-5}
        np.testing.assert_allclose(state.parameters, net.parameters, **close)
        np.testing.assert_allclose(state.moments, net._state.moments, **close)
        assert state.updates[0] == net._state.updates[0]
        total = (sums[0, lane] + sums[1, lane]) / N
        assert total == pytest.approx(sum(history.loss), rel=1e-9 if exact else 1e-4)


@some_cases
def test_bits_depend_neither_on_company_nor_on_order_cuts_and_what_was_in_memory(name):
    case = CASES[name]
    networks, rates = case.networks(5), rates_of(CASES[name], 5)
    states, _, _ = train(case, networks, 8, rates)
    turned, _, _ = train(case, networks[::-1], 8, rates[::-1])
    assert_same_bits(states, turned[::-1])
    alone, _, _ = train(case, networks[3:4], 8, rates[3:4])
    assert_same_bits(states[3:4], alone)
    cuts = (case.batch_size, 3 * case.batch_size) if case.batch_size < 9 else ()
    cut, _, _ = train(case, networks, 8, rates, cuts=cuts, spoil=True)
    assert_same_bits(states, cut)


#: One of each kernel, and one with everything.
OF_A_KIND = [
    *("one output", "one output, float32", "samples", "samples, adam", "samples, penalised"),
    *("samples, limited", "momentum, everything", "batches", "rmsprop", "adam, everything"),
]


@pytest.mark.parametrize("name", slow_but(FAST[:1], OF_A_KIND))
def test_bits_do_not_depend_on_the_number_of_lanes(name):
    case = CASES[name]
    networks, rates, rng = case.networks(3), rates_of(CASES[name], 3), np.random.default_rng(3)
    orders = [np.array([rng.permutation(N) for _ in range(EPOCHS)]) for _ in networks]
    eight, _, _ = train(case, networks, 8, rates, orders=orders)
    four, _, _ = train(case, networks, 4, rates, orders=orders)
    assert_same_bits(eight, four)


@on_x86
@pytest.mark.slow
@pytest.mark.parametrize("machine", [AVX2, BASELINE], ids=["AVX2", "SSE2"])
def test_bits_do_not_depend_on_it_on_other_machines(machine):
    """Where so many lanes take other numbers of registers."""
    output = run(
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-m",
        "",
        __file__,
        "-k",
        "number_of_lanes",
        **machine,
    )
    assert re.search(rf"\b{len(OF_A_KIND)} passed", output)


@pytest.mark.parametrize("name", slow_but(["one output"], ["one output", "samples", "batches"]))
def test_rows_and_orders_of_own(name):
    case = CASES[name]
    networks, rates = case.networks(5), rates_of(case, 5)
    rng = np.random.default_rng(3)
    rows = [rng.integers(N, size=11) for _ in networks]
    orders = [np.array([rng.permutation(11) for _ in range(EPOCHS)]) for _ in networks]
    states, _, _ = train(case, networks, 8, rates, rows, orders)
    X, Y = case.data()
    for lane, (net, state) in enumerate(zip(networks, states, strict=True)):
        for order in orders[lane]:
            some = rows[lane][order]
            net.fit(
                X[some], Y[some], epochs=1, batch_size=case.batch_size, shuffle=False,
                learning_rate=float(rates[lane]),
            )  # fmt: skip
        np.testing.assert_allclose(state.parameters, net.parameters, rtol=1e-11, atol=1e-12)


WEIGHTED = ["adam, everything", "samples", "samples, relu", "samples, limited"]


@pytest.mark.parametrize("name", slow_but(WEIGHTED[:1], WEIGHTED))
def test_weights_of_own(name):
    case = CASES[name]
    networks, rates = case.networks(3), rates_of(case, 3)
    weights = np.random.default_rng(3).random((3, N))
    states, sums, _ = train(case, networks, 8, rates, weights=weights)
    for lane, (net, state) in enumerate(zip(networks, states, strict=True)):
        history = net.fit(
            *case.data(), epochs=EPOCHS, batch_size=case.batch_size, shuffle=False,
            optimizer=replace(case.optimizer, learning_rate=float(rates[lane])),
            sample_weight=weights[lane],
        )  # fmt: skip
        np.testing.assert_allclose(state.parameters, net.parameters, rtol=1e-11, atol=1e-12)
        assert sums[:, lane].sum() / N == pytest.approx(sum(history.loss), rel=1e-9)


@some_cases
def test_units_that_a_network_has_not_stay_zero(name):
    case = CASES[name]
    networks = case.networks(5)
    _, _, block = train(case, networks, 8, rates_of(case, 5))
    by_lane = block.parameters.reshape(-1, 8)
    for lane, net in enumerate(networks):
        assert np.count_nonzero(by_lane[:, lane]) <= len(net.parameters)


@pytest.mark.parametrize("name", slow_but(["one output"], ["one output", "samples", "batches"]))
def test_outputs_and_losses_of_a_block(name):
    case = CASES[name]
    networks, (X, Y) = case.networks(5), case.data()
    block = Block([net._architecture for net in networks], 8, 0)
    copies = []
    for factor in (0.5, 1.0):
        own = [net.parameters * factor for net in networks]
        block.put([(parameters, np.zeros((0, len(parameters))), 0) for parameters in own])
        copies.append(block.copy())
    weights = np.random.default_rng(3).random(N)
    vectors = block.vectors(copies)
    smaller, outputs = block.outputs(vectors, X)
    (less, losses), (_, weighted) = (
        block.losses(vectors, samples) for samples in (Samples(X, Y), Samples(X, Y, weights))
    )
    for lane, net in enumerate(networks):
        half = copy.deepcopy(net).set_parameters(net.parameters * 0.5)
        np.testing.assert_allclose(smaller[lane], half.predict(X), rtol=1e-12, atol=1e-14)
        assert less[lane] / N == pytest.approx(half.evaluate(X, Y)["loss"], rel=1e-11)
        np.testing.assert_array_equal(block.parameters_in(vectors, lane)[1], net.parameters)
        np.testing.assert_allclose(outputs[lane], net.predict(X), rtol=1e-12, atol=1e-14)
        assert losses[lane] / N == pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-11)
        each = [net.evaluate(X[k : k + 1], Y[k : k + 1])["loss"] for k in range(N)]
        assert weighted[lane] == pytest.approx(weights @ each, rel=1e-11)


@pytest.mark.own_kernels
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", losses.CLIPPED)
def test_clipped_losses_of_a_block(loss, dtype):
    case = Case((3, 4, 3), "relu", loss, dtype=dtype)
    networks, (X, Y) = case.networks(5), case.data()
    for net in networks:
        net._architecture = replace(net._architecture, loss=losses.CLIPPED[loss])
        net.set_parameters(net.parameters * 30)
    block = Block([net._architecture for net in networks], 8, 0)
    block.put([(net.parameters, np.zeros((0, net.n_parameters)), 0) for net in networks])
    sums = block.losses(block.vectors([block.copy()]), Samples(X, Y))
    for lane, net in enumerate(networks):
        evaluate = vectors.evaluator(net._architecture, False)
        expected = evaluate(net.parameters, Samples(X, Y))
        assert sums[0, lane] == pytest.approx(expected, rel=1e-11 if dtype == "float64" else 1e-5)


def test_how_many_lanes():
    """Registers of numbers: more for smaller networks, and no more than there are networks for."""
    small, middle, large = (
        fastnn.Network(sizes)._architecture for sizes in ([3, 4, 1], [1, 64, 1], [10, 32, 3])
    )
    one = lanes_of_register(8)
    assert lanes_for(small, 1, 1000) == 4 * one
    assert lanes_for(small, 1, 2 * one) == 2 * one
    assert lanes_for(small, 1, one) == one
    sizes = [lanes_for(network, 1, 1000) for network in (small, middle, large)]
    assert sizes == sorted(sizes, reverse=True)
    assert lanes_for(large, 32, 1000) <= lanes_for(large, 1, 1000)


@pytest.mark.parametrize(
    ("registers", "sizes", "batch_size", "expected"),
    [
        (32, [4, 10, 3], 1, 4),
        (32, [4, 10, 3], 8, 2),
        (32, [10, 32, 3], 1, 1),
        (16, [10, 32, 3], 1, 2),
        (16, [10, 32, 3], 8, 2),
    ],
)
def test_registers_are_shared_by_lanes(registers, sizes, batch_size, expected, monkeypatch):
    monkeypatch.setattr(many_engine, "vector_registers", lambda: registers)
    monkeypatch.setattr(llvm, "register_bits", lambda: 16 * registers)
    network = fastnn.Network(sizes, engine="numpy")._architecture
    assert lanes_for(network, batch_size, 1000) == expected * lanes_of_register(8)


def test_where_lanes_pay():
    """For larger networks where they are deep, or in batches that are small, or layers thin."""
    small, wide, deep, large = (
        fastnn.Network(sizes)._architecture
        for sizes in ([3, 4, 1], [7, 64, 4], [8, 32, 32, 4], [64, 128, 10])
    )
    paying = {
        batch_size: [pays(network, batch_size) for network in (small, wide, deep, large)]
        for batch_size in (1, 8, 256)
    }
    assert paying == {
        1: [True, False, True, False],
        8: [True, True, True, False],
        256: [True, True, False, False],
    }
