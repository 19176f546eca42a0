"""The figures of the five documents beside ours, one module for each.

What is trained is in the module of the same name in ``fastnn/demos/``: there it is to be read.
"""
