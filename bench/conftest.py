"""Settings and facts that every benchmark shares."""

import os
import platform
from typing import Any

# One thread, for every contestant: set before any of them starts its threads.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numba
import numpy as np
import pytest

import fastnn


@pytest.fixture
def facts(benchmark: Any) -> dict[str, Any]:
    """What the JSON says beside each time."""
    benchmark.extra_info.update(
        threads=int(os.environ["OPENBLAS_NUM_THREADS"]),
        fastnn=fastnn.__version__,
        numpy=np.__version__,
        numba=numba.__version__,
        python=platform.python_version(),
    )
    return benchmark.extra_info
