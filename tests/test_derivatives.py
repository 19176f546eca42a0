"""Derivatives with respect to the inputs, against differences of predictions and one another."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, replace

import numpy as np
import oracles
import pytest
from helpers import ACTIVATIONS, DTYPES, ENGINES, NUMBA_SLOW, in_turn, slow_but

import fastnn
from fastnn.engines import Derivatives, get_engine
from fastnn.reference import vectors_derivatives

STEP = 1e-5
#: The loss that an output activation goes with.
LOSS = {"softmax": "cross_entropy", "exp": "poisson"}
#: Relative to the largest number.
CLOSE = {"float64": 1e-12, "float32": 3e-5}


@dataclass(frozen=True)
class Case:
    activation: str
    depth: int
    output: str
    bias: bool = True
    dtype: str = "float64"
    outputs: int = 4

    @property
    def sizes(self) -> list[int]:
        return [3, *(5, 4, 6)[: self.depth], self.outputs]

    def network(self, engine: str, seed: int = 0, dtype: str | None = None) -> fastnn.Network:
        net = fastnn.Network(
            self.sizes, activation=self.activation, output_activation=self.output, bias=self.bias,
            loss=LOSS.get(self.output, "half_squared_error"), dtype=dtype or self.dtype,
            engine=engine,
        )  # fmt: skip
        numbers = np.random.default_rng(seed).normal(size=len(net.parameters))
        return net.set_parameters(numbers.astype(np.float32))


#: The kernels of these are the same, but for the dtype.
CORE = [
    Case("sigmoid", 2, "identity"),
    Case("sigmoid", 0, "sigmoid"),
    Case("sigmoid", 1, "sigmoid", outputs=2),
    Case("sigmoid", 3, "softmax"),
]
HIDDEN = [
    Case(name, 1 + k % 3, ("identity", "softmax", "tanh", "exp")[k % 4], k % 3 > 0, DTYPES[k % 2])
    for k, name in enumerate(ACTIVATIONS)
]
MORE = [
    Case("tanh", 0, "softmax"),
    Case("tanh", 0, "identity", False),
    Case("tanh", 0, "gelu"),
    Case("silu", 2, "silu", outputs=1),
    Case("tanh", 2, "softplus", outputs=2),
]
CASES = [*CORE, *HIDDEN, *MORE]


def everywhere(numba_fast=()):
    """Each engine with each case; in the faster pass numba only with those few."""
    fast = [(engine, case) for engine in ("python", "numpy") for case in CASES]
    fast += [("numba", case) for case in numba_fast]
    return pytest.mark.parametrize(
        ("engine", "case"),
        slow_but(fast, [(engine, case) for engine in ENGINES for case in CASES]),
        ids=str,
    )


@functools.cache
def rows(case: Case, n: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X away from kinks, directions of the inputs, factors of the outputs; exact in float32."""
    net = case.network("numpy", dtype="float64")
    names = [case.activation] * case.depth + [case.output]
    kinks = [oracles.KINKS.get(name, []) for name in names]
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X, U, V = (
            rng.normal(size=(n, width)).astype(np.float32).astype(float)
            for width in (case.sizes[0], case.sizes[0], case.sizes[-1])
        )
        Zs, _ = oracles.forward(net.weights, net.biases, names, X)
        gaps = [abs(Z - k).min() for Z, places in zip(Zs, kinks, strict=True) for k in places]
        if min(gaps, default=1.0) > 100 * STEP:
            return X, U, V
    raise AssertionError("no rows without kinks found")


@functools.cache
def definition(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Jacobians by differences of the oracle's outputs, and Hessians by those of Jacobians."""
    net = case.network("numpy", dtype="float64")
    names = [case.activation] * case.depth + [case.output]
    X = rows(case)[0]

    def outputs(X):
        return oracles.forward(net.weights, net.biases, names, X)[1][-1]

    return differences(outputs, X), differences(net.jacobian, X)


def differences(function, X):
    sides = [[function(X + side * STEP * unit) for side in (1, -1)] for unit in np.eye(X.shape[1])]
    return np.stack([(more - less) / (2 * STEP) for more, less in sides], axis=-1)


def close(got, expected, tolerance):
    size = max(1.0, float(abs(expected).max()))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * size)


@everywhere(CORE)
def test_first_derivatives(engine, case):
    X, U, V = rows(case)
    expected, _ = definition(case)
    net = case.network(engine)
    jacobian = net.jacobian(X)
    assert jacobian.dtype == case.dtype
    assert jacobian.shape == (len(X), case.sizes[-1], case.sizes[0])
    close(jacobian, expected, 1e-8 if case.dtype == "float64" else 3e-5)
    of_parameters, of_inputs = net.pullback(X, V)
    assert of_parameters.dtype == of_inputs.dtype == case.dtype
    exact = CLOSE[case.dtype]
    close(net.vjp(X, V), np.einsum("nki,nk->ni", jacobian, V), exact)
    close(net.jvp(X, U), np.einsum("nki,ni->nk", jacobian, U), exact)
    close(of_inputs, net.vjp(X, V), 0)


@everywhere()
def test_second_derivatives(engine, case):
    X, U, V = rows(case)
    _, expected = definition(case)
    net = case.network(engine)
    hessian = net.hessian(X)
    assert hessian.dtype == case.dtype
    assert hessian.shape == (len(X), case.sizes[-1], case.sizes[0], case.sizes[0])
    close(hessian, expected, 1e-8 if case.dtype == "float64" else 1e-4)
    close(hessian, hessian.transpose(0, 1, 3, 2), CLOSE[case.dtype])
    close(net.hvp(X, U, V), np.einsum("nkij,nj,nk->ni", hessian, U, V), CLOSE[case.dtype])


@everywhere(CORE)
def test_the_pullback_has_the_gradient_of_the_parameters(engine, case):
    X, _, V = rows(case)
    twin = case.network("numpy", dtype="float64")
    vector = twin.parameters
    expected = np.empty_like(vector)
    for k, value in enumerate(vector):
        sides = []
        for step in (STEP, -STEP):
            vector[k] = value + step
            sides.append((twin.predict(X) * V).sum())
        vector[k] = value
        expected[k] = (sides[0] - sides[1]) / (2 * STEP)
    got, _ = case.network(engine).pullback(X, V)
    close(got, expected, 2e-8 if case.dtype == "float64" else 3e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_pullback_of_a_losss_derivatives_is_its_gradient(engine):
    net = CORE[0].network(engine)
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(9, 3)), rng.normal(size=(9, 4))
    _, gradient = net.loss_and_gradient(X, Y)
    got, _ = net.pullback(X, (net.predict(X) - Y) / len(X))
    close(got, gradient, 1e-14)


@everywhere([case for case in CORE if case.depth])  # without any, a kernel more
def test_of_logits_they_are_those_of_a_network_that_ends_with_them(engine, case):
    X, U, V = rows(case)
    net = case.network(engine)
    linear = replace(case, output="identity").network(engine)
    for name, more in {"jacobian": (), "vjp": (V,), "jvp": (U,), "pullback": (V,)}.items():
        got, expected = (
            getattr(of, name)(X, *more, **options)
            for of, options in ((net, {"logits": True}), (linear, {}))
        )
        np.testing.assert_array_equal(np.hstack([a.ravel() for a in got]),
                                      np.hstack([a.ravel() for a in expected]))  # fmt: skip


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_second_derivatives_of_logits(engine):
    case = CORE[3]
    X, U, V = rows(case)
    net, linear = (
        c.network(engine) for c in (case, replace(case, output="identity"))
    )  # fmt: skip
    np.testing.assert_array_equal(net.hessian(X, logits=True), linear.hessian(X))
    np.testing.assert_array_equal(net.hvp(X, U, V, logits=True), linear.hvp(X, U, V))


#: Where there is no derivative, which is given: (activation, z, first, second).
AT_KINKS = [
    ("relu", 0.0, 0.0, 0.0),
    ("leaky_relu", 0.0, 0.01, 0.0),
    ("elu", 0.0, 1.0, 1.0),
    ("selu", 0.0, 1.0507009873554805 * 1.6732632423543772, 1.0507009873554805 * 1.6732632423543772),
    ("hard_tanh", 1.0, 0.0, 0.0),
    ("hard_tanh", -1.0, 0.0, 0.0),
]


@pytest.mark.parametrize("engine", slow_but(["python", "numpy"], ENGINES))
def test_what_is_given_where_there_is_no_derivative(engine):
    for name, z, first, second in AT_KINKS:
        if engine == "numba" and name in ("elu", "selu"):
            continue  # three kernels each, made as those of leaky_relu are
        net = fastnn.Network([1, 1], output_activation=name, engine=engine, bias=False)
        net.set_parameters([1.0])
        found = net.jacobian([[z]]).item(), net.hessian([[z]]).item()
        assert found == pytest.approx((first, second), rel=1e-14), name


@pytest.mark.parametrize("engine", ENGINES)
def test_many_rows_are_as_each_alone(engine):
    """More than a block of them."""
    case = CORE[0]
    net = case.network(engine)
    rng = np.random.default_rng(3)
    n = 600 if engine != "python" else 30
    X, U, V = (rng.normal(size=(n, width)) for width in (3, 3, 4))
    some = [0, 1, n // 2, n - 1]
    for name, more in {"jacobian": (), "vjp": (V,), "jvp": (U,)}.items():
        function = getattr(net, name)
        alone = [function(X[s : s + 1], *(a[s : s + 1] for a in more))[0] for s in some]
        close(function(X, *more)[some], np.array(alone), 1e-14)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_more_outputs_than_inputs_and_the_other_way(engine):
    """Either is taken one by one where they are fewer; many inputs lie differently in kernels."""
    rng = np.random.default_rng(4)
    wide = [[130, 4, 2], [130, 150]] if engine != "python" else []
    for sizes in ([2, 6, 5], [5, 6, 2], [3, 3], *wide):
        net = fastnn.Network(sizes, seed=1, engine=engine)
        X, U, V = (rng.normal(size=(5, width)) for width in (sizes[0], sizes[0], sizes[-1]))
        jacobian = net.jacobian(X)
        others = np.stack([net.vjp(X, np.tile(v, (5, 1))) for v in np.eye(sizes[-1])], axis=1)
        close(jacobian, others, 1e-14)
        close(net.jvp(X, U), np.einsum("nki,ni->nk", jacobian, U), 1e-13)
        close(net.vjp(X, V), np.einsum("nki,nk->ni", jacobian, V), 1e-13)


def test_numpy_takes_blocks_of_few_rows(monkeypatch):
    case = CORE[3]
    X, U, V = rows(case)
    net = case.network("numpy")
    whole = net.jacobian(X), net.hessian(X), net.hvp(X, U, V), *net.pullback(X, V)
    monkeypatch.setattr(vectors_derivatives, "MOST_BYTES", 1)
    parts = net.jacobian(X), net.hessian(X), net.hvp(X, U, V), *net.pullback(X, V)
    for a, b in zip(whole, parts, strict=True):
        close(b, a, 1e-13)


def test_dropout_and_penalties_have_no_part():
    X, _, V = rows(CORE[0])
    options = {"seed": 1, "engine": "numpy"}
    plain = fastnn.Network([3, 5, 4], **options)
    other = fastnn.Network([3, 5, 4], dropout=0.5, l1=0.1, l2=0.1, **options)
    for a, b in zip(plain.pullback(X, V), other.pullback(X, V), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def net():
    return fastnn.Network([3, 4, 2], seed=0, engine="numpy")


X, U, V = np.ones((5, 3)), np.ones((5, 3)), np.ones((5, 2))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda net: net.jacobian(np.ones((5, 2))), ValueError, "^X must have shape"),
        (lambda net: net.hessian([[1.0, np.nan, 0.0]]), ValueError, "^X must be finite"),
        (lambda net: net.vjp(X, V[:4]), ValueError,
         r"^V must have shape \(5, 2\), a row for each of X's, got shape \(4, 2\)"),
        (lambda net: net.vjp(X, np.ones(5)), ValueError, r"^V must have shape \(5, 2\)"),
        (lambda net: net.pullback(X, np.full((5, 2), np.inf)), ValueError, "^V must be finite"),
        (lambda net: net.jvp(X, "north"), TypeError, "^U must hold real numbers"),
        (lambda net: net.hvp(X, V, V), ValueError, r"^U must have shape \(5, 3\)"),
        (lambda net: net.hvp(X, U, U), ValueError, r"^V must have shape \(5, 2\)"),
        (lambda net: net.jacobian(X, logits=1), TypeError, "^logits must be True or False"),
    ],
)  # fmt: skip
def test_bad_arguments(net, call, kind, message):
    before = net.parameters.copy()
    with pytest.raises(kind, match=message):
        call(net)
    np.testing.assert_array_equal(net.parameters, before)


@in_turn("engine", ["python", "numpy"])
def test_what_is_not_a_number_is_refused(engine):
    net = fastnn.Network([1, 2, 1], activation="silu", engine=engine)
    net.parameters[:] = 1e200
    with pytest.raises(ValueError, match=r"^X must be smaller"):
        net.jacobian([[1e200]])
    net.parameters[0] = np.nan
    with pytest.raises(ValueError, match=r"^parameters must be finite"):
        net.pullback([[1.0]], [[1.0]])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_offers_the_contract(engine):
    names = [name for name in vars(Derivatives) if not name.startswith("_")]
    assert {"jacobian", "vjp", "hvp"} < set(names)
    for name in names:
        offered = inspect.signature(getattr(get_engine(engine).derivatives, name))
        wanted = list(inspect.signature(getattr(Derivatives, name)).parameters.values())[1:]
        assert len(offered.parameters) == len(wanted)
        offered.bind(*wanted)
