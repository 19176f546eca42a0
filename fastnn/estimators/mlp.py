"""The two estimators: scikit-learn's own, with the arithmetic done by an engine.

They inherit constructor checks, validation, tags, metadata routing, start weights and scores:
`fastnn.estimators.perceptron` says what they rely on.
"""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import neural_network
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastnn import arrays, validation
from fastnn.calls import guided_class
from fastnn.estimators import short
from fastnn.estimators.extras import OUR_LOSSES, score
from fastnn.estimators.inputs import (
    dense,
    refuse_masked_labels,
    refuse_new_labels,
    refuse_what_is_no_number,
    weights_of_classes,
)
from fastnn.estimators.parameters import arguments_in
from fastnn.estimators.perceptron import FastPerceptron
from fastnn.losses import LOSSES


def _quick_score_holds(weights: np.ndarray | None) -> bool:
    """Whether scikit-learn's scores have nothing to say of these validation weights."""
    return weights is None or bool(weights.any() and (weights >= 0).all())


def _has_partial_fit(estimator: Any) -> bool:
    """Whether an estimator has ``partial_fit``: where scikit-learn's has it."""
    return hasattr(super(FastPerceptron, estimator), "partial_fit")


@guided_class
class MLPClassifier(FastPerceptron, neural_network.MLPClassifier):
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
        activation of `fastnn.Network`, or a list with one for each hidden layer.
    class_weight : dict or "balanced", optional
        Each sample's weight is multiplied by that of its class, as in scikit-learn's other
        classifiers; in the scores of early stopping too. Samples of a class of weight 0 are left
        out, as if they were not there. ``partial_fit`` takes only a dict, of which a batch need
        not have all classes. Not for multi-label y, where a sample has no one class: give
        *sample_weight*.
    dropout, callbacks, scoring, n_layers, n_units
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
    _our_parameters = ("class_weight", *FastPerceptron._our_parameters)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **neural_network.MLPClassifier._parameter_constraints,
        **FastPerceptron._our_constraints,
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
        scoring: Any = None,
        n_layers: Any = None,
        n_units: Any = None,
    ):
        super().__init__(**arguments_in(locals()))

    @available_if(_has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Update the model with a single iteration over the given data, as scikit-learn does.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,)
        sample_weight : array-like, shape (n_samples,), optional
        classes : array-like, shape (n_classes,), optional
            All classes that there will be; needed in the first call.

        Returns
        -------
        self
            Fastest where X is a C-contiguous array of the dtype of the fitted arrays, y an array of
            whole numbers or texts, and as many samples come in each call.
        """
        seen: Any = vars(self).get("classes_")
        known = classes is None or np.array_equal(classes, seen)
        if sample_weight is None and known and self._go_on(X, y):
            return self
        return super().partial_fit(X, y, sample_weight=sample_weight, classes=classes)

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

    def decision_function(self, X: Any) -> np.ndarray:
        """Weighted sums of the output layer, before softmax or the logistic function.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_classes)
            For two classes the logarithm of the odds of the second; otherwise a column for each
            class, or label.
        """
        sums = self.transform(X) @ self.coefs_[-1] + self.intercepts_[-1]
        return sums.ravel() if self.n_outputs_ == 1 else sums

    def _own_targets(self, y: Any, X: Any, n_outputs: int) -> np.ndarray:
        """y_val as the label binariser has it; labels that y did not have are refused."""
        labels, n, known = np.asarray(dense(y)), X.shape[0], self.classes_
        several = self._label_binarizer.y_type_.startswith("multilabel")
        if labels.shape == (n, 1) and not several:
            labels = labels[:, 0]
        if labels.ndim and len(labels) != n:
            raise ValueError(f"y_val must have {n} labels, as X_val has rows, got {len(labels)}")
        shape = (n, len(known)) if several else (n,)
        if labels.shape != shape:
            raise ValueError(f"y_val must have shape {shape}, as y has, got shape {labels.shape}")
        refuse_new_labels(labels, [0, 1] if several else known.tolist())
        return self._label_binarizer.transform(labels.astype(int if several else known.dtype))

    def _predict(self, X: Any, check_input: bool = True) -> np.ndarray:
        """The classes, overriding scikit-learn's method."""
        return self._labels(self._forward_pass_fast(X, check_input=check_input))

    def _score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy for early stopping, overriding scikit-learn's method."""
        if self.scoring is not None:
            return score(self, X, y, sample_weight)
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

    def _short_targets(self, y: Any, n: int, incremental: bool) -> np.ndarray | None:
        return short.binarised(self, y, n, incremental)

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


@guided_class
class MLPRegressor(FastPerceptron, neural_network.MLPRegressor):
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
        As in ``sklearn.neural_network.MLPRegressor``. *loss* may also be ``"absolute_error"``,
        ``"huber"`` or ``"quantile"``, the mean over outputs as in `fastnn.Network`. *activation*
        may also be any other hidden activation of `fastnn.Network`, or a list with one for each
        hidden layer.
    dropout : float or sequence of float
        The fraction of hidden units dropped in training, for all hidden layers or one each. Not
        with ``solver="lbfgs"``.
    callbacks : list or tuple, optional
        Objects with a method ``on_epoch_end(network, epoch, logs)``: a `fastnn.Network` with the
        present parameters, the number of the epoch from 1, and a dict with ``"loss"`` and, in
        early stopping, ``"val_score"``. Training ends if one returns True. Not with
        ``solver="lbfgs"``.
    scoring : str or callable, optional
        What early stopping looks at in place of accuracy or R²: the name of a scorer of
        scikit-learn, a function ``scorer(estimator, X, y)``, or ``"loss"`` for the loss on the
        validation data. ``validation_scores_`` has it, negative for losses: higher is better.
    n_layers, n_units : int, optional
        Hidden layers by numbers, for searches that tune these: *n_layers* of *n_units* each, by
        default 1 and 100. In place of *hidden_layer_sizes*.
    quantile : float
        For ``loss="quantile"``: between 0 and 1, the part of the targets to lie below.

    Attributes
    ----------
    validation_loss_curve_ : list of float
        The loss on the validation data after each epoch, without the penalty: those that early
        stopping splits off, or those that ``fit`` was given as *X_val* and *y_val*. Empty without.
    loss_curve_ : list of float
        With ``solver="lbfgs"`` too: the loss after each iteration.

    Notes
    -----
    A sparse X is never made dense: see the notes of `fastnn.Network.fit`. With ``solver="sgd"`` an
    update takes the time of the entries that are there, with "adam" that of all weights.

    What is as in scikit-learn, though one might expect otherwise: for several outputs, the
    squared error reported in ``loss_curve_`` and ``loss_`` is the mean over outputs while its
    gradient is that of the sum (scikit-learn's issue 8349); a warm start goes on counting epochs
    without improvement where the last ``fit`` stopped.

    What differs:

    * rounding, which training may amplify: SGD and Adam over thousands of updates,
      ``solver="lbfgs"`` over some tens of iterations, after which ``n_iter_`` may differ too;
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
        **FastPerceptron._our_constraints,
        "loss": [StrOptions({"squared_error", "poisson", *OUR_LOSSES})],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }
    _our_parameters = (*FastPerceptron._our_parameters, "quantile")

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
        scoring: Any = None,
        n_layers: Any = None,
        n_units: Any = None,
        quantile: Any = 0.5,
    ):
        super().__init__(**arguments_in(locals()))

    @available_if(_has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Update the model with a single iteration over the given data, as scikit-learn does.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,), optional

        Returns
        -------
        self
            Fastest where X is a C-contiguous array of the dtype of the fitted arrays, y a vector of
            numbers, and as many samples come in each call.
        """
        if sample_weight is None and self._go_on(X, y):
            return self
        return super().partial_fit(X, y, sample_weight=sample_weight)

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
        if self.scoring is not None:
            return score(self, X, y, sample_weight)
        if not _quick_score_holds(sample_weight):
            return super()._score(X, y, sample_weight=sample_weight)
        outputs = self._forward_pass_fast(X, check_input=False)
        weights = 1.0 if sample_weight is None else sample_weight[:, np.newaxis]
        spread = np.sum(weights * (y - np.average(y, axis=0, weights=sample_weight)) ** 2, axis=0)
        if not np.isfinite(outputs).all() or np.any(spread == 0):
            return super()._score(X, y, sample_weight=sample_weight)
        return float(np.mean(1 - np.sum(weights * (y - outputs) ** 2, axis=0) / spread))

    def _short_targets(self, y: Any, n: int, incremental: bool) -> np.ndarray | None:
        return y if short.numbers(y, n) else None

    def _check_targets(self, given: Any, y: Any, dtype: Any, incremental: bool) -> None:
        """Refuse targets that `Network` refuses."""
        refuse_what_is_no_number(given, "y")
        loss = LOSSES["poisson" if self.loss == "poisson" else "half_squared_error"]
        validation.targets(y, len(y), loss, 1 if y.ndim == 1 else y.shape[1], dtype)

    def _own_targets(self, y: Any, X: Any, n_outputs: int) -> np.ndarray:
        """y_val, shape (n, n_outputs)."""
        loss = LOSSES["poisson" if self.loss == "poisson" else "half_squared_error"]
        return validation.targets(y, X.shape[0], loss, n_outputs, X.dtype, "y_val")
