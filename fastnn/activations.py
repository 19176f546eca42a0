"""The activation functions: what each is called and what it computes.

Each engine computes them in its own way: ``reference/loops.py`` on floats,
``reference/vectors.py`` on arrays, ``kernels/activations.py`` jitted. To add one, add a row
here and a function with its slope in those three; the tests say what is missing.
"""

from dataclasses import dataclass

from fastnn.names import find


@dataclass(frozen=True)
class Activation:
    """One activation function a(z).

    Attributes
    ----------
    name : str
    code : int
        What a kernel knows it by.
    formula, derivative, value_range : str
        For the reader; ``a`` is the function's value at ``z``.
    output_only : bool
        True for a function that couples the outputs, so it cannot be used in hidden layers.
    """

    name: str
    code: int
    formula: str
    derivative: str
    value_range: str
    output_only: bool = False


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", 0, "z", "1", "(-inf, inf)"),
        Activation("sigmoid", 1, "1 / (1 + exp(-z))", "a (1 - a)", "(0, 1)"),
        Activation("tanh", 2, "tanh(z)", "1 - a²", "(-1, 1)"),
        Activation("relu", 3, "max(z, 0)", "1 if z > 0 else 0", "[0, inf)"),
        Activation(
            "softmax", 100, "exp(z_j) / Σ_k exp(z_k)", "a_j (δ_jk - a_k)", "(0, 1), sum 1", True
        ),
    )
}

ALIASES = {"logistic": "sigmoid", "linear": "identity"}


def get_activation(name: str, argument: str) -> Activation:
    """Look up an activation by name or alias; ValueError or TypeError naming *argument*."""
    return find(name, ACTIVATIONS, argument, ALIASES)
