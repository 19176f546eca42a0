"""How the epochs of a training are cut into pieces."""

import sys
from dataclasses import replace
from typing import Protocol

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


class Training(Protocol):
    """Whose pieces these are: what belongs to the training that comes next, as in `Piece`."""

    def rates(self, epochs: int, updates: int) -> np.ndarray:
        """The rates of so many epochs, or of a part of one, with so many updates in each."""

    def draw_order(self, epochs: int) -> np.ndarray:
        """The orders in which so many epochs take the rows."""


class Pieces:
    """What epochs over *n* samples in batches of *batch_size* are cut into, one after another.

    Parameters
    ----------
    pace : Pace
    n, batch_size : int
    window : int
        See `Plan`.

    Attributes
    ----------
    grain : int
        Rows of a part of an epoch are a multiple of it, but for the last.
    part : Piece or None
        The last piece, if it ended within an epoch.
    """

    def __init__(self, pace: Pace, n: int, batch_size: int, window: int = 1):
        updates = max(-(-GRAIN // batch_size), window)
        self.grain = batch_size * -(-updates // window) * window
        self.part: Piece | None = None
        self._pace = pace
        self._n, self._batch_size = n, batch_size

    def next_piece(self, training: Training, most: int) -> Piece:
        """As many epochs as fit the pace, at most *most*, or else the next part of an epoch."""
        n = self._n
        epochs = min(self._pace.rows // n, max(1, MOST_ORDERED_ROWS // n), most)
        if self.part is None and epochs > 0:
            return self.whole_epochs(training, epochs)
        start = 0 if self.part is None else self.part.stop
        stop = min(start + self.grain * max(1, self._pace.rows // self.grain), n)
        rates = training.rates(1, self._updates(stop - start))
        begun = self.part or Piece.of_epochs(rates, training.draw_order(1), n)
        return replace(begun, rates=rates, start=start, stop=stop)

    def whole_epochs(self, training: Training, epochs: int) -> Piece:
        """The next piece, of so many epochs."""
        rates = training.rates(epochs, self._updates(self._n))
        return Piece.of_epochs(rates, training.draw_order(epochs), self._n)

    def took(self, piece: Piece, seconds: float) -> None:
        """Take in that *piece* was run, and how long that took."""
        self._pace.took(len(piece.rates) * (piece.stop - piece.start), seconds)
        self.part = piece if piece.stop < self._n else None

    def _updates(self, rows: int) -> int:
        return -(-rows // self._batch_size)
