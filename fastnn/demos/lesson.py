"""What a demo is given: the engine to use, and a way to print, to compare and to draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from fastnn.demos.figures import COMPUTED, ELSEWHERE, PRINTED, Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

#: Seconds that a demo may take, and with --quick.
SECONDS = {"numba": 60.0, "numpy": 120.0, "python": 20.0}
QUICK_SECONDS = 2.0


@dataclass
class Lesson:
    """One run of a demo."""

    #: What the demo's networks use.
    engine: str = "numba"
    _: KW_ONLY
    #: Leave out what takes longer than a moment.
    quick: bool = False
    #: Leave out nothing, however long it takes.
    full: bool = False
    #: The folder for pictures; none are drawn without it.
    plot: Path | None = None
    #: Whether the long table is asked for, in the demo that has one.
    table: bool = False
    console: Console = field(default_factory=lambda: Console(highlight=False))

    def __post_init__(self) -> None:
        self.checked = 0
        self.missed: list[str] = []
        self.left_out: list[str] = []
        self._seconds_left = QUICK_SECONDS if self.quick else SECONDS[self.engine]
        self._pictures: list[Path] = []
        self._after_heading = True

    def affords(self, part: str, *, numba: float, numpy: float, python: float) -> bool:
        """Whether there is time for *part*, given about how many seconds each engine takes.

        What there is no time for is named at the end. The seconds are the ones given here, not
        measured, so that the same command does the same on a busy machine.
        """
        seconds = {"numba": numba, "numpy": numpy, "python": python}[self.engine]
        if seconds > self._seconds_left and not self.full:
            self.left_out.append(f"{part} (about {seconds:g} s)")
            return False
        self._seconds_left -= seconds
        return True

    def heading(self, text: str, document: str) -> None:
        """The heading of the demo, and what it follows."""
        self.console.rule(f"{text} [dim](engine {self.engine})", align="left")
        self.say(f"The document: {document}.")

    def title(self, text: str, document: str) -> None:
        """The same, and what the figures mean."""
        self.heading(text, document)
        self.say(
            f"{PRINTED} printed by the document  {COMPUTED} computed from its description  "
            f"{ELSEWHERE} our own check\n"
            "Allowed is half a unit of the last digit given, unless said otherwise."
        )

    def part(self, text: str) -> None:
        """The heading of a part."""
        self._print(Text(text, style="bold"))
        self._after_heading = True

    def say(self, text: str) -> None:
        """A paragraph, wrapped to the width of the terminal."""
        self._print(Text(text))

    def show(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A plain table; the first column is text, the others are numbers."""
        table = _new_table()
        for column, heading in enumerate(headings):
            table.add_column(heading, justify="right" if column else "left")
        for row in rows:
            table.add_row(*row)
        self._print(table)

    def check(self, title: str, figures: Sequence[Figure], beside: str = "document") -> None:
        """Print figures beside those of the document, and remember the ones missed."""
        self.say(title)
        table = _new_table()
        table.add_column("figure", overflow="fold")
        for heading in (beside, "ours", "difference", "allowed", ""):
            table.add_column(heading, justify="right", no_wrap=True)
        for figure in figures:
            given, ours = figure.as_text()
            difference = f"{figure.difference:+.1e}" if figure.difference else "0"
            allowed = f"{figure.allowed:.0e}" if figure.allowed else "0"
            verdict = "[green]ok" if figure.matches else "[bold red]MISS"
            table.add_row(f"{figure.mark} {figure.name}", given, ours, difference, allowed, verdict)
            self._count(
                figure.matches,
                f"{figure.name}: expected {given}, got {ours}: off by {difference}, "
                f"allowed are {allowed}",
            )
        self.console.print(table)

    def require(self, statement: str, holds: bool) -> None:
        """Print a statement that must hold, and whether it does; it counts as a figure."""
        verdict = ("ok", "green") if holds else ("MISS", "bold red")
        self._print(Text.assemble(f"{ELSEWHERE} {statement}: ", verdict))
        self._count(holds, f"{statement}: it does not hold")

    def _count(self, holds: bool, miss: str) -> None:
        self.checked += 1
        if not holds:
            self.missed.append(miss)

    def _print(self, what: RenderableType) -> None:
        """Print a block, set off by an empty line unless it follows a heading."""
        if not self._after_heading:
            self.console.print()
        self._after_heading = False
        self.console.print(what)

    def picture(self, name: str, width: float = 6.4, height: float = 4.0) -> Picture:
        """An empty matplotlib figure, to be handed to `save`; sizes in inches.

        It is made without pyplot, so no window opens and no display is needed.
        """
        from matplotlib.figure import Figure as Picture

        return Picture(figsize=(width, height), layout="constrained", label=name)

    def save(self, picture: Picture) -> None:
        """Write *picture* into the folder for pictures; `finish` prints where."""
        assert self.plot is not None
        path = self.plot / f"{picture.get_label()}.png"
        picture.savefig(path, dpi=150)
        self._pictures.append(path)

    def finish(self) -> bool:
        """Print what was drawn, left out and missed; True if every figure matched."""
        self.console.print()
        for path in self._pictures:
            self.console.print(f"Picture: {path}", markup=False, soft_wrap=True)
        if self.plot and not self._pictures:
            self.console.print("Pictures: none, as in the document.")
        if self.left_out:
            how = "" if self.quick else " With --full nothing is."
            text = f"Left out on engine {self.engine}: {', '.join(self.left_out)}.{how}"
            self.console.print(text, markup=False, soft_wrap=True)
        for miss in self.missed:
            self.console.print(f"MISSED: {miss}", style="red", markup=False, soft_wrap=True)
        if not self.checked:
            self.console.print("Figures: not compared.")
            return True
        if self.missed:
            verdict, style = f"{len(self.missed)} of {self.checked} missed", "bold red"
        else:
            verdict, style = f"all {self.checked} match", "bold green"
        self.console.print(f"Figures: {verdict}.", style=style)
        return not self.missed


def _new_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
