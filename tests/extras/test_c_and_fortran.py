"""C and Fortran call a network by its address."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

import fastnn

C = """
void all_rows(void (*net)(const double *, double *), const double *x, double *y,
              int n, int n_in, int n_out)
{
    int k;
    for (k = 0; k < n; k++) net(x + k * n_in, y + k * n_out);
}
"""
FORTRAN = """
module networks
  use, intrinsic :: iso_c_binding
  implicit none
  abstract interface
    subroutine network(x, y) bind(C)
      import :: c_double
      real(c_double), intent(in) :: x(*)
      real(c_double), intent(out) :: y(*)
    end subroutine
  end interface
contains
  subroutine all_rows(address, x, y, n, n_in, n_out) bind(C)
    type(c_funptr), value :: address
    integer(c_int), value :: n, n_in, n_out
    real(c_double), intent(in) :: x(n_in, n)
    real(c_double), intent(out) :: y(n_out, n)
    procedure(network), pointer :: net
    integer :: k
    call c_f_procpointer(address, net)
    do k = 1, n
      call net(x(:, k), y(:, k))
    end do
  end subroutine
end module
"""


@pytest.mark.parametrize(("compiler", "source", "name"), [
    ("gcc", C, "rows.c"), ("gfortran", FORTRAN, "rows.f90"),
])  # fmt: skip
def test_programs_call_the_network(compiler, source, name, tmp_path, rng):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    (tmp_path / name).write_text(source)
    command = [compiler, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", name, "-o", "rows.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    net = fastnn.Network([3, 8, 2], activation="tanh", seed=1, engine="numpy")
    function, X, Y = net.cfunc(), rng.normal(size=(100, 3)), np.zeros((100, 2))
    all_rows = ctypes.CDLL(tmp_path / "rows.so").all_rows
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (X, Y)]
    for _ in range(2):
        all_rows(ctypes.c_void_p(function.address), *pointers, 100, 3, 2)
        np.testing.assert_allclose(Y, net.predict(X), rtol=1e-12)
        net.set_parameters(2 * net.parameters)
