"""The losses for uncertainty, trained as PyTorch's autograd trains them, in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's users know

import fastnn

QUANTILES = (0.1, 0.5, 0.9)
N, TARGETS, BATCH, EPOCHS, RATE = 23, 2, 5, 4, 0.05


def gaussian_nll(outputs, y):
    mean, log_variance = outputs[:, :TARGETS], outputs[:, TARGETS:]
    return F.gaussian_nll_loss(mean, y, log_variance.exp())


def pinball(outputs, y):
    errors = y.repeat(1, len(QUANTILES)) - outputs
    q = torch.tensor(QUANTILES, dtype=torch.float64).repeat_interleave(TARGETS)
    return torch.maximum(q * errors, (q - 1) * errors).mean()


LOSSES = {
    "gaussian_nll": (gaussian_nll, 2 * TARGETS, {}),
    "quantile": (pinball, len(QUANTILES) * TARGETS, {"quantiles": list(QUANTILES)}),
}
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, RATE),
    "adam": lambda parameters: torch.optim.Adam(parameters, RATE),
}


def trained_by_pytorch(net, loss, optimizer, X, y):
    """Its parameters and mean losses of each epoch."""
    layers = [
        [torch.tensor(array, requires_grad=True) for array in layer]
        for layer in zip(net.weights, net.biases, strict=True)
    ]
    rule = OPTIMIZERS[optimizer]([array for layer in layers for array in layer])
    losses = []
    for _ in range(EPOCHS):
        total = 0.0
        for rows in torch.arange(N).split(BATCH):
            values = X[rows]
            for W, b in layers[:-1]:
                values = torch.tanh(values @ W + b)
            value = loss(values @ layers[-1][0] + layers[-1][1], y[rows])
            rule.zero_grad()
            value.backward()
            rule.step()
            total += value.item() * len(rows)
        losses.append(total / N)
    flat = [array.detach().numpy().ravel() for layer in layers for array in layer]
    return np.concatenate(flat), losses


@pytest.mark.parametrize("engine", ["numba", "numpy", "python"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", LOSSES)
def test_training_is_that_of_pytorch(name, optimizer, engine):
    loss, n_outputs, options = LOSSES[name]
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(N, 3)), rng.normal(size=(N, TARGETS))
    net = fastnn.Network(
        [3, 6, n_outputs], activation="tanh", loss=name, seed=1, engine=engine, **options
    )
    expected, losses = trained_by_pytorch(
        net, loss, optimizer, torch.tensor(X), torch.tensor(y)
    )  # fmt: skip
    before = net.parameters.copy()
    history = net.fit(
        X, y, epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE, optimizer=optimizer,
        shuffle=False,
    )  # fmt: skip
    assert abs(net.parameters - before).max() > 1e-3
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)
