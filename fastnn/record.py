"""What a network consists of, as plain data, and how files hold it.

`fastnn.persistence` describes the texts and tensors; `fastnn.files` writes and reads them.
"""

import dataclasses
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import random_state, validation
from fastnn.contract import State
from fastnn.files import Tensors, Texts
from fastnn.history import History
from fastnn.initializers import INITIALIZERS
from fastnn.memory import aligned
from fastnn.names import find
from fastnn.optimizers import OPTIMIZERS, Optimizer
from fastnn.schedules import SCHEDULES, Schedule
from fastnn.snapshots import Snapshots

#: The fields of a History: one number or text each; and lists, to which its metrics come.
_VALUES = ("seconds", "stop_reason", "best_epoch")
_LISTS = ("loss", "val_loss", "learning_rate")
_OPTIMIZERS = {kind.__name__: kind for kind in OPTIMIZERS.values()}


@dataclass
class Record:
    """All that a network needs to go on with the same bits: its own parts, not copies of them."""

    #: What `fastnn.Network` takes, without initializer and seed.
    arguments: dict[str, Any]
    #: That of the last update.
    optimizer: Optimizer
    state: State
    rng: np.random.Generator
    #: Of 64 bits.
    dropout_key: int
    history: History | None
    #: None for parameters that came from elsewhere.
    initializer: str | None = None

    def parts(self) -> tuple[Texts, Tensors]:
        """The texts and tensors of its file; ValueError if it is of parts that cannot be saved."""
        fields, tensors = _history_parts(self.history)
        tensors |= {f"state.{name}": array for name, array in _arrays(self.state).items()}
        texts = {
            "network": self.arguments | {"initializer": self.initializer},
            "optimizer": _settings(self.optimizer, _OPTIMIZERS),
            "random": random_state.to_plain(self.rng) | {"dropout_key": self.dropout_key},
            "history": fields,
        }
        return {name: json.dumps(plain) for name, plain in texts.items()}, tensors

    @classmethod
    def of_parts(cls, texts: Texts, tensors: Tensors) -> "Record":
        """The record with these parts; the tensors are used up.

        What is wrong with them raises errors of many kinds; whether `fastnn.Network` takes the
        arguments shows itself there.
        """
        arguments = json.loads(texts["network"])
        initializer = _initializer(arguments)
        _check_arguments(arguments, tensors["state.parameters"])
        optimizer = _made(json.loads(texts["optimizer"]), _OPTIMIZERS, "optimizer")
        random = json.loads(texts["random"])
        if not isinstance(random, dict):
            raise ValueError("its random state is no JSON object")
        key = random.pop("dropout_key")
        if type(key) is not int or not 0 <= key < 2**64:
            raise ValueError("its dropout key is no number of 64 bits")
        state = _state(tensors, validation.float_dtype(arguments["dtype"]), optimizer)
        history = _history(json.loads(texts["history"]), tensors, arguments)
        if tensors:
            raise ValueError(f"it holds unexpected tensors: {', '.join(sorted(tensors)[:5])}")
        rng = random_state.from_plain(random)
        return cls(arguments, optimizer, state, rng, key, history, initializer)


def joined(records: Sequence[Record], about: dict[str, Any]) -> tuple[Texts, Tensors]:
    """The texts and tensors of a file of several networks, alike in their arguments."""
    texts: Texts = {"ensemble": json.dumps({"n_networks": len(records), **about})}
    tensors: Tensors = {}
    for k, record in enumerate(records):
        own_texts, own_tensors = record.parts()
        texts["network"] = own_texts.pop("network")
        texts |= {f"{k}.{name}": text for name, text in own_texts.items()}
        tensors |= {f"{k}.{name}": tensor for name, tensor in own_tensors.items()}
    return texts, tensors


def parted(texts: Texts, tensors: Tensors) -> tuple[list[Record], dict[str, Any]]:
    """The records that `joined` put together, and what it was told *about* them."""
    if "ensemble" not in texts:
        raise ValueError("it holds no ensemble; fastnn.load reads networks")
    about = json.loads(texts["ensemble"])
    if not isinstance(about, dict):
        raise ValueError("its ensemble is no JSON object")
    n = validation.integer(about.pop("n_networks"), "n_networks", 1, len(tensors))
    parts: list[tuple[Texts, Tensors]] = [({"network": texts["network"]}, {}) for _ in range(n)]
    numbers = {str(k): k for k in range(n)}
    for name in texts:
        number, point, rest = name.partition(".")
        if point:
            parts[numbers[number]][0][rest] = texts[name]
    for name in tensors:
        number, _, rest = name.partition(".")
        parts[numbers[number]][1][rest] = tensors[name]
    return [Record.of_parts(*own) for own in parts], about


def _initializer(arguments: Any) -> str | None:
    """Take out of a network's arguments how its start weights were drawn, if it is known."""
    name: str | None = arguments.pop("initializer", None) if isinstance(arguments, dict) else None
    if name is not None:
        find(name, INITIALIZERS, "initializer")
    return name


def _check_arguments(arguments: Any, parameters: np.ndarray) -> None:
    """Refuse sizes that do not fit the parameters, before memory is asked for."""
    if not isinstance(arguments, dict) or "seed" in arguments:
        raise ValueError("its network is not described by arguments of fastnn.Network")
    sizes = validation.layer_sizes(arguments["layer_sizes"])
    bias = validation.boolean(arguments["bias"], "bias")
    count = sum((n_in + bias) * n_out for n_in, n_out in itertools.pairwise(sizes))
    if parameters.shape != (count,):
        raise ValueError(
            f"layer_sizes={list(sizes)} ask for {count} parameters, and it has shape "
            f"{parameters.shape}"
        )


def _settings(thing: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    """The fields of an optimiser or a schedule, and what it is."""
    kind = type(thing)
    if kinds.get(kind.__name__) is not kind:
        raise ValueError(
            f"{kind.__name__} is not one of fastnn's own, so it cannot be saved; known are "
            f"{', '.join(kinds)}"
        )
    settings = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    return {"kind": kind.__name__} | {
        name: _settings(value, SCHEDULES) if isinstance(value, Schedule) else value
        for name, value in settings.items()
    }


def _made(settings: Any, kinds: dict[str, Any], what: str) -> Any:
    """The optimiser or schedule whose `_settings` these are."""
    if not isinstance(settings, dict) or settings.get("kind") not in kinds:
        raise ValueError(f"it names no {what} that this version of fastnn knows")
    arguments = {
        name: _made(value, SCHEDULES, "schedule") if isinstance(value, dict) else value
        for name, value in settings.items()
        if name != "kind"
    }
    return kinds[settings["kind"]](**arguments)


def _history_parts(history: History | None) -> tuple[dict[str, Any] | None, Tensors]:
    """A history's single values, and its lists as tensors."""
    if history is None:
        return None, {}
    _check_history(history)
    lists = {name: getattr(history, name) for name in _LISTS}
    lists |= {f"metrics.{name}": series for name, series in history.metrics.items()}
    tensors = {f"history.{name}": np.array(series, np.float64) for name, series in lists.items()}
    if history.snapshots is not None:
        tensors["history.parameters"] = history.snapshots.parameters
        tensors["history.recorded_epochs"] = history.snapshots.epochs
    return {name: getattr(history, name) for name in _VALUES}, tensors


def _history(fields: Any, tensors: Tensors, arguments: dict[str, Any]) -> History | None:
    """The history that `_history_parts` took apart; its tensors are taken out of *tensors*."""
    if fields is None:
        return None
    start = "history.metrics."
    metrics = [name for name in tensors if name.startswith(start)]
    entries: dict[str, Any] = {name: fields[name] for name in _VALUES}
    entries |= {name: _series(tensors, f"history.{name}") for name in _LISTS}
    entries["metrics"] = {name.removeprefix(start): _series(tensors, name) for name in metrics}
    history = History(**entries)
    if "history.parameters" in tensors:
        history.snapshots = _snapshots(tensors, arguments)
    _check_history(history)
    return history


def _snapshots(tensors: Tensors, arguments: dict[str, Any]) -> Snapshots:
    """The recorded parameters in *tensors*, out of which they are taken."""
    snapshots = Snapshots(
        validation.layer_sizes(arguments["layer_sizes"]),
        validation.boolean(arguments["bias"], "bias"),
        validation.float_dtype(arguments["dtype"]),
    )
    vectors, epochs = tensors.pop("history.parameters"), tensors.pop("history.recorded_epochs")
    expected = snapshots.parameters
    if vectors.dtype != expected.dtype or vectors.shape != (len(epochs), expected.shape[1]):
        raise ValueError("history.parameters are none of this network, one for each record")
    if epochs.dtype != np.int64 or epochs.ndim != 1:
        raise ValueError("history.recorded_epochs is not a list of I64")
    snapshots.append(epochs.tolist(), vectors)
    return snapshots


def _check_history(history: History) -> None:
    """Refuse one whose lists do not have an entry for each epoch, or none at all."""
    validation.real(history.seconds, "network.history.seconds")
    validation.text(history.stop_reason, "network.history.stop_reason")
    epochs = len(history.loss)
    lists = {name: getattr(history, name) for name in _LISTS}
    for name, values in (lists | history.metrics).items():
        if len(values) not in (0, epochs):
            raise ValueError(f"network.history has {epochs} losses, and {len(values)} of {name}")
    best = history.best_epoch
    if best is not None and validation.integer(best, "network.history.best_epoch", 1) > epochs:
        raise ValueError(f"network.history has best_epoch={best} of {epochs} epochs")
    recorded = [] if history.snapshots is None else history.snapshots.epochs.tolist()
    if recorded != sorted(set(recorded) & set(range(1, epochs + 1))):
        raise ValueError(f"network.history has recorded_epochs that are not among {epochs} epochs")


def _series(tensors: Tensors, name: str) -> list[float]:
    array = tensors.pop(name)
    if array.ndim != 1 or array.dtype != np.float64:
        raise ValueError(f"{name} is not a list of F64")
    numbers: list[float] = array.tolist()
    return numbers


def _arrays(state: State) -> Tensors:
    """The arrays of a state, those of its clock among them."""
    return {name: a for name, a in (vars(state) | vars(state.clock)).items() if name != "clock"}


def _state(tensors: Tensors, dtype: np.dtype[np.floating], optimizer: Optimizer) -> State:
    """The state in *tensors*, out of which it is taken, if *optimizer* could have made it."""
    state = State.new(aligned(tensors["state.parameters"].size, dtype), optimizer)
    for name, array in _arrays(state).items():
        found = tensors.pop(f"state.{name}")
        if found.shape != array.shape or found.dtype != array.dtype:
            raise ValueError(
                f"state.{name} must be {array.dtype} of shape {array.shape}, "
                f"got {found.dtype} of shape {found.shape}"
            )
        array[...] = found
    _check_counters(state)
    return state


def _check_counters(state: State) -> None:
    """Refuse numbers to which no training leads, and from which none can go on."""
    clock = state.clock
    for name, counts in {"updates": state.updates, "steps": clock.steps}.items():
        if counts.min() < 0:
            raise ValueError(f"state.{name} must be at least 0, got {counts}")
    factor, best, waited = clock.plateau
    if not (0.0 <= factor <= 1.0 and waited >= 0.0) or np.isnan(best):
        raise ValueError(f"state.plateau is none that fastnn makes: {clock.plateau}")
