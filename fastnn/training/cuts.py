"""How the epochs of a training are cut into pieces."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastnn.contract import GRAIN, Piece

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


class Pieces:
    """What epochs over *n* samples in batches of *batch_size* are cut into, one after another.

    Parameters
    ----------
    pace : Pace
    n, batch_size : int
    rates : callable
        Takes a number of epochs and of updates in each: the rates of the training that comes next.
    order : callable
        Takes a number of epochs: the orders in which they take the rows. Both as in `Piece`.
    window : int
        See `Plan`.

    Attributes
    ----------
    grain : int
        Rows of a part of an epoch are a multiple of it, but for the last.
    part : Piece or None
        The last piece, if it ended within an epoch.
    """

    def __init__(
        self,
        pace: Pace,
        n: int,
        batch_size: int,
        rates: Callable[[int, int], np.ndarray],
        order: Callable[[int], np.ndarray],
        window: int = 1,
    ):
        updates = max(-(-GRAIN // batch_size), window)
        self.grain = batch_size * -(-updates // window) * window
        self.part: Piece | None = None
        self._pace = pace
        self._n, self._batch_size = n, batch_size
        self._rates, self._order = rates, order

    def next_piece(self, most: int) -> Piece:
        """As many epochs as fit the pace, at most *most*, or else the next part of an epoch."""
        n = self._n
        epochs = min(self._pace.rows // n, max(1, MOST_ORDERED_ROWS // n), most)
        if self.part is None and epochs > 0:
            return self.whole_epochs(epochs)
        start = 0 if self.part is None else self.part.stop
        stop = min(start + self.grain * max(1, self._pace.rows // self.grain), n)
        rates = self._rates_of(1, stop - start)
        begun = self.part or Piece.of_epochs(rates, self._order(1), n)
        return replace(begun, rates=rates, start=start, stop=stop)

    def whole_epochs(self, epochs: int) -> Piece:
        """The next piece, of so many epochs."""
        return Piece.of_epochs(self._rates_of(epochs, self._n), self._order(epochs), self._n)

    def took(self, piece: Piece, seconds: float) -> None:
        """Take in that *piece* was run, and how long that took."""
        self._pace.took(len(piece.rates) * (piece.stop - piece.start), seconds)
        self.part = piece if piece.stop < self._n else None

    def _rates_of(self, epochs: int, rows: int) -> np.ndarray:
        return self._rates(epochs, -(-rows // self._batch_size))
