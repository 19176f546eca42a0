"""Functions that kernels find by their name in machine code."""

import numba
import numpy as np
import pytest
from processes import run_in_new_process
from simd import compiled, only_compiled

from fastnn.kernels import blocks, cache, products
from fastnn.kernels.cache import SUFFIX

DEFINED = """
import numpy as np
from numba import types
from fastnn.kernels import cache
from fastnn.kernels.jit import kernel
from fastnn.kernels.linked import linked

@linked(lambda x, k, times: (types.Array(x.dtype, 1, "C"), types.intp, x.dtype))
def scale_one(x, k, times):
    x[k] *= times

@kernel
def scale_first(x):
    scale_one(x, 0, 2)

@kernel
def scale_last(x):
    scale_one(x, len(x) - 1, 3)
"""
RUN = (
    DEFINED
    + """
for dtype in (np.float64, np.float32):
    x = np.ones(3, dtype)
    scale_first(x)
    scale_last(x)
    print(*x, end=" ")
print(len(cache.symbols), sorted(set(cache.compiled)), sorted(set(cache.loaded)))
"""
)
RESULT = "2.0 1.0 3.0 2.0 1.0 3.0 2 "
ALL = "['scale_first', 'scale_last', 'scale_one']"


@only_compiled
def test_one_compilation_for_all_kernels_of_a_dtype(tmp_path):
    """In the next process too, which takes it from the cache."""
    assert run_in_new_process(tmp_path, RUN) == f"{RESULT}{ALL} []"
    assert len(list(tmp_path.rglob(f"*{SUFFIX}"))) == 6
    assert run_in_new_process(tmp_path, RUN) == f"{RESULT}[] {ALL}"


@only_compiled
@pytest.mark.slow
@pytest.mark.parametrize("gone", ["scale_one", "scale_first"])
def test_what_is_not_in_the_cache_is_compiled(gone, tmp_path):
    run_in_new_process(tmp_path, RUN)
    for entry in tmp_path.rglob(f"{gone}-*{SUFFIX}"):
        entry.unlink()
    rest = sorted({"scale_one", "scale_first", "scale_last"} - {gone})
    assert run_in_new_process(tmp_path, RUN) == f"{RESULT}['{gone}'] {rest}"


ANOTHER = """
cache.key_of, key_of = (lambda f, kinds, codegen: key_of(f, kinds, codegen) +
                        b"another" * (f.__name__ == "scale_one")), cache.key_of
"""


@only_compiled
@pytest.mark.slow
def test_a_kernel_that_needs_another_one_is_compiled_anew(tmp_path):
    """LLVM would end the program for want of a name."""
    code = RUN.replace("\nfor", f"{ANOTHER}\nfor")
    run_in_new_process(tmp_path, RUN)
    found = run_in_new_process(
        tmp_path, f"import warnings; warnings.simplefilter('ignore')\n{code}"
    )
    assert found == f"{RESULT}{ALL} []"


@only_compiled
def test_types_that_it_is_not_made_for():
    @compiled
    def multiply(a, b):
        A = products.Matrix(a, np.uint64(0), np.uint64(1), False)
        B = products.Matrix(b, np.uint64(0), np.uint64(1), False)
        products.multiply(1.0, A, B, 1.0, A, A, (np.uint64(1), np.uint64(1), np.uint64(1)))

    multiply(np.ones(3), np.ones(3))
    for a, b in ((np.ones(3), np.ones(3, "f")), (np.ones(3), np.ones(6)[::2])):
        with pytest.raises(numba.TypingError, match="function multiply"):
            multiply(a, b)


@only_compiled
def test_rows_that_are_not_side_by_side_are_refused():
    @compiled
    def gather(X, order, w):
        blocks.gather(X, order, 0, 0, np.uint64(2), False, w, np.uint64(0))

    X, order, w = np.arange(12.0).reshape(3, 4), np.empty((0, 0), np.int64), np.zeros(8)
    gather(X, order, w)
    np.testing.assert_array_equal(w, np.arange(8))
    for wrong in (X[:, ::2], np.asfortranarray(X)):
        with pytest.raises(numba.TypingError, match="function gather"):
            gather(wrong, order, w)


IN_USERS_CODE = """
import numba, numpy as np
import fastnn, fastnn.jit
from fastnn.kernels import cache

@numba.njit
def all_of_them(net, x):
    y, J = np.empty(2), np.empty((2, 3))
    fastnn.jit.forward(net, x, y)
    fastnn.jit.jacobian(net, x, J)
    return fastnn.jit.learn(net, x, y, 0.1) + J[0, 0]

net = fastnn.Network([3, 70, 70, 2], seed=0)
all_of_them(net.compiled(), np.ones(3))
print(len(cache.symbols))
"""


@only_compiled
@pytest.mark.slow
def test_users_functions_call_none(tmp_path):
    """numba keeps them, and would not have it there in the next process."""
    assert run_in_new_process(tmp_path, IN_USERS_CODE) == "0"


SOURCE_GONE = """
def gone():
    raise OSError("no source")

cache.source_digest = gone
import warnings
warnings.simplefilter("ignore")
"""


@only_compiled
@pytest.mark.slow
def test_without_a_key_the_name_is_of_this_process(tmp_path):
    code = RUN.replace("\nfor", f"{SOURCE_GONE}\nfor")
    assert run_in_new_process(tmp_path, code).startswith(f"{RESULT}{ALL}")
    assert not list(tmp_path.rglob(f"*{SUFFIX}"))


@only_compiled
def test_python_does_not_call_it():
    with pytest.raises(TypeError, match="multiply_part is for kernels"):
        products.multiply_part(1.0, None, None, 1.0, None, None, None, False, 0, 1)
    assert products.multiply_part.compiled.py_func.__name__ in cache.makers
