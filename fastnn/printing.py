"""Text that the standard output can show, whatever its encoding."""

import codecs
import sys
import unicodedata
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

#: What stands for characters of ours that an encoding lacks and Unicode knows no simpler form of.
_PLAIN = {
    "±": "+-", "µ": "u", "–": "-", "−": "-", "→": "->", "×": "x", "·": "*", "≈": "~",
    "Σ": "sum", "σ": "sigma", "●": "*", "○": "o", "°": "deg ",
}  # fmt: skip
#: Widest line of a text that may be printed anywhere.
_WIDTH = 100


def plainly(error: UnicodeError) -> tuple[str, int]:
    """A handler of encoding errors: say it in ASCII, or leave a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(map(_in_ascii, characters)), error.end


def _in_ascii(character: str) -> str:
    simpler = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _PLAIN.get(character) or simpler or "?"


#: The name of `plainly`, for ``errors=``.
PLAINLY = "fastnn.plainly"
codecs.register_error(PLAINLY, plainly)


class _Paper(StringIO):
    """Memory to print to, with the encoding of the standard output."""

    encoding = ""  # StringIO's own cannot be set

    def __init__(self) -> None:
        super().__init__()
        self.encoding = getattr(sys.stdout, "encoding", None) or "utf-8"


def render(what: "RenderableType") -> str:
    """What rich makes of *what*, without colours, in characters that can be printed."""
    from rich.console import Console

    paper = _Paper()
    Console(file=paper, width=_WIDTH, color_system=None).print(what)
    return paper.getvalue().encode(paper.encoding, PLAINLY).decode(paper.encoding)
