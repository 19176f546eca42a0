"""Warnings that come from where scikit-learn's come from."""

import sys
import warnings

from sklearn import neural_network

_MODULE = sys.modules[neural_network.MLPClassifier.__module__]
_LINE = neural_network.MLPClassifier._fit_stochastic.__code__.co_firstlineno


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn in the name of scikit-learn's module: a user's filter may ask for it.

    ``warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")`` looks at
    the module that a warning is raised in.
    """
    warnings.warn_explicit(
        message,
        category,
        filename=str(_MODULE.__file__),
        lineno=_LINE,
        module=_MODULE.__name__,
        registry=vars(_MODULE).setdefault("__warningregistry__", {}),
    )
