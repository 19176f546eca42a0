"""What a block of samples is made of; its steps are tested by the kernels that take them."""

import numpy as np
import pytest
from matrices import laid_out
from simd import only_compiled, run

from fastnn.kernels import blocks
from fastnn.kernels.jit import kernel


@kernel
def gather(X, order, position, n, turned, w, to):
    blocks.gather(X, order, 0, position, n, turned, w, to)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_gathering_rows(dtype, turned, shuffled):
    rng = np.random.default_rng(0)
    for columns in (1, 2, 7, 8, 9, 17, 40):
        X = rng.normal(size=(50, columns)).astype(dtype)
        order = np.array([rng.permutation(50)] if shuffled else np.empty((0, 50)), np.int64)
        for n in (1, 7, 8, 9, 16, 33):
            rows = X[(order[0] if shuffled else np.arange(50))[5 : 5 + n]]
            w, [to] = laid_out(np.full_like(rows, np.nan))
            gather(X, order, 5, np.uint64(n), turned, w, to)
            expected, _ = laid_out((rows.T if turned else rows).reshape(rows.shape))
            np.testing.assert_array_equal(w, expected)


@only_compiled
@pytest.mark.slow
def test_compiled_batches_take_nothing_of_scipys_linear_algebra(tmp_path):
    """The compiler does; a process that finds its kernels need not wait for that."""
    code = (
        "import sys, fastnn;"
        "fastnn.Network([2, 3, 1]).fit([[0.0, 1.0]] * 4, [0.0] * 4, epochs=1, batch_size=2);"
        "print(any(name.startswith('scipy.linalg') for name in sys.modules))"
    )
    kept = {"FASTNN_CACHE": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    kept |= {"NUMBA_OPT": "2"}  # of which no other test has kernels
    assert [run("-c", code, **kept).strip() for _ in range(2)] == ["True", "False"]
