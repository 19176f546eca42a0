"""What the judge looks into: what must not change, numbers, and where errors come from."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import re
import signal
import traceback
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sklearn
from sklearn.utils import check_random_state

import fastnn

from .doors import Call
from .values import Hostile

#: Where refusals may be raised: not in the depths of NumPy or numba, that is.
HOUSES = tuple(os.path.dirname(module.__file__) + os.sep for module in (fastnn, sklearn))
#: The rooms of the fuzz whose functions stand for the user's code.
OWN = ("values.py", "odd.py", "doors.py", "files.py", "settings.py")


def print_of_arguments(call: Call) -> Any:
    """What must not change of the arguments; a generator that is given as seed is drawn from."""
    return fingerprint({name: it for name, it in call.arguments.items() if name != "seed"})


def fingerprint(thing: Any, depth: int = 0) -> Any:
    """Something that differs if *thing* has changed by a bit."""
    if depth > 8:
        return id(thing)
    if isinstance(thing, np.ma.MaskedArray):
        return fingerprint([thing.data.view(np.ndarray), np.ma.getmaskarray(thing)], depth + 1)
    if isinstance(thing, np.ndarray):
        content: Any = thing.strides
        if thing.dtype.hasobject:
            content = [fingerprint(entry, depth + 1) for entry in thing.ravel()]
        elif thing.nbytes < 1 << 24:
            content = thing.strides, thing.tobytes()
        return thing.dtype.str, thing.shape, thing.flags.writeable, content
    if isinstance(thing, np.random.Generator):
        return repr(thing.bit_generator.state)
    if isinstance(thing, list | tuple):
        return [fingerprint(entry, depth + 1) for entry in thing]
    if isinstance(thing, dict):
        return [(repr(key), fingerprint(entry, depth + 1)) for key, entry in thing.items()]
    if isinstance(thing, fastnn.Network | fastnn.History):  # all that is saved and copied
        state = {**thing.__getstate__()}
        state.pop("_asked", None)
        default = vars(type(thing)).get  # to hold what the class says is no change
        shown = [(name, it) for name, it in state.items() if it is not default(name, thing)]
        return id(thing), [(name, fingerprint(entry, depth + 1)) for name, entry in sorted(shown)]
    if dataclasses.is_dataclass(thing):
        held = getattr(thing, "__dict__", {})  # not all of it: a property may be kept there
        names = [field.name for field in dataclasses.fields(thing) if field.name in held]
        return id(thing), [(name, fingerprint(held[name], depth + 1)) for name in names]
    if isinstance(thing, str | bytes | int | float | complex | None):
        return type(thing), repr(thing)
    if type(thing).__module__.split(".")[0] in ("pandas", "polars"):
        return repr(thing)
    return id(thing)


def difference(before: Any, network: Any) -> str:
    """Which attributes of the network have changed."""
    pairs = zip(before[1], fingerprint(network)[1], strict=False)
    return ", ".join(mine[0] for mine, now in pairs if mine != now)


def surroundings(call: Call) -> Any:
    """What a library must leave as it is; scikit-learn draws from NumPy's numbers if asked to."""
    random = None if call.has_peer else repr(check_random_state(None).get_state())
    return np.geterr(), random, signal.getsignal(signal.SIGINT), os.getcwd()


def all_numbers(result: Any) -> Iterator[np.ndarray]:
    """All numbers in a result."""
    if isinstance(result, np.ndarray):
        if result.dtype.kind in "fiub":
            yield result
    elif isinstance(result, float | np.floating):
        yield np.array([result])
    elif isinstance(result, fastnn.History):
        for values in (result.loss, result.val_loss, *result.metrics.values()):
            yield np.array(values, float)
    elif isinstance(result, Mapping):
        yield from all_numbers([value for name, value in result.items()])
    elif isinstance(result, list | tuple):
        for entry in result:
            yield from all_numbers(entry)


def largest_number(values: Any, depth: int = 0) -> float:
    """The largest absolute number in arguments; infinity for what cannot be said."""
    largest = 0.0
    for value in values:
        if isinstance(value, np.ndarray) and value.size > 1 << 20:
            return math.inf
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple) and depth < 5:
            largest = max(largest, largest_number(value, depth + 1))
        elif not callable(value) and not isinstance(value, str | bytes | None):
            largest = max(largest, _size_of(value))
    return largest


def _size_of(value: Any) -> float:
    """The largest absolute number in an array or an object that becomes one."""
    if isinstance(value, fastnn.EarlyStopping | Hostile):
        return 0.0
    if isinstance(value, fastnn.optimizers.Optimizer | fastnn.schedules.Schedule):
        return largest_number([it for it in vars(value).values() if isinstance(it, float | int)])
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            numbers = np.abs(np.asarray(value, float))
            return math.inf if np.isnan(numbers).any() else float(numbers.max(initial=0.0))
    except Exception:
        return 0.0


def frames_of(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def is_own(error: BaseException) -> bool:
    """Whether it comes from the fuzz's own objects, which stand for the user's code."""
    if isinstance(error.__cause__, StopIteration):  # a generator's; Python says it this way
        error = error.__cause__
    last = pathlib.Path(frames_of(error)[-1].filename)
    return last.parent == pathlib.Path(__file__).parent and last.name in OWN


def place_of(error: BaseException) -> str:
    """The last function of fastnn that the error came through."""
    frames = [f for f in frames_of(error) if f.filename.startswith(HOUSES[0])]
    last = frames_of(error)[-1]
    place = f"{os.path.relpath(frames[-1].filename, HOUSES[0])}:{frames[-1].name}" if frames else ""
    tail = "" if frames and last is frames[-1] else f" via {last.name}"
    return f"{type(error).__name__} in {place}{tail}"


def without_addresses(error: BaseException | None) -> str:
    """The type and message of an error, in which objects are where they are."""
    return re.sub("0x[0-9a-f]+", "0x", f"{type(error)} {error and message_of(error)}")


def message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as own:
        return f"no message: {own!r}"
