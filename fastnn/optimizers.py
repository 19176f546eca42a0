"""The optimisers, as data. What each does to the parameters is the engines' business."""

from dataclasses import dataclass

from fastnn import validation
from fastnn.names import find


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: ``parameters -= learning_rate * gradient``.

    Parameters
    ----------
    learning_rate : float
        Step size, above zero.
    """

    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        rate = validation.positive(self.learning_rate, "learning_rate")
        object.__setattr__(self, "learning_rate", rate)


OPTIMIZERS = {"sgd": SGD}


def get_optimizer(optimizer: object, learning_rate: object) -> SGD:
    """The optimiser that ``fit`` was asked for: by name with a rate, or ready made."""
    if isinstance(optimizer, SGD):
        if learning_rate is not None:
            raise ValueError(
                f"learning_rate={learning_rate!r} was given beside an optimizer object that has "
                f"its own ({optimizer.learning_rate!r}); give one of the two"
            )
        return optimizer
    kind = find(optimizer, OPTIMIZERS, "optimizer")
    return (
        kind()
        if learning_rate is None
        else kind(validation.positive(learning_rate, "learning_rate"))
    )
