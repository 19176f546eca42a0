"""Where training stands in its learning-rate schedule, and the rates that come next."""

from dataclasses import dataclass, field

import numpy as np

from fastnn.schedules import CountedSchedule, ReduceOnPlateau, Schedule


@dataclass
class Clock:
    """What a learning-rate schedule goes by, and all that it needs to go on."""

    #: Shape (2,), int64: updates and epochs since the schedule began.
    steps: np.ndarray = field(default_factory=lambda: np.zeros(2, np.int64))
    #: Shape (3,), float64: what `fastnn.ReduceOnPlateau` remembers. What the rate is multiplied by,
    #: the best value (times -1 if higher is better), and for how many epochs it has waited for a
    #: better one.
    plateau: np.ndarray = field(default_factory=lambda: np.array([1.0, np.inf, 0.0]))

    def copy(self) -> "Clock":
        """A copy to come back to."""
        return Clock(self.steps.copy(), self.plateau.copy())

    def restore(self, other: "Clock") -> None:
        """Become equal to *other*, in place."""
        self.steps[:] = other.steps
        self.plateau[:] = other.plateau

    def restart(self) -> None:
        """Begin anew, in place."""
        self.restore(Clock())


def rates_of_piece(rate: float | Schedule, clock: Clock, epochs: int, updates: int) -> np.ndarray:
    """What `fastnn.contract.Piece.rates` must be for the training that comes next by the *clock*.

    Shape (epochs, 1), or (epochs, updates) for a rate that changes with each of the *updates* in an
    epoch, or in the part of one.
    """
    if not isinstance(rate, CountedSchedule):
        rate = rate.rate_after(clock.plateau) if isinstance(rate, ReduceOnPlateau) else rate
        return np.full((epochs, 1), rate)
    if rate.per == "epoch":
        return rate.rates_from(int(clock.steps[1]), epochs)[:, np.newaxis]
    return rate.rates_from(int(clock.steps[0]), epochs * updates).reshape(epochs, updates)
