"""What goes into a bug report."""

import fastnn
from fastnn.info import info


def test_it_names_versions_cpu_cache_and_threads():
    facts = info()
    assert facts["fastnn"] == fastnn.__version__
    for name in ("numba", "CPU", "kernel cache", "BLAS", "OPENBLAS_NUM_THREADS"):
        assert facts[name]


def test_without_a_cache_it_says_so(monkeypatch):
    monkeypatch.setattr("fastnn.kernels.jit.cache_directory", lambda: None)
    assert "compiled anew" in info()["kernel cache"]


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("fastnn.info._PACKAGES", ("no-such-package",))
    assert info()["no-such-package"] == "not installed"
