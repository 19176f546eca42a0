"""Where an epoch of the compiled engine goes: its phases, each timed alone beside the whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Samples
from fastnn.memory import aligned_copy
from fastnn.profiling.measuring import Contestant, measure
from fastnn.profiling.records import FETCHING, LOSS, ONE_SWEEP, PHASES

#: The phases are shown if together they take the time of the epoch, but for so much of it.
ALLOWED = 0.15
#: What a phase or a layer is, and its part of the epoch.
Share = tuple[int, str, float]


def shares_of(
    architecture: Architecture,
    start: np.ndarray,
    data: Samples,
    order: np.ndarray,
    batch_size: int,
    epoch: Contestant,
    epochs: int,
    seconds: float,
) -> list[Share]:
    """The part of the epoch that each phase takes, measured in turn with it.

    Parameters
    ----------
    architecture, start, data, order, batch_size
        As in `fastnn.profiling.operations.epoch_problem`.
    epoch : Contestant
        The whole.
    epochs : int
        How many a phase is run for at a time.
    seconds : float
        For all measurements together.
    """
    from fastnn.kernels import engine

    if batch_size == 1 and engine.in_one_sweep(architecture):
        return [(0, ONE_SWEEP, 1.0)]
    work = list(_phases(architecture, start, data, order, batch_size, epochs))
    whole, *parts = measure([epoch, *(one for _, _, one in work)], seconds)
    return [
        (layer, phase, part.best / whole.best)
        for (layer, phase, _), part in zip(work, parts, strict=True)
    ]


def add_up(shares: list[Share]) -> bool:
    """Whether the phases are those of the epoch: together they take as long."""
    return abs(sum(share for _, _, share in shares) - 1) <= ALLOWED


def _phases(
    architecture: Architecture,
    start: np.ndarray,
    data: Samples,
    order: np.ndarray,
    batch_size: int,
    epochs: int,
) -> Iterator[tuple[int, str, Contestant]]:
    """Each phase's layer, counted from 1 (0: of none), its name and what to time."""
    from fastnn.kernels import engine, phases, ready, samples

    single = batch_size == 1
    kept = not single and len(order) == 0 and data.dense.size + data.Y.size <= engine.MOST_KEPT
    places = ready.places(architecture, True, len(data) if kept else 0)
    if single:
        (table, size), make = samples.table(architecture), phases.make_sample_phase
    else:
        table, size = ready.layer_table(architecture), int(places.end)
        make = phases.make_block_phase
    random = np.random.default_rng(0)
    w = aligned_copy(random.uniform(0.1, 0.9, size).astype(architecture.dtype))
    p = aligned_copy(start)
    codes = ready.codes(architecture)
    rate = architecture.dtype.type(1e-9)
    given = (table, places, p, ready.data_for(data, architecture, order))

    def contestant(layer: int, phase: int) -> Contestant:
        run = partial(make(*codes), *given, w, batch_size, kept, layer, phase, rate, epochs)
        run()  # compiles, and leaves the workspace as the next phase needs it
        return Contestant(run, times=epochs)

    fetching = contestant(0, phases.FETCH)
    if not kept:
        yield 0, FETCHING, fetching
    layers = range(len(architecture.sizes) - 1)
    for l in layers:
        yield l + 1, PHASES[0], contestant(l, phases.FORWARD)
    yield 0, LOSS, contestant(0, phases.LOSS)
    for l in reversed(layers):
        if l > 0 and not single:
            yield l + 1, PHASES[1], contestant(l, phases.BACKWARD)
        yield l + 1, PHASES[2], contestant(l, phases.UPDATE)
