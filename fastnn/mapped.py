"""Memory-mapped arrays: letting go of pages that have been read.

The pages of a mapped file count as resident memory from when they are touched until the system
needs the memory. For a file larger than memory that is a nuisance to everybody else, so training
lets go of them as it goes along; they stay in the system's file cache.
"""

import mmap
from typing import Any

import numpy as np

#: Bytes read from a map between two times of letting go.
RELEASE_BYTES = 64 << 20
#: What becomes resident around a place that is read: Linux may keep a file in pages of this size.
_AROUND_BYTES = 2 << 20
#: Bytes that may become resident so between two times of letting go.
_SCATTERED_BYTES = 128 << 20


def rows_between_releases(array: Any, shuffled: bool) -> int | None:
    """How many rows of a mapped array may be read between two times of letting go; None: any.

    In the order of the file it is the work between two times that counts; in a random order each
    row brings its surroundings with it.
    """
    if not shuffled or _map_of(array) is None:
        return None
    row_bytes: int = array.nbytes // len(array)
    return max(1, _SCATTERED_BYTES // (_AROUND_BYTES + row_bytes))


def release_pages(array: Any) -> None:
    """Let go of the resident pages if *array* is a view of a mapped file; else do nothing.

    Private maps are left alone: their changes exist in memory only. So is every map that is not
    a ``numpy.memmap``, whose ``mode`` says which it is.
    """
    owner = _map_of(array)
    if owner is not None:
        owner.madvise(mmap.MADV_DONTNEED)


def _map_of(array: Any) -> mmap.mmap | None:
    """The map that *array* is a view of, if there is one whose pages may be let go."""
    owner: object = array
    shared = False
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            if getattr(owner, "mode", "c") == "c":
                return None
            shared = True
        owner = owner.base
    releasable = shared and hasattr(mmap, "MADV_DONTNEED")
    return owner if releasable and isinstance(owner, mmap.mmap) else None
