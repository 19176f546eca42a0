"""What shuffled rows cost: ``python -m bench.shuffled``.

Nanoseconds a sample of `fit` on one core, the quickest of some, in order and shuffled, for a few
thousand rows, which stay in the caches, and for 26 MB of them, which do not. Shuffling itself is in
it: an epoch's order is drawn by `fit`. ``chrt -f 50`` before it, where the system grants it.
"""

import time

import numpy as np

import fastnn
from bench import machine

ROUNDS, FEW, MANY_BYTES, SAMPLES = 5, 2_000, 26_000_000, 100_000

#: Layer sizes, dtype, batch size and optimiser.
WORK = [
    ([3, 4, 1], "float64", 1, "sgd"),
    ([8, 16, 1], "float64", 1, "sgd"),
    ([10, 32, 3], "float32", 1, "sgd"),
    ([10, 32, 3], "float32", 1, "adam"),
    ([30, 20, 3], "float64", 1, "sgd"),
    ([64, 32, 10], "float32", 1, "sgd"),
    ([784, 64, 10], "float32", 1, "sgd"),
    ([8, 16, 3], "float64", 32, "adam"),
    ([30, 20, 3], "float64", 32, "adam"),
    ([64, 100, 10], "float64", 200, "adam"),
    ([784, 128, 10], "float32", 32, "adam"),
]


def nanoseconds(
    sizes: list[int], dtype: str, batch_size: int, optimizer: str, n: int, shuffle: bool
) -> float:
    """Of one sample, where there are n."""
    rng = np.random.default_rng(0)
    X, Y = (rng.normal(size=(n, width)).astype(dtype) for width in (sizes[0], sizes[-1]))
    net = fastnn.Network(sizes, activation="tanh", dtype=dtype, seed=0)
    epochs, rounds = max(1, SAMPLES // n), []
    for _ in range(ROUNDS + 1):  # the first compiles, and does not count
        started = time.perf_counter()
        net.fit(
            X, Y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, learning_rate=1e-5,
            shuffle=shuffle,
        )  # fmt: skip
        rounds.append((time.perf_counter() - started) / (epochs * n))
    return 1e9 * min(rounds[1:])


def main() -> None:
    """Print a line for each network."""
    machine.use_cores([machine.facts.cores()[-1]])
    print(f"{'':40}{FEW:,} rows: in order  shuffled   {MANY_BYTES // 10**6} MB: in order  shuffled")
    for sizes, dtype, batch_size, optimizer in WORK:
        many = MANY_BYTES // (sizes[0] * np.dtype(dtype).itemsize)
        times = [
            nanoseconds(sizes, dtype, batch_size, optimizer, n, shuffle)
            for n in (FEW, many)
            for shuffle in (False, True)
        ]
        name = f"{'-'.join(map(str, sizes))} {dtype}, batches of {batch_size}, {optimizer}"
        print(f"{name:40}{times[0]:21.1f}{times[1]:10.1f}{times[2]:18.1f}{times[3]:10.1f}")


if __name__ == "__main__":
    main()
