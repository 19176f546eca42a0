"""Random numbers, the same on every engine: orders of rows, and functions of a key and a counter.

The generator for the latter is SplitMix64 (Steele, Lea and Flood: Fast splittable pseudorandom
number generators, OOPSLA 2014), which numbers its values: the one with number *counter* is a hash
of ``key + (counter + 1) * GAMMA``. So a mask for dropout needs no state, and does not depend on the
order in which it is asked for.
"""

from collections.abc import Callable, Sequence

import numpy as np

GAMMA = 0x9E3779B97F4A7C15
FIRST_FACTOR = 0xBF58476D1CE4E5B9
SECOND_FACTOR = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def uniform(key: int, counter: int) -> float:
    """A number from [0, 1): the upper 53 bits of the value with number *counter*."""
    bits = (key + (counter + 1) * GAMMA) & _MASK
    bits = ((bits ^ (bits >> 30)) * FIRST_FACTOR) & _MASK
    bits = ((bits ^ (bits >> 27)) * SECOND_FACTOR) & _MASK
    return ((bits ^ (bits >> 31)) >> 11) * 2.0**-53


def uniforms(key: int, counters: np.ndarray) -> np.ndarray:
    """The same for an array of counters (uint64), of any shape."""
    bits = np.uint64(key) + (counters + np.uint64(1)) * np.uint64(GAMMA)  # modulo 2^64
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(FIRST_FACTOR)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(SECOND_FACTOR)
    numbers: np.ndarray = ((bits ^ (bits >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return numbers


def permuter(numbers: int) -> Callable[[Sequence[np.random.Generator], np.ndarray], None]:
    """See `fastnn.engines.Engine`."""
    return permute


def permute(rngs: Sequence[np.random.Generator], orders: np.ndarray) -> None:
    """Fill orders (epochs, k, n), int64, with random ones of 0 to n - 1, by k generators."""
    orders[:] = np.arange(orders.shape[-1])
    for k, rng in enumerate(rngs):
        rng.permuted(orders[:, k], axis=1, out=orders[:, k])
