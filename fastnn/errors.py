"""Exceptions of fastnn's own. Bad arguments raise the built-in ValueError and TypeError."""


class TrainingDivergedError(ArithmeticError):
    """The training loss is no longer a finite number.

    The network keeps the last finite parameters.

    Attributes
    ----------
    epoch : int
        The epoch, counted from 1, in which it happened.
    """

    def __init__(self, epoch: int, learning_rate: float):
        self.epoch = epoch
        self.learning_rate = learning_rate
        super().__init__(
            f"training diverged in epoch {epoch}: the loss or a parameter is no longer finite. "
            "The network keeps its last finite parameters. Try a smaller learning_rate "
            f"(it was {learning_rate:g}), or scale X to mean 0 and standard deviation 1."
        )

    def __reduce__(self) -> tuple[type, tuple[int, float]]:
        return type(self), (self.epoch, self.learning_rate)
