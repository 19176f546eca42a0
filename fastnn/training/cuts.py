"""How the epochs of a training are cut into pieces."""

import sys

from fastnn.engines import GRAIN

#: Seconds of work in a piece, and the most row numbers that a piece may hold.
PIECE_SECONDS = 0.05
MOST_ORDERED_ROWS = 1 << 22


class Pace:
    """How many rows make a piece, from how long the last one took.

    Attributes
    ----------
    rows : int
    """

    def __init__(self, row_seconds: float) -> None:
        self._most = sys.maxsize
        self.rows = max(int(PIECE_SECONDS / row_seconds), GRAIN)

    def limit(self, most: int | None) -> None:
        """From now on at most so many rows; None: any number."""
        self._most = most or sys.maxsize
        self.rows = min(self.rows, self._most)

    def took(self, rows: int, seconds: float) -> None:
        """Take in how long a piece took, or a part of one."""
        wanted = rows * PIECE_SECONDS / max(seconds, 1e-7)
        self.rows = int(max(1, min(wanted, 64 * self.rows, self._most)))


class Cuts:
    """Where to cut epochs over *n* samples in batches of *batch_size*.

    Attributes
    ----------
    grain : int
        Rows of a part of an epoch are a multiple of it, but for the last.
    """

    def __init__(self, pace: Pace, n: int, batch_size: int):
        self._pace = pace
        self._n = n
        self.grain = batch_size * -(-GRAIN // batch_size)

    def whole_epochs(self) -> int:
        """How many whole epochs make a piece; 0 if an epoch is too long for one."""
        return min(self._pace.rows // self._n, max(1, MOST_ORDERED_ROWS // self._n))

    def end_of_part(self, start: int) -> int:
        """Where the part of an epoch ends that begins at *start*."""
        rows = self.grain * max(1, self._pace.rows // self.grain)
        return min(start + rows, self._n)
