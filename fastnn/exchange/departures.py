"""What every writer begins with: finite parameters of the dtype that was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.architecture import Architecture


def ready(
    architecture: Architecture, parameters: np.ndarray, dtype: Any
) -> tuple[Architecture, np.ndarray]:
    """Architecture and parameters in *dtype*, by default their own.

    ValueError if a parameter is not finite, or not when it is rounded to float32.
    """
    validation.finite_parameters(parameters)
    if dtype is None:
        return architecture, parameters
    architecture = replace(architecture, dtype=validation.float_dtype(dtype))
    with np.errstate(over="ignore"):
        converted = parameters.astype(architecture.dtype, copy=False)
    if not np.isfinite(converted).all():
        raise ValueError(f"dtype={architecture.dtype.name!r} does not hold the largest parameter")
    return architecture, converted
