"""Matrices in flat vectors, for tests of what is done with them there."""

import numpy as np

#: What lies before and between the matrices, and must stay as it is.
GAP, NOTHING = 3, -7.0


def laid_out(*matrices, further=0):
    """A vector with the matrices in it, *further* numbers between their rows, and gaps; the places.

    What is between has the gaps' number.
    """
    gap = np.full(GAP, NOTHING, matrices[0].dtype)
    spread = [np.pad(m, ((0, 0), (0, further)), constant_values=NOTHING) for m in matrices]
    pieces = [piece for matrix in spread for piece in (gap, matrix.ravel())]
    sizes = [0, *(GAP + matrix.size for matrix in spread[:-1])]
    return np.concatenate([*pieces, gap]), (np.cumsum(sizes) + GAP).astype(np.uint64)
