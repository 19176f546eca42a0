"""The layers' arrays as users see them: views into the flat vector of parameters."""

import sys
from collections.abc import Iterable
from functools import cache
from typing import Any, Self

import numpy as np


class Views(tuple[np.ndarray, ...]):
    """Views of the layers into the parameter vector: to write into, not to replace."""

    __slots__ = ()

    def __new__(cls, arrays: Iterable[np.ndarray]) -> Self:
        """Make it of arrays; for functions that numba compiles it is a tuple."""
        if "numba" in sys.modules:
            _tell_numba()
        return super().__new__(cls, arrays)

    def __setitem__(self, place: Any, value: Any) -> None:
        """Refuse, but let ``net.weights[0] *= 2`` be, which has been done in place."""
        if self[place] is not value:
            raise TypeError(
                f"a layer's array cannot be replaced: write into it, as in "
                f"net.weights[{place}][:] = W or net.biases[{place}][:] = b"
            )


@cache
def _tell_numba() -> None:
    """Let it take `Views` for tuples, and be quick about it: all alike have one type."""
    from numba.extending import typeof_impl

    types: dict[tuple[Any, ...], Any] = {}

    def of_views(views: Views, context: Any) -> Any:
        key = (len(views), views[0].ndim, views[0].dtype) if views else ()
        if key not in types:
            types[key] = typeof_impl(tuple(views), context)
        return types[key]

    typeof_impl.register(Views)(of_views)
