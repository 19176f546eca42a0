"""skl2onnx: pipelines that hold fastnn's estimators, converted to ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.activations import get_activation
from fastnn.exchange.activations import add

#: The options of skl2onnx that its own classifiers have.
_OPTIONS = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True],
            "nocl": [True, False]}  # fmt: skip


def register_skl2onnx() -> None:
    """Let skl2onnx convert `fastnn.MLPClassifier` and `fastnn.MLPRegressor`, in pipelines too.

    Once in a process is enough. The options are those of scikit-learn's classifiers: ``zipmap``,
    ``output_class_labels`` and ``nocl``.

    Raises
    ------
    ImportError
        Without skl2onnx: ``pip install skl2onnx``.

    Examples
    --------
    >>> import fastnn.exchange, skl2onnx  # doctest: +SKIP
    >>> fastnn.exchange.register_skl2onnx()  # doctest: +SKIP
    >>> model = skl2onnx.to_onnx(fitted_pipeline, X[:1])  # doctest: +SKIP
    """
    from skl2onnx import update_registered_converter

    from fastnn.estimators import MLPClassifier, MLPRegressor

    update_registered_converter(
        MLPClassifier,
        "FastnnMLPClassifier",
        _shape_classifier,
        _convert_classifier,
        options=_OPTIONS,
    )
    update_registered_converter(
        MLPRegressor,
        "FastnnMLPRegressor",
        _shape_regressor,
        _convert_regressor,
    )


def _shape_classifier(operator: Any) -> None:
    from skl2onnx.common import shape_calculator

    shape_calculator.calculate_linear_classifier_output_shapes(operator)
    estimator = operator.raw_operator
    if _is_multilabel(estimator):
        labels = operator.outputs[0].type
        labels.shape = [*labels.shape[:1], estimator.n_outputs_]


def _shape_regressor(operator: Any) -> None:
    from skl2onnx.common import shape_calculator

    shape_calculator.calculate_linear_regressor_output_shapes(operator)
    outputs = operator.outputs[0].type
    outputs.shape = [*outputs.shape[:1], operator.raw_operator.n_outputs_]


def _is_multilabel(estimator: Any) -> bool:
    kind: str = estimator._label_binarizer.y_type_
    return kind.startswith("multilabel")


class _Graph:
    """Nodes that are put into skl2onnx's container; a `fastnn.exchange.activations.Graph`."""

    def __init__(self, scope: Any, operator: Any, container: Any):
        from onnx import TensorProto

        self._scope = scope
        self._container = container
        self.opset = container.target_opset_any_domain("")
        kind = type(operator.inputs[0].type).__name__
        self.dtype = np.dtype(np.float64 if kind == "DoubleTensorType" else np.float32)
        self.kind = TensorProto.DOUBLE if self.dtype == np.float64 else TensorProto.FLOAT
        value = operator.inputs[0].full_name
        is_float = kind in ("DoubleTensorType", "FloatTensorType")
        self.input = value if is_float else self.op("Cast", value, to=self.kind)

    def op(
        self, kind: str, *inputs: str, output: str | None = None, domain: str = "",
        **attributes: Any,
    ) -> str:  # fmt: skip
        output = output or self._scope.get_unique_variable_name(kind.lower())
        self._container.add_node(
            kind,
            list(inputs),
            [output],
            op_domain=domain,
            name=self._scope.get_unique_operator_name(kind),
            **attributes,
        )
        return output

    def constant(self, number: float) -> str:
        return self.tensor("number", np.array(number, self.dtype))

    def tensor(self, name: str, array: np.ndarray) -> str:
        """An initializer: floats of the graph's dtype, whole numbers, or texts."""
        from onnx import TensorProto

        unique: str = self._scope.get_unique_variable_name(name)
        kind = {"f": self.kind, "i": TensorProto.INT64}.get(array.dtype.kind, TensorProto.STRING)
        numbers = array.ravel()
        is_text = kind == TensorProto.STRING
        entries = [str(text).encode() for text in numbers] if is_text else numbers
        self._container.add_initializer(unique, kind, list(array.shape), entries)
        return unique


def _outputs(graph: _Graph, estimator: Any) -> str:
    """The outputs of the network, as the estimator computes them."""
    hidden = estimator.activation
    names = [hidden] * len(estimator.coefs_) if isinstance(hidden, str) else [*hidden, ""]
    names[-1] = estimator.out_activation_
    value = graph.input
    for l, (weights, bias) in enumerate(
        zip(estimator.coefs_, estimator.intercepts_, strict=True), 1
    ):
        inputs = [graph.tensor("weight", weights.T), graph.tensor("bias", bias)]
        value = graph.op("Gemm", value, *inputs, alpha=1.0, beta=1.0, transB=1)
        name = get_activation(names[l - 1], "activation").name
        value = add(graph, name, value, single=graph.dtype == np.float32, opset=graph.opset)
    return value


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, operator, container)
    value = _outputs(graph, operator.raw_operator)
    graph.op("Identity", value, output=operator.outputs[0].full_name)


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, operator, container)
    estimator = operator.raw_operator
    values = _outputs(graph, estimator)
    label, probabilities = (output.full_name for output in operator.outputs)
    if _is_multilabel(estimator):
        above = graph.op("Greater", values, graph.constant(0.5))
        graph.op("Cast", above, to=7, output=label)
        graph.op("Identity", values, output=probabilities)
        return
    if len(estimator.classes_) == 1:
        raise NotImplementedError(f"{estimator!r} has seen one class only: there is no network")
    if estimator.out_activation_ == "logistic":
        other = graph.op("Sub", graph.constant(1.0), values)
        graph.op("Concat", other, values, axis=1, output=probabilities)
    else:
        graph.op("Identity", values, output=probabilities)
    classes = estimator.classes_
    if classes.dtype.kind in "biuf":
        named = classes.astype(np.int64)
    elif container.get_options(estimator, {"nocl": False})["nocl"]:
        named = np.arange(len(classes))
    else:
        named = classes.astype(str)
    _add_label(graph, named, probabilities, label)


def _add_label(graph: _Graph, named: np.ndarray, probabilities: str, label: str) -> None:
    """The name of the class of the largest probability: a whole number or a text."""
    place = graph.op("ArgMax", probabilities, axis=1, keepdims=0)
    found = graph.op(
        "ArrayFeatureExtractor", graph.tensor("classes", named), place, domain="ai.onnx.ml"
    )
    graph.op("Reshape", found, graph.tensor("shape", np.array([-1])), output=label)
