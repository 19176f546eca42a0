"""`fit_many` and a loop of `fit`, by what is asked of them: ``python -m bench.many_asked``.

One core, 64 networks, 200 rows; microseconds a network and epoch, the quickest of some runs in
turn. By samples, by rules, and in batches with what looks at each epoch.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench import machine

COUNT, ROWS, ROUNDS = 64, 200, 4
EPOCHS, BY_SAMPLE = 100, 20


def cases() -> dict[str, tuple[list[int], dict[str, Any], dict[str, Any]]]:
    """Layer sizes, what networks are made with, and what is asked of `fit`."""
    import fastnn

    held_out = data(4, 3)
    watched = {"validation_data": held_out}
    patient = {"early_stopping": fastnn.EarlyStopping(patience=10**6)}
    soon = {"early_stopping": fastnn.EarlyStopping(patience=8, min_delta=10.0)}
    momentum = fastnn.SGD(0.01, momentum=0.9)
    asked: dict[str, tuple[list[int], dict[str, Any], dict[str, Any]]] = {
        "batches": ([4, 10, 3], {}, {}),
        "validation": ([4, 10, 3], {}, watched),
        "and a penalty": ([4, 10, 3], {"l2": 1e-4}, watched),
        "and early stopping": ([4, 10, 3], {}, watched | patient),
        "which stops after 10 epochs": ([4, 10, 3], {}, watched | soon),
        "and accuracy": ([4, 10, 3], {}, watched | {"metrics": ["accuracy"]}),
        "a rate reduced on a plateau": (
            [4, 10, 3], {}, {"learning_rate": fastnn.ReduceOnPlateau(0.1, "loss")},
        ),
    }  # fmt: skip
    for sizes in ([3, 4, 1], [10, 32, 3], [4, 8, 8, 2], [1, 128, 1]):
        name = "-".join(map(str, sizes))
        for rule, options, settings in (
            ("SGD", {}, {"optimizer": "sgd"}),
            ("momentum", {}, {"optimizer": momentum}),
            ("Adam", {}, {"optimizer": "adam"}),
            ("SGD, a penalty", {"l2": 1e-4}, {"optimizer": "sgd"}),
            ("Adam, a penalty", {"l2": 1e-4}, {"optimizer": "adam"}),
            ("SGD, dropout", {"dropout": 0.1}, {"optimizer": "sgd"}),
            ("SGD, weights", {}, {"optimizer": "sgd", "sample_weight": np.linspace(0.5, 2, ROWS)}),
        ):
            by_sample = {"batch_size": 1, "epochs": BY_SAMPLE, "shuffle": False}
            asked[f"{name} by samples, {rule}"] = sizes, options, settings | by_sample
    return asked


def data(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and classes or numbers."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (ROWS, n_in))
    return X, rng.integers(0, n_out, ROWS) if n_out == 3 else rng.uniform(-1, 1, (ROWS, n_out))


def compare(
    sizes: list[int], options: dict[str, Any], asked: dict[str, Any], dtype: str
) -> tuple[float, float]:
    """Microseconds a network and epoch, of `fit_many` and of the loop."""
    import fastnn

    loss = "cross_entropy" if sizes[-1] == 3 else "half_squared_error"
    networks = [
        fastnn.Network(sizes, loss=loss, seed=seed, dtype=dtype, **options) for seed in range(COUNT)
    ]
    X, y = data(sizes[0], sizes[-1])
    settings = {"epochs": EPOCHS, "batch_size": 32, **asked}
    many, one = np.inf, np.inf
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        fastnn.fit_many(networks, X, y, **settings)
        between = time.perf_counter()
        for network in networks:
            network.fit(X, y, **settings)
        epochs = sum(network.history.epochs for network in networks) / 1e6
        many = min(many, (between - started) / epochs)
        one = min(one, (time.perf_counter() - between) / epochs)
    return many, one


def main() -> None:
    """Print the table."""
    machine.use_cores(machine.facts.cores()[-1:])
    print("| asked | dtype | fit_many, µs | loop of fit, µs | loop / fit_many |")
    print("|---|---|---:|---:|---:|")
    for name, case in cases().items():
        for dtype in ("float64", "float32"):
            many, one = compare(*case, dtype)
            print(f"| {name} | {dtype} | {many:.3g} | {one:.3g} | {one / many:.2f} |", flush=True)


if __name__ == "__main__":
    main()
