"""Sparse inputs: rows of which only some entries are there, and all others are 0."""

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.arrays import all_finite
from fastnn.memory import frozen, memory_for

#: The largest column number that is kept in four bytes.
_LARGEST_SHORT = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A read-only matrix in CSR form, as engines take it beside arrays.

    Row r has ``values[k]`` in the column ``columns[k]``, for k from ``starts[r]`` to
    ``starts[r + 1]``. The columns of a row come in any order; what is there repeatedly is added up,
    and it may be 0. Rows that follow one another share the memory of the whole.

    Attributes
    ----------
    starts : ndarray of int64, shape (n + 1,)
    columns : ndarray of int32, or of int64 where there are so many columns
    values : ndarray
    n_columns : int
    """

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    n_columns: int

    def __post_init__(self) -> None:
        for name in ("starts", "columns", "values"):  # of one type for kernels, whatever they were
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @classmethod
    def without_entries(cls, n: int, n_columns: int, dtype: np.dtype[np.floating]) -> "SparseRows":
        """Rows of nothing but zeros."""
        columns = np.empty(0, _column_type(n_columns))
        return cls(np.zeros(n + 1, np.int64), columns, np.empty(0, dtype), n_columns)

    def __reduce__(self) -> Any:
        return SparseRows, (self.starts, self.columns, self.values, self.n_columns)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as of an array."""
        return len(self), self.n_columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values."""
        return self.values.dtype

    @property
    def size(self) -> int:
        """How many entries are there."""
        return int(self.starts[-1] - self.starts[0])

    @property
    def entries(self) -> slice:
        """Where in ``columns`` and ``values`` the entries of these rows lie."""
        return slice(int(self.starts[0]), int(self.starts[-1]))

    def __getitem__(self, rows: slice | np.ndarray) -> "SparseRows":
        """Some rows: those that follow one another are not copied."""
        if isinstance(rows, slice):
            first, after, step = rows.indices(len(self))
            if step == 1:
                return replace(self, starts=self.starts[first : max(first, after) + 1])
            rows = np.arange(first, after, step)
        counts = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(self.starts[rows] - starts[:-1], counts) + np.arange(starts[-1])
        return SparseRows(starts, self.columns[places], self.values[places], self.n_columns)

    def astype(self, dtype: np.dtype[np.floating]) -> "SparseRows":
        """The same with other numbers."""
        if self.dtype == dtype:
            return self
        return replace(self, values=self.values.astype(dtype))

    def to_scipy(self) -> Any:
        """A matrix of SciPy's that shares the entries."""
        from scipy.sparse import csr_array

        entries, starts = self.entries, self.starts - self.starts[0]
        return csr_array((self.values[entries], self.columns[entries], starts), shape=self.shape)

    def pairs(self) -> list[list[tuple[int, float]]]:
        """The entries of each row as numbers of columns and values."""
        columns, values = self.columns.tolist(), self.values.tolist()
        spans = zip(self.starts.tolist(), self.starts[1:].tolist(), strict=False)
        return [list(zip(columns[a:b], values[a:b], strict=True)) for a, b in spans]


#: Inputs as engines take them, (n, n_in).
AnyRows = np.ndarray | SparseRows


def is_sparse(value: object) -> bool:
    """Whether this is a sparse matrix or array of SciPy's, or sparse rows already."""
    module = sys.modules.get("scipy.sparse")  # without it nothing else is sparse
    return isinstance(value, SparseRows) or (module is not None and bool(module.issparse(value)))


def sparse_rows(value: Any, dtype: np.dtype[np.floating], name: str) -> SparseRows:
    """What `is_sparse`, as checked rows of *dtype*; CSR of that dtype is not copied.

    Raises
    ------
    ValueError, TypeError
        If it is not a matrix of finite real numbers with at least one row and column, or if
        somebody has put together what is no CSR matrix.
    """
    if isinstance(value, SparseRows):
        return value.astype(dtype)
    if len(value.shape) != 2:
        raise ValueError(f"{name} must have two dimensions, got shape {value.shape}")
    if value.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {value.dtype}")
    if 0 in value.shape:
        raise ValueError(f"{name} is empty, its shape is {value.shape}")
    what = "{}, sparse of shape {}, does not fit into memory as {}"
    with memory_for(what, name, value.shape, dtype), np.errstate(over="ignore"):
        matrix = value.tocsr()
        n_columns = matrix.shape[1]
        starts = np.ascontiguousarray(matrix.indptr, np.int64)
        _check_starts(starts, matrix, name)
        there = slice(int(starts[-1]))
        columns = np.ascontiguousarray(matrix.indices[there], _column_type(n_columns))
        values = np.ascontiguousarray(matrix.data[there], dtype)
    rows = SparseRows(starts, columns, values, n_columns)
    if (
        rows.size
        and not 0 <= matrix.indices[there].min() <= matrix.indices[there].max() < n_columns
    ):
        raise ValueError(
            f"{name} must have columns from 0 to {n_columns - 1}, got {columns.min()} to "
            f"{columns.max()} in its indices"
        )
    _check_finite(rows, matrix.data, name)
    return rows


def _check_starts(starts: np.ndarray, matrix: Any, name: str) -> None:
    """Refuse what kernels would follow out of the arrays' memory."""
    n, there = matrix.shape[0], min(len(matrix.indices), len(matrix.data))
    well = len(starts) == n + 1 and starts[0] == 0 and starts[-1] <= there
    if not (well and bool((starts[1:] >= starts[:-1]).all())):
        raise ValueError(
            f"{name} must be a sound CSR matrix: its indptr must have {n + 1} numbers that rise "
            f"from 0 to at most {there}"
        )


def _check_finite(rows: SparseRows, original: np.ndarray, name: str) -> None:
    if not all_finite(rows.values):
        k = int(np.isfinite(rows.values).argmin())
        row = int(np.searchsorted(rows.starts, k, side="right")) - 1
        came = original[k]
        why = f", too large for {rows.dtype}" if np.isfinite(came) else ""
        raise ValueError(
            f"{name} must be finite, got {name}[{row}, {rows.columns[k]}] = {came}{why}"
        )


def _column_type(n_columns: int) -> type[np.integer[Any]]:
    return np.int32 if n_columns - 1 <= _LARGEST_SHORT else np.int64
