"""The elementary functions of the kernels as C: what they do to a number, written down.

They are called with a `_Traced`, which to NumPy's functions is an array like any other. So a C file
computes exp, tanh and their like by the very polynomials that ``predict`` uses; libm's may be
nearer to the true value, but are further from ``predict``, and slower.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from fastnn.kernels import elementary

#: C's names of types.
NAMES: dict[Any, str] = {
    np.dtype(np.float64): "double",
    np.dtype(np.float32): "float",
    # Bits wrap around when they are shifted and added, as only unsigned numbers may in C.
    np.dtype(np.int64): "uint64_t",
    np.dtype(np.int32): "uint32_t",
    np.dtype(bool): "int",
}


def literal(number: Any, dtype: np.dtype[Any]) -> str:
    """A number in C, by the fewest digits that read back as it."""
    if dtype.kind != "f":
        return str(int(number))
    if not np.isfinite(number):
        return "HUGE_VALF" if dtype == np.float32 else "HUGE_VAL"
    return f"{dtype.type(number)!s}f" if dtype == np.float32 else repr(float(number))


class _Traced:
    """A number that notes what is computed of it: a C expression of others."""

    __array_ufunc__ = None  # NumPy's numbers leave arithmetic to it

    def __init__(self, dtype: Any, pattern: str, *parts: Self):
        self.dtype = np.dtype(dtype)
        self.pattern = pattern
        self.parts = parts

    def _with(self, sign: str, other: Any, *, swap: bool = False, dtype: Any = None) -> Self:
        kind = type(self)
        if not isinstance(other, _Traced):
            other = kind(self.dtype, literal(other, self.dtype))
        pair = (other, self) if swap else (self, other)
        return kind(dtype or self.dtype, f"({{}} {sign} {{}})", *pair)

    def __add__(self, other: Any) -> Self:
        return self._with("+", other)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Self:
        return self._with("*", other)

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Self:
        return self._with("-", other)

    def __rsub__(self, other: Any) -> Self:
        return self._with("-", other, swap=True)

    def __truediv__(self, other: Any) -> Self:
        return self._with("/", other)

    def __lshift__(self, other: Any) -> Self:
        return self._with("<<", other)

    def __lt__(self, other: Any) -> Self:
        return self._with("<", other, dtype=bool)

    def __gt__(self, other: Any) -> Self:
        return self._with(">", other, dtype=bool)

    def __le__(self, other: Any) -> Self:
        return self._with("<=", other, dtype=bool)

    def __neg__(self) -> Self:
        return type(self)(self.dtype, "(-{})", self)

    def __abs__(self) -> Self:
        return type(self)(self.dtype, "({0} < 0 ? -{0} : {0})", self)

    def view(self, dtype: Any) -> Self:
        """The same bits, by a function of the C file."""
        return type(self)(dtype, f"@{'bits' if self.dtype.kind == 'f' else 'of_bits'}({{}})", self)

    def astype(self, dtype: Any) -> Self:
        """Whole numbers only: C's are of the type that they have here."""
        assert np.dtype(dtype) == self.dtype
        return self

    def __array_function__(self, function: Any, _types: Any, arguments: Any, _named: Any) -> Any:
        """``np.ndim``, and ``np.where``, which is what `fastnn.kernels.lanes.select` is here."""
        if function is np.ndim:
            return 1
        assert function is np.where
        mask, *pair = arguments
        dtype = next(value.dtype for value in pair if isinstance(value, _Traced))
        values = [
            v if isinstance(v, _Traced) else type(self)(dtype, literal(v, dtype)) for v in pair
        ]
        return type(self)(dtype, "({} ? {} : {})", mask, *values)


def function(name: str, dtype: np.dtype[np.floating]) -> str:
    """C source of one function of `fastnn.kernels.elementary`; @ stands for the file's prefix."""
    x = _Traced(dtype, "x")
    traced: Callable[[Any], Any] = getattr(elementary, name)
    kind = NAMES[dtype]
    lines, result = _statements(traced(x))
    body = "".join(f"    {line}\n" for line in lines)
    return f"static inline {kind} @{name}({kind} x)\n{{\n{body}    return {result};\n}}\n"


def _statements(result: _Traced) -> tuple[list[str], str]:
    """What is used more than once, each as a constant; and the expression of the result."""
    order = _in_order(result)
    uses = collections.Counter(id(part) for value in order for part in value.parts)
    for value in order:
        if "?" in value.pattern:  # both sides are computed whatever the condition: loops vectorise
            uses.update(id(part) for part in value.parts)
    texts: dict[int, str] = {}
    lines: list[str] = []
    for value in order:
        text = value.pattern.format(*(texts[id(part)] for part in value.parts))
        plain = text[1:-1] if value.pattern.startswith("(") else text
        if uses[id(value)] > 1 and value.parts:
            text = f"v{len(lines)}"
            lines.append(f"const {NAMES[value.dtype]} {text} = {plain};")
        texts[id(value)] = text if value is not result else plain
    return lines, texts[id(result)]


def _in_order(result: _Traced) -> list[_Traced]:
    """Every value that goes into the result, each once and after what goes into it."""
    found: dict[int, _Traced] = {}
    left = [result]
    while left:
        value = left[-1]
        waiting = [part for part in value.parts if id(part) not in found]
        if waiting:
            left += waiting[::-1]
        else:
            found[id(left.pop())] = value
    return list(found.values())
