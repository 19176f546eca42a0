"""How every row comes about: set up once, run once, compared, and only then timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

#: Seconds that a run may take at most, and there are two at least; what is estimated to take longer
#: is left out.
PATIENCE = 12.0
#: A run that takes longer than this is timed by counting rounds, without calibration.
SLOW = 0.25
#: How many rounds' worth of --benchmark-max-time such a row gets.
SLOW_ROUNDS = 5
#: How far results may be apart, as a part of the largest (in training: the largest change).
TOLERANCE = {"float64": 1e-8, "float32": 2e-3}


class UnavailableError(Exception):
    """A contestant that is not installed, or cannot do what is asked; the message says why."""


class DisagreementError(AssertionError):
    """A contestant whose result is not everybody else's."""


@dataclass(frozen=True)
class Entry:
    """A contestant, ready to run.

    Attributes
    ----------
    run : callable
        Does the work once. Training goes on from where the last run ended.
    result : callable
        After the first run: its result as a flat array, to be compared.
    info : dict
        More about the contestant for the JSON.
    compiles : bool
        Whether the first run takes longer than the others.
    """

    run: Callable[[], Any]
    result: Callable[[], np.ndarray]
    info: dict[str, Any]
    compiles: bool = True


def disagreement(
    result: np.ndarray, expected: np.ndarray, start: np.ndarray | float = 0.0
) -> float:
    """The largest difference, as a part of the largest change from *start* that was expected.

    So a contestant that does nothing is wrong by 1, however small the steps.
    """
    result = np.asarray(result, dtype=np.float64).ravel()
    if result.shape != expected.shape:
        raise DisagreementError(f"{result.size} numbers came, expected were {expected.size}")
    scale = np.abs(expected - start).max()
    difference = np.abs(result - expected).max() / scale
    return float(difference) if np.isfinite(difference) else float("inf")


def check(
    entry: Entry, expected: np.ndarray, dtype: str, start: np.ndarray | float = 0.0
) -> tuple[float, float]:
    """Run *entry* once and compare; returns how far apart the results are, and the seconds.

    Raises
    ------
    DisagreementError
        If the result is not the expected one.
    """
    started = time.perf_counter()
    entry.run()
    seconds = time.perf_counter() - started
    apart = disagreement(entry.result(), expected, start)
    if apart > TOLERANCE[dtype]:
        raise DisagreementError(
            f"the result is {apart:.1e} away from what it must be, allowed is "
            f"{TOLERANCE[dtype]:.0e}: nothing was timed"
        )
    return apart, seconds


def measure(
    benchmark: Any,
    entry: Entry,
    expected: np.ndarray,
    *,
    dtype: str,
    start: np.ndarray | float = 0.0,
    **info: Any,
) -> None:
    """Check *entry*, then time it; *info* goes into the JSON beside the times."""
    apart, seconds = check(entry, expected, dtype, start)
    facts = {**info, "dtype": dtype, "disagreement": apart, **entry.info}
    time_run(benchmark, entry.run, seconds=None if entry.compiles else seconds, **facts)
    if not np.isfinite(entry.result()).all():
        raise DisagreementError("while it was timed, the numbers became infinite or NaN")


def time_run(
    benchmark: Any,
    run: Callable[[], Any],
    *,
    seconds: float | None = None,
    warm_up: bool = True,
    **info: Any,
) -> None:
    """Time *run*, whose result has been checked.

    It is run once before, outside the timing, unless *seconds* says what a run takes or *warm_up*
    is False.
    """
    benchmark.extra_info.update(info)
    if not warm_up:
        benchmark.pedantic(run, rounds=1)
        return
    if seconds is None or seconds < SLOW:
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
    if seconds < SLOW:
        benchmark(run)
    else:
        budget = SLOW_ROUNDS * benchmark._max_time
        benchmark.pedantic(run, rounds=max(1, min(SLOW_ROUNDS, int(budget / seconds))))


def skip_unless_patient(seconds: float) -> None:
    """Leave the row out, and say so, if a run takes longer than anybody waits."""
    if seconds > PATIENCE:
        pytest.skip(f"left out: one run would take about {seconds:.0f} s")
