"""From an estimator to the network that an engine works on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import is_
from typing import Any

import numpy as np

from fastnn import arrays, validation
from fastnn.activations import get_activation
from fastnn.architecture import Architecture
from fastnn.contract import quiet
from fastnn.engines import Engine, Predictor, get_engine
from fastnn.estimators import extras
from fastnn.losses import CLIPPED, LOSSES, Loss
from fastnn.memory import aligned, aligned_copy
from fastnn.network import Network
from fastnn.sparse import SparseRows, is_sparse, sparse_rows

#: The engine of all estimators.
ENGINE = "numba"

#: What scikit-learn calls the activations that have another name here.
_SCIKIT_LEARNS_NAMES = {"sigmoid": "logistic"}


@dataclass(frozen=True)
class Objective:
    """How an estimator's loss is computed and reported."""

    loss: Loss
    #: For `fastnn.contract.Plan`: the number of outputs where scikit-learn takes the sum over them
    #: and fastnn the mean.
    scale: float
    #: The loss that scikit-learn reports, without the penalty, is smaller by this factor than the
    #: one whose gradient it takes.
    reported_divisor: int


def objective(estimator: Any) -> Objective:
    """The objective that belongs to an estimator's output activation."""
    n_outputs = estimator.n_outputs_
    ours = extras.loss_of(estimator)
    if ours is not None:
        return Objective(ours, 1.0, 1)
    return {
        "softmax": Objective(CLIPPED["cross_entropy"], 1.0, 1),
        "logistic": Objective(CLIPPED["binary_cross_entropy"], float(n_outputs), 1),
        "exp": Objective(LOSSES["poisson"], float(n_outputs), 1),
        "identity": Objective(LOSSES["half_squared_error"], 1.0, n_outputs),
    }[estimator.out_activation_]


def scikit_learns_name(activation: str | Sequence[str]) -> str:
    """The name by which scikit-learn knows an activation, if it does, given by any of its names.

    ValueError if the hidden layers have several.
    """
    name = extras.one_activation(activation)
    return _SCIKIT_LEARNS_NAMES.get(name, name)


def engine() -> Engine:
    """The engine of all estimators."""
    return get_engine(ENGINE)


class Model:
    """The flat parameter vector behind an estimator's ``coefs_`` and ``intercepts_``.

    Parameters
    ----------
    architecture : Architecture
    parameters : ndarray, shape (P,)
    activation : str or tuple of str
    out_activation : str
        The names by which the estimator knows them.

    Attributes
    ----------
    coefs, intercepts : list of ndarray
        Views into ``parameters``, which the estimator shows to its users.
    """

    def __init__(
        self,
        architecture: Architecture,
        parameters: np.ndarray,
        activation: str | tuple[str, ...],
        out_activation: str,
    ):
        self.architecture = architecture
        self.parameters = parameters
        self.coefs = architecture.weight_views(parameters)
        self.intercepts = architecture.bias_views(parameters)
        self._arrays = (*self.coefs, *self.intercepts)
        self._names = (activation, out_activation)
        self._n_inputs = architecture.sizes[0]
        self._dtype = parameters.dtype
        self._predictor: Predictor | None = None

    @classmethod
    def of(cls, estimator: Any) -> "Model":
        """A copy of an estimator's parameters.

        ValueError if ``coefs_`` and ``intercepts_`` do not fit together, or are no floats.
        """
        arrays = (*estimator.coefs_, *estimator.intercepts_)
        sizes = _layer_sizes(estimator.coefs_, estimator.intercepts_)
        hidden = extras.hidden_activations(estimator, len(sizes) - 2)
        loss = objective(estimator).loss
        output = get_activation(estimator.out_activation_, "out_activation_")
        architecture = Architecture(
            sizes=sizes,
            activations=(*hidden[: len(sizes) - 2], output),
            loss=loss,
            reduction="mean",
            bias=True,
            dtype=validation.float_dtype(np.result_type(*arrays)),
            quantiles=extras.quantiles_of(estimator, loss),
        )
        parameters = aligned(architecture.n_parameters, architecture.dtype)
        model = cls(architecture, parameters, *_names(estimator))
        for view, array in zip(model._arrays, arrays, strict=True):
            view[...] = array
        return model

    def of_dtype(self, dtype: Any) -> "Model":
        """The model itself, or a copy of another dtype."""
        if dtype == self._dtype:
            return self
        architecture = replace(self.architecture, dtype=validation.float_dtype(dtype))
        return Model(architecture, aligned_copy(self.parameters.astype(dtype)), *self._names)

    def is_of(self, estimator: Any) -> bool:
        """Whether the estimator still has this model's arrays and activations."""
        shown = (*estimator.coefs_, *estimator.intercepts_)
        return (
            len(shown) == len(self._arrays)
            and all(map(is_, shown, self._arrays))
            and _names(estimator) == self._names
        )

    @quiet
    def hidden_outputs(self, X: np.ndarray) -> np.ndarray:
        """Outputs of the last hidden layer; X itself without one."""
        rows: Any = validation.features(X, self._n_inputs, self._dtype)
        if len(self.architecture.sizes) == 2:
            return np.array(rows)
        layers = engine().layer_outputs(self.architecture, self.parameters, rows)
        if layers is None:
            raise validation.too_large("X")
        return layers[-2]

    def takes_as_it_is(self, X: Any) -> bool:
        """Whether X needs neither checks, but of its values, nor conversion."""
        return arrays.is_ready(X, self._n_inputs, self._dtype)

    def outputs(self, X: np.ndarray) -> np.ndarray | None:
        """Outputs (n, n_out) for a C-contiguous X of the model's dtype; None if X is not finite."""
        if self._predictor is None:
            self._predictor = engine().predictor(self.architecture)
        return self._predictor(self.parameters, X)

    def outputs_of_sparse(self, X: SparseRows) -> np.ndarray | None:
        """The same for sparse rows, which are finite; None if sums overflow."""
        return engine().predictor(self.architecture, sparse=True)(self.parameters, X)

    @quiet
    def outputs_of_any(self, X: Any) -> np.ndarray | None:
        """The same for X, dense or sparse, of any numeric type.

        The outputs are of the type that NumPy takes for X and the parameters together. None also
        if that is not float32 or float64, or if X does not have as many columns as are inputs.
        ValueError if X is sparse and not finite.
        """
        dtype = np.result_type(X.dtype, self._dtype)
        if dtype not in (np.float32, np.float64) or X.shape[1] != self._n_inputs:
            return None
        model = self.of_dtype(dtype)
        if is_sparse(X):
            return model.outputs_of_sparse(sparse_rows(X, dtype, "X"))
        return model.outputs(np.require(X, dtype, ["C", "A"]))


def _names(estimator: Any) -> tuple[str | tuple[str, ...], str]:
    """How an estimator calls the activations of its hidden layers and of its outputs."""
    hidden = estimator.activation
    return hidden if isinstance(hidden, str) else tuple(hidden), estimator.out_activation_


def network_of(model: Model) -> Network:
    """A network of its own with the model's parameters."""
    # The clipped losses are the estimators' own.
    loss = LOSSES[model.architecture.loss.name.removeprefix("clipped_")]
    arguments = replace(model.architecture, loss=loss).arguments()
    network = Network(**arguments, initializer="zeros", seed=0, engine=ENGINE)
    network.parameters[:] = model.parameters
    network._initializer = None
    return network


def _layer_sizes(coefs: Sequence[Any], intercepts: Sequence[Any]) -> tuple[int, ...]:
    shapes = [np.shape(coef) for coef in coefs]
    sizes = (shapes[0][0], *(shape[-1] for shape in shapes))
    wanted = list(pairwise(sizes))
    if shapes != wanted or [np.shape(b) for b in intercepts] != [(n,) for n in sizes[1:]]:
        raise ValueError(
            "coefs_ and intercepts_ do not fit together: their shapes are "
            f"{shapes} and {[np.shape(b) for b in intercepts]}"
        )
    return sizes
