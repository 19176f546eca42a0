"""The contestants.

Each module offers some of these functions; each takes a problem and the contestant's variant,
and returns an `Entry`, or raises `UnavailableError` with the reason:

``train``       train from the present parameters on; the result is the flat parameter vector
``gradient``    the gradient of the loss of all samples at once, as a flat vector
``predict``     the outputs for all samples
``dot``         the dot product of a pair of vectors
``elementary``  a function of every number of a vector

The modules import what they need when they are asked for an entry, not before.
"""

import importlib
from typing import Any

from bench.contest import Entry, UnavailableError

#: A contestant's name in results, its module here, and which variant of it.
CONTESTANTS = {
    "numba": ("engines", "numba"),
    "numba-kernel": ("kernels", "numba"),
    "numpy": ("engines", "numpy"),
    "python": ("engines", "python"),
    "numpy-by-hand": ("by_hand", "numpy"),
    "python-by-hand": ("by_hand", "python"),
    "c": ("c", "-O3"),
    "c-512": ("c", "512"),
    "jax": ("with_jax", "autodiff"),
    "jax-by-hand": ("with_jax", "by hand"),
    "torch": ("with_torch", "eager"),
    "torch-compile": ("with_torch", "compile"),
    "sklearn": ("with_sklearn", ""),
    "onnxruntime": ("with_onnxruntime", ""),
}
ENGINES = ("numba", "numpy", "python")
#: Whose training is one call of compiled code.
COMPILED = ("numba", "numba-kernel", "c", "c-512", "jax", "jax-by-hand")

#: Who trains by more rules than plain SGD.
_ANY_RULE = ("numba", "numba-kernel", "numpy", "python", "jax", "torch")

#: Who takes part in what. Who cannot do a problem, or is not installed, is skipped with a reason.
OPERATIONS = {
    "train": tuple(name for name in CONTESTANTS if name != "onnxruntime"),
    "gradient": (*ENGINES, "jax", "jax-by-hand", "torch", "torch-compile"),
    "predict": (*ENGINES, "jax", "torch", "torch-compile", "sklearn", "onnxruntime"),
    "dot": (*ENGINES, "c", "jax", "torch"),
    "elementary": (*ENGINES, "c", "c-512", "jax", "torch"),
}


def enter(contestant: str, operation: str, problem: Any) -> Entry:
    """Set *contestant* up for *operation* on *problem*; raises `UnavailableError`."""
    if getattr(problem, "optimizer", "sgd") != "sgd" and contestant not in _ANY_RULE:
        raise UnavailableError("only plain SGD is written for this contestant")
    module, variant = CONTESTANTS[contestant]
    make = getattr(importlib.import_module(f"bench.peers.{module}"), operation)
    return make(problem, variant)
