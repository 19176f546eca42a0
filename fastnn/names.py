"""Looking up a name in a table, with a message that helps when it is not there.

And what came instead of what was wanted, as messages name it.
"""

import difflib
import re
import reprlib
from collections.abc import Mapping
from typing import TypeVar

Item = TypeVar("Item")

#: Names that other libraries use, as `_plain` writes them, and what they are called here: of
#: several the first that is in the table.
ELSEWHERE = {
    # losses and metrics
    "acc": ("accuracy",),
    "auroc": ("auc",),
    "bce": ("binary_cross_entropy",),
    "bcewithlogits": ("binary_cross_entropy",),
    "categoricalaccuracy": ("accuracy",),
    "categoricalcrossentropy": ("cross_entropy",),
    "gaussiannll": ("gaussian_nll",),
    "l1": ("absolute_error",),
    "log": ("binary_cross_entropy",),
    "mae": ("absolute_error", "mean_absolute_error"),
    "meansquarederror": ("squared_error", "mean_squared_error"),
    "mse": ("squared_error", "mean_squared_error"),
    "nll": ("cross_entropy",),
    "pinball": ("quantile",),
    "r2score": ("r2",),
    "smoothl1": ("huber",),
    "sparsecategoricalaccuracy": ("accuracy",),
    "sparsecategoricalcrossentropy": ("cross_entropy",),
    # optimisers
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    # start weights
    "he": ("he_normal",),
    "kaiming": ("he_normal",),
    "kaimingnormal": ("he_normal",),
    "kaiminguniform": ("he_uniform",),
    "xavier": ("glorot_uniform",),
    "xaviernormal": ("glorot_normal",),
    "xavieruniform": ("glorot_uniform",),
    # activations
    "exponential": ("exp",),
    "lrelu": ("leaky_relu",),
    "none": ("identity",),
}
#: Other libraries' names of what is not here, though some sound like something that is.
NOT_HERE = (
    # losses and metrics
    "balancedaccuracy meanabsolutepercentageerror meansquaredlogarithmicerror negmeansquarederror "
    "rmse rootmeansquarederror squaredhinge "
    # optimisers
    "adamax nadam rprop "
    # start weights
    "lecunnormal lecununiform normal randomnormal randomuniform truncatednormal "
    # activations
    "glu hardsigmoid hardswish logsigmoid logsoftmax mish prelu relu6 softsign"
)


def find(
    name: object,
    table: Mapping[str, Item],
    argument: str,
    aliases: Mapping[str, str] | None = None,
) -> Item:
    """``table[name]``, or an error that lists the known names and the one that is meant."""
    aliases = aliases or {}
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a string, got {describe(name)}")
    key = aliases.get(name, name)
    if key in table:
        return table[key]
    known = sorted([*table, *aliases])
    near = _near(name, known)
    hint = f" Did you mean {near!r}?" if near else ""
    raise ValueError(f"{argument}={name!r} is not known.{hint} Known: {', '.join(known)}.")


def _near(name: str, known: list[str]) -> str | None:
    """The known name that is meant: by other libraries' names, or else by its letters."""
    plain = _plain(name)
    spellings = (plain, plain.removesuffix("loss"))
    if not set(spellings).isdisjoint(NOT_HERE.split()):
        return None
    for spelling in spellings:
        if spelling in ELSEWHERE:
            return next((here for here in ELSEWHERE[spelling] if here in known), None)
    return next(iter(difflib.get_close_matches(name.lower(), known, n=1)), None)


def _plain(name: str) -> str:
    """``BCELoss`` and ``bce_loss`` as ``bceloss``."""
    return re.sub("[^a-z0-9]", "", name.lower())


_REPR = reprlib.Repr()
_REPR.maxother = 60  # a class of a package with its path, or a number of many digits
_REPR.maxlong = 60


def describe(value: object) -> str:
    """Its type and what it is, for a message."""
    return f"{type(value).__name__}: {short(value)}"


def short(value: object) -> str:
    """What ``repr`` says, shortened; Python's own refuses to print thousands of digits."""
    try:
        return _REPR.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
