"""Derivatives with respect to the inputs on the ``python`` engine, of one row x at a time.

ahead    t_j = Σ_i u_i W_ij, u_j = slope_j t_j, layer by layer: the sums and values in a direction
back     d_j = slope_j v_j at the output; one layer down, d_i = slope_i Σ_j W_ij d_j
curved   e is the derivative of d in the direction: one layer down,
         e_i = slope_i Σ_j W_ij e_j + curvature_i t_i Σ_j W_ij d_j

Jacobians and Hessians are put together from these for unit vectors. Softmax couples the outputs:
with r = t - Σ a t in place of t, u = a r, d = a (v - Σ a v), and e gains d r - a Σ d r.

The functions without an underscore are those of `fastnn.engines.Derivatives`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn.architecture import Architecture
from fastnn.reference.loops_functions import ACTIVATIONS, Matrix, Vector, softmax


class Passage:
    """A row on its way through a network: inputs, sums, values and more of each layer.

    *weights* and *biases* are nested lists, as in `fastnn.reference.loops`.
    """

    def __init__(
        self, architecture: Architecture, weights: list[Matrix], biases: Matrix, x: Vector
    ):
        self.weights = weights
        self.sums: Matrix = []
        self.inputs: Matrix = []
        self.values: Matrix = []
        self.slopes: Matrix = []
        self.curvatures: Matrix = []
        self._names = [activation.name for activation in architecture.activations]
        a = x
        for k, (W, b) in enumerate(zip(weights, biases, strict=True)):
            self.inputs.append(a)
            a = self._activate(k, _plus(b, _ahead_through(W, a)))

    @classmethod
    def starting(
        cls, architecture: Architecture, parameters: np.ndarray
    ) -> Callable[[Vector], Passage]:
        """What makes the passage of each row through a network of these parameters."""
        weights = [W.tolist() for W in architecture.weight_views(parameters)]
        biases = [b.tolist() for b in architecture.bias_views(parameters)]
        biases = biases or [[0.0] * n_out for n_out in architecture.sizes[1:]]
        return lambda x: cls(architecture, weights, biases, x)

    def _activate(self, k: int, z: Vector) -> Vector:
        if self._names[k] == "softmax":
            a = softmax(z)
            s, c = a, a  # in the formulas above a stands in the place of the slope
        else:
            function = ACTIVATIONS[self._names[k]]
            a = function.value(z)
            s = function.slope(z, a)
            c = [function.curvature(*zas) for zas in zip(z, a, s, strict=True)]
        self.sums.append(z)
        self.values.append(a)
        self.slopes.append(s)
        self.curvatures.append(c)
        return a

    def ahead(self, u: Vector) -> tuple[Matrix, Matrix]:
        """t (softmax: r) and u of every layer from the direction of the inputs."""
        tangents, pushed = [], []
        for k, W in enumerate(self.weights):
            t = self._centred(k, _ahead_through(W, u))
            u = _times(self.slopes[k], t)
            tangents.append(t)
            pushed.append(u)
        return tangents, pushed

    def back(self, v: Vector) -> tuple[Matrix, Vector]:
        """d of every layer, and the gradient with respect to the inputs."""
        gradients: Matrix = []
        g = v
        for k in reversed(range(len(self.weights))):
            d = self.through(k, g)
            gradients.insert(0, d)
            g = _back_through(self.weights[k], d)
        return gradients, g

    def through(self, k: int, g: Vector) -> Vector:
        """From the gradient with respect to the values of a layer to that to its sums."""
        return _times(self.slopes[k], self._centred(k, g))

    def bent(self, k: int, g: Vector, t: Vector) -> Vector:
        """What the tangents t of a layer add to its e, where g = Σ_j W_ij d_j."""
        if self._names[k] != "softmax":
            return _times(self.curvatures[k], _times(t, g))
        both = _times(self.through(k, g), t)
        total = sum(both)
        return [b_j - a_j * total for b_j, a_j in zip(both, self.values[k], strict=True)]

    def _centred(self, k: int, t: Vector) -> Vector:
        """With softmax t - Σ a t, else t itself."""
        if self._names[k] != "softmax":
            return t
        mean = sum(_times(self.values[k], t))
        return [t_j - mean for t_j in t]


def _plus(a: Vector, b: Vector) -> Vector:
    return [a_j + b_j for a_j, b_j in zip(a, b, strict=True)]


def _times(a: Vector, b: Vector) -> Vector:
    return [a_j * b_j for a_j, b_j in zip(a, b, strict=True)]


def _ahead_through(W: Matrix, u: Vector) -> Vector:
    """Σ_i u_i W_ij for every j."""
    t = [0.0] * len(W[0])
    for u_i, row in zip(u, W, strict=True):
        t = [t_j + u_i * w for t_j, w in zip(t, row, strict=True)]
    return t


def _back_through(W: Matrix, d: Vector) -> Vector:
    """Σ_j W_ij d_j for every i."""
    return [sum(_times(row, d)) for row in W]


def _unit_vectors(n: int) -> Matrix:
    return [[float(i == j) for j in range(n)] for i in range(n)]


def jacobian(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    rows = []
    start = Passage.starting(architecture, parameters)
    for x in X.tolist():
        passage = start(x)
        rows.append([passage.back(v)[1] for v in _unit_vectors(architecture.sizes[-1])])
    return np.array(rows, architecture.dtype)


def vjp(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    V: np.ndarray,
    into: np.ndarray | None = None,
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    rows = []
    start = Passage.starting(architecture, parameters)
    for x, v in zip(X.tolist(), V.tolist(), strict=True):
        passage = start(x)
        gradients, g = passage.back(v)
        rows.append(g)
        if into is not None:
            for W, a, d in zip(
                architecture.weight_views(into), passage.inputs, gradients, strict=True
            ):
                W += [[a_i * d_j for d_j in d] for a_i in a]
            for b, d in zip(architecture.bias_views(into), gradients, strict=False):
                b += d
    return np.array(rows, architecture.dtype)


def jvp(
    architecture: Architecture, parameters: np.ndarray, X: np.ndarray, U: np.ndarray
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    pairs = zip(X.tolist(), U.tolist(), strict=True)
    start = Passage.starting(architecture, parameters)
    rows = [start(x).ahead(u)[1][-1] for x, u in pairs]
    return np.array(rows, architecture.dtype)


def hessian(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    rows = []
    start = Passage.starting(architecture, parameters)
    for x in X.tolist():
        passage = start(x)
        tangents = [passage.ahead(u)[0] for u in _unit_vectors(n_in)]
        rows.append([[_product(passage, t, v) for t in tangents] for v in _unit_vectors(n_out)])
    return np.array(rows, architecture.dtype)


def hvp(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    U: np.ndarray,
    V: np.ndarray,
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    rows = []
    start = Passage.starting(architecture, parameters)
    for x, u, v in zip(X.tolist(), U.tolist(), V.tolist(), strict=True):
        passage = start(x)
        rows.append(_product(passage, passage.ahead(u)[0], v))
    return np.array(rows, architecture.dtype)


def _product(passage: Passage, tangents: Matrix, v: Vector) -> Vector:
    """The derivative of the gradient of Σ v a in the direction that *tangents* are of."""
    g, f = v, [0.0] * len(v)
    for k in reversed(range(len(tangents))):
        d = passage.through(k, g)
        e = _plus(passage.through(k, f), passage.bent(k, g, tangents[k]))
        g, f = _back_through(passage.weights[k], d), _back_through(passage.weights[k], e)
    return f


def gradients_with_jacobian(
    passage: Passage, of_loss: Vector, dydx: Matrix, dydx_weight: float
) -> tuple[float, Matrix, list[tuple[Matrix, Matrix]]]:
    """What learning from a row's Jacobian *dydx* adds to its loss, and all gradients.

    *of_loss* is ∂loss/∂z of the output layer. Beside the gradients of all layers' sums come, for
    each input, the tangents u that go into the layers, and the gradients with respect to them.
    """
    n_in, n_out = len(passage.inputs[0]), len(of_loss)
    ways = [passage.ahead(u) for u in _unit_vectors(n_in)]
    errors = [
        [u_j - row[i] for u_j, row in zip(pushed[-1], dydx, strict=True)]
        for i, (_, pushed) in enumerate(ways)
    ]
    factor = dydx_weight / (n_in * n_out)
    loss = factor * sum(error * error for column in errors for error in column)
    g_of_each = [[2.0 * factor * error for error in column] for column in errors]
    f = [0.0] * n_out
    of_sums: Matrix = []
    of_tangents: list[Matrix] = [[] for _ in ways]
    for k in reversed(range(len(passage.weights))):
        e = passage.through(k, f)
        for i, (tangents, _) in enumerate(ways):
            e = _plus(e, passage.bent(k, g_of_each[i], tangents[k]))
            of_tangents[i].insert(0, passage.through(k, g_of_each[i]))
        if not of_sums:
            e = _plus(e, of_loss)
        of_sums.insert(0, e)
        f = _back_through(passage.weights[k], e)
        g_of_each = [_back_through(passage.weights[k], d[0]) for d in of_tangents]
    inputs = [
        [unit, *pushed[:-1]] for unit, (_, pushed) in zip(_unit_vectors(n_in), ways, strict=True)
    ]
    return loss, of_sums, list(zip(inputs, of_tangents, strict=True))
