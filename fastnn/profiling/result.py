"""What profiling found, as objects that print, convert, save and plot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from fastnn import validation
from fastnn.printing import render
from fastnn.profiling import conditions, pictures
from fastnn.profiling.ceilings import Ceilings
from fastnn.profiling.measuring import Timing
from fastnn.profiling.operations import OPERATIONS
from fastnn.profiling.records import NAMES, TIE, Crossover, Row
from fastnn.profiling.wording import duration, new_table, rounded, times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What may overtake what.
PAIRS = (("python", "numpy"), ("python", "numba"), ("numpy", "numba"))


class Result:
    """What both kinds of profile can do."""

    machine: dict[str, Any]
    rows: list[Row]
    notes: list[str]

    def __rich__(self) -> RenderableType:
        """What a rich console prints."""
        notes = [Text(f"- {note}") for note in self.notes]
        return Group(*self._blocks(), *([Text("\nNotes", style="bold")] if notes else []), *notes)

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in render(self).splitlines())

    def to_dict(self) -> dict[str, Any]:
        """Everything that was measured, of plain types."""
        raise NotImplementedError

    def _blocks(self) -> Iterator[RenderableType]:
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """The rows as a pandas.DataFrame; needs pandas."""
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas") from None
        return pd.DataFrame([row.as_dict() for row in self.rows])

    def to_json(self) -> str:
        """Everything that was measured, as JSON: ``results``, ``machine`` and more."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def save(self, path: str | Path) -> None:
        """Write `to_json` into a file."""
        Path(validation.path(path, "path")).write_text(self.to_json() + "\n", encoding="utf-8")


@dataclass
class Profile(Result):
    """Operations, sizes and engines against each other.

    Attributes
    ----------
    machine : dict
        CPU, threads, versions, date.
    samples : int
        What the networks' operations go over.
    rows : list of Row
    compile_seconds : dict of operation to float
        What numba takes to compile the operation, measured in a fresh process.
    ceilings : Ceilings or None
    notes : list of str
        What was left out, and why; and what is to be doubted.
    """

    machine: dict[str, Any]
    samples: int
    rows: list[Row] = field(default_factory=list)
    compile_seconds: dict[str, float] = field(default_factory=dict)
    ceilings: Ceilings | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def operations(self) -> list[str]:
        """The operations that there are rows of."""
        return list(dict.fromkeys(row.operation for row in self.rows))

    def seconds(self, operation: str, engine: str) -> dict[int, float]:
        """Median seconds by size."""
        return {
            int(row.size): row.timing.median
            for row in self.rows
            if (row.operation, row.engine) == (operation, engine)
        }

    def crossovers(self, operation: str) -> list[Crossover]:
        """Who overtakes whom in an operation."""
        timings: dict[str, dict[int, Timing]] = {engine: {} for engine in NAMES}
        for row in self.rows:
            if row.operation == operation:
                timings[row.engine][int(row.size)] = row.timing
        found = (Crossover.between(operation, *pair, timings) for pair in PAIRS)
        return [crossover for crossover in found if crossover is not None]

    def to_dict(self) -> dict[str, Any]:
        """Everything that was measured, of plain types."""
        return {
            "machine": self.machine,
            "samples": self.samples,
            "results": [row.as_dict() for row in self.rows],
            "compile_seconds": self.compile_seconds,
            "crossovers": [
                crossover.as_dict()
                for operation in self.operations
                for crossover in self.crossovers(operation)
            ],
            "ceilings": self.ceilings and self.ceilings.as_dict(),
            "roofline": [
                {"operation": row.operation, "size": row.size, **asdict(row.nearness)}
                for row in self.rows
                if row.nearness is not None
            ],
            "notes": self.notes,
        }

    def plot(self) -> Figure:
        """Time against size for each operation, and the roofline; needs matplotlib.

        Returns
        -------
        matplotlib.figure.Figure
        """
        panels = len(self.operations) + (self.ceilings is not None)
        title = "Loop against vector against compiled"
        figure, axes = pictures.new_figure(panels, title, conditions.as_text(self.machine))
        for ax, name in zip(axes, self.operations, strict=False):
            rows = [row for row in self.rows if row.operation == name]
            pictures.draw_operation(ax, rows, self.crossovers(name))
        if self.ceilings is not None:
            pictures.draw_roofline(axes[-1], self.rows, self.ceilings)
        return figure

    def _blocks(self) -> Iterator[RenderableType]:
        yield Text("Loop against vector against compiled", style="bold")
        yield Text(conditions.as_text(self.machine))
        yield Text(
            f"Times are medians of {self.machine['clock']} over rounds of everything in turn; ± "
            "is half the distance between the quartiles. An engine is checked to give the others' "
            "numbers first. Compilation and the making of the data are not in the times."
        )
        for operation in self.operations:
            yield Text()
            yield from self._operation_blocks(operation)
        if self.ceilings is not None:
            yield Text()
            yield from self._ceiling_blocks(self.ceilings)

    def _operation_blocks(self, name: str) -> Iterator[RenderableType]:
        operation = OPERATIONS[name]
        by_size: dict[int | str, dict[str, Row]] = {}
        for row in self.rows:
            if row.operation == name:
                by_size.setdefault(row.size, {})[row.engine] = row
        engines = [engine for engine in NAMES if any(engine in found for found in by_size.values())]
        yield Text.assemble(
            (name, "bold"), f": {operation.line.format(samples=f'{self.samples:,}')}."
        )
        for engine in engines:
            yield Text(f"  {engine:7}{operation.contestants[engine]}")
        pairs = [pair for pair in PAIRS if set(pair) <= set(engines)]
        near = any(row.nearness for found in by_size.values() for row in found.values())
        headings = ["size", *engines, *(f"{fast}:\n{slow}" for slow, fast in pairs)]
        headings += ["numba of\nceiling"] if near else []
        lines = []
        for size, found in by_size.items():
            lines.append([f"{size:,}", *(_time(found.get(engine)) for engine in engines)])
            lines[-1] += [_ratio(found.get(slow), found.get(fast)) for slow, fast in pairs]
            lines[-1] += [_nearness(found.get("numba"))] if near else []
        yield new_table(headings, lines, tight=True)
        if pairs:
            yield Text(
                f"{pairs[0][1]}:{pairs[0][0]} is how many times as fast as {pairs[0][0]} "
                f"{pairs[0][1]} is."
                + (" Ceiling: A arithmetic, M memory, see below." if near else "")
            )
        for crossover in self.crossovers(name):
            text = crossover.as_text()
            yield Text(text[0].upper() + text[1:] if not text.startswith("numba") else text)
        if name in self.compile_seconds:
            yield Text(self._compiled(name))

    def _compiled(self, name: str) -> str:
        seconds = self.compile_seconds[name]
        text = f"Compile time: {duration(seconds)}, the first time ever; then it is kept on disk."
        numpy, numba = self.seconds(name, "numpy"), self.seconds(name, "numba")
        gains = {size: numpy[size] - numba[size] for size in numpy.keys() & numba.keys()}
        size = max(gains, default=0)
        if size and gains[size] > TIE * numpy[size]:
            runs = rounded(seconds / gains[size])
            text += f" At size {size:,} it is won back against NumPy after {runs} runs."
        return text

    def _ceiling_blocks(self, ceilings: Ceilings) -> Iterator[RenderableType]:
        yield Text.assemble(
            ("How near the compiled loop is to the machine's ceilings", "bold"), " (one thread)"
        )
        yield Text(ceilings.as_text())
        yield Text(
            "The ceiling of an operation is the least time for its arithmetic or for moving its "
            "data, whichever is longer. Sigmoids count at their price, and data moves at the "
            "speed of the smallest memory that holds it. Small sizes stay far below because "
            "calling the kernel from Python takes its time."
        )
        for name in self.operations:
            rows = (row for row in self.rows if row.operation == name)
            points = {row.size: row.nearness for row in rows if row.nearness is not None}
            if points:
                size, near = max(points.items(), key=lambda point: point[1].share)
                yield Text(
                    f"- {name}: at best {near.share:.0%} of what the {near.limit} allows, at size "
                    f"{size:,}. {_meaning(near.share, near.limit)}"
                )


def _meaning(share: float, limit: str) -> str:
    if share < 0.5:
        return "There is room: waiting, calling and bookkeeping take more than half of the time."
    if limit == "memory":
        return "Faster arithmetic would not help: smaller numbers (float32) or less data would."
    return "Faster memory would not help: less arithmetic, or cheaper activations, would."


def _time(row: Row | None) -> str:
    if row is None:
        return "–"
    return f"{duration(row.timing.median)} ±{row.timing.spread / 2:.0%}"


def _ratio(slow: Row | None, fast: Row | None) -> str:
    if slow is None or fast is None:
        return "–"
    return times(slow.timing.median / fast.timing.median)


def _nearness(row: Row | None) -> str:
    """Which ceiling, and how much of it."""
    if row is None or row.nearness is None:
        return "–"
    return f"{row.nearness.share:.0%} {'M' if row.nearness.limit == 'memory' else 'A'}"
