"""The solutions of the exercises: kernels of the library, called with the arguments of an exercise.

A function's docstring is the statement of its exercise. What it calls from `minicnn_kernels` is the solution, which
`../sources.py` cuts out of the tested source; the rest is written here.
"""
