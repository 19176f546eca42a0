"""Derivatives against PyTorch's: torch.func, gradcheck, and double backward in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jacrev, vmap

import fastnn
from fastnn.activations import ACTIVATIONS

#: By torch.func itself.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
torch.set_num_threads(1)
HIDDEN = [name for name, row in ACTIVATIONS.items() if not row.output_only]
OUTPUTS = ["identity", "sigmoid", "softmax", "gelu"]
SIZES = {depth: [3, *(5, 4, 6)[:depth], 2] for depth in range(4)}
rng = np.random.default_rng(0)
X, U, V = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
Y, D = rng.uniform(-1, 1, (24, 2)), rng.normal(size=(24, 2, 3))
MANY = rng.normal(size=(24, 3))


def network(engine, depth, activation="tanh", output="identity", bias=True):
    loss = "cross_entropy" if output == "softmax" else "squared_error"
    net = fastnn.Network(
        SIZES[depth], activation=activation, output_activation=output, loss=loss, bias=bias,
        engine=engine,
    )  # fmt: skip
    return net.set_parameters(np.random.default_rng(depth).normal(size=len(net.parameters)))


def close(got, expected):
    """To 1e-12 of the largest, or of 1."""
    expected = expected.detach().numpy()
    size = max(1.0, abs(expected).max())
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * size)


def check(net):
    module = net.to_torch()
    rows = [torch.tensor(a) for a in (X, U, V)]
    x, u, v = rows

    def gradient(x):
        return torch.func.vjp(module, x)[1](v)[0]

    close(net.jacobian(X), vmap(jacrev(module))(x))
    close(net.vjp(X, V), gradient(x))
    close(net.jvp(X, U), torch.func.jvp(module, (x,), (u,))[1])
    close(net.hessian(X), vmap(hessian(module))(x))
    close(net.hvp(X, U, V), torch.func.jvp(gradient, (x,), (u,))[1])
    weights = dict(module.named_parameters())
    of_weights = torch.func.grad(lambda p: (functional_call(module, p, (x,)) * v).sum())(weights)
    of_parameters, of_inputs = net.pullback(X, V)
    np.testing.assert_array_equal(of_inputs, net.vjp(X, V))
    close(of_parameters, flat(of_weights.values()))


def flat(tensors):
    """PyTorch's (n_out, n_in) weights and biases as our vector."""
    return torch.cat([(t.T if t.ndim == 2 else t).reshape(-1) for t in tensors])


@pytest.mark.parametrize("activation", HIDDEN)
def test_derivatives_are_those_of_torch_func(activation):
    """Depth 0 has the activation at the output."""
    for engine in ("numba", "numpy", "python"):
        check(network(engine, 0, output=activation))
        for depth in (1, 2, 3):
            output = OUTPUTS[depth] if engine != "numba" else ("identity", "softmax")[depth % 2]
            check(network(engine, depth, activation, output))


def test_derivatives_without_biases():
    for engine in ("numba", "numpy", "python"):
        for depth in range(4):
            check(network(engine, depth, "silu", "softmax", bias=False))


def through(net):
    """A PyTorch function of X and the parameters, with our derivatives."""

    class Outputs(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, parameters):
            ctx.save_for_backward(x, parameters)
            return torch.tensor(net.set_parameters(parameters.numpy()).predict(x.numpy()))

        @staticmethod
        def backward(ctx, v):
            x, parameters = ctx.saved_tensors
            return Gradient.apply(x, parameters, v)

    class Gradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, parameters, v):
            ctx.save_for_backward(x, v)
            net.set_parameters(parameters.numpy())
            of_parameters, of_inputs = net.pullback(x.numpy(), v.numpy())
            return torch.tensor(of_inputs), torch.tensor(of_parameters)

        @staticmethod
        def backward(ctx, u, _):
            x, v = (tensor.detach().numpy() for tensor in ctx.saved_tensors)
            of_v = torch.tensor(net.jvp(x, u.numpy()))
            return torch.tensor(net.hvp(x, u.numpy(), v)), None, of_v

    return Outputs.apply


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize("output", ["identity", "softmax"])
def test_gradcheck_passes(engine, output):
    net = network(engine, 2, "tanh", output)
    x = torch.tensor(X, requires_grad=True)
    parameters = torch.tensor(net.parameters.copy(), requires_grad=True)
    function = through(net)
    assert torch.autograd.gradcheck(function, (x, parameters))
    fixed = parameters.detach()
    assert torch.autograd.gradgradcheck(lambda x: function(x, fixed), (x,))


SMOOTH = [name for name in HIDDEN if ACTIVATIONS[name].smooth]


def train_in_torch(module, optimizer, batch_size, epochs, weight):
    """Losses by epoch, with the Jacobian by torch.func and double backward through it."""
    x, y, d = (torch.tensor(a) for a in (MANY, Y, D))
    losses = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            optimizer.zero_grad()
            jacobian = vmap(jacrev(module))(x[rows])
            loss = nn.functional.mse_loss(module(x[rows]), y[rows])
            loss = loss + weight * nn.functional.mse_loss(jacobian, d[rows])
            loss.backward()
            total += float(loss.detach()) * len(x[rows])
            optimizer.step()
        losses.append(total / len(x))
    return losses


@pytest.mark.parametrize(
    ("engine", "activation", "batch_size", "rule"),
    [
        *[("numba", name, 8, "sgd") for name in SMOOTH],
        ("numba", "tanh", 1, "sgd"), ("numba", "tanh", 24, "adam"), ("numba", "tanh", 1, "adam"),
        *[("numpy", name, 8, "adam") for name in SMOOTH],
        ("python", "tanh", 1, "sgd"), ("python", "gelu", 8, "adam"),
    ],
)  # fmt: skip
def test_training_is_pytorchs_double_backward(engine, activation, batch_size, rule):
    net = network(engine, 2, activation)
    net.parameters[:] *= 0.5
    module = net.to_torch()
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[rule]
    losses = train_in_torch(module, make(module.parameters(), lr=0.01), batch_size, 8, 0.3)
    history = net.fit(
        MANY, Y, epochs=8, batch_size=batch_size, learning_rate=0.01, optimizer=rule,
        shuffle=False, dydx=D, dydx_weight=0.3,
    )  # fmt: skip
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)
    expected = flat(list(module.parameters())).detach().numpy()
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-9, atol=1e-10)
