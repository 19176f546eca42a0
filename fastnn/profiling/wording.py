"""Times, sizes and tables for reading."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

_KIB = 1024
_UNITS = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"))
#: Longer spans, in seconds, and how long those are that are given in them.
_LONG_UNITS = ((86400.0, "days", 200_000.0), (3600.0, "h", 7200.0), (60.0, "min", 120.0))


def duration(seconds: float) -> str:
    """Seconds with three digits and the unit that suits: ``4.13 µs``."""
    for size, unit, least in _LONG_UNITS:
        if seconds >= least:
            return f"{_three_digits(seconds / size)} {unit}"
    size, unit = _unit(seconds)
    return f"{_three_digits(seconds / size)} {unit}"


def round_duration(seconds: float) -> str:
    """The same without zeros at the end, for ticks: ``1 µs``."""
    size, unit = _unit(seconds)
    return f"{seconds / size:,.4g} {unit}"


def _unit(seconds: float) -> tuple[float, str]:
    """Size and name of the unit in which there are fewer than 1000, up to seconds."""
    return next((unit for unit in _UNITS if seconds < 999.9 * unit[0]), (1.0, "s"))


def times(ratio: float) -> str:
    """How many times: ``0.53``, ``4.1``, ``1,230``."""
    return f"{ratio:.2f}" if ratio < 3 else f"{ratio:.1f}" if ratio < 20 else f"{ratio:,.0f}"


def size_of(held: float) -> str:
    """Bytes: ``64 MiB``."""
    return f"{held / _KIB**2:.0f} MiB" if held >= _KIB**2 else f"{held / _KIB:.0f} KiB"


def rounded(number: float) -> str:
    """A number with two digits: what an estimate is good for."""
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 9.95 else f"{number:.1f}"


def _three_digits(number: float) -> str:
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{digits}f}"


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
