"""The state of a NumPy generator as plain data, and the key for dropout that is drawn from it."""

import hashlib
import json
from typing import Any

import numpy as np

#: NumPy's bit generators, by the names that their states carry.
_KINDS = {
    kind.__name__: kind
    for kind in (
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.MT19937,
        np.random.Philox,
        np.random.SFC64,
    )
}
#: The largest value of each whole number in a state. NumPy checks none of them itself, and a
#: place outside its buffer would be read from memory that is not the generator's.
_LARGEST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}
_LARGEST_WHOLE = 2**128 - 1
#: Length and dtype of each array in a state.
_ARRAYS: dict[tuple[str, str], tuple[int, type[np.unsignedinteger[Any]]]] = {
    ("MT19937", "key"): (624, np.uint32),
    ("Philox", "counter"): (4, np.uint64),
    ("Philox", "key"): (2, np.uint64),
    ("Philox", "buffer"): (4, np.uint64),
    ("SFC64", "state"): (4, np.uint64),
}


def to_plain(rng: np.random.Generator) -> dict[str, Any]:
    """The state of *rng* in what JSON knows: arrays become lists, numbers have up to 128 bits.

    ValueError if its bit generator is not one of NumPy's own.
    """
    kind = type(rng.bit_generator)
    if _KINDS.get(kind.__name__) is not kind:
        raise ValueError(
            f"a network whose seed uses the bit generator {kind.__name__} cannot be saved; "
            f"known are {', '.join(_KINDS)}"
        )
    plain: dict[str, Any] = json.loads(_as_json(rng))
    return plain


def from_plain(plain: Any) -> np.random.Generator:
    """The generator whose state `to_plain` gave; ValueError if it is none."""
    kind = _KINDS.get(str(plain.get("bit_generator"))) if isinstance(plain, dict) else None
    if kind is None:
        raise ValueError("the random state names no bit generator of NumPy's")
    bit_generator: Any = kind(0)
    bit_generator.state = _like(plain, bit_generator.state, kind.__name__)
    return np.random.Generator(bit_generator)


def _like(plain: Any, model: dict[str, Any], kind: str) -> dict[str, Any]:
    """*plain* with the fields and types of the state *model*."""
    if not isinstance(plain, dict) or plain.keys() != model.keys():
        raise ValueError(f"the random state is not one of {kind}")
    state: dict[str, Any] = {}
    for name, value in plain.items():
        if isinstance(model[name], dict):
            state[name] = _like(value, model[name], kind)
        elif (kind, name) in _ARRAYS:
            state[name] = _array(value, *_ARRAYS[kind, name])
        elif isinstance(model[name], str):
            state[name] = kind
        else:
            state[name] = _whole(value, _LARGEST.get(name, _LARGEST_WHOLE))
    return state


def _array(value: Any, length: int, dtype: type[np.unsignedinteger[Any]]) -> np.ndarray:
    if not isinstance(value, list) or len(value) != length:
        raise ValueError(f"the random state needs a list of {length} numbers")
    largest = int(np.iinfo(dtype).max)
    return np.array([_whole(number, largest) for number in value], dtype)


def _whole(value: Any, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError(f"the random state holds something else than a number up to {largest}")
    return value


def dropout_key(rng: np.random.Generator) -> int:
    """64 bits from the state of *rng*, which goes on unchanged: nothing is drawn from it."""
    return int.from_bytes(hashlib.sha256(_as_json(rng).encode()).digest()[:8], "little")


def _as_json(rng: np.random.Generator) -> str:
    """The state in one way only: its fields in order, and arrays as lists."""
    return json.dumps(rng.bit_generator.state, default=_plain, sort_keys=True)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else repr(value)
