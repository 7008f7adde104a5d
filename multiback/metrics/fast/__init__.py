"""Kernels for operations that `keras.ops` does slowly or wrongly on one backend.

A file named after a framework is the only one that imports it, and counts its batches;
`results` has what a compiled step reads from the counts. `numpy` works on arrays. The
statistics' `keras.ops` versions are the specification, and
`tests/metrics/test_kernels.py` compares them.
"""
