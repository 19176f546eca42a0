"""The activation functions: what each is called and what it computes.

Each engine computes them in its own way: ``reference/loops_functions.py`` on floats,
``reference/vectors_functions.py`` on arrays, ``kernels/activations.py`` jitted. To add one, add a
row here and a function with its slope in those three; the tests say what is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fastnn.losses import Loss
from fastnn.names import describe, find


@dataclass(frozen=True)
class Activation:
    """One activation function a(z)."""

    name: str
    #: What a kernel knows it by.
    code: int
    #: For the reader; ``a`` is the function's value at ``z``.
    formula: str
    derivative: str
    value_range: str
    #: True for a function that cannot be used in hidden layers: softmax couples the outputs, and
    #: exp overflows where it is not the end.
    output_only: bool = False
    #: True for a function that takes the same value at places with different slopes.
    slope_needs_z: bool = False
    #: The slope's derivative, for the reader; ``s`` is the slope.
    second_derivative: str = "0"
    #: False for a function whose slope jumps somewhere.
    smooth: bool = True


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", 0, "z", "1", "(-inf, inf)"),
        Activation("sigmoid", 1, "1 / (1 + exp(-z))", "a (1 - a)", "(0, 1)",
                   second_derivative="s (1 - 2 a)"),
        Activation("tanh", 2, "tanh(z)", "1 - a²", "(-1, 1)", second_derivative="-2 a s"),
        Activation("relu", 3, "max(z, 0)", "1 if z > 0 else 0", "[0, inf)", smooth=False),
        Activation("leaky_relu", 4, "z if z > 0 else 0.01 z", "1 if z > 0 else 0.01",
                   "(-inf, inf)", smooth=False),
        Activation("elu", 5, "z if z > 0 else exp(z) - 1", "1 if z > 0 else a + 1", "(-1, inf)",
                   second_derivative="0 if z > 0 else s"),
        Activation("selu", 6, "λ (z if z > 0 else α (exp(z) - 1)), λ = 1.0507, α = 1.6733",
                   "λ if z > 0 else a + λ α", "(-λ α, inf)",
                   second_derivative="0 if z > 0 else s", smooth=False),
        Activation("softplus", 7, "log(1 + exp(z))", "1 - exp(-a)", "(0, inf)",
                   second_derivative="s (1 - s)"),
        Activation("silu", 8, "z sigmoid(z)", "s + a (1 - s), s = sigmoid(z)", "[-0.2785, inf)",
                   slope_needs_z=True,
                   second_derivative="g (1 - g) (2 + z (1 - 2 g)), g = sigmoid(z)"),
        Activation("gelu", 9, "z Φ(z), Φ the normal distribution function",
                   "Φ(z) + z exp(-z²/2) / √(2π)", "[-0.17, inf)", slope_needs_z=True,
                   second_derivative="(2 - z²) exp(-z²/2) / √(2π)"),
        Activation("hard_tanh", 10, "min(max(z, -1), 1)", "1 if -1 < z < 1 else 0", "[-1, 1]",
                   smooth=False),
        Activation("exp", 101, "exp(z)", "a", "(0, inf)", output_only=True, second_derivative="a"),
        Activation(
            "softmax", 100, "exp(z_j) / Σ_k exp(z_k)", "a_j (δ_jk - a_k)", "(0, 1), sum 1", True,
            second_derivative="a_j ((δ_jk - a_k) (δ_jl - a_l) - a_k (δ_kl - a_l))",
        ),
    )
}  # fmt: skip

ALIASES = {"logistic": "sigmoid", "linear": "identity", "swish": "silu", "hardtanh": "hard_tanh"}
#: Of selu (Klambauer et al., Self-normalizing neural networks, 2017), as in torch.nn.SELU.
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
LEAK = 0.01


def get_activation(name: str, argument: str) -> Activation:
    """Look up an activation by name or alias; ValueError or TypeError naming *argument*."""
    return find(name, ACTIVATIONS, argument, ALIASES)


def get_hidden_activations(names: str | Sequence[str], n_hidden: int) -> list[Activation]:
    """Those of the hidden layers, from one name for all or one each."""
    if isinstance(names, str):
        names = [names] * max(n_hidden, 1)  # looked up even if there is no hidden layer
        found = [get_activation(name, "activation") for name in names]
    elif not isinstance(names, Sequence):
        raise TypeError(f"activation must be a name or a list of names, got {describe(names)}")
    elif len(names) != n_hidden:
        raise ValueError(
            f"activation must be one name or one per hidden layer ({n_hidden}), got {len(names)}"
        )
    else:
        found = [get_activation(name, f"activation[{k}]") for k, name in enumerate(names)]
    for activation in found:
        if activation.output_only:
            raise ValueError(f"activation={activation.name!r} is for the output layer only")
    return found[:n_hidden]


def get_output_activation(name: str | None, loss: Loss) -> Activation:
    """That of the output layer, by default the one that goes with the loss."""
    activation = get_activation(
        loss.output_activation if name is None else name, "output_activation"
    )
    if loss.from_logits and activation.name != loss.output_activation:
        raise ValueError(
            f"loss={loss.name!r} needs output_activation={loss.output_activation!r}, "
            f"got {activation.name!r}"
        )
    if activation.name == "softmax" and not loss.from_logits:
        raise ValueError(
            f"output_activation={activation.name!r} needs loss='cross_entropy', got {loss.name!r}"
        )
    return activation
