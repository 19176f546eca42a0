"""Keras: models that are a chain of Dense, activations and Dropout, read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn.activations import LEAK
from fastnn.exchange.chain import Chain
from fastnn.names import short

#: The names of Keras's activation functions that mean something else, or nothing, to fastnn are not
#: here; its leaky_relu has a slope of 0.2.
_ACTIVATIONS = {
    "linear": "identity",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "elu": "elu",
    "selu": "selu",
    "softplus": "softplus",
    "silu": "silu",
    "gelu": "gelu",
    "hard_tanh": "hard_tanh",
    "exponential": "exp",
    "softmax": "softmax",
}
#: Layers that are activations, and the settings that make them ours.
_LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ReLU": ("relu", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": LEAK}),
    "ELU": ("elu", {"alpha": 1.0}),
    "Softmax": ("softmax", {"axis": -1}),
}


def read(model: Any) -> Chain:
    """The chain of a model; ValueError or TypeError naming a layer that no network has."""
    import keras

    if not isinstance(model, keras.Model):
        got = type(model)
        raise TypeError(f"model must be a keras.Model, got {got.__module__}.{got.__qualname__}")
    chain = Chain()
    for layer in _layers(keras, model):
        kind = type(layer).__name__
        where = f"the layer {layer.name!r}, a {kind},"
        if type(layer) is not getattr(keras.layers, kind, None):
            raise ValueError(f"{where} is none that a fastnn.Network has")
        if kind == "Dense":
            _add_dense(keras, chain, layer, where)
        elif kind == "Activation":
            chain.add_activation(_activation(keras, layer.activation, where), where)
        elif kind == "Dropout":
            chain.add_dropout(float(layer.rate), where)
        elif kind in _LAYERS:
            name, settings = _LAYERS[kind]
            for setting, ours in settings.items():
                value = getattr(layer, setting)
                if value != ours:
                    raise ValueError(f"{where} has {setting}={short(value)}, expected {ours!r}")
            chain.add_activation(name, where)
        elif kind != "InputLayer":
            raise ValueError(f"{where} is none that a fastnn.Network has")
    return chain


def _layers(keras: Any, model: Any) -> Iterator[Any]:
    """The layers, each the only one that takes what the one before it gives."""
    if not model.built or len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "model must be Sequential or functional, built, and have one input and one output"
        )
    value = model.inputs[0]
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            if isinstance(layer.input, list | tuple | dict) or layer.input is not value:
                raise ValueError(f"the layer {layer.name!r} does not follow on the one before it")
            value = layer.output
        yield layer
    if model.outputs[0] is not value:
        raise ValueError("model must be one chain of layers, and its output is not the last one's")


def _add_dense(keras: Any, chain: Chain, layer: Any, where: str) -> None:
    kernel, bias = (
        None if variable is None else _array(keras.ops, variable)
        for variable in (layer.kernel, layer.bias)
    )
    if kernel is None:
        raise ValueError(f"{where} has no weights yet")
    if layer.compute_dtype != kernel.dtype.name:
        raise ValueError(
            f"{where} computes in {layer.compute_dtype} with weights of {kernel.dtype.name}"
        )
    chain.add_layer(kernel, bias, where)
    chain.add_activation(_activation(keras, layer.activation, where), where)


def _array(ops: Any, variable: Any) -> np.ndarray:
    """A copy of its numbers, whatever the backend."""
    return np.array(ops.convert_to_numpy(ops.convert_to_tensor(variable)))


def _activation(keras: Any, function: Any, where: str) -> str:
    """Our name of a function of keras.activations."""
    for theirs, ours in _ACTIVATIONS.items():
        if function is getattr(keras.activations, theirs, None):
            return ours
    name = getattr(function, "__name__", short(function))
    advice = ": its slope is 0.2; fastnn's is keras.layers.LeakyReLU(0.01)"
    raise ValueError(
        f"{where} has the activation {name}, which a fastnn.Network does not have"
        f"{advice if name == 'leaky_relu' else ''}"
    )
