"""Small neural networks, trained at the speed of the machine."""

import importlib
from typing import TYPE_CHECKING, Any

from fastnn._version import __version__
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.network import Network
from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from fastnn.stopping import EarlyStopping

if TYPE_CHECKING:
    from fastnn.profiling import profile
    from fastnn.warming import warmup

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "EarlyStopping",
    "History",
    "Network",
    "RMSprop",
    "TrainingDivergedError",
    "__version__",
    "profile",
    "warmup",
]

#: Names imported when they are first used, and where they are: what they need takes a while.
_IMPORTED_ON_USE = {"profile": "fastnn.profiling", "warmup": "fastnn.warming"}


def __getattr__(name: str) -> Any:
    if name not in _IMPORTED_ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_IMPORTED_ON_USE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
