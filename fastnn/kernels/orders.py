"""Random orders of rows: those of NumPy's ``Generator.permuted``, in a third of the time.

NumPy shuffles by Fisher and Yates: from the last row down to the second, each changes places with
one of those up to it. Which one is drawn by rejection: 32 random bits, of which as many count as
the largest number has, until the number is not too large. About every third draw is, which a
processor cannot foresee; here no branch depends on it: for a number that is too large a row changes
places with itself. The generator is PCG64, a multiplication modulo 2^128 for two draws (O'Neill,
PCG: A family of simple fast space-efficient statistically good algorithms for random number
generation, 2014).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from fastnn.engines import Permuter
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.llvm import operation
from fastnn.reference.random import permute as permute_by_numpy

#: PCG64's multiplier.
FACTOR = 0x2360ED051FC65DA44385DF649FCCF645
#: Row numbers from which on the kernel is the quicker way, its own call included; and from which it
#: is worth to be compiled or taken from the disk: NumPy takes 1 ms for so many.
LEAST, WORTH_COMPILING = 1 << 9, 1 << 17
_LOW = (1 << 64) - 1
_0, _1, _32, _58, _63, _64 = (
    np.uint64(0),
    np.uint64(1),
    np.uint64(32),
    np.uint64(58),
    np.uint64(63),
    np.uint64(64),
)


def step(high, low, added_high, added_low):
    """FACTOR times a number of 128 bits, plus another, modulo 2^128: in halves, of uint64."""
    number, added = (int(a) << 64 | int(b) for a, b in ((high, low), (added_high, added_low)))
    number = number * FACTOR + added
    return np.uint64(number >> 64 & _LOW), np.uint64(number & _LOW)


def _type_step(high: Any, low: Any, added_high: Any, added_low: Any) -> Any:
    return types.UniTuple(types.uint64, 2)


@operation(step, _type_step)
def _emit_step(context, builder, signature, values):
    half, whole = ir.IntType(64), ir.IntType(128)

    def joined(high, low):
        shifted = builder.shl(builder.zext(high, whole), whole(64))
        return builder.or_(shifted, builder.zext(low, whole))

    number = builder.mul(joined(*values[:2]), whole(FACTOR))
    number = builder.add(number, joined(*values[2:]))
    halves = (builder.lshr(number, whole(64)), number)
    return context.make_tuple(
        builder, signature.return_type, [builder.trunc(value, half) for value in halves]
    )


@inner
def _mixed(high, low):
    """The 64 bits that a state gives: its halves' difference in bits, turned by its first six."""
    bits, turn = high ^ low, high >> _58
    return bits >> turn | bits << (_64 - turn & _63)


@inner
def _shuffle(state, order):
    """Shuffle an order of rows.

    A *state* is PCG64's: its halves, what is added to it, and of the last 64 bits whether the upper
    half is still to be used, and that.
    """
    high, low, waiting, kept = state[0], state[1], state[4], state[5]
    added_high, added_low = state[2], state[3]
    i = np.uint64(len(order) - 1)
    while i > _0:
        mask = i  # all the bits that i has
        for bits in (1, 2, 4, 8, 16):
            mask |= mask >> np.uint64(bits)
        while i > mask >> _1:
            if waiting:
                number, waiting = kept & mask, _0
            else:
                high, low = step(high, low, added_high, added_low)
                bits = _mixed(high, low)
                number, kept, waiting = bits & mask, bits >> _32, _1
            fits = number <= i
            j = number if fits else i
            order[i], order[j] = order[j], order[i]
            i -= np.uint64(fits)
    state[0], state[1], state[4], state[5] = high, low, waiting, kept


@kernel
def _permute(state, orders, k):
    """Shuffle orders[:, k], of (epochs, generators, n), by a generator's state, which goes on."""
    for e in range(len(orders)):
        order = orders[e, k]
        for i in range(len(order)):
            order[i] = i
        _shuffle(state, order)


def permuter(numbers: int) -> Permuter:
    """See `fastnn.engines.Engine`."""
    if numbers >= WORTH_COMPILING and not _there():
        _permute(np.zeros(6, np.uint64), np.empty((0, 1, 1), np.int64), 0)
    return permute


def _there() -> bool:
    """Whether the kernel is compiled; with the JIT off it is Python."""
    return bool(getattr(_permute, "signatures", True))


def permute(rngs: Sequence[np.random.Generator], orders: np.ndarray) -> None:
    """See `fastnn.engines.Permuter`."""
    known = all(type(rng.bit_generator) is np.random.PCG64 for rng in rngs)
    if not known or orders.size < LEAST or orders.shape[-1] > 1 << 32 or not _there():
        permute_by_numpy(rngs, orders)
        return
    for k, rng in enumerate(rngs):
        with rng.bit_generator.lock:  # as NumPy does
            state = np.array(_numbers(rng.bit_generator.state), np.uint64)
            _permute(state, orders, k)
            rng.bit_generator.state = _state(*state.tolist())


def _numbers(state: Any) -> tuple[int, ...]:
    """A state as NumPy gives it, in words of 64 bits."""
    halves = [divmod(state["state"][name], 1 << 64) for name in ("state", "inc")]
    return *halves[0], *halves[1], state["has_uint32"], state["uinteger"]


def _state(high: int, low: int, added_high: int, added_low: int, waiting: int, kept: int) -> Any:
    """The way back."""
    return {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": added_high << 64 | added_low},
        "has_uint32": waiting,
        "uinteger": kept,
    }
