"""Decide which checkpoint is best and which ones stay, without Keras or a disk."""
