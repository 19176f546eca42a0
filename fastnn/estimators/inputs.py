"""What scikit-learn's own checks of the input let through, and should not."""

import contextlib
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import arrays, validation
from fastnn.contract import Samples, quiet
from fastnn.names import short


def refuse_what_is_no_number(given: Any, name: str) -> None:
    """Refuse what scikit-learn converts to numbers without a word: dates, what is masked.

    Sparse matrices, objects that are numbers and texts of digits are converted rightly, and
    complex numbers are refused by scikit-learn: it has accepted what is *given*.
    """
    try:
        arrays.numeric(given, name)
    except TypeError:
        if hasattr(type(given), "toarray"):
            return
        array = np.asarray(given)
        if array.dtype.kind not in "cOUS" or any(
            isinstance(entry, arrays.DATES) for entry in array.flat
        ):
            raise


def refuse_masked_labels(given: Any, name: str) -> None:
    """Refuse labels of which some are masked; dates and texts are labels like any other."""
    if type(given) is not np.ndarray:
        with contextlib.suppress(TypeError):
            arrays.numeric(given, name)


def refuse_new_labels(labels: np.ndarray, known: list[Any]) -> None:
    """Refuse labels of validation data that those of the samples do not have."""
    new = sorted({*labels.ravel().tolist()} - {*known}, key=str)
    if new:
        raise ValueError(f"y_val has labels that y does not have: {short(new)}")


def weights_of_classes(class_weight: Any, classes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The weight of each of the *classes*, as in scikit-learn's other classifiers.

    *places* says for each sample where its class is among them. A class that is not in the dict has
    weight 1. What is refused: a weight that is negative or no number, and a dict with what is no
    class while a class is missing in it, which is most likely a slip.
    """
    if not isinstance(class_weight, Mapping):
        counts = np.bincount(places, minlength=len(classes))
        return len(places) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    weights = {
        label: validation.non_negative(weight, f"class_weight[{label!r}]")
        for label, weight in class_weight.items()
    }
    labels = classes.tolist()
    unknown = weights.keys() - set(labels)
    if unknown and not weights.keys() >= set(labels):
        raise ValueError(
            f"class_weight has {reprlib.repr(sorted(unknown, key=repr))}, which is not among the "
            f"classes {reprlib.repr(labels)}"
        )
    return np.array([weights.get(label, 1.0) for label in labels])


def dense(X: Any) -> Any:
    """A sparse X as an array; another one as it is."""
    return X.toarray() if hasattr(X, "toarray") else X


@quiet
def samples_of(model: Any, X: Any, y: np.ndarray, weights: np.ndarray | None) -> Samples:
    """Training data as engines take them."""
    dtype, n_outputs = model.architecture.dtype, model.architecture.sizes[-1]
    if y.shape[1] != n_outputs:
        raise ValueError(f"y must have {n_outputs} outputs as before, got {y.shape[1]}")
    if weights is not None:
        weights = _in_reach(arrays.finite(weights, dtype, "sample_weight"))
    rows = validation.features(X, model.architecture.sizes[0], dtype)
    return Samples(rows, arrays.finite(y, dtype, "y"), weights).for_loss(model.architecture)


def _in_reach(weights: np.ndarray) -> np.ndarray:
    """The weights, or if sums of them could overflow, a power of two below.

    Only ratios count then: the penalty, which is divided by their sum, is nothing beside the loss.
    """
    excess = int(np.frexp(weights.max())[1]) - np.finfo(weights.dtype).maxexp // 2
    if excess <= 0:
        return weights
    smaller = np.ldexp(weights, -excess)
    smaller.flags.writeable = False
    return smaller
