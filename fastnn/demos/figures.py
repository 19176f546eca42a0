"""A figure from a document, ours beside it, and how far apart the two may be."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

#: Where a figure comes from: the document prints it; it was computed from the document's
#: description; or it was computed here, in another way.
PRINTED, COMPUTED, ELSEWHERE = "●", "○", "="

#: Relative rounding of float64 that no comparison goes below: a few units in the last place.
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
#: The same for figures that were computed in float32, as Keras does: one unit.
_SINGLE_ROUNDING = float(np.finfo(np.float32).eps)
#: Digits after which a figure that is not printed in the document is cut for display.
_DIGITS_SHOWN = 12


@dataclass(frozen=True)
class Figure:
    """A number that a document gives, and ours."""

    name: str
    #: With exactly the digits that the document gives.
    given: str
    ours: float
    #: The largest difference at which the two count as the same.
    allowed: float
    #: `PRINTED`, `COMPUTED` or `ELSEWHERE`.
    mark: str

    @property
    def difference(self) -> float:
        """Ours minus the document's."""
        return self.ours - float(self.given)

    @property
    def matches(self) -> bool:
        """Whether the two differ by no more than is allowed."""
        return abs(self.difference) <= self.allowed

    def as_text(self) -> tuple[str, str]:
        """The document's and ours, with equally many digits."""
        if "e" in self.given:
            return self.given, f"{self.ours:.0e}"
        decimals = _decimals(self.given)
        if self.mark != PRINTED:
            places = math.floor(math.log10(abs(float(self.given)))) if float(self.given) else 0
            decimals = max(0, min(decimals, _DIGITS_SHOWN - 1 - places))
        return f"{float(self.given):.{decimals}f}", f"{self.ours:.{decimals}f}"


def printed(
    name: str, given: str, ours: Any, *, allowed: float | None = None, single: bool = False
) -> Figure:
    """A figure that the document prints.

    Parameters
    ----------
    name : str
    given : str
        As printed.
    ours : float
    allowed : float, optional
        By default half a unit of the last digit given, but no less than rounding makes.
    single : bool
        True if the document computed in float32, whose rounding is then allowed for: 1.2e-7
        times the figure, or times 1 if that is more.
    """
    if allowed is None:
        allowed = _half_unit(given, single)
    return Figure(name, given, float(ours), allowed, PRINTED)


def computed(name: str, given: str, ours: Any, *, relative: float | None = None) -> Figure:
    """A figure computed from the document's description, where it does not print one.

    The parameters are those of `printed`, except *relative*: the difference allowed, as a
    part of the figure; by default half a unit of the last digit given.
    """
    allowed = _half_unit(given) if relative is None else relative * abs(float(given))
    return Figure(name, given, float(ours), allowed, COMPUTED)


def elsewhere(name: str, other: Any, ours: Any, *, relative: float) -> Figure:
    """A figure that was computed here in another way too; *relative* is as in `computed`."""
    other = float(other)
    return Figure(name, repr(other), float(ours), relative * abs(other), ELSEWHERE)


def several(
    kind: Callable[..., Figure], names: Iterable[str], given: str, ours: Any, **options: Any
) -> list[Figure]:
    """`printed` or `computed` figures from a line of numbers and an array of ours."""
    values = np.ravel(ours).tolist()
    return [
        kind(name, digits, value, **options)
        for name, digits, value in zip(names, given.split(), values, strict=True)
    ]


def _decimals(given: str) -> int:
    exponent = Decimal(given).as_tuple().exponent
    return max(0, -int(exponent))


def _half_unit(given: str, single: bool = False) -> float:
    size = abs(float(given))
    rounding = _SINGLE_ROUNDING * max(1.0, size) if single else _ROUNDING * size
    return max(0.5 * 10.0 ** -_decimals(given), rounding)
