"""Arrays that begin on a cache line, how much memory work may take, and what it was for."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

#: Bytes of a cache line, and of the widest vectors.
LINE = 64
#: Bytes of a page of memory, at least.
PAGE = 4096
#: Bytes from which to write to every page takes long, and most of the work is not at the ends.
LARGE = 1 << 22
#: Bytes that an engine takes for its work on a block of samples, beside what it is given and what
#: it returns: for wide layers it takes fewer samples at a time.
MOST_BYTES = 1 << 27
#: So many are many to set up.
MANY_NETWORKS = 1_000
#: More than what each leaves behind, in objects that collections look through: mostly its history.
OBJECTS_OF_EACH = 16


@contextmanager
def memory_for(what: str, *details: object) -> Iterator[None]:
    """Say in a MemoryError what the memory was for: ``what.format(*details)``."""
    try:
        yield
    except MemoryError as error:
        reason = str(error) or "memory does not hold it"
        raise MemoryError(f"{what.format(*details)}: {reason}") from None


@contextmanager
def no_collections() -> Iterator[None]:
    """Python's garbage collector waits: inside, nearly all that is made is kept."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def older_objects_kept(n_networks: int) -> Iterator[None]:
    """Garbage collections inside wait for more objects than the networks leave behind.

    Nor do they look through what was there before. Else, while as many objects are made as there
    are, and kept, Python goes through all of them again and again: a third of what many networks
    take to set up. For few it takes longer to see whether somebody else has frozen objects, since
    Python counts them one by one.
    """
    if n_networks < MANY_NETWORKS or gc.get_freeze_count():
        yield
        return
    youngest, *older = gc.get_threshold()
    gc.freeze()
    if youngest:  # 0: there are no collections
        gc.set_threshold(youngest + OBJECTS_OF_EACH * n_networks, *older)
    try:
        yield
    finally:
        gc.freeze()  # what was made inside is old then too: the next collection leaves it alone
        gc.unfreeze()
        gc.set_threshold(youngest, *older)


def aligned(size: int, dtype: np.dtype[np.floating]) -> np.ndarray:
    """An array of *size* numbers that begins on a cache line; what is in it does not matter.

    NumPy's own begin 16 bytes behind one, if they are large, or where it happens. Each of the
    widest vectors then lies across two lines, and takes two reads instead of one.

    Its pages are there, to some lines behind its end, unless it is large. A vector of which a mask
    leaves out what is in a page that nobody has written to takes a processor as long as some
    hundred others, each time (measured on Zen 5: 300 ns).

    Raises
    ------
    MemoryError, OverflowError, ValueError
        If memory does not hold it.
    """
    if size == 0:
        return np.empty(0, dtype)
    room = np.empty(size + 5 * LINE // dtype.itemsize, dtype)
    room[-1] = 0
    if room.nbytes <= LARGE:
        room[:: PAGE // dtype.itemsize] = 0
    start = -room.ctypes.data % LINE // dtype.itemsize
    return room[start : start + size]


def frozen(array: np.ndarray) -> np.ndarray:
    """A read-only view."""
    view = array.view()
    view.flags.writeable = False
    return view


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A copy, of the same shape and in C order, that begins on a cache line."""
    copy = aligned(array.size, array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
