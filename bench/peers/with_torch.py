"""PyTorch: eager, and compiled by `torch.compile`."""

from typing import Any

import numpy as np

from bench.contest import Entry, UnavailableError
from bench.machine import threads
from bench.problems import Problem
from bench.vectors import Pair, Values


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise UnavailableError(
            "PyTorch is not installed: pip install torch "
            "--index-url https://download.pytorch.org/whl/cpu"
        ) from None
    torch.set_num_threads(threads())
    return torch


def train(problem: Problem, mode: str) -> Entry:
    """Eager: a module and a fused optimiser. Compiled: an update as one function."""
    torch = _torch()
    X, Y = (_tensor(torch, a).split(problem.batch_size) for a in (problem.X, problem.Y))
    batches = list(zip(X, Y, strict=True))
    params = _to_torch(torch, problem)
    if mode == "compile":
        return _train_compiled(torch, problem, batches, params)
    flat = [p.requires_grad_() for layer in params for p in layer]
    if problem.optimizer == "adam":
        optimizer = torch.optim.Adam(flat, lr=problem.rate, fused=True)
    else:
        momentum = 0.9 if problem.optimizer == "momentum" else 0.0
        optimizer = torch.optim.SGD(flat, lr=problem.rate, momentum=momentum, fused=True)

    def run() -> None:
        for _ in range(problem.epochs):
            for x, y in batches:
                optimizer.zero_grad()
                _loss(torch, problem, params, x, y).backward()
                optimizer.step()

    return Entry(run, lambda: _to_flat(params), {}, compiles=False)


def _train_compiled(torch: Any, problem: Problem, batches: Any, params: Any) -> Entry:
    derive = torch.func.grad_and_value(lambda params, x, y: _loss(torch, problem, params, x, y))

    def update(params: Any, x: Any, y: Any) -> None:
        gradient, _ = derive(params, x, y)
        for layer, slopes in zip(params, gradient, strict=True):
            for p, g in zip(layer, slopes, strict=True):
                p.sub_(g, alpha=problem.rate)

    step = _compile(torch, update)

    def run() -> None:
        with torch.no_grad():
            for _ in range(problem.epochs):
                for x, y in batches:
                    step(params, x, y)

    return Entry(run, lambda: _to_flat(params), {})


def gradient(problem: Problem, mode: str) -> Entry:
    """The gradient of the loss of all samples."""
    torch = _torch()
    X, Y = _tensor(torch, problem.X), _tensor(torch, problem.Y)
    params = _to_torch(torch, problem)
    if mode == "compile":
        derive = torch.func.grad_and_value(lambda params: _loss(torch, problem, params, X, Y))
        compiled = _compile(torch, derive)
        return Entry(lambda: compiled(params), lambda: _to_flat(compiled(params)[0]), {})
    flat = [p.requires_grad_() for layer in params for p in layer]

    def run() -> Any:
        return torch.autograd.grad(_loss(torch, problem, params, X, Y), flat)

    return Entry(run, lambda: _to_flat([run()]), {}, compiles=False)


def predict(problem: Problem, mode: str) -> Entry:
    """From a NumPy array to a NumPy array, as for everybody else."""
    torch = _torch()
    params = _to_torch(torch, problem)

    def outputs(x: Any) -> Any:
        return _outputs(torch, problem, params, x)[0]

    forward = _compile(torch, outputs) if mode == "compile" else outputs
    X = problem.own_X()

    def run() -> np.ndarray:
        with torch.inference_mode():
            return forward(torch.from_numpy(X)).numpy()

    return Entry(run, lambda: run().ravel(), {}, compiles=mode == "compile")


def dot(pair: Pair, _: str) -> Entry:
    """`torch.dot`."""
    torch = _torch()
    a, b = (_tensor(torch, array) for array in pair.arrays)
    return Entry(lambda: torch.dot(a, b), lambda: torch.dot(a, b).numpy().reshape(1), {})


def elementary(values: Values, _: str) -> Entry:
    """The function into a tensor that is there."""
    torch = _torch()
    x = _tensor(torch, values.x)
    if values.function == "softplus":
        function = torch.nn.functional.softplus
        return Entry(lambda: function(x), lambda: function(x).numpy(), {})
    out, function = torch.empty_like(x), getattr(torch, values.function)
    return Entry(lambda: function(x, out=out), lambda: out.numpy(), {})


def _compile(torch: Any, function: Any) -> Any:
    torch._dynamo.reset()  # what it compiled for other rows counts as recompilation otherwise
    return torch.compile(function, fullgraph=True, dynamic=False)


def _tensor(torch: Any, array: np.ndarray) -> Any:
    return torch.from_numpy(array.copy())


def _to_torch(torch: Any, problem: Problem) -> Any:
    return [[_tensor(torch, a) for a in layer] for layer in problem.layers(problem.start)]


def _to_flat(params: Any) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for layer in params for p in layer])


def _outputs(torch: Any, problem: Problem, params: Any, x: Any) -> tuple[Any, Any]:
    """Outputs, and the weighted sums that they come from."""
    names = [*[problem.activation] * (len(params) - 1), problem.output]
    z = x
    for name, (W, *b) in zip(names, params, strict=True):
        z = torch.addmm(b[0], x, W) if b else x @ W
        if name == "softmax":
            x = torch.softmax(z, 1)
        else:
            x = z if name == "identity" else getattr(torch, name)(z)
    return x, z


def _loss(torch: Any, problem: Problem, params: Any, x: Any, y: Any) -> Any:
    """The mean over the samples."""
    a, z = _outputs(torch, problem, params, x)
    if problem.loss == "cross_entropy":
        return torch.nn.functional.cross_entropy(z, y)
    if problem.loss == "half_squared_error":
        return ((a - y) ** 2).sum() / (2 * len(y))
    return torch.nn.functional.mse_loss(a, y)
