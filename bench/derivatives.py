"""Derivatives of outputs by inputs, beside `torch.func` and JAX: ``python -m bench.derivatives``.

Prints a table: microseconds for a Jacobian, a Hessian and a gradient of Σ v·outputs of 1,000 rows
by a tanh network, with one thread, the quickest of some rounds in turn; and how much quicker ours
is. Of PyTorch and of JAX, which is compiled, the quicker of going forwards and backwards counts.
"torch" is a module as it is, "frozen" one whose parameters ask for no gradients. A peer that is
not installed is left out. ``chrt -f 50 python -m bench.derivatives`` is quieter.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench import machine

SIZES = [[10, 64, 64, 3], [4, 16, 16, 1], [2, 32, 32, 2]]
ROWS, ROUNDS, IN_A_ROW = 1000, 8, 5
WORK = ("jacobian", "hessian", "vjp")

Run = Callable[[], Any]


def problem(sizes: list[int], dtype: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """A network, rows, and factors of outputs."""
    import fastnn

    net, rng = (
        fastnn.Network(sizes, activation="tanh", seed=1, dtype=dtype),
        np.random.default_rng(0),
    )
    X, V = (rng.normal(size=(ROWS, width)).astype(dtype) for width in (sizes[0], sizes[-1]))
    return net, X, V


def ours(net: Any, X: np.ndarray, V: np.ndarray) -> dict[str, list[Run]]:
    """`Network.jacobian` and its like."""
    return {
        "jacobian": [lambda: net.jacobian(X)],
        "hessian": [lambda: net.hessian(X)],
        "vjp": [lambda: net.vjp(X, V)],
    }


def with_torch(
    net: Any, X: np.ndarray, V: np.ndarray, frozen: bool = False
) -> dict[str, list[Run]]:
    """``torch.func``: vmap of jacrev and jacfwd; for the product reverse mode."""
    import torch
    from torch.func import hessian, jacfwd, jacrev, vjp, vmap

    torch.set_num_threads(machine.threads())
    module, x, v = net.to_torch(), torch.from_numpy(X), torch.from_numpy(V)
    for parameter in module.parameters():
        parameter.requires_grad_(not frozen)
    back, ahead, both = (vmap(of(module)) for of in (jacrev, jacfwd, hessian))
    return {
        "jacobian": [lambda: back(x), lambda: ahead(x)],
        "hessian": [lambda: both(x)],
        "vjp": [lambda: vjp(module, x)[1](v)[0]],
    }


def with_jax(net: Any, X: np.ndarray, V: np.ndarray) -> dict[str, list[Run]]:
    """vmap of jacrev and jacfwd, in a jit."""
    import jax

    jax.config.update("jax_enable_x64", True)
    weights = [jax.numpy.array(W) for W in net.weights]
    biases = [jax.numpy.array(b) for b in net.biases]
    x, v = jax.numpy.array(X), jax.numpy.array(V)

    def outputs(row: Any) -> Any:
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            row = jax.numpy.tanh(row @ W + b)
        return row @ weights[-1] + biases[-1]

    def ready(function: Any) -> Run:
        compiled = jax.jit(jax.vmap(function))
        return lambda: compiled(x).block_until_ready()

    product = jax.jit(jax.vmap(lambda row, factors: jax.vjp(outputs, row)[1](factors)[0]))
    return {
        "jacobian": [ready(jax.jacrev(outputs)), ready(jax.jacfwd(outputs))],
        "hessian": [ready(jax.hessian(outputs))],
        "vjp": [lambda: product(x, v).block_until_ready()],
    }


CONTESTANTS = {
    "fastnn": ours,
    "torch": with_torch,
    "frozen": functools.partial(with_torch, frozen=True),
    "JAX": with_jax,
}
PEERS = ("torch", "frozen", "JAX")


def microseconds(sizes: list[int], dtype: str, cores: list[int]) -> dict[str, dict[str, float]]:
    """By kind of work and contestant, all of whose first runs have equal results."""
    arguments = problem(sizes, dtype)
    runs: dict[str, dict[str, list[Run]]] = {work: {} for work in WORK}
    for who, make in CONTESTANTS.items():
        try:
            made = make(*arguments)
        except ImportError:
            continue
        for work in WORK:
            runs[work][who] = made[work]
    if hasattr(os, "sched_setaffinity"):
        # JAX has made its one thread, on the one core: with real-time priority that one and ours
        # would wait for each other there.
        os.sched_setaffinity(0, cores)
    least = {work: dict.fromkeys(runs[work], np.inf) for work in WORK}
    for work in WORK:
        expected = np.asarray(runs[work]["fastnn"][0]())
        tolerance = 1e-10 if dtype == "float64" else 1e-3
        for several in runs[work].values():
            for run in several:
                np.testing.assert_allclose(as_array(run()), expected, rtol=0, atol=tolerance)
        for _ in range(ROUNDS):
            for who, several in runs[work].items():
                for run in several:
                    least[work][who] = min(least[work][who], quickest_in_a_row(run))
    return least


def as_array(result: Any) -> np.ndarray:
    """A contestant's result."""
    return np.asarray(result.detach() if hasattr(result, "detach") else result)


def quickest_in_a_row(run: Run) -> float:
    """Microseconds of the quickest of some runs, whose memory is in the caches then."""
    least = np.inf
    for _ in range(IN_A_ROW):
        started = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - started)
    return least * 1e6


def main(arguments: list[str]) -> None:
    """Print the table; words name the kinds of work and sizes that are wanted."""
    cores = machine.facts.cores()
    machine.use_cores(cores[-1:])
    ratios = " | ".join(f"{who} / ours" for who in PEERS)
    print(f"| network | dtype | 1,000 rows | {' | '.join(CONTESTANTS)} | {ratios} |")
    print("|---|---|---|" + "---:|" * 7)
    for sizes in SIZES:
        name = "-".join(map(str, sizes))
        if arguments and name not in arguments:
            continue
        for dtype in ("float64", "float32"):
            for work, least in microseconds(sizes, dtype, cores).items():
                mine = least["fastnn"]
                cells = [f"{least[who]:.0f}" if who in least else "" for who in CONTESTANTS]
                theirs = [least[who] / mine if who in least else np.nan for who in PEERS]
                cells += [f"{ratio:.2f}" for ratio in theirs]
                print(f"| {name} | {dtype} | {work} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
