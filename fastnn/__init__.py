"""Small neural networks, trained at the speed of the machine."""

from fastnn._version import __version__
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.network import Network
from fastnn.optimizers import SGD
from fastnn.stopping import EarlyStopping

__all__ = [
    "SGD",
    "EarlyStopping",
    "History",
    "Network",
    "TrainingDivergedError",
    "__version__",
]
