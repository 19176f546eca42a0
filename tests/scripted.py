"""An engine that computes no network: losses go up and down as they lie in a table.

For tests of the training loop alone, which stops, cuts, goes back and looks at rates whatever the
numbers are. Like every engine it makes the same of any cut of an epoch, and shows in the parameters
what it was given: every row, in its order, and every rate.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fastnn.engines import StopsToRecord, losses_one_by_one, outputs_one_by_one
from fastnn.reference import vectors

#: Losses of a sample, update by update and then again from the start; they fall, and not steadily.
LOSSES = (np.linspace(1.0, 0.8, 997) + np.random.default_rng(5).uniform(-0.1, 0.1, 997)).tolist()

may_be_left = False
blocks = None
row_seconds, learner, shuffler = vectors.row_seconds, vectors.learner, vectors.shuffler


class Trainer(StopsToRecord):
    """Loses what the table says, and moves each parameter by rate, rows and places."""

    def __init__(self, plan):
        self.batch_size = plan.batch_size

    def run(self, state, samples, piece):
        for epoch, rates in enumerate(piece.rates.tolist()):
            order = piece.order[epoch] if len(piece.order) else np.arange(len(samples))
            starts = range(piece.start, piece.stop, self.batch_size)
            for k, start in enumerate(starts):
                rows = order[start : min(start + self.batch_size, piece.stop)]
                piece.loss_sums[epoch] += len(rows) * LOSSES[int(state.updates[0]) % len(LOSSES)]
                state.parameters *= 0.99
                state.parameters += rates[k % len(rates)] * 1e-3 * rows.dot(range(1, 1 + len(rows)))
                state.updates[0] += 1


def trainer(architecture, plan):
    return Trainer(plan)


def evaluator(architecture, weighted, sparse=False):
    """A loss that depends on the parameters, however little they move."""
    return lambda parameters, samples: len(samples) * (1.5 + float(np.sin(1e3 * parameters.sum())))


def predictor(architecture, sparse=False):
    n_out = architecture.sizes[-1]
    return lambda parameters, X: np.full((len(X), n_out), np.sin(1e3 * parameters.sum()))


each_loss = partial(losses_one_by_one, evaluator)
each_output = partial(outputs_one_by_one, predictor)
