"""Every activation as ONNX's operators: to write it, and to recognise it.

onnxruntime has no float64 kernels for LeakyRelu, Elu, Selu, Softplus, Erf and Gelu (nor for others
that might stand for them), so in float64 these are composed of what it has, and so is Gelu where
the operator set does not know it. The compositions lose nothing where the value is small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from fastnn.activations import LEAK, SELU_ALPHA, SELU_SCALE

#: Of Φ(-y) = exp(-y²/2) P(y) / Q(y) for y >= 0: the coefficients of `fastnn.kernels.elementary`,
#: from y⁰ on.
_P = (0.5, 0.7188164474513752, 0.5097144350419741, 0.22704345610260088, 0.06878585731014544,
      0.014470501835679175, 0.0020689659457477933, 0.00018527540432934826,
      8.093116848434922e-06)  # fmt: skip
_Q = (1.0, 2.2355174557060464, 2.3031137333852163, 1.439908594387434, 0.6044573047565569,
      0.17756611199021063, 0.03673658619676746, 0.0052064149622194165, 0.0004644165672368004,
      2.0286435521344414e-05)  # fmt: skip
_FARTHEST = 39.0  # where exp(-y²/2) is 0; in float32 its square does not overflow

#: The name of a value in a graph, or what else stands for it.
Value = Any


class Graph(Protocol):
    """What takes operators and gives the values that they compute."""

    def op(self, kind: str, *inputs: Value, **attributes: Any) -> Value:
        """The output of one more node."""

    def constant(self, number: float) -> Value:
        """A number."""


def _leaky_relu(graph: Graph, z: Value) -> Value:
    return graph.op("Max", z, graph.op("Mul", graph.constant(LEAK), z))


def _exp_minus_one_below_0(graph: Graph, z: Value) -> Value:
    """e^z - 1 for z < 0, else 0, as 2 t / (1 - t) with t = tanh(z/2)."""
    half = graph.op("Mul", graph.constant(0.5), graph.op("Min", z, graph.constant(0.0)))
    t = graph.op("Tanh", half)
    return graph.op("Div", graph.op("Add", t, t), graph.op("Sub", graph.constant(1.0), t))


def _elu(graph: Graph, z: Value) -> Value:
    return graph.op("Add", graph.op("Relu", z), _exp_minus_one_below_0(graph, z))


def _selu(graph: Graph, z: Value) -> Value:
    below = graph.op(
        "Mul", graph.constant(SELU_SCALE * SELU_ALPHA), _exp_minus_one_below_0(graph, z)
    )
    return graph.op("Add", graph.op("Mul", graph.constant(SELU_SCALE), graph.op("Relu", z)), below)


def _softplus(graph: Graph, z: Value) -> Value:
    """relu(z) + log(1 + e) with e = exp(-|z|); log(u) e / (u - 1) makes up for rounding u = 1 + e.

    Where u is 1, the quotient is no number, and the logarithm is e.
    """
    one = graph.constant(1.0)
    e = graph.op("Exp", graph.op("Neg", graph.op("Abs", z)))
    u = graph.op("Add", one, e)
    quotient = graph.op("Div", graph.op("Mul", graph.op("Log", u), e), graph.op("Sub", u, one))
    logarithm = graph.op("Where", graph.op("Greater", u, one), quotient, e)
    return graph.op("Add", graph.op("Relu", z), logarithm)


def _silu(graph: Graph, z: Value) -> Value:
    return graph.op("Mul", z, graph.op("Sigmoid", z))


def _gelu(graph: Graph, z: Value) -> Value:
    y = graph.op("Min", graph.op("Abs", z), graph.constant(_FARTHEST))
    e = graph.op("Exp", graph.op("Mul", graph.constant(-0.5), graph.op("Mul", y, y)))
    ratio = graph.op("Div", _polynomial(graph, _P, y), _polynomial(graph, _Q, y))
    below = graph.op("Mul", e, ratio)
    positive = graph.op("Greater", z, graph.constant(0.0))
    above = graph.op("Sub", graph.constant(1.0), below)
    return graph.op("Mul", z, graph.op("Where", positive, above, below))


def _polynomial(graph: Graph, coefficients: tuple[float, ...], y: Value) -> Value:
    value = graph.constant(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = graph.op("Add", graph.constant(coefficient), graph.op("Mul", y, value))
    return value


def _hard_tanh(graph: Graph, z: Value) -> Value:
    return graph.op("Clip", z, graph.constant(-1.0), graph.constant(1.0))


def _one(kind: str, **attributes: Any) -> Callable[[Graph, Value], Value]:
    return lambda graph, z: graph.op(kind, z, **attributes)


#: What computes each activation in both dtypes.
COMPOSED: dict[str, Callable[[Graph, Value], Value]] = {
    "identity": lambda _graph, z: z,
    "sigmoid": _one("Sigmoid"),
    "tanh": _one("Tanh"),
    "relu": _one("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
    "hard_tanh": _hard_tanh,
    "exp": _one("Exp"),
    "softmax": _one("Softmax", axis=1),
}
#: Single operators that onnxruntime has in float32 only, and the operator set they came with.
_IN_FLOAT32 = {
    "leaky_relu": (_one("LeakyRelu", alpha=LEAK), 6),
    "elu": (_one("Elu", alpha=1.0), 6),
    "selu": (_one("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE), 6),
    "softplus": (_one("Softplus"), 1),
    "gelu": (_one("Gelu", approximate="none"), 20),
}


def add(graph: Graph, name: str, z: Value, *, single: bool, opset: int) -> Value:
    """Add an activation of *z*, as a *single* operator where there is one."""
    operator, since = _IN_FLOAT32.get(name, (None, 0))
    if operator is not None and single and opset >= since:
        return operator(graph, z)
    return COMPOSED[name](graph, z)


def _torch_softplus(graph: Graph, z: Value) -> Value:
    """PyTorch's, which is z from its threshold on: to 2e-9 the same."""
    above = graph.op("Greater", z, graph.constant(20.0))
    return graph.op("Where", above, z, graph.op("Softplus", z))


def _gelu_by_erf(graph: Graph, z: Value, scaled: Value) -> list[Value]:
    """z ½ (1 + erf(z/√2)), in the orders in which it is written."""
    one, half = graph.constant(1.0), graph.constant(0.5)
    twice = graph.op("Add", graph.op("Erf", scaled), one)
    return [
        graph.op("Mul", graph.op("Mul", z, twice), half),
        graph.op("Mul", graph.op("Mul", z, half), twice),
        graph.op("Mul", z, graph.op("Mul", half, twice)),
    ]


def recognised(graph: Graph, z: Value) -> dict[Value, str]:
    """What values of *z* are which activation: ours, and other systems' ways to write them."""
    values = {add(graph, name, z, single=False, opset=0): name for name in COMPOSED}
    values |= {operator(graph, z): name for name, (operator, _) in _IN_FLOAT32.items()}
    values[_torch_softplus(graph, z)] = "softplus"
    values[graph.op("Swish", z)] = "silu"
    root = graph.constant(2**0.5)
    for scaled in (
        graph.op("Div", z, root),
        graph.op("Mul", z, graph.constant(0.5**0.5)),
    ):
        values |= dict.fromkeys(_gelu_by_erf(graph, z, scaled), "gelu")
    low, high = graph.constant(-1.0), graph.constant(1.0)
    values[graph.op("Min", graph.op("Max", z, low), high)] = "hard_tanh"
    values[graph.op("Max", graph.op("Min", z, high), low)] = "hard_tanh"
    sigmoid = graph.op("Sigmoid", z)
    # Probabilities of two classes, from skl2onnx: the one output is the second one's.
    values[graph.op("Concat", graph.op("Sub", high, sigmoid), sigmoid, axis=1)] = "sigmoid"
    return values
