"""The algorithms in plain Python and in NumPy: to read, to test against, to measure against.

Each engine (``loops``, ``vectors``) is three modules: the network and its training; the activations
and losses (``_functions``); penalties, limits, dropout and the optimisers' rules (``_updates``).
``lessons`` has backpropagation alone, on one page each, to read first.
Nothing here imports from the kernels, so that neither can hide the other's mistakes.
"""
