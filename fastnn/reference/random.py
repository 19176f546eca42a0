"""Random numbers, the same on every engine: orders of rows, and functions of a key and a counter.

The generator for the latter is SplitMix64 (Steele, Lea and Flood: Fast splittable pseudorandom
number generators, OOPSLA 2014), which numbers its values: the one with number *counter* is a hash
of ``key + (counter + 1) * GAMMA``. So a mask for dropout needs no state, and does not depend on the
order in which it is asked for.
"""

from collections.abc import Sequence

import numpy as np

from fastnn.engines import AnyGenerator, Shuffle

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


def shuffler(numbers: int) -> Shuffle:
    """See `fastnn.engines.Engine`."""
    return shuffle


def shuffle(rngs: Sequence[AnyGenerator | None], orders: np.ndarray, goes_on: bool = False) -> None:
    """See `fastnn.engines.Shuffle`."""
    for k, rng in enumerate(rngs):
        if isinstance(rng, np.random.Generator) and not goes_on:
            orders[:, k] = np.arange(orders.shape[-1])
            rng.permuted(orders[:, k], axis=1, out=orders[:, k])  # the same, in one call
        elif rng is not None:
            for e, order in enumerate(orders[:, k]):
                if not goes_on:
                    order[:] = np.arange(len(order))
                elif e > 0:
                    order[:] = orders[e - 1, k]
                rng.shuffle(order)
