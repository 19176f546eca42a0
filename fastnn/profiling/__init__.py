"""Loop against vector against compiled: ``fastnn.profile`` and ``fastnn profile``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import validation
from fastnn.contract import quiet
from fastnn.names import find
from fastnn.network import Network
from fastnn.profiling import comparing, networks
from fastnn.profiling.network_result import NetworkProfile
from fastnn.profiling.operations import ENGINES, OPERATIONS, DisagreementError
from fastnn.profiling.progress import Budget, show_progress
from fastnn.profiling.records import Row
from fastnn.profiling.result import Profile

__all__ = ["DisagreementError", "NetworkProfile", "Profile", "Row", "profile"]

#: Samples by default: those of the worked documents; and one block of the compiled engine.
SAMPLES, QUICK_SAMPLES = 1000, 256


@quiet
def profile(
    network: Network | Sequence[int] | None = None,
    *,
    ops: Sequence[str] | str | None = None,
    sizes: Sequence[int] | int | None = None,
    engines: Sequence[str] | str = ENGINES,
    samples: int | None = None,
    batch_size: int | None = 1,
    quick: bool = False,
    seconds: float | None = None,
    progress: bool = False,
) -> Profile | NetworkProfile:
    """Measure a loop against a vector against a compiled loop.

    Without a network: operations at several sizes on each engine. With one: what an epoch of
    its training costs on each engine, where the time goes, and what to change.

    Parameters
    ----------
    network : Network or sequence of int, optional
        A network, or layer sizes such as ``[20, 64, 1]``. It is not trained, nor changed.
    ops : str or sequence of str, optional
        Of ``"dot"``, ``"forward"``, ``"backward"``, ``"sgd_epoch"``, ``"gd_epoch"``; all by
        default.
    sizes : int or sequence of int, optional
        Lengths of the vectors of ``"dot"``, and hidden units of the others' 1-size-1 network.
    engines : str or sequence of str
        Of ``"python"`` (loop), ``"numpy"`` (vector) and ``"numba"`` (compiled).
    samples : int, optional
        What the networks go over; by default 1000, and 256 if *quick* and without a network.
    batch_size : int, optional
        With a network: samples per update; None for one update per epoch from all samples.
    quick : bool
        Take 40 seconds instead of four minutes (a network: a third of a minute instead of one).
    seconds : float, optional
        About how long all of it may take. What does not fit is left out, and the result says so.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Profile or NetworkProfile
        Prints as a table; ``to_pandas()``, ``to_json()``, ``save(path)``, ``plot()``.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    DisagreementError
        If the engines do not give the same numbers: then nothing is timed.

    Examples
    --------
    >>> import fastnn
    >>> print(fastnn.profile(ops="dot", quick=True))  # doctest: +SKIP
    >>> fastnn.profile([20, 64, 1], samples=5000).plot()  # doctest: +SKIP
    """
    chosen = _choices(engines, ENGINES, "engines")
    quick = validation.boolean(quick, "quick")
    if samples is None:
        samples = QUICK_SAMPLES if quick and network is None else SAMPLES
    samples = validation.integer(samples, "samples", 1)
    if seconds is not None:
        seconds = validation.positive(seconds, "seconds")
    if batch_size is not None:
        batch_size = validation.integer(batch_size, "batch_size", 1)
    progress = validation.boolean(progress, "progress")
    with show_progress(progress) as report:
        if network is None:
            chosen_ops = _choices(list(OPERATIONS) if ops is None else ops, OPERATIONS, "ops")
            allowed = seconds or (comparing.QUICK_SECONDS if quick else comparing.SECONDS)
            return comparing.Comparison(
                chosen_ops, _sizes(sizes), chosen, samples, quick, Budget(allowed, report)
            ).run()
        if ops is not None or sizes is not None:
            raise ValueError("ops and sizes are for profiling without a network")
        net = network if isinstance(network, Network) else Network(network, seed=0)
        allowed = seconds or (networks.QUICK_SECONDS if quick else networks.SECONDS)
        batch = samples if batch_size is None else min(batch_size, samples)
        return networks.NetworkAnalysis(net, samples, batch, chosen, Budget(allowed, report)).run()


def _choices(names: Any, table: Any, argument: str) -> list[str]:
    """The names, each once, in the table's order."""
    entries = _entries(names, str, argument, "names, or one name")
    chosen = {find(name, {known: known for known in table}, argument) for name in entries}
    return [name for name in table if name in chosen]


def _sizes(sizes: Any) -> list[int] | None:
    """The sizes, each once, from small to large."""
    if sizes is None:
        return None
    entries = _entries(sizes, int, "sizes", "whole numbers, or one")
    return sorted({validation.integer(size, f"sizes[{k}]", 1) for k, size in enumerate(entries)})


def _entries(given: Any, kind: type, argument: str, entries: str) -> list[Any]:
    """What a user gave: one entry, which is of a *kind*, or several."""
    found = [given] if isinstance(given, kind) else validation.listed(given, argument, entries)
    if not found:
        raise ValueError(f"{argument} must name at least one, got none")
    return found
