"""For tests of SIMD values."""

import os
import platform
import re
import subprocess
import sys

import numba
import numpy as np
import pytest
from problems import few_to_compile

from fastnn.kernels.jit import OPTIONS

JIT = not numba.config.DISABLE_JIT
#: As a kernel is, but not kept on disk: nothing there would notice a change in this file.
compiled = numba.njit(nogil=True, **OPTIONS)
DTYPES = [np.float64, np.float32]

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
#: The others with bounds checks too.
every_width = pytest.mark.parametrize(
    "n", few_to_compile([32], [1, 4, 32], own_kernels=[1, 4]), ids="n{}".format
)
only_compiled = pytest.mark.skipif(not JIT, reason="nothing is compiled with the JIT off")


def numbers(dtype, n, seed=0):
    """Of both signs; some are whole, and the same for every seed."""
    x = np.random.default_rng(seed).normal(size=n) * 5
    x[::3] = np.arange(len(x[::3])) - 2
    return x.astype(dtype)


AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+fma,+popcnt"}
BASELINE = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
on_x86 = pytest.mark.skipif(
    not JIT or platform.machine() not in ("x86_64", "AMD64"), reason="for x86 processors"
)


def run(*arguments, **environment):
    """What a new process of this Python prints; it must end well."""
    environment = {**os.environ, "FASTNN_CACHE": "0", **environment}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


_ARM = """
import re
import llvmlite.binding as llvm
import numpy as np
for dtype in (np.float64, np.float32):
    {call}
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
machine = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(opt=3)
for text in {name}.inspect_llvm().values():
    module = llvm.parse_assembly(re.sub("target (triple|datalayout) = .*", "", text))
    module.triple = machine.triple
    print(machine.emit_assembly(module) + "# end of the module")
"""


def arm_code(definition, kernel, call, function=None):
    """The instructions of a kernel on 64-bit Arm, in float64 and in float32, and of its *function*.

    *definition* defines it, and *call* calls it for a dtype.
    """
    code = definition + _ARM.format(name=kernel, call=call.replace("\n", "\n    "))
    for text in run("-c", code, **BASELINE).split("# end of the module")[:-1]:
        name = re.search(rf"^(\w*{function or kernel}\w*):", text, re.MULTILINE)[1]
        body = text[text.index(f"{name}:") :]
        yield body[: body.index(".Lfunc_end")]


def check_arm_code(body, lane, instructions):
    """That there are these, of vectors, and no arithmetic of single numbers."""
    for instruction in instructions:
        assert re.search(rf"\t{instruction}\tv\d+\.{lane}", body), instruction
    assert not re.findall(r"\tf(?:add|sub|mul|div|madd|msub|nmsub)\t[sd]\d+", body)
