"""Exceptions of fastnn's own. Bad arguments raise the built-in ValueError and TypeError."""


class TrainingDivergedError(ArithmeticError):
    """The training loss is no longer a finite number.

    The network keeps the last finite parameters, and its ``history`` the epochs before this one.

    Attributes
    ----------
    epoch : int
        The epoch, counted from 1, in which it happened.
    learning_rate : float
        The highest learning rate used in that epoch.
    schedule : object
        The learning-rate schedule that it came from, or None.
    """

    def __init__(self, epoch: int, learning_rate: float, schedule: object = None):
        self.epoch = epoch
        self.learning_rate = learning_rate
        self.schedule = schedule
        origin = "" if schedule is None else f" by {schedule!r}"
        super().__init__(
            f"training diverged in epoch {epoch}: the loss or a parameter is no longer finite. "
            "The network keeps its last finite parameters. Try a smaller learning_rate "
            f"(it was {learning_rate:g}{origin}), or scale X, and a y of large numbers, to mean 0 "
            "and standard deviation 1."
        )

    def __reduce__(self) -> tuple[type, tuple[int, float, object]]:
        return type(self), (self.epoch, self.learning_rate, self.schedule)


class LoadError(ValueError):
    """A file is not a whole fastnn network of a known version.

    Attributes
    ----------
    path : str
    reason : str
    """

    def __init__(self, path: str, reason: str):
        self.path = path
        self.reason = reason
        super().__init__(f"cannot load a network from {path!r}: {reason}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.path, self.reason)
