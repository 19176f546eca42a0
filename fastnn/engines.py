"""The contract between the training loop and whatever does the arithmetic.

An engine is a module with the functions of `Engine`: ``reference/loops.py`` (lists and floats),
``reference/vectors.py`` (NumPy) and ``kernels/engine.py`` (jitted). Given the same
architecture, parameters, data and plan, all give the same numbers up to rounding. What reaches
an engine has been validated: arrays are C-contiguous, finite, of the architecture's dtype
and read-only, except for the parameter vector, which `Trainer.run` changes in place.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from fastnn.architecture import Architecture
from fastnn.names import find


@dataclass(frozen=True)
class Samples:
    """Inputs X (n, n_in) and targets Y (n, n_out); classes are one-hot rows."""

    X: np.ndarray
    Y: np.ndarray

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Piece:
    """A stretch of training that an engine runs without coming back to Python.

    It is either any number of whole epochs, or the rows ``start`` to ``stop`` of one epoch.

    Attributes
    ----------
    rates : ndarray, shape (epochs,), float64
        The learning rate of each epoch.
    order : ndarray, shape (epochs, n) or (0, n), int64
        In what order each epoch takes the rows; (0, n): as they lie.
    start, stop : int
        Positions within the epoch, from 0 to n. ``start`` is at the beginning of a batch, and
        ``stop`` at the end of one.
    loss_sums : ndarray, shape (epochs,), float64
        Each epoch's sum of sample losses, each taken before its batch's update, is added here.
    """

    rates: np.ndarray
    order: np.ndarray
    start: int
    stop: int
    loss_sums: np.ndarray


class Trainer(Protocol):
    """An engine set up for one architecture, one set of samples and one batch size."""

    def run(self, parameters: np.ndarray, piece: Piece) -> None:
        """Run *piece*, updating *parameters* in place and adding to ``piece.loss_sums``."""


#: Takes the parameters, and returns the sum of the samples' losses.
Evaluator = Callable[[np.ndarray], float]


#: Takes the parameters and X, which alone need not have been checked for finite values, and returns
#: the outputs (n, n_out), or None if X is not finite.
Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray | None]


class Engine(Protocol):
    """What every engine module offers."""

    def trainer(self, architecture: Architecture, samples: Samples, batch_size: int) -> Trainer:
        """Get ready to train: compile, size the workspace."""

    def predictor(self, architecture: Architecture) -> Predictor:
        """Get ready to predict."""

    def layer_outputs(
        self, architecture: Architecture, parameters: np.ndarray, X: np.ndarray
    ) -> list[np.ndarray]:
        """Outputs of every layer, shapes (n, n_l)."""

    def evaluator(self, architecture: Architecture, samples: Samples) -> Evaluator:
        """Get ready to compute the loss on *samples*, perhaps many times."""

    def loss_and_gradient(
        self, architecture: Architecture, parameters: np.ndarray, samples: Samples
    ) -> tuple[float, np.ndarray]:
        """Sum of the samples' losses, and its gradient as a flat vector."""


_MODULES = {
    "numba": "fastnn.kernels.engine",
    "numpy": "fastnn.reference.vectors",
    "python": "fastnn.reference.loops",
}


def get_engine(name: str) -> Engine:
    """Import the engine called *name*; ValueError or TypeError when there is none."""
    return cast(Engine, importlib.import_module(find(name, _MODULES, "engine")))
