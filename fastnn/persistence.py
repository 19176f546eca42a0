"""Saving and loading networks: ``net.save(path)`` and ``fastnn.load(path)``.

A file holds all that a network needs to go on with the same bits as if it had never been saved. It
is a safetensors file (https://github.com/huggingface/safetensors), which any program can read: the
length N of the header as a little-endian 64-bit number; N bytes of header, a JSON object;
then the tensors' numbers, little-endian. Nothing in it is ever executed.

Format version 1
----------------
The header's ``__metadata__`` has these entries, all strings; those marked JSON are JSON objects
inside a string.

``format``
    ``fastnn``.
``format_version``
    ``1``. A reader refuses versions that it does not know.
``fastnn_version``
    What wrote the file.
``network`` (JSON)
    The arguments of `fastnn.Network`: layer_sizes (n_0, ..., n_L), activation (a list, one name per
    hidden layer), output_activation, loss, reduction, bias, l1, l2, max_norm (null: none), dropout
    (a list, one rate per hidden layer), label_smoothing, dtype, engine.
``optimizer`` (JSON)
    ``kind``, the name of one of fastnn's optimiser classes, and its settings by name. A
    learning-rate schedule is an object of the same form in place of the number.
``random`` (JSON)
    The state of NumPy's bit generator, as its ``state`` gives it, arrays as lists (numbers of up to
    128 bits), and ``dropout_key``, a number of up to 64 bits.
``history`` (JSON)
    What of the last fit's History is one number or text, by name; null if there was no fit.
``sha256``
    In 64 small hexadecimal digits the SHA-256 of the whole file, from its first byte
    to its last, with 64 zeros (``0``) in the place of these digits. They come after the bytes
    ``"sha256":"``, which occur once in the header.

The tensors:

``state.parameters``, shape (P,), F64 or F32
    Layer by layer from the input: the weights (n_in, n_out) row by row, then the bias (n_out,),
    absent with ``bias`` false.
``state.moments``, shape (k, P), F64 or F32
    What the optimiser remembers: see `fastnn.optimizers`.
``state.updates``, shape (1,), I64
    Updates so far. Likewise every other array of
    `fastnn.engines.State` and of its clock, by its name.
``history.NAME``, shape (epochs,), F64
    The lists of the History: ``history.loss`` and others.
``history.metrics.NAME``, shape (epochs,), F64
    Each list in the History's dict of metrics.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from io import BufferedReader
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fastnn import random_state, validation
from fastnn._version import __version__
from fastnn.engines import State, quiet
from fastnn.errors import LoadError
from fastnn.history import History
from fastnn.optimizers import OPTIMIZERS, Optimizer
from fastnn.schedules import SCHEDULES, Schedule

if TYPE_CHECKING:
    from fastnn.network import Network

Tensors = dict[str, np.ndarray]

FORMAT_VERSION = 1
#: The longest header that safetensors allows.
_LONGEST_HEADER = 100_000_000
_NO_DIGEST = "0" * 64
_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
}
_TYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
#: Bytes that are copied, written or looked at in one go.
_PART = 1 << 20
_OPTIMIZERS = {kind.__name__: kind for kind in OPTIMIZERS.values()}
#: What a file can make the code that builds a network raise.
_BAD_CONTENT = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError)


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write *net* to *path*: all of it, or nothing.

    The file is written under another name in the same directory, forced to the disk, and
    then put in the place of the old one. If the process is killed before, the old file is
    whole, and a file ``.NAME.XXXXXXXX.tmp`` may stay behind.

    Raises
    ------
    OSError
        If the directory does not exist or may not be written to, or if the disk is full.
    ValueError
        If the network's generator, optimiser or schedule is not of a kind that can be saved.
    """
    target = os.path.realpath(validation.path(path, "path"))
    with contextlib.suppress(FileNotFoundError):
        os.stat(target)  # its name may be too long, which the temporary file's is not
    if os.path.isdir(target):
        raise IsADirectoryError(f"cannot save to {os.fspath(path)!r}: it is a directory")
    header, arrays = _content(net)
    try:
        with _replacing(target) as file:
            _write(file, header, arrays)
    except FileNotFoundError:  # it names the temporary file
        raise FileNotFoundError(
            f"cannot save to {os.fspath(path)!r}: the directory {os.path.dirname(target)!r} does "
            "not exist"
        ) from None


@quiet
def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that `Network.save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Network
        It goes on as the saved one would have: predictions, and training with the same arguments,
        shuffling and dropout included, are the same to the bit. Give ``fit`` the optimiser again:
        without one it uses SGD.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it may not be read.
    LoadError
        A ValueError: if it is anything else than a whole file of a known version.

    Examples
    --------
    >>> import fastnn, os, tempfile
    >>> net = fastnn.Network([2, 4, 1], seed=1)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = os.path.join(directory, "net.safetensors")
    ...     net.save(path)
    ...     twin = fastnn.load(path)
    >>> bool((twin.parameters == net.parameters).all())
    True
    """
    name = validation.path(path, "path")
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise ValueError("it is not a regular file")
        with open(name, "rb") as file:
            metadata, tensors = _read(file, os.fstat(file.fileno()).st_size)
        return _network(metadata, tensors)
    except KeyError as error:
        raise LoadError(name, f"it lacks {error}") from error
    except _BAD_CONTENT as error:
        raise LoadError(name, str(error) or type(error).__name__) from error


@contextlib.contextmanager
def _replacing(target: str) -> Iterator[BinaryIO]:
    """A new file that takes the place of *target*, if nothing is raised inside."""
    directory, name = os.path.split(target)
    temporary = os.path.join(directory, f".{name[:60]}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(
        temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666
    )
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError):  # not every system lets a directory be opened
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _content(net: Network) -> tuple[bytes, list[np.ndarray]]:
    """The header, its digest still open, and the arrays that come after it."""
    fields, tensors = _history_parts(net.history)
    tensors |= {f"state.{name}": array for name, array in _arrays(net._state).items()}
    random = random_state.to_plain(net._rng) | {"dropout_key": net._dropout_key}
    metadata = {
        "format": "fastnn",
        "format_version": str(FORMAT_VERSION),
        "fastnn_version": __version__,
        "network": json.dumps({**net._architecture.arguments(), "engine": net.engine}),
        "optimizer": json.dumps(_settings(net._optimizer, _OPTIMIZERS)),
        "random": json.dumps(random),
        "history": json.dumps(fields),
        "sha256": _NO_DIGEST,
    }
    # The widest first, so that each begins at a multiple of its numbers' size.
    arrays = {
        name: np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        for name, array in sorted(tensors.items(), key=lambda item: -item[1].itemsize)
    }
    return _header(metadata, arrays), list(arrays.values())


def _header(metadata: dict[str, str], arrays: Tensors) -> bytes:
    """Where each array is, as JSON, filled up with blanks to a multiple of 8 bytes."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        entries[name] = {
            "dtype": _TYPE_NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _write(file: BinaryIO, header: bytes, arrays: list[np.ndarray]) -> None:
    """Write all, by a few bytes at a time, and at last the digest of what was written."""
    digest = hashlib.sha256()
    start = len(header).to_bytes(8, "little")
    for part in itertools.chain([start, header], *map(_parts, arrays)):
        digest.update(part)
        file.write(part)
    entry = _digest_entry(digest.hexdigest())
    file.seek(len(start) + header.index(_digest_entry(_NO_DIGEST)))
    file.write(entry)


def _parts(array: np.ndarray) -> Iterator[bytes]:
    """Copies of an array's bytes: somebody may train the network while it is written."""
    view = array.reshape(-1).view(np.uint8)
    for start in range(0, len(view), _PART):
        yield view[start : start + _PART].tobytes()


def _digest_entry(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def _settings(thing: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    """The fields of an optimiser or a schedule, and what it is."""
    kind = type(thing)
    if kinds.get(kind.__name__) is not kind:
        raise ValueError(
            f"{kind.__name__} is not one of fastnn's own, so it cannot be saved; known are "
            f"{', '.join(kinds)}"
        )
    settings = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    for name, value in settings.items():
        if isinstance(value, Schedule):
            settings[name] = _settings(value, SCHEDULES)
    return {"kind": kind.__name__, **settings}


def _made(settings: Any, kinds: dict[str, Any], what: str) -> Any:
    """The optimiser or schedule whose `_settings` these are."""
    if not isinstance(settings, dict) or settings.get("kind") not in kinds:
        raise ValueError(f"it names no {what} that this version of fastnn knows")
    arguments = {
        name: _made(value, SCHEDULES, "schedule") if isinstance(value, dict) else value
        for name, value in settings.items()
        if name != "kind"
    }
    return kinds[settings["kind"]](**arguments)


def _history_parts(history: History | None) -> tuple[dict[str, Any] | None, Tensors]:
    """A history's single values, and its lists as tensors."""
    fields: dict[str, Any] = {}
    tensors: Tensors = {}
    if history is None:
        return None, tensors
    for field in dataclasses.fields(history):
        value = getattr(history, field.name)
        if isinstance(value, list):
            tensors[f"history.{field.name}"] = np.array(value, np.float64)
        elif isinstance(value, dict):
            for name, series in value.items():
                tensors[f"history.{field.name}.{name}"] = np.array(series, np.float64)
        else:
            fields[field.name] = value
    return fields, tensors


def _history(fields: Any, tensors: Tensors) -> History | None:
    """The history that `_history_parts` took apart; its tensors are taken out of *tensors*."""
    if fields is None:
        return None
    history = History()
    for field in dataclasses.fields(History):
        default = getattr(history, field.name)
        if isinstance(default, list):
            value: Any = _series(tensors, f"history.{field.name}")
        elif isinstance(default, dict):
            start = f"history.{field.name}."
            names = [name for name in tensors if name.startswith(start)]
            value = {name.removeprefix(start): _series(tensors, name) for name in names}
        else:
            value = fields[field.name]
            wanted = (int, float) if default is None or type(default) is float else type(default)
            if isinstance(value, bool) or not (isinstance(value, wanted) or value is default):
                raise ValueError(f"its history has {field.name}={value!r}")
        setattr(history, field.name, value)
    _check_history(history)
    return history


def _check_history(history: History) -> None:
    """Refuse one whose lists do not have an entry for each epoch, or none at all."""
    lists = {name: getattr(history, name) for name in ("val_loss", "learning_rate")}
    for name, values in (lists | history.metrics).items():
        if len(values) not in (0, history.epochs):
            raise ValueError(
                f"its history has {history.epochs} losses, and {len(values)} of {name}"
            )
    if history.best_epoch is not None and not 1 <= history.best_epoch <= history.epochs:
        raise ValueError(
            f"its history has best_epoch={history.best_epoch} of {history.epochs} epochs"
        )


def _series(tensors: Tensors, name: str) -> list[float]:
    array = tensors.pop(name)
    if array.ndim != 1 or array.dtype != np.float64:
        raise ValueError(f"{name} is not a list of F64")
    numbers: list[float] = array.tolist()
    return numbers


def _read(file: BufferedReader, size: int) -> tuple[dict[str, str], Tensors]:
    """Metadata and tensors of a file of *size* bytes, found whole."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
        raise ValueError("it is not a safetensors file, or cut short")
    header = file.read(length)
    entries = _entries(header)
    metadata = _metadata(entries)
    _check_digest(file, start + header, metadata["sha256"])
    file.seek(8 + length)
    del entries["__metadata__"]
    return metadata, _tensors(file, entries, size - 8 - length)


def _check_digest(file: BinaryIO, beginning: bytes, said: str) -> None:
    """Refuse a file whose bytes, the *beginning* of which have been read, are not those saved."""
    entry = _digest_entry(said)
    if not re.fullmatch("[0-9a-f]{64}", said) or beginning.count(entry) != 1:
        raise ValueError("its SHA-256 is not there or not unique")
    digest = hashlib.sha256(beginning.replace(entry, _digest_entry(_NO_DIGEST)))
    while part := file.read(_PART):
        digest.update(part)
    if digest.hexdigest() != said:
        raise ValueError("its content does not match its SHA-256: it is damaged or cut short")


def _entries(header: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(header)
    except ValueError:
        raise ValueError("its header is damaged, or it is not a safetensors file") from None
    return parsed if isinstance(parsed, dict) else {}


def _metadata(entries: dict[str, Any]) -> dict[str, str]:
    metadata = entries.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != "fastnn":
        raise ValueError("it is a safetensors file, but not of fastnn")
    version = metadata.get("format_version")
    if version != str(FORMAT_VERSION):
        raise ValueError(
            f"its format version is {version!r}, and fastnn {__version__} reads version "
            f"{FORMAT_VERSION}; a newer fastnn may read it"
        )
    texts = ("network", "optimizer", "random", "history", "sha256")
    missing = [name for name in texts if not isinstance(metadata.get(name), str)]
    if missing:
        raise ValueError(f"its metadata lacks {', '.join(missing)}")
    return metadata


def _tensors(file: BufferedReader, entries: dict[str, Any], size: int) -> Tensors:
    """The tensors that *entries* describe, of which *file* holds *size* bytes from here on."""
    places = {name: _place(name, entry) for name, entry in entries.items()}
    tensors: Tensors = {}
    position = 0
    for name, (dtype, shape, start, end) in sorted(places.items(), key=lambda item: item[1][2:]):
        # Sizes are compared before memory is asked for.
        if start != position or end > size or math.prod(shape) * dtype.itemsize != end - start:
            raise ValueError(f"its header does not fit its content: tensor {name!r}")
        array = np.empty(shape, dtype)
        if file.readinto(array.reshape(-1).view(np.uint8).data) != end - start:
            raise ValueError("it was cut short while it was read")
        tensors[name] = array.astype(dtype.newbyteorder("="), copy=False)
        position = end
    if position != size:
        raise ValueError(f"it holds {size - position} bytes that its header does not speak of")
    return tensors


def _place(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """dtype, shape, start and end of a tensor, as its entry in the header says."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its header does not describe the tensor {name!r}")
    dtype = _DTYPES.get(str(entry["dtype"]))
    if dtype is None:
        raise ValueError(f"its tensor {name!r} is of the unexpected type {entry['dtype']}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
        raise ValueError(f"its header does not say where the tensor {name!r} is")
    return dtype, tuple(shape), *offsets


def _are_sizes(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)


def _network(metadata: dict[str, str], tensors: Tensors) -> Network:
    """The network that *metadata* and *tensors*, which is used up, describe."""
    from fastnn.network import Network

    arguments = json.loads(metadata["network"])
    parameters = tensors["state.parameters"]
    _check_arguments(arguments, parameters)
    optimizer: Optimizer = _made(json.loads(metadata["optimizer"]), _OPTIMIZERS, "optimizer")
    random = json.loads(metadata["random"])
    if not isinstance(random, dict):
        raise ValueError("its random state is no JSON object")
    key = random.pop("dropout_key")
    if type(key) is not int or not 0 <= key < 2**64:
        raise ValueError("its dropout key is no number of 64 bits")
    net = Network(**arguments, initializer="zeros", seed=random_state.from_plain(random))
    net._dropout_key = key
    net._optimizer = optimizer
    net._state = _state(State.new(net.parameters, optimizer), tensors)
    net.history = _history(json.loads(metadata["history"]), tensors)
    if tensors:
        raise ValueError(f"it holds unexpected tensors: {', '.join(sorted(tensors)[:5])}")
    return net


def _check_arguments(arguments: Any, parameters: np.ndarray) -> None:
    """Refuse sizes that do not fit the parameters, before memory is asked for."""
    if not isinstance(arguments, dict) or {"initializer", "seed"} & arguments.keys():
        raise ValueError("its network is not described by arguments of fastnn.Network")
    sizes = validation.layer_sizes(arguments["layer_sizes"])
    bias = validation.boolean(arguments["bias"], "bias")
    count = sum((n_in + bias) * n_out for n_in, n_out in itertools.pairwise(sizes))
    if parameters.shape != (count,):
        raise ValueError(
            f"layer_sizes={list(sizes)} ask for {count} parameters, and it has shape "
            f"{parameters.shape}"
        )


def _arrays(state: State) -> Tensors:
    """The arrays of a state, those of its clock among them."""
    return {name: a for name, a in (vars(state) | vars(state.clock)).items() if name != "clock"}


def _state(model: State, tensors: Tensors) -> State:
    """The state in *tensors*, out of which it is taken, if it has the form of *model*."""
    for name, expected in _arrays(model).items():
        found = tensors.pop(f"state.{name}")
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise ValueError(
                f"state.{name} must be {expected.dtype} of shape {expected.shape}, "
                f"got {found.dtype} of shape {found.shape}"
            )
        expected[...] = found
    _check_counters(model)
    return model


def _check_counters(state: State) -> None:
    """Refuse numbers to which no training leads, and from which none can go on."""
    clock = state.clock
    for name, counts in {"updates": state.updates, "steps": clock.steps}.items():
        if counts.min() < 0:
            raise ValueError(f"state.{name} must be at least 0, got {counts}")
    factor, best, waited = clock.plateau
    if not (0.0 <= factor <= 1.0 and waited >= 0.0) or np.isnan(best):
        raise ValueError(f"state.plateau is none that fastnn makes: {clock.plateau}")
