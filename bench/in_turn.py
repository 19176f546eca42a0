"""Our ratios to the peers that we have goals against: ``python -m bench.in_turn [words of a row]``.

Ours and theirs run in turn on one core, nine rounds of 20 ms each, and the quickest of each counts:
what a busy machine leaves of a ratio. With real-time priority, where the system grants it, rounds
are quieter still: ``chrt -f 50 python -m bench.in_turn``.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench import machine

ROUNDS, SECONDS = 9, 0.02


def rows() -> Iterator[tuple[str, Any, str, str, float]]:
    """Operation, problem, whose run of ours, against whom, and the largest ratio that we want."""
    from bench import problems as p  # imports NumPy: after `machine.use_cores`

    gate, curve, single = p.LONG
    for run in ("numba", "numba-kernel"):
        yield "train", curve, run, "c-512", 0.82
        yield "train", single, run, "c-512", 0.88
        yield "train", gate, run, "c", 0.95
    yield "train", p.DIGITS, "numba", "jax", 0.27
    yield "train", p.WIDE_DIGITS, "numba", "jax", 0.16
    yield "train", replace(p.DIGITS, batch=32, n=1280, epochs=4), "numba", "jax", 0.75
    yield "train", replace(p.DIGITS, batch=128, n=2048, epochs=4), "numba", "jax", 0.75
    yield "gradient", replace(p.DIGITS, batch=None, n=256), "numba", "torch", 0.72
    yield "train", p.SMALL, "numba", "jax", 0.22
    deep = replace(
        p.DIGITS, sizes=(64, 64, 64, 10), n=4096, epochs=4, batch=64, rate=0.001, optimizer="adam"
    )
    yield "train", deep, "numba", "jax", 0.55
    yield "train", replace(deep, dtype="float64"), "numba", "jax", 0.55
    many = {"n": 10_000, "batch": None}
    yield "predict", replace(p.CURVE_FLOAT32, n=1), "numba", "onnxruntime", 0.20
    yield "predict", replace(p.CURVE_FLOAT32, **many), "numba", "onnxruntime", 0.45
    wide = replace(p.DIGITS, sizes=(64, 512, 10), **many)
    yield "predict", wide, "numba", "onnxruntime", 0.90


def quickest(entries: list[Any]) -> list[float]:
    """Seconds of the quickest run of each, in turn."""
    rounds, best = [], [float("inf")] * len(entries)
    for entry in entries:
        started = time.perf_counter()
        entry.run()
        rounds.append(max(1, int(SECONDS / (time.perf_counter() - started))))
    for _ in range(ROUNDS):
        for k, entry in enumerate(entries):
            started = time.perf_counter()
            for _ in range(rounds[k]):
                entry.run()
            best[k] = min(best[k], (time.perf_counter() - started) / rounds[k])
    return best


def main() -> None:
    """Print a line per row whose line has all the words that were given."""
    machine.use_cores([machine.facts.cores()[-1]])
    from bench import contest, peers

    warnings.simplefilter("ignore")
    for operation, problem, ours, theirs, goal in rows():
        name = f"{operation}: {problem.label}, {ours} against {theirs}"
        if not all(word in name for word in sys.argv[1:]):
            continue
        start = problem.start.astype("float64") if operation == "train" else 0.0
        entries = []
        try:
            for contestant in (ours, theirs):
                entries.append(peers.enter(contestant, operation, problem))
                contest.check(entries[-1], problem.expected(operation), problem.dtype, start)
        except contest.UnavailableError as error:
            print(f"{name}: {error}")
            continue
        updates = problem.updates if operation == "train" else 1
        times = [seconds / updates * 1e6 for seconds in quickest(entries)]
        line = f"{name:76s} {times[0]:10.3f} µs {times[1]:10.3f} µs"
        print(f"{line} {times[0] / times[1]:6.3f}, goal {goal:.2f}", flush=True)


if __name__ == "__main__":
    main()
