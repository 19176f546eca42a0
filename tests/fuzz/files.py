"""The doors that take names of files, and those that read them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pathlib
from random import Random
from typing import Any

import numpy as np

import fastnn
from fastnn import cli

from .doors import Call, data, subject
from .odd import anything
from .settings import used
from .values import Hostile, Odd, OwnError, short

#: Beside the arguments' names: how messages about files begin.
NAMES = ("path", "cannot load", "cannot save", "cannot write", "cannot draw")


class PathOf:
    """A path-like object."""

    def __init__(self, path: Any):
        self._path = path

    def __fspath__(self) -> Any:
        if isinstance(self._path, Exception):
            raise self._path
        return self._path


def odd_path(r: Random) -> Odd:
    """A path that the system, Python or a person would stumble over; all of them in this folder."""
    os.makedirs("folder", exist_ok=True)
    if not os.path.lexists("loop"):
        os.symlink("loop", "loop")
        os.mkfifo("pipe")
        pathlib.Path("file").write_bytes(b"text")
    if r.random() < 0.3:
        return anything("other", r)
    value = r.choice(
        ["", ".", "a\0b", "\ud800", "σ●", "x" * 245, "x" * 255, "x" * 256, "x" * 5000, "folder",
         "missing/net", "file/net", "loop", "pipe", "file", "a\nb", b"net", b"\xff\xfe", b"a\0b",
         pathlib.Path("net"), pathlib.Path("x" * 250), PathOf("net"), PathOf(b"net"), PathOf(3),
         PathOf("a\0b"), PathOf(OwnError()), Hostile(), 10**6, -1, True, None, bytearray(b"net"),
         "/proc/none/net", "~nobody/net", "{epoch}", "{epoch.foo}", "{epoch", "{}", "{0}", "{nope}",
         "{epoch:Ω}", "{loss!r}", "{epoch[0]}", "{loss:.3f}", "{loss:" + "9" * 30 + "}",
         "{epoch!x}",
         "{epoch:c}", "{epoch:2000000000}", "{epoch.__class__}", "{epoch:\0}"]
    )  # fmt: skip
    return Odd(short(value), value)


def save(r: Random, engine: str) -> Call:
    """``save``, and what ``load`` makes of it."""
    it = subject(r, engine)

    def run(path: Any) -> Any:
        it.network.save(path)
        return fastnn.load(path).predict(it.X)

    return Call(
        "save", run, {"path": "net"}, {"path": "path"}, it.network, NAMES,
        check=lambda _outputs: _left_behind(),
    )  # fmt: skip


def load(r: Random, engine: str) -> Call:
    """``load`` of odd paths."""
    it = subject(r, engine)
    it.network.save("net")
    return Call(
        "load", lambda path: fastnn.load(path).predict(it.X), {"path": "net"}, {"path": "path"},
        None, NAMES,
    )  # fmt: skip


def checkpoint(r: Random, engine: str) -> Call:
    """``Checkpoint`` in a ``fit``."""
    it = subject(r, engine)
    settings: dict[str, Any] = {"path": "net-{epoch}"}
    settings |= r.choice([{}, {"every": 2}, {"monitor": "loss", "mode": "min", "best_only": True}])
    kinds = {"path": "path", "every": "integer", "monitor": "name", "mode": "name",
             "best_only": "flag"}  # fmt: skip

    def use(made: Any) -> Any:
        return it.network.fit(it.X, it.y, epochs=2, batch_size=3, callbacks=[made])

    return Call(
        "Checkpoint", used(fastnn.Checkpoint, use), settings,
        {name: kinds[name] for name in settings}, it.network, NAMES, trains=True,
        check=lambda _history: _left_behind(),
    )  # fmt: skip


def _left_behind() -> str | None:
    left = [name for name in os.listdir(".") if name.endswith(".tmp")]
    return f"files left behind: {left}" if left else None


# What is in a file


def spoiled_file(r: Random, engine: str) -> Call:
    """``load`` of a file with one odd entry and a right digest, and training from what it gives."""
    it = subject(r, engine)
    if r.random() < 0.5:
        rate: Any = r.choice([fastnn.StepDecay(0.5, 2), fastnn.ReduceOnPlateau(0.5)])
        with contextlib.suppress(fastnn.TrainingDivergedError):
            it.network.fit(it.X, it.y, epochs=1, batch_size=3, learning_rate=rate)
    it.network.save("net")
    content = pathlib.Path("net").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    label = _spoil(header, r)
    pathlib.Path("net").write_bytes(_signed(header, numbers))

    def run() -> Any:
        network = fastnn.load("net")
        outputs = network.predict(np.zeros((3, network.layer_sizes[0])))
        X, y = data(network, 4, r)
        with contextlib.suppress(fastnn.TrainingDivergedError):
            network.partial_fit(X, y)
            network.fit(X, y, epochs=1, batch_size=3)
        network.save("again")
        return outputs

    return Call(f"load a file with {label}", run, {}, {}, None, NAMES)


def _spoil(header: dict[str, Any], r: Random) -> str:
    """Change one entry of the header's metadata; what was changed."""
    metadata = header["__metadata__"]
    part = r.choice([name for name in ("network", "optimizer", "random", "history")
                     if metadata[name] != "null"])  # fmt: skip
    entries = json.loads(metadata[part])
    where = entries
    names = [name for name in where if isinstance(where[name], dict)]
    if names and r.random() < 0.7:
        where = where[r.choice(names)]
    name = r.choice(list(where))
    value = r.choice(
        [None, True, 0, -1, 1.5, 1e308, 10**30, 10**400, "", "a", [], {}, [1], float("nan"),
         "CountedSchedule", "Schedule", "Optimizer", "LBFGS", "SGD", {"kind": "Schedule"},
         {"kind": "CountedSchedule"}, {"kind": "CountedSchedule", "per": "update"},
         {"kind": "StepDecay", "initial_learning_rate": 0.5, "step_size": 10**400}]
    )  # fmt: skip
    where[name] = value
    metadata[part] = json.dumps(entries)
    return f"{part}.{name} = {short(value)}"


def _signed(header: dict[str, Any], numbers: bytes) -> bytes:
    """The bytes of a file with this header."""
    header["__metadata__"]["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    content = len(text).to_bytes(8, "little") + text + numbers
    digest = hashlib.sha256(content).hexdigest().encode()
    return content.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest, 1)


# The command line

_WORDS = ["", "-1", "0", "1e400", "nan", "a\0b", "\ud800", "σ", "x" * 300, "8,", ",", "٣", "1_0",
"--",
          "8 ", "0x8", "10" * 200, "folder", "loop", "missing/x.png", "x.png", "x.json",
          "file/x.png", "all", "dot", "demo", "numpy"]  # fmt: skip


def command_line(r: Random, _engine: str) -> Call:
    """``fastnn`` with odd words; nothing in it trains."""
    odd_path(r)  # for the files
    word = r.choice(_WORDS)
    short_profile = ["profile", "--quick", "--seconds", "0.02", "--engines", "numpy"]
    lines = [
        ["info"], ["demo"], ["demo", word], ["demo", "curve2", "--plot", word],
        ["demo", "gate", "--quick", "--plot", word], ["demo", "gate", "--engine", word], [word],
        *([*short_profile, "--ops", "dot", "--sizes", "8", option, word]
          for option in ("--json", "--plot", "--ops", "--engines", "--layers", "--batch-size")),
        [*short_profile, "--layers", "2,3,1", "--samples", "4", "--batch-size", word],
        [*short_profile, "--layers", "2,3,1", "--samples", "4", "--json", word],
        [*short_profile, "--ops", "dot", "--sizes", word if word in _WORDS[:12] else "8"],
        ["profile", "--seconds", word if word in _WORDS[:9] else "-1"],
    ]  # fmt: skip
    line = r.choice(lines[:-1] if word in ("1e400", "0") else lines)
    encoding = r.choice(["utf-8", "ascii", "cp1252"])

    def run() -> Any:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.main(line)
            except SystemExit as stop:
                code = stop.code
            out.flush()
            err.flush()
        said = err.buffer.getvalue() if isinstance(err.buffer, io.BytesIO) else b""
        if code == cli.BAD_INPUT and not said:
            return "bad input, and not a word"
        return None if code in (0, 1, 2) else f"exit code {code!r}"

    return Call(f"command line: {line!r}, {encoding}", run, {}, {}, check=lambda wrong: wrong)


FILE_DOORS = (save, load, checkpoint, spoiled_file, spoiled_file)
LONE_DOORS = (command_line,)
