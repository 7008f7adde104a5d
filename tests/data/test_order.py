"""The order of an epoch follows from the seed and the epoch, and from nothing else."""

import numpy as np
import pytest

from multiback.data.resumable import epoch_order


def test_each_sample_comes_once():
    for samples in (1, 2, 100):
        assert sorted(epoch_order(samples, 3, 4)) == list(range(samples))


def test_the_order_is_the_same_for_ever():
    # Words of Philox, which NumPy promises never to change.
    assert epoch_order(8, 0, 0).tolist() == [0, 3, 7, 5, 1, 2, 6, 4]
    assert epoch_order(8, 7, 20).tolist() == [5, 0, 3, 7, 2, 6, 4, 1]


def test_seeds_and_epochs_give_orders_of_their_own():
    orders = {tuple(epoch_order(20, s, e)) for s in range(20) for e in range(20)}
    assert len(orders) == 400


@pytest.mark.parametrize("place", [0, 9])
def test_every_sample_is_as_likely_at_every_place(place):
    found = [epoch_order(10, 1, epoch)[place] for epoch in range(2000)]
    counts = np.bincount(found, minlength=10)
    # Chi-squared with 9 degrees of freedom: 27.9 is passed once in a thousand.
    assert ((counts - 200) ** 2 / 200).sum() < 27.9


def test_no_global_generator_is_touched():
    np.random.seed(4)  # noqa: NPY002 - the global one
    expected = np.random.rand()  # noqa: NPY002 - the global one
    np.random.seed(4)  # noqa: NPY002 - the global one
    epoch_order(10, 0, 0)
    assert np.random.rand() == expected  # noqa: NPY002 - the global one
