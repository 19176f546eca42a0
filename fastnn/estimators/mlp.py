"""The two estimators: scikit-learn's own, with the arithmetic done by an engine.

They inherit constructor checks, validation, tags, metadata routing, start weights and scores.
Beyond scikit-learn's public names they rely on these private ones, in scikit-learn 1.7 to 1.9:

* overridden: ``_fit``, ``_validate_params``, ``_validate_input``, ``_init_coef``,
  ``_fit_stochastic``, ``_fit_lbfgs``, ``_loss_grad_lbfgs``, ``_forward_pass_fast``, ``_predict``,
  ``_score``;
* called: ``_update_no_improvement_count``; read: ``_label_binarizer``, ``_random_state``,
  ``_no_improvement_count``, ``_best_coefs``, ``_best_intercepts``, ``_optimizer``,
  ``_parameter_constraints``;
* imported: ``sklearn.neural_network._stochastic_optimizers`` and
  ``sklearn.utils._param_validation``.
"""

import contextlib
import copy
import inspect
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import neural_network
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn import arrays, validation
from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.engines import Samples, quiet
from fastnn.estimators import solvers
from fastnn.estimators.epochs import Epochs, Held
from fastnn.estimators.inputs import (
    refuse_masked_labels,
    refuse_what_is_no_number,
    weights_of_classes,
)
from fastnn.estimators.lbfgs import LossAndGradient
from fastnn.estimators.model import Model, network_of, objective, scikit_learns_name
from fastnn.estimators.notices import warn
from fastnn.losses import LOSSES
from fastnn.network import Network

_SCIKIT_LEARNS_ACTIVATIONS = {"identity", "logistic", "tanh", "relu"}
_HIDDEN_ACTIVATIONS = {*ALIASES, *(a.name for a in ACTIVATIONS.values() if not a.output_only)}


class _FastPerceptron(BaseEstimator):
    """What the two estimators share; in their bases it comes before scikit-learn's class."""

    _sklearn_class: Any
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    _best_coefs: list[np.ndarray]
    _best_intercepts: list[np.ndarray]
    _our_parameters: tuple[str, ...] = ("dropout", "callbacks")
    _our_constraints: ClassVar[dict[str, Any]] = {
        "activation": [StrOptions(_HIDDEN_ACTIVATIONS)],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "callbacks": [list, tuple, None],
    }

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Self:
        """An estimator like scikit-learn's, with its parameters, and fitted if it is.

        Parameters
        ----------
        estimator : sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        TypeError
            If it is not of the scikit-learn class of this name.
        """
        if not isinstance(estimator, cls._sklearn_class):
            raise TypeError(
                f"estimator must be a sklearn.neural_network.{cls._sklearn_class.__name__}, "
                f"got {type(estimator).__name__}"
            )
        new = cls()
        new.__setstate__({**vars(new), **copy.deepcopy(vars(estimator))})
        return new

    def to_sklearn(self) -> Any:
        """scikit-learn's estimator with the same parameters, and fitted if this is.

        *class_weight*, *dropout* and *callbacks*, which it does not have, are left out.

        Raises
        ------
        ValueError
            If scikit-learn does not have the activation.
        """
        new = copy.deepcopy(self._as_scikit_learns())
        new._validate_params()
        return new

    def _as_scikit_learns(self) -> Any:
        """scikit-learn's estimator with all that this one holds, under scikit-learn's names."""
        new = self._sklearn_class()
        state = self.__getstate__()
        for name in self._our_parameters:
            state.pop(name, None)
        vars(new).update(state, activation=scikit_learns_name(self.activation))
        return new

    @property
    def network_(self) -> Network:
        """A new `Network` with copies of the fitted parameters, without penalty and optimiser."""
        check_is_fitted(self)
        return network_of(self._current_model())

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: arrays and plain values, without what is made from them."""
        state = dict(super().__getstate__())
        state.pop("_model", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state; parameters that its version did not have get their defaults."""
        parameters = inspect.signature(type(self)).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        super().__setstate__({**defaults, **state})
        if "coefs_" in state:
            with contextlib.suppress(ValueError):  # somebody replaced them by what does not fit
                self._bind()

    def _bind(self) -> Model:
        """Keep the parameters in one flat vector: ``coefs_`` and ``intercepts_`` are views of it.

        A user may still replace them; predictions look whether they are the same.
        """
        model: Model | None = vars(self).get("_model")
        if model is None or not model.is_of(self):
            model = self._model = Model.of(self)
            best_is_last = self._best_coefs is self.coefs_
            self.coefs_, self.intercepts_ = list(model.coefs), list(model.intercepts)
            if best_is_last:  # as scikit-learn leaves them after early stopping
                self._best_coefs, self._best_intercepts = self.coefs_, self.intercepts_
        return model

    def _current_model(self) -> Model:
        """The model of the present ``coefs_``, which may not be those that training left."""
        model: Model | None = vars(self).get("_model")
        return model if model is not None and model.is_of(self) else Model.of(self)

    def _quick_outputs(self, X: Any) -> np.ndarray | None:
        """The outputs for an array that scikit-learn's validation would leave as it is; or None."""
        model: Model | None = vars(self).get("_model")
        if (
            model is None
            or not model.takes_as_it_is(X)
            or "feature_names_in_" in vars(self)  # their absence in X is worth a warning
            or not model.is_of(self)
        ):
            return None
        return model.outputs(X)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        """The outputs (n, n_outputs), overriding scikit-learn's method."""
        if check_input:
            given, X = X, validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
            refuse_what_is_no_number(given, "X")
        outputs = None
        with contextlib.suppress(ValueError):
            outputs = self._current_model().outputs_of_any(X)
        return self._unusual_outputs(X) if outputs is None else outputs

    def _unusual_outputs(self, X: Any) -> Any:
        """The outputs for an X that is not finite, which the user allowed, or of an odd type.

        Also if ``coefs_`` do not fit: then scikit-learn's error.
        """
        if scikit_learns_name(self.activation) in _SCIKIT_LEARNS_ACTIVATIONS:
            with np.errstate(over="ignore", invalid="ignore"):
                outputs = self._as_scikit_learns()._forward_pass_fast(X, check_input=False)
        else:
            model = self._current_model()
            sizes, dtype = model.architecture.sizes, model.architecture.dtype
            outputs = model.outputs(validation.features(_dense(X), sizes[0], dtype))
        values = X.data if hasattr(X, "toarray") else X
        if outputs is None or (np.isnan(outputs).any() and np.isfinite(values).all()):
            raise validation.too_large("X")
        return outputs

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
        """Draw a layer's start weights, overriding scikit-learn's method.

        It gives "logistic" smaller ones, and does not know that activation's other name.
        """
        if self.activation == scikit_learns_name(self.activation):
            return super()._init_coef(fan_in, fan_out, dtype)
        return self._as_scikit_learns()._init_coef(fan_in, fan_out, dtype)

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Self:
        """Check and train, overriding scikit-learn's method.

        What is refused by a check, its or ours, leaves the estimator as it was.
        """
        before = dict(vars(self))
        self.__dict__.pop("_random_state", None)  # it is set when all checks are done
        try:
            if sample_weight is not None:
                refuse_what_is_no_number(sample_weight, "sample_weight")
            return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)
        except BaseException:
            if "_random_state" not in vars(self):
                self.__dict__.clear()
                self.__dict__.update(before)
            raise

    def _validate_params(self) -> None:
        """scikit-learn's checks of the parameters, overriding its method, which takes durations."""
        for name in self._parameter_constraints:  # get_params reads the signature anew
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                value = list(value.flat)
            entries = value if isinstance(value, list | tuple) else (value,)
            if np.timedelta64 in map(type, entries):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must not be a duration. "
                    f"Got {value!r} instead."
                )
        super()._validate_params()

    @quiet
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """scikit-learn's checks of X and y and then ours, overriding its method."""
        checked_X, checked_y = super()._validate_input(X, y, incremental, reset)
        refuse_what_is_no_number(X, "X")
        self._check_targets(y, checked_y, checked_X.dtype, incremental)
        return checked_X, checked_y

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        """Train by SGD or Adam, overriding scikit-learn's method.

        Of *rest*, scikit-learn's workspace and "incremental", only the last is used.
        """
        incremental = rest[-1]
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = solvers.new_optimizer(self)
        X, y, sample_weight = self._weighted(X, y, sample_weight)
        if len(y) == 0:  # all are of classes that partial_fit was told to leave out
            return
        model = self._bind()
        X, y, sample_weight, held = self._hold_out(X, y, sample_weight, incremental)
        samples = _samples(model, X, y, sample_weight)
        batch_size = self._clip_batch_size(len(samples))
        Epochs(self, model, samples, batch_size, held, incremental).run()
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts
            self._bind()

    def _hold_out(
        self, X: Any, y: Any, weights: Any, incremental: bool
    ) -> tuple[Any, Any, Any, Held]:
        """Split off the validation data of early stopping."""
        if not self.early_stopping:
            return X, y, weights, Held()
        if incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        given = (X, y) if weights is None else (X, y, weights)
        X, X_val, y, y_val, *both_weights = train_test_split(
            *given,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        if is_classifier(self):
            y_val = self._label_binarizer.inverse_transform(y_val)
        weights, weights_val = both_weights or (None, None)
        return X, y, weights, Held(_dense(X_val), y_val, weights_val)

    def _clip_batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            )
        return int(min(self.batch_size, n_samples))

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        """Train by L-BFGS, overriding scikit-learn's method.

        Its own passes on whatever it is given to `_loss_grad_lbfgs`.
        """
        if self.callbacks or np.any(self.dropout):
            raise ValueError("dropout and callbacks need solver='sgd' or 'adam', got 'lbfgs'")
        X, y, sample_weight = self._weighted(X, y, sample_weight)
        model = Model.of(self)
        model = model.of_dtype(np.result_type(X.dtype, model.architecture.dtype))
        if sample_weight is not None and sample_weight.sum() == 0:
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        loss_and_gradient = LossAndGradient(
            replace(model.architecture, l2=float(self.alpha)),
            _samples(model, X, y, sample_weight),
            objective(self),
        )
        super()._fit_lbfgs(X, y, loss_and_gradient, *rest)
        self._bind()

    def _loss_grad_lbfgs(
        self, packed: np.ndarray, X: Any, y: Any, loss_and_gradient: LossAndGradient, *rest: Any
    ) -> tuple[float, np.ndarray]:
        """Loss and gradient for SciPy, overriding scikit-learn's method."""
        return loss_and_gradient(packed)

    def _check_targets(self, given: Any, y: Any, dtype: Any, incremental: bool) -> None:
        """Refuse targets that scikit-learn's checks let through: as *given*, and as checked."""
        raise NotImplementedError

    def _weighted(self, X: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        """The samples to train with and their weights; for the classifier to change."""
        return X, y, weights


def _quick_score_holds(weights: np.ndarray | None) -> bool:
    """Whether scikit-learn's scores have nothing to say of these validation weights."""
    return weights is None or bool(weights.any() and (weights >= 0).all())


def _dense(X: Any) -> Any:
    return X.toarray() if hasattr(X, "toarray") else X


@quiet
def _samples(model: Model, X: Any, y: np.ndarray, weights: np.ndarray | None) -> Samples:
    """Training data as engines take them; a sparse X is made dense as a whole.

    Raises
    ------
    ValueError
        If y has not as many columns as the network has outputs, or if something is too large for
        the network's dtype.
    """
    dtype, n_outputs = model.architecture.dtype, model.architecture.sizes[-1]
    if y.shape[1] != n_outputs:
        raise ValueError(f"y must have {n_outputs} outputs as before, got {y.shape[1]}")
    return Samples(
        arrays.finite(_dense(X), dtype, "X"),
        arrays.finite(y, dtype, "y"),
        None if weights is None else arrays.finite(weights, dtype, "sample_weight"),
    )


class MLPClassifier(_FastPerceptron, neural_network.MLPClassifier):
    """scikit-learn's ``MLPClassifier``, many times as fast.

    With the same parameters, data and ``random_state`` it draws the same start weights, splits
    and shuffles, so that the loss curve and the predictions are scikit-learn's but for rounding;
    it has the same fitted attributes, warnings and errors. See `MLPRegressor` for what differs.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, \
    learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, \
    momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
    n_iter_no_change, max_fun
        As in ``sklearn.neural_network.MLPClassifier``. *activation* may also be any other hidden
        activation of `fastnn.Network`.
    class_weight : dict or "balanced", optional
        Each sample's weight is multiplied by that of its class, as in scikit-learn's other
        classifiers; in the scores of early stopping too. Samples of a class of weight 0 are left
        out, as if they were not there. ``partial_fit`` takes only a dict, of which a batch need
        not have all classes. Not for multi-label y, where a sample has no one class: give
        *sample_weight*.
    dropout, callbacks
        As in `MLPRegressor`.

    Examples
    --------
    >>> import fastnn
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = fastnn.MLPClassifier((10,), solver="lbfgs", random_state=1).fit(X, y)
    >>> bool(classifier.score(X, y) > 0.95)
    True
    """

    _sklearn_class = neural_network.MLPClassifier
    _our_parameters = ("class_weight", *_FastPerceptron._our_parameters)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **neural_network.MLPClassifier._parameter_constraints,
        **_FastPerceptron._our_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        class_weight: Any = None,
        dropout: Any = 0.0,
        callbacks: Any = None,
    ):
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.class_weight = class_weight
        self.dropout = dropout
        self.callbacks = callbacks

    def predict(self, X: Any) -> np.ndarray:
        """Predict the classes of *X*, shape (n_samples, n_features), dense or sparse.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_classes)
        """
        outputs = self._quick_outputs(X)
        return super().predict(X) if outputs is None else self._labels(outputs)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            Classes in the order of ``classes_``. If there is but one, it has probability 1.
        """
        outputs = self._quick_outputs(X)
        if outputs is None:
            check_is_fitted(self)
            outputs = self._forward_pass_fast(X)
        if self.n_outputs_ > 1:
            return outputs
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        positive = outputs.ravel()
        return np.vstack([1 - positive, positive]).T

    def _predict(self, X: Any, check_input: bool = True) -> np.ndarray:
        """The classes, overriding scikit-learn's method."""
        return self._labels(self._forward_pass_fast(X, check_input=check_input))

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy for early stopping, overriding scikit-learn's method."""
        predicted = self._predict(X, check_input=False)
        if predicted.ndim > 1 or not _quick_score_holds(sample_weight):
            return super()._score(X, y, sample_weight=sample_weight)
        return float(np.average(predicted == y, weights=sample_weight))

    def _labels(self, outputs: np.ndarray) -> np.ndarray:
        """What the label binariser's ``inverse_transform`` gives, without its checks."""
        classes = self._label_binarizer.classes_
        if self.out_activation_ == "softmax":
            return classes.take(outputs.argmax(axis=1))
        if self.n_outputs_ > 1:
            return self._label_binarizer.inverse_transform(outputs)
        positive = outputs.ravel()
        if len(classes) != 2:
            return self._label_binarizer.inverse_transform(positive)
        return classes.take(positive > 0.5)

    def _check_targets(self, given: Any, y: Any, dtype: Any, incremental: bool) -> None:
        """Refuse masked labels, and a ``class_weight`` that does not go with the classes."""
        refuse_masked_labels(given, "y")
        if self.class_weight is None:
            return
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(
                "class_weight needs y with one class for each sample, got multi-label y with "
                f"{len(self.classes_)} labels: give sample_weight instead"
            )
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit: give a dict of weights"
            )
        if not (self._weights_by_class(y, dtype).any() or incremental):
            raise ValueError("class_weight must not be 0 for all classes in y")

    def _weighted(self, X: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        """Multiply the weight of each sample by its class's; leave out classes of weight 0."""
        if self.class_weight is None:
            return X, y, weights
        by_class = self._weights_by_class(y, X.dtype)
        kept = by_class > 0
        if weights is not None:
            with np.errstate(over="ignore"):  # found by the check
                by_class = by_class * weights
            arrays.finite(by_class, X.dtype, "sample_weight times class_weight")
        return (X, y, by_class) if kept.all() else (X[kept], y[kept], by_class[kept])

    def _weights_by_class(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        """The weight of each sample's class, shape (n,); *y* as scikit-learn binarises it."""
        places = y[:, 0].astype(np.intp) if y.shape[1] == 1 else y.argmax(axis=1)
        weights = weights_of_classes(self.class_weight, self.classes_, places)
        return arrays.finite(weights, dtype, "class_weight")[places]


class MLPRegressor(_FastPerceptron, neural_network.MLPRegressor):
    """scikit-learn's ``MLPRegressor``, many times as fast.

    With the same parameters, data and ``random_state`` it draws the same start weights, splits
    and shuffles, so that the loss curve and the predictions are scikit-learn's but for rounding;
    it has the same fitted attributes, warnings and errors.

    Parameters
    ----------
    loss, hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, \
    learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, \
    momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
    n_iter_no_change, max_fun
        As in ``sklearn.neural_network.MLPRegressor``. *activation* may also be any other hidden
        activation of `fastnn.Network`.
    dropout : float or sequence of float
        The fraction of hidden units dropped in training, for all hidden layers or one each. Not
        with ``solver="lbfgs"``.
    callbacks : list or tuple, optional
        Objects with a method ``on_epoch_end(network, epoch, logs)``: a `fastnn.Network` with the
        present parameters, the number of the epoch from 1, and a dict with ``"loss"`` and, in
        early stopping, ``"val_score"``. Training ends if one returns True. Not with
        ``solver="lbfgs"``.

    Notes
    -----
    What is as in scikit-learn, though one might expect otherwise: for several outputs, the
    squared error reported in ``loss_curve_`` and ``loss_`` is the mean over outputs while its
    gradient is that of the sum (scikit-learn's issue 8349); a warm start goes on counting epochs
    without improvement where the last ``fit`` stopped.

    What differs:

    * rounding, which training may amplify: SGD and Adam over thousands of updates,
      ``solver="lbfgs"`` over some tens of iterations, after which ``n_iter_`` may differ too;
    * a sparse X is made dense, as a whole for training and in blocks of rows for predictions;
    * dates, masked values and, for ``loss="poisson"``, negative targets are refused;
    * if all of y is one class, `MLPClassifier.predict_proba` has one column, not two;
    * NumPy's warnings about overflow are not given;
    * a warm start with another number of outputs is always an error.

    Examples
    --------
    >>> import fastnn
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_features=5, random_state=1)
    >>> y /= y.std()
    >>> regressor = fastnn.MLPRegressor(
    ...     hidden_layer_sizes=20, solver="lbfgs", tol=0.01, random_state=1
    ... ).fit(X, y)
    >>> bool(regressor.score(X, y) > 0.95)
    True
    """

    _sklearn_class = neural_network.MLPRegressor
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **neural_network.MLPRegressor._parameter_constraints,
        **_FastPerceptron._our_constraints,
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: Any = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: Any = 0.001,
        power_t: Any = 0.5,
        max_iter: Any = 200,
        shuffle: Any = True,
        random_state: Any = None,
        tol: Any = 1e-4,
        verbose: Any = False,
        warm_start: Any = False,
        momentum: Any = 0.9,
        nesterovs_momentum: Any = True,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        epsilon: Any = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: Any = 15000,
        dropout: Any = 0.0,
        callbacks: Any = None,
    ):
        super().__init__(
            loss=loss,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )
        self.dropout = dropout
        self.callbacks = callbacks

    def predict(self, X: Any) -> np.ndarray:
        """Predict the targets of *X*, shape (n_samples, n_features), dense or sparse.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._quick_outputs(X)
        if outputs is None:
            return super().predict(X)
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² for early stopping, overriding scikit-learn's method."""
        if not _quick_score_holds(sample_weight):
            return super()._score(X, y, sample_weight=sample_weight)
        outputs = self._forward_pass_fast(X, check_input=False)
        weights = 1.0 if sample_weight is None else sample_weight[:, np.newaxis]
        spread = np.sum(weights * (y - np.average(y, axis=0, weights=sample_weight)) ** 2, axis=0)
        if not np.isfinite(outputs).all() or np.any(spread == 0):
            return super()._score(X, y, sample_weight=sample_weight)
        return float(np.mean(1 - np.sum(weights * (y - outputs) ** 2, axis=0) / spread))

    def _check_targets(self, given: Any, y: Any, dtype: Any, incremental: bool) -> None:
        """Refuse targets that `Network` refuses."""
        refuse_what_is_no_number(given, "y")
        loss = LOSSES["poisson" if self.loss == "poisson" else "half_squared_error"]
        validation.targets(y, len(y), loss, 1 if y.ndim == 1 else y.shape[1], dtype)
