"""What profiling found, as objects that print, convert, save and plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fastnn import validation
from fastnn.printing import render
from fastnn.profiling.machine import Ceilings, Nearness, facts_as_text
from fastnn.profiling.measuring import Timing, duration, geometric_crossings, times
from fastnn.profiling.operations import OPERATIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What may overtake what, and the names for reading.
PAIRS = (("python", "numpy"), ("python", "numba"), ("numpy", "numba"))
_NAMES = {"python": "the Python loop", "numpy": "NumPy", "numba": "numba"}
#: Nearer than this, two medians are taken to be equal.
TIE = 0.05


@dataclass(frozen=True)
class Row:
    """One engine at one size of one operation.

    Attributes
    ----------
    operation, engine : str
    size : int or str
        A network's own layers are a text: ``"20-64-1"``.
    samples : int or None
        How many samples the operation went over.
    timing : Timing
    nearness : Nearness or None
        How near it is to the machine's ceilings; for the compiled engine.
    estimated_from : int or None
        The samples that were timed, if not all were.
    """

    operation: str
    size: int | str
    engine: str
    samples: int | None
    timing: Timing
    nearness: Nearness | None = None
    estimated_from: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON and pandas."""
        timing = self.timing
        row = {
            "operation": self.operation,
            "size": self.size,
            "engine": self.engine,
            "samples": self.samples,
            "median_seconds": timing.median,
            "spread": timing.spread,
            "lower_quartile_seconds": timing.lower,
            "upper_quartile_seconds": timing.upper,
            "best_seconds": timing.best,
            "rounds": timing.rounds,
            "estimated_from_samples": self.estimated_from,
        }
        if self.nearness is not None:
            row["of_ceiling"] = self.nearness.share
            row["ceiling"] = self.nearness.limit
        return row


class Result:
    """What both kinds of profile can do."""

    machine: dict[str, Any]
    rows: list[Row]

    def __rich__(self) -> RenderableType:
        """What a rich console prints."""
        return Group(*self._blocks())

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in render(self).splitlines())

    def to_dict(self) -> dict[str, Any]:
        """Everything that was measured, of plain types."""
        raise NotImplementedError

    def _blocks(self) -> Iterator[RenderableType]:
        raise NotImplementedError

    def plot(self) -> Figure:
        """Draw it; needs matplotlib.

        Returns
        -------
        matplotlib.figure.Figure
        """
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


@dataclass(frozen=True)
class Crossover:
    """Where one engine overtakes another as the size grows.

    Attributes
    ----------
    operation, slower, faster : str
        *faster* is the engine expected to win in the end.
    sizes : list of int
        The smallest and the largest size that both were measured at.
    changes : list of (float, bool)
        Sizes at which the lead changes, and whether *faster* is ahead from there on.
    first_ahead : bool or None
        Whether *faster* is ahead at the smallest size; None if they tie throughout.
    """

    operation: str
    slower: str
    faster: str
    sizes: tuple[int, int]
    changes: list[tuple[float, bool]]
    first_ahead: bool | None

    def as_text(self) -> str:
        """A sentence."""
        fast, slow = _NAMES[self.faster], _NAMES[self.slower]
        if self.first_ahead is None:
            return f"{fast} and {slow} take the same time."
        if not self.changes:
            low, high = self.sizes
            what = "faster than" if self.first_ahead else "slower than"
            where = f"all sizes measured, {low:,} to {high:,}" if low < high else f"size {low:,}"
            return f"{fast} is {what} {slow} at {where}."
        parts = [
            f"{'overtakes' if rises else 'falls behind'} at about size {_rounded(size)}"
            for size, rises in self.changes
        ]
        start = "is ahead at first, " if self.first_ahead else ""
        return f"{fast} against {slow}: {start}{', '.join(parts)}."

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "operation": self.operation,
            "faster": self.faster,
            "slower": self.slower,
            "sizes": list(self.sizes),
            "ahead_at_first": self.first_ahead,
            "changes": [
                {"size": size, "overtakes": rises, "falls_behind": not rises}
                for size, rises in self.changes
            ],
        }


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
        found = []
        for slower, faster in PAIRS:
            slow, fast = self.seconds(operation, slower), self.seconds(operation, faster)
            sizes = sorted(slow.keys() & fast.keys())
            if not sizes:
                continue
            ratios = [slow[size] / fast[size] for size in sizes]
            decided = [ratio > 1 for ratio in ratios if abs(ratio - 1) > TIE]
            found.append(
                Crossover(
                    operation,
                    slower,
                    faster,
                    (sizes[0], sizes[-1]),
                    geometric_crossings(sizes, ratios, TIE),
                    decided[0] if decided else None,
                )
            )
        return found

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
                {"operation": row.operation, "size": row.size, **row.nearness.as_dict()}
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
        from fastnn.profiling.pictures import draw_profile

        return draw_profile(self)

    def _blocks(self) -> Iterator[RenderableType]:
        yield Text("Loop against vector against compiled", style="bold")
        yield Text(facts_as_text(self.machine))
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
        if self.notes:
            yield Text("\nNotes", style="bold")
        for note in self.notes:
            yield Text(f"- {note}")

    def _operation_blocks(self, name: str) -> Iterator[RenderableType]:
        operation = OPERATIONS[name]
        by_size: dict[int | str, dict[str, Row]] = {}
        for row in self.rows:
            if row.operation == name:
                by_size.setdefault(row.size, {})[row.engine] = row
        engines = [
            engine for engine in _NAMES if any(engine in found for found in by_size.values())
        ]
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
            cells = [f"{size:,}"]
            cells += [_time(found[engine]) if engine in found else "–" for engine in engines]
            for slow, fast in pairs:
                both = slow in found and fast in found
                ratio = found[slow].timing.median / found[fast].timing.median if both else 0.0
                cells.append(times(ratio) if both else "–")
            if near:
                cells.append(_nearness(found.get("numba")))
            lines.append(cells)
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
        if gains:
            size = max(gains)
            if gains[size] > TIE * numpy[size]:
                runs = seconds / gains[size]
                text += (
                    f" At size {size:,} it is won back against NumPy after {_rounded(runs)} runs."
                )
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
        rows = [(row, row.nearness) for row in self.rows if row.nearness is not None]
        for name in self.operations:
            best = max(
                ((near.share, row, near) for row, near in rows if row.operation == name),
                key=lambda entry: entry[0],
                default=None,
            )
            if best is not None:
                share, row, near = best
                yield Text(
                    f"- {name}: at best {share:.0%} of what the {near.limit} allows, at size "
                    f"{row.size:,}. {_meaning(share, near.limit)}"
                )


def _meaning(share: float, limit: str) -> str:
    if share < 0.5:
        return "There is room: waiting, calling and bookkeeping take more than half of the time."
    if limit == "memory":
        return "Faster arithmetic would not help: smaller numbers (float32) or less data would."
    return "Faster memory would not help: less arithmetic, or cheaper activations, would."


def _time(row: Row) -> str:
    half = row.timing.spread / 2
    return f"{duration(row.timing.median)} ±{half:.0%}"


def _nearness(row: Row | None) -> str:
    """Which ceiling, and how much of it."""
    if row is None or row.nearness is None:
        return "–"
    return f"{row.nearness.share:.0%} {'M' if row.nearness.limit == 'memory' else 'A'}"


def _rounded(number: float) -> str:
    """A number with two digits: what an estimate is good for."""
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 9.95 else f"{number:.1f}"


def new_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: Sequence[int] = (),
    tight: bool = False,
) -> Table:
    """A plain table; the columns *left* hold text, the others numbers."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 0) if tight else (0, 1),
        collapse_padding=True,
    )
    for column, heading in enumerate(headings):
        text = column in left
        table.add_column(heading, justify="left" if text else "right", no_wrap=not text)
    for row in rows:
        table.add_row(*row)
    return table
