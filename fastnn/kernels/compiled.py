"""A network in other people's compiled code: the outputs, the Jacobian, an update of one row.

One compilation serves all networks of a dtype, and what a pass needs lies on the stack, see
`fastnn.kernels.stack_rows`: no memory is asked for, and threads share nothing but the parameters.
The functions are inlined in what users compile.
"""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed

from fastnn.architecture import Architecture
from fastnn.kernels.jit import open_kernel
from fastnn.kernels.layout import INPUTS, UNITS, layer_table
from fastnn.kernels.llvm import operation, stack
from fastnn.kernels.stack_rows import (
    ALL,
    ROOM,
    STEP,
    finish,
    jacobian_row,
    pass_forward,
    pass_keeping,
    probabilities,
    update_layer,
)
from fastnn.losses import MISSING


class Compiled(NamedTuple):
    """A network for compiled code: see `fastnn.Network.compiled`.

    Attributes
    ----------
    parameters : ndarray, shape (n_parameters,)
        The network's own, not a copy.
    layers : ndarray, shape (layers, 7)
        What `fastnn.kernels.layout` says, with places on the stack; read-only.
    levels : ndarray, shape (n_outputs,) or (0,)
        For the loss "quantile" the quantile of each output; read-only.
    n_parameters, n_inputs, n_outputs, n_targets : int
    loss : int
        A code.
    bias : bool
        Whether layers have biases.
    plain : bool
        Whether `learn` can train it: without penalties, limits and dropout.
    kept, added : float
        Targets y are taken as kept · y + added: label smoothing.
    """

    parameters: np.ndarray
    layers: np.ndarray
    levels: np.ndarray
    n_parameters: int
    n_inputs: int
    n_outputs: int
    n_targets: int
    loss: int
    bias: bool
    plain: bool
    kept: float
    added: float

    def __reduce__(self) -> tuple[Any, ...]:
        return _fixed, tuple(self)


def _fixed(*fields: Any) -> Compiled:
    """A network's fields, of which the tables can no longer be written to: others are a type."""
    h = Compiled(*fields)
    h.layers.flags.writeable = h.levels.flags.writeable = False
    return h


def compiled(architecture: Architecture, parameters: np.ndarray) -> Compiled:
    """What `Network.compiled` returns.

    Raises
    ------
    ValueError
        If the network is too wide for the stack.
    """
    zero_and_one = architecture.for_loss(
        np.eye(2, architecture.n_targets, dtype=architecture.dtype)
    )
    levels = np.zeros(0, architecture.dtype)
    kept, added = 1.0, 0.0
    if architecture.quantiles:
        levels = zero_and_one[0, architecture.sizes[-1] :].copy()
    elif architecture.label_smoothing:
        added = float(zero_and_one[1, 0])
        kept = float(zero_and_one[0, 0]) - added
    limits = architecture.l1, architecture.l2, architecture.max_norm, *architecture.dropout
    return _fixed(
        parameters,
        _places(architecture),
        levels,
        architecture.n_parameters,
        architecture.sizes[0],
        architecture.sizes[-1],
        architecture.n_targets,
        architecture.loss.code,
        architecture.bias,
        not any(limits),
        kept,
        added,
    )


def _places(architecture: Architecture) -> np.ndarray:
    """The table of layers, with places on the stack."""
    sizes = np.array(architecture.sizes)
    room = -(-sizes // STEP) * STEP
    if room.sum() > ROOM:
        raise ValueError(
            f"a network for compiled code has its inputs and units on the stack, where there is "
            f"room for {ROOM:,}, each layer's rounded up to a multiple of {STEP}; layer_sizes="
            f"{list(architecture.sizes)} needs {room.sum():,}"
        )
    places = np.cumsum(room) - room
    layers = layer_table(architecture)
    layers[:, INPUTS], layers[:, UNITS] = places[:-1], places[1:]
    return layers


# What the functions take

#: What they are given by name: dimensions, none of numbers, and whether it is written to.
_GIVEN = {
    "forward": (("x", 1, False), ("out", 1, True)),
    "jacobian": (("x", 1, False), ("J", 2, True)),
    "learn": (("x", 1, False), ("y", 1, False), ("h.parameters", 1, True), ("rate", 0, False)),
}


def checked(function, h, given):
    """h, if it is `Compiled` and all is of its dtype: what follows is not compiled else."""
    for (name, ndim, written), value in zip(_GIVEN[function], given, strict=True):
        if ndim == 0:
            fits = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        else:
            fits = value.dtype == h.parameters.dtype and value.ndim == ndim
            fits = fits and (value.flags.writeable or not written)
        if not fits:
            raise TypeError(_wrong(function, name, ndim, written, h.parameters.dtype, _kind(value)))
    return h


def _kind(value: Any) -> str:
    """What numba says of an array, or the value itself."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    return f"{'readonly ' * (not value.flags.writeable)}array({value.dtype}, {value.ndim}d)"


def _wrong(function: str, name: str, ndim: int, written: bool, wanted: Any, got: Any) -> str:
    if ndim == 0:
        return f"fastnn.jit.{function}: {name} must be a number, got {got}"
    return (
        f"fastnn.jit.{function}: {name} must be an array of {wanted} with {ndim} "
        f"dimension{'s' * (ndim > 1)}{' that can be written to' * written}, as the network is "
        f"{wanted}; got {got}"
    )


def _type_checked(function, h, given):
    if not isinstance(function, types.StringLiteral):
        return None
    function = function.literal_value
    if getattr(h, "instance_class", None) is not Compiled:
        raise TypingError(f"fastnn.jit.{function}: h must be what net.compiled() returns, got {h}")
    wanted = h.types[0].dtype
    for (name, ndim, written), value in zip(_GIVEN[function], given.types, strict=True):
        if ndim == 0:
            fits = isinstance(types.unliteral(value), types.Integer | types.Float)
        else:
            fits = isinstance(value, types.Array) and value.ndim == ndim and value.dtype == wanted
            fits = fits and (value.mutable or not written)
        if not fits:
            raise TypingError(_wrong(function, name, ndim, written, wanted, value))
    return h


@operation(checked, _type_checked)
def _emit_same(context, builder, signature, values):
    return impl_ret_borrowed(context, builder, signature.return_type, values[1])


# The functions


@open_kernel
def forward(h, x, out):
    """Write to *out*, shape (n_outputs,), the outputs for one row x, shape (n_inputs,).

    See `fastnn.Network.compiled` for h. Both arrays are of the network's dtype, and may be one.

    Raises
    ------
    ValueError
        If an array is of another length.
    TypingError
        When it is compiled, for arrays of another dtype, or read-only ones that are written to.
    """
    h = checked("forward", h, (x, out))
    if len(x) != h.n_inputs or len(out) != h.n_outputs or len(h.parameters) != h.n_parameters:
        raise ValueError("fastnn.jit.forward: x or out has not as many numbers as the network says")
    w = stack(ROOM, h.parameters)
    at = pass_forward(h, x, w)
    for j in range(h.n_outputs):
        out[j] = w[at + j]


@open_kernel
def jacobian(h, x, J):
    """Write to J, shape (n_outputs, n_inputs), the derivatives of the outputs for one row x.

    As in `forward`. Where an activation has a kink its slope is the one that training takes: 0 at
    the kinks of relu and hard_tanh.

    Raises
    ------
    ValueError, TypingError
        As in `forward`.
    """
    h = checked("jacobian", h, (x, J))
    wrong = len(x) != h.n_inputs or J.shape[0] != h.n_outputs or J.shape[1] != h.n_inputs
    if wrong or len(h.parameters) != h.n_parameters:
        raise ValueError("fastnn.jit.jacobian: x or J is not of the shape that the network says")
    w = stack(ALL, h.parameters)
    at = pass_keeping(h, x, w)
    probabilities(h, w, at)
    for o in range(h.n_outputs):
        jacobian_row(h, w, at, o, J)


@open_kernel
def learn(h, x, y, rate):
    """Make one update of plain SGD from one row x, and return the loss before it.

    `fastnn.Network.learn_one` with the optimiser "sgd" does the same, to rounding, with checks.

    Parameters
    ----------
    h : Compiled
        See `fastnn.Network.compiled`; its network changes.
    x : ndarray, shape (n_inputs,)
    y : ndarray, shape (n_targets,)
        Targets as in ``fit``, for classes one-hot, for hinge -1 or 1. They are not checked. NaN
        is none, for networks with ``missing="ignore"``.
    rate : float

    Raises
    ------
    ValueError
        If an array is of another length; and for a network with penalties, max_norm or dropout.
    TypingError
        As in `forward`.
    """
    h = checked("learn", h, (x, y, h.parameters, rate))
    if len(x) != h.n_inputs or len(y) != h.n_targets or len(h.parameters) != h.n_parameters:
        raise ValueError("fastnn.jit.learn: x or y has not as many numbers as the network says")
    if not h.plain:
        raise ValueError("fastnn.jit.learn knows no l1, l2, max_norm and dropout")
    w = stack(ALL, h.parameters)
    at = pass_keeping(h, x, w)
    loss = finish(h.loss % MISSING, h, w, at, y)
    step = w.dtype.type(rate)
    for l in range(len(h.layers) - 1, -1, -1):
        update_layer(h, w, l, step)
    return float(loss)
