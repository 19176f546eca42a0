"""ONNX, read: graphs that are a chain of layers and activations, whoever has written them.

From layer to layer the reader follows one value, and notes what every node computes as an
expression of the last layer's weighted sums z. Expressions are numbers: what has the same operator
and the same inputs has the same number, so an activation is recognised however many nodes it takes.
What an earlier layer computed is forgotten at the next one, so a graph that branches is refused.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.exchange.activations import recognised
from fastnn.exchange.chain import Chain
from fastnn.exchange.onnx import KEY, PRODUCER, TRAINING
from fastnn.exchange.onnx_file import Tensors, load

#: The first operator set whose nodes are understood.
_OLDEST_OPSET = 7
#: Of the attributes that are not given.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Concat": {"axis": None},
    "Elu": {"alpha": 1.0},
    "Gelu": {"approximate": "none"},
    "LeakyRelu": {"alpha": 0.01},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "Swish": {"alpha": 1.0},
}
_ORDERLESS = {"Add", "Mul", "Max", "Min"}
#: What changes nothing where nothing is trained, and the inputs that it takes.
_SAME = {"Identity": 1, "Dropout": 3, "Cast": 1, "Flatten": 1, "ZipMap": 1}
#: What makes labels of a classifier's probabilities; they are left out.
_LABELS = {"ArgMax", "ArrayFeatureExtractor", "Binarizer"}
#: Types of labels, to which numbers are cast: int32, int64, bool.
_WHOLE = (6, 7, 9)


def read(path: str) -> tuple[Chain, dict[str, Any]]:
    """The chain in a file, and the arguments of `fastnn.Network` that fastnn wrote beside it.

    ValueError, TypeError or whatever else damage leads to if it is none.
    """
    model, tensors = load(path)
    versions = {opset.domain: opset.version for opset in model.opset_import}
    version = versions.get("", versions.get("ai.onnx", 0))
    if version < _OLDEST_OPSET:
        raise ValueError(f"it is of operator set {version}, expected {_OLDEST_OPSET} or later")
    chain = _Reader(model.graph, tensors).read()
    [text] = [prop.value for prop in model.metadata_props if prop.key == KEY] or [None]
    if text is None and model.producer_name == PRODUCER:
        raise ValueError(f"its metadata lack {KEY!r}, which fastnn has written: it is damaged")
    return chain, {} if text is None else _training(json.loads(text), chain)


def _training(saved: Any, chain: Chain) -> dict[str, Any]:
    """The arguments among what fastnn *saved* beside a chain, if it is that chain."""
    known = (set[str](), set(TRAINING), set(TRAINING) - {"missing"})  # which older files have not
    if not isinstance(saved, dict) or set(saved) - {"sha256"} not in known:
        raise ValueError(f"its metadata {KEY!r} are not those that fastnn writes")
    if saved.pop("sha256", None) != chain.digest():
        raise ValueError(
            "its layers are not those that fastnn wrote, by their SHA-256: it is damaged, or "
            f"somebody has changed it; without {KEY!r} in its metadata it is read as it is"
        )
    return saved


class _Expressions:
    """Expressions as numbers; also the graph in which known activations are written."""

    z = 0

    def __init__(self, numbers: Mapping[Any, int]):
        self.numbers = {"z": self.z, **numbers}

    def op(self, kind: str, *inputs: int, **attributes: Any) -> int:
        order = sorted(inputs) if kind in _ORDERLESS else inputs
        given = _DEFAULTS.get(kind, {}) | attributes
        plain = sorted((name, _plain(value)) for name, value in given.items())
        return self._number((kind, *order, *plain))

    def constant(self, number: float) -> int:
        return self._number(("constant", _plain(float(number))))

    def _number(self, key: Any) -> int:
        return self.numbers.setdefault(key, len(self.numbers))


@functools.cache
def _known() -> tuple[dict[Any, int], dict[int, str], set[str]]:
    """The expressions of all activations, which of them is which, and the operators in them."""
    expressions = _Expressions({})
    names = {_Expressions.z: "identity"} | recognised(expressions, _Expressions.z)
    return expressions.numbers, names, {key[0] for key in expressions.numbers}


def _plain(value: Any) -> Any:
    """An attribute to compare: numbers as float32 has them, which is what most files hold."""
    if isinstance(value, float):
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else value


class _Reader:
    """Goes through the nodes of a graph, and makes the chain."""

    def __init__(self, graph: Any, tensors: Tensors):
        self._graph = graph
        self._tensors = tensors
        numbers, self._activations, self._operators = _known()
        self._expressions = _Expressions(numbers)
        self._chain = Chain()
        #: Names of values as expressions of the last layer's sums.
        self._values: dict[str, int] = {}
        #: The last node of each expression.
        self._makers: dict[int, str] = {}
        self._labels: set[str] = set()
        self._outputs = {output.name for output in graph.output}
        self._cast_to: set[int] = set()

    def read(self) -> Chain:
        self._begin()
        for node in self._graph.node:
            self._take(node)
        self._end()
        if not self._cast_to <= ({1, 11} if self._chain.dtype == np.float32 else {11}):
            raise ValueError("it casts to a type that holds less than that of its weights")
        return self._chain

    def _begin(self) -> None:
        [*inputs] = (entry for entry in self._graph.input if entry.name not in self._tensors)
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs, expected one")
        dimensions = inputs[0].type.tensor_type.shape.dim
        if inputs[0].type.tensor_type.HasField("shape") and len(dimensions) != 2:
            raise ValueError(f"its input has {len(dimensions)} dimensions, expected two")
        self._values = {inputs[0].name: self._expressions.z}

    def _end(self) -> None:
        [*ends] = (name for name in self._outputs if name not in self._labels)
        if len(ends) != 1 or ends[0] not in self._values:
            names = ", ".join(sorted(self._outputs))
            raise ValueError(f"its outputs are {names}, expected one, of the last layer")
        self._activate(self._values[ends[0]])

    def _take(self, node: Any) -> None:
        """Take one node, if it has to do with the chain."""
        where = _described(node)
        inputs = list(node.input)
        if node.domain not in ("", "ai.onnx", "ai.onnx.ml"):
            raise ValueError(f"{where} is of the domain {node.domain!r}, which is not ONNX's own")
        if not inputs or all(name in self._tensors or not name for name in inputs):
            self._take_constant(node)
        elif any(name in self._labels for name in inputs) or _makes_labels(node):
            self._labels.update(node.output)
        elif len(node.output) != 1 and node.op_type != "Dropout":
            raise ValueError(f"{where} is none that a chain of layers has")
        elif node.op_type in ("Gemm", "MatMul"):
            self._take_layer(node, where)
        elif node.op_type == "Add" and self._is_bias(inputs):
            self._take_bias(node, where)
        else:
            value = self._expression(node, where)
            self._values[node.output[0]] = value
            self._makers.setdefault(value, where)

    def _take_constant(self, node: Any) -> None:
        """Another name for a tensor; what cannot be read is complained of when it is used."""
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            self._tensors.add(node.output[0], attributes["value"].t)
        elif node.op_type in ("Identity", "Cast") and len(node.input) == 1:
            tensor = self._tensors.get(node.input[0])
            if _attributes(node).get("to", tensor.data_type) == tensor.data_type:
                self._tensors.add(node.output[0], tensor)

    def _expression(self, node: Any, where: str) -> int:
        """What a node computes, of z."""
        attributes = _attributes(node)
        kind = node.op_type
        inputs = [self._input(name, where) for name in node.input if name]
        if kind in _SAME or (kind == "Reshape" and node.output[0] in self._outputs):
            if kind == "Cast":
                self._cast_to.add(attributes.get("to", 0))
            if kind == "Flatten" and attributes.get("axis", 1) not in (1, -1):
                raise ValueError(f"{where} makes other rows than those of the input")
            return inputs[0]
        if kind not in self._operators:
            raise ValueError(f"{where} is none that a chain of layers has")
        if kind == "Softmax":
            attributes["axis"] = {-1: 1}.get(attributes.get("axis", 1), attributes.get("axis", 1))
        return self._expressions.op(kind, *inputs, **attributes)

    def _input(self, name: str, where: str) -> int:
        if name in self._values:
            return self._values[name]
        if name not in self._tensors:
            raise ValueError(f"{where} takes {name!r}, which is not of the layer before it")
        number = self._tensors.number(name)
        return self._expressions.constant(float("nan") if number is None else number)

    def _activate(self, value: int) -> None:
        """Give the last layer the activation of which this is the value."""
        name = self._activations.get(value)
        where = self._makers.get(value, "the input")
        if name is None:
            raise ValueError(f"{where} ends what is no activation that fastnn has")
        if self._chain.weights or name != "identity":
            self._chain.add_activation(name, where)

    def _take_layer(self, node: Any, where: str) -> None:
        attributes = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | _attributes(node)
        value, weights, *rest = node.input
        if value not in self._values or weights not in self._tensors or attributes["transA"]:
            raise ValueError(f"{where} is not the input times weights that are in the file")
        self._activate(self._values[value])
        array = _scaled(self._tensors.array(weights), attributes["alpha"])
        bias = None
        if rest and rest[0]:
            if rest[0] not in self._tensors:
                raise ValueError(f"{where} adds {rest[0]!r}, which is not in the file")
            bias = self._bias(rest[0], attributes["beta"])
        if attributes["transB"] and array.ndim == 2:
            array = array.T
        self._chain.add_layer(array, bias, where)
        self._values = {node.output[0]: self._expressions.z}

    def _is_bias(self, inputs: list[str]) -> bool:
        """Whether the inputs of an Add are a layer's sums and its bias."""
        tensors = [name for name in inputs if name in self._tensors]
        sums = [name for name in inputs if self._values.get(name) == self._expressions.z]
        return len(tensors) == 1 and len(sums) == 1 and bool(self._chain.weights)

    def _take_bias(self, node: Any, where: str) -> None:
        [name] = (name for name in node.input if name in self._tensors)
        if self._chain.biases[-1] is not None:
            raise ValueError(f"{where} adds to a layer that has a bias")
        bias = self._bias(name, 1.0)
        if bias.shape != self._chain.weights[-1].shape[1:]:
            raise ValueError(f"{where} adds {bias.shape} numbers to a layer of other outputs")
        self._chain.biases[-1] = bias
        self._values = {node.output[0]: self._expressions.z}

    def _bias(self, name: str, factor: float) -> np.ndarray:
        """A bias of one dimension, of which a row is one too; a single number is one for each."""
        bias = _scaled(self._tensors.array(name), factor)
        is_row = bias.ndim == 2 and len(bias) == 1
        return bias.reshape(-1) if is_row or bias.ndim == 0 else bias


def _makes_labels(node: Any) -> bool:
    is_whole = node.op_type == "Cast" and _attributes(node).get("to") in _WHOLE
    return is_whole or node.op_type in _LABELS


def _scaled(array: np.ndarray, factor: float) -> np.ndarray:
    if factor == 1.0:
        return array
    scaled: np.ndarray = array * array.dtype.type(factor)
    return scaled


def _attributes(node: Any) -> dict[str, Any]:
    """The numbers and texts among a node's attributes."""
    fields = {1: "f", 2: "i", 3: "s"}
    return {a.name: getattr(a, fields[a.type]) for a in node.attribute if a.type in fields}


def _described(node: Any) -> str:
    name = node.name or (node.output[0] if node.output else "")
    attributes = "".join(f", {key}={value:g}" for key, value in _attributes(node).items()
                         if isinstance(value, float))  # fmt: skip
    return f"the node {name!r} ({node.op_type}{attributes})"
