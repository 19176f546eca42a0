"""Small neural networks, trained fast on a CPU: numba kernels under a thin Python API.

`Network` is the model: ``fit``, ``predict``, ``evaluate``, ``save``; `load` reads it back.
Optimisers: `SGD`, `RMSprop`, `Adagrad`, `Adam`, `AdamW`, `LBFGS`. Learning-rate schedules:
`StepDecay`, `ExponentialDecay`, `InverseScaling`, `CosineDecay`, `OneCycle`, `ReduceOnPlateau`.
While training: `EarlyStopping`, `Call`, `Checkpoint`, `History`. Many networks: `fit_many`,
`predict_many`, `Ensemble`. From other systems: `from_onnx`, `from_torch`, `from_keras`. In place of
scikit-learn's: `MLPClassifier`, `MLPRegressor`, where scikit-learn is installed; for river
`fastnn.river`. And `profile`, `warmup`. Errors: `TrainingDivergedError`,
`LoadError`.

For contributors
----------------
**Begin** with ``reference/lessons/``: backpropagation on one page. Then ``reference/vectors.py``:
forward, backward and training of everything in NumPy, in 250 lines. Then ``contract.py`` and
``engines.py``: what every engine is given, and gives. ``network.py`` is what a user holds.

**The way of the data.** `Network` has its input checked (``inputs.py``, by ``validation.py`` and
``arrays.py``) and hands it to ``training/``, with a map of its own: it cuts the epochs into pieces
of about 50 ms. An engine runs a piece without coming back to Python. Between pieces ``history.py``
grows, with what is recorded in ``snapshots.py``, and ``stopping.py``, ``callbacks.py``,
``metrics.py`` and ``progress.py`` have their turn.

**The rooms.** Tables: ``activations.py``, ``losses.py``, ``optimizers.py``, ``schedules.py``,
``initializers.py``; ``settings.py`` checks what they are given, ``names.py`` looks up names,
``calls.py`` says what a wrong argument should have been. ``architecture.py`` says where each weight
lies in the one flat vector of parameters, ``clock.py`` where a schedule stands, ``views.py`` shows
the layers' arrays. ``kernels/`` is the engine "numba", with a map of its own; ``reference/`` holds
"numpy" and "python", and imports nothing from the kernels. ``persistence.py``, ``record.py``,
``files.py`` and ``random_state.py`` save networks; ``memory.py`` and ``mapped.py`` are for aligned,
large and memory-mapped arrays, ``sparse.py`` for sparse ones, ``frames.py`` for the tables of other
libraries. ``many.py`` trains many networks in one call, with arguments from ``by_network.py``,
``predictions.py`` predicts with them, ``ensembles.py`` does both. ``derivatives.py`` offers those
of the outputs, ``jit.py`` is for networks in other people's compiled code. ``exchange/`` is for
ONNX, PyTorch, Keras and C, with a map of its own. ``estimators/`` is scikit-learn's MLP,
``river.py`` river's, of the networks over features with names in ``features.py``. The rest is
``profiling/``, ``demos/``, ``machine.py``, ``warming.py``, ``summary.py``, ``pictures.py``,
``plotting.py``, ``printing.py``, ``errors.py``, ``signals.py``, ``info.py``, ``options.py`` and
``cli.py``.
``tests/`` mirrors this; ``bench/`` measures.

**To add something**, go through its files in this order; tests that fail say which is next.

an activation
    A row in ``activations.py``, with the next code. The function and its slope in
    ``reference/loops_functions.py``, ``reference/vectors_functions.py`` and
    ``kernels/activations.py``. Its name in the docstring of `Network` and in ``README.md``, and
    out of ``names.py`` if it is there as unknown. For the tests: ``tests/helpers.py``, the value
    and its kinks in ``tests/oracles.py``, PyTorch's in ``tests/torch_twin.py``; then, with PyTorch
    installed, ``tests/golden/make.py`` writes what the engines are compared with.
a loss
    The same with ``losses.py`` and ``kernels/losses.py``; values by hand in
    ``tests/test_losses.py``; and ``GOLDEN`` in ``tests/recipes.py`` must reach it. A new kind of
    targets is checked in ``validation.py`` and gets its usual metric in ``metrics.py``.
an optimiser
    A class in ``optimizers.py``, in the table there; for a new rule a code, the number of
    moments, and the rule in ``reference/loops_updates.py``, ``reference/vectors_updates.py`` and
    ``kernels/rules.py``. Its name in this module, in `Network.fit` and in ``README.md``. For the
    tests: ``tests/recipes.py`` and ``tests/torch_twin.py``, then ``tests/golden/make.py``.
a kernel
    A module in ``kernels/`` with a function that makes it for given codes, by the decorators of
    ``kernels/jit.py``. What it imports from outside the kernels belongs into ``kernels/cache.py``.
    ``kernels/engine.py`` chooses it where it is faster, ``kernels/__init__.py`` says when. A
    network that takes it stands in ``tests/kernels/test_training_kernels.py``, where every path is
    held against NumPy; a row in ``bench/problems.py`` shows what it is worth.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from fastnn._version import __version__
from fastnn.callbacks import Call, Checkpoint
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
    from fastnn.ensembles import Ensemble
    from fastnn.estimators import MLPClassifier as MLPClassifier
    from fastnn.estimators import MLPRegressor as MLPRegressor
    from fastnn.exchange.arrivals import from_keras, from_onnx, from_torch
    from fastnn.many import fit_many
    from fastnn.persistence import load
    from fastnn.predictions import predict_many
    from fastnn.profiling import profile
    from fastnn.warming import warmup

# Without the estimators: ``from fastnn import *`` would import scikit-learn, or fail without it.
__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Call",
    "Checkpoint",
    "CosineDecay",
    "EarlyStopping",
    "Ensemble",
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
    "fit_many",
    "from_keras",
    "from_onnx",
    "from_torch",
    "load",
    "predict_many",
    "profile",
    "warmup",
]

#: Names imported when they are first used, and where they are: what they need takes a while.
_IMPORTED_ON_USE = {
    "Ensemble": "fastnn.ensembles",
    "MLPClassifier": "fastnn.estimators",
    "MLPRegressor": "fastnn.estimators",
    "fit_many": "fastnn.many",
    "from_keras": "fastnn.exchange.arrivals",
    "from_onnx": "fastnn.exchange.arrivals",
    "from_torch": "fastnn.exchange.arrivals",
    "load": "fastnn.persistence",
    "predict_many": "fastnn.predictions",
    "profile": "fastnn.profiling",
    "warmup": "fastnn.warming",
}


#: Modules that need not be imported by name.
_ROOMS = ("exchange", "jit")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"fastnn.{name}")
    if name not in _IMPORTED_ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_IMPORTED_ON_USE[name]), name)


def __dir__() -> list[str]:
    names = {*__all__, *_IMPORTED_ON_USE, *_ROOMS}
    if importlib.util.find_spec("sklearn") is None:
        names -= {"MLPClassifier", "MLPRegressor"}
    return sorted(names)
