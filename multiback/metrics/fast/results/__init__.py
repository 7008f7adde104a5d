"""What a compiled step computes from a state, in few operations.

A file named after a framework is the only one that imports it; `areas` has what both
take. The metrics' `compute` is the specification, and what a state with weights,
unusable values or full counts gets.
"""
