"""Doors of settings: optimisers, schedules, stopping, callbacks and metrics, warming, profiles."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

import fastnn
from fastnn import schedules

from .doors import Call, FromFunction, Quiet, some, subject
from .values import Hostile, OwnError


def used(make: Callable[..., Any], use: Callable[[Any], Any]) -> Callable[..., Any]:
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
        kind.__name__, used(kind, use), settings, kinds, it.network, ("optimizer",), trains=True
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
        kind.__name__, used(kind, use), settings, kinds, it.network, ("learning_rate",),
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
        used(
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
