"""``fastnn.warmup``."""

import pytest
from numba.core import event

import fastnn


def test_afterwards_nothing_is_compiled():
    net = fastnn.Network([2, 3, 1], seed=0)
    assert fastnn.warmup(net) >= 0
    X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0]
    with event.install_recorder("numba:compile") as compiled:
        net.fit(X, y, batch_size=1, validation_data=(X, y))
        net.fit(X, y, batch_size=2)
    assert [text for _, text in compiled.buffer] == []


def test_it_changes_no_parameter():
    net = fastnn.Network([2, 3, 1], seed=0)
    before = net.parameters.tobytes()
    fastnn.warmup(net)
    assert net.parameters.tobytes() == before


@pytest.mark.parametrize(
    ("networks", "options", "error", "named"),
    [
        (("net",), {}, TypeError, "got str"),
        ((), {"batch_sizes": [0]}, ValueError, "batch_sizes"),
        ((), {"batch_sizes": ["1"]}, TypeError, "batch_sizes"),
    ],
)
def test_bad_arguments_are_named(networks, options, error, named):
    with pytest.raises(error, match=named):
        fastnn.warmup(*networks, **options)
