"""Which networks of one hidden layer go in one sweep, and how many units at once."""

import pytest

from fastnn.kernels import one_hidden


@pytest.mark.parametrize(
    ("bits", "sizes", "itemsize", "by_rule", "units"),
    [
        (512, (3, 8, 1), 8, False, 8),
        (512, (3, 9, 1), 8, False, 16),
        (512, (10, 32, 3), 8, False, 32),
        (512, (11, 32, 3), 8, False, 16),
        (512, (11, 32, 3), 8, True, 32),
        (512, (3, 40, 1), 8, True, 16),
        (512, (3, 56, 1), 8, False, 32),
        (512, (3, 56, 1), 4, False, 64),
        (256, (3, 16, 1), 8, False, 16),
        (128, (11, 16, 1), 4, False, 8),
    ],
)
def test_how_many_units_at_once(bits, sizes, itemsize, by_rule, units, registers_of):
    """Two registers, or four that are nearly full: of few inputs, or by a rule."""
    registers_of(bits)
    assert one_hidden.lanes_for(sizes, itemsize, by_rule) == units


@pytest.mark.parametrize(
    ("sizes", "plain", "by_rule"),
    [
        ((10, 32, 3), True, True),
        ((32, 12, 3), True, True),
        ((24, 24, 24), True, False),
        ((100, 12, 10), True, False),
        ((16, 14, 128), False, False),
        ((784, 2, 10), False, False),
    ],
)
def test_few_units_beside_many_outputs_or_inputs_go_layer_by_layer(
    sizes, plain, by_rule, registers_of
):
    registers_of(512)
    assert one_hidden.pays(sizes, 8) == plain
    assert one_hidden.pays(sizes, 8, by_rule=True) == by_rule
