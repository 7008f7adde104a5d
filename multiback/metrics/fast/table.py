"""Which statistics have a kernel that counts a batch in NumPy."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from multiback.metrics.fast import losses, numpy, ranks, values
from multiback.metrics.statistics.class_hits import ClassHits
from multiback.metrics.statistics.error_terms import ErrorTerms
from multiback.metrics.statistics.losses import LossSums
from multiback.metrics.statistics.moments import Moments
from multiback.metrics.statistics.row_means import RowMeans
from multiback.metrics.statistics.score_histogram import ScoreHistogram
from multiback.metrics.statistics.sums import ErrorSums
from multiback.metrics.statistics.task_counts import (
    BinaryCounts,
    MulticlassCounts,
    MultilabelCounts,
)
from multiback.metrics.statistics.value_buffer import ValueBuffer

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Kernel:
    """How to count a batch, and how to add the result to arrays of a state.

    `tally` takes a statistic, labels or targets, and predictions; `add` takes the
    arrays and what `tally` returned, and writes to the arrays: those with the keys
    `arrays`, as far as a state has them.
    """

    tally: Callable[[Any, Array, Array], Any | None]
    add: Callable[..., None]
    arrays: tuple[str, ...] = ("counts",)


KERNELS: dict[type, Kernel] = {
    BinaryCounts: Kernel(numpy.count_binary, numpy.add_four),
    MultilabelCounts: Kernel(numpy.count_multilabel, numpy.add_cells),
    MulticlassCounts: Kernel(numpy.count_classes, numpy.add_cells),
    ClassHits: Kernel(numpy.count_hits, numpy.add_cells),
    ScoreHistogram: Kernel(numpy.count_scores, numpy.add_scores),
    ErrorSums: Kernel(values.sum_errors, values.add_sums, ("sums",)),
    ErrorTerms: Kernel(values.sum_errors, values.add_sums, ("sums", "sizes")),
    LossSums: Kernel(losses.sum_losses, values.add_sums, ("sums",)),
    Moments: Kernel(values.sum_moments, values.add_moments, ("moments",)),
    ValueBuffer: Kernel(ranks.kept_values, ranks.keep_values, ("kept", "used")),
}
_OF_ROWS = Kernel(values.sum_rows, values.add_sums, ("sums",))


@functools.cache
def kernel_of(statistic: type) -> Kernel | None:
    """Return the kernel of a class of statistics, if there is one."""
    # Each statistic of rows has its own formula on arrays, or none.
    return _OF_ROWS if issubclass(statistic, RowMeans) else KERNELS.get(statistic)
