"""Work on vectors of numbers: a dot product, and functions of every element."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Pair:
    """Two vectors of *n* random numbers, whose dot product is wanted."""

    n: int
    dtype: str = "float64"
    quick: bool = True

    @property
    def label(self) -> str:
        """Length and dtype in words."""
        return f"{self.n:,} numbers, {self.dtype}"

    @cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The vectors."""
        random = np.random.default_rng(0)
        return random.random(self.n).astype(self.dtype), random.random(self.n).astype(self.dtype)

    @property
    def expected(self) -> np.ndarray:
        """Their dot product."""
        a, b = (array.astype(np.float64) for array in self.arrays)
        return np.array([a @ b])


@dataclass(frozen=True)
class Values:
    """*n* numbers of a vector, of which a function is wanted."""

    function: str
    dtype: str = "float64"
    n: int = 10_000
    quick: bool = False

    @property
    def label(self) -> str:
        """Function, length and dtype in words."""
        return f"{self.function}, {self.n:,} numbers, {self.dtype}"

    @cached_property
    def x(self) -> np.ndarray:
        """Numbers from -8 to 8; for the logarithm from 0 to 8."""
        random = np.random.default_rng(0)
        low = 1e-3 if self.function == "log" else -8.0
        return random.uniform(low, 8.0, self.n).astype(self.dtype)

    @property
    def expected(self) -> np.ndarray:
        """The function's values."""
        x = self.x.astype(np.float64)
        return {
            "exp": np.exp,
            "log": np.log,
            "tanh": np.tanh,
            "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
            "softplus": lambda x: np.logaddexp(0, x),
        }[self.function](x)


PAIRS = [Pair(1000), Pair(1_000_000), Pair(1_000_000, "float32", quick=False)]
VALUES = [
    Values(function, dtype, quick=function in ("exp", "sigmoid") and dtype == "float64")
    for dtype in ("float64", "float32")
    for function in ("exp", "sigmoid", "tanh", "log", "softplus")
]
