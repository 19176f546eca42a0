"""Small neural networks, trained fast on a CPU: numba kernels under a thin Python API.

`Network` is the model: ``fit``, ``predict``, ``evaluate``, ``save``; `load` reads it back.
Optimisers: `SGD`, `RMSprop`, `Adagrad`, `Adam`, `AdamW`, `LBFGS`. Learning-rate schedules:
`StepDecay`, `ExponentialDecay`, `InverseScaling`, `CosineDecay`, `OneCycle`, `ReduceOnPlateau`.
While training: `EarlyStopping`, `Checkpoint`, `History`. In place of scikit-learn's:
`MLPClassifier`, `MLPRegressor`, where scikit-learn is installed. And `profile`, `warmup`.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from fastnn._version import __version__
from fastnn.callbacks import Checkpoint
from fastnn.errors import LoadError, TrainingDivergedError
from fastnn.history import History
from fastnn.network import Network
from fastnn.optimizers import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from fastnn.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
)
from fastnn.stopping import EarlyStopping

if TYPE_CHECKING:
    from fastnn.estimators import MLPClassifier as MLPClassifier
    from fastnn.estimators import MLPRegressor as MLPRegressor
    from fastnn.persistence import load
    from fastnn.profiling import profile
    from fastnn.warming import warmup

# Without the estimators: ``from fastnn import *`` would import scikit-learn, or fail without it.
__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Checkpoint",
    "CosineDecay",
    "EarlyStopping",
    "ExponentialDecay",
    "History",
    "InverseScaling",
    "LoadError",
    "Network",
    "OneCycle",
    "RMSprop",
    "ReduceOnPlateau",
    "StepDecay",
    "TrainingDivergedError",
    "__version__",
    "load",
    "profile",
    "warmup",
]

#: Names imported when they are first used, and where they are: what they need takes a while.
_IMPORTED_ON_USE = {
    "MLPClassifier": "fastnn.estimators",
    "MLPRegressor": "fastnn.estimators",
    "load": "fastnn.persistence",
    "profile": "fastnn.profiling",
    "warmup": "fastnn.warming",
}


def __getattr__(name: str) -> Any:
    if name not in _IMPORTED_ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_IMPORTED_ON_USE[name]), name)


def __dir__() -> list[str]:
    names = {*globals(), *_IMPORTED_ON_USE}
    if importlib.util.find_spec("sklearn") is None:
        names -= {"MLPClassifier", "MLPRegressor"}
    return sorted(names)
