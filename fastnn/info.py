"""What a bug report needs to know about this machine and this installation."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from fastnn import machine
from fastnn.kernels import cache, team

_PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "rich", "matplotlib", "scikit-learn")


def info() -> dict[str, str]:
    """Versions, CPU, the kernel cache, BLAS and threads, each as a line of text."""
    versions = machine.versions(_PACKAGES)
    facts = {
        "fastnn": versions["fastnn"],
        "python": f"{versions['python']} {platform.platform()}",
        **{package: versions.get(package, "not installed") for package in _PACKAGES},
        "CPU": f"{machine.processor()} ({machine.compiled_for()}, {list(machine.levels())[-1]}), "
        f"{len(machine.cores())} cores to use",
        "vectors": ", ".join(machine.vectors()) or "none known",
        "JIT": "on" if machine.jit_is_on() else "off (NUMBA_DISABLE_JIT)",
        "kernel cache": _cache(),
        "threads for large products": str(team.allowed()),
        "BLAS": _blas(),
    }
    return facts | {name: os.environ.get(name, "not set") for name in machine.THREAD_VARIABLES}


def _cache() -> str:
    if not cache.is_on():
        return "off (FASTNN_CACHE): kernels are compiled anew in each process"
    found = cache.entries()
    if not found:
        return f"empty; {next(cache.directories())} is the first place to keep kernels"
    return "; ".join(
        f"{directory}: {len(files)} kernels, {sum(map(_size, files)) / 1e6:.1f} MB"
        for directory, files in found.items()
    )


def _size(file: Path) -> int:
    """Bytes of a file; none if another process has just removed it."""
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def _blas() -> str:
    """What NumPy's engine computes with, and its threads, where threadpoolctl is there to say."""
    pools = machine.thread_pools()
    if pools is None:
        return "NumPy's own (install threadpoolctl to see its threads)"
    return "; ".join(
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads, "
        f"{pool.get('architecture', '')}"
        for pool in pools
        if pool["user_api"] == "blas"
    )
