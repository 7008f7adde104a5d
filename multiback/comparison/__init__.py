"""Compare two checkpoints on the same rows: which differences do the data show?"""
