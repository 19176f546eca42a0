"""Derivatives on the numba engine against the NumPy engine."""

from __future__ import annotations

import collections
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from problems import SMALL, make_problem, slow_to_compile

from fastnn.activations import ACTIVATIONS
from fastnn.kernels import derivative_engine, derivatives
from fastnn.reference import vectors_derivatives

CLOSE = {"float64": 1e-11, "float32": 5e-5}
N = 5 if SMALL else 400


def check(sizes, hidden, output, bias=True, dtype="float64", n=N):
    """Every function of both engines, and the gradients that they add to."""
    problem = make_problem(sizes, "half_squared_error", hidden, bias=bias, dtype=dtype, n=n)
    activations = (*problem.architecture.activations[:-1], ACTIVATIONS[output])
    architecture = replace(problem.architecture, activations=activations)
    rng = np.random.default_rng(2)
    X = problem.samples.X
    U, V = (rng.normal(size=(n, width)).astype(dtype) for width in (sizes[0], sizes[-1]))
    added = []
    for name, more in {
        "jacobian": (), "vjp": (V,), "jvp": (U,), "hessian": (), "hvp": (U, V), "gradient": (V,)
    }.items():  # fmt: skip
        found = []
        for engine in (derivative_engine, vectors_derivatives):
            if name == "gradient":
                added.append(np.ones_like(problem.parameters))
                more = (V, added[-1])
            function = getattr(engine, name if name != "gradient" else "vjp")
            found.append(function(architecture, problem.parameters, X, *more))
        size = abs(found[1]).max()
        np.testing.assert_allclose(*found, rtol=0, atol=CLOSE[dtype] * max(1, size), err_msg=name)
    np.testing.assert_allclose(*added, rtol=CLOSE[dtype] * 50, atol=CLOSE[dtype] * 10)


NAMES = sorted(set(ACTIVATIONS) - {"softmax", "exp"})


@slow_to_compile
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float64") for name in NAMES), ("gelu", "float32")],
)
def test_every_activation_at_every_depth(name, dtype):
    for sizes in ([3, 2], [3, 7, 2], [2, 5, 20, 3], [4, 3, 6, 5, 2]):
        check(sizes, name, "softmax" if len(sizes) % 2 else name, dtype=dtype)


@slow_to_compile
def test_several_activations_and_no_biases():
    check([3, 7, 6, 2], ["tanh", "silu"], "exp", bias=False)
    check([3, 7, 6, 2], ["tanh", "silu"], "softmax", bias=False)


@slow_to_compile
def test_wide_layers_and_inputs():
    """Inputs that lie (n, n_in), products that are too large for long blocks."""
    check([120, 4], "tanh", "tanh", n=3)
    if not SMALL:
        check([120, 30, 140], "tanh", "tanh", n=11)
        check([5, 400, 300, 8], "tanh", "tanh", n=90)


def test_blocks_are_as_small_as_the_memory_for_them(monkeypatch):
    architecture = make_problem([3, 7, 2], "half_squared_error").architecture
    whole = derivatives.find_places(architecture, 3, 2, curved=True, squared=True)
    assert whole.block == derivatives.BLOCK
    monkeypatch.setattr(derivatives, "MOST_BYTES", 8 * int(whole.end) // int(whole.block) * 11)
    assert derivatives.find_places(architecture, 3, 2, curved=True, squared=True).block == 8
    monkeypatch.setattr(derivatives, "MOST_BYTES", 1)
    one = derivatives.find_places(architecture, 3, 2, curved=True, squared=True)
    assert one.block == 1
    assert one.end * whole.block == whole.end


def test_a_workspace_that_does_not_fit_hides_none_that_does(monkeypatch):
    large, small = np.empty(64), np.empty(8)
    monkeypatch.setattr(derivative_engine, "_idle", collections.deque([large, small]))
    taken = derivative_engine._take_workspace(SimpleNamespace(end=64), np.dtype(float))
    assert taken is large
    assert list(derivative_engine._idle) == [small]
