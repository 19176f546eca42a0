"""A network inside compiled code: beside C, a JAX scan, ``fit``, and SciPy's calls of Python.

``python -m bench.compiled [words of a row]`` prints a line per row: ours, theirs, their ratio, and
the largest that we want. Each is the quickest of many rounds, in turn. C is gcc's, with the better
of its settings for vectors, and JAX's scan has all steps in one call. `chrt -f 50` makes rounds
quieter.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

import fastnn
from fastnn.demos import cartpole

ROUNDS, ROWS = 15, 1024
Run = Callable[[], Any]


class UnavailableError(Exception):
    """What is not installed."""


@njit
def sum_of_outputs(h, X, n):
    out, total = np.empty(h.n_outputs), 0.0
    for k in range(n):
        fastnn.jit.forward(h, X[k % ROWS], out)
        total += out[0]
    return total


@njit
def learn_all(h, X, Y, rate, epochs):
    total = 0.0
    for _ in range(epochs):
        for k in range(len(X)):
            total += fastnn.jit.learn(h, X[k], Y[k], rate)
    return total


def best(runs: list[Run]) -> list[float]:
    """Seconds of the quickest round of each, in turn."""
    least = [np.inf] * len(runs)
    for _ in range(ROUNDS):
        for k, run in enumerate(runs):
            started = time.perf_counter()
            run()
            least[k] = min(least[k], time.perf_counter() - started)
    return least


def c_runs(function: str, net: fastnn.Network, X: np.ndarray, *rest: int) -> list[Run]:
    """The loop in C, with each of the settings for the width of vectors."""
    source, runs = Path(__file__).parent / "peers" / "one_row.c", []
    for width in ([], ["-mprefer-vector-width=512"]):
        library = Path(tempfile.mkdtemp()) / "one_row.so"
        flags = ["-O3", "-march=native", "-ffast-math", *width, "-shared", "-fPIC"]
        try:
            subprocess.run(["gcc", *flags, source, "-o", library, "-lm"], check=True)
        except FileNotFoundError as error:
            raise UnavailableError("there is no gcc") from error
        call = getattr(ctypes.CDLL(library), function)
        call.restype = ctypes.c_double
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (net.parameters, X)]
        runs.append(functools.partial(call, *pointers, *map(ctypes.c_long, rest)))
    return runs


def against_c(sizes: list[int], function: str, n: int, *rest: int) -> tuple[Run, list[Run], int]:
    """Calls of `forward`."""
    net = fastnn.Network(sizes, activation="tanh", seed=1)
    X, h = np.random.default_rng(0).normal(size=(ROWS, sizes[0])), net.compiled()
    theirs = c_runs(function, net, X, n, *rest)
    wanted = sum_of_outputs(h, X, n)
    for run in theirs:
        assert np.isclose(run(), wanted, rtol=1e-9), "C computes something else"
    return lambda: sum_of_outputs(h, X, n), theirs, n


def jax_drive(net: fastnn.Network, steps: int) -> Run:
    """The cart-pole of the demo as a scan."""
    try:
        import jax
    except ImportError as error:
        raise UnavailableError("JAX is not installed") from error
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    layers = [(jnp.array(W), jnp.array(b)) for W, b in zip(net.weights, net.biases, strict=True)]

    def step(state: Any, _: Any) -> Any:
        a = state
        for W, b in layers:
            a = jnp.tanh(a @ W + b)
        x, v, angle, spin = state
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        force = (10.0 * a[0] + 0.05 * spin * spin * sine) / 1.1
        bend = 9.8 * sine - cosine * force
        bend = bend / (0.5 * (4.0 / 3.0 - 0.1 * cosine * cosine / 1.1))
        return jnp.array([
            x + 0.02 * v, v + 0.02 * (force - 0.05 * bend * cosine / 1.1), angle + 0.02 * spin,
            spin + 0.02 * bend,
        ]), None  # fmt: skip

    drive = jax.jit(lambda state: jax.lax.scan(step, state, None, length=steps)[0])
    start = jnp.zeros(4).at[2].set(0.01)
    return lambda: drive(start).block_until_ready()


@njit
def drive_on(h, state, steps):
    push = np.zeros(1)
    for _ in range(steps):
        fastnn.jit.forward(h, state, push)
        cartpole.step(state, push[0])
    return state


def against_jax(steps: int = 20_000) -> tuple[Run, list[Run], int]:
    """Steps of a cart-pole, physics and network, both from the same state; it stays up."""
    net = fastnn.Network(cartpole.LAYERS, activation="tanh", output_activation="tanh", seed=1)
    h, start = net.compiled(), np.array([0.0, 0.0, 0.01, 0.0])
    cartpole.learn(h, np.random.default_rng(0))
    theirs = jax_drive(net, steps)
    few = 100  # further on the two may go apart
    np.testing.assert_allclose(drive_on(h, start.copy(), few), jax_drive(net, few)(), rtol=1e-6)
    theirs()
    return lambda: drive_on(h, start.copy(), steps), [theirs], steps


def against_fit(dtype: str, epochs: int = 20) -> tuple[Run, list[Run], int]:
    """Updates of 1-128-1, one sample at a time."""
    rng, sizes = np.random.default_rng(0), [1, 128, 1]
    X, Y = (rng.normal(size=(ROWS, 1)).astype(dtype) for _ in range(2))
    nets = [fastnn.Network(sizes, seed=1, dtype=dtype) for _ in range(2)]
    h = nets[0].compiled()

    def fit(epochs: int = epochs) -> None:
        nets[1].fit(X, Y, epochs=epochs, batch_size=1, learning_rate=0.001, shuffle=False)

    learn_all(h, X, Y, 0.001, 2)
    fit(2)
    limits = {"rtol": 1e-9} if dtype == "float64" else {"rtol": 1e-2, "atol": 1e-4}
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, **limits)
    return lambda: learn_all(h, X, Y, 0.001, epochs), [fit], epochs * ROWS


def against_python() -> tuple[Run, list[Run], int]:
    """One ``quad``, through the low-level callable and through ``predict``."""
    from scipy.integrate import quad

    net = fastnn.Network([1, 16, 1], activation="tanh", seed=1)
    function, X = net.low_level_callable(), np.zeros((1, 1))

    def predict(x: float) -> float:
        X[0, 0] = x
        return float(net.predict(X)[0, 0])

    assert np.isclose(quad(function, -1, 2)[0], quad(predict, -1, 2)[0])
    return lambda: quad(function, -1, 2), [lambda: quad(predict, -1, 2)], 1


ROWS_OF: dict[str, tuple[Callable[[], tuple[Run, list[Run], int]], float]] = {
    "forward of 3-8-1 tanh, C with constant sizes":
        (lambda: against_c([3, 8, 1], "run_3_8_1", 100_000), 2.5),
    "forward of 1-128-1 tanh, C with the size as an argument":
        (lambda: against_c([1, 128, 1], "run_1_m_1", 20_000, 128), 1.0),
    "a step of a cart-pole with 4-16-16-1 tanh, JAX scan": (against_jax, 1.0),
    "learn of 1-128-1, fit": (lambda: against_fit("float64"), 1.5),
    "learn of 1-128-1 in float32, fit": (lambda: against_fit("float32"), 1.5),
    "quad of 1-16-1, calls of predict": (against_python, 0.25),
}  # fmt: skip


def main() -> None:
    """Print a line per row whose name has all the words that were given."""
    for name, (make, goal) in ROWS_OF.items():
        if not all(word in name for word in sys.argv[1:]):
            continue
        try:
            ours, theirs, times = make()
        except UnavailableError as error:
            print(f"{name}: {error}")
            continue
        mine, *others = (seconds / times * 1e9 for seconds in best([ours, *theirs]))
        line = f"{name:56s} {mine:10.1f} ns {min(others):10.1f} ns"
        print(f"{line} {mine / min(others):6.2f}, at most {goal:.2f}", flush=True)


if __name__ == "__main__":
    main()
