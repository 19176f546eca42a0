"""What test modules import: the engines, a grid over networks, data, and small measuring tools."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

import fastnn
from fastnn.training import cuts

ENGINES = ("python", "numpy", "numba")
#: The marks of tests that are not even made in this pass; see `conftest`.
left_out: tuple[str, ...] = ()


def slow_but(fast: Iterable, values: Iterable, own_kernels: Iterable = ()) -> list:
    """*values* to parametrize with: all but those in *fast* are left to the slower passes.

    Those in *own_kernels* are left to them as well, by that mark. A tuple is one value for each of
    several arguments.
    """
    fast, own_kernels = list(fast), list(own_kernels)

    def marked(value):
        if value in fast:
            return [value]
        mark = "own_kernels" if value in own_kernels else "slow"
        arguments = value if isinstance(value, tuple) else (value,)
        made = pytest.param(*arguments, marks=getattr(pytest.mark, mark))
        return [] if mark in left_out else [made]

    return [param for value in values for param in marked(value)]


def in_turn(name: str, values: Iterable):
    """Like `pytest.mark.parametrize`, but one test goes through all values: itself takes 3 ms.

    For many values of a kind that take less. A failure notes which it was. Fixtures are shared.
    """

    def decorate(test):
        @functools.wraps(test)
        def through_all(**arguments):
            __tracebackhide__ = True
            for value in values:
                try:
                    test(**arguments, **{name: value})
                except BaseException as error:
                    error.add_note(f"{name} = {value!r:.200}")
                    raise

        signature = inspect.signature(test)
        others = [p for p in signature.parameters.values() if p.name != name]
        through_all.__signature__ = signature.replace(parameters=others)
        return through_all

    return decorate


#: For tests whose kernels no other test needs: each takes seconds to compile.
NUMBA_SLOW = slow_but(["python", "numpy"], ENGINES)
#: For tests of many epochs with kernels that others need too: lists and floats take the longest.
PYTHON_SLOW = slow_but(["numpy", "numba"], ENGINES)
LOSSES = ("half_squared_error", "squared_error", "binary_cross_entropy", "cross_entropy",
          "absolute_error", "huber", "poisson", "hinge")  # fmt: skip
#: With several outputs for a target, or a parameter: see ``test_distributions.py``.
DISTRIBUTIONS = ("gaussian_nll", "quantile")
ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus",
               "silu", "gelu", "hard_tanh")  # fmt: skip
#: Of these, the first so many are tested in all combinations, the others in a part of them.
FIRST = 4
OUTPUTS = (1, 2, 3)
DEPTHS = (0, 1, 2, 3)
BIASES = (True, False)
DTYPES = ("float64", "float32")


class FromTheGrain(cuts.Pace):
    """Begins with one grain, whatever the engine may do."""

    def __init__(self, row_seconds):
        super().__init__(1e99)


#: For `fastnn.training.cuts`: names to values. Multiples of 64, the grain engines may count on.
SLICINGS = {
    "as it is": {},
    "64 rows a piece": {"PIECE_SECONDS": 1e-12},
    "192 rows a piece": {"PIECE_SECONDS": 1e-12, "GRAIN": 192},
    "growing pieces": {"PIECE_SECONDS": 1e9, "Pace": FromTheGrain},
    "all in one piece": {"GRAIN": 1 << 40},
    "one epoch a piece": {"GRAIN": 1 << 40, "MOST_ORDERED_ROWS": 1},
    "three epochs a piece": {"GRAIN": 1 << 40, "MOST_ORDERED_ROWS": 3 * 150},
}


@dataclass(frozen=True)
class Case:
    """One point of the grid of networks."""

    loss: str
    activation: str
    outputs: int
    depth: int
    bias: bool
    dtype: str

    def __str__(self) -> str:
        bias = "bias" if self.bias else "nobias"
        name = f"{self.loss}-{self.activation}-{self.outputs}out-{self.depth}deep"
        return f"{name}-{bias}-{self.dtype}"

    @property
    def sizes(self) -> list[int]:
        return [2, *(4, 3, 5)[: self.depth], self.outputs]

    def network(self, engine: str, seed: int = 0, **options) -> fastnn.Network:
        """The network of this case; its biases are random too."""
        net = fastnn.Network(
            self.sizes, activation=self.activation, loss=self.loss, bias=self.bias, seed=seed,
            **{"dtype": self.dtype, "engine": engine} | options,
        )  # fmt: skip
        rng = np.random.default_rng(seed)
        for b in net.biases:
            b[:] = rng.uniform(-0.5, 0.5, b.shape)
        return net

    def data(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        return data_for(self.loss, n, self.sizes[0], self.outputs, seed)


def full_grid(dtypes: tuple[str, ...] = DTYPES) -> list[Case]:
    """Every case of the `FIRST` losses and activations; without hidden layers, of one activation.

    Of the later ones, each with some others, biases or none and both dtypes come in turn.
    """
    variants = list(itertools.product(BIASES, dtypes))
    grid = [
        Case(LOSSES[i], ACTIVATIONS[j], outputs, depth, *variant)
        for i, j in some_pairs()
        for outputs, depth in itertools.product(OUTPUTS, DEPTHS)
        for k, variant in enumerate(variants)
        if max(i, j) < FIRST or k == (i + j // 4) % len(variants)
    ]
    at_depth_0 = {loss: ACTIVATIONS[i % FIRST] for i, loss in enumerate(LOSSES)}
    return [case for case in grid if case.depth > 0 or case.activation == at_depth_0[case.loss]]


def some_pairs() -> list[tuple[int, int]]:
    """Places in `LOSSES` and `ACTIVATIONS`: all of the `FIRST`; the later ones each with some."""
    pairs = itertools.product(range(len(LOSSES)), range(len(ACTIVATIONS)))
    return [(i, j) for i, j in pairs if max(i, j) < FIRST or i % FIRST == j % FIRST]


#: What the numba engine is tested with by default. Every distinct hidden activation, loss, bias and
#: dtype is seconds of compilation on an empty cache, so the others are marked slow there. Tests of
#: anything else take these too: the first, the defaults of `fastnn.Network`, costs nothing more.
CORE = [
    Case("half_squared_error", "sigmoid", 2, 2, True, "float64"),
    Case("half_squared_error", "sigmoid", 2, 0, True, "float64"),
    Case("cross_entropy", "relu", 3, 1, True, "float64"),
]
#: Of these, what numba is tested with in the quick pass by tests of all engines: one loss.
QUICK = CORE[:2]
SINGLE = Case("half_squared_error", "sigmoid", 3, 1, True, "float32")
#: Like these, but for the slower pass.
MORE = [
    SINGLE,
    Case("half_squared_error", "identity", 2, 1, True, "float64"),
    Case("squared_error", "tanh", 2, 3, False, "float64"),
    Case("binary_cross_entropy", "tanh", 2, 1, True, "float64"),
]


def telling_slice(dtypes: tuple[str, ...] = DTYPES) -> list[Case]:
    """`some_pairs` of a loss and an activation, the other properties changing from case to case.

    Cross-entropy has two outputs or three: of a single class it is always 0.
    """
    hidden = [
        Case(
            LOSSES[i], ACTIVATIONS[j], OUTPUTS[1 + j % 2 if i == 3 else (i + j) % 3],
            1 + (i + 2 * j) % 3,
            (i + j // 2) % 2 == 0, dtypes[(i // 2 + j) % len(dtypes)],
        )
        for i, j in some_pairs()
    ]  # fmt: skip
    flat = [
        Case(loss, "sigmoid", OUTPUTS[2 - i % 3], 0, i % 2 == 0, dtypes[i // 2 % len(dtypes)])
        for i, loss in enumerate(LOSSES)
    ]
    core = [case for case in CORE + MORE if case.dtype in dtypes]
    return core + [case for case in hidden + flat if case not in core]


def data_for(
    loss: str, n: int, n_in: int, n_out: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs, and targets (n, n_out) that *loss* takes; all exact in float32 too."""
    rng = np.random.default_rng([seed, n])
    X = rng.uniform(-1.5, 1.5, (n, n_in)).astype(np.float32).astype(float)
    if loss == "cross_entropy":
        return X, np.eye(n_out)[rng.integers(n_out, size=n)]
    if loss == "binary_cross_entropy":
        return X, rng.integers(0, 5, (n, n_out)) / 4
    if loss == "poisson":
        return X, rng.integers(0, 5, (n, n_out)).astype(float)
    if loss == "hinge":
        return X, rng.choice([-1.0, 1.0], (n, n_out))
    return X, rng.uniform(-2, 2, (n, n_out)).astype(np.float32).astype(float)


def has_its_turn(case: Case) -> bool:
    """Half of the cases: biases or none, in turn over losses and activations."""
    return case.bias == ((LOSSES.index(case.loss) + ACTIVATIONS.index(case.activation)) % 2 == 0)


def in_core(case: Case) -> bool:
    """Whether it is one of the few with which numba is tested more than others."""
    return case in CORE + MORE


def on_engines(
    cases: list[Case],
    engines: tuple[str, ...] = ENGINES,
    with_numba: Callable[[Case], bool] = lambda case: True,
    quick: Callable[[Case], bool] = lambda case: True,
):
    """Run a test with each engine and case; slow where numba compiles for another loss.

    *with_numba* says which of those beyond `CORE` numba has at all, *quick* which of them the
    other engines take in the quick pass. Cases that share compiled kernels are a group:
    with ``--dist loadgroup`` one worker has them.
    """

    def marks(engine: str, case: Case) -> list[pytest.MarkDecorator]:
        if case in QUICK:
            return []
        if engine != "numba":
            return [] if case in CORE or quick(case) else [pytest.mark.slow]
        kernels = f"{case.loss}, {case.activation}, {case.bias}, {case.dtype}"
        return [pytest.mark.slow, pytest.mark.xdist_group(kernels)]

    points = [
        pytest.param(engine, case, id=f"{engine}-{case}", marks=marks(engine, case))
        for engine in engines
        for case in cases
        if engine != "numba"
        or case in QUICK
        or ((case in CORE or with_numba(case)) and "slow" not in left_out)
    ]
    return pytest.mark.parametrize(("engine", "case"), points)


def random_state(rng: np.random.Generator) -> str:
    """The state of a generator, to compare."""
    with np.printoptions(threshold=100_000):
        return repr(rng.bit_generator.state)


@contextmanager
def unchanged(net: fastnn.Network, rng: np.random.Generator) -> Iterator[None]:
    """Assert that neither the parameters nor the random state change by a bit inside."""
    parameters, state = net.parameters.tobytes(), random_state(rng)
    yield
    assert net.parameters.tobytes() == parameters, "parameters have changed"
    assert random_state(rng) == state, "random state has changed"
