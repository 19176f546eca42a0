"""The parameters of the estimators beyond scikit-learn's, and the checks of all of them."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.calls import unknown_argument
from fastnn.estimators import short
from fastnn.names import did_you_mean

_HIDDEN_ACTIVATIONS = {*ALIASES, *(a.name for a in ACTIVATIONS.values() if not a.output_only)}


def arguments_in(variables: dict[str, Any]) -> dict[str, Any]:
    """What a constructor was given: its local variables at its start, but itself."""
    return {name: variables[name] for name in variables if name not in ("self", "__class__")}


class Parameters(BaseEstimator):
    """What the estimators' constructors take, kept and checked."""

    _parameter_constraints: ClassVar[dict[str, Any]]
    _our_parameters: tuple[str, ...] = ("dropout", "callbacks", "scoring", "n_layers", "n_units")
    _our_constraints: ClassVar[dict[str, Any]] = {
        "activation": [StrOptions(_HIDDEN_ACTIVATIONS), list, tuple],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "callbacks": [list, tuple, None],
        "scoring": [str, callable, None],
        "n_layers": [Interval(Integral, 0, None, closed="left"), None],
        "n_units": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, **parameters: Any):
        for name in self._our_parameters:
            setattr(self, name, parameters.pop(name))
        super().__init__(**parameters)

    def _validate_params(self) -> None:
        """scikit-learn's checks of the parameters, overriding its method, which takes durations."""
        if short.checked_before(self, self._parameter_constraints):
            return
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
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error}{self._name_meant(str(error))}") from None
        short.remember_checked(self, self._parameter_constraints)

    def _name_meant(self, refusal: str) -> str:
        """What to add where a parameter that takes some names was refused for another one."""
        for name, constraints in self._parameter_constraints.items():
            names = [c for c in constraints if isinstance(c, StrOptions)]
            value = getattr(self, name)
            if names and isinstance(value, str) and f"The {name!r} parameter" in refusal:
                return did_you_mean(value, sorted(names[0].options))
        return ""

    def set_params(self, **params: Any) -> Self:
        """Set parameters, as scikit-learn does.

        Parameters
        ----------
        **params
            Values by name. An unknown name is told which one is meant.

        Returns
        -------
        self
        """
        try:
            return super().set_params(**params)
        except ValueError as error:
            known = self.get_params()
            unknown = [name for name in params if name.partition("__")[0] not in known]
            if not unknown:
                raise
            raise ValueError(unknown_argument(type(self).__name__, unknown[0], known)) from error
