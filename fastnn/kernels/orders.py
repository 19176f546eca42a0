"""Random orders of rows: those that NumPy's generators shuffle, in a third of the time.

NumPy shuffles by Fisher and Yates: from the last row down to the second, each changes places with
one of those up to it. Which one is drawn by rejection: 32 random bits, of which as many count as
the largest number has, until the number is not too large. About every third draw is, which a
processor cannot foresee; here no branch depends on it: for a number that is too large a row changes
places with itself. The bits are drawn by the generator's own function, whose address NumPy gives
with that of its state in a ``bitgen_t`` (numpy/random/bitgen.h).
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.engines import AnyGenerator, Shuffle
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.llvm import operation
from fastnn.reference.random import shuffle as shuffle_by_numpy

#: Row numbers from which on the kernel is the quicker way, its own call included.
LEAST = 1 << 6
#: Row numbers for which NumPy takes 1 ms: once a process has asked for so many, to compile the
#: kernel, or to take it from the disk, is worth it.
WORTH_COMPILING = 1 << 17
#: The words of ``bitgen_t`` where the state is, and where the function that draws 32 bits.
_STATE, _NEXT = 0, 2
_next_function = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
_address_in: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_0, _1 = np.uint64(0), np.uint64(1)
#: Row numbers that this process asked for.
_asked_for = 0


def draw(generator):
    """The next 32 bits, a uint64, of the generator whose ``bitgen_t`` is at an address."""
    words = (ctypes.c_size_t * (_NEXT + 1)).from_address(generator)
    return np.uint64(_next_function(words[_NEXT])(words[_STATE]))


@operation(draw, lambda generator: types.uint64)
def _emit_draw(context, builder, signature, values):
    pointer, bits = cgutils.voidptr_t, ir.IntType(32)
    words = builder.inttoptr(values[0], pointer.as_pointer())
    places = (builder.gep(words, [cgutils.intp_t(word)]) for word in (_STATE, _NEXT))
    state, function = map(builder.load, places)
    function = builder.bitcast(function, ir.FunctionType(bits, [pointer]).as_pointer())
    return builder.zext(builder.call(function, [state]), ir.IntType(64))


@inner
def _shuffle(generator, order):
    i = np.uint64(len(order) - 1)
    while i > _0:
        mask = i  # all the bits that i has
        for bits in (1, 2, 4, 8, 16):
            mask |= mask >> np.uint64(bits)
        while i > mask >> _1:
            number = draw(generator) & mask
            fits = number <= i
            j = number if fits else i
            order[i], order[j] = order[j], order[i]
            i -= np.uint64(fits)


@kernel
def _shuffle_each(generator, orders, k, goes_on):
    """Fill orders[:, k], of (epochs, generators, n): see `fastnn.engines.Shuffle`."""
    for e in range(len(orders)):
        order = orders[e, k]
        for i in range(len(order)):
            if not goes_on:
                order[i] = i
            elif e > 0:
                order[i] = orders[e - 1, k, i]
        _shuffle(generator, order)


def shuffler(numbers: int) -> Shuffle:
    """See `fastnn.engines.Engine`."""
    global _asked_for
    _asked_for += numbers  # two threads may count one of them: it is compiled a little later
    if _asked_for >= WORTH_COMPILING and not _is_there():
        _shuffle_each(0, np.empty((0, 1, 1), np.int64), 0, False)
    return shuffle


def _is_there() -> bool:
    """Whether the kernel is compiled; with the JIT off it is Python."""
    return bool(getattr(_shuffle_each, "signatures", True))


def shuffle(rngs: Sequence[AnyGenerator | None], orders: np.ndarray, goes_on: bool = False) -> None:
    """See `fastnn.engines.Shuffle`."""
    few = orders.size < LEAST * len(rngs)
    if few or orders.shape[-1] > 1 << 32 or not _is_there():
        shuffle_by_numpy(rngs, orders, goes_on)
        return
    for k, rng in enumerate(rngs):
        bits = _bit_generator(rng)
        if bits is None:
            shuffle_by_numpy([rng], orders[:, k : k + 1], goes_on)
            continue
        with bits.lock:  # as NumPy does
            _shuffle_each(_address_in(bits.capsule, b"BitGenerator"), orders, k, goes_on)


def _bit_generator(rng: AnyGenerator | None) -> Any:
    """None of a subclass, which may shuffle otherwise."""
    if type(rng) is np.random.Generator:
        return rng.bit_generator
    return getattr(rng, "_bit_generator", None) if type(rng) is np.random.RandomState else None
