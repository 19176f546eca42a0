"""Reading results: rows of one or several runs, and the machine that they were made on."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One contestant's time for one piece of work."""

    group: str
    contestant: str
    seconds: float
    quartiles: tuple[float, float]
    rounds: int
    info: dict[str, Any]

    @property
    def per_unit(self) -> float:
        """Median seconds per update, number or call, whatever the work counts."""
        return self.seconds / self.info["units"]


@dataclass(frozen=True)
class Results:
    """Rows, and what is to be said of the machine."""

    rows: list[Row]
    machine: dict[str, Any]
    dates: list[str]
    quick: bool

    def in_group(self, group: str) -> dict[str, Row]:
        """The rows of a group, by contestant."""
        return {row.contestant: row for row in self.rows if row.group == group}

    def per_unit(self, group: str, contestants: Iterable[str]) -> float | None:
        """Seconds per unit of the fastest of *contestants*; None if none of them is there."""
        rows = self.in_group(group)
        times = [rows[name].per_unit for name in contestants if name in rows]
        return min(times, default=None)

    def statement(self, threads: str = "one thread on one core, unless it says all cores") -> str:
        """Machine, threads, versions and date, in a sentence or two."""
        cpu, versions = self.machine["cpu"], self.machine["versions"]
        names = {"sklearn": "scikit-learn", "torch": "PyTorch", "jax": "JAX", "numpy": "NumPy",
                 "python": "Python"}  # fmt: skip
        listed = ", ".join(f"{names.get(name, name)} {v}" for name, v in versions.items())
        model = f"family {cpu['family']}, model {cpu['model']}, stepping {cpu['stepping']}"
        note = f"; {self.machine['note']}" if self.machine.get("note") else ""
        quick = " A run with --quick: fewer epochs, few rounds." if self.quick else ""
        days = " and ".join(sorted({date[:10] for date in self.dates}))
        return (
            f"{cpu['brand_raw']} ({model}; {', '.join(cpu['vectors'])}), "
            f"{self.machine['cores']} cores{note}. {threads[0].upper()}{threads[1:]}. "
            f"{listed}. Measured on {days}.{quick}"
        )


def read(paths: Iterable[Path]) -> Results:
    """Read one run or several; a row that is in more than one is the one with the lowest median.

    What else a machine does only ever adds to a time.
    """
    rows: dict[str, Row] = {}
    dates, quick, machine = [], False, {}
    for path in paths:
        document = json.loads(path.read_text(encoding="utf-8"))
        dates.append(document["datetime"])
        quick = quick or document.get("quick", False)
        machine = document["machine_info"]
        for benchmark in document["benchmarks"]:
            info, stats = benchmark["extra_info"], benchmark["stats"]
            row = Row(
                benchmark["group"],
                info["contestant"],
                stats["median"],
                (stats["q1"], stats["q3"]),
                stats["rounds"],
                info,
            )
            name = benchmark["fullname"]
            rows[name] = min(row, rows.get(name, row), key=lambda row: row.seconds)
    return Results(list(rows.values()), machine, dates, quick)


def as_time(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds / 1e-9)} ns"


def _digits(number: float) -> str:
    return (
        f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"
    )
