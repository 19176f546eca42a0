"""Matrices in flat vectors, for tests of what is done with them there."""

import numpy as np

#: What lies before and between the matrices, and must stay as it is.
GAP, NOTHING = 3, -7.0


def laid_out(*matrices, further=0):
    """A vector with the matrices in it, and gaps between them; and where each begins.

    Between the rows of the first matrix are *further* numbers, of each other one more than of the
    one before, if there are any. What is between has the gaps' number.
    """
    gap = np.full(GAP, NOTHING, matrices[0].dtype)
    apart = apart_by(further, len(matrices))
    spread = [
        np.pad(matrix, ((0, 0), (0, n)), constant_values=NOTHING)
        for matrix, n in zip(matrices, apart, strict=True)
    ]
    pieces = [piece for matrix in spread for piece in (gap, matrix.ravel())]
    sizes = [0, *(GAP + matrix.size for matrix in spread[:-1])]
    return np.concatenate([*pieces, gap]), (np.cumsum(sizes) + GAP).astype(np.uint64)


def apart_by(further, n):
    """The numbers between the rows of n matrices."""
    return [further + k if further else 0 for k in range(n)]
