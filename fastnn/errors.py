"""Exceptions of fastnn's own. Bad arguments raise the built-in ValueError and TypeError."""

from typing import Any


class TrainingDivergedError(ArithmeticError):
    """The training loss is no longer a finite number.

    The network keeps the last finite parameters, and its ``history`` the epochs before this one.

    Attributes
    ----------
    epoch : int
        The epoch, counted from 1, in which it happened.
    learning_rate : float or None
        The highest learning rate used in that epoch; None with L-BFGS, which has none.
    schedule : object
        The learning-rate schedule that it came from, or None.
    networks : tuple of int
        From `fit_many` the numbers of the networks whose training diverged; the rest is about the
        first of them. Else empty.
    """

    networks: tuple[int, ...] = ()

    def __init__(self, epoch: int, learning_rate: float | None, schedule: object = None):
        self.epoch = epoch
        self.learning_rate = learning_rate
        self.schedule = schedule
        advice = "Begin with optimizer='adam'"
        if learning_rate is not None:
            origin = "" if schedule is None else f" by {schedule!r}"
            advice = f"Try a smaller learning_rate (it was {learning_rate:g}{origin})"
        super().__init__(
            f"training diverged in epoch {epoch}: the loss or a parameter is no longer finite. "
            f"The network keeps its last finite parameters. {advice}, or scale X, and a y of large "
            "numbers, to mean 0 and standard deviation 1."
        )

    @classmethod
    def of_many(cls, errors: "dict[int, TrainingDivergedError]", n: int) -> "TrainingDivergedError":
        """Of *n* networks, from the *errors* of some by their numbers."""
        numbers = tuple(sorted(errors))
        first = errors[numbers[0]]
        error = cls(first.epoch, first.learning_rate, first.schedule)
        error.networks = numbers
        shown = ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")
        error.args = (
            f"of {n} networks {len(numbers)} diverged, and keep their last finite parameters: "
            f"numbers {shown}. Of number {numbers[0]}: {first}",
        )
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(kind: type, arguments: tuple[Any, ...], attributes: dict[str, Any]) -> Exception:
    error: Exception = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


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
