"""What profiling a network found: an epoch's time, where it goes, and what to change."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from fastnn.profiling import conditions, pictures
from fastnn.profiling.records import ONE_SWEEP, PHASES, Change, Row, Step
from fastnn.profiling.result import Result
from fastnn.profiling.wording import duration, new_table, times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A change that gains less than this is not worth the trouble.
WORTHWHILE = 1.15


@dataclass
class NetworkProfile(Result):
    """What an epoch of a network's training costs, and why.

    Attributes
    ----------
    machine : dict
        CPU, threads, versions, date.
    layers : tuple of int
    activations : list of str
        Of each layer.
    samples, batch_size : int
    rows : list of Row
        An epoch on each engine.
    steps : list of Step
    changes : list of Change
    compile_seconds : float or None
    notes : list of str
    """

    machine: dict[str, Any]
    layers: tuple[int, ...]
    activations: list[str]
    samples: int
    batch_size: int
    rows: list[Row] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    compile_seconds: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def epoch_seconds(self) -> dict[str, float]:
        """Median seconds of an epoch by engine."""
        return {row.engine: row.timing.median for row in self.rows}

    def to_dict(self) -> dict[str, Any]:
        """Everything that was measured, of plain types."""
        return {
            "machine": self.machine,
            "layers": list(self.layers),
            "activations": self.activations,
            "samples": self.samples,
            "batch_size": self.batch_size,
            "results": [row.as_dict() for row in self.rows],
            "steps": [asdict(step) for step in self.steps],
            "changes": [asdict(change) for change in self.changes],
            "compile_seconds": self.compile_seconds,
            "advice": self.advice(),
            "notes": self.notes,
        }

    def plot(self) -> Figure:
        """The epoch on each engine, the steps, and the changes; needs matplotlib.

        Returns
        -------
        matplotlib.figure.Figure
        """
        batch = "per-sample" if self.batch_size == 1 else f"batch size {self.batch_size:,}"
        title = f"{'-'.join(map(str, self.layers))}, {self.samples:,} samples, {batch}"
        figure, axes = pictures.new_figure(3, title, conditions.as_text(self.machine))
        pictures.draw_epochs(axes[0], self.rows)
        pictures.draw_steps(axes[1], self.layers, self.steps)
        pictures.draw_changes(axes[2], self.changes)
        return figure

    def advice(self) -> list[str]:
        """What to change, the most worthwhile first."""
        said = []
        seconds = self.epoch_seconds
        ranked = sorted(seconds, key=lambda engine: seconds[engine])
        if len(ranked) > 1:
            ratios = " and ".join(
                f"{times(seconds[engine] / seconds[ranked[0]])} times as fast as {engine}"
                for engine in ranked[1:]
            )
            said.append(f"engine={ranked[0]!r} is {ratios}.")
        gain = seconds.get("numpy", 0.0) - seconds.get("numba", math.inf)
        if self.compile_seconds and gain > 0:
            epochs = self.compile_seconds / gain
            said.append(
                f"Compiling takes {duration(self.compile_seconds)}, the first time ever. "
                + (
                    "The first epoch wins that back against NumPy."
                    if epochs <= 1
                    else f"Against NumPy that is won back after {epochs:,.0f} epochs."
                )
            )
        said.extend(
            f"{change.change} makes the epoch {times(change.gain)} times as fast. {change.effect}"
            for change in sorted(self.changes, key=lambda change: -change.gain)
            if change.gain >= WORTHWHILE
        )
        small = [change.change for change in self.changes if change.gain < WORTHWHILE]
        if small:
            said.append(f"Not worth it for the time alone: {', '.join(small)}.")
        return said

    def _blocks(self) -> Iterator[RenderableType]:
        layers = "-".join(map(str, self.layers))
        batch = (
            "one update per sample"
            if self.batch_size == 1
            else f"batches of {self.batch_size:,} samples"
        )
        yield Text(f"An epoch of {layers} ({', '.join(self.activations)})", style="bold")
        yield Text(conditions.as_text(self.machine))
        yield Text(
            f"{self.samples:,} samples in random order, {batch}, SGD. Times are medians of "
            f"{self.machine['clock']}; ± is half the distance between the quartiles. The engines "
            "are checked to give the same parameters first."
        )
        yield Text()
        numba = self.epoch_seconds.get("numba")
        yield new_table(
            ["engine", "one epoch", "±", "100 epochs", "per sample", "× numba", "timed"],
            [
                [
                    row.engine,
                    duration(row.timing.median),
                    f"{row.timing.spread / 2:.0%}",
                    duration(100 * row.timing.median),
                    duration(row.timing.median / self.samples),
                    times(row.timing.median / numba) if numba else "–",
                    "all samples"
                    if row.estimated_from is None
                    else f"{row.estimated_from:,} samples",
                ]
                for row in self.rows
            ],
            left=(0, 6),
        )
        if self.steps:
            yield from self._step_blocks()
        if self.changes:
            yield Text("\nWhat if? (compiled, measured)", style="bold")
            yield new_table(
                ["change", "one epoch", "times as fast", "what else it means"],
                [
                    [change.change, duration(change.seconds), times(change.gain), change.effect]
                    for change in self.changes
                ],
                left=(0, 3),
            )
        said = self.advice()
        if said:
            yield Text("\nWhat to change", style="bold")
        yield from (Text(f"- {line}") for line in said)

    def _step_blocks(self) -> Iterator[RenderableType]:
        yield Text("\nWhere the time goes, compiled", style="bold")
        if self.steps[0].phase == ONE_SWEEP:
            yield Text(
                "The kernel goes through all layers and back in one sweep for each sample: there "
                "are no phases to tell apart."
            )
            return
        found = {(step.layer, step.phase): step for step in self.steps}
        lines = []
        for k, (n_in, n_out) in enumerate(itertools.pairwise(self.layers), 1):
            cells = [f"{k}: {n_in}→{n_out}, {self.activations[k - 1]}"]
            for phase in PHASES:
                step = found.get((k, phase))
                cells.append(f"{duration(step.seconds)} {step.share:4.0%}" if step else "–")
            cells.append(f"{sum(s.share for s in self.steps if s.layer == k):.0%}")
            lines.append(cells)
        for step in self.steps:
            if step.layer == 0:
                cells = [step.phase, duration(step.seconds), "", "", f"{step.share:.0%}"]
                lines.append(cells)
        yield new_table(["layer", *PHASES, "together"], lines, left=(0,))
        if len(self.layers) > 2 and all(phase != PHASES[1] for _, phase in found):
            yield Text(
                "Sample by sample the way back is part of the update, which goes over a layer's "
                "weights once."
            )
        total, epoch = sum(step.share for step in self.steps), self.epoch_seconds["numba"]
        yield Text(
            f"Each phase timed alone, beside the whole epoch of {duration(epoch)}: together they "
            f"take {total:.0%} of it."
        )
