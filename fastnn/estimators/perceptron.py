"""What the two estimators share: scikit-learn's fitting, with the arithmetic done by an engine.

Beyond scikit-learn's public names they rely on these private ones, in scikit-learn 1.7 to 1.9:

* overridden: ``_fit``, ``_validate_params``, ``_validate_input``, ``_init_coef``,
  ``_fit_stochastic``, ``_fit_lbfgs``, ``_forward_pass_fast``, ``_predict``, ``_score``;
* called: ``_update_no_improvement_count``, ``_unpack``;
* read: ``_label_binarizer``, ``_random_state``,
  ``_no_improvement_count``, ``_best_coefs``, ``_best_intercepts``, ``_optimizer``,
  ``_parameter_constraints``;
* written: ``_coef_indptr``, ``_intercept_indptr``;
* imported: ``sklearn.neural_network._stochastic_optimizers``,
  ``sklearn.utils._param_validation``, ``sklearn.utils.optimize`` and ``sklearn.utils.fixes``.
"""

import contextlib
import copy
import inspect
import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    is_classifier,
)
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn import validation
from fastnn.contract import Samples, quiet
from fastnn.estimators import extras, short, solvers
from fastnn.estimators.epochs import Epochs, Held
from fastnn.estimators.inputs import dense, refuse_what_is_no_number, samples_of
from fastnn.estimators.lbfgs import LossAndGradient, minimise, packing
from fastnn.estimators.model import Model, network_of, objective, scikit_learns_name
from fastnn.estimators.notices import warn
from fastnn.estimators.parameters import Parameters
from fastnn.network import Network

#: The activations that it has, by any of their names.
_SCIKIT_LEARNS_NAMES = ("identity", "linear", "logistic", "sigmoid", "tanh", "relu")


class FastPerceptron(Parameters, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What the two estimators share; in their bases it comes before scikit-learn's class."""

    _sklearn_class: Any
    hidden_layer_sizes: Any
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    _best_coefs: list[np.ndarray]
    _best_intercepts: list[np.ndarray]

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
        curves = ("loss_curve_",) if self.solver == "lbfgs" else ()
        for name in (*self._our_parameters, "validation_loss_curve_", *curves):
            state.pop(name, None)
        vars(new).update(
            state,
            activation=scikit_learns_name(self.activation),
            hidden_layer_sizes=extras.hidden_layers(self),
        )
        return new

    @property
    def network_(self) -> Network:
        """A new `Network` with copies of the fitted parameters, without penalty and optimiser."""
        check_is_fitted(self)
        return network_of(self._current_model())

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: arrays and plain values, without what is made from them."""
        state = dict(super().__getstate__())
        for made in ("_model", "_epochs"):
            state.pop(made, None)
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
        if self.activation in _SCIKIT_LEARNS_NAMES and not extras.loss_of(self):
            with np.errstate(over="ignore", invalid="ignore"):
                outputs = self._as_scikit_learns()._forward_pass_fast(X, check_input=False)
        else:
            model = self._current_model()
            sizes, dtype = model.architecture.sizes, model.architecture.dtype
            outputs = model.outputs_of_any(validation.features(X, sizes[0], dtype))
        values = X.data if hasattr(X, "toarray") else X
        if outputs is None or (np.isnan(outputs).any() and np.isfinite(values).all()):
            raise validation.too_large("X")
        return outputs

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
        """Draw a layer's start weights, overriding scikit-learn's method.

        It gives "logistic" smaller ones, and does not know that activation's other name.
        """
        given = self.activation
        hidden = [given] if isinstance(given, str) else list(given)
        layer = min(len(self.coefs_), len(hidden) - 1)  # for the outputs the last hidden one's
        plain = self._sklearn_class(activation=scikit_learns_name(hidden[layer]) if hidden else "")
        plain._random_state = self._random_state
        return plain._init_coef(fan_in, fan_out, dtype)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the model to *X* and *y*, as scikit-learn does.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,), optional
        X_val, y_val, sample_weight_val : optional
            Validation data of your own, in place of a *validation_fraction* of X: early stopping
            looks at them, and ``validation_loss_curve_`` has the loss on them without it too. The
            weights are not multiplied by *class_weight*. Not with ``solver="lbfgs"``.

        Returns
        -------
        self
        """
        own = (X_val, y_val, sample_weight_val)
        extras.check_own_validation(self, own)
        if X_val is not None:
            self._own_validation: Any = own
        try:
            super().fit(X, y, sample_weight)
        finally:
            self.__dict__.pop("_own_validation", None)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Outputs of the last hidden layer: features that the network has learned.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples, n_units of the last hidden layer)
            Without hidden layers, X itself.
        """
        check_is_fitted(self)
        given, X = X, validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        refuse_what_is_no_number(given, "X")
        return self._current_model().hidden_outputs(dense(X))

    def _warm_up(self, n_features: int) -> None:
        """For `fastnn.warmup`."""
        extras.warm_up(self, n_features)

    @property
    def _n_features_out(self) -> int:
        """Number of columns of `transform`, by scikit-learn's convention."""
        return len(self.coefs_[-1])

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Self:
        """Check and train, overriding scikit-learn's method.

        What is refused by a check, its or ours, leaves the estimator as it was.
        """
        before = dict(vars(self))
        given = self.hidden_layer_sizes
        self.__dict__.pop("_random_state", None)  # it is set when all checks are done
        try:
            sizes = extras.hidden_layers(self)
            self.hidden_layer_sizes = sizes
            extras.hidden_activations(self, np.size(sizes))
            extras.check_settings(self, np.size(sizes))
            if sample_weight is not None:
                refuse_what_is_no_number(sample_weight, "sample_weight")
            return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)
        except BaseException:
            if "_random_state" not in vars(self):
                self.__dict__.clear()
                self.__dict__.update(before)
            raise
        finally:
            self.hidden_layer_sizes = given

    @quiet
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """scikit-learn's checks of X and y and then ours, overriding its method."""
        if short.inputs(self, X, reset):
            targets = self._short_targets(y, len(X), incremental)
            if targets is not None:
                self._check_targets(y, targets, X.dtype, incremental)
                self._check_own_validation(X, targets)
                with warnings.catch_warnings():
                    pass  # as in scikit-learn's checks, after which warnings are shown once more
                return X, targets
        checked_X, checked_y = super()._validate_input(X, y, incremental, reset)
        refuse_what_is_no_number(X, "X")
        checked_y = dense(checked_y)  # of several columns scikit-learn lets them through
        self._check_targets(y, checked_y, checked_X.dtype, incremental)
        self._check_own_validation(checked_X, checked_y)
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
        if not ((incremental or self.warm_start) and "validation_loss_curve_" in vars(self)):
            self.validation_loss_curve_: list[float] = []
        X, y, sample_weight, held = self._hold_out(X, y, sample_weight, incremental)
        samples = samples_of(model, X, y, sample_weight)
        batch_size = self._clip_batch_size(len(samples))
        epochs = Epochs(self, model, samples, batch_size, held, incremental)
        epochs.run()
        self.__dict__.pop("_epochs", None)
        if incremental and sample_weight is None and not (np.any(self.dropout) or self.callbacks):
            epochs.leave(self._parameters())
            self._epochs = epochs
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts
            self._bind()

    def _parameters(self) -> tuple[Any, ...]:
        mine = vars(self)
        return tuple([mine[name] for name in self._parameter_constraints])

    def _go_on(self, X: Any, y: Any) -> bool:
        """Make a ``partial_fit`` like the last one, if nothing else has to be looked at.

        That is so where parameters and state are as that one left them, there are as many samples,
        and `short` finds nothing that scikit-learn's checks would.
        """
        epochs: Epochs | None = vars(self).get("_epochs")
        if (
            epochs is None
            or type(X) is not np.ndarray
            or len(X) != epochs.n_samples
            or not epochs.can_go_on(self, self._parameters())
            or X.dtype != self._model.parameters.dtype
            or not short.inputs(self, X, reset=False)
        ):
            return False
        targets = self._short_targets(y, len(X), incremental=True)
        if targets is None:
            return False
        self._check_targets(y, targets, X.dtype, incremental=True)
        if len(X) > 1:  # with a single row nothing has been drawn since it was seeded
            self._random_state = check_random_state(self.random_state)
        rows, targets = X.view(), targets.reshape(len(X), -1).astype(X.dtype)
        rows.flags.writeable = targets.flags.writeable = False
        epochs.go_on(Samples(rows, targets).for_loss(self._model.architecture))
        return True

    def _hold_out(
        self, X: Any, y: Any, weights: Any, incremental: bool
    ) -> tuple[Any, Any, Any, Held]:
        """Split off the validation data of early stopping, or take those given to ``fit``."""
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        own = vars(self).get("_own_validation")
        if own is not None and not incremental:
            return X, y, weights, own
        if not self.early_stopping:
            return X, y, weights, Held()
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
        weights, weights_val = both_weights or (None, None)
        return X, y, weights, Held(X_val, self._as_scored(y_val), weights_val, y_val)

    def _check_own_validation(self, X: np.ndarray, y: np.ndarray) -> None:
        """Look at the validation data that ``fit`` was given, beside checked X and y."""
        own = vars(self).get("_own_validation")
        if own is not None:
            X_val, weights = extras.own_inputs(self, own, X.dtype)
            targets = self._own_targets(own[1], X_val, 1 if y.ndim == 1 else y.shape[1])
            self._own_validation = Held(X_val, self._as_scored(targets), weights, targets)

    def _as_scored(self, targets: np.ndarray) -> np.ndarray:
        """Validation targets as scores take them: labels, or shape (n, n_outputs)."""
        labels: np.ndarray = targets
        if is_classifier(self):
            labels = self._label_binarizer.inverse_transform(targets)
        return labels

    def _own_targets(self, y: Any, X: np.ndarray, n_outputs: int) -> np.ndarray:
        """y_val as training takes it, shape (n, n_outputs)."""
        raise NotImplementedError

    def _clip_batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            )
        return int(min(self.batch_size, n_samples))

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *_rest: Any) -> None:
        """Train by L-BFGS, overriding scikit-learn's method, which keeps no losses."""
        X, y, sample_weight = self._weighted(X, y, sample_weight)
        model = Model.of(self)
        model = model.of_dtype(np.result_type(X.dtype, model.architecture.dtype))
        samples = samples_of(model, X, y, sample_weight)
        if samples.weights is not None and samples.weights.sum() == 0:
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        architecture = replace(model.architecture, l2=float(self.alpha))
        loss_and_gradient = LossAndGradient(architecture, samples, objective(self))
        self._coef_indptr, self._intercept_indptr = packing(self)
        result, self.loss_curve_ = minimise(loss_and_gradient, self)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        for warning in caught:
            warn(str(warning.message), warning.category)
        self.loss_ = result.fun
        self._unpack(result.x)
        self._bind()

    def _short_targets(self, y: Any, n: int, incremental: bool) -> np.ndarray | None:
        """What scikit-learn's checks make of y, if it is plain; None: they have to look at it."""
        raise NotImplementedError

    def _check_targets(self, given: Any, y: Any, dtype: Any, incremental: bool) -> None:
        """Refuse targets that scikit-learn's checks let through: as *given*, and as checked."""
        raise NotImplementedError

    def _weighted(self, X: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        """The samples to train with and their weights; for the classifier to change."""
        return X, y, weights
