"""Each check by itself. What a user meets through the public methods is in test_bad_*.py."""

from __future__ import annotations

import decimal
import fractions

import numpy as np
import pytest

from fastnn import arrays, validation
from fastnn.losses import LOSSES

FLOAT64 = np.dtype(np.float64)
FLOAT32 = np.dtype(np.float32)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integer_gives_a_python_int(value):
    got = validation.integer(value, "k", 1)
    assert type(got) is int
    assert got == 3


@pytest.mark.parametrize(
    "value", [3.0, "3", None, True, np.True_, 3j, [3], np.array(3.0), decimal.Decimal(3), np.nan]
)
def test_integer_refuses_what_is_not_a_whole_number(value):
    with pytest.raises(TypeError, match=r"^k must be a whole number, got .*"):
        validation.integer(value, "k", 1)


def test_a_message_is_to_be_read_and_not_a_dump_of_what_came():
    with pytest.raises(TypeError, match=r"^k must be a whole number, got list") as error:
        validation.integer(list(range(100_000)), "k", 1)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("value", [0, -1, np.int64(-5), -(10**30)])
def test_integer_refuses_what_is_too_small(value):
    with pytest.raises(ValueError, match=rf"^k must be at least 1, got {value}$"):
        validation.integer(value, "k", 1)


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.float64(2), np.int8(2), fractions.Fraction(2)]
)
def test_real_gives_a_python_float(value):
    got = validation.real(value, "a")
    assert type(got) is float
    assert got == 2.0


@pytest.mark.parametrize("value", ["2", None, True, np.False_, 2j, [2.0], np.array(2.0)])
def test_real_refuses_what_is_not_a_number(value):
    with pytest.raises(TypeError, match=r"^a must be a number, got .*"):
        validation.real(value, "a")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32(np.inf)])
def test_real_refuses_what_is_not_finite(value):
    with pytest.raises(ValueError, match=r"^a must be finite, got (nan|-?inf)"):
        validation.real(value, "a")


@pytest.mark.parametrize(
    "value", [10**400, fractions.Fraction(10**400), -(10**400)], ids=["int", "Fraction", "negative"]
)
def test_real_refuses_what_no_float_can_hold(value):
    with pytest.raises(ValueError, match=r"^a must be "):
        validation.real(value, "a")


@pytest.mark.parametrize("value", [0, 0.0, -0.0, -1e-300])
def test_positive_refuses_zero_and_less(value):
    with pytest.raises(ValueError, match=rf"^a must be above 0, got {value}$"):
        validation.positive(value, "a")


def test_positive_takes_the_smallest_float():
    assert validation.positive(5e-324, "a") == 5e-324


def test_non_negative_takes_zero_but_nothing_below():
    assert validation.non_negative(0, "a") == 0.0
    with pytest.raises(ValueError, match=r"^a must be at least 0, got -1e-300$"):
        validation.non_negative(-1e-300, "a")


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_boolean_gives_a_python_bool(value):
    assert validation.boolean(value, "flag") is bool(value)


@pytest.mark.parametrize("value", [1, 0, "True", None, 1.0, []])
def test_boolean_refuses_the_rest(value):
    with pytest.raises(TypeError, match=r"^flag must be True or False, got "):
        validation.boolean(value, "flag")


@pytest.mark.parametrize("value", [[2, 3, 1], (2, 3, 1), np.array([2, 3, 1]), range(3, 0, -1)])
def test_layer_sizes_gives_a_tuple_of_python_ints(value):
    got = validation.layer_sizes(value)
    assert got == tuple(int(v) for v in value)
    assert all(type(size) is int for size in got)


@pytest.mark.parametrize("value", [5, None, "2,1", b"21", {2, 1}, {2: 1}, 2.0, np.array(5)])
def test_layer_sizes_refuses_what_is_no_list(value):
    with pytest.raises(TypeError, match=r"^layer_sizes must be a list of whole numbers"):
        validation.layer_sizes(value)


@pytest.mark.parametrize("value", [[], [3], (1,), np.array([], int)])
def test_layer_sizes_refuses_fewer_than_two(value):
    with pytest.raises(ValueError, match=r"^layer_sizes must name at least .*, got \["):
        validation.layer_sizes(value)


@pytest.mark.parametrize(
    ("value", "error", "where"),
    [
        ([2, 0, 1], ValueError, 1),
        ([-2, 1], ValueError, 0),
        ([2, 1.0], TypeError, 1),
        ([2, True], TypeError, 1),
        ([2, "1"], TypeError, 1),
        ([2, None, 1], TypeError, 1),
        ([[2, 1], [1, 1]], TypeError, 0),
        (np.array([2.0, 1.0]), TypeError, 0),
        (np.array([[2, 1], [1, 1]]), TypeError, 0),
    ],
)
def test_layer_sizes_names_the_bad_entry(value, error, where):
    with pytest.raises(error, match=rf"^layer_sizes\[{where}\] must be .*, got "):
        validation.layer_sizes(value)


@pytest.mark.parametrize("value", ["float64", np.float64, np.dtype("f8"), float, "float", "d"])
def test_float_dtype_knows_float64_by_its_names(value):
    assert validation.float_dtype(value) == FLOAT64


@pytest.mark.parametrize("value", ["float32", np.float32, np.dtype("f4")])
def test_float_dtype_knows_float32_by_its_names(value):
    assert validation.float_dtype(value) == FLOAT32


@pytest.mark.parametrize(
    "value",
    ["float16", "int64", int, None, complex, np.longdouble, ">f8", "doubel", "", 64, [],
     "f8,", "(", {"names": ["a"], "formats": ["f8"]}, {"a": 1}, object()],
)  # fmt: skip
def test_float_dtype_refuses_the_rest(value):
    with pytest.raises(
        (ValueError, TypeError), match=r"^dtype must be 'float32' or 'float64', got"
    ):
        validation.float_dtype(value)


@pytest.mark.parametrize("value", [7, np.int64(7), np.uint32(7)])
def test_generator_from_a_whole_number(value):
    assert validation.generator(value).random() == np.random.default_rng(7).random()


def test_generator_hands_back_the_same_generator():
    rng = np.random.default_rng(1)
    assert validation.generator(rng) is rng


def test_generator_from_none_differs_each_time():
    assert validation.generator(None).random() != validation.generator(None).random()


@pytest.mark.parametrize(
    "value", [1.0, "1", True, np.True_, [1, 2], np.random.RandomState(1), np.random, 1j]
)
def test_generator_refuses_the_rest(value):
    with pytest.raises(TypeError, match=r"^seed must be a whole number, a numpy.random.Generator"):
        validation.generator(value)


def test_generator_refuses_a_negative_seed():
    with pytest.raises(ValueError, match=r"^seed must be at least 0, got -1$"):
        validation.generator(-1)


# Arrays: what is copied and what comes out.


def features(X, n_in=2, dtype=FLOAT64):
    return validation.features(X, n_in, dtype)


@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_features_does_not_copy_what_is_as_it_should_be(dtype):
    X = np.ones((5, 2), dtype)
    assert np.shares_memory(features(X, dtype=dtype), X)


def test_features_does_not_copy_a_memory_mapped_array(tmp_path):
    X = np.memmap(tmp_path / "X.bin", np.float64, "w+", shape=(50, 2))
    X[:] = 1.5
    X.flush()
    mapped = np.memmap(tmp_path / "X.bin", np.float64, "r", shape=(50, 2))
    assert np.shares_memory(features(mapped), mapped)


def test_targets_do_not_copy_what_is_as_it_should_be():
    y = np.ones(5)
    got = validation.targets(y, 5, LOSSES["squared_error"], 1, FLOAT64)
    assert got.shape == (5, 1)
    assert np.shares_memory(got, y)


@pytest.mark.parametrize(
    "X",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]], np.int8),
        np.array([[1, 2], [3, 4]], ">f8"),
        np.array([[1, 2], [3, 4]], np.float16),
        np.array([[1, 2], [3, 4]], np.longdouble),
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1.0, 9, 2, 9], [3.0, 9, 4, 9]])[:, ::2],
        np.array([[3.0, 4.0], [1.0, 2.0]])[::-1],
        np.ma.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1.0, 2.0], [3.0, 4.0]]).view(type("Mine", (np.ndarray,), {})),
    ],
)
@pytest.mark.parametrize("dtype", [FLOAT64, FLOAT32])
def test_features_brings_every_array_into_one_form(X, dtype):
    got = features(X, dtype=dtype)
    assert type(got) is np.ndarray
    assert got.dtype == dtype
    assert got.dtype.isnative
    assert got.flags.c_contiguous
    assert got.flags.aligned
    assert not got.flags.writeable
    assert got.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_features_aligns_an_unaligned_array():
    raw = np.zeros(4 * 8 + 1, np.uint8)
    X = np.frombuffer(raw.data, np.float64, 4, offset=1).reshape(2, 2)
    assert not X.flags.aligned
    assert features(X).flags.aligned


def test_features_leaves_the_users_array_writable():
    X = np.ones((5, 2))
    features(X)
    assert X.flags.writeable


def test_features_takes_a_flat_list_for_one_input():
    assert features([1, 2, 3], n_in=1).shape == (3, 1)


@pytest.mark.parametrize("block", [1, 3, 4, 1 << 18])
@pytest.mark.parametrize("position", [0, 2, 3, 6, 7])
def test_the_finite_check_finds_every_place(monkeypatch, block, position):
    monkeypatch.setattr(arrays, "_BLOCK_ELEMENTS", block)
    X = np.zeros((4, 2))
    X.flat[position] = -np.inf
    i, j = divmod(position, 2)
    with pytest.raises(ValueError, match=rf"got X\[{i}, {j}\] = -inf$"):
        features(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [9, arrays._BLAS_ALONE, arrays._BLAS_ALONE + 1, 300_000])
def test_of_any_number_of_numbers_is_known_whether_they_are_finite(n, dtype):
    with np.errstate(all="raise"):
        large = np.full(n, 0.9 * np.finfo(dtype).max, dtype)  # its sum and squares overflow
        assert arrays.all_finite(large)
        assert arrays.all_finite(large * np.where(np.arange(n) % 2, 1, -1).astype(dtype))
        for values in ([np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]):
            for position in (0, n // 2, n - len(values)):
                numbers = np.zeros(n, dtype)
                numbers[position : position + len(values)] = values
                assert not arrays.all_finite(numbers)


def test_the_finite_check_tells_overflow_from_infinity():
    with pytest.raises(ValueError, match=r"got X\[0, 1\] = 1e\+39, too large for float32$"):
        features([[0.0, 1e39]], dtype=FLOAT32)
    with pytest.raises(ValueError, match=r"got X\[0, 1\] = inf$"):
        features([[0.0, np.inf]], dtype=FLOAT32)


def test_a_longdouble_too_large_for_float64_is_refused():
    X = np.array([["1e4000", "1"]], np.longdouble)
    if not np.isfinite(X).all():
        pytest.skip("longdouble is float64 on this platform")
    with pytest.raises(ValueError, match=r"X must be finite, got X\[0, 0\].*too large for float64"):
        features(X)


@pytest.mark.parametrize(
    "classes",
    [[0, 2, 1], [0.0, 2.0, 1.0], np.array([0, 2, 1], np.uint8), np.array([0, 2, 1], np.int8),
     np.array([0, 2, 1], ">i4")],
)  # fmt: skip
def test_class_numbers_become_one_hot_rows(classes):
    got = validation.targets(classes, 3, LOSSES["cross_entropy"], 3, FLOAT32)
    assert got.dtype == FLOAT32
    assert got.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_class_numbers_of_small_types_with_more_classes_than_the_type_holds():
    classes = np.array([255, 0], np.uint8)
    got = validation.targets(classes, 2, LOSSES["cross_entropy"], 300, FLOAT64)
    assert got.argmax(axis=1).tolist() == [255, 0]


def test_booleans_are_class_numbers():
    got = validation.targets([True, False], 2, LOSSES["cross_entropy"], 2, FLOAT64)
    assert got.tolist() == [[0, 1], [1, 0]]


def test_rows_of_probabilities_pass_if_they_sum_to_one_within_rounding():
    rows = np.full((1, 7), 1 / 7, np.float32)
    got = validation.targets(rows, 1, LOSSES["cross_entropy"], 7, FLOAT64)
    assert got.tolist() == rows.astype(float).tolist()


def test_finite_parameters_names_the_place():
    with pytest.raises(ValueError, match=r"^parameters must be finite, got parameters\[1\] = inf"):
        validation.finite_parameters(np.array([0.0, np.inf, np.nan]))
