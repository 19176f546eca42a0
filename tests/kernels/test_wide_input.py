"""Blocks of samples, for wide first layers, against the plain loop, and where they pay."""

import numpy as np
import pytest
from helpers import in_turn
from problems import (
    SMALL,
    WIDE_FIRST_LAYER,
    WIDTHS,
    check_training,
    few_to_compile,
    make_problem,
    orders,
    slow_to_compile,
)

import fastnn
from fastnn.kernels import engine, layout, ready, samples, wide_input


@pytest.mark.parametrize(
    ("bits", "sizes", "paid"),
    [
        (512, (128, 33, 2), True),
        (512, (127, 300, 2), False),
        (512, (600, 32, 2), False),
        (256, (128, 33, 2), False),
        (256, (1000, 33, 2), True),
        (256, (48, 32, 3, 2), True),
        (256, (47, 320, 3, 2), False),
        (512, (200, 20), False),
        (512, (200, 33), True),
    ],
)
def test_blocks_pay_for_wide_first_layers(bits, sizes, paid, registers_of):
    """Sooner where there are more layers, and where registers are wide."""
    registers_of(bits)
    layers = layout.layer_table(fastnn.Network(sizes, engine="numpy")._architecture)
    assert wide_input.pays(layers, 8) == paid


def plain_loop(architecture):
    """For `engine._sample_kernel`: per-sample SGD as one would write it."""
    make = samples.make_train_samples
    return make(*ready.codes(architecture)), *samples.table(architecture)


def check_against_plain_loop(problem, monkeypatch, shuffled):
    """Where blocks are worked through at once, the result is that of the plain loop."""
    n = len(problem.samples)
    order, rates = orders(n, 3, shuffled), np.linspace(0.02, 0.05, 3)
    assert engine._sample_kernel(problem.architecture)[0].__name__ == "train_wide_input"
    got = problem.train(engine, 1, order, rates)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_sample_kernel", plain_loop)
        expected = problem.train(engine, 1, order, rates)
    for values, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-12, atol=1e-12)


in_blocks = in_turn("n", WIDTHS if SMALL else (*range(1, 67), 127, 128, 129, 200))


@pytest.mark.own_kernels
@pytest.mark.parametrize("path", few_to_compile(["wide first layer"], WIDE_FIRST_LAYER))
@in_blocks
def test_every_number_of_samples_in_blocks(path, n):
    check_training(make_problem(*WIDE_FIRST_LAYER[path], n=n), 1, shuffled=n % 2 == 0)


@slow_to_compile
@pytest.mark.parametrize("path", WIDE_FIRST_LAYER)
@in_blocks
def test_blocks_of_samples_equal_the_plain_loop(path, n, monkeypatch):
    check_against_plain_loop(
        make_problem(*WIDE_FIRST_LAYER[path], n=n), monkeypatch, shuffled=n % 2 == 0
    )


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_in_blocks_of_samples(width, monkeypatch):
    monkeypatch.setattr(wide_input, "pays", lambda layers, itemsize: True)
    # What other tests were given for the same architecture stays with them.
    monkeypatch.setattr(engine, "_sample_kernel", engine._sample_kernel.__wrapped__)
    n = 7 if SMALL else 70
    for sizes, loss, activation in (
        ([width, 5, 1], "binary_cross_entropy", "tanh"),
        ([3, width, 4], "cross_entropy", "relu"),
        ([3, width, width, 6, 2], "squared_error", "tanh"),
        ([width, 5, 6, width], "cross_entropy", "sigmoid"),
        ([width, width], "squared_error", "tanh"),
    ):
        problem = make_problem(sizes, loss, activation, n=n)
        check_against_plain_loop(problem, monkeypatch, shuffled=True)


@pytest.mark.slow
def test_blocks_without_biases(monkeypatch):
    for path in WIDE_FIRST_LAYER:
        sizes, loss, activation = WIDE_FIRST_LAYER[path]
        problem = make_problem(sizes, loss, activation, bias=False, n=70)
        check_against_plain_loop(problem, monkeypatch, shuffled=True)
