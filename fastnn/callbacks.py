"""What ``fit`` calls after each epoch."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Protocol

import numpy as np

from fastnn import validation
from fastnn.calls import guided_class
from fastnn.metrics import sign
from fastnn.names import describe, short
from fastnn.schedules import Schedule
from fastnn.settings import AtLeast1, Flag, Mode, Settings, Text
from fastnn.stopping import EarlyStopping
from fastnn.training.watching import resolve


@dataclass(frozen=True)
class EpochEnd:
    """A callback: takes the epoch and its logs; True if training is to end.

    It is called after epochs that are a multiple of *every*.
    """

    call: Callable[[int, dict[str, float]], bool]
    every: int = 1


class Callback(Protocol):
    """Any object with this method can be one of ``fit``'s ``callbacks``.

    With an attribute ``every``, a whole number, it is called only after each epoch that is a
    multiple of it, and the kernels run on in between.
    """

    def on_epoch_end(self, network: Any, epoch: int, logs: dict[str, float]) -> Any:
        """Look at the network after an epoch.

        Parameters
        ----------
        network : Network
            Its ``history`` is that of this ``fit``, this epoch included.
        epoch : int
            Counted from 1 in each ``fit``.
        logs : dict of str to float
            The epoch's ``loss``, ``learning_rate``, ``val_loss`` and metrics.

        Returns
        -------
        bool or None
            True ends training with this epoch.
        """


def bind(callbacks: object, network: Any) -> tuple[EpochEnd, ...]:
    """The callbacks' methods, checked, with *network* filled in."""
    entries = validation.listed(callbacks, "callbacks", "callbacks")
    return tuple(_bind(callback, k, network) for k, callback in enumerate(entries))


def _bind(callback: Any, k: int, network: Any) -> EpochEnd:
    if isinstance(callback, type) or not callable(getattr(callback, "on_epoch_end", None)):
        raise TypeError(
            f"callbacks[{k}] must be an object with a method on_epoch_end(network, epoch, logs), "
            f"got {short(callback)}{_other_argument(callback)}"
        )
    if not validation.takes(callback.on_epoch_end, network, 1, {}):
        raise TypeError(
            f"callbacks[{k}].on_epoch_end must take (network, epoch, logs), "
            f"got {type(callback).__name__}.on_epoch_end{inspect.signature(callback.on_epoch_end)}"
        )
    every = validation.integer(getattr(callback, "every", 1), f"callbacks[{k}].every", 1)

    def call(epoch: int, logs: dict[str, float]) -> bool:
        return _ends(callback.on_epoch_end(network, epoch, logs), k)

    return EpochEnd(call, every)


def _ends(answer: object, k: int) -> bool:
    """Whether training is to end, by what the callback returned."""
    try:
        return bool(answer)
    except Exception:  # an array is neither true nor false
        raise TypeError(
            f"callbacks[{k}].on_epoch_end must return True or nothing, got {describe(answer)}"
        ) from None


def _other_argument(callback: object) -> str:
    """The argument of ``fit`` that takes what other libraries take as a callback."""
    if isinstance(callback, EarlyStopping):
        return "; give it as early_stopping="
    if inspect.isroutine(callback):
        return "; give it as fastnn.Call(function)"
    return "; give it as learning_rate=" if isinstance(callback, Schedule) else ""


def _function(value: Any, argument: str) -> Any:
    if callable(value) and validation.takes(value, None, 1, {}):
        return value
    got = f"one of {inspect.signature(value)}" if callable(value) else describe(value)
    raise TypeError(f"{argument} must be a function of (network, epoch, logs), got {got}")


@guided_class
@dataclass
class Call(Settings):
    """A callback that calls a function after every k-th epoch.

    Parameters
    ----------
    function : callable
        Takes (network, epoch, logs), as `Callback.on_epoch_end` does; True ends training.
    every : int
        It is called after each epoch that is a multiple of it. In between the engine does not come
        back to Python.

    Examples
    --------
    >>> import fastnn
    >>> def tell(network, epoch, logs):
    ...     print(epoch, network.weights[0].shape)
    >>> net = fastnn.Network([1, 1], seed=0)
    >>> history = net.fit([[0.0], [1.0]], [0, 1], epochs=200, callbacks=[fastnn.Call(tell, 100)])
    100 (1, 1)
    200 (1, 1)
    """

    function: Annotated[Callable[[Any, int, dict[str, float]], Any], _function]
    every: AtLeast1 = 1

    def on_epoch_end(self, network: Any, epoch: int, logs: dict[str, float]) -> Any:
        """Call the function: see `Callback.on_epoch_end`."""
        return self.function(network, epoch, logs)


def _template(value: Any, argument: str) -> Any:
    """The path as it came; refused before an epoch is trained if no value can be filled in."""
    path = validation.path(value, argument)
    try:
        for _, name, layout, conversion in Formatter().parse(path) if "{" in path else ():
            if name is None or layout is None:
                continue
            if not name or name.isdigit() or {".", "["} & set(name):
                raise ValueError(f"{{{name}}} is not the name of a value")
            if any(len(digits) > 3 for digits in re.findall("[0-9]+", layout)):
                raise ValueError(f"{layout!r} makes it too long")
            if "{" not in layout:
                example = Formatter().convert_field(1 if name == "epoch" else 1.0, conversion)
                format(example, layout)
    except ValueError as error:
        raise ValueError(
            f"path={path!r} cannot be filled in as 'net-{{epoch:04d}}-{{loss:.3f}}' can: {error}"
        ) from None
    return value


Template = Annotated[str | bytes | os.PathLike[str], _template]


@guided_class
@dataclass
class Checkpoint(Settings):
    """A callback that saves the network while it is trained; `fastnn.load` reads the file.

    Parameters
    ----------
    path : str or path-like
        Where to. ``{epoch}`` and the names of the logs are filled in, as in
        ``"net-{epoch:04d}-{val_loss:.3f}.safetensors"``; otherwise each save replaces the last.
    monitor : str, optional
        With *best_only*, the value to look at: ``"loss"``, ``"val_loss"`` or a metric such as
        ``"accuracy"``. By default the validation loss, or the loss without validation data.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better. "auto": higher for accuracy, r2, auc and the estimators'
        val_score, lower for all else; say "max" for a function of yours that should grow.
    every : int
        Save after each epoch that is a multiple of it.
    best_only : bool
        Of these epochs, save only those that are better than all looked at before.

    Attributes
    ----------
    best : float or None
        With *best_only*, the value of the epoch saved last; kept from one ``fit`` to the next.
    """

    path: Template
    monitor: Text | None = None
    mode: Mode = "auto"
    every: AtLeast1 = 1
    best_only: Flag = False
    best: float | None = field(default=None, init=False)

    def on_epoch_end(self, network: Any, epoch: int, logs: dict[str, float]) -> None:
        """Save the network if it is time to: see `Callback.on_epoch_end`."""
        if epoch % self.every == 0 and (not self.best_only or self._is_best(logs)):
            network.save(self._path_at(epoch, logs))

    def _is_best(self, logs: dict[str, float]) -> bool:
        names = tuple(name for name in logs if name not in ("loss", "learning_rate"))
        monitor = self.monitor
        if monitor is None:
            monitor = "val_loss" if "val_loss" in logs else "loss"
        value = logs[resolve(monitor, names, "Checkpoint")]
        factor = sign(monitor, self.mode)
        best = factor * np.inf if self.best is None else self.best
        if not factor * value < factor * best:  # NaN never is
            return False
        self.best = value
        return True

    def _path_at(self, epoch: int, logs: dict[str, float]) -> Path:
        path = validation.path(self.path, "path")
        if "{" not in path:
            return Path(path)
        values = {**logs, "epoch": epoch}
        try:
            return Path(path.format(**values))
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"path={path!r} cannot be filled in with {', '.join(sorted(values))}: "
                f"{type(error).__name__}: {error}"
            ) from None
