"""Getting matplotlib, or a clear message when it is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pyplot() -> Any:
    """matplotlib.pyplot; ImportError that says what to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("plots need matplotlib: pip install 'fastnn-jit[plot]'") from None
    return plt


def new_axes(width: float = 6.4, height: float = 4.0) -> Axes:
    """Axes of a new figure, sizes in inches."""
    axes: Axes = pyplot().subplots(figsize=(width, height), layout="constrained")[1]
    return axes
