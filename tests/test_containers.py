"""What lists, arrays of objects and data frames may hide from NumPy: masks, dates, matrices."""

from __future__ import annotations

import collections
import datetime
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from helpers import in_turn

import fastnn
from fastnn import arrays

DAY = datetime.date(2020, 1, 1)
MASKED = np.ma.array([1.0, 2.0], mask=[False, True])
WHOLE = np.ma.array([1.0, 2.0], mask=[False, False])
SPARSE = scipy.sparse.csr_matrix(np.eye(2))
LATER = {
    "date": DAY,
    "datetime": datetime.datetime(2020, 1, 1),
    "timedelta": datetime.timedelta(1),
    "time": datetime.time(1),
    "datetime64": np.datetime64("2020-01-01"),
    "timedelta64": np.timedelta64(1, "s"),
    "Timestamp": pd.Timestamp("2020-01-01"),
    "Timedelta": pd.Timedelta(1),
    "Period": pd.Period("2020"),
    "NaT": pd.NaT,
}


def objects(*entries):
    array = np.empty(len(entries), object)
    array[:] = entries
    return array


class Frame:
    """A frame as polars has them: of columns of several types it makes one array of numbers."""

    def __init__(self, **columns):
        self._columns = {name: np.asarray(column) for name, column in columns.items()}

    @property
    def columns(self):
        return list(self._columns)

    @property
    def dtypes(self):
        return [column.dtype for column in self._columns.values()]

    def __getitem__(self, name):
        return self._columns[name]

    def __array__(self, dtype=None, copy=None):
        columns = self._columns.values()
        return np.array([[0.0 if entry == DAY else entry.astype(float) for entry in column]
                         for column in columns]).T  # fmt: skip


class Records:
    """A series of records."""

    dtype = np.dtype([("a", float), ("b", float)])

    def __array__(self, dtype=None, copy=None):
        return np.ones((2, 2))


CONTAINERS = {
    "list": lambda entry: [entry, entry],
    "tuple": lambda entry: (entry, entry),
    "deque": lambda entry: collections.deque([entry, entry]),
    "nested list": lambda entry: [[entry], [entry]],
    "array of objects": lambda entry: objects(entry, entry),
    "list of arrays of objects": lambda entry: [objects(entry, entry)],
    "with numbers before": lambda entry: [1.0, entry],
    "with numbers after": lambda entry: [[entry, 1], [2, 3]],
}


@in_turn("what", LATER)
@pytest.mark.parametrize("container", [*CONTAINERS, "Series", "Series of objects"])
def test_dates_and_times_are_no_numbers(container, what):
    if container == "Series":
        value = pd.Series([LATER[what]] * 2)
    elif container == "Series of objects":
        value = pd.Series([1, LATER[what]], dtype=object)
    else:
        value = CONTAINERS[container](LATER[what])
    with pytest.raises(TypeError, match=r"^X must hold real numbers, got "):
        arrays.numeric(value, "X")


@pytest.mark.parametrize("what", LATER)
def test_frames_of_numbers_and_dates_are_no_numbers(what):
    frame = pd.DataFrame({"a": [1.0, 2.0], "when": [LATER[what]] * 2})
    for value in (frame, [frame, frame], frame.convert_dtypes()):
        with pytest.raises(TypeError, match=r"^X must hold real numbers, got .*"):
            arrays.numeric(value, "X")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([MASKED, MASKED], r"X\[0\]"),
        ([WHOLE, MASKED], r"X\[1\]"),
        (([1.0, 2.0], MASKED), r"X\[1\]"),
        (collections.deque([MASKED]), r"X\[0\]"),
        ([[WHOLE], [MASKED]], r"X\[1\]\[0\]"),
        ([MASKED[:1], [1.0]], None),
        ([1.0, np.ma.masked], r"X\[1\]"),
        ([[1.0, np.ma.masked]], r"X\[0\]\[1\]"),
        (MASKED, "X"),
    ],
)
@pytest.mark.filterwarnings("ignore:Warning. converting a masked element to nan")
def test_masked_entries_are_found_in_lists(value, named):
    if named is None:
        np.testing.assert_array_equal(arrays.numeric(value, "X"), [[1.0], [1.0]])
        return
    with pytest.raises(ValueError, match=rf"^{named} has masked values: fill or drop them first$"):
        arrays.numeric(value, "X")


class Exotic(collections.abc.Sequence):
    """A sequence that is read as an array, and not by going through it."""

    def __init__(self, error):
        self._error = error

    def __array__(self, dtype=None, copy=None):
        return np.ones((2, 2))

    def __len__(self):
        raise self._error

    __getitem__ = __iter__ = lambda self, *_: self.__len__()


READ_AS_MEMORY = {
    "memoryview of one dimension": memoryview(np.ones(2)),
    "memoryview of two dimensions": memoryview(np.ones((2, 2))),
    "memoryview of no dimension": memoryview(np.ones(())),
    "memoryview in Fortran order": memoryview(np.ones((2, 2), order="F")),
    "memoryview of three dimensions": memoryview(np.ones((2, 2, 2), ">f4")),
    "memoryview in a list": [memoryview(np.ones((2, 2)))],
    "bytearray": memoryview(bytearray(b"\1\1")),
    **{
        f"sequence that raises {type(error).__name__}": Exotic(error)
        for error in (NotImplementedError(), KeyError("X"), RuntimeError(), StopIteration())
    },
}


@pytest.mark.parametrize("kind", READ_AS_MEMORY)
def test_what_cannot_be_gone_through_is_read_as_numpy_reads_it(kind):
    array = arrays.numeric(READ_AS_MEMORY[kind], "X")
    assert (array == 1).all()


def test_predict_takes_a_memoryview(engine):
    net = fastnn.Network([2, 1], engine=engine, seed=0)
    X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(net.predict(memoryview(X)), net.predict(X))


def test_arrays_of_masked_arrays_are_refused():
    with pytest.raises(TypeError, match=r"^X must hold real numbers, got X\[0\] = masked_array"):
        arrays.numeric(objects(MASKED, MASKED), "X")


def test_a_mask_that_masks_nothing_does_no_harm():
    for value in (WHOLE, [WHOLE, WHOLE], [[1.0, 2.0], WHOLE]):
        np.testing.assert_array_equal(np.ravel(arrays.numeric(value, "X"))[:2], [1, 2])


@pytest.mark.parametrize(
    "value",
    [Frame(a=[1.0], when=[np.datetime64(DAY)]), Frame(a=[1], when=[np.timedelta64(1, "s")]),
     Frame(a=[1.0], when=objects(DAY))],
    ids=["datetime64", "timedelta64", "date"],
)  # fmt: skip
def test_a_column_of_dates_among_numbers_is_named(value):
    value.__class__ = type("AnyFrame", (Frame,), {})
    message = r"^X\['when'\] must hold real numbers, got "
    with pytest.raises(TypeError, match=message):
        arrays.numeric(value, "X")
    with pytest.raises(TypeError, match=message.replace("X", r"X\[1\]")):
        arrays.numeric([[[1.0, 2.0]], value], "X")


def test_a_frame_of_several_types_of_numbers_is_taken():
    frame = Frame(a=[1.0, 2.0], b=[True, False], c=np.array([3, 4], np.int8))
    np.testing.assert_array_equal(arrays.numeric(frame, "X"), [[1, 1, 3], [2, 0, 4]])


def test_records_are_no_rows_of_numbers():
    with pytest.raises(TypeError, match=r"^X must hold real numbers, got records"):
        arrays.numeric(Records(), "X")


#: Names of methods and attributes that something is recognised by: here of columns.
@pytest.mark.parametrize(
    "name",
    ["toarray", "todense", "to_numpy", "mask", "columns", "dtype", "dtypes", "fields", "shape",
     "values", "data", "format", "__array__", "flags", "T", "ndim"],
)  # fmt: skip
def test_the_name_of_a_column_says_nothing(name):
    numbers = pd.DataFrame({name: [1.0, 2.0], "b": [3, 4]})
    nullable = pd.DataFrame({name: pd.array([1, 2], dtype="Int64"), "b": [3.0, 4.0]})
    for frame in (numbers, nullable):
        np.testing.assert_array_equal(arrays.numeric(frame, "X"), [[1, 3], [2, 4]])
        np.testing.assert_array_equal(arrays.numeric(frame[name], "X"), [1, 2])
    series = pd.Series([1, 2], index=[name, "b"])
    np.testing.assert_array_equal(arrays.numeric(series, "X"), [1, 2])
    record = np.rec.array([(1.0, 2.0)], names=[name.strip("_"), "b"])
    with pytest.raises(TypeError, match=r"^X must hold real numbers, got dtype"):
        arrays.numeric(record, "X")


@pytest.mark.parametrize(
    "kind", ["csr_matrix", "coo_matrix", "dia_matrix", "lil_array", "csc_array", "dok_array"]
)
def test_every_sparse_format_is_recognised(kind):
    matrix = getattr(scipy.sparse, kind)(np.eye(2))
    with pytest.raises(TypeError, match=r"^X is a sparse matrix, .* pass X\.toarray\(\)$"):
        arrays.numeric(matrix, "X")
    with pytest.raises((TypeError, ValueError), match=r"^X"):
        arrays.numeric([matrix, matrix], "X")


def test_a_list_that_contains_itself_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises((TypeError, ValueError), match=r"^X "):
        arrays.numeric(endless, "X")


DOORS = {
    "X": lambda net, hiding: net.predict(hiding),
    "y": lambda net, hiding: net.fit([1.0, 2.0], hiding),
    "sample_weight": lambda net, hiding: net.fit([1.0, 2.0], [1.0, 2.0], sample_weight=hiding),
    "vector": lambda net, hiding: net.set_parameters(hiding),
}


@pytest.mark.parametrize("door", DOORS)
def test_the_doors_look_inside(door):
    net = fastnn.Network([1, 1], seed=0, engine="numpy")
    with pytest.raises(ValueError, match=rf"^{door}\[1\] has masked values"):
        DOORS[door](net, [WHOLE[:1], MASKED[1:]])


POLARS_TYPES = {
    "Date": DAY,
    "Datetime": datetime.datetime(2020, 1, 1),
    "Duration": datetime.timedelta(1),
    "Time": datetime.time(1),
    "String": "a",
}


@pytest.mark.parametrize("kind", POLARS_TYPES)
def test_polars_dates_and_texts_are_no_numbers(kind):
    polars = pytest.importorskip("polars")
    column = polars.Series("when", [POLARS_TYPES[kind]] * 2)
    assert str(column.dtype).startswith(kind)
    values = [
        column,
        [column, column],
        polars.DataFrame({"when": column}),
        polars.DataFrame({"a": [1.0, 2.0], "when": column}),
        [polars.DataFrame({"a": [1, 2], "when": column})],
        polars.DataFrame({"a": [1, None], "when": column}),
    ]
    for value in values:
        with pytest.raises(TypeError, match=r"^X.* must hold real numbers, got "):
            arrays.numeric(value, "X")
    records = polars.Series([{"a": 1.0, "when": POLARS_TYPES[kind]}])
    with pytest.raises((TypeError, ValueError), match=r"^X "):
        arrays.numeric(records, "X")


def test_polars_numbers_are_taken_and_nulls_named():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1.0, 2.0], "b": [True, False], "c": [3, 4]})
    np.testing.assert_array_equal(arrays.numeric(frame, "X"), [[1, 1, 3], [2, 0, 4]])
    net = fastnn.Network([1, 1], seed=0, engine="numpy")
    for column in (polars.Series([1, None]), polars.Series([1.0, None])):
        for value in (column, polars.DataFrame({"a": column})):
            with pytest.raises(ValueError, match=r"^X must be finite, got X\[1, 0\] = nan"):
                net.predict(value)


#: A module, and what makes a table of it.
TABLES = {
    "pandas": lambda module: module.DataFrame,
    "polars": lambda module: module.DataFrame,
    "pyarrow": lambda module: module.table,
    "narwhals": lambda module: lambda columns: module.from_native(pd.DataFrame(columns)),
}


@pytest.mark.parametrize("library", TABLES)
def test_columns_that_are_refused_are_named(library):
    table = TABLES[library](pytest.importorskip(library))
    net = fastnn.Network([2, 1], seed=0, engine="numpy")
    good = {"a": [1.0, 2.0], "b": [3, 4]}
    np.testing.assert_array_equal(net.predict(table(good)), net.predict([[1, 3], [2, 4]]))
    days = np.array(["2020-01-01", "2020-01-02"], "M8[us]")
    for column, kind in (([3.0, None], ValueError), (days, TypeError), (["x", "y"], TypeError)):
        with pytest.raises(kind, match=r"^X.*'b'") as error:
            net.predict(table({"a": [1.0, 2.0], "b": column}))
        assert len(str(error.value)) < 200
    with pytest.raises(TypeError, match=r"^X must hold real numbers, got dtype datetime64.* 'a'$"):
        net.predict(table({"a": days, "b": days}))


class Stream:
    """A table as an Arrow stream, and nothing else."""

    def __init__(self, table):
        self.__arrow = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.__arrow.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_arrow_streams_are_read(library, monkeypatch):
    table = TABLES[library](pytest.importorskip(library))
    monkeypatch.setitem(sys.modules, {"polars": "pyarrow", "pyarrow": "polars"}[library], None)
    stream = Stream(table({"a": [1.0, 2.0], "b": [3, 4]}))
    np.testing.assert_array_equal(arrays.numeric(stream, "X"), [[1, 3], [2, 4]])
    with pytest.raises(TypeError, match=r"^X\['when'\] must hold real numbers"):
        arrays.numeric(Stream(table({"a": [1.0, 2.0], "when": [DAY, DAY]})), "X")


def test_arrow_streams_need_a_library(monkeypatch):
    for library in ("polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(TypeError, match=r"^X is an Arrow stream, Stream, .* pip install pyarrow$"):
        arrays.numeric(Stream(None), "X")


class Lazy:
    """A lazy frame."""

    def collect(self):
        raise AssertionError("nobody asked for that")


def test_lazy_frames_are_to_be_collected():
    with pytest.raises(TypeError, match=r"^X is a lazy frame, .* pass X\.collect\(\)$"):
        arrays.numeric(Lazy(), "X")


class OfDLPack:
    """An array that speaks DLPack, and nothing else."""

    def __init__(self, array, device=None):
        self._array = array
        self._device = device or array.__dlpack_device__()

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_dlpack_shares_memory(dtype):
    array = np.arange(4, dtype=dtype).reshape(2, 2)
    read = arrays.numeric(OfDLPack(array), "X")
    np.testing.assert_array_equal(read, array)
    assert np.shares_memory(read, array)


def test_dlpack_on_other_devices_is_refused():
    with pytest.raises(TypeError, match=r"^X must be in memory .* on device 2 of DLPack: copy it"):
        arrays.numeric(OfDLPack(np.ones(2), (2, 0)), "X")
