"""Backpropagation on one page, twice: in lists and floats (`loops`) and in NumPy (`vectors`).

Each file stands alone: paste it into a notebook, or run it. The tests hold the engines against
them.
"""
