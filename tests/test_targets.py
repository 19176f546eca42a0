"""What targets the losses of counts and signs take."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn

X = np.ones((3, 1))


def loss_of(loss, y):
    return fastnn.Network([1, 1], loss=loss, seed=1, engine="numpy").evaluate(X, y, metrics=[])


def test_hinge_turns_0_and_1_into_signs():
    assert loss_of("hinge", [0, 1, 1]) == loss_of("hinge", [-1, 1, 1])
    assert loss_of("hinge", [False, False, False]) == loss_of("hinge", [-1, -1, -1])


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("hinge", [0, 1, 2], "y must be -1 and 1 .or 0 and 1. for loss 'hinge', got 2"),
        ("hinge", [0, 1, -1], "got both 0 and -1"),
        ("poisson", [0, 1, -2], "y must be at least 0 for loss 'poisson', got values from -2 to 1"),
    ],
)
def test_other_targets_are_refused(loss, y, message):
    with pytest.raises(ValueError, match=message):
        loss_of(loss, y)


def test_poisson_takes_any_number_from_0():
    assert np.isfinite(loss_of("poisson", [0, 0.5, 1e6])["loss"])
