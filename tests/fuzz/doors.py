"""The public doors: each draws a valid call, one or two of whose arguments are then made odd."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

import fastnn

#: The networks of the fuzz: few, as each compiles kernels of its own, and such as other tests have.
FAMILIES = [
    {"layer_sizes": [2, 4, 2]},
    {"layer_sizes": [2, 4, 1], "dtype": "float32"},
    {"layer_sizes": [2, 2]},
    {"layer_sizes": [2, 4, 1], "activation": "tanh", "loss": "binary_cross_entropy"},
    {"layer_sizes": [3, 4, 3], "activation": "relu", "loss": "cross_entropy"},
    {"layer_sizes": [1, 4, 1], "activation": "tanh", "loss": "poisson"},
]
#: And the optimisers that go with each.
OPTIMIZERS = [
    ["sgd", "adam", "lbfgs"], ["sgd", "adam"], ["sgd"], ["sgd", fastnn.SGD(momentum=0.5)],
    ["sgd", "adam"], ["sgd"],
]  # fmt: skip


@dataclass
class Call:
    """A call of a public function: what is asked, of whom, and what may be found afterwards."""

    door: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    kinds: dict[str, str]
    network: fastnn.Network | None = None
    #: Other names than the arguments' that a message may give.
    names: tuple[str, ...] = ()
    trains: bool = False
    #: Whether the caller wants floating-point errors raised.
    strict: bool = False
    #: Whether scikit-learn has the same, to compare with.
    has_peer: bool = False
    #: Checks the result; what is wrong with it, or None.
    check: Callable[[Any], str | None] = lambda _result: None
    odd: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For reports: the door, and the odd arguments."""
        odd = ", ".join(f"{name}={it.label}" for name, it in self.odd.items())
        return f"{self.door}({odd})" + " with np.errstate(all='raise')" * self.strict


@dataclass
class Subject:
    """A network with a past, and valid data for it."""

    network: fastnn.Network
    X: np.ndarray
    y: np.ndarray
    optimizers: list[Any]


def subject(r: Random, engine: str) -> Subject:
    """A network of one of the families, perhaps trained before."""
    k = r.randrange(len(FAMILIES))
    network = fastnn.Network(**FAMILIES[k], seed=r.randrange(9), engine=engine)
    X, y = data(network, r.randrange(3, 9), r)
    past = r.randrange(5)
    if past == 1:
        network.fit(X, y, epochs=2, batch_size=3, optimizer=OPTIMIZERS[k][-1])
    elif past == 2:
        network.partial_fit(X, y, learning_rate=1)
    elif past == 3:
        network.fit(X, y, epochs=1, batch_size=3)
        network = pickle.loads(pickle.dumps(network))
    elif past == 4:
        network.partial_fit(X, y, optimizer=OPTIMIZERS[k][1] if k in (1, 4) else "sgd")
        network = copy.deepcopy(network)
    return Subject(network, X, y, OPTIMIZERS[k])


def data(network: fastnn.Network, n: int, r: Random) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that float16 holds exactly, and targets that the network's loss takes."""
    rng = np.random.default_rng(r.getrandbits(32))
    n_in, *_, n_out = network.layer_sizes
    X = rng.integers(-16, 17, (n, n_in)) / 8
    loss = network._architecture.loss.name
    if loss == "cross_entropy":
        return X, rng.integers(0, n_out, n).astype(float)
    highest = {"binary_cross_entropy": 1, "poisson": 4}.get(loss)
    y = (
        rng.integers(-8, 9, (n, n_out)) / 8
        if highest is None
        else rng.integers(0, highest + 1, (n, n_out)).astype(float)
    )
    return X, y[:, 0] if n_out == 1 and r.random() < 0.5 else y


def some(r: Random, **values: tuple[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """About a third of these optional arguments, and the kinds of all that were taken."""
    taken = {name: it for name, it in values.items() if r.random() < 0.35}
    return {name: it[1] for name, it in taken.items()}, {name: it[0] for name, it in taken.items()}


def weights(n: int, r: Random) -> np.ndarray:
    """Weights of samples."""
    return np.array([r.choice([0.5, 1.0, 2.0]) for _ in range(n)])


def rate(r: Random) -> Any:
    """A learning rate or a schedule."""
    return r.choice([0.125, 1, fastnn.StepDecay(0.5, 1), fastnn.CosineDecay(0.5, 3, per="update")])


# The network


def construct(r: Random, engine: str) -> Call:
    """``Network(...)``, and one prediction."""
    family = FAMILIES[r.randrange(len(FAMILIES))]
    loss = family.get("loss", "half_squared_error")
    hidden = len(family["layer_sizes"]) - 2
    more, kinds = some(
        r,
        reduction=("name", "sum"), bias=("flag", True), initializer=("name", "he_normal"),
        l1=("number", 0.0), l2=("number", 0.125), max_norm=("number", 4.0),
        dropout=("rates", 0.0), label_smoothing=("number", 0.0),
        output_activation=("name", None), loss=("name", loss),
        activation=("names", family.get("activation", "tanh") if hidden else "tanh"),
        dtype=("dtype", family.get("dtype", "float64")),
    )  # fmt: skip
    arguments = {**family, **more, "seed": 1}
    all_kinds = {"layer_sizes": "sizes", "seed": "seed", **dict.fromkeys(family, "name"), **kinds}
    all_kinds |= {"layer_sizes": "sizes", "activation": "names", "dtype": "dtype"}

    def make(**given: Any) -> Any:
        network = fastnn.Network(engine=engine, **given)
        outputs = network.predict(np.zeros((2, network.layer_sizes[0])))
        return [network.parameters.copy(), outputs]

    return Call("Network", make, arguments, all_kinds, names=("dtype",))


def fit(r: Random, engine: str) -> Call:
    """``fit``, with any of its arguments."""
    it = subject(r, engine)
    n = len(it.X)
    classes = it.network._architecture.loss.name in ("cross_entropy", "binary_cross_entropy")
    optimizer = r.choice(it.optimizers)
    own_rate = optimizer == "lbfgs" or isinstance(optimizer, fastnn.SGD)
    arguments, kinds = some(
        r,
        epochs=("integer", r.randrange(1, 4)), shuffle=("flag", r.random() < 0.5),
        learning_rate=("number", None if own_rate else rate(r)),
        validation_data=("pair", (it.X.copy(), it.y.copy())),
        sample_weight=("array", weights(n, r)),
        class_weight=("weights", {0: 2.0} if classes else None),
        metrics=("metrics", ["mean_squared_error"]), progress=("flag", False),
        callbacks=("callbacks", [Quiet()]),
    )  # fmt: skip
    if "validation_data" not in arguments and r.random() < 0.2:
        arguments["validation_split"], kinds["validation_split"] = 0.25, "number"
    arguments |= {"batch_size": r.choice([1, 3, 3, None]), "optimizer": optimizer}
    kinds |= {"batch_size": "integer", "optimizer": "optimizer"}
    # Whatever the number of epochs.
    arguments["early_stopping"] = fastnn.EarlyStopping(max_seconds=0.5, patience=None)
    return Call(
        "fit", it.network.fit, {"X": it.X, "y": it.y, **arguments},
        {"X": "array", "y": "array", **kinds}, it.network, trains=True,
        check=lambda history: _history_is(history, it.network),
    )  # fmt: skip


def fit_stream(r: Random, engine: str) -> Call:
    """``fit_stream`` from a list, a function, or a generator."""
    it = subject(r, engine)
    parts = [(it.X, it.y), (it.X[::-1], it.y[::-1], weights(len(it.X), r))]
    forms = [parts, lambda: iter(parts), [[*part] for part in parts]]
    optimizer = r.choice([one for one in it.optimizers if one != "lbfgs"])
    arguments, kinds = some(
        r,
        epochs=("integer", r.randrange(1, 3)), shuffle=("flag", False), progress=("flag", False),
        learning_rate=("number", None if isinstance(optimizer, fastnn.SGD) else rate(r)),
    )  # fmt: skip
    if "epochs" in arguments:
        kinds["epochs"] = "small integer"  # chunks without end have no limit of time
    return Call(
        "fit_stream", it.network.fit_stream,
        {"chunks": r.choice(forms), "batch_size": r.choice([1, 3, None]), "optimizer": optimizer,
         **arguments},
        {"chunks": "chunks", "batch_size": "integer", "optimizer": "optimizer", **kinds},
        it.network, names=("chunk", "X", "y", "sample_weight"), trains=True,
        check=lambda history: _history_is(history, it.network),
    )  # fmt: skip


def partial_fit(r: Random, engine: str) -> Call:
    """``partial_fit``, perhaps after one with nearly the same arguments."""
    it = subject(r, engine)
    arguments, kinds = some(
        r,
        learning_rate=("number", r.choice([1, 0.125, None])),
        optimizer=("optimizer", r.choice(["sgd", None])),
        sample_weight=("array", weights(len(it.X), r)),
    )
    if r.random() < 0.5:
        with contextlib.suppress(fastnn.TrainingDivergedError):
            it.network.partial_fit(it.X, it.y, **arguments)
    return Call(
        "partial_fit", it.network.partial_fit, {"X": it.X, "y": it.y, **arguments},
        {"X": "array", "y": "array", **kinds}, it.network, trains=True,
    )  # fmt: skip


def predict(r: Random, engine: str) -> Call:
    """``predict``."""
    it = subject(r, engine)
    n_out, dtype = it.network.layer_sizes[-1], it.network.dtype

    def check(outputs: Any) -> str | None:
        well = type(outputs) is np.ndarray and outputs.dtype == dtype
        return None if well and outputs.shape[1:] == (n_out,) else "an array of another kind"

    return Call("predict", it.network.predict, {"X": it.X}, {"X": "array"}, it.network, check=check)


def layer_outputs(r: Random, engine: str) -> Call:
    """``layer_outputs``."""
    it = subject(r, engine)
    sizes = it.network.layer_sizes[1:]

    def check(outputs: Any) -> str | None:
        return None if [each.shape[1] for each in outputs] == [*sizes] else "other shapes"

    return Call(
        "layer_outputs", it.network.layer_outputs, {"X": it.X}, {"X": "array"}, it.network,
        check=check,
    )  # fmt: skip


def evaluate(r: Random, engine: str) -> Call:
    """``evaluate``."""
    it = subject(r, engine)
    arguments, kinds = some(
        r,
        sample_weight=("array", weights(len(it.X), r)),
        metrics=("metrics", ["mean_absolute_error", "r2"]),
    )
    return Call(
        "evaluate", it.network.evaluate, {"X": it.X, "y": it.y, **arguments},
        {"X": "array", "y": "array", **kinds}, it.network,
    )  # fmt: skip


def loss_and_gradient(r: Random, engine: str) -> Call:
    """``loss_and_gradient``."""
    it = subject(r, engine)

    def check(result: Any) -> str | None:
        loss, gradient = result
        well = type(loss) is float and gradient.shape == it.network.parameters.shape
        return None if well and gradient.dtype == it.network.dtype else "other shapes or types"

    return Call(
        "loss_and_gradient", it.network.loss_and_gradient, {"X": it.X, "y": it.y},
        {"X": "array", "y": "array"}, it.network, check=check,
    )  # fmt: skip


def set_parameters(r: Random, engine: str) -> Call:
    """``set_parameters``."""
    it = subject(r, engine)
    vector = np.array([r.randrange(-8, 9) / 8 for _ in it.network.parameters])
    return Call(
        "set_parameters", it.network.set_parameters, {"vector": vector}, {"vector": "array"},
        it.network, trains=True,
    )  # fmt: skip


def talk(r: Random, engine: str) -> Call:
    """What takes no arguments: printing, copying, forgetting."""
    it = subject(r, engine)
    encoding = r.choice(["ascii", "cp1252", "utf-8"])

    def everything() -> Any:
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding)):
            print(it.network.summary(), it.network, it.network.history, flush=True)
        twin = pickle.loads(pickle.dumps(copy.copy(copy.deepcopy(it.network))))
        before = twin.predict(it.X)
        twin.reset_optimizer().partial_fit(it.X, it.y)
        return [before, twin.parameters.copy()]

    return Call(f"summary, copies, reset ({encoding})", everything, {}, {}, it.network)


def _history_is(history: Any, network: fastnn.Network) -> str | None:
    if history is not network.history:
        return "the network's history is another one than that returned"
    lists = [history.loss, history.learning_rate]
    if any(len(values) != history.epochs for values in lists):
        return "lists of the history of other lengths than its epochs"
    return None


class Quiet:
    """A callback that does nothing."""

    def on_epoch_end(self, network, epoch, logs):
        """Nothing."""


class FromFunction:
    """A callback made from a function."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def on_epoch_end(self, network, epoch, logs):
        """Whatever the function does."""
        return self._function(network, logs)
