"""What goes into a bug report."""

import fastnn
from fastnn.info import info


def test_it_names_versions_cpu_cache_and_threads():
    facts = info()
    assert facts["fastnn"] == fastnn.__version__
    for name in ("numba", "CPU", "kernel cache", "BLAS", "OPENBLAS_NUM_THREADS"):
        assert facts[name]


def test_it_says_how_many_threads_large_products_may_take(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert info()["threads for large products"] == "1"


def test_without_a_cache_it_says_so(monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE", "0")
    assert "compiled anew" in info()["kernel cache"]


def test_it_counts_the_kernels_in_each_folder(monkeypatch, tmp_path):
    monkeypatch.setattr("fastnn.kernels.cache.directories", lambda: iter([tmp_path]))
    assert str(tmp_path) in info()["kernel cache"]
    for name in ("one.kernel", "two.kernel", "three.txt"):
        (tmp_path / name).write_bytes(bytes(50_000))
    assert info()["kernel cache"] == f"{tmp_path}: 2 kernels, 0.1 MB"


def test_a_kernel_that_was_just_removed_counts_no_bytes(monkeypatch, tmp_path):
    entries = {tmp_path: [tmp_path / "removed.kernel"]}
    monkeypatch.setattr("fastnn.kernels.cache.entries", lambda: entries)
    assert info()["kernel cache"] == f"{tmp_path}: 1 kernels, 0.0 MB"


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("fastnn.info._PACKAGES", ("no-such-package",))
    assert info()["no-such-package"] == "not installed"
