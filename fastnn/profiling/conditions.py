"""The conditions under which everything is measured, and what a reader must know of them."""

import contextlib
import datetime
import os
import platform
import statistics
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from fastnn import machine
from fastnn.profiling.measuring import PROCESSOR_TIME, pulse

#: Among so many cores the quickest is looked for.
_MOST_CORES = 16


@contextlib.contextmanager
def measuring() -> Iterator[dict[str, Any]]:
    """One thread on one core inside the ``with`` block; gives what is to be known of it."""
    cores = len(machine.cores())
    with _one_thread(), _one_core():
        yield _facts(cores)


def _one_thread() -> AbstractContextManager[object]:
    """Let BLAS use one thread inside the ``with`` block, if threadpoolctl is installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Stay on one core inside the ``with`` block, that which is the quickest just now.

    Other programs, and on a virtual machine other machines, slow some cores down more than
    others. Where the system does not let a thread stay on a core (macOS, Windows), nothing happens.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = machine.cores()
    try:
        pulses = {}
        for core in before[:_MOST_CORES]:
            os.sched_setaffinity(0, [core])
            pulses[core] = statistics.median(pulse() for _ in range(50))
        os.sched_setaffinity(0, [min(pulses, key=pulses.__getitem__)])
        yield
    finally:
        os.sched_setaffinity(0, before)


def _facts(cores: int) -> dict[str, Any]:
    """What a reader must know to judge the times."""
    pools = machine.thread_pools()
    return {
        "cpu": machine.processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        **machine.versions(["numpy", "numba", "scipy"]),
        "blas_threads": None
        if pools is None
        else max((pool["num_threads"] for pool in pools), default=1),
        "dtype": "float64",
        "clock": "processor time" if PROCESSOR_TIME else "wall time",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def as_text(facts: dict[str, Any]) -> str:
    """The facts in two lines."""
    threads = facts["blas_threads"]
    said = (
        "one thread"
        if threads == 1
        else "BLAS on as many threads as it likes (pip install threadpoolctl, and it gets one)"
        if threads is None
        else f"BLAS on {threads} threads"
    )
    return (
        f"{facts['cpu']}, {facts['cores']} cores; {said}; {facts['dtype']}; "
        f"{facts['date'][:10]}\n"
        f"Python {facts['python']}, NumPy {facts['numpy']}, numba {facts['numba']}, "
        f"fastnn {facts['fastnn']}, {facts['system']}"
    )
