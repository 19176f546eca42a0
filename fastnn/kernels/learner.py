"""Single rows, as the engine "numba" takes them: `fastnn.engines.Learner`, `SinglePredictor`."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import State, quiet
from fastnn.kernels import one_row
from fastnn.kernels.called import address_of
from fastnn.kernels.held import Held
from fastnn.kernels.jit import closed
from fastnn.kernels.one_row import GIVEN, TRIED, OneOutput, Row
from fastnn.kernels.row_outputs import vector_size
from fastnn.memory import aligned

#: Rates that are made ready at once.
RATES = 512
#: What is taken for a target that is one number.
_NUMBERS = 0.0, 0, True, *(kind(0) for kind in (np.float32, np.int32, np.int64, np.bool_))
#: The least and the most that targets may be.
_LIMITS = {"real": (-np.inf, np.inf), "counts": (0.0, np.inf), "signs": (-1.0, 1.0)}


class Learner:
    """See `fastnn.engines.Learner`.

    *learn* is that of `one_row.make_learn_one`. The *arguments* are what else there is in a `Row`:
    layers, workspace and options, the data, the span, and room for the parameters before.
    """

    def __init__(self, learn: Any, architecture: Architecture, state: State, **arguments: Any):
        data = arguments["data"]
        targets = architecture.loss.targets
        # In the order of `OF_CLASS`, `SIGN` and `TRIED`.
        self._notes = np.array([targets == "classes", targets == "signs", 0], np.int64)
        self._rates = np.zeros(RATES)
        self._first = np.array([-1], np.int64)
        self._y = _writable(data.Y)[0]
        row = Row(
            p=state.parameters,
            moments=state.moments.reshape(-1),
            updates=state.updates,
            clock=state.clock.steps,
            x=_writable(data.X)[0],
            y=self._y,
            rates=self._rates,
            first=self._first,
            notes=self._notes,
            limits=_limits(architecture),
            **arguments,
        )
        self._held = Held(row, architecture.dtype)
        self.address = float(self._held.address)
        self.address_of_target = self.address + GIVEN
        learn_one = one_row.make_learn_one(learn, architecture.dtype)
        self.learn = compiled_for(learn_one, _NUMBERS, row.x, 0.0, 0.0)

    @property
    def tried(self) -> bool:
        """See `fastnn.engines.Learner`."""
        return bool(self._notes[TRIED])

    def put_target(self, y: np.ndarray) -> None:
        """See `fastnn.engines.Learner`."""
        self._y[...] = y

    def set_rates(self, rates: np.ndarray, first: int) -> None:
        """See `fastnn.engines.Learner`."""
        self._rates[: len(rates)] = rates
        self._first[0] = first


class SinglePredictor:
    """See `fastnn.engines.SinglePredictor`.

    *outputs_by_row* is a kernel of `fastnn.kernels.row_outputs.make_outputs_by_row`.
    """

    def __init__(
        self, outputs_by_row: Any, layers: np.ndarray, architecture: Architecture, state: State
    ):
        dtype, sizes = architecture.dtype, architecture.sizes
        x, values = (np.zeros((1, n), dtype) for n in (sizes[0], sizes[-1]))
        workspace = aligned(vector_size(sum(sizes)), dtype)
        arguments = layers, state.parameters, x, values, workspace
        self._held = Held(OneOutput(address_of(outputs_by_row, arguments), *arguments), dtype)
        self.address = float(self._held.address)
        self.predict = compiled_for(one_row.make_predict_one(dtype), (), x[0], values[0], 0.0)


def compiled_for(kernel: Any, numbers: Sequence[Any], row: np.ndarray, *rest: Any) -> Any:
    """A quick kernel, compiled for arguments like these; it takes no other types.

    For the first after the row it takes *numbers* like those too.
    """
    if not hasattr(kernel, "compile"):
        return quiet(kernel)  # with the JIT off it is Python
    signature = tuple(map(numba.typeof, (row, *rest)))
    return closed(kernel, signature, *((row, number, *rest[1:]) for number in numbers))


def _writable(rows: np.ndarray) -> np.ndarray:
    """The array whose read-only view the trainer's kernel gets."""
    assert isinstance(rows.base, np.ndarray)
    return rows.base


def _limits(architecture: Architecture) -> np.ndarray:
    """See `fastnn.kernels.one_row`."""
    least, most = _LIMITS.get(architecture.loss.targets, (0.0, 1.0))
    if not architecture.label_smoothing:
        return np.array([least, most, min(least, 0.0), 1.0])
    classes = np.eye(max(2, architecture.sizes[-1]), dtype=architecture.dtype)
    one_hot = architecture.for_loss(classes)
    return np.array([least, most, one_hot[0, 1], one_hot[0, 0]], np.float64)
