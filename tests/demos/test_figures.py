import pytest

from fastnn.demos.figures import computed, elsewhere, printed, several


@pytest.mark.parametrize(
    ("given", "ours", "matches"),
    [
        ("0.123", 0.12349, True),
        ("0.123", 0.12351, False),
        ("-22.644516", -22.6445155001, True),
        ("-22.644516", -22.6445154999, False),
        ("0.5", 0.5499, True),
        ("1667", 1667.6, False),
        ("0.7388500060842489", 0.7388500060842490, True),  # a rounding of float64
        ("0.7388500060842489", 0.7388500060842499, False),
    ],
)
def test_half_a_unit_of_the_last_digit_is_allowed(given, ours, matches):
    assert printed("x", given, ours).matches is matches
    assert computed("x", given, ours).matches is matches


def test_a_full_figure_is_compared_in_full_and_shown_in_twelve_digits():
    figure = computed("x", "0.0026752044076786266", 0.0026752044076, relative=1e-9)
    assert figure.matches
    assert figure.as_text() == ("0.00267520440768", "0.00267520440760")
    assert not computed("x", "0.0026752044076786266", 0.002675204412, relative=1e-9).matches


def test_a_printed_figure_is_shown_with_every_digit():
    figure = printed("x", "0.30266034739773895", 0.25)
    assert figure.as_text() == ("0.30266034739773895", "0.25000000000000000")


def test_an_order_of_magnitude():
    figure = printed("x", "1e-16", 6.9e-17, allowed=9e-16)
    assert figure.matches
    assert figure.as_text() == ("1e-16", "7e-17")
    assert not printed("x", "1e-16", 1e-14, allowed=9e-16).matches


def test_float32_allows_one_rounding_of_float32():
    assert printed("x", "0.13343701", 0.1334370, single=True).matches
    assert not printed("x", "0.13343701", 0.1334370).matches
    assert not printed("x", "0.13343701", 0.1334372, single=True).matches
    assert printed("x", "-5.9958787", -5.9958781, single=True).matches


def test_not_a_number_is_a_miss():
    assert not printed("x", "0.5", float("nan")).matches
    assert not elsewhere("x", 0.5, float("nan"), relative=1.0).matches


def test_several_takes_a_line_apart_and_refuses_a_number_too_few():
    figures = several(printed, "ab", "0.5 0.25", [[0.5], [0.3]])
    assert [figure.name for figure in figures] == ["a", "b"]
    assert [figure.matches for figure in figures] == [True, False]
    with pytest.raises(ValueError, match="shorter"):
        several(printed, "ab", "0.5 0.25", [0.5])
