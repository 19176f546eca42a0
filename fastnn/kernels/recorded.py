"""Training that is looked at, and the looking: many epochs and their scores in one call.

A run of a training kernel costs some microseconds around it, and an epoch of the smallest networks
a fourth of one. The kernels here call another one again and again: see `fastnn.kernels.called`.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.called import address_of, number_at, run_at, truth_at
from fastnn.kernels.jit import kernel

#: `fastnn.contract.Samples` and `Piece` as `batches` and `epochs` take them. Weights may be empty.
#: *done* epochs with these samples came before, with the same workspace.
Data = namedtuple("Data", "X Y weights order")
Span = namedtuple("Span", "rates start stop loss_sums penalty_sums done")


@kernel
def train_recorded(train, before, t, updates, data, span, after, p, marks, records):
    """Run *train* from mark to mark, and copy the parameters p at each.

    Marks are numbers of epochs, the last is where all ends: it may have no record. t updates were
    made before, an epoch has *updates*. *before* and *after* are what else the kernel takes.
    """
    done = 0
    for k in range(len(marks)):
        mark = marks[k]
        part = Data(data.X, data.Y, data.weights, data.order[done:mark])
        epochs = Span(
            span.rates[done:mark],
            span.start,
            span.stop,
            span.loss_sums[done:mark],
            span.penalty_sums[done:mark],
            done,
        )
        run_at(train, (*before, t + done * updates, part, epochs, *after))
        done = mark
        if k < len(records):
            for i in range(len(p)):
                records[k, i] = p[i]


@kernel
def sums(total_loss, before, vectors, first, later, values):
    """Fill *values* with the loss for each of the *vectors* of parameters.

    What comes after a vector is *later* when the kernel was called before.
    """
    for k in range(len(vectors)):
        after = first if k == 0 else later
        values[k] = number_at(total_loss, (*before, vectors[k], *after))


@kernel
def outputs(fill, before, vectors, first, later, values, w, well):
    """Fill *values* (k, n, m) for each of the *vectors*, and *well* with whether that succeeded.

    X is *later* when the kernel was called before.
    """
    for k in range(len(vectors)):
        X = first if k == 0 else later
        well[k] = truth_at(fill, (*before, vectors[k], X, values[k], w))


def run_recorded(
    kernel: Any, arguments: Any, updates: int, marks: np.ndarray, records: np.ndarray
) -> None:
    """`fastnn.engines.Trainer.run_recorded` with a kernel and its arguments.

    An epoch has so many *updates*.
    """
    at = next(k for k, argument in enumerate(arguments) if isinstance(argument, Data))
    t, data, span = arguments[at - 1 : at + 2]
    before, after = arguments[: at - 1], arguments[at + 2 :]
    train, marks = address_of(kernel, arguments), _with_end(marks, len(span.rates))
    train_recorded(train, before, t, updates, data, span, after, before[-2], marks, records)


def sum_losses(
    total_loss: Any, before: Any, vectors: np.ndarray, after: Any, kept: bool
) -> np.ndarray:
    """The sums, shape (K,), of a kernel for the loss with each of the *vectors* (K, P).

    *kept*: X, with which *after* begins, stays in the workspace from one call to the next.
    """
    values, one = np.empty(len(vectors)), np.empty(vectors.shape[1:], vectors.dtype)
    address = address_of(total_loss, (*before, one, *after))
    X, *others = after
    sums(address, before, vectors, after, (X[:0], *others) if kept else after, values)
    return values


def fill(
    kernel: Any, before: Any, vectors: np.ndarray, X: np.ndarray, values: np.ndarray, w: np.ndarray,
    kept: bool,
) -> np.ndarray:  # fmt: skip
    """Fill *values* (K, n, m) by a kernel for outputs with each of the *vectors*.

    It returns which are numbers, (K,). *kept*: X stays in the workspace from one call to the next.
    """
    well, one = np.empty(len(vectors), bool), np.empty(vectors.shape[1:], vectors.dtype)
    arguments = (*before, one, X, np.empty(values.shape[1:], values.dtype), w)
    address, later = address_of(kernel, arguments), X[:0] if kept else X
    outputs(address, before, vectors, X, later, values, w, well)
    return well


def _with_end(marks: np.ndarray, epochs: int) -> np.ndarray:
    """Marks that end with the last epoch."""
    return marks if len(marks) and marks[-1] == epochs else np.append(marks, epochs)
