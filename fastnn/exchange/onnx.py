"""ONNX, written: networks as graphs of Gemm and activations.

What is written is plain: a ``Gemm`` for each layer, its weights (n_out, n_in) as PyTorch has them
and its bias of one dimension, then the nodes of the activation. No node converts or reshapes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import validation
from fastnn._version import __version__
from fastnn.architecture import Architecture
from fastnn.exchange.activations import add
from fastnn.exchange.chain import Chain
from fastnn.exchange.departures import ready
from fastnn.exchange.onnx_file import onnx_package
from fastnn.files import whole_file
from fastnn.names import describe

#: The first operator set whose Softmax and Clip are those written.
_OLDEST_OPSET = 13
#: Before the names of what is inside the graph.
_INSIDE = "fastnn/"
#: Of the metadata that tell a reader how the network is trained, in JSON, and who has written it.
KEY = PRODUCER = "fastnn"
#: What of `Architecture.arguments` a graph does not tell.
TRAINING = ("loss", "missing", "reduction", "l1", "l2", "max_norm", "dropout", "label_smoothing")
#: What protobuf can write.
_MOST_BYTES = (1 << 31) - (1 << 20)


class _Graph:
    """Nodes and constants that are written one after the other."""

    def __init__(self, dtype: np.dtype[np.floating]):
        self._onnx = onnx_package()
        self._dtype = dtype
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{_INSIDE}{len(self.nodes)}/{kind}"
        node = self._onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes)
        self.nodes.append(node)
        return name

    def constant(self, number: float) -> str:
        return self.tensor(f"{_INSIDE}{number!r}", np.array(number, self._dtype))

    def tensor(self, name: str, array: np.ndarray) -> str:
        if name not in self.initializers:
            self.initializers[name] = self._onnx.numpy_helper.from_array(array, name)
        return name


def write(
    path: str | os.PathLike[str],
    architecture: Architecture,
    parameters: np.ndarray,
    *,
    dtype: Any,
    names: tuple[str, str],
    opset: int,
    logits: bool,
    metadata: Mapping[str, str] | None,
) -> None:
    """Write the network's graph in *dtype*, from the input names[0] to the output names[1]."""
    onnx = onnx_package()
    helper = onnx.helper
    architecture, parameters = ready(architecture, parameters, dtype)
    validation.integer(opset, "opset", _OLDEST_OPSET, onnx.defs.onnx_opset_version())
    if parameters.nbytes > _MOST_BYTES:
        raise ValueError(f"an ONNX file does not hold {parameters.nbytes} bytes of parameters")
    texts = _checked_metadata(metadata)
    validation.boolean(logits, "logits")
    texts[KEY] = json.dumps(_saved(architecture, parameters, logits))
    graph = _nodes(architecture, parameters, _checked_names(names), opset, logits)
    kind = helper.np_dtype_to_tensor_dtype(architecture.dtype)
    ends = [
        [helper.make_tensor_value_info(name, kind, ["n", size])]
        for name, size in zip(names, (architecture.sizes[0], architecture.sizes[-1]), strict=True)
    ]
    made = helper.make_graph(graph.nodes, "network", *ends, list(graph.initializers.values()))
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        made,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name=PRODUCER,
        producer_version=__version__,
    )
    helper.set_model_props(model, texts)
    with whole_file(path) as file:
        file.write(model.SerializeToString())


def _saved(architecture: Architecture, parameters: np.ndarray, logits: bool) -> dict[str, Any]:
    """What `fastnn.from_onnx` finds in the metadata."""
    names = [activation.name for activation in architecture.activations]
    biases: list[np.ndarray | None] = [*architecture.bias_views(parameters)]
    activations = [*names[:-1], "identity"] if logits else names
    weights = architecture.weight_views(parameters)
    chain = Chain(weights, biases or [None] * len(weights), activations)
    arguments = {name: architecture.arguments()[name] for name in TRAINING}
    return ({} if logits else arguments) | {"sha256": chain.digest()}


def _nodes(
    architecture: Architecture,
    parameters: np.ndarray,
    names: tuple[str, str],
    opset: int,
    logits: bool,
) -> _Graph:
    graph = _Graph(architecture.dtype)
    weights, biases = (
        views(parameters) for views in (architecture.weight_views, architecture.bias_views)
    )
    value = names[0]
    for l, layer in enumerate(architecture.layers):
        inputs = [graph.tensor(f"{_INSIDE}layer{l}/weight", np.ascontiguousarray(weights[l].T))]
        inputs += [graph.tensor(f"{_INSIDE}layer{l}/bias", biases[l])] if biases else []
        value = graph.op("Gemm", value, *inputs, alpha=1.0, beta=1.0, transB=1)
        if logits and l == len(architecture.layers) - 1:
            break
        single = architecture.dtype == np.float32
        value = add(graph, layer.activation.name, value, single=single, opset=opset)
    graph.nodes[-1].output[0] = names[1]
    return graph


def _checked_names(names: tuple[str, str]) -> tuple[str, str]:
    for argument, name in zip(("input_name", "output_name"), names, strict=True):
        if not _is_text(validation.text(name, argument)) or name.startswith(_INSIDE) or not name:
            raise ValueError(
                f"{argument} must be a text that does not begin with {_INSIDE!r}, got {name!r}"
            )
    if names[0] == names[1]:
        raise ValueError(f"input_name and output_name must differ, got {names[0]!r} for both")
    return names


def _checked_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    if not isinstance(metadata, Mapping | None):
        raise TypeError(f"metadata must be texts by texts, got {describe(metadata)}")
    texts = dict(metadata or {})
    for item in (*texts, *texts.values()):
        if not _is_text(item):
            raise ValueError(f"metadata must be texts by texts, got {item!r}")
    if KEY in texts:
        raise ValueError(f"metadata must not have {KEY!r}: fastnn writes it")
    return texts


def _is_text(thing: object) -> bool:
    """Whether it is a string that UTF-8 can hold."""
    return isinstance(thing, str) and thing == thing.encode(errors="ignore").decode()
