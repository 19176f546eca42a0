"""What the estimators have beyond scikit-learn's: all of it is off unless it is asked for."""

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import get_scorer
from sklearn.utils.validation import validate_data

from fastnn import validation
from fastnn.activations import Activation, get_activation, get_hidden_activations
from fastnn.architecture import Architecture
from fastnn.callbacks import bind
from fastnn.estimators.inputs import refuse_what_is_no_number
from fastnn.losses import LOSSES, Loss
from fastnn.names import short
from fastnn.reference import vectors_functions

#: Losses of the regressor that scikit-learn's does not have.
OUR_LOSSES = ("absolute_error", "huber", "quantile")
#: Hidden layers by numbers: what stands for the one that is not given.
_UNITS, _LAYERS = 100, 1
#: Samples to compile with: enough for early stopping to split some off.
_WARM_ROWS = 60


def hidden_layers(estimator: Any) -> Any:
    """The sizes of the hidden layers: ``hidden_layer_sizes``, or by ``n_layers`` and ``n_units``.

    Raises
    ------
    ValueError
        If both were given.
    """
    layers, units, given = estimator.n_layers, estimator.n_units, estimator.hidden_layer_sizes
    if layers is None and units is None:
        return given
    if not np.array_equal(given, (_UNITS,)):
        raise ValueError(
            f"hidden_layer_sizes={short(given)} was given beside n_layers={layers} and "
            f"n_units={units}; give one of the two"
        )
    return (_UNITS if units is None else units,) * (_LAYERS if layers is None else layers)


def hidden_activations(estimator: Any, n_hidden: int) -> list[Activation]:
    """Those of the hidden layers, from one name for all or one each."""
    names = estimator.activation
    return get_hidden_activations(names if isinstance(names, str) else list(names), n_hidden)


def one_activation(names: str | Sequence[str]) -> str:
    """The activation of all hidden layers; ValueError if they have several."""
    given = [names] if isinstance(names, str) else names
    found = {get_activation(name, "activation").name for name in given}
    if len(found) != 1:
        raise ValueError(
            f"scikit-learn has one activation for all hidden layers, got activation={short(names)}"
        )
    return found.pop()


def loss_of(estimator: Any) -> Loss | None:
    """The loss, if it is one that scikit-learn does not have."""
    return LOSSES[estimator.loss] if estimator.loss in OUR_LOSSES else None


def quantiles_of(estimator: Any, loss: Loss) -> tuple[float, ...]:
    """For `Architecture.quantiles`."""
    return (float(estimator.quantile),) if loss.name == "quantile" else ()


def mean_loss(
    architecture: Architecture,
    outputs: np.ndarray | None,
    targets: np.ndarray,
    weights: np.ndarray | None,
) -> float:
    """The loss of some outputs without the penalty, the mean over (weighted) samples.

    NaN where there are no *outputs*, because they are no numbers.
    """
    if outputs is None:
        return float("nan")
    loss = architecture.loss
    function = vectors_functions.loss_function(loss)
    with np.errstate(all="ignore"):
        logits = outputs
        if loss.from_logits:  # any that lead to these outputs will do
            logits = np.log(np.maximum(outputs, np.finfo(outputs.dtype).tiny))
        losses = function.value(logits, outputs, architecture.for_loss(targets))
        total = np.ones(len(losses)) if weights is None else weights
        return float((total * losses).sum(dtype=np.float64) / total.sum(dtype=np.float64))


def score(estimator: Any, X: np.ndarray, y: Any, weights: np.ndarray | None) -> float:
    """The score of early stopping by the estimator's ``scoring``: higher is better."""
    if estimator.scoring == "loss":
        return -float(estimator.validation_loss_curve_[-1])
    scorer = get_scorer(estimator.scoring)
    y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y  # in one dimension, as fit takes it
    given = {} if weights is None else {"sample_weight": weights}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        value = scorer(estimator, X, y, **given)
    if not isinstance(value, Real) or value != value:
        raise ValueError(
            f"scoring={short(estimator.scoring)} must give a number for the validation data, "
            f"got {short(value)}"
        )
    return float(value)


def check_settings(estimator: Any, n_hidden: int) -> None:
    """Refuse a dropout, callbacks and a scoring that training would refuse."""
    rates = validation.dropout(estimator.dropout, n_hidden)
    if estimator.solver == "lbfgs" and (estimator.callbacks or rates):
        raise ValueError("dropout and callbacks need solver='sgd' or 'adam', got 'lbfgs'")
    bind(estimator.callbacks or (), None)
    if estimator.scoring not in (None, "loss"):
        scorer = get_scorer(estimator.scoring)
        if not validation.takes(scorer, estimator, None, None):
            raise TypeError(
                f"scoring must be a function of (estimator, X, y), got {short(estimator.scoring)}"
            )


def check_own_validation(estimator: Any, given: tuple[Any, Any, Any]) -> None:
    """Refuse X_val without y_val and the like, before anything else is looked at."""
    X, y, weights = given
    if (X is None) != (y is None):
        raise ValueError("X_val and y_val must be given together")
    if X is None and weights is not None:
        raise ValueError("sample_weight_val was given without X_val and y_val")
    if X is not None and estimator.solver == "lbfgs":
        raise ValueError("X_val and y_val need solver='sgd' or 'adam', got 'lbfgs'")


def warm_up(estimator: Any, n_features: int) -> None:
    """Fit copies of an estimator to a few samples, and predict: all that this needs is compiled."""
    fitted = vars(estimator)
    n_features = fitted.get("n_features_in_", n_features)
    dtype = estimator.coefs_[0].dtype if "coefs_" in fitted else np.float64
    rng = np.random.default_rng(0)
    X = rng.normal(size=(_WARM_ROWS, n_features)).astype(dtype)
    targets: list[Any]
    if is_classifier(estimator):
        known = fitted.get("classes_")
        numbers = (2, 3) if known is None else (max(len(known), 2),)
        targets = [np.arange(_WARM_ROWS) % min(n, _WARM_ROWS // 4) for n in numbers]
    else:
        n_outputs = fitted.get("n_outputs_", 1)
        targets = [rng.uniform(size=(_WARM_ROWS, n_outputs) if n_outputs > 1 else _WARM_ROWS)]
    changes: dict[str, Any] = {
        "max_iter": 2,
        "random_state": 0,
        "verbose": False,
        "callbacks": None,
    }
    if isinstance(estimator.get_params().get("class_weight"), dict):
        changes["class_weight"] = "balanced"
    for y in targets:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twin = clone(estimator).set_params(**changes).fit(X, y)
            twin.predict(X[:1])
            twin.predict(X)


def own_inputs(
    estimator: Any, given: tuple[Any, Any, Any], dtype: Any
) -> tuple[Any, np.ndarray | None]:
    """Checked X_val and sample_weight_val."""
    X, _, weights = given
    try:
        checked = validate_data(
            estimator, X, accept_sparse=["csr", "csc"], dtype=dtype, reset=False
        )
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError  # not one of its own kinds
        raise kind(f"X_val: {error}") from error
    refuse_what_is_no_number(X, "X_val")
    return checked, validation.sample_weight(weights, checked.shape[0], dtype, "sample_weight_val")
