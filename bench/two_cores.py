"""What other cores' help with large products gives: ``python -m bench.two_cores``.

Microseconds a step with one thread and with all, in turn, the quickest of 15 `fit` of each; what
was learned is the same to the bit, or an error is raised.
"""

import os
import time
from typing import Any

import numpy as np

import fastnn
from bench import machine

ROUNDS = 15
#: Layers, samples, batch, dtype, optimiser and epochs.
WORK: list[tuple[list[int], int, int, str, str, int]] = [
    ([784, 128, 10], 1280, 32, "float32", "sgd", 10),
    ([784, 128, 10], 2048, 128, "float32", "sgd", 10),
    ([784, 128, 10], 2048, 128, "float64", "sgd", 10),
    ([784, 512, 10], 512, 1, "float32", "sgd", 10),
    ([784, 512, 512, 10], 1024, 128, "float32", "adam", 4),
    ([64, 100, 10], 1797, 200, "float64", "adam", 20),
    ([64, 100, 10], 1797, 200, "float32", "adam", 20),
    ([64, 64, 64, 10], 4096, 64, "float32", "adam", 10),
]


def fitted(
    threads: int, sizes: list[int], X: Any, Y: Any, settings: Any
) -> tuple[float, np.ndarray]:
    """Seconds of a `fit` with so many threads, and what was learned."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # asked for anew in each `fit`
    net = fastnn.Network(sizes, activation="relu", dtype=str(X.dtype), seed=0)
    started = time.perf_counter()
    net.fit(X, Y, learning_rate=1e-4, shuffle=False, **settings)
    return time.perf_counter() - started, net.parameters


def main() -> None:
    """Print a line for each work."""
    cores = machine.facts.cores()
    if len(cores) == 1:
        raise SystemExit("there is one core only")
    for sizes, n, batch, dtype, optimizer, epochs in WORK:
        rng = np.random.default_rng(0)
        X, Y = (rng.normal(size=(n, width)).astype(dtype) for width in (sizes[0], sizes[-1]))
        settings = {"batch_size": batch, "epochs": epochs, "optimizer": optimizer}
        best = {1: float("inf"), len(cores): float("inf")}
        expected = fitted(1, sizes, X, Y, settings)[1]
        for _ in range(ROUNDS):
            for threads in best:
                seconds, learned = fitted(threads, sizes, X, Y, settings)
                np.testing.assert_array_equal(learned, expected)
                best[threads] = min(best[threads], seconds)
        one, all_cores = (1e6 * seconds / epochs / -(-n // batch) for seconds in best.values())
        name = f"{'-'.join(map(str, sizes))}, batches of {batch}, {optimizer}, {dtype}"
        print(f"{name:46}{one:9.1f}{all_cores:9.1f} us {all_cores / one:6.2f}", flush=True)


if __name__ == "__main__":
    main()
