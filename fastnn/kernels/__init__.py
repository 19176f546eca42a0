"""The algorithms as numba kernels on flat arrays."""
