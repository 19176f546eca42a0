"""Functions that kernels find by their name in machine code."""

import numba
import numpy as np
import pytest
from processes import run_in_new_process
from simd import compiled, only_compiled

from fastnn.kernels import cache, products
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
    code = RUN.replace("\nfor", f"{ANOTHER}\nfor").replace("print(len", "pass\nprint(len")
    run_in_new_process(tmp_path, RUN)
    found = run_in_new_process(
        tmp_path, f"import warnings; warnings.simplefilter('ignore')\n{code}"
    )
    assert found == f"{RESULT}{ALL} []"


@only_compiled
def test_types_that_it_is_not_made_for():
    @compiled
    def multiply(a):
        A = products.Matrix(a, np.uint64(0), np.uint64(1), False)
        B = products.Matrix(a.astype(np.float32), np.uint64(0), np.uint64(1), False)
        products.multiply(1.0, A, B, 1.0, A, (np.uint64(1), np.uint64(1), np.uint64(1)))

    with pytest.raises(numba.TypingError):
        multiply(np.ones(3))


@only_compiled
def test_python_does_not_call_it():
    with pytest.raises(TypeError, match="multiply is for kernels"):
        products.multiply(1.0, None, None, 1.0, None, None)
    assert products.multiply.compiled.py_func.__name__ in cache.makers
