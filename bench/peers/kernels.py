"""The numba engine without ``fit`` around it: no checks, no history, no way to interrupt it.

What ``fit`` costs is the difference to the contestant ``numba``.
"""

import numpy as np

import fastnn
from bench.contest import Entry
from bench.problems import Problem
from fastnn.engines import Piece, Samples, get_engine


def train(problem: Problem, engine: str) -> Entry:
    """All epochs in one call."""
    net: fastnn.Network = problem.network(engine)
    samples = Samples(problem.X, problem.Y)
    trainer = get_engine(engine).trainer(net._architecture, samples, problem.batch_size)
    in_order = np.empty((0, problem.n), np.int64)
    piece = Piece(
        np.full(problem.epochs, problem.rate), in_order, 0, problem.n, np.zeros(problem.epochs)
    )
    return Entry(lambda: trainer.run(net.parameters, piece), lambda: net.parameters, {})
