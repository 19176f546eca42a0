"""Which cores and how many threads a process may use, and what to write down about it.

Imports nothing that starts threads: cores and thread counts have to be set before.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import threadpoolctl

#: Where contestants come from, by the name under which it is installed.
DISTRIBUTIONS = {
    "numpy": "numpy",
    "numba": "numba",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "jax": "jax",
    "onnxruntime": "onnxruntime",
}


def _facts() -> ModuleType:
    """fastnn/machine.py by itself: with the package comes NumPy, which starts threads."""
    (package,) = importlib.util.find_spec("fastnn").submodule_search_locations
    spec = importlib.util.spec_from_file_location("fastnn_machine", Path(package, "machine.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


facts = _facts()


def use_cores(cores: list[int]) -> None:
    """Stay on these cores, with as many threads, and tell every library so.

    Must come before the libraries are imported. Where the system cannot keep a process on a core
    (macOS), only the numbers of threads are set.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    for variable in facts.THREAD_VARIABLES:
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
    return int(os.environ[facts.THREAD_VARIABLES[0]])


def require_threads(most: int) -> None:
    """Make sure that no library loaded so far has started more threads than *most*."""
    for pool in threadpoolctl.threadpool_info():
        if pool["num_threads"] > most:
            raise RuntimeError(f"{pool['filepath']} uses {pool['num_threads']} threads")


def versions() -> dict[str, str]:
    """Versions of Python, fastnn and every peer that is installed."""
    found = facts.versions(DISTRIBUTIONS.values())
    names = {distribution: module for module, distribution in DISTRIBUTIONS.items()}
    return {names.get(name, name): version for name, version in found.items()}
