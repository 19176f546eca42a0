"""Many networks in one call, beside JAX's vmap, `torch.func` and a loop of `fit`.

``python -m bench.many [all]`` prints a table: nanoseconds an update of one network, per-sample SGD
with the samples in order, the quickest of some runs in turn; and the same for predictions with many
vectors of parameters. On one core, or with "all" on all of them. A peer that is not installed, or
would take minutes, is left out.

``python -m bench.many setup`` prints what 100,000 networks of 3-4-1 take to set up and in memory,
and ``python -m bench.many loops`` how many times as fast as a loop of `fit` 1,024 are trained.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench import machine

SIZES: dict[str, list[int]] = {"3-4-1": [3, 4, 1], "10-32-3": [10, 32, 3], "1-128-1": [1, 128, 1]}
#: How many networks at once.
COUNTS = (16, 64, 1024)
ROWS, RATE, ROUNDS = 100, 0.1, 3
#: Networks, and the epochs of a run. Of the smallest 50 take hardly longer than setting up does.
CASES = (("3-4-1", 50), ("3-4-1", 500), ("10-32-3", 50), ("1-128-1", 50))
#: The same where each update takes a call from Python.
FEW_EPOCHS = 1

Run = Callable[[], Any]


def problem(name: str, count: int, dtype: str) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Sigmoid networks with half the squared error, and their samples."""
    import fastnn

    sizes, rng = SIZES[name], np.random.default_rng(0)
    networks = [fastnn.Network(sizes, seed=seed, dtype=dtype) for seed in range(count)]
    shape = (ROWS, sizes[0]), (ROWS, sizes[-1])
    X, Y = (rng.uniform(-1, 1, size).astype(dtype) for size in shape)
    return networks, X, Y


def ours(name: str, count: int, dtype: str, epochs: int, n_jobs: int) -> Run:
    """`fastnn.fit_many`."""
    import fastnn

    networks, X, Y = problem(name, count, dtype)
    settings = {"batch_size": 1, "learning_rate": RATE, "shuffle": False, "n_jobs": n_jobs}

    def run() -> np.ndarray:
        fastnn.fit_many(networks, X, Y, epochs=epochs, **settings)
        return np.array([network.parameters for network in networks])

    return run


def loop(name: str, count: int, dtype: str, epochs: int, n_jobs: int) -> Run:
    """`Network.fit`, one after another."""
    networks, X, Y = problem(name, count, dtype)
    settings = {"batch_size": 1, "learning_rate": RATE, "shuffle": False}

    def run() -> np.ndarray:
        for network in networks:
            network.fit(X, Y, epochs=epochs, **settings)
        return np.array([network.parameters for network in networks])

    return run


def with_jax(name: str, count: int, dtype: str, epochs: int, n_jobs: int) -> Run:
    """A scan over the samples, differentiated by JAX, vmapped over the networks, in one jit."""
    import jax

    jax.config.update("jax_enable_x64", True)
    networks, X, Y = problem(name, count, dtype)
    rate = np.dtype(dtype).type(RATE)

    def loss(layers: Any, x: Any, y: Any) -> Any:
        for W, b in layers[:-1]:
            x = jax.nn.sigmoid(x @ W + b)
        W, b = layers[-1]
        return 0.5 * ((x @ W + b - y) ** 2).sum()

    def update(layers: Any, sample: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(layers, *sample)
        return jax.tree.map(lambda p, g: p - rate * g, layers, gradient), value

    def epoch(layers: Any, _: Any) -> Any:
        layers, losses = jax.lax.scan(update, layers, (X, Y))
        return layers, losses.mean()

    def train(layers: Any) -> Any:
        return jax.lax.scan(epoch, layers, length=epochs)

    each = [list(zip(net.weights, net.biases, strict=True)) for net in networks]
    state = [jax.tree.map(lambda *arrays: jax.numpy.stack(arrays), *each)]
    fit = jax.jit(jax.vmap(train), donate_argnums=0)

    def run() -> np.ndarray:
        state[0], losses = fit(state[0])
        jax.block_until_ready(losses)
        return _flat([array for layer in state[0] for array in layer])

    return run


def with_torch(name: str, count: int, dtype: str, epochs: int, n_jobs: int) -> Run:
    """``torch.func``: vmap of grad, an update of all networks at a time."""
    import torch
    from torch.func import grad, vmap

    torch.set_num_threads(machine.threads())
    networks, X, Y = problem(name, count, dtype)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    weights, biases = (
        [torch.from_numpy(np.array(layer)) for layer in zip(*layers, strict=True)]
        for layers in ([net.weights for net in networks], [net.biases for net in networks])
    )

    def loss(W: Any, b: Any, row: Any, target: Any) -> Any:
        for w, c in zip(W[:-1], b[:-1], strict=True):
            row = torch.sigmoid(row @ w + c)
        return 0.5 * ((row @ W[-1] + b[-1] - target) ** 2).sum()

    gradient = vmap(grad(loss, argnums=(0, 1)), in_dims=(0, 0, None, None))

    def run() -> np.ndarray:
        for _ in range(epochs):
            for row, target in zip(x, y, strict=True):
                of_weights, of_biases = gradient(weights, biases, row, target)
                for p, g in zip([*weights, *biases], [*of_weights, *of_biases], strict=True):
                    p.sub_(g, alpha=RATE)
        pairs = zip(weights, biases, strict=True)
        return _flat([array.numpy() for pair in pairs for array in pair])

    return run


def _flat(arrays: list[Any]) -> np.ndarray:
    """Parameters (networks, n_parameters) from those of layers."""
    return np.concatenate([np.asarray(array).reshape(len(array), -1) for array in arrays], axis=1)


CONTESTANTS = {"fit_many": ours, "loop of fit": loop, "JAX vmap": with_jax, "torch": with_torch}


def times(
    name: str, most_epochs: int, count: int, dtype: str, n_jobs: int
) -> Iterator[tuple[str, float]]:
    """Nanoseconds an update of each contestant, whose first runs have equal results."""
    runs, expected = {}, {}
    for who, make in CONTESTANTS.items():
        epochs = FEW_EPOCHS if who == "torch" else most_epochs
        try:
            run = make(name, count, dtype, epochs, n_jobs)
            result = run()
        except ImportError:
            continue
        if epochs in expected:  # as many updates as another one made
            np.testing.assert_allclose(result, expected[epochs], rtol=1e-2, atol=1e-3)
        expected.setdefault(epochs, result)
        runs[who] = run, epochs
    least = dict.fromkeys(runs, np.inf)
    for _ in range(ROUNDS):
        for who, (run, epochs) in runs.items():
            started = time.perf_counter()
            run()
            seconds = time.perf_counter() - started
            least[who] = min(least[who], seconds / (epochs * ROWS * count) * 1e9)
    yield from least.items()


def predictions() -> None:
    """Print microseconds for a vector of 4-16-2 on 100 rows: `predict_with`, a loop, JAX."""
    import fastnn

    rng = np.random.default_rng(0)
    for dtype in ("float64", "float32"):
        net = fastnn.Network([4, 16, 2], dtype=dtype, seed=0)
        X = rng.normal(size=(100, 4)).astype(dtype)
        vectors = rng.normal(size=(10_000, net.parameters.size)).astype(dtype)

        def each(net: Any = net, vectors: Any = vectors, X: Any = X) -> None:
            for vector in vectors:
                net.set_parameters(vector).predict(X)

        runs: dict[str, Run] = {
            "predict_with": lambda net=net, vectors=vectors, X=X: net.predict_with(vectors, X),
            "loop of predict": each,
        }
        try:
            import jax
        except ImportError:
            pass
        else:
            outputs = jax.jit(jax.vmap(_outputs_4_16_2, in_axes=(0, None)))
            runs["JAX vmap"] = lambda f=outputs, vectors=vectors, X=X: np.asarray(f(vectors, X))
        least = dict.fromkeys(runs, np.inf)
        for _ in range(ROUNDS + 1):
            for who, run in runs.items():
                started = time.perf_counter()
                run()
                least[who] = min(least[who], time.perf_counter() - started)
        cells = (f"{who} {seconds / len(vectors) * 1e6:.2f} µs" for who, seconds in least.items())
        print(f"4-16-2, 10,000 vectors on 100 rows, {dtype}: {', '.join(cells)}")


def _outputs_4_16_2(p: Any, X: Any) -> Any:
    import jax

    hidden = jax.nn.sigmoid(X @ p[:64].reshape(4, 16) + p[64:80])
    return hidden @ p[80:112].reshape(16, 2) + p[112:]


def setting_up(count: int = 100_000) -> None:
    """Print microseconds of processor time and bytes for each of *count* networks."""
    import fastnn

    X, y = (
        np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]]),
        np.array([[0.0], [1], [1], [0]]),
    )
    settings = {"epochs": 1, "batch_size": 1, "shuffle": False}
    fastnn.fit_many(
        [fastnn.Network([3, 4, 1], seed=0), fastnn.Network([3, 4, 1])], X, y, **settings
    )
    before = machine.facts.resident()
    networks = [fastnn.Network([3, 4, 1], seed=seed) for seed in range(count)]
    least = np.inf
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        fastnn.fit_many(networks, X, y, **settings)
        least = min(least, (time.process_time() - started) / count * 1e6)
    own, peak = machine.facts.resident() - before, _most_resident() - before
    print(
        f"{count:,} networks: {least:.1f} µs each; {own / count:,.0f} bytes each with its history, "
        f"at most {peak / own:.2f} times as much"
    )


def _most_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def loops(count: int = 1024, few: int = 100) -> None:
    """Print nanoseconds an update of `fit_many` and of a loop, in order and shuffled by each."""
    import fastnn

    for name, epochs in CASES:
        for dtype in ("float64", "float32"):
            networks, X, Y = problem(name, count, dtype)
            for shuffle in (False, True):
                settings = {"epochs": epochs, "batch_size": 1, "learning_rate": RATE}
                many, one = np.inf, np.inf
                for _ in range(ROUNDS + 1):
                    started = time.perf_counter()
                    fastnn.fit_many(networks, X, Y, shuffle=shuffle, **settings)
                    between = time.perf_counter()
                    for network in networks[:few]:
                        network.fit(X, Y, shuffle=shuffle, **settings)
                    many = min(many, (between - started) / count)
                    one = min(one, (time.perf_counter() - between) / few)
                many, one = (seconds / (epochs * ROWS) * 1e9 for seconds in (many, one))
                order = f"{epochs} epochs {'shuffled' if shuffle else 'in order'}"
                print(f"{name} {dtype} {order}: {many:.2f} ns, loop {one:.1f}: {one / many:.1f}")


def main(arguments: list[str]) -> None:
    """Print the tables."""
    if arguments in (["setup"], ["loops"]):
        machine.use_cores(machine.facts.cores()[-1:])
        setting_up() if arguments == ["setup"] else loops()
        return
    n_jobs = -1 if "all" in arguments else 1
    cores = machine.facts.cores()
    machine.use_cores(cores if n_jobs == -1 else cores[-1:])
    print(f"| network, epochs | dtype | networks | {' | '.join(CONTESTANTS)} | "
          "ours / best of theirs |")  # fmt: skip
    print("|---|---|---:|" + "---:|" * (len(CONTESTANTS) + 1))
    for name, epochs in CASES:
        for dtype in ("float64", "float32"):
            for count in COUNTS:
                least = dict(times(name, epochs, count, dtype, n_jobs))
                cells = [f"{least[who]:.3g}" if who in least else "" for who in CONTESTANTS]
                peers = [least[who] for who in ("JAX vmap", "torch") if who in least]
                theirs = min(peers, default=np.nan)
                print(f"| {name}, {epochs} | {dtype} | {count} | {' | '.join(cells)} | "
                      f"{least['fit_many'] / theirs:.2f} |", flush=True)  # fmt: skip
    predictions()


if __name__ == "__main__":
    main(sys.argv[1:])
