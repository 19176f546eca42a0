"""What there is to do: networks with their data, the same for every contestant."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import fastnn
from fastnn.demos.checks import celsius, curve, gate

#: Makes the data of a problem: inputs and targets.
Data = Callable[["Problem"], tuple[np.ndarray, np.ndarray]]


def curve_points(problem: "Problem") -> tuple[np.ndarray, np.ndarray]:
    """The samples of the document `curve`."""
    x = curve.samples(problem.n)
    return x[:, np.newaxis], curve.curve(x)[:, np.newaxis]


def gate_cases(problem: "Problem") -> tuple[np.ndarray, np.ndarray]:
    """The four cases of the document `gate`."""
    return gate.TWO_LAYER_X, np.array(gate.TWO_LAYER_Y)[:, np.newaxis]


def temperatures(problem: "Problem") -> tuple[np.ndarray, np.ndarray]:
    """The 100 temperatures of the document `celsius`."""
    return celsius.CELSIUS[:, np.newaxis], celsius.FAHRENHEIT[:, np.newaxis]


def normal_numbers(problem: "Problem") -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets drawn from the normal distribution."""
    random = np.random.default_rng(0)
    return (
        random.normal(size=(problem.n, problem.sizes[0])),
        random.normal(size=(problem.n, problem.sizes[-1])),
    )


def pictures(problem: "Problem") -> tuple[np.ndarray, np.ndarray]:
    """Inputs like handwritten digits, a fifth of the pixels not zero, and one-hot classes."""
    random = np.random.default_rng(0)
    shape = (problem.n, problem.sizes[0])
    X = random.uniform(size=shape) * (random.uniform(size=shape) < 0.2)
    return X, np.eye(problem.sizes[-1])[np.arange(problem.n) % problem.sizes[-1]]


@dataclass(frozen=True)
class Problem:
    """A network, its data, and how it is trained.

    Attributes
    ----------
    n : int
        Number of samples.
    batch : int, optional
        Samples per update; None takes all.
    optimizer : {"sgd", "momentum", "adam"}
        Momentum is 0.9; the rest of Adam's settings are the usual ones.
    quick : bool
        Whether it is part of ``--quick``.
    all_cores : bool
        Whether every core may be used; otherwise one.
    """

    sizes: tuple[int, ...]
    data: Data
    n: int
    batch: int | None = 1
    epochs: int = 1
    rate: float = 0.01
    activation: str = "sigmoid"
    output: str = "identity"
    loss: str = "half_squared_error"
    bias: bool = True
    optimizer: str = "sgd"
    dtype: str = "float64"
    quick: bool = False
    all_cores: bool = False

    @property
    def size(self) -> str:
        """The layer sizes, as ``784-128-10``; equal ones in a row as ``32x8``."""
        parts = []
        for size in self.sizes:
            if parts and parts[-1][0] == size:
                parts[-1][1] += 1
            else:
                parts.append([size, 1])
        return "-".join(f"{size}x{times}" if times > 2 else "-".join([f"{size}"] * times)
                        for size, times in parts)  # fmt: skip

    @property
    def label(self) -> str:
        """Size, dtype, batch and cores in words."""
        batch = {1: "per sample", None: f"all {self.n:,} samples"}.get(
            self.batch, f"batch {self.batch}"
        )
        rule = [self.optimizer] if self.optimizer != "sgd" else []
        return ", ".join([self.size, self.dtype, batch, *rule, *["all cores"] * self.all_cores])

    @property
    def batch_size(self) -> int:
        """Samples per update, as a number."""
        return self.batch or self.n

    @property
    def updates(self) -> int:
        """How many updates a run makes."""
        return self.epochs * -(-self.n // self.batch_size)

    @property
    def n_parameters(self) -> int:
        """How many weights and biases there are."""
        return len(self.start)

    @functools.cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        arrays = tuple(np.ascontiguousarray(a, dtype=self.dtype) for a in self.data(self))
        for array in arrays:
            array.flags.writeable = False
        return arrays

    @property
    def X(self) -> np.ndarray:
        """Inputs, shape (n, n_in), read-only."""
        return self._arrays[0]

    def own_X(self) -> np.ndarray:
        """Inputs as a user has them: an array of one's own, which may be written to."""
        return self.X.copy()

    @property
    def Y(self) -> np.ndarray:
        """Targets, shape (n, n_out), read-only; classes are one-hot rows."""
        return self._arrays[1]

    @functools.cached_property
    def start(self) -> np.ndarray:
        """The parameters that everybody starts from, flat."""
        if self.data is gate_cases:
            return gate.gate.start([3, 4, 1]).astype(self.dtype)
        return self._new_network("numpy").parameters

    def _new_network(self, engine: str) -> fastnn.Network:
        return fastnn.Network(
            self.sizes,
            activation=self.activation,
            output_activation=self.output,
            loss=self.loss,
            bias=self.bias,
            dtype=self.dtype,
            seed=2,
            engine=engine,
        )

    def make_optimizer(self) -> fastnn.SGD | fastnn.Adam:
        """The optimiser for ``fit``."""
        if self.optimizer == "adam":
            return fastnn.Adam(self.rate)
        return fastnn.SGD(self.rate, momentum=0.9 if self.optimizer == "momentum" else 0.0)

    def network(self, engine: str) -> fastnn.Network:
        """The network at its start."""
        return self._new_network(engine).set_parameters(self.start)

    def layers(self, vector: np.ndarray) -> list[list[np.ndarray]]:
        """Copies of weights (n_in, n_out), and of biases if there are any, layer by layer."""
        parts, at = [], 0
        for n_in, n_out in itertools.pairwise(self.sizes):
            layer = [vector[at : at + n_in * n_out].reshape(n_in, n_out).copy()]
            at += n_in * n_out
            if self.bias:
                layer.append(vector[at : at + n_out].copy())
                at += n_out
            parts.append(layer)
        return parts

    def expected(self, operation: str) -> np.ndarray:
        """What *operation* must come to: by the NumPy engine in float64."""
        return _expected(self, operation)


@functools.lru_cache(maxsize=4)  # the contestants of a group come one after the other
def _expected(problem: Problem, operation: str) -> np.ndarray:
    # Everybody starts from the same numbers, rounded to this problem's dtype.
    exact = replace(problem, dtype="float64")
    net = exact.network("numpy").set_parameters(problem.start.astype("float64"))
    X, Y = problem.X.astype("float64"), problem.Y.astype("float64")
    if operation == "predict":
        return net.predict(X).ravel()
    if operation == "gradient":
        return net.loss_and_gradient(X, Y)[1]
    net.fit(
        X,
        Y,
        epochs=problem.epochs,
        batch_size=problem.batch,
        optimizer=problem.make_optimizer(),
        shuffle=False,
    )
    return net.parameters


CURVE = Problem((1, 128, 1), curve_points, n=1000, epochs=20, rate=0.1, quick=True)
CURVE_FLOAT32 = replace(CURVE, dtype="float32", quick=False)
GATE = Problem(
    (3, 4, 1), gate_cases, n=4, epochs=5000, rate=0.1, output="sigmoid", bias=False, quick=True
)
CELSIUS = Problem(
    (1, 1), temperatures, n=100, batch=None, epochs=1000, rate=0.001,
    loss="squared_error", quick=True,
)  # fmt: skip
SMALL = Problem(
    (24, 8, 2), normal_numbers, n=200, batch=None, epochs=1000, activation="tanh",
    loss="squared_error", dtype="float32",
)  # fmt: skip
DIGITS = Problem(
    (784, 128, 10), pictures, n=512, epochs=2, activation="relu", output="softmax",
    loss="cross_entropy", dtype="float32",
)  # fmt: skip
WIDE_DIGITS = replace(DIGITS, sizes=(784, 512, 10), n=256)

PER_SAMPLE = [
    GATE,
    CURVE,
    CURVE_FLOAT32,
    DIGITS,
    WIDE_DIGITS,
    replace(WIDE_DIGITS, n=512, epochs=2, all_cores=True),
]
#: As many updates as make what a call costs in Python small: 100,000.
LONG = [
    replace(problem, epochs=100_000 // problem.n, quick=False)
    for problem in (GATE, CURVE, CURVE_FLOAT32)
]
#: What a better optimiser costs over plain SGD.
BY_RULE = [
    replace(CURVE, optimizer=optimizer, epochs=5, rate=0.001, quick=False)
    for optimizer in ("momentum", "adam")
]
FULL_BATCH = [CELSIUS, SMALL, replace(CURVE, batch=None, epochs=20, quick=False)]
MINI_BATCH = [
    replace(SMALL, batch=20, epochs=50, quick=True),
    replace(DIGITS, batch=32, n=1280, epochs=4),
    replace(DIGITS, batch=128, n=2048, epochs=4),
    replace(DIGITS, batch=128, n=2048, epochs=4, all_cores=True),
]
#: Forward, and forward and backward, with all samples at once.
BATCHES = [
    replace(GATE, batch=None, quick=False),
    replace(CURVE, batch=None),
    replace(SMALL, quick=False),
    replace(DIGITS, batch=None, n=256),
    replace(WIDE_DIGITS, batch=None, n=64),
]
PREDICT_ONE = [
    replace(CURVE_FLOAT32, n=1, quick=True),
    replace(CURVE, n=1, quick=False),
    replace(DIGITS, n=1),
]
PREDICT_MANY = [
    replace(CURVE_FLOAT32, n=10_000, batch=None, quick=True),
    replace(DIGITS, n=10_000, batch=None),
]
