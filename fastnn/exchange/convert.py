"""From one file to another, by their endings: what ``fastnn convert`` does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastnn.exchange.arrivals import from_onnx
from fastnn.network import Network
from fastnn.persistence import load

_PICKLE = "it is a pickle, and reading one can run any code that somebody put into it"
#: Endings of files that are read, and why others are not.
_READERS: dict[str, Callable[[Path], Network]] = {".safetensors": load, ".onnx": from_onnx}
_NOT_READ = {
    ".pt": f"{_PICKLE}: load it with PyTorch, and take fastnn.from_torch(module)",
    ".pth": f"{_PICKLE}: load it with PyTorch, and take fastnn.from_torch(module)",
    ".pkl": _PICKLE,
    ".joblib": _PICKLE,
    ".keras": "it can hold code: load it with Keras, and take fastnn.from_keras(model)",
    ".h5": "it can hold code: load it with Keras, and take fastnn.from_keras(model)",
    ".c": "C source is written, not read",
}
_NOT_WRITTEN = {
    ".pt": "PyTorch's files are pickles, which fastnn does not write: save what net.to_torch() "
    "returns with PyTorch",
}
_NOT_WRITTEN[".pth"] = _NOT_WRITTEN[".pt"]
_WRITTEN = (".safetensors", ".onnx", ".c")


def convert(source: Path, target: Path, *, dtype: Any = None, logits: bool = False) -> None:
    """Read the network in *source* and write it to *target*.

    Parameters
    ----------
    source, target : Path
        What they are, their endings say.
    dtype : {"float64", "float32"}, optional
        Of an ONNX file or C source that is written; by default the network's.
    logits : bool
        Of an ONNX file: without the output activation.

    Raises
    ------
    ValueError
        For an ending that is not known, with the reason where there is one; and for what is no
        network.
    OSError
        If a file cannot be read or written.
    """
    kind = _ending(target, _WRITTEN, _NOT_WRITTEN, "write")
    if kind == ".safetensors" and dtype is not None:
        raise ValueError("dtype is for .onnx and .c: a .safetensors file has the network's")
    if kind != ".onnx" and logits:
        raise ValueError(f"logits is for .onnx, and {os.fspath(target)!r} is none")
    net = _READERS[_ending(source, _READERS, _NOT_READ, "read")](source)
    if kind == ".safetensors":
        net.save(target)
    elif kind == ".onnx":
        net.to_onnx(target, dtype=dtype, logits=logits)
    else:
        net.to_c(target, name=re.sub(r"\W", "_", target.stem, flags=re.ASCII), dtype=dtype)


def _ending(path: Path, known: Any, refused: dict[str, str], verb: str) -> str:
    ending = path.suffix.lower()
    if ending in known:
        return ending
    reason = refused.get(ending, f"its name must end in {', '.join(known)}")
    raise ValueError(f"cannot {verb} {os.fspath(path)!r}: {reason}")
