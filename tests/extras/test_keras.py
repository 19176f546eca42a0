"""Keras: models read, and the ONNX files that it writes."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # before the import

import keras
from helpers import DTYPES
from keras import layers

import fastnn
from fastnn.exchange.keras import _ACTIVATIONS

# Of what Keras itself does with PyTorch's tensors.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
X = np.random.default_rng(0).uniform(-2, 2, (20, 3))
CLOSE = 3e-6  # in float64 too: with PyTorch under it, Keras multiplies matrices in float32


@pytest.fixture(params=DTYPES)
def dtype(request):
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def numbers(model, X):
    return keras.ops.convert_to_numpy(model(X))


def model_of(activation):
    made = keras.Sequential([
        keras.Input((3,)), layers.Dense(5, activation="tanh", bias_initializer="uniform"),
        layers.Dropout(0.25), layers.Dense(4, use_bias=False), layers.LeakyReLU(0.01),
        layers.Dense(2, activation=activation),
    ])  # fmt: skip
    return made


@pytest.mark.parametrize("activation", sorted(_ACTIVATIONS))
def test_a_model_is_read_and_gives_the_same_numbers(activation, dtype):
    model = model_of(activation)
    net = fastnn.from_keras(model, engine="numpy")
    assert (net.dtype, net._architecture.dropout) == (dtype, (0.25, 0.0))
    np.testing.assert_allclose(
        net.predict(X), numbers(model, X.astype(dtype)), rtol=1e-6, atol=CLOSE
    )


def test_a_functional_chain_with_layers_of_activations():
    inputs = keras.Input((3,))
    x = layers.ReLU()(layers.Dense(6)(inputs))
    x = layers.ELU()(layers.Dense(5)(x))
    x = layers.Activation("silu")(layers.Dense(4)(x))
    model = keras.Model(inputs, layers.Softmax()(layers.Dense(2)(x)))
    net = fastnn.from_keras(model, engine="numpy", l2=0.1)
    assert net._architecture.loss.name == "cross_entropy"
    assert net._architecture.l2 == 0.1
    np.testing.assert_allclose(net.predict(X), numbers(model, X.astype("f4")), atol=CLOSE)


def test_a_model_without_an_activation_at_its_end_gives_logits():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    net = fastnn.from_keras(model, loss="cross_entropy")
    assert net._architecture.activations[-1].name == "softmax"


def skipping():
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Add()([layers.Dense(3)(inputs), inputs]))


def branching():
    inputs = keras.Input((3,))
    first = layers.Dense(3)(inputs)
    layers.Dense(2)(first)
    second = layers.Dense(2)(inputs)
    return keras.Model(inputs, [first, second])


def shared():
    inputs, layer = keras.Input((3,)), layers.Dense(3)
    return keras.Model(inputs, layer(layer(inputs)))


def of(*parts):
    return lambda: keras.Sequential([keras.Input((3,)), *parts])


REFUSED = {
    "another layer": (of(layers.Dense(2), layers.BatchNormalization()), "BatchNormalization"),
    "its leaky_relu": (of(layers.Dense(2, activation="leaky_relu")), "leaky_relu.*0.2"),
    "another slope": (of(layers.Dense(2), layers.LeakyReLU(0.3)), "negative_slope=0.3"),
    "relu6": (of(layers.Dense(2), layers.ReLU(6.0)), "max_value=6"),
    "mish": (of(layers.Dense(2, activation="mish")), "mish"),
    "one's own function": (of(layers.Dense(2, activation=lambda x: x * 2)), "lambda"),
    "a model inside": (of(keras.Sequential([layers.Dense(2)])), "Sequential"),
    "two activations": (of(layers.Dense(2, activation="relu"), layers.ReLU()), "second activation"),
    "half": (of(layers.Dense(2, dtype="float16")), "float16"),
    "mixed": (of(layers.Dense(2, dtype="mixed_float16")), "computes in float16"),
    "not built": (lambda: keras.Sequential([layers.Dense(2)]), "built"),
    "a skip": (skipping, "Add|add"),
    "a branch": (branching, "one output"),
    "a shared layer": (shared, "."),
    "no layer": (of(), "no layer|built"),
    "no model": (lambda: "model", "keras.Model"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_network_has_is_refused_by_name(what):
    make, named = REFUSED[what]
    model = make()
    with pytest.raises((ValueError, TypeError), match=named):
        fastnn.from_keras(model)


@pytest.mark.filterwarnings("ignore")  # of PyTorch's exporter, which Keras asks
@pytest.mark.parametrize("activation", ["gelu", "softplus", "softmax"])
def test_its_onnx_files_are_read(tmp_path, activation):
    model = model_of(activation)
    wanted = numbers(model, X.astype(np.float32))
    path = tmp_path / "model.onnx"
    model.export(path, format="onnx", verbose=False)
    net = fastnn.from_onnx(path, engine="numpy")
    np.testing.assert_allclose(net.predict(X), wanted, atol=CLOSE)
