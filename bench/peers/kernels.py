"""The numba engine without ``fit`` around it: no checks, no history, no way to interrupt it.

What ``fit`` costs is the difference to the contestant ``numba``.
"""

import numpy as np

import fastnn
from bench.contest import Entry
from bench.problems import Problem
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import get_engine


def train(problem: Problem, engine: str) -> Entry:
    """All epochs in one call."""
    net: fastnn.Network = problem.network(engine)
    samples = Samples(problem.X, problem.Y)
    plan = Plan(problem.batch_size, problem.make_optimizer())
    trainer = get_engine(engine).trainer(net._architecture, plan)
    in_order = np.empty((0, problem.n), np.int64)
    piece = Piece.of_epochs(np.full((problem.epochs, 1), problem.rate), in_order, problem.n)
    state = State.new(net.parameters, plan.optimizer)
    return Entry(lambda: trainer.run(state, samples, piece), lambda: net.parameters, {})
