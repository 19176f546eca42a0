"""The command line: ``fastnn`` and ``python -m fastnn``.

Each subcommand is one function that adds its parser and says what runs it. What a
subcommand needs is imported when it runs, so that ``fastnn --help`` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from fastnn._version import __version__

#: The exit codes beside 0 for success.
FIGURES_MISSED = 1
BAD_INPUT = 2
INTERRUPTED = 130

Subparsers = Any  # argparse keeps the type of add_subparsers() to itself
Command = Callable[[argparse.Namespace], int]


class BadInputError(Exception):
    """What the user asked for cannot be done; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    _print_any_character()
    options = _parser().parse_args(arguments)
    command: Command = options.run
    try:
        with _interrupt_at_once():
            return command(options)
    except BadInputError as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastnn",
        description="Small neural networks, trained at the speed of the machine.",
    )
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")

    def print_help(_options: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    parser.set_defaults(run=print_help)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add_parser in SUBCOMMANDS:
        add_parser(subparsers)
    return parser


def add_demo_parser(subparsers: Subparsers) -> None:
    """``fastnn demo [NAME]``."""
    parser = subparsers.add_parser(
        "demo",
        help="run a worked example; without a name, list them",
        description="Run a worked example and print its document's figures beside ours. "
        "Without a name, list the examples.",
        epilog="Exit code: 0 if every figure matches, 1 if one is missed, 2 for bad input.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one")
    parser.add_argument(
        "--engine",
        choices=("numba", "numpy", "python"),
        default="numba",
        help="who does the arithmetic (default: numba)",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="DIR", help="draw the pictures, as PNG files in DIR"
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out what takes longer than a moment"
    )
    parser.add_argument("--table", action="store_true", help="curve only: train its ten-row table")
    parser.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """Run the demo that was asked for, or list them all."""
    from fastnn.demos import DEMOS
    from fastnn.names import find

    if options.name is None:
        print("Worked examples, each run by: fastnn demo NAME\n")
        for demo in DEMOS.values():
            print(f"  {demo.name:10}{demo.line}")
        return 0
    try:
        demo = find(options.name, DEMOS, "demo")
    except ValueError as error:
        raise BadInputError(error) from None
    if options.table and demo.name != "curve":
        raise BadInputError(f"--table belongs to the demo curve, not to {demo.name}")
    if options.plot is not None:
        _prepare_for_pictures(options.plot)
    from fastnn.demos.lesson import Lesson

    lesson = Lesson(options.engine, quick=options.quick, plot=options.plot, table=options.table)
    demo.run(lesson)
    return 0 if lesson.finish() else FIGURES_MISSED


#: To add a subcommand, write its function and name it here.
SUBCOMMANDS: tuple[Callable[[Subparsers], None], ...] = (add_demo_parser,)


def _prepare_for_pictures(folder: Path) -> None:
    """Find out before the training, not after it, that pictures cannot be made."""
    from fastnn.plotting import pyplot

    try:
        pyplot()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except ImportError as error:
        raise BadInputError(error) from None
    except OSError as error:
        raise BadInputError(f"cannot write pictures to {folder}: {error.strerror}") from None


@contextlib.contextmanager
def _interrupt_at_once() -> Iterator[None]:
    """Let Ctrl-C end the command rather than one call of ``fit``.

    ``fit`` takes Ctrl-C as a wish to stop training and returns; a demo would then go on
    with a half-trained network. It leaves signal handlers alone that are not Python's own.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _print_any_character() -> None:
    """Print ● or σ as ? where the output's encoding does not have them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
