"""The algorithms in plain Python and in NumPy: to read, to test against, to measure against.

Nothing here imports from the kernels, so that neither can hide the other's mistakes.
"""
