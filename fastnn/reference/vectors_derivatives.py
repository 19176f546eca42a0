"""Derivatives with respect to the inputs on the ``numpy`` engine, for n rows and m directions.

ahead      T = U_in W, U = T * slope, shapes (n, m, n_out), layer by layer: of the sums, the values
back       D = V * slope at the output; one layer down, D_in = (D Wᵀ) * slope; shapes (n, m, n_out)
curved     E (n, n_out) is what the tangents T do to the gradients D, summed over the directions:
           one layer down, E_in = (E Wᵀ) * slope + Σ_m (D Wᵀ) * T * curvature
Hessian    Σ over all units of (D Wᵀ) * curvature * T Tᵀ

Softmax couples the outputs: with R = T - Σ A T in place of T, U = A * R, D = A * (V - Σ A V), and
what comes to E is D * R - A Σ D R.

The functions without an underscore are those of `fastnn.engines.Derivatives`.
"""

from collections.abc import Callable

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Samples
from fastnn.memory import MOST_BYTES
from fastnn.reference.vectors_functions import ACTIVATIONS, Function, softmax


class Passage:
    """Rows on their way through a network: inputs, values, slopes and curvatures of each layer."""

    def __init__(self, architecture: Architecture, parameters: np.ndarray, X: np.ndarray):
        self.architecture = architecture
        self.weights = architecture.weight_views(parameters)
        self.biases = architecture.bias_views(parameters)
        self.inputs: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []
        self.values: list[np.ndarray] = []
        A = X
        for k, layer in enumerate(architecture.layers):
            self.inputs.append(A)
            Z = A @ self.weights[k]
            if self.biases:
                Z += self.biases[k]
            name = layer.activation.name
            A = softmax(Z) if name == "softmax" else ACTIVATIONS[name].value(Z)
            self.sums.append(Z)
            self.values.append(A)

    def ahead(self, U: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """T (softmax: R) and U of every layer, from the directions U of the inputs (n, m, n_in)."""
        tangents, pushed = [], []
        for k, W in enumerate(self.weights):
            T = U @ W
            if self._couples(k):
                T = T - (self.values[k][:, None] * T).sum(axis=2, keepdims=True)
            U = self._factors(k)[:, None] * T
            tangents.append(T)
            pushed.append(U)
        return tangents, pushed

    def through(self, k: int, G: np.ndarray) -> np.ndarray:
        """From gradients G (n, m, n_k) with respect to a layer's values to those to its sums."""
        if self._couples(k):
            G = G - (self.values[k][:, None] * G).sum(axis=2, keepdims=True)
        D: np.ndarray = self._factors(k)[:, None] * G
        return D

    def bend(
        self, k: int, G: np.ndarray, F: np.ndarray, T: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """D (n, m, n_k) and E (n, n_k) of a layer from G = D Wᵀ and F = E Wᵀ of the one above."""
        D, E = self.through(k, G), self.through(k, F[:, None])[:, 0]
        if self._couples(k):
            E += (D * T - self.values[k][:, None] * (D * T).sum(axis=2, keepdims=True)).sum(axis=1)
        else:
            E += self.curvatures(k) * (T * G).sum(axis=1)
        return D, E

    def squares(self, k: int, G: np.ndarray, T: np.ndarray) -> np.ndarray:
        """What a layer adds to the Hessians (n, m, n_in, n_in), T being those of all inputs."""
        Q = self.through(k, G) if self._couples(k) else self.curvatures(k)[:, None] * G
        H: np.ndarray = (Q[:, :, None] * T[:, None]) @ T[:, None].transpose(0, 1, 3, 2)
        return H

    def curvatures(self, k: int) -> np.ndarray:
        """Second derivatives of a layer's activation."""
        Z, A, function = self.sums[k], self.values[k], self._function(k)
        return function.curvature(Z, A, function.slope(Z, A))

    def _factors(self, k: int) -> np.ndarray:
        if self._couples(k):
            return self.values[k]
        return self._function(k).slope(self.sums[k], self.values[k])

    def _function(self, k: int) -> Function:
        return ACTIVATIONS[self.architecture.activations[k].name]

    def _couples(self, k: int) -> bool:
        return self.architecture.activations[k].name == "softmax"


def sloped_gradient(
    architecture: Architecture,
    parameters: np.ndarray,
    samples: Samples,
    differentiate: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    gradient: np.ndarray,
) -> float:
    """Return the sum of the samples' losses, with those of their Jacobians; write the gradients'.

    *differentiate* takes the output layer's Z and A, and gives each sample's loss without weight,
    and with it ∂loss/∂Z.
    """
    n, n_in, n_out = len(samples), architecture.sizes[0], architecture.sizes[-1]
    assert isinstance(samples.X, np.ndarray)
    assert samples.dydx is not None
    passage = Passage(architecture, parameters, samples.X)
    losses, of_loss = differentiate(passage.sums[-1], passage.values[-1])
    units = _unit_vectors(n, n_in, parameters.dtype)
    tangents, pushed = passage.ahead(units)
    errors = pushed[-1] - samples.dydx.reshape(n, n_out, n_in).transpose(0, 2, 1)
    losses = losses + samples.dydx_weight * (errors**2).mean(axis=(1, 2))
    G = 2 * samples.dydx_weight / (n_in * n_out) * errors
    if samples.weights is not None:
        losses, G = losses * samples.weights, G * samples.weights[:, None, None]
    D, E = passage.bend(-1, G, np.zeros_like(of_loss), tangents[-1])
    E += of_loss
    into = architecture.weight_views(gradient)
    for k in reversed(range(len(tangents))):
        U = pushed[k - 1] if k > 0 else units
        into[k][:] = passage.inputs[k].T @ E + np.tensordot(U, D, ((0, 1), (0, 1)))
        if passage.biases:
            architecture.bias_views(gradient)[k][:] = E.sum(axis=0)
        if k > 0:
            W = passage.weights[k]
            D, E = passage.bend(k - 1, D @ W.T, E @ W.T, tangents[k - 1])
    return float(losses.sum(dtype=np.float64))


def jacobian(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Derivatives`: by the outputs or by the inputs, whichever are fewer."""
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]

    def ahead(X: np.ndarray) -> np.ndarray:
        U = _unit_vectors(len(X), n_in, X.dtype)
        return Passage(architecture, parameters, X).ahead(U)[1][-1].transpose(0, 2, 1)

    def back(X: np.ndarray) -> np.ndarray:
        V = _unit_vectors(len(X), n_out, X.dtype)
        return _back(Passage(architecture, parameters, X), V, None)

    return _by_blocks(ahead if n_in < n_out else back, architecture, min(n_in, n_out), X)


def _unit_vectors(n: int, m: int, dtype: np.dtype[np.floating]) -> np.ndarray:
    """All of m numbers, for n rows: (n, m, m)."""
    return np.broadcast_to(np.eye(m, dtype=dtype), (n, m, m))


def vjp(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    V: np.ndarray,
    into: np.ndarray | None = None,
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""

    def back(X: np.ndarray, V: np.ndarray) -> np.ndarray:
        return _back(Passage(architecture, parameters, X), V[:, None], into)[:, 0]

    return _by_blocks(back, architecture, 1, X, V)


def _back(passage: Passage, V: np.ndarray, into: np.ndarray | None) -> np.ndarray:
    """D Wᵀ of the inputs, (n, m, n_in); the gradient for one direction is added to *into*."""
    architecture, G = passage.architecture, V
    for k in reversed(range(len(passage.weights))):
        D = passage.through(k, G)
        if into is not None:
            architecture.weight_views(into)[k] += passage.inputs[k].T @ D[:, 0]
            if passage.biases:
                architecture.bias_views(into)[k] += D[:, 0].sum(axis=0)
        G = D @ passage.weights[k].T
    return G


def jvp(
    architecture: Architecture, parameters: np.ndarray, X: np.ndarray, U: np.ndarray
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""

    def ahead(X: np.ndarray, U: np.ndarray) -> np.ndarray:
        return Passage(architecture, parameters, X).ahead(U[:, None])[1][-1][:, 0]

    return _by_blocks(ahead, architecture, 1, X, U)


def hessian(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]

    def both(X: np.ndarray) -> np.ndarray:
        passage = Passage(architecture, parameters, X)
        tangents, _ = passage.ahead(_unit_vectors(len(X), n_in, X.dtype))
        G = _unit_vectors(len(X), n_out, X.dtype)
        H = np.zeros((len(X), n_out, n_in, n_in), X.dtype)
        for k in reversed(range(len(tangents))):
            H += passage.squares(k, G, tangents[k])
            G = passage.through(k, G) @ passage.weights[k].T
        return H

    return _by_blocks(both, architecture, n_in * n_out, X)


def hvp(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    U: np.ndarray,
    V: np.ndarray,
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""

    def both(X: np.ndarray, U: np.ndarray, V: np.ndarray) -> np.ndarray:
        passage = Passage(architecture, parameters, X)
        tangents, _ = passage.ahead(U[:, None])
        G, F = V[:, None], np.zeros_like(V)
        for k in reversed(range(len(tangents))):
            D, E = passage.bend(k, G, F, tangents[k])
            G, F = D @ passage.weights[k].T, E @ passage.weights[k].T
        return F

    return _by_blocks(both, architecture, 1, X, U, V)


def _by_blocks(
    function: Callable[..., np.ndarray], architecture: Architecture, times: int, *rows: np.ndarray
) -> np.ndarray:
    """*function* of so many rows at a time that work on them takes about `MOST_BYTES`."""
    row_bytes = 8 * times * sum(architecture.sizes) * architecture.dtype.itemsize
    n, step = len(rows[0]), max(1, MOST_BYTES // row_bytes)
    parts = [function(*(array[s : s + step] for array in rows)) for s in range(0, n, step)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
