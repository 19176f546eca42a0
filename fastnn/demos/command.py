"""``fastnn demo``, a command of `fastnn.cli`."""

from __future__ import annotations

import argparse
from typing import Any

from fastnn.demos import DEMOS, Demo
from fastnn.names import find
from fastnn.options import BadInputError, number_of, numbers_of, path_of, prepare_for_pictures

#: The exit code if a figure is missed.
FIGURES_MISSED = 1


def add_demo_parser(subparsers: Any) -> None:
    """``fastnn demo [NAME]``."""
    parser = subparsers.add_parser(
        "demo",
        help="run a worked example; without a name, list them",
        description="Run a worked example and print its document's figures beside ours. "
        "Without a name, list the examples.",
        epilog=_DEMO_CODES,
        add_help=False,
    )
    _add_demo_options(parser)
    parser.set_defaults(run=run_demo, help_of_all=parser.format_help)


_DEMO_CODES = (
    "Exit code: 0 if every figure matches or none is compared, 1 if one is missed, 2 for bad input."
)


def _add_demo_options(parser: argparse.ArgumentParser, name: str | None = None) -> None:
    """The options of all demos, or those of one, with its own numbers."""
    if name is None:
        parser.add_argument("name", nargs="?", metavar="NAME", help="which one")
    parser.add_argument("-h", "--help", action="store_true", help="say what a demo does and takes")
    parser.add_argument(
        "--engine",
        choices=("numba", "numpy", "python"),
        default="numba",
        help="who does the arithmetic (default: numba)",
    )
    parser.add_argument(
        "--plot", type=path_of, metavar="DIR", help="draw the pictures, as PNG files in DIR"
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out what takes longer than a moment"
    )
    parser.add_argument(
        "--full", action="store_true", help="leave out nothing: minutes with the engine python"
    )
    if name in (None, "curve"):
        parser.add_argument(
            "--table", action="store_true", help="curve only: train its ten-row table"
        )
    usual = DEMOS[name].numbers if name else {}
    if name and not usual:
        return
    own = parser.add_argument_group(
        "other numbers", "The same system with others than the document's; no figure is compared."
    )
    for number, (metavar, text) in _DEMO_NUMBERS.items():
        if name is None or number in usual:
            default = f" (the document's: {_shown(usual[number])})" if name else ""
            own.add_argument(_option(number), metavar=metavar, help=text + default)


#: What a demo's system can be given, by the name of the argument.
_DEMO_NUMBERS = {
    "epochs": ("N", "how often to go through the samples"),
    "learning_rate": ("RATE", "the learning rate"),
    "hidden": ("SIZES", "units of the hidden layers: 8 or 8,4 or none"),
    "samples": ("N", "curve only: how many samples"),
}


def _shown(value: Any) -> str:
    return (",".join(map(str, value)) or "none") if isinstance(value, tuple) else f"{value:g}"


def run_demo(options: argparse.Namespace) -> int:
    """Run the demo that was asked for, or list them all."""
    if options.name is None:
        _refuse_without_name(options)
        print(options.help_of_all() if options.help else _list_of_demos(), end="")
        return 0
    try:
        demo = find(options.name, DEMOS, "demo")
    except ValueError as error:
        raise BadInputError(error) from None
    if options.help:
        about = f"{demo.line[0].upper()}{demo.line[1:]}. After: {demo.document}."
        parser = argparse.ArgumentParser(
            f"fastnn demo {demo.name}", description=about, epilog=_DEMO_CODES, add_help=False
        )
        _add_demo_options(parser, demo.name)
        parser.print_help()
        return 0
    if options.table and demo.name != "curve":
        raise BadInputError(f"--table belongs to the demo curve, not to {demo.name}")
    if options.quick and options.full:
        raise BadInputError("--quick leaves out much and --full nothing: give one of them")
    numbers = _numbers_of_demo(options, demo)
    if options.plot is not None:
        prepare_for_pictures(options.plot)
    from fastnn.demos.lesson import Lesson

    lesson = Lesson(
        options.engine,
        quick=options.quick,
        full=options.full,
        plot=options.plot,
        table=options.table,
    )
    if numbers:
        _run_with(lesson, demo, numbers)
    else:
        demo.run(lesson)
    return 0 if lesson.finish() else FIGURES_MISSED


def _refuse_without_name(options: argparse.Namespace) -> None:
    """Refuse options for a demo where none is named."""
    for name in (*_DEMO_NUMBERS, "plot", "quick", "full", "table"):
        if not options.help and getattr(options, name) not in (None, False):
            raise BadInputError(f"{_option(name)} needs the name of a demo: fastnn demo lists them")


def _list_of_demos() -> str:
    lines = [f"  {demo.name:10}{demo.line}\n" for demo in DEMOS.values()]
    return (
        "Worked examples, each run by: fastnn demo NAME\n\n"
        + "".join(lines)
        + "\nfastnn demo NAME --help says what each follows and takes.\n"
    )


def _numbers_of_demo(options: argparse.Namespace, demo: Demo) -> dict[str, Any]:
    """The numbers that take the place of the document's."""
    given = {name: getattr(options, name) for name in _DEMO_NUMBERS}
    given = {name: text for name, text in given.items() if text is not None}
    for name in given:
        option = _option(name)
        if name not in demo.numbers:
            owners = ", ".join(other.name for other in DEMOS.values() if name in other.numbers)
            raise BadInputError(f"{option} belongs to {owners}, not to {demo.name}")
        if options.table or options.quick or options.full:
            raise BadInputError(f"{option} goes with none of --quick, --full and --table")
    kinds: dict[str, Any] = {"learning_rate": float, "epochs": int, "samples": int}
    return {
        name: _hidden(text) if name == "hidden" else number_of(text, _option(name), kinds[name])
        for name, text in given.items()
    }


def _hidden(text: str) -> tuple[int, ...]:
    return tuple(numbers_of("" if text == "none" else text, "--hidden") or ())


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _run_with(lesson: Any, demo: Demo, numbers: dict[str, Any]) -> None:
    from fastnn.errors import TrainingDivergedError

    try:
        demo.run_with(lesson, numbers)
    except (ValueError, TypeError, TrainingDivergedError) as error:
        raise BadInputError(error) from None
