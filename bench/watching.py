"""What it costs to watch a small network learn: ``python -m bench.watching``.

The time of ``fit`` with what is to be seen by its time without, in turn on one core, the quickest
of nine rounds each. We want at most 3 for metrics and 2 for parameters.
"""

import time
from typing import Any

import numpy as np

import fastnn
from bench import machine

ROUNDS = 9


def ratio(net: fastnn.Network, data: tuple[Any, Any], plain: Any, watched: Any) -> float:
    """The time of a fit with *watched* by that of one without, both with *plain*."""
    best = [float("inf")] * 2
    for _ in range(1 + ROUNDS):
        for k, options in enumerate(({}, watched)):
            started = time.process_time()
            net.fit(*data, **plain, **options)
            best[k] = min(best[k], time.process_time() - started)
    return best[1] / best[0]


def main() -> None:
    """Print a line for each number of samples and batch size, and one for parameters."""
    machine.use_cores([machine.facts.cores()[-1]])
    rng = np.random.default_rng(0)
    both = ["accuracy", "auc"]
    print("4-10-3, cross_entropy    accuracy   and auc   val_loss, accuracy   and auc")
    for n in (50, 150, 200):
        data = rng.normal(size=(n, 4)), rng.integers(0, 3, n)
        for batch_size in (1, 32, None):
            net = fastnn.Network([4, 10, 3], activation="tanh", loss="cross_entropy", seed=0)
            plain = {"epochs": 30_000 // n, "batch_size": batch_size, "learning_rate": 0.001}
            ratios = [
                ratio(net, data, plain, {"metrics": metrics, "validation_data": held_out})
                for held_out in (None, data)
                for metrics in (["accuracy"], both)
            ]
            batches = f"batches of {batch_size}" if batch_size else "one batch"
            columns = "{:10.2f}{:10.2f}{:21.2f}{:10.2f}".format(*ratios)
            print(f"{n:4d} rows, {batches:14s}{columns}", flush=True)
    neuron = fastnn.Network([1, 1], seed=0)
    X = np.linspace(0, 1, 10)[:, np.newaxis]
    plain = {"epochs": 50_000, "batch_size": None, "learning_rate": 0.01}
    print(f"a neuron, record=10      {ratio(neuron, (X, 2 * X), plain, {'record': 10}):10.2f}")


if __name__ == "__main__":
    main()
