"""Values and slopes far from zero, where they are small: exact for their size."""

import mpmath
import numba
import numpy as np
import pytest
from problems import few_to_compile

from fastnn.kernels.activations import FUNCTIONS
from fastnn.kernels.jit import OPTIONS


def logistic(z):
    return 1 / (1 + mpmath.exp(-z))


#: The true value and slope.
TRUE = {
    "gelu": (
        lambda z: z * mpmath.ncdf(z),
        lambda z: mpmath.ncdf(z) + z * mpmath.npdf(z),
    ),
    "softplus": (lambda z: mpmath.log1p(mpmath.exp(z)), logistic),
    "silu": (lambda z: z * logistic(z), lambda z: logistic(z) * (1 + z - z * logistic(z))),
}


@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize(
    ("dtype", "bound"),
    few_to_compile([(np.float64, 1e-13)], [(np.float64, 1e-13), (np.float32, 2e-6)]),
)
def test_small_values_and_slopes_are_exact_for_their_size(name, dtype, bound):
    value, slope = FUNCTIONS[name]

    @numba.njit(**OPTIONS)
    def both(z, values, slopes):
        for k in range(len(z)):
            values[k] = value(z[k])
            slopes[k] = slope(z[k], values[k])

    z = np.array([-9.5, -7.0, -5.0, -3.0, -0.1, 0.1, 4.0], dtype)
    got = np.empty((2, len(z)), dtype)
    both(z, *got)
    with mpmath.workdps(40):
        true = [[float(f(mpmath.mpf(float(v)))) for v in z] for f in TRUE[name]]
    np.testing.assert_allclose(got, true, rtol=bound)
