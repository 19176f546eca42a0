"""Which cores and how many threads a process may use, and what to write down about it.

Imports nothing that starts threads: cores and thread counts have to be set before.
"""

import importlib.metadata
import os
import platform

import threadpoolctl

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
#: Where contestants come from, by the name under which it is installed.
DISTRIBUTIONS = {
    "numpy": "numpy",
    "numba": "numba",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "jax": "jax",
    "onnxruntime": "onnxruntime",
}


def available_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def use_cores(cores: list[int]) -> None:
    """Stay on these cores, with as many threads, and tell every library so.

    Must come before the libraries are imported. Where the system cannot keep a process on a core
    (macOS), only the numbers of threads are set.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = str(len(cores))
    os.environ["JAX_PLATFORMS"] = "cpu"
    if len(cores) == 1:
        os.environ["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
    else:
        os.environ.pop("XLA_FLAGS", None)


def threads() -> int:
    """How many threads `use_cores` allowed."""
    return int(os.environ[_THREAD_VARIABLES[0]])


def require_threads(most: int) -> None:
    """Make sure that no library loaded so far has started more threads than *most*."""
    for pool in threadpoolctl.threadpool_info():
        if pool["num_threads"] > most:
            raise RuntimeError(f"{pool['filepath']} uses {pool['num_threads']} threads")


def versions() -> dict[str, str]:
    """Versions of Python, fastnn and every peer that is installed."""
    import fastnn

    found = {"python": platform.python_version(), "fastnn": fastnn.__version__}
    for module, distribution in DISTRIBUTIONS.items():
        try:
            found[module] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
