"""`predict_many`, `predict_with` and a loop of `predict`: ``python -m bench.many_predictions``.

One core; microseconds a network, by layer sizes and rows, the quickest of some runs in turn. So
many networks that all their outputs are some megabytes at most.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np

from bench import machine

SIZES = ([3, 4, 1], [4, 16, 2], [10, 32, 3], [1, 128, 1], [64, 64, 10], [784, 32, 10])
ROWS = (1, 10, 100, 1000)
MOST, WORK, ROUNDS = 200, 1 << 27, 5


def unlike(rows: int) -> tuple[float, float]:
    """Microseconds a network of `predict_many` and the loop, of 200 that have all other widths."""
    import fastnn

    networks = [fastnn.Network([3, 2 + k, 2], seed=k) for k in range(MOST)]
    X = np.random.default_rng(0).normal(size=(rows, 3))
    ways = (
        lambda: fastnn.predict_many(networks, X),
        lambda: [network.predict(X) for network in networks],
    )
    many, one = quickest(ways, MOST)
    return many, one


def quickest(ways: Any, count: int) -> list[float]:
    """Microseconds of each, for one of *count*."""
    least = [np.inf] * len(ways)
    for _ in range(ROUNDS + 1):
        for k, predict in enumerate(ways):
            started = time.perf_counter()
            predict()
            least[k] = min(least[k], (time.perf_counter() - started) / count * 1e6)
    return least


def compare(sizes: list[int], rows: int, dtype: str) -> tuple[int, list[float]]:
    """How many networks, and microseconds each, of `predict_many`, `predict_with` and the loop."""
    import fastnn

    multiplications = rows * sum(a * b for a, b in pairwise(sizes))
    count = max(2, min(MOST, WORK // multiplications))
    networks = [fastnn.Network(sizes, seed=seed, dtype=dtype) for seed in range(count)]
    X = np.random.default_rng(0).normal(size=(rows, sizes[0])).astype(dtype)
    vectors = np.array([network.parameters for network in networks])
    ways = (
        lambda: fastnn.predict_many(networks, X),
        lambda: networks[0].predict_with(vectors, X),
        lambda: [network.predict(X) for network in networks],
    )
    return count, quickest(ways, count)


def main() -> None:
    """Print the table."""
    machine.use_cores(machine.facts.cores()[-1:])
    print("| network | dtype | rows | networks | predict_many, µs | predict_with, µs | a loop, µs "
          "| loop / predict_many | loop / predict_with |")  # fmt: skip
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for sizes in SIZES:
        for dtype in ("float64", "float32"):
            for rows in ROWS:
                count, (many, vectors, one) = compare(sizes, rows, dtype)
                name = "-".join(map(str, sizes))
                cells = f"{name} | {dtype} | {rows} | {count} | {many:.3g} | {vectors:.3g}"
                print(f"| {cells} | {one:.3g} | {one / many:.2f} | {one / vectors:.2f} |")
    for rows in ROWS:
        many, one = unlike(rows)
        cells = f"3-2…201-2 | float64 | {rows} | {MOST} | {many:.3g} | "
        print(f"| {cells} | {one:.3g} | {one / many:.2f} | |")


if __name__ == "__main__":
    main()
