"""The workload of ParallelMLPs: a thousand networks, beside their construction and a loop of `fit`.

``python -m bench.parallel_mlps [epochs]``. Farias, Ludermir and Bastos-Filho (AI 2023, 4(1), 16-27)
train networks of 1 to 100 hidden units with ten activations at once in PyTorch: one hidden layer as
wide as all together, and the products with the output weights added up by network. Samples: 1,000
of 10 inputs in two classes, in order, in batches of 32; float32, one core. Two of their activations
are not ours; hard_tanh and silu, of the same cost, stand for them. The quickest of some rounds in
turn, what each sets up included; all three must end with the same parameters.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench import machine

WIDTHS = range(1, 101)
ACTIVATIONS = (
    "identity", "sigmoid", "tanh", "relu", "elu", "selu", "gelu", "leaky_relu", "hard_tanh", "silu",
)  # fmt: skip
N_IN, CLASSES, ROWS, BATCH, RATE = 10, 2, 1000, 32, 0.01
ROUNDS = 3

#: Trains networks of ours, and returns what their parameters are then.
Train = Callable[[list[Any], int], list[np.ndarray]]


def networks() -> list[Any]:
    """One of each activation and width, those of an activation side by side."""
    import fastnn

    return [
        fastnn.Network(
            [N_IN, width, CLASSES], activation=activation, loss="cross_entropy", dtype="float32",
            seed=100 * k + width,
        )
        for k, activation in enumerate(ACTIVATIONS)
        for width in WIDTHS
    ]  # fmt: skip


def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, N_IN)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.int64)


def ours(nets: list[Any], epochs: int) -> list[np.ndarray]:
    """`fastnn.fit_many`."""
    import fastnn

    settings = {"batch_size": BATCH, "learning_rate": RATE, "shuffle": False}
    fastnn.fit_many(nets, *samples(), epochs=epochs, **settings)
    return [net.parameters for net in nets]


def loop(nets: list[Any], epochs: int) -> list[np.ndarray]:
    """`Network.fit`, one after another."""
    X, y = samples()
    for net in nets:
        net.fit(X, y, epochs=epochs, batch_size=BATCH, learning_rate=RATE, shuffle=False)
    return [net.parameters for net in nets]


def theirs(nets: list[Any], epochs: int) -> list[np.ndarray]:
    """One wide layer in PyTorch, a slice of it for each activation, and sums by network."""
    import torch

    torch.set_num_threads(machine.threads())
    f = torch.nn.functional
    functions = {
        "identity": lambda z: z, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": f.relu,
        "elu": f.elu, "selu": f.selu, "gelu": f.gelu, "leaky_relu": f.leaky_relu,
        "hard_tanh": f.hardtanh, "silu": f.silu,
    }  # fmt: skip
    W, V = (np.concatenate([net.weights[k].T[:, :] if k == 0 else net.weights[k] for net in nets])
            for k in (0, 1))  # fmt: skip
    b, c = np.concatenate([net.biases[0] for net in nets]), [net.biases[1] for net in nets]
    given = [torch.from_numpy(np.ascontiguousarray(a)) for a in (W, b, V, np.array(c))]
    W, b, V, c = parameters = [tensor.requires_grad_() for tensor in given]
    owner = torch.from_numpy(np.repeat(np.arange(len(nets)), [net.layer_sizes[1] for net in nets]))
    per_activation = [sum(WIDTHS)] * len(ACTIVATIONS)
    X, y = map(torch.from_numpy, samples())
    optimizer = torch.optim.SGD(parameters, lr=RATE)
    for _ in range(epochs):
        for x, target in zip(X.split(BATCH), y.split(BATCH), strict=True):
            z = f.linear(x, W, b).split(per_activation, dim=1)
            pairs = zip(ACTIVATIONS, z, strict=True)
            hidden = torch.cat([functions[name](part) for name, part in pairs], dim=1)
            products = hidden[:, :, None] * V
            outputs = torch.zeros(len(x), len(nets), CLASSES)
            outputs = outputs.scatter_add(1, owner[None, :, None].expand_as(products), products) + c
            targets = target[:, None].expand(len(x), len(nets)).reshape(-1)
            each = f.cross_entropy(outputs.reshape(-1, CLASSES), targets, reduction="none")
            optimizer.zero_grad()
            (each.sum() / len(x)).backward()
            optimizer.step()
    return _split([tensor.detach().numpy() for tensor in parameters], nets)


def _split(arrays: list[np.ndarray], nets: list[Any]) -> list[np.ndarray]:
    """The parameters of each network from those of the wide one."""
    W, b, V, c = arrays
    vectors, first = [], 0
    for net, own in zip(nets, c, strict=True):
        units = slice(first, first + net.layer_sizes[1])
        parts = W[units].T.ravel(), b[units], V[units].ravel(), own
        vectors.append(np.concatenate(parts))
        first = units.stop
    return vectors


def main(arguments: list[str]) -> None:
    """Print the seconds of each, and the ratios."""
    epochs = int(arguments[0]) if arguments else 10
    machine.use_cores(machine.facts.cores()[-1:])
    contestants: dict[str, Train] = {"fit_many": ours, "loop of fit": loop, "PyTorch": theirs}
    if importlib.util.find_spec("torch") is None:
        del contestants["PyTorch"]
    start, least = networks(), dict.fromkeys(contestants, np.inf)
    for k in range(ROUNDS + 1):  # the first one compiles, and is compared
        results = {}
        for who, train in contestants.items():
            nets = copy.deepcopy(start)
            started = time.perf_counter()
            results[who] = train(nets, epochs if k else 1)
            seconds = time.perf_counter() - started
            least[who] = min(least[who], seconds) if k else np.inf
            if k == 0:
                for own, expected in zip(results[who], results["fit_many"], strict=True):
                    np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-4)
    for who, seconds in least.items():
        print(f"{who:12}{seconds:8.3f} s   fit_many / this {least['fit_many'] / seconds:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
