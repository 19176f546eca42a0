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
from fastnn import schedules

from .values import Hostile, OwnError

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


# Settings: made, then used


def _used(make: Callable[..., Any], use: Callable[[Any], Any]) -> Callable[..., Any]:
    """Make an object of the arguments, and use it."""
    return lambda **arguments: use(make(**arguments))


def optimizer(r: Random, engine: str) -> Call:
    """An optimiser of one's own, and a ``fit`` with it."""
    it = subject(r, engine)
    kind, settings = r.choice(
        [
            (fastnn.SGD, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.125}),
            (fastnn.SGD, {}),
            (fastnn.RMSprop, {"rho": 0.5, "epsilon": 1e-3}),
            (fastnn.Adagrad, {"epsilon": 1e-3}),
            (fastnn.Adam, {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 1e-3}),
            (fastnn.AdamW, {"weight_decay": 0.125}),
            (fastnn.LBFGS, {"max_evaluations": 9, "memory": 3, "tolerance": 1e-3}),
        ]
    )
    if kind is not fastnn.LBFGS:
        settings = settings | {"learning_rate": 0.125}
        settings |= r.choice([{}, {"clip_value": 0.5}, {"clip_norm": 0.5}])
    whole = ("max_evaluations", "memory")
    kinds = {name: "integer" if name in whole else "number" for name in settings}
    kinds |= {"nesterov": "flag"} if "nesterov" in settings else {}

    def use(made: Any) -> Any:
        history = it.network.fit(it.X, it.y, epochs=2, batch_size=3, optimizer=made)
        if kind is not fastnn.LBFGS:
            it.network.partial_fit(it.X, it.y, optimizer=made)
        return history

    return Call(
        kind.__name__, _used(kind, use), settings, kinds, it.network, ("optimizer",), trains=True
    )


def schedule(r: Random, engine: str) -> Call:
    """A schedule, its rates, and a ``fit`` with it."""
    it = subject(r, engine)
    kind, settings = r.choice(
        [
            (fastnn.StepDecay, {"initial_learning_rate": 0.5, "step_size": 2, "factor": 0.5}),
            (fastnn.ExponentialDecay,
             {"initial_learning_rate": 0.5, "decay_rate": 0.5, "decay_steps": 2}),
            (fastnn.InverseScaling, {"initial_learning_rate": 0.5, "power": 0.5}),
            (fastnn.CosineDecay, {"initial_learning_rate": 0.125, "decay_steps": 3, "alpha": 0.125,
                                  "warmup_target": 0.5, "warmup_steps": 2}),
            (fastnn.OneCycle, {"max_learning_rate": 0.5, "total_steps": 4, "pct_start": 0.5,
                               "div_factor": 4.0, "final_div_factor": 4.0}),
            (fastnn.ReduceOnPlateau, {"initial_learning_rate": 0.5, "monitor": "loss",
                                      "factor": 0.5, "patience": 1, "min_delta": 0.125,
                                      "min_rate": 0.0, "mode": "min"}),
        ]
    )  # fmt: skip
    counted = issubclass(kind, schedules.CountedSchedule)
    settings = settings | ({"per": r.choice(["epoch", "update"])} if counted else {})
    whole = ("step_size", "decay_steps", "warmup_steps", "total_steps", "patience")
    words = ("per", "monitor", "mode")
    kinds = {
        name: "integer" if name in whole else "name" if name in words else "number"
        for name in settings
    }

    def use(made: Any) -> Any:
        rates = made.rates(r.choice([0, 3, 10**9]), 6) if counted else np.zeros(1)
        history = it.network.fit(it.X, it.y, epochs=3, batch_size=3, learning_rate=made)
        return [rates, history]

    return Call(
        kind.__name__, _used(kind, use), settings, kinds, it.network, ("learning_rate",),
        trains=True,
    )  # fmt: skip


def stopping(r: Random, engine: str) -> Call:
    """``EarlyStopping``, and a ``fit`` with it."""
    it = subject(r, engine)
    settings, kinds = some(
        r,
        min_delta=("number", 0.0), patience=("integer", 1), start_from_epoch=("integer", 2),
        restore_best=("flag", True), mode=("name", "min"), target=("number", 0.0),
        max_seconds=("number", 0.5), monitor=("name", "loss"),
    )  # fmt: skip
    return Call(
        "EarlyStopping",
        _used(
            fastnn.EarlyStopping,
            lambda made: it.network.fit(it.X, it.y, epochs=3, early_stopping=made),
        ),
        settings, kinds, it.network, ("early_stopping",), trains=True,
    )  # fmt: skip


def callbacks(r: Random, engine: str) -> Call:
    """Callbacks that do what they should not."""
    it = subject(r, engine)
    deeds: dict[str, Callable[..., Any]] = {
        "nothing": lambda _net, _logs: None,
        "stops": lambda _net, _logs: True,
        "an array": lambda _net, _logs: np.array([1, 2]),
        "hostile": lambda _net, _logs: Hostile(),
        "raises": lambda _net, _logs: _raise(OwnError()),
        "interrupts": lambda _net, _logs: _raise(KeyboardInterrupt()),
        "exits": lambda _net, _logs: _raise(SystemExit(3)),
        "fits": lambda net, _logs: net.fit(it.X, it.y, epochs=2) is None,
        "fits partly": lambda net, _logs: net.partial_fit(it.X, it.y) < 0,
        "fits a stream": lambda net, _logs: net.fit_stream([(it.X, it.y)]) is None,
        "resets": lambda net, _logs: net.reset_optimizer() is None,
        "sets": lambda net, _logs: net.set_parameters(0 * net.parameters) is None,
        "spoils": lambda net, _logs: net.parameters.fill(np.nan),
        "predicts": lambda net, _logs: net.predict(it.X) is None,
        "clears the logs": lambda _net, logs: logs.clear(),
        "forgets the history": lambda net, _logs: setattr(net, "history", None),
        "clears the losses": lambda net, _logs: net.history.loss.clear(),
        "clears all lists": lambda net, _logs: _clear(net.history),
    }
    deed = r.choice(list(deeds))
    spoils = deed in ("spoils", "forgets the history")

    def run(**given: Any) -> Any:
        chain = [FromFunction(deeds[deed]), Quiet()]
        try:
            history = it.network.fit(it.X, it.y, callbacks=chain, **given)
        except (OwnError, KeyboardInterrupt, SystemExit):
            return None
        except RuntimeError as error:
            if deed.startswith("fits") and "being trained already" in str(error):
                return None
            raise
        if deed.startswith("fits"):
            return "was trained inside its own fit"
        if not spoils and history is not it.network.history:
            return "the network's history is another one than that returned"
        repr(history)
        return None if spoils or history.epochs <= given["epochs"] else "too many epochs"

    return Call(
        f"callback that {deed}", run, {"epochs": r.randrange(1, 4)}, {}, it.network, trains=True,
        names=("callbacks", "callback", "parameters", "on_epoch_end"), check=lambda wrong: wrong,
    )  # fmt: skip


def _raise(error: BaseException) -> None:
    raise error


def _clear(history: Any) -> None:
    """Empty all its lists."""
    for values in (history.loss, history.val_loss, history.metrics, history.learning_rate):
        values.clear()


def metrics(r: Random, engine: str) -> Call:
    """Metrics that are no functions of two arrays, or return no number."""
    it = subject(r, engine)
    functions: dict[str, Callable[..., Any]] = {
        "None": lambda _targets, _outputs: None,
        "arrays": lambda targets, _outputs: targets,
        "text": lambda _targets, _outputs: "1",
        "complex": lambda _targets, _outputs: 1 + 0j,
        "10**400": lambda _targets, _outputs: 10**400,
        "NaN": lambda _targets, _outputs: np.nan,
        "hostile": lambda _targets, _outputs: Hostile(),
        "own error": lambda _targets, _outputs: _raise(OwnError()),
        "of one": lambda _targets: 1.0,
        "of three": lambda _targets, _outputs, _weights: 1.0,
        "of none": lambda: 1.0,
        "that writes": lambda _targets, outputs: outputs.fill(3) or 1.0,
        "array of one": lambda _targets, _outputs: np.ones((1, 1)),
    }
    name = r.choice(list(functions))
    function = functions[name]
    if r.random() < 0.3:
        return Call(
            f"evaluate with a metric: {name}", it.network.evaluate,
            {"X": it.X, "y": it.y, "metrics": [function]}, {}, it.network,
            names=("metric",),
        )  # fmt: skip
    return Call(
        f"fit with a metric: {name}", it.network.fit,
        {"X": it.X, "y": it.y, "epochs": 2, "batch_size": 3, "metrics": [function]}, {},
        it.network, names=("metric",), trains=True,
    )  # fmt: skip


def warmup(r: Random, engine: str) -> Call:
    """``warmup``."""
    it = subject(r, engine)
    return Call(
        "warmup",
        lambda networks, **rest: fastnn.warmup(*[networks], **rest) >= 0,
        {"networks": it.network, "batch_sizes": [1, 3], "optimizer": "sgd"},
        {"networks": "other", "batch_sizes": "sizes", "optimizer": "optimizer"}, it.network,
        names=("network",),
    )  # fmt: skip


def profile(r: Random, _engine: str) -> Call:
    """``profile``, the shortest there is."""
    arguments: dict[str, Any] = {"quick": True, "seconds": 0.02, "engines": ["numpy"]}
    kinds = {"quick": "flag", "engines": "names", "progress": "flag"}
    if r.random() < 0.5:
        arguments |= {"ops": "dot", "sizes": [8], "progress": False}
        kinds |= {"ops": "names", "sizes": "small sizes"}
    else:
        arguments |= {"network": [2, 3, 1], "samples": 4, "batch_size": 2}
        kinds |= {"network": "small sizes", "samples": "small integer",
                  "batch_size": "small integer"}  # fmt: skip
    return Call(
        "profile", lambda **given: bool(fastnn.profile(**given).notes), arguments, kinds,
        names=("layer_sizes",),
    )  # fmt: skip


NETWORK_DOORS = (
    construct, fit, fit, fit, fit_stream, partial_fit, partial_fit, predict, layer_outputs,
    evaluate, loss_and_gradient, set_parameters, talk, optimizer, schedule, stopping, callbacks,
    metrics, warmup, optimizer, optimizer, schedule,
)  # fmt: skip
