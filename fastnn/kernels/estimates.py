"""1/x and 1/√x about, √x and a/√x with less of the divider, from estimates of the processor.

A processor divides and takes roots in one unit, and slowly: AVX-512 needs 16 to 32 cycles for eight
float64. It also has instructions that estimate 1/x and 1/√x to some bits, as fast as a
multiplication. Each of Newton's steps doubles the number of correct bits, and takes two or three
multiplications, that other units do at the same time.

AVX-512 estimates float32 and float64, to 14 bits; SSE and AVX float32, to 11 bits. Elsewhere, and
of plain numbers, they divide, and `newton_steps` is 0: by this, known when a kernel is compiled, it
can go another way.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload

from fastnn.kernels.elementary import quotient
from fastnn.kernels.jit import OVERLOAD_OPTIONS, ordered
from fastnn.kernels.lanes import constant, minimum, select, sqrt
from fastnn.kernels.llvm import (
    Lanes,
    call,
    element,
    literal,
    operation,
    register_bits,
    shuffle,
    spread,
    square_root,
    target_machine,
)

#: Above all estimates of 1/√x but that of 0, which is infinite: with it 0 times it would be NaN.
#: Only float64 needs more than one step.
_MOST_FLOAT64, _MOST_FLOAT32 = 1e200, 1e30


def newton_steps(x):
    """How many steps make the estimates for x exact to rounding: a constant."""
    return 0


def estimated_inverse(x):
    """About 1/x, of normal numbers."""
    return 1 / x


def estimated_inverse_root(x):
    """About 1/√x, of normal numbers."""
    return 1 / np.sqrt(x)


@ordered
def root(x):
    """√x, from an estimate of 1/√x: of normal numbers up to max/4, of 0 and infinity."""
    if newton_steps(x) == 0:
        return sqrt(x)
    most = _MOST_FLOAT64 if newton_steps(x) > 1 else _MOST_FLOAT32
    estimate = minimum(estimated_inverse_root(x), constant(most, x))
    y, half = x * estimate, constant(0.5, x) * estimate  # towards √x and 1/(2√x)
    for _ in range(newton_steps(x) - 1):
        missing = constant(0.5, x) - y * half
        y, half = y + y * missing, half + half * missing
    y = y + (x - y * y) * half
    return select(x < constant(np.inf, x), y, x)  # one comparison: two would be taken apart


def over_root(a: Any, square: Any, epsilon: Any) -> Any:
    """a/(√square + epsilon), of which the divider does one part and multiplications the other.

    Where a root from estimates takes several steps, the divider does the quotient, which is the
    shorter of the two for it; elsewhere it does the root.
    """
    return _by_a_root(a, square, epsilon)


def _by_a_root(a: Any, square: Any, epsilon: Any) -> Any:
    return quotient(a, sqrt(square) + epsilon)


def _by_a_division(a: Any, square: Any, epsilon: Any) -> Any:
    return a / (root(square) + epsilon)


def _choose_over_root(a: Any, square: Any, epsilon: Any) -> Any:
    return _by_a_division if _steps(square) > 1 else _by_a_root


overload(over_root, **OVERLOAD_OPTIONS)(_choose_over_root)


def _steps(x: Any) -> int:
    _, _, steps = _estimate(x) or ("", 0, 0)
    return steps


def _estimate(x: Any, which: str = "rcp") -> tuple[str, int, int] | None:
    """LLVM's name of an estimate, how many lanes it takes, and `newton_steps`; None without one."""
    size = min(register_bits(), x.n * x.dtype.bitwidth) if isinstance(x, Lanes) else 0
    if size < 128:
        return None
    double, n = x.dtype == types.float64, size // x.dtype.bitwidth
    if register_bits() == 512:
        return f"llvm.x86.avx512.{which}14.{'pd' if double else 'ps'}.{size}", n, 1 + double
    if target_machine()[0].startswith("x86_64") and not double:
        return f"llvm.x86.avx.{which}.ps.256" if n == 8 else f"llvm.x86.sse.{which}.ps", n, 1
    return None


@operation(newton_steps, lambda x: types.literal(_steps(x)))
def _emit_steps(context, builder, signature, values):
    return literal(signature)


@operation(estimated_inverse, types.unliteral)
def _emit_inverse(context, builder, signature, values):
    kind = signature.return_type
    if found := _estimate(kind):
        return _estimated(builder, *found[:2], *values)
    one = context.get_constant(element(kind), 1)
    return builder.fdiv(spread(context, builder, one, element(kind), kind), *values)


@operation(estimated_inverse_root, types.unliteral)
def _emit_inverse_root(context, builder, signature, values):
    if found := _estimate(signature.return_type, "rsqrt"):
        return _estimated(builder, *found[:2], *values)
    return _emit_inverse(context, builder, signature, [square_root(builder, *values)])


def _estimated(builder: Any, name: str, n: int, value: Any) -> Any:
    """The estimates of all lanes, by calls for n lanes each."""
    half = value.type.count // 2
    if half >= n:
        low = _estimated(builder, name, n, shuffle(builder, value, range(half)))
        high = _estimated(builder, name, n, shuffle(builder, value, range(half, 2 * half)))
        return shuffle(builder, low, range(2 * half), high)
    if "avx512" not in name:
        return call(builder, name, value.type, value)
    return call(builder, name, value.type, value, value, ir.IntType(max(8, n))(-1))
