"""Memory-mapped arrays: letting go of pages that have been read.

The pages of a mapped file count as resident memory from when they are touched until the system
needs the memory. For a file larger than memory that is a nuisance to everybody else, so training
lets go of them as it goes along; they stay in the system's file cache.
"""

import mmap

import numpy as np

#: Bytes read from a map between two times of letting go.
RELEASE_BYTES = 64 << 20


def release_pages(array: np.ndarray) -> None:
    """Let go of the resident pages if *array* is a view of a mapped file; else do nothing.

    Private maps (mode "c") are left alone: their changes exist in memory only.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap) and getattr(owner, "mode", "c") == "c":
            return
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
