"""Files of texts and arrays by name: safetensors, each written as a whole or not at all.

What fastnn writes and reads of them, and the digest that tells a damaged one, is described in
`fastnn.persistence`; what is in them, a `fastnn.record.Record` knows.
"""

import contextlib
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
from typing import Any, BinaryIO

import numpy as np

from fastnn import validation
from fastnn._version import __version__

Texts = dict[str, str]
Tensors = dict[str, np.ndarray]

#: Of the format.
_VERSION = "1"
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


def write(path: str | os.PathLike[str], texts: Texts, tensors: Tensors) -> None:
    """Write the safetensors file at *path*: all of it, or nothing."""
    # The widest first, so that each begins at a multiple of its numbers' size.
    arrays = {
        name: np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        for name, array in sorted(tensors.items(), key=lambda item: -item[1].itemsize)
    }
    header = _header(texts, arrays)
    with whole_file(path) as file:
        _write(file, header, list(arrays.values()))


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write, which becomes that at *path* as a whole or, if anything is raised, not.

    It is written under another name in the same directory, forced to the disk, and
    then put in the place of the old one. If the process is killed before, the old file is
    whole, and a file ``.NAME.XXXXXXXX.tmp`` may stay behind.
    """
    target = os.path.realpath(validation.path(path, "path"))
    with contextlib.suppress(FileNotFoundError):
        os.stat(target)  # its name may be too long, which the temporary file's is not
    if os.path.isdir(target):
        raise IsADirectoryError(f"cannot save to {os.fspath(path)!r}: it is a directory")
    try:
        with _replacing(target) as file:
            yield file
    except FileNotFoundError:  # it names the temporary file
        raise FileNotFoundError(
            f"cannot save to {os.fspath(path)!r}: the directory {os.path.dirname(target)!r} does "
            "not exist"
        ) from None


def read(path: str) -> tuple[Texts, Tensors]:
    """The texts and tensors of a file; ValueError if it is not one that `write` made, and whole."""
    with regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size - 8
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(size, _LONGEST_HEADER):
            raise ValueError("it is not a safetensors file, or cut short")
        header = file.read(length)
        entries = _entries(header)
        texts = _texts(entries.pop("__metadata__", None))
        _check_digest(file, start + header, texts["sha256"])
        file.seek(8 + length)
        return texts, _tensors(file, entries, size - length)


def regular_file(path: str) -> BufferedReader:
    """A file to read; ValueError if it is a directory, a pipe or a device."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is not a regular file")
    return open(path, "rb")


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


def _header(texts: Texts, arrays: Tensors) -> bytes:
    """The texts and where each array is, as JSON, blanks up to a multiple of 8 bytes; no digest."""
    about = {"format": "fastnn", "format_version": _VERSION, "fastnn_version": __version__}
    entries: dict[str, Any] = {"__metadata__": {**about, **texts, "sha256": _NO_DIGEST}}
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


def _texts(metadata: Any) -> Texts:
    """The metadata of a header, if they are those of a file that is known here."""
    if not isinstance(metadata, dict) or metadata.get("format") != "fastnn":
        raise ValueError("it is a safetensors file, but not of fastnn")
    version = metadata.get("format_version")
    if version != _VERSION:
        raise ValueError(
            f"its format version is {version!r}, and fastnn {__version__} reads version "
            f"{_VERSION}; a newer fastnn may read it"
        )
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata are not all texts")
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
