"""The loss functions: what each is called, what it computes, what the targets must be.

The loss of one sample is a function of its outputs ŷ (or of z, the output layer's weighted
sums, where ``from_logits``) and targets y. ``reduction`` then takes the mean or the sum over
samples. The gradient of every engine is the gradient of exactly this number.
"""

from dataclasses import dataclass, replace

from fastnn.names import find


@dataclass(frozen=True)
class Loss:
    """One loss function."""

    name: str
    #: What a kernel knows it by.
    code: int
    #: For the reader: the loss of one sample with m outputs, and its derivative with respect to
    #: ŷ_j, or to z_j where ``from_logits``.
    formula: str
    gradient: str
    #: "real": any finite numbers; "unit": in [0, 1]; "classes": class numbers or rows of
    #: probabilities; "counts": numbers of at least 0; "signs": -1 or 1.
    targets: str
    #: The output activation it is made for.
    output_activation: str
    #: True when it is computed from z, which needs exactly that output activation.
    from_logits: bool
    #: How many outputs speak of one target; with "quantile", so many for each quantile.
    outputs_per_target: int = 1
    #: Whether a target may be NaN: then its output's part is 0, and so is the gradient.
    missing: bool = False


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("half_squared_error", 0, "½ Σ_j (ŷ_j - y_j)²", "ŷ_j - y_j",
             "real", "identity", False),
        Loss("squared_error", 1, "(1/m) Σ_j (ŷ_j - y_j)²", "(2/m) (ŷ_j - y_j)",
             "real", "identity", False),
        Loss("binary_cross_entropy", 2, "(1/m) Σ_j log(1 + exp(z_j)) - y_j z_j",
             "(1/m) (ŷ_j - y_j)", "unit", "sigmoid", True),
        Loss("cross_entropy", 3, "log Σ_k exp(z_k) - Σ_j y_j z_j", "ŷ_j - y_j",
             "classes", "softmax", True),
        Loss("absolute_error", 4, "(1/m) Σ_j |ŷ_j - y_j|", "(1/m) sign(ŷ_j - y_j)",
             "real", "identity", False),
        Loss("huber", 5, "(1/m) Σ_j ½ d² if |d| < 1 else |d| - ½, d = ŷ_j - y_j",
             "(1/m) max(-1, min(d, 1))", "real", "identity", False),
        Loss("poisson", 6, "(1/m) Σ_j exp(z_j) - y_j z_j + y_j log y_j - y_j", "(1/m) (ŷ_j - y_j)",
             "counts", "exp", True),
        Loss("hinge", 7, "(1/m) Σ_j max(0, 1 - y_j ŷ_j)", "(1/m) (-y_j if y_j ŷ_j < 1 else 0)",
             "signs", "identity", False),
        Loss("gaussian_nll", 8,
             "(1/m) Σ_j ½ (s_j + (z_j - y_j)² exp(-s_j)), m targets, s_j = z_(m+j)",
             "(1/m) (z_j - y_j) exp(-s_j), for s_j (1/m) ½ (1 - (z_j - y_j)² exp(-s_j))",
             "real", "identity", True, outputs_per_target=2),
        Loss("quantile", 9, "(1/m) Σ_j max(q_j (y_j - z_j), (q_j - 1) (y_j - z_j))",
             "(1/m) (1 - q_j if z_j > y_j else -q_j if z_j < y_j else 0)",
             "real", "identity", True),
    )
}  # fmt: skip


#: The cross-entropies as scikit-learn reports them, for its estimators alone: it takes the
#: logarithms of probabilities clipped to [ε, 1 - ε], with the dtype's ε, but the gradient of the
#: loss that is not clipped. Targets are 0 or 1. Not in the python engine.
CLIPPED = {
    name: replace(LOSSES[name], name=f"clipped_{name}", code=100 + LOSSES[name].code)
    for name in ("binary_cross_entropy", "cross_entropy")
}


#: What the code of a loss is raised by where targets may be missing.
MISSING = 200
#: The losses that do not come apart into those of single outputs.
COUPLED = ("cross_entropy", "gaussian_nll", "quantile")


def get_loss(name: str, missing: str = "raise") -> Loss:
    """Look up a loss by name; ValueError or TypeError when there is none.

    With *missing* "ignore", the one for targets of which some may be NaN.
    """
    loss: Loss = find(name, LOSSES, "loss")
    if find(missing, {"raise": False, "ignore": True}, "missing"):
        if loss.name in COUPLED:
            raise ValueError(
                f"missing='ignore' needs a loss that is a sum over outputs, got {loss.name!r}: "
                "leave such samples out, or give them the weight 0"
            )
        return replace(loss, code=MISSING + loss.code, missing=True)
    return loss
