"""Derivatives of a network's outputs with respect to its inputs: what `Network` offers of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from fastnn import arrays, validation
from fastnn.activations import ACTIVATIONS
from fastnn.architecture import Architecture
from fastnn.contract import quiet
from fastnn.engines import Derivatives, get_engine
from fastnn.inputs import Inputs
from fastnn.memory import memory_for


class Differentiable:
    """The part of `Network` that gives derivatives of the outputs.

    `jacobian` says what is given where there is none.
    """

    _architecture: Architecture
    _engine_name: str
    _inputs: Inputs

    @property
    @abstractmethod
    def parameters(self) -> np.ndarray:
        """The flat parameter vector."""

    def jacobian(self, X: Any, *, logits: bool = False) -> np.ndarray:
        """Derivatives of each output with respect to each input, for each row of *X*.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)
        logits : bool
            Of the outputs before the output activation: the last layer's weighted sums.

        Returns
        -------
        ndarray, shape (n, n_outputs, n_inputs)
            Exact, not from differences, and without dropout.

        Raises
        ------
        ValueError, TypeError
            If X is not a finite numeric array of that shape, or so large that a derivative is not a
            number (NaN).
        MemoryError
            If the derivatives do not fit into memory.

        Notes
        -----
        Where an activation has no derivative, that of one side is given, as in PyTorch: 0 for relu
        at 0, 0.01 for leaky_relu, 1.758 for selu; for hard_tanh 0 at -1 and 1.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([2, 1], seed=0).set_parameters([3.0, -1.0, 0.5])
        >>> net.jacobian([[0.0, 0.0]])
        array([[[ 3., -1.]]])
        """
        return self._derive("jacobian", X, logits)

    def vjp(self, X: Any, V: Any, *, logits: bool = False) -> np.ndarray:
        """Vector-Jacobian products: the gradient of Σ V · outputs with respect to *X*.

        It costs about as much as two predictions, however many inputs there are.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)
        V : array-like, shape (n, n_outputs)
            Factors of each row's outputs.
        logits : bool
            As in `jacobian`.

        Returns
        -------
        ndarray, shape (n, n_inputs)

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `jacobian` does.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([2, 1], seed=0).set_parameters([3.0, -1.0, 0.5])
        >>> net.vjp([[0.0, 0.0]], [[2.0]])
        array([[ 6., -2.]])
        """
        return self._derive("vjp", X, logits, V=V)

    def jvp(self, X: Any, U: Any, *, logits: bool = False) -> np.ndarray:
        """Jacobian-vector products: derivatives of the outputs in the directions *U* of *X*.

        Parameters
        ----------
        X, U : array-like, shape (n, n_inputs)
            A direction for each row.
        logits : bool
            As in `jacobian`.

        Returns
        -------
        ndarray, shape (n, n_outputs)

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `jacobian` does.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([2, 1], seed=0).set_parameters([3.0, -1.0, 0.5])
        >>> net.jvp([[0.0, 0.0]], [[1.0, 1.0]])
        array([[2.]])
        """
        return self._derive("jvp", X, logits, U=U)

    def hessian(self, X: Any, *, logits: bool = False) -> np.ndarray:
        """Second derivatives of each output with respect to all pairs of inputs.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)
        logits : bool
            As in `jacobian`.

        Returns
        -------
        ndarray, shape (n, n_outputs, n_inputs, n_inputs)

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `jacobian` does.

        Notes
        -----
        Those of relu, leaky_relu and hard_tanh are 0, also where their slopes jump. For elu and
        selu, whose second derivatives jump at 0, they are 1 and 1.758 there.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([2, 1], output_activation="tanh", seed=0)
        >>> net.hessian([[0.1, 0.2]]).shape
        (1, 1, 2, 2)
        >>> net.hessian([[0.1, 0.2]], logits=True)
        array([[[[0., 0.],
                 [0., 0.]]]])
        """
        return self._derive("hessian", X, logits)

    def hvp(self, X: Any, U: Any, V: Any, *, logits: bool = False) -> np.ndarray:
        """Hessian-vector products: the derivative of ``vjp(X, V)`` in the directions *U* of *X*.

        Parameters
        ----------
        X, U : array-like, shape (n, n_inputs)
            A direction for each row.
        V : array-like, shape (n, n_outputs)
            Factors of each row's outputs.
        logits : bool
            As in `jacobian`.

        Returns
        -------
        ndarray, shape (n, n_inputs)

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `jacobian` does.

        Examples
        --------
        >>> import fastnn
        >>> import numpy as np
        >>> net = fastnn.Network([2, 8, 3], activation="tanh", seed=0)
        >>> x, u, v = np.array([[0.1, 0.2]]), np.array([[1.0, -1.0]]), np.array([[1.0, 0.0, 2.0]])
        >>> product = np.einsum("nkij,nj,nk->ni", net.hessian(x), u, v)
        >>> np.allclose(net.hvp(x, u, v), product)
        True
        """
        return self._derive("hvp", X, logits, U=U, V=V)

    @quiet
    def pullback(self, X: Any, V: Any, *, logits: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The gradient of Σ V · outputs with respect to the parameters and to *X*.

        For losses of your own: with V the derivatives of a loss with respect to the outputs, these
        are its derivatives; policy gradients, with advantages of either sign, are of this kind. The
        outputs alone are meant: without penalties and without dropout.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)
        V : array-like, shape (n, n_outputs)
            Factors of each row's outputs.
        logits : bool
            As in `jacobian`.

        Returns
        -------
        parameter_gradient : ndarray, shape (n_parameters,)
            In the order of `Network.parameters`, summed over the rows.
        input_gradient : ndarray, shape (n, n_inputs)
            ``vjp(X, V)``.

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `jacobian` does.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([2, 1], seed=0).set_parameters([3.0, -1.0, 0.5])
        >>> of_parameters, of_inputs = net.pullback([[5.0, 7.0]], [[2.0]])
        >>> of_parameters  # two weights and the bias
        array([10., 14.,  2.])
        >>> of_inputs
        array([[ 6., -2.]])
        """
        into = np.zeros_like(self.parameters)
        of_inputs = self._derive("vjp", X, logits, V=V, into=into)
        self._check(into, "X and V")
        return into, of_inputs

    @quiet
    def _derive(
        self,
        name: str,
        X: Any,
        logits: bool,
        *,
        U: Any = None,
        V: Any = None,
        into: np.ndarray | None = None,
    ) -> np.ndarray:
        """One of the functions of `fastnn.engines.Derivatives`, its arguments checked."""
        architecture = self._architecture
        n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
        ready = _ready(X, n_in, architecture.dtype)
        given = [self._inputs.array(X) if ready is None else ready]
        for key, value, width in (("U", U, n_in), ("V", V, n_out)):
            if key in _ARGUMENTS[name]:
                given.append(_rows(value, key, (len(given[0]), width), architecture.dtype))
        if validation.boolean(logits, "logits"):
            linear = (*architecture.activations[:-1], ACTIVATIONS["identity"])
            architecture = replace(architecture, activations=linear)
        derivatives: Derivatives = get_engine(self._engine_name).derivatives
        function: Callable[..., np.ndarray] = getattr(derivatives, name)
        more = () if into is None else (into,)
        with memory_for(
            "the derivatives for X, of shape {}, do not fit into memory", given[0].shape
        ):
            values = function(architecture, self.parameters, *given, *more)
        self._check(values, " and ".join(("X", *_ARGUMENTS[name])))
        return values

    def _check(self, values: np.ndarray, names: str) -> None:
        """Refuse what is not a number."""
        flat = values.reshape(-1)
        square = float(flat.dot(flat))
        if square != square:  # no infinity makes it so
            validation.finite_parameters(self.parameters)
            raise validation.too_large(names)


#: What the functions take beside X.
_ARGUMENTS = {
    "jacobian": (),
    "vjp": ("V",),
    "jvp": ("U",),
    "hessian": (),
    "hvp": ("U", "V"),
}


def _ready(X: Any, n_in: int, dtype: np.dtype[np.floating]) -> np.ndarray | None:
    """X itself, where a look shows that there is nothing to check or convert."""
    if not arrays.is_ready(X, n_in, dtype):
        return None
    flat = X.reshape(-1)
    return X if isfinite(flat.dot(flat)) else None


def _rows(
    value: Any, name: str, shape: tuple[int, int], dtype: np.dtype[np.floating]
) -> np.ndarray:
    """U or V as a read-only array of the network's dtype."""
    array = arrays.numeric(value, name)
    if array.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, a row for each of X's, got shape {array.shape}"
        )
    return arrays.finite_and_frozen(array, dtype, name)
