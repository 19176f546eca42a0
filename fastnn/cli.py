"""The command line: ``fastnn`` and ``python -m fastnn``.

Each subcommand is one function that adds its parser and says what runs it. What a
subcommand needs is imported when it runs, so that ``fastnn --help`` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from fastnn._version import __version__
from fastnn.demos.command import FIGURES_MISSED, add_demo_parser
from fastnn.options import (
    BadInputError,
    number_of,
    numbers_of,
    path_of,
    prepare_for_file,
    prepare_for_plot,
    words_of,
)
from fastnn.printing import PLAINLY

#: The exit codes beside 0 for success and `FIGURES_MISSED`.
BAD_INPUT = 2
INTERRUPTED = 130
NOBODY_READS = 141

Subparsers = Any  # argparse keeps the type of add_subparsers() to itself
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit code."""
    _print_any_character()
    options = _parser().parse_args(arguments)
    command: Command = options.run
    try:
        with _interrupt_at_once():
            code = command(options)
            sys.stdout.flush()
            return code
    except (BadInputError, MemoryError) as error:  # sizes that nobody's memory holds
        print(f"fastnn: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads any longer, and Python would try once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastnn",
        description="Small neural networks, trained fast on a CPU.",
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


def add_profile_parser(subparsers: Subparsers) -> None:
    """``fastnn profile``."""
    parser = subparsers.add_parser(
        "profile",
        help="measure loop against vector against compiled, on this machine",
        description="Measure a Python loop against NumPy against compiled loops: medians, "
        "speed-ups, where one overtakes the other, compile time, and how near the compiled loop "
        "comes to what the machine can do. With --layers: what an epoch of your network costs, "
        "where the time goes, and what to change.",
        epilog="Exit code: 0, 1 if engines disagree on the numbers, 2 for bad input.",
    )
    parser.add_argument(
        "--ops", metavar="OPS", help="of dot,forward,backward,sgd_epoch,gd_epoch (default: all)"
    )
    parser.add_argument("--sizes", metavar="SIZES", help="vector lengths or hidden units: 10,1000")
    parser.add_argument("--engines", metavar="ENGINES", help="of python,numpy,numba (default: all)")
    parser.add_argument("--layers", metavar="SIZES", help="profile this network: 20,64,1")
    parser.add_argument(
        "--samples",
        metavar="N",
        help="samples that networks go over "
        "(default: 1000; with --quick and without --layers: 256)",
    )
    parser.add_argument(
        "--batch-size", metavar="N", help="with --layers: samples per update, or all (default: 1)"
    )
    parser.add_argument("--quick", action="store_true", help="less than a minute in all")
    parser.add_argument("--seconds", metavar="S", help="about how long all of it may take")
    parser.add_argument("--json", type=path_of, metavar="FILE", help="write what was measured")
    parser.add_argument("--plot", type=path_of, metavar="FILE", help="draw it: .png, .svg or .pdf")
    parser.set_defaults(run=run_profile)


def run_profile(options: argparse.Namespace) -> int:
    """Profile what was asked for; print it, and write the files."""
    for path in (options.json, options.plot):
        if path is not None:
            prepare_for_file(path)
    if options.plot is not None:
        prepare_for_plot(options.plot)
    from rich.console import Console

    import fastnn
    from fastnn.profiling import DisagreementError

    try:
        layers = numbers_of(options.layers, "--layers")
        if layers is None and options.batch_size is not None:
            raise BadInputError("--batch-size belongs to --layers")
        arguments: dict[str, Any] = {
            "ops": None if options.ops is None else words_of(options.ops),
            "sizes": numbers_of(options.sizes, "--sizes"),
            "engines": None if options.engines is None else words_of(options.engines),
            "samples": number_of(options.samples, "--samples", int),
            "seconds": number_of(options.seconds, "--seconds", float),
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        if options.batch_size == "all":
            given["batch_size"] = None
        elif options.batch_size is not None:
            given["batch_size"] = number_of(options.batch_size, "--batch-size", int)
        result = fastnn.profile(layers, quick=options.quick, progress=True, **given)
    except DisagreementError as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return FIGURES_MISSED
    except (ValueError, TypeError) as error:
        raise BadInputError(error) from None
    if not result.rows:
        raise BadInputError(f"nothing was measured. {' '.join(result.notes)}")
    console = Console(highlight=False)
    console.print(result)
    try:
        if options.json is not None:
            result.save(options.json)
            console.print(f"JSON: {options.json}", markup=False, soft_wrap=True)
        if options.plot is not None:
            result.plot().savefig(options.plot, dpi=150)
            console.print(f"Picture: {options.plot}", markup=False, soft_wrap=True)
    except OSError as error:
        raise BadInputError(f"cannot write {error.filename}: {error.strerror}") from None
    return 0


def add_convert_parser(subparsers: Subparsers) -> None:
    """``fastnn convert IN OUT``."""
    parser = subparsers.add_parser(
        "convert",
        help="a network from one file to another: .safetensors, .onnx, .c",
        description="Read a network from IN (.safetensors or .onnx) and write it to OUT "
        "(.safetensors, .onnx or .c).",
        epilog="Exit code: 0, or 2 for bad input.",
    )
    parser.add_argument("source", type=path_of, metavar="IN", help="the file to read")
    parser.add_argument("target", type=path_of, metavar="OUT", help="the file to write")
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), help="of OUT, .onnx or .c (default: IN's)"
    )
    parser.add_argument(
        "--logits", action="store_true", help="without the output activation, in .onnx"
    )
    parser.set_defaults(run=run_convert)


def run_convert(options: argparse.Namespace) -> int:
    """Convert what was asked for, and say so."""
    from fastnn.exchange.convert import convert

    try:
        convert(options.source, options.target, dtype=options.dtype, logits=options.logits)
    except (ValueError, ImportError, OSError) as error:
        raise BadInputError(error) from None
    print(f"{options.source} -> {options.target}")
    return 0


def add_warmup_parser(subparsers: Subparsers) -> None:
    """``fastnn warmup [FILE ...]``."""
    parser = subparsers.add_parser(
        "warmup",
        help="compile ahead what networks need, for images and clusters",
        description="Compile what networks need to train and to predict, in several processes, and "
        "keep it where `fastnn info` says. The networks are those saved in FILEs and the one that "
        "--layers describes; without any, common ones of one hidden layer.",
        epilog="Exit code: 0, or 2 for bad input.",
    )
    parser.add_argument("files", nargs="*", type=path_of, metavar="FILE", help="a saved network")
    parser.add_argument("--layers", metavar="SIZES", help="inputs, hidden units, outputs: 20,64,1")
    for name in ("activation", "output-activation", "loss"):
        parser.add_argument(f"--{name}", metavar="NAME", help="with --layers: as in Network")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="with --layers")
    parser.add_argument(
        "--optimizer", metavar="NAMES", default="sgd,adam", help="default: sgd,adam"
    )
    parser.add_argument(
        "--batch-size", metavar="SIZES", default="1,32", help="1 has kernels of its own "
        "(default: 1,32)",
    )  # fmt: skip
    parser.add_argument("--jobs", metavar="N", help="processes (default: one a core)")
    parser.add_argument(
        "--cpu", metavar="LEVEL", help="for all processors of a level, such as x86-64-v3"
    )
    parser.add_argument("--list", action="store_true", help="only say what would be compiled")
    parser.set_defaults(run=run_warmup)


def run_warmup(options: argparse.Namespace) -> int:
    """Compile what was asked for, with a bar; say what that was."""
    from fastnn import machine, warming

    sizes, jobs = (
        numbers_of(options.batch_size, "--batch-size"),
        number_of(options.jobs, "--jobs", int),
    )
    jobs = len(machine.cores()) if jobs is None else jobs
    if jobs < 1:
        raise BadInputError(f"--jobs must be at least 1, got {jobs}")
    setting = {} if options.cpu is None else _settings_for(options.cpu)
    try:
        optimizers = _some(words_of(options.optimizer), "--optimizer")
        work = warming.steps(
            _networks_asked(options), _some(sizes or [], "--batch-size"), optimizers
        )
    except (ValueError, TypeError, OSError) as error:
        raise BadInputError(error) from None
    if options.list:
        print(*work, sep="\n")
        return 0
    os.environ |= setting
    report = warming.in_processes(work, jobs)
    print(report)
    if setting:
        where = " ".join(f"{name}={value}" for name, value in setting.items())
        print(f"For level {options.cpu}. Programs find it with these in their environment: {where}")
    return 0


def _some(entries: list[Any], option: str) -> list[Any]:
    if not entries:
        raise BadInputError(f"{option} must name at least one, got none")
    return entries


def _networks_asked(options: argparse.Namespace) -> list[Any]:
    """Those of the files, and the one that is described."""
    import fastnn

    networks = [fastnn.load(file) for file in options.files]
    described = {
        name: getattr(options, name)
        for name in ("activation", "output_activation", "loss", "dtype")
        if getattr(options, name) is not None
    }
    layers = numbers_of(options.layers, "--layers")
    if layers is not None:
        networks.append(fastnn.Network(layers, **described))
    elif described:
        raise BadInputError(f"--{next(iter(described)).replace('_', '-')} belongs to --layers")
    return networks


def _settings_for(level: str) -> dict[str, str]:
    """What makes numba compile for a level of processors, in this process's children too."""
    from fastnn import machine
    from fastnn.names import find

    try:
        features = find(level, machine.levels(), "--cpu")
    except ValueError as error:
        raise BadInputError(f"{error} Others this machine cannot run.") from None
    return {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": features}


def add_cache_parser(subparsers: Subparsers) -> None:
    """``fastnn cache clear``."""
    parser = subparsers.add_parser(
        "cache",
        help="remove compiled kernels from the disk",
        description="Remove all compiled kernels from the folders that `fastnn info` shows. They "
        "are compiled again when they are needed.",
    )
    parser.add_argument("what", choices=("clear",))
    parser.set_defaults(run=run_cache)


def run_cache(_options: argparse.Namespace) -> int:
    """Remove the kernels, and say which stay."""
    from fastnn.kernels import cache

    gone, left = cache.clear(), cache.entries()
    for directory, files in gone.items():
        print(f"{directory}: {len(files)} kernels removed")
    if not gone and not left:
        print("there are none")
    for directory, files in left.items():
        print(f"fastnn: {directory}: {len(files)} kernels cannot be removed", file=sys.stderr)
    return BAD_INPUT if left else 0


def add_info_parser(subparsers: Subparsers) -> None:
    """``fastnn info``."""
    parser = subparsers.add_parser(
        "info", help="print versions, CPU, kernel cache, BLAS and threads, for a bug report"
    )
    parser.set_defaults(run=run_info)


def run_info(_options: argparse.Namespace) -> int:
    """Print what `fastnn.info` finds, a line each."""
    from fastnn.info import info

    for name, value in info().items():
        print(f"{name}: {value}")
    return 0


#: To add a subcommand, write its function and name it here.
SUBCOMMANDS: tuple[Callable[[Subparsers], None], ...] = (
    add_demo_parser,
    add_profile_parser,
    add_convert_parser,
    add_warmup_parser,
    add_cache_parser,
    add_info_parser,
)


@contextlib.contextmanager
def _interrupt_at_once() -> Iterator[None]:
    """Let Ctrl-C end the command rather than one call of ``fit``.

    ``fit`` takes Ctrl-C as a wish to stop training and returns; a demo would then go on
    with a half-trained network. It leaves signal handlers alone that are not Python's own.
    """

    def interrupt(number_of: int, _frame: FrameType | None) -> None:
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
    """Print ● as * and σ as sigma where the output's encoding does not have them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAINLY)
