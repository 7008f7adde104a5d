"""Compare two checkpoints on the same rows: what can the data tell?"""
