"""The trainings of recipes.py done by PyTorch, in float64: networks, losses, and torch.optim."""

from __future__ import annotations

import numpy as np
import torch
from recipes import N, Recipe
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's users know

from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "silu": F.silu,
    "gelu": F.gelu,
    "hard_tanh": F.hardtanh,
}


def sample_losses(name: str, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The loss of each sample, from the output layer's weighted sums."""
    if name == "cross_entropy":
        return F.cross_entropy(z, y, reduction="none")
    if name == "half_squared_error":
        return 0.5 * F.mse_loss(z, y, reduction="none").sum(1)
    if name == "poisson":
        constant = torch.special.xlogy(y, y) - y
        return (F.poisson_nll_loss(z, y, log_input=True, reduction="none") + constant).mean(1)
    if name == "hinge":  # of the target -1 it is max(0, 1 - input)
        return F.hinge_embedding_loss(y * z, -torch.ones_like(y), reduction="none").mean(1)
    function = {
        "squared_error": F.mse_loss,
        "binary_cross_entropy": F.binary_cross_entropy_with_logits,
        "absolute_error": F.l1_loss,
        "huber": F.huber_loss,
    }[name]
    return function(z, y, reduction="none").mean(1)


def torch_optimizer(optimizer: Optimizer, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    """The optimiser of torch.optim with the same settings."""
    rate = optimizer.learning_rate
    match optimizer:
        case SGD(momentum=momentum, nesterov=nesterov, weight_decay=decay):
            return torch.optim.SGD(
                parameters, rate, momentum=momentum, nesterov=nesterov, weight_decay=decay
            )
        case RMSprop(rho=rho, epsilon=epsilon):
            return torch.optim.RMSprop(parameters, rate, alpha=rho, eps=epsilon)
        case Adagrad(epsilon=epsilon):
            return torch.optim.Adagrad(parameters, rate, eps=epsilon)
        case AdamW(beta_1=b1, beta_2=b2, epsilon=epsilon, weight_decay=decay):
            return torch.optim.AdamW(parameters, rate, (b1, b2), epsilon, decay)
        case Adam(beta_1=b1, beta_2=b2, epsilon=epsilon):
            return torch.optim.Adam(parameters, rate, (b1, b2), epsilon)
    raise AssertionError(f"no twin of {optimizer}")


class Twin:
    """A network in PyTorch: its weights W (n_in, n_out) and biases b are separate tensors."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        architecture = recipe.architecture
        self.weights = self._tensors(architecture.weight_views(recipe.start))
        self.biases = self._tensors(architecture.bias_views(recipe.start))

    @staticmethod
    def _tensors(arrays: list[np.ndarray]) -> list[torch.Tensor]:
        return [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]

    def flat(self) -> np.ndarray:
        """The parameters in fastnn's order."""
        biases = self.biases or [torch.zeros(0)] * len(self.weights)
        pairs = zip(self.weights, biases, strict=True)
        return np.concatenate([t.detach().numpy().ravel() for pair in pairs for t in pair])

    def sample_losses(self, X: torch.Tensor, Y: torch.Tensor) -> torch.Tensor:
        a = X
        for k, W in enumerate(self.weights):
            z = a @ W + (self.biases[k] if self.biases else 0.0)
            a = ACTIVATIONS[self.recipe.activation](z)
        return sample_losses(self.recipe.loss, z, Y)

    def penalty(self) -> torch.Tensor:
        l1, l2 = self.recipe.architecture.l1, self.recipe.architecture.l2
        return sum(l1 * W.abs().sum() + 0.5 * l2 * W.square().sum() for W in self.weights)

    def train(self) -> np.ndarray:
        """The parameters after the recipe's training."""
        recipe, plan = self.recipe, self.recipe.ready_plan
        X, Y = (torch.tensor(np.array(a)) for a in (recipe.samples.X, recipe.samples.Y))
        weights = recipe.samples.weights
        w = torch.ones(N, dtype=torch.float64) if weights is None else torch.tensor(weights.copy())
        parameters = [*self.weights, *self.biases]
        optimizer = torch_optimizer(plan.optimizer, parameters)
        for rates, order in zip(recipe.rates, recipe.order, strict=True):
            for k, first in enumerate(range(0, N, plan.batch_size)):
                rows = torch.from_numpy(order[first : first + plan.batch_size])
                optimizer.param_groups[0]["lr"] = rates[k if len(rates) > 1 else 0]
                optimizer.zero_grad()
                self._batch_loss(X[rows], Y[rows], w[rows]).backward()
                if plan.optimizer.clip_value is not None:
                    torch.nn.utils.clip_grad_value_(parameters, plan.optimizer.clip_value)
                if plan.optimizer.clip_norm is not None:
                    torch.nn.utils.clip_grad_norm_(parameters, plan.optimizer.clip_norm)
                optimizer.step()
                self._limit_norms()
        return self.flat()

    def _batch_loss(self, X: torch.Tensor, Y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        recipe, plan = self.recipe, self.recipe.ready_plan
        total = plan.scale * (w * self.sample_losses(X, Y)).sum()
        if recipe.reduction == "sum":
            return total + self.penalty()
        times = 1 if plan.penalty_per_batch else len(X)
        divisor = w.sum() if plan.divide_by_weights else len(X)
        return (total + times * self.penalty()) / divisor

    def _limit_norms(self) -> None:
        most = self.recipe.architecture.max_norm
        if most:
            with torch.no_grad():
                for W in self.weights:
                    W *= (most / W.norm(dim=0)).clamp(max=1)
