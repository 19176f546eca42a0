"""A network in other people's compiled code: numba's, SciPy's, C's and Fortran's.

`Network.compiled` returns a `Compiled`, which goes into any jitted function, and there into

``forward(h, x, out)``
    the outputs for one row;
``jacobian(h, x, J)``
    their derivatives with respect to it;
``learn(h, x, y, rate)``
    one update from it.

They work when called from Python too, one at a time.
"""

from fastnn.kernels.compiled import Compiled, forward, jacobian, learn

__all__ = ["Compiled", "forward", "jacobian", "learn"]
