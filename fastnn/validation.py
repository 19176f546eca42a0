"""Every check of what a user passes in.

Each function takes a value and the name of the argument it came as, and returns it in the
one form the rest of the package works with, or raises ValueError or TypeError saying which
argument, what came and what was expected.
"""

import inspect
import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn import arrays
from fastnn.losses import Loss
from fastnn.memory import memory_for
from fastnn.names import describe, short
from fastnn.sparse import AnyRows, is_sparse, sparse_rows

#: Takes a value and the name of its argument, and returns it checked.
Check = Callable[[object, str], Any]

#: The largest whole number that NumPy, and with it what counts and divides by one, can hold.
LARGEST = int(np.iinfo(np.int64).max)

#: What calls itself a number, and is none here.
_NO_NUMBERS = (bool, np.bool_, np.timedelta64)

ADVICE_FOR_CLASS_NAMES = (
    "for class names take names, y = numpy.unique(y, return_inverse=True) or fastnn.MLPClassifier"
)


def integer(value: object, name: str, minimum: int, maximum: float = LARGEST) -> int:
    """A whole number from *minimum* to *maximum*; True and False are not numbers here."""
    if type(value) is not int and (
        isinstance(value, _NO_NUMBERS) or not isinstance(value, numbers.Integral)
    ):
        raise TypeError(f"{name} must be a whole number, got {describe(value)}")
    number = int(value)
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {_digits(number)}")
    if number > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {_digits(number)}")
    return number


def _digits(number: int) -> str:
    """A whole number for a message: Python refuses to print thousands of digits."""
    bits = number.bit_length()
    if bits < 200:
        return str(number)
    return f"about {'-' if number < 0 else ''}10**{round(bits * math.log10(2.0))}"


def real(value: object, name: str, expected: str = "a number") -> float:
    """A finite number."""
    if type(value) is not float and (
        isinstance(value, _NO_NUMBERS) or not isinstance(value, numbers.Real)
    ):
        raise TypeError(f"{name} must be {expected}, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def positive(value: object, name: str, expected: str = "a number") -> float:
    """A finite number above zero."""
    number = real(value, name, expected)
    if number <= 0.0:
        raise ValueError(f"{name} must be above 0, got {value}")
    return number


def non_negative(value: object, name: str) -> float:
    """A finite number of at least zero."""
    number = real(value, name)
    if number < 0.0:
        raise ValueError(f"{name} must be at least 0, got {value}")
    return number


def fraction(value: object, name: str) -> float:
    """A number from 0 to 1, 1 left out."""
    number = real(value, name)
    if not 0.0 <= number < 1.0:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
    return number


def dropout(value: object, n_hidden: int) -> tuple[float, ...]:
    """A rate for each hidden layer, from one for all or one each; empty if all are 0."""
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1):
        if len(value) != n_hidden:
            raise ValueError(
                f"dropout must be one rate or one per hidden layer ({n_hidden}), got {len(value)}"
            )
        rates = tuple(fraction(rate, f"dropout[{k}]") for k, rate in enumerate(value))
    else:
        rates = (fraction(value, "dropout"),) * n_hidden
    return rates if any(rates) else ()


def label_smoothing(value: object, loss: Loss) -> float:
    """A fraction, above 0 for the cross-entropies only."""
    smoothing = fraction(value, "label_smoothing")
    if smoothing and not loss.name.endswith("cross_entropy"):
        raise ValueError(
            f"label_smoothing={value} needs loss 'cross_entropy' or 'binary_cross_entropy', "
            f"got {loss.name!r}"
        )
    return smoothing


def split_position(value: object, n_samples: int) -> int:
    """How many samples remain for training when the fraction *value* is for validation."""
    split = real(value, "validation_split")
    if not 0.0 < split < 1.0:
        raise ValueError(f"validation_split must be between 0 and 1, got {value}")
    remaining = n_samples - math.ceil(n_samples * split)
    if remaining == 0:
        raise ValueError(
            f"validation_split={value} of {n_samples} samples leaves none for training"
        )
    return remaining


def text(value: object, name: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {describe(value)}")
    return value


def path(value: Any, name: str) -> str:
    """The name of a file, from a string, bytes or a path-like."""
    try:
        text = os.fsdecode(os.fspath(value))
    except TypeError:
        raise TypeError(f"{name} must be a string or a path, got {describe(value)}") from None
    if not text:
        raise ValueError(f"{name} must be the name of a file, got {text!r}")
    try:
        unusable = b"\0" in os.fsencode(text)
    except UnicodeEncodeError:
        unusable = True
    if unusable:
        raise ValueError(f"{name} has a character that no file's name can have: {short(text)}")
    return text


def takes(function: Callable[..., Any], *arguments: object) -> bool:
    """Whether *function* can be called with so many arguments, as far as it lets on."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a built-in one may have none
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def listed(value: Any, name: str, entries: str) -> list[Any]:
    """Anything that can be gone through, as a list; a text is none. *entries* says what of."""
    try:
        if not isinstance(value, str | bytes):
            return list(value)
    except TypeError:
        pass
    raise TypeError(f"{name} must be a list of {entries}, got {short(value)}")


def boolean(value: object, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {describe(value)}")
    return bool(value)


def layer_sizes(value: object) -> tuple[int, ...]:
    """At least two whole numbers: inputs, hidden units, ..., outputs."""
    if (
        isinstance(value, str | bytes)
        or not isinstance(value, Sequence | np.ndarray)
        or (isinstance(value, np.ndarray) and value.ndim == 0)
    ):
        raise TypeError(
            "layer_sizes must be a list of whole numbers such as [1, 128, 1], "
            f"got {describe(value)}"
        )
    if len(value) < 2:
        raise ValueError(
            "layer_sizes must name at least the number of inputs and of outputs, "
            f"got {short(list(value))}"
        )
    return tuple(integer(size, f"layer_sizes[{k}]", 1) for k, size in enumerate(value))


def float_dtype(value: object) -> np.dtype[np.floating]:
    """float32 or float64, from a name or a NumPy type."""
    try:
        dtype = np.dtype(value)  # type: ignore[call-overload]
    except Exception:  # of texts and lists NumPy reads a little language of its own
        raise TypeError(f"dtype must be 'float32' or 'float64', got {describe(value)}") from None
    if value is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {short(value)}")
    return np.dtype(np.float32) if dtype == np.float32 else np.dtype(np.float64)


def generator(value: object) -> np.random.Generator:
    """A NumPy generator, from one, from a whole number, or from None for a new one each time."""
    if value is None or isinstance(value, np.random.Generator):
        return np.random.default_rng(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"seed must be a whole number, a numpy.random.Generator or None, got {describe(value)}"
        )
    return np.random.default_rng(integer(value, "seed", 0, math.inf))


def features(X: object, n_in: int, dtype: np.dtype[np.floating], name: str = "X") -> AnyRows:
    """Inputs as a read-only, C-contiguous (n, n_in) array, or sparse; copied only if need be.

    One-dimensional X is one column for a network with one input.
    """
    if type(X) is not np.ndarray and is_sparse(X):
        rows = sparse_rows(X, dtype, name)
        if rows.n_columns != n_in:
            raise ValueError(f"{name} must have shape (n_samples, {n_in}), got shape {rows.shape}")
        return rows
    array = arrays.numeric(X, name)
    if array.ndim == 1 and n_in == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.shape[1] != n_in:
        hint = f"; for one sample pass {name}.reshape(1, -1)" if array.shape == (n_in,) else ""
        if array.ndim == 0 and n_in == 1:
            hint = f"; for one sample pass [[{array}]]"
        raise ValueError(
            f"{name} must have shape (n_samples, {n_in}), got shape {array.shape}{hint}"
        )
    return arrays.finite_and_frozen(array, dtype, name, X)


def targets(
    y: object,
    n_samples: int,
    loss: Loss,
    n_out: int,
    dtype: np.dtype[np.floating],
    name: str = "y",
) -> np.ndarray:
    """Targets as a read-only, C-contiguous (n, n_out) array; class numbers become one-hot rows."""
    array = arrays.numeric(y, name, ADVICE_FOR_CLASS_NAMES)
    if array.ndim == 0 or len(array) != n_samples:
        got = len(array) if array.ndim else "a single number"
        raise ValueError(f"{name} must have one entry per sample: {n_samples}, got {got}")
    if loss.targets == "classes" and array.ndim == 1:
        array = _one_hot(array, n_out, dtype, name)
    elif array.ndim == 1 and n_out == 1:
        array = array[:, np.newaxis]
    if array.shape != (n_samples, n_out):
        classes = f" or class numbers of shape ({n_samples},)" if loss.targets == "classes" else ""
        hint = f"; pass numpy.ravel({name})" if classes and array.shape == (n_samples, 1) else ""
        raise ValueError(
            f"{name} must have shape ({n_samples}, {n_out}){classes}, got shape {array.shape}{hint}"
        )
    array = arrays.finite_and_frozen(array, dtype, name)
    if loss.targets == "signs":
        return _signs(array, loss, name)
    _check_range(array, loss, name)
    return array


def _check_range(array: np.ndarray, loss: Loss, name: str) -> None:
    """Refuse targets that the loss is not defined for."""
    if loss.targets == "real":
        return
    least, most, demand = _TARGET_RANGES[loss.targets]
    advice = _one_output_advice(array.shape[1]) if loss.targets == "classes" else ""
    if array.min() < least or array.max() > most:
        raise ValueError(
            f"{name} must {demand} for loss {loss.name!r}, got values from "
            f"{array.min():g} to {array.max():g}{advice}"
        )
    if loss.targets == "classes":
        sums = np.einsum("ij->i", array)  # of short rows quicker than their ``sum``
        worst = int(np.abs(sums - 1).argmax())
        if abs(sums[worst] - 1) > 1e-5:
            raise ValueError(
                f"{name} must be class numbers or rows of probabilities that sum to 1 for loss "
                f"{loss.name!r}; row {worst} sums to {sums[worst]:g}{advice}"
            )


def _one_output_advice(n_out: int) -> str:
    """What to say of class numbers that a single output of softmax, always 1, cannot meet."""
    if n_out > 1:
        return ""
    return (
        "; one output cannot tell classes apart: use loss='binary_cross_entropy', or one output "
        "per class"
    )


_TARGET_RANGES = {
    "unit": (0, 1, "lie in [0, 1]"),
    "classes": (0, 1, "lie in [0, 1]"),
    "counts": (0, math.inf, "be at least 0"),
}


def _signs(array: np.ndarray, loss: Loss, name: str) -> np.ndarray:
    """Targets of -1 and 1; 0 and 1 are turned into them."""
    plus = array == 1
    zeros = array == 0
    if (plus | (array == -1)).all():
        return array
    if not (plus | zeros).all():
        other = array[~(plus | zeros | (array == -1))]
        came = f"{other[0]:g}" if other.size else "both 0 and -1"
        raise ValueError(f"{name} must be -1 and 1 (or 0 and 1) for loss {loss.name!r}, got {came}")
    signs = np.where(plus, 1, -1).astype(array.dtype)
    signs.flags.writeable = False
    return signs


def sample_weight(
    value: object, n_samples: int, dtype: np.dtype[np.floating], name: str = "sample_weight"
) -> np.ndarray | None:
    """Weights as a read-only (n,) array: at least 0, and not all 0. None stays None."""
    if value is None:
        return None
    array = arrays.numeric(value, name)
    if array.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},), got shape {array.shape}")
    array = arrays.finite_and_frozen(array, dtype, name)
    least = int(array.argmin())
    if array[least] < 0:
        raise ValueError(f"{name} must be at least 0, got {name}[{least}] = {array[least]}")
    if not array.any():
        raise ValueError(f"{name} must not be 0 for all samples")
    return array


def class_weight(value: object, targets: np.ndarray, loss: Loss) -> np.ndarray | None:
    """Each sample's weight, shape (n,), from its class's; None stays None.

    *targets*, shape (n, n_out), are those that `targets` returns; a sample that is of several
    classes, by probabilities, has the mean of their weights. Classes that are not in the dict
    have weight 1, and so have samples whose target is missing. "balanced" is
    n / (classes that occur * samples of the class), as in scikit-learn.
    """
    if value is None:
        return None
    if loss.name == "cross_entropy":
        shares = targets
    elif loss.name == "binary_cross_entropy" and targets.shape[1] == 1:
        shares = np.hstack([1 - targets, targets])
    else:
        raise ValueError(
            "class_weight needs loss 'cross_entropy', or 'binary_cross_entropy' with one output; "
            f"got {loss.name!r} with {targets.shape[1]}"
        )
    weights, given = np.ones(shares.shape[1]), ~np.isnan(shares[:, 0])
    if isinstance(value, str) and value == "balanced":
        counts = shares[given].sum(axis=0, dtype=np.float64)
        occurs = counts > 0
        weights[occurs] = given.sum() / (occurs.sum() * counts[occurs])
    elif isinstance(value, Mapping):
        for key, weight in value.items():
            number = integer(key, "a key of class_weight", 0)
            if number >= len(weights):
                raise ValueError(
                    f"class_weight has the class {number}, and classes go from 0 to "
                    f"{len(weights) - 1}"
                )
            weights[number] = non_negative(weight, f"class_weight[{number}]")
    else:
        raise TypeError(
            f"class_weight must be a dict from classes to weights or 'balanced', "
            f"got {describe(value)}"
        )
    of_samples = np.where(given, shares @ weights, 1.0)
    return sample_weight(of_samples, len(shares), targets.dtype, "class_weight")


def parameter_vector(value: object, n_parameters: int, dtype: np.dtype[np.floating]) -> np.ndarray:
    """A finite vector of the right length and dtype."""
    array = arrays.numeric(value, "vector")
    if array.shape != (n_parameters,):
        raise ValueError(f"vector must have shape ({n_parameters},), got shape {array.shape}")
    return arrays.finite_and_frozen(array, dtype, "vector")


def parameter_vectors(value: object, n_parameters: int, dtype: np.dtype[np.floating]) -> np.ndarray:
    """Finite vectors of parameters, the rows of a matrix, of the right length and dtype."""
    array = arrays.numeric(value, "parameters")
    if array.ndim != 2 or array.shape[1] != n_parameters:
        one = array.shape == (n_parameters,)
        hint = "; for one vector pass parameters.reshape(1, -1)" if one else ""
        raise ValueError(
            f"parameters must have shape (n_vectors, {n_parameters}), got shape {array.shape}{hint}"
        )
    return arrays.finite_and_frozen(array, dtype, "parameters")


def _one_hot(
    classes: np.ndarray, n_out: int, dtype: np.dtype[np.floating], name: str
) -> np.ndarray:
    whole = np.isfinite(classes) & (classes == np.floor(classes))
    bad = ~(whole & (classes >= 0) & (classes < n_out))
    if bad.any():
        first = int(bad.argmax())
        raise ValueError(
            f"{name} must hold class numbers from 0 to {n_out - 1}, got {name}[{first}] = "
            f"{classes[first]}{_one_output_advice(n_out)}"
        )
    what = "{} does not fit into memory as {} rows, a column per class"
    with memory_for(what, name, len(classes)):
        rows = np.zeros((len(classes), n_out), dtype=dtype)
    rows[np.arange(len(classes)), classes.astype(np.intp)] = 1
    return rows


def too_large(names: str) -> ValueError:
    """The error for numbers so large that what is computed from them is not a number (NaN)."""
    return ValueError(
        f"{names} must be smaller: sums of numbers so large overflow in this network to what is "
        f"not a number (NaN). Scale {names}, for example to mean 0 and standard deviation 1"
    )


def finite_parameters(parameters: np.ndarray, name: str = "parameters") -> None:
    """Refuse parameters that somebody set to NaN or infinity."""
    arrays.check_finite(parameters, parameters, name)
