"""Files that something has damaged, and how much memory reading one takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

#: What the process may take beside ten times the file: allocators round up, imports come late.
SLACK = 2 << 20


def damaged(content: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Copies of a file's bytes, each with one damage, and what it is."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        data = bytearray(content)
        at = int(rng.integers(len(data)))
        if rng.random() < 0.5:  # where what describes the numbers is
            at = int(rng.choice([at % 400, len(data) - 1 - at % 1500]))
        length = int(rng.integers(1, 2 ** int(rng.integers(1, 12))))
        kind = ("bit", "byte", "cut", "missing", "zeros", "noise", "twice", "longer")[k % 8]
        match kind:
            case "bit":
                data[at] ^= 1 << int(rng.integers(8))
            case "byte":
                data[at] = (data[at] + int(rng.integers(1, 256))) % 256
            case "cut":
                del data[at:]
            case "missing":
                del data[at : at + length]
            case "zeros":
                data[at : at + length] = bytes(min(length, len(data) - at))
            case "noise":
                data[at : at + length] = rng.bytes(min(length, len(data) - at))
            case "twice":
                data[at:at] = data[at : at + length]
            case "longer":
                data += rng.bytes(length)
        if data != content:
            yield f"{kind} at {at}, case {k}", bytes(data)


def memory_of(call: Callable[[], Any]) -> int:
    """Bytes of memory by which the process grows at most while *call* runs; Linux only."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the most memory that a call takes is counted on Linux only")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the highest so far becomes the present
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith(name)]
    return int(line.split()[1]) * 1024


def check_memory(what: str, path: Any, call: Callable[[], Any]) -> None:
    """Assert that a call takes no more memory than ten times the size of the file that it reads."""
    size = path.stat().st_size
    taken = memory_of(call)
    assert taken <= 10 * size + SLACK, f"{what}: {taken} bytes for a file of {size}"
