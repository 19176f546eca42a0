"""Getting matplotlib, or a clear message when it is not installed."""

from typing import Any


def pyplot() -> Any:
    """matplotlib.pyplot; ImportError that says what to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("plots need matplotlib: pip install 'fastnn-jit[plot]'") from None
    return plt
