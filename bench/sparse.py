"""Sparse rows: ours beside scikit-learn's MLP on synthetic TF-IDF: ``python -m bench.sparse``.

20,000 rows of 50,000 columns, about 80 numbers in each, of which the frequent columns have most, as
words have; 32 hidden units and four classes. Each line is an epoch, or a prediction of all rows, in
turn with scikit-learn's, on one core; the quickest of a few rounds counts, and the goal is how many
times as fast ours must be. ``chrt -f 50`` makes rounds quieter, where the system grants it.

``python -m bench.sparse memory`` prints by how much memory grows for 2,000 rows of 2^20 columns.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

ROUNDS = 5
N, N_COLUMNS, N_ENTRIES, N_HIDDEN, N_CLASSES = 20_000, 50_000, 80, 32, 4
BATCH = 200

#: What is run, ours and theirs, and how many times as fast ours is to be; without theirs, in how
#: many seconds.
Line = tuple[str, Callable[[], Any], Callable[[], Any] | None, float]


def tf_idf(n: int = N, n_columns: int = N_COLUMNS, entries: int = N_ENTRIES) -> tuple[Any, Any]:
    """Rows whose columns come as often as words do, with weights from 0 to 1; classes of them."""
    import numpy as np
    from scipy import sparse

    rng = np.random.default_rng(0)
    often = np.cumsum(1 / np.arange(1, n_columns + 1))
    words = np.searchsorted(often / often[-1], rng.random(n * entries))
    columns = rng.permutation(n_columns)[words].astype(np.int32)
    starts = np.arange(0, n * entries + 1, entries)
    X = sparse.csr_matrix((rng.random(n * entries), columns, starts), shape=(n, n_columns))
    X.sum_duplicates()
    return X, rng.integers(N_CLASSES, size=n)


def lines() -> Iterator[Line]:
    """All lines."""
    from sklearn import neural_network

    import fastnn

    X, y = tf_idf()

    def fit(kind: Any, **options: Any) -> Callable[[], Any]:
        def epoch() -> Any:
            return kind((N_HIDDEN,), max_iter=1, random_state=0, **options).fit(X, y)

        return epoch

    def network(batch_size: int, optimizer: Any) -> Callable[[], Any]:
        net = fastnn.Network(
            [N_COLUMNS, N_HIDDEN, N_CLASSES], activation="relu", loss="cross_entropy", seed=0
        )
        options: dict[str, Any] = {"epochs": 1, "batch_size": batch_size, "optimizer": optimizer}
        net.fit(X[:1000], y[:1000], **options)
        return lambda: net.fit(X, y, **options)

    plain = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0}
    theirs, ours = neural_network.MLPClassifier, fastnn.MLPClassifier
    sgd, adam = fit(theirs, **plain), fit(theirs, solver="adam")
    usual = fit(theirs, solver="sgd")
    yield "Network, SGD in batches of 200", network(BATCH, fastnn.SGD(0.001)), sgd, 20
    yield "MLPClassifier, the same", fit(ours, **plain), sgd, 20
    yield "MLPClassifier, its defaults of SGD", fit(ours, solver="sgd"), usual, 0
    yield "MLPClassifier, Adam", fit(ours, solver="adam"), adam, 2
    yield "Network, Adam", network(BATCH, fastnn.Adam(0.001)), adam, 2
    yield "Network, SGD sample by sample", network(1, fastnn.SGD(0.001)), None, 1.0
    fitted = sgd()
    mine = ours.from_sklearn(fitted)
    yield "predict", lambda: mine.predict(X), lambda: fitted.predict(X), 1


def quickest(runs: list[Callable[[], Any]]) -> list[float]:
    """Seconds of the quickest run of each, in turn."""
    best = [float("inf")] * len(runs)
    for round_ in range(ROUNDS + 1):
        for k, run in enumerate(runs):
            started = time.perf_counter()
            run()
            if round_:  # the first compiles
                best[k] = min(best[k], time.perf_counter() - started)
    return best


def compare() -> None:
    """Print all lines."""
    warnings.simplefilter("ignore")
    for name, ours, theirs, goal in lines():
        if theirs is None:
            (mine,) = quickest([ours])
            print(f"{name:36s} {mine * 1e3:8.1f} ms, goal {goal * 1e3:.0f} ms", flush=True)
            continue
        mine, other = quickest([ours, theirs])
        wanted = f", goal {goal:g}" if goal else ""
        print(
            f"{name:36s} {mine * 1e3:8.1f} ms {other * 1e3:8.1f} ms of scikit-learn, "
            f"{other / mine:5.1f} times as fast{wanted}",
            flush=True,
        )


def memory() -> None:
    """Print how much memory grows in ``fit`` and ``predict``, parameters and state included."""
    import resource

    import fastnn

    warnings.simplefilter("ignore")
    for solver in ("sgd", "adam", "lbfgs"):
        child = os.fork()
        if not child:
            X, y = tf_idf(2_000, 1 << 20, 20)
            estimator = fastnn.MLPClassifier((4,), solver=solver, max_iter=2)
            estimator.fit(X[:, :50], y)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            estimator.fit(X, y).predict(X)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
            print(f"2,000 x 2^20, 4 hidden units, {solver}: {grown} MiB", flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["memory"]:
        memory()
    else:
        from bench import machine

        machine.use_cores([machine.facts.cores()[-1]])
        compare()
