"""What a bug report needs to know about this machine and this installation."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import numba
from llvmlite import binding

from fastnn._version import __version__
from fastnn.kernels import cache

_PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "rich", "matplotlib", "scikit-learn")
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def info() -> dict[str, str]:
    """Versions, CPU, the kernel cache, BLAS and threads, each as a line of text."""
    facts = {"fastnn": __version__, "python": f"{platform.python_version()} {platform.platform()}"}
    facts |= {package: _version(package) for package in _PACKAGES}
    facts["CPU"] = f"{binding.get_host_cpu_name()}, {_cores()} cores to use"
    facts["vectors"] = _vectors()
    facts["JIT"] = "off (NUMBA_DISABLE_JIT)" if numba.config.DISABLE_JIT else "on"
    facts["kernel cache"] = _cache()
    facts["BLAS"] = _blas()
    for variable in _THREAD_VARIABLES:
        facts[variable] = os.environ.get(variable, "not set")
    return facts


def _cores() -> int | None:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(affinity(0)) if affinity else os.cpu_count()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _vectors() -> str:
    features = binding.get_host_cpu_features()
    known = [name for name in ("avx512f", "avx2", "fma", "avx", "neon") if features.get(name)]
    return ", ".join(known) or "none known"


def _cache() -> str:
    if not cache.is_on():
        return "off (FASTNN_CACHE): kernels are compiled anew in each process"
    found = cache.entries()
    if not found:
        return f"empty; {next(cache.directories())} is the first place to keep kernels"
    return "; ".join(
        f"{directory}: {len(files)} kernels, {sum(f.stat().st_size for f in files) / 1e6:.1f} MB"
        for directory, files in found.items()
    )


def _blas() -> str:
    """The libraries and threads that are loaded, where threadpoolctl is there to say."""
    import scipy.linalg.cython_blas  # noqa: F401  loads the library that kernels call

    try:
        import threadpoolctl
    except ImportError:
        return "SciPy's own (install threadpoolctl to see its threads)"
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return "; ".join(
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads, "
        f"{pool.get('architecture', '')}"
        for pool in pools
    )
