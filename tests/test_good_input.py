"""Every form in which good data may come gives the same bits."""

from __future__ import annotations

import fractions

import numpy as np
import pandas as pd
import pytest
from refusals import CLASSES, NAN

import fastnn

# What just works: the same bits as from the plain array.
PLAIN_X = np.array([[0.0, 1.0], [2.0, -3.0], [0.5, 0.25], [-1.0, 4.0], [3.0, 3.0]])
PLAIN_Y = np.array([0.5, -1.0, 2.0, 0.0, 1.0])


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def strided(a: np.ndarray) -> np.ndarray:
    wide = np.full((*a.shape[:-1], 3 * a.shape[-1]), NAN)
    wide[..., ::3] = a
    return wide[..., ::3]


GOOD_FORMS = {
    "lists": np.ndarray.tolist,
    "lists of arrays": list,
    "tuples": lambda a: tuple(map(tuple, a)) if a.ndim == 2 else tuple(a),
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "reversed view": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(">f8"),
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "longdouble": lambda a: a.astype(np.longdouble),
    "masked array without masked values": np.ma.array,
    "pandas": lambda a: pd.DataFrame(a) if a.ndim == 2 else pd.Series(a),
    "pandas, other labels": lambda a: (
        pd.DataFrame(a, columns=["b", "a"], index=range(9, 4, -1)) if a.ndim == 2
        else pd.Series(a, index=list("vwxyz"))
    ),
    "pandas, nullable": lambda a: (
        pd.DataFrame(a).astype("Float64") if a.ndim == 2 else pd.Series(a).astype("Float64")
    ),
}  # fmt: skip


def outcome(engine: str, X, y, **options) -> tuple:
    """Everything that comes out of a network that is trained on X and y."""
    n_in, loss = options.pop("n_in", 2), options.pop("loss", "half_squared_error")
    net = fastnn.Network([n_in, 3, 1], loss=loss, seed=3, engine=engine)
    history = net.fit(X, y, epochs=3, batch_size=2, learning_rate=0.1, **options)
    loss_value, gradient = net.loss_and_gradient(X, y)
    return (
        net.parameters.tobytes(), history.loss, history.val_loss, net.predict(X).tobytes(),
        [a.tobytes() for a in net.layer_outputs(X)], net.evaluate(X, y),
        loss_value, gradient.tobytes(),
    )  # fmt: skip


@pytest.mark.parametrize("form", GOOD_FORMS)
def test_every_form_of_array_gives_the_same_bits(engine, form):
    shape = GOOD_FORMS[form]
    plain = outcome(engine, PLAIN_X, PLAIN_Y, validation_data=(PLAIN_X, PLAIN_Y))
    X, y = shape(PLAIN_X), shape(PLAIN_Y)
    assert outcome(engine, X, y, validation_data=[X, y]) == plain


@pytest.mark.parametrize("dtype", [int, np.int8, np.uint16, ">i4", bool])
def test_whole_numbers_and_booleans_give_the_same_bits_as_floats(engine, dtype):
    X = np.array([[0, 1], [1, 1], [1, 0]])
    y = np.array([1, 0, 1])
    plain = outcome(engine, X.astype(float), y.astype(float))
    assert outcome(engine, X.astype(dtype), y.astype(dtype)) == plain


def test_memory_mapped_arrays_give_the_same_bits(engine, tmp_path):
    np.save(tmp_path / "X.npy", PLAIN_X)
    np.save(tmp_path / "y.npy", PLAIN_Y)
    X, y = (np.load(tmp_path / name, mmap_mode="r") for name in ("X.npy", "y.npy"))
    assert isinstance(X, np.memmap)
    assert outcome(engine, X, y) == outcome(engine, PLAIN_X, PLAIN_Y)


def test_a_column_of_targets_is_the_same_as_a_flat_list(engine):
    flat = outcome(engine, PLAIN_X, PLAIN_Y)
    assert outcome(engine, PLAIN_X, PLAIN_Y[:, None]) == flat
    assert outcome(engine, PLAIN_X, pd.DataFrame({"y": PLAIN_Y})) == flat


def test_flat_inputs_are_one_column(engine):
    x = PLAIN_X[:, 0]
    flat = outcome(engine, x, PLAIN_Y, n_in=1)
    assert outcome(engine, x[:, None], PLAIN_Y, n_in=1) == flat
    assert outcome(engine, pd.Series(x), PLAIN_Y, n_in=1) == flat


def test_a_frame_of_mixed_numbers_and_booleans_works():
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5], "b": [True, False, True]})
    X = np.array([[0.5, 1], [1.5, 0], [2.5, 1]])
    assert outcome("numpy", frame, [1, 2, 3]) == outcome("numpy", X, [1, 2, 3])


def test_a_frame_of_nullable_numbers_without_gaps_works():
    frame = pd.DataFrame({"a": pd.array([1, 2, 3], "Int64"), "b": pd.array([0.5, 1, 2], "Float64")})
    X = np.array([[1, 0.5], [2, 1], [3, 2]])
    assert outcome("numpy", frame, [1, 2, 3]) == outcome("numpy", X, [1, 2, 3])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_class_numbers_are_the_same_as_one_hot_rows(dtype):
    def trained(y):
        net = fastnn.Network([2, 3, 3], loss=CLASSES, seed=3, engine="numpy", dtype=dtype)
        net.fit(PLAIN_X, y, epochs=3, batch_size=2)
        return net.parameters.tobytes()

    classes = [0, 2, 1, 1, 0]
    assert trained(classes) == trained(np.eye(3)[classes])


def test_the_users_arrays_are_left_as_they_were(engine):
    X, y = PLAIN_X.copy(), PLAIN_Y.copy()
    net = fastnn.Network([2, 3, 1], seed=3, engine=engine)
    net.fit(X, y, epochs=5, batch_size=2)
    net.loss_and_gradient(X, y)
    assert X.tobytes() == PLAIN_X.tobytes()
    assert y.tobytes() == PLAIN_Y.tobytes()
    assert X.flags.writeable
    assert y.flags.writeable


@pytest.mark.parametrize(
    "rate",
    [1, np.float32(0.5), np.float64(0.5), np.int64(1), fractions.Fraction(1, 2)],
    ids=lambda rate: type(rate).__name__,
)
def test_every_kind_of_number_is_the_same_rate(engine, rate):
    def trained(**options):
        net = fastnn.Network([2, 3, 1], seed=3, engine=engine)
        net.fit(PLAIN_X, PLAIN_Y, epochs=3, **options)
        return net.parameters.tobytes()

    plain = trained(learning_rate=float(rate))
    assert trained(learning_rate=rate) == plain
    assert trained(optimizer=fastnn.SGD(rate)) == plain


def test_numpy_whole_numbers_are_taken_for_sizes_epochs_and_batches(engine):
    def trained(k):
        net = fastnn.Network([k(2), k(3), k(1)], seed=k(3), engine=engine)
        history = net.fit(PLAIN_X, PLAIN_Y, epochs=k(3), batch_size=k(2))
        return net.parameters.tobytes(), history.loss

    assert trained(np.int32) == trained(int)


def test_a_batch_larger_than_the_data_is_the_whole_data(engine):
    def trained(batch_size):
        net = fastnn.Network([2, 3, 1], seed=3, engine=engine)
        history = net.fit(PLAIN_X, PLAIN_Y, epochs=3, batch_size=batch_size)
        return net.parameters.tobytes(), history.loss

    assert trained(10**30) == trained(None) == trained(5)
