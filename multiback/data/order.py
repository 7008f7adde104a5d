"""In which order an epoch visits the samples: a pure function of (seed, epoch)."""

import numpy as np


def epoch_order(samples: int, seed: int, epoch: int) -> np.ndarray:
    """Return a permutation that depends on nothing but the arguments.

    By sorting raw words of a counter-based generator: NumPy promises that these
    never change, which it does not of `Generator.permutation`. A run can be resumed
    under another NumPy, and under another backend.

    Args:
        samples: How many samples there are.
        seed: Which sequence of permutations.
        epoch: Which one of them.

    Returns:
        The positions of the samples, int64, in the order in which to visit them.

    Example:
        >>> epoch_order(5, seed=0, epoch=0).tolist()
        [0, 3, 1, 2, 4]
    """
    words = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(samples)
    return np.argsort(words, kind="stable")
