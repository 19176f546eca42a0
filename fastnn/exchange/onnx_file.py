"""ONNX files that nobody vouches for: how many parts, how large, before memory is taken for them.

A file is a protobuf message. Its parts in memory take more than in the file: an empty node is two
bytes there. Tensors may say any shape, be given twice, or lie in a file beside it.
"""

from __future__ import annotations

import itertools
import math
import os
from typing import Any

import numpy as np

from fastnn.files import regular_file

#: Parts of a message in memory take up to about this many times their least bytes in the file.
_BYTES_PER_PART = 64
#: Of these there is always room.
_PARTS = 20_000
#: The most that protobuf reads.
_LARGEST = (1 << 31) - 1
_DEEPEST = 16
_MOST_DIMENSIONS = 4
#: Of tensors, by ONNX's numbers.
_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 11: np.dtype("<f8")}
#: What is looked into to count parts, by the names of protobuf's descriptors, is every message; the
#: kinds of fields on the wire:
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def onnx_package() -> Any:
    """The package onnx; ImportError that says how to get it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('this needs the package onnx: pip install "fastnn-jit[onnx]"') from error
    return onnx


def load(path: str) -> tuple[Any, Tensors]:
    """The model in a file, and what reads its tensors; ValueError if it is none."""
    onnx = onnx_package()
    with regular_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _LARGEST:
            raise ValueError(f"it has {size} bytes, and an ONNX file has at most {_LARGEST}")
        content = file.read(size)
    _Parts(max(_PARTS, size // _BYTES_PER_PART)).count(content, onnx.ModelProto.DESCRIPTOR)
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own class, which is not onnx's
        raise ValueError(f"it is no ONNX file, or damaged: {error}") from None
    return model, Tensors(model, os.path.dirname(os.path.abspath(path)), size)


class _Parts:
    """Counts what protobuf would make objects of, up to a limit."""

    def __init__(self, most: int):
        self._left = most

    def count(self, content: bytes, kind: Any) -> None:
        """Count the parts of a message of a descriptor's *kind*; ValueError if it is damaged."""
        self._count(content, 0, len(content), kind, 0)

    def _count(self, content: bytes, at: int, end: int, kind: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("it is no ONNX file, or damaged: its parts are nested too deeply")
        fields = kind.fields_by_number
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("it has far more parts than its size explains")
            tag, at = _varint(content, at, end)
            field = fields.get(tag >> 3)
            start, at = _skip(content, at, end, tag & 7)
            if tag & 7 == _BYTES and field is not None and field.message_type is not None:
                self._count(content, start, at, field.message_type, depth + 1)


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of up to 64 bits, and where it ends."""
    value = 0
    for place in range(10):
        if at + place >= end:
            break
        byte = content[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("it is no ONNX file, or damaged or cut short")


def _skip(content: bytes, at: int, end: int, wire: int) -> tuple[int, int]:
    """Where the content of a field begins and ends."""
    if wire == _VARINT:
        return at, _varint(content, at, end)[1]
    if wire == _BYTES:
        length, at = _varint(content, at, end)
    elif wire in (_FIXED64, _FIXED32):
        length = 8 if wire == _FIXED64 else 4
    else:
        raise ValueError("it is no ONNX file, or damaged")
    if length > end - at:
        raise ValueError("it is no ONNX file, or damaged or cut short")
    return at, at + length


class Tensors:
    """The initializers and constants of a model, read when they are asked for.

    All that is read is at most a few times what the files hold: tensors may be used again, as
    exporters do with equal biases, but not without end.
    """

    def __init__(self, model: Any, folder: str, size: int):
        self._folder = folder
        self._left = 2 * size + (1 << 16)
        self._given = {tensor.name: tensor for tensor in model.graph.initializer}
        if len(self._given) < len(model.graph.initializer):
            raise ValueError("two of its initializers have the same name")

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def add(self, name: str, tensor: Any) -> None:
        """One more, the output of a Constant, or another name for one."""
        self._given[name] = tensor

    def get(self, name: str) -> Any:
        """The tensor as the file has it."""
        return self._given[name]

    def number(self, name: str) -> float | None:
        """The only number of a float tensor; None if it is anything else."""
        tensor = self._given.get(name)
        if tensor is None or tensor.data_type not in _DTYPES:
            return None
        if len(tensor.dims) >= _MOST_DIMENSIONS or math.prod(tensor.dims) != 1:
            return None
        return float(self.array(name).reshape(-1)[0])

    def array(self, name: str) -> np.ndarray:
        """The numbers of a tensor of float32 or float64; ValueError if they are not there."""
        tensor = self._given[name]
        dtype = _DTYPES.get(tensor.data_type)
        if dtype is None:
            raise ValueError(f"the tensor {name!r} is not of float32 or float64")
        shape = tuple(tensor.dims[:_MOST_DIMENSIONS])
        if len(shape) == _MOST_DIMENSIONS or any(n < 0 for n in shape):
            raise ValueError(f"the tensor {name!r} has a shape that begins with {shape}")
        n_bytes = math.prod(shape) * dtype.itemsize
        if tensor.data_location == tensor.EXTERNAL:
            numbers = self._beside(name, tensor, n_bytes, dtype)
        else:
            self._take(n_bytes, name)
            numbers = _inside(tensor, dtype)
        if numbers.nbytes != n_bytes:
            raise ValueError(
                f"the tensor {name!r} of shape {shape} must have {n_bytes} bytes, "
                f"and has {numbers.nbytes}"
            )
        return numbers.reshape(shape).astype(dtype.newbyteorder("="), copy=False)

    def _take(self, n_bytes: int, name: str) -> None:
        self._left -= n_bytes
        if self._left < 0:
            raise ValueError(f"with the tensor {name!r} it has more numbers than its size explains")

    def _beside(self, name: str, tensor: Any, n_bytes: int, dtype: np.dtype[Any]) -> np.ndarray:
        """Numbers in a file of the same folder, whose name must not lead out of it."""
        places = {entry.key: entry.value for entry in tensor.external_data}
        file_name = places.get("location", "")
        if file_name in ("", ".", "..") or any(sign in file_name for sign in "/\\:\0"):
            raise ValueError(
                f"the tensor {name!r} is not in the file but in {file_name!r}, "
                "expected the name of a file beside it"
            )
        path = os.path.join(self._folder, file_name)
        if os.path.islink(path):
            raise ValueError(f"the tensor {name!r} is in {file_name!r}, which is a link")
        offset, length = (
            _whole(places.get(key, usual)) for key, usual in (("offset", 0), ("length", n_bytes))
        )
        try:
            with regular_file(path) as file:
                size = os.fstat(file.fileno()).st_size
                if length != n_bytes or offset + length > size:
                    raise ValueError(
                        f"the tensor {name!r} of {n_bytes} bytes is said to be in "
                        f"{file_name!r} from {offset} for {length}, and that has {size}"
                    )
                file.seek(offset)
                return np.frombuffer(file.read(length), dtype)
        except FileNotFoundError:
            raise ValueError(
                f"the tensor {name!r} is in {file_name!r}, which is not beside it"
            ) from None


def _whole(text: Any) -> int:
    number = int(text) if str(text).isdecimal() and len(str(text)) < 20 else -1
    if number < 0:
        raise ValueError(f"the place of a tensor is said to be {text!r}")
    return number


def _inside(tensor: Any, dtype: np.dtype[Any]) -> np.ndarray:
    if tensor.HasField("raw_data"):
        raw = tensor.raw_data
        if len(raw) % dtype.itemsize:
            raise ValueError(f"the tensor {tensor.name!r} is cut short")
        return np.frombuffer(raw, dtype)
    typed = tensor.float_data if dtype.itemsize == 4 else tensor.double_data
    return np.fromiter(itertools.islice(typed, len(typed)), dtype, len(typed))
