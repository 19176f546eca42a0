"""Short ways past scikit-learn's checks, for what they would find nothing to say about.

Checks of the input take a millisecond, whatever the input; those of the parameters a part of one.
What is here either does as they do, or leaves it to them: behaviour and messages are theirs.
"""

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from fastnn import arrays

#: Parameters that have been checked: with the class, the type and value of each.
_checked: set[Any] = set()
#: So many are remembered.
MOST_CHECKED = 1000


def checked_before(estimator: Any, names: Any) -> bool:
    """Whether all parameters are what they were in a check before, of an estimator of the class."""
    return _key(estimator, names) in _checked


def remember_checked(estimator: Any, names: Any) -> None:
    """Remember that the parameters have passed the check."""
    key = _key(estimator, names)
    if key is not None:
        if len(_checked) >= MOST_CHECKED:
            _checked.clear()
        _checked.add(key)


def _key(estimator: Any, names: Any) -> Any:
    """What tells parameters from others; None where something can change, or is not plain."""
    mine = vars(estimator)
    values = [mine.get(name) for name in names]
    if not all(map(_is_plain, values)):
        return None
    return type(estimator), tuple(map(type, values)), tuple(values)


def _is_plain(value: Any) -> bool:
    if type(value) is tuple:
        return all(type(entry) is int for entry in value)
    return value is None or type(value) in (bool, int, float, str)


def inputs(estimator: Any, X: Any, reset: bool) -> bool:
    """Whether X is an array that scikit-learn's checks would leave as it is.

    With *reset* they also note how many features there are, as is done here.
    """
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in (np.float64, np.float32):
        return False
    if "feature_names_in_" in vars(estimator) or not arrays.is_ready(X, X.shape[1], X.dtype):
        return False
    flat = X.reshape(-1)
    if X.shape[1] == 0 or not np.isfinite(np.vdot(flat, flat)):
        return False
    if reset:
        estimator.n_features_in_ = X.shape[1]
    return bool(estimator.n_features_in_ == X.shape[1])


def numbers(y: Any, n: int) -> bool:
    """Whether y is a vector of n numbers that the checks of a regressor leave as it is."""
    plain = type(y) is np.ndarray and y.shape == (n,) and y.dtype in (np.float64, np.float32)
    return plain and bool(np.isfinite(np.vdot(y, y)))


def binarised(estimator: Any, y: Any, n: int, incremental: bool) -> np.ndarray | None:
    """What a classifier's label binariser makes of y, and that binariser, made where it is new.

    None, if y is no plain vector of n whole numbers or texts, or not of the classes that it has to
    be of.
    """
    if type(y) is not np.ndarray or y.shape != (n,) or y.dtype.kind not in "iuU":
        return None
    if incremental or estimator.warm_start:
        classes = vars(estimator).get("classes_")
        if estimator.warm_start or not isinstance(classes, np.ndarray):
            return None
        if classes.dtype.kind != y.dtype.kind or classes.ndim != 1:
            return None
        if estimator._label_binarizer.y_type_ not in ("binary", "multiclass"):
            return None
        places = classes.searchsorted(y)
        if (classes.take(places, mode="clip") != y).any():
            return None
    else:
        classes, places = np.unique(y, return_inverse=True)
        binarizer = LabelBinarizer()
        binarizer.y_type_ = "multiclass" if len(classes) > 2 else "binary"
        binarizer.sparse_input_ = False
        binarizer.classes_ = classes
        estimator._label_binarizer, estimator.classes_ = binarizer, classes
    if len(classes) <= 2:
        return (places[:, np.newaxis] == 1) & (len(classes) == 2)
    rows = np.zeros((n, len(classes)), bool)
    rows[np.arange(n), places] = True
    return rows
