"""What all metrics over ranked scores share, except for the formula."""

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from keras import ops

from multiback.errors import ArgumentError, WideBoundsWarning
from multiback.metrics import plots
from multiback.metrics.base.averaging import check_average
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.curves import (
    PrecisionRecallCurve,
    ROCCurve,
    pick_column,
    precision_recall_points,
    roc_points,
)
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, is_real
from multiback.metrics.inputs.scores import ScoreTask
from multiback.metrics.inputs.task import Average, Task
from multiback.metrics.intervals.interval import sum_of_words
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.plots.axes import choose_columns
from multiback.metrics.statistics.score_bins import BITS, most_bits
from multiback.metrics.statistics.score_buffer import ScoreBuffer
from multiback.metrics.statistics.score_histogram import (
    Histogram,
    ScoreHistogram,
    total,
)
from multiback.metrics.statistics.statistic import State, Tensor
from multiback.warn import warn

Array = np.ndarray[Any, Any]

# 256 roundings of a prefix sum, 256 of a sum over bins and a few of each term.
ROUNDING = 520 * 2.0**-24

# Up to so many columns have the finest bins; twice as many have bins of twice the
# width, but not wider than these bits make, unless the state were of more MB.
FINEST_COLUMNS = 8
WIDEST_BITS = 7
MAX_STATE_MB = 32.0
# Two labels, each with two words of a count and two of a sum.
BYTES_PER_BIN = 32

# Fewer scores leave a wide gap in any bins, and Keras asks after each batch.
ENOUGH = 256


@runtime_checkable
class Ranked(Protocol):
    """A metric over ranked scores, from whose state curves can be drawn."""

    def compute_roc_curve(self, state: State, column: int | None = None) -> ROCCurve:
        """Return the receiver operating characteristic."""

    def compute_precision_recall_curve(
        self, state: State, column: int | None = None
    ) -> PrecisionRecallCurve:
        """Return precision against recall."""


@runtime_checkable
class Thresholded(Protocol):
    """A metric that is reached with a threshold of its own choice."""

    def compute_threshold(self, state: State) -> Any:
        """Return the threshold of a state."""


class ScoreMetric(PairMetric):
    """A number that depends on how scores rank; subclasses write `score`.

    Scores are counted in the bins of `statistics.score_bins`. `bounds()` says
    what the order inside of bins could change.

    Args:
        record: What is classified.
        average: "macro", "weighted", "micro" or None.
        capacity: How many scores to keep instead of counting in bins, or None.
        num_bins: Largest number of bins, or None.
        max_state_mb: Largest state in MB, or None.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; counts stay exact.
        intervals: As for each metric.
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    # Positives alone have no value.
    needs_negatives: ClassVar[bool] = True
    # Warn if the bounds are further apart than this.
    wide: ClassVar[float] = 0.01
    # The curve that the value is read from.
    curve: ClassVar[Literal["roc", "precision_recall"]] = "roc"

    def __init__(
        self,
        record: Task,
        average: Average,
        capacity: int | None,
        num_bins: int | None,
        max_state_mb: float | None,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        self._check_record(record)
        check_average(average)
        if capacity is not None:
            capacity = as_integer("capacity", capacity, 1)
        binary, several = record.kind == "binary", not record.is_single
        if binary and len(record.chosen or ()) > 1 and average == "micro":
            raise ArgumentError(
                'average="micro" ranks the scores of several classes together, but '
                'both classes of task="binary" have one score. Pass average="macro".'
            )
        micro = not binary and average == "micro"
        scores = ScoreTask(
            num_classes=record.num_classes,
            num_labels=record.num_labels,
            micro=micro,
            together=record.chosen if micro else None,
            from_logits=record.from_logits,
            ignore_index=record.ignore_index,
        )
        self._scores: ScoreBuffer | ScoreHistogram = (
            ScoreHistogram(scores, choose_bits(scores, num_bins, max_state_mb))
            if capacity is None
            else ScoreBuffer(capacity, scores)
        )
        super().__init__(self._scores, name=name, dtype=dtype, intervals=intervals)
        self.record: Task = record
        self.average = average
        one_value = binary and record.classes is None
        self._each = average is None and not one_value and several
        self._calls = 0

    def _check_record(self, record: Task) -> None:
        """Raise for a task that the metric does not have."""

    @property
    def at_least(self) -> tuple[str, float] | None:
        """The rate that a threshold has to reach and by how much, if there is one."""
        return None

    @abc.abstractmethod
    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the value of each column, the smallest it may be and the largest."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        histogram = self._scores.read(state)
        value, low, high = ops.unstack(self._averaged(histogram), 3)
        if not histogram.exact:
            self._look_at_bounds(histogram, low, high)
        return value

    def compute_on_arrays(self, state: State) -> Any | None:
        """Return the value of a histogram, some rankings at a time."""
        averaged = self._averaged_on_arrays(state)
        if averaged is None:
            return None
        if self._looks_at_bounds():
            scores = float(exact.count_to_float(state["counts"][:, -1]))
            scores += float(state["weighted"][0, -1])
            self._warn_if_wide(mean_gap(averaged[2] - averaged[1]), scores)
        return averaged[0]

    def _averaged_on_arrays(self, state: State) -> Array | None:
        """Return value and bounds for a state of arrays, as `_averaged`."""
        scores, chosen = self._scores, self.record.chosen
        if isinstance(scores, ScoreBuffer):
            return None
        if scores.task.micro:
            chosen = None
        elif chosen is not None and self.record.kind == "binary":
            return None  # The negative class ranks the other way.
        table = self.score_columns(scores, state, chosen)
        values, (positives, negatives, undefined) = (
            table[:3].clip(*self.value_range),
            table[3:],
        )
        broken = undefined
        if scores.unusable(state):
            broken = undefined + scores.unrankable(state)
        return np.asarray(self._average(values, positives, negatives, broken))

    def score_columns(
        self, scores: ScoreHistogram, state: State, columns: Sequence[int] | None
    ) -> Array:
        """Return what `score` does, for a state of arrays, some rankings at a time.

        `(6, columns)`: value, low, high, positives, negatives and NaN; of all rankings
        if `columns` is None.
        """
        found = []
        for cells in scores.columns_in_chunks(state, columns):
            one = scores.histogram_of(cells, state)
            totals = total(one.positives), total(one.negatives)
            values = map(ops.convert_to_numpy, self.score(one))
            found.append(np.stack([*values, *totals, cells[:, -1]]))
        return np.concatenate(found, axis=1)

    def compute_bounds(self, state: State) -> Tensor:
        """Return the smallest and the largest value that the data could have."""
        averaged = self._averaged(self._scores.read(state))
        _, low, high = ops.unstack(averaged, 3)
        return ops.clip(ops.stack(_widened(low, high)), *self.value_range)

    def bounds(self) -> Any:
        """Return what the value of the data themselves certainly lies between.

        Returns:
            Two floats, or with `average=None` two arrays.
        """
        return self.bounds_of(self.state)

    def bounds_of(self, state: State) -> Any:
        """Return the bounds of a state; see `bounds`."""
        arrays = {k: ops.convert_to_numpy(v) for k, v in state.items()}
        averaged = self._averaged_on_arrays(arrays)
        if averaged is None:
            return as_floats(self.compute_bounds(state))
        ends = np.stack(_widened(averaged[1], averaged[2]))
        return as_floats(np.clip(ends, *self.value_range))

    def class_rows(self, state: State) -> Any:
        """Return the effective rows of the rarer class of each ranking."""
        whole = self.host_histogram(state)
        histogram, squares = self.chosen(whole), self.squared_weights(state, whole)
        rows = [
            np.sum(counts, axis=-1) ** 2 / np.where(square > 0.0, square, 1.0)
            for counts, square in zip(self.bin_counts(histogram), squares, strict=True)
        ]
        return np.minimum(*rows)

    def host_histogram(self, state: State) -> Histogram:
        """Return the values of a state of NumPy arrays, as arrays if it has bins."""
        scores = self._scores
        if isinstance(scores, ScoreBuffer):
            return scores.read(state)
        cells = list(scores.columns_in_chunks(state))
        return scores.histogram_of(np.concatenate(cells), state)

    def bin_counts(self, histogram: Histogram) -> tuple[Array, Array]:
        """Return the negatives and the positives of each bin, in float64."""
        negatives, positives = (
            ops.convert_to_numpy(part).astype("float64", copy=False)
            for part in (histogram.negatives, histogram.positives)
        )
        return negatives, positives

    def squared_weights(self, state: State, whole: Histogram) -> tuple[Array, Array]:
        """Return the sums of the squared weights of negatives and positives.

        Of a state of NumPy arrays, whose histogram is `whole`.
        """
        if "squares" in state:
            # Unweighted batches are counted apart, each element with a weight of 1.
            plain = whole
            # No cell holds more than the last one.
            if state["weighted"][0, -1] != 0.0:
                nothing = np.zeros_like(state["weighted"])
                plain = self.host_histogram({**state, "weighted": nothing})
            counts = [np.sum(part, axis=-1) for part in self.bin_counts(plain)]
            both = sum_of_words(state["squares"]).reshape(-1, 2)
            both = both + np.stack(counts, axis=1)
        else:
            signed = state["signed"].astype("float64")
            both = np.stack(
                [
                    np.sum(np.where(signed < 0.0, signed, 0.0) ** 2, axis=1),
                    np.sum(np.where(signed > 0.0, signed, 0.0) ** 2, axis=1),
                ],
                axis=1,
            )
        classes = self.record.chosen
        if classes is not None and not self._scores.task.micro:
            if self.record.kind == "binary":
                both = np.concatenate([both[:, ::-1], both])
            both = both[list(classes)]
        return both[:, 0], both[:, 1]

    def compute_roc_curve(self, state: State, column: int | None = None) -> ROCCurve:
        """Return the curve of a state; see `roc_curve`."""
        return roc_points(*self._column(state, column))

    def compute_precision_recall_curve(
        self, state: State, column: int | None = None
    ) -> PrecisionRecallCurve:
        """Return the curve of a state; see `precision_recall_curve`."""
        return precision_recall_points(*self._column(state, column))

    def roc_curve(self, column: int | None = None) -> ROCCurve:
        """Return the receiver operating characteristic, to be drawn.

        Args:
            column: Which class or label, if there are several rankings.

        Returns:
            `(fpr, tpr, thresholds)` in scikit-learn's order. Each point is one of
            the data's own, those inside of bins left out; `score > threshold`
            makes it.

        Raises:
            ArgumentError: The column is missing or unknown.

        Examples:
            >>> from multiback.metrics import AUROC
            >>> metric = AUROC()
            >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
            >>> fpr, tpr, thresholds = metric.roc_curve()
            >>> fpr.tolist(), tpr.tolist()
            ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
        """
        return self.compute_roc_curve(self.state, column)

    def precision_recall_curve(self, column: int | None = None) -> PrecisionRecallCurve:
        """Return precision against recall, to be drawn; as `roc_curve` otherwise.

        Args:
            column: Which class or label, if there are several rankings.

        Returns:
            `(precision, recall, thresholds)` in scikit-learn's order, which ends
            with a precision of 1 at a recall of 0 that has no threshold.

        Raises:
            ArgumentError: The column is missing or unknown.
        """
        return self.compute_precision_recall_curve(self.state, column)

    def _column(self, state: State, column: int | None) -> tuple[Array, Array, Array]:
        """Return positives, negatives and edges of the bins of one ranking."""
        scores = self._scores
        if isinstance(scores, ScoreHistogram):
            index = pick_column(column, scores.task.columns)
            arrays = {k: ops.convert_to_numpy(v) for k, v in state.items()}
            (rows,) = scores.columns_in_chunks(arrays, [index])
            cells = rows[0].astype("float64")
            positives, negatives = cells[scores.bins : -1], cells[: scores.bins]
            return positives, negatives, scores.edges(state)[0]
        histogram = self._scores.read(state)
        positives, negatives = (
            ops.convert_to_numpy(part).astype("float64")
            for part in (histogram.positives, histogram.negatives)
        )
        edges = self._scores.edges(state)
        index = pick_column(column, len(positives))
        return positives[index], negatives[index], edges[min(index, len(edges) - 1)]

    def plot_state(
        self,
        state: State,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw one curve a class, its value, its bounds and its operating point."""
        histogram, edges = self._scores.read(state), self._scores.edges(state)
        ids, rows = self._drawn(class_names, column)
        drawn = self.chosen(histogram)
        each = ops.convert_to_numpy(self._each_value(drawn))
        thresholds = np.full(len(ids), np.nan)
        if isinstance(self, Thresholded):
            thresholds = np.atleast_1d(self.compute_threshold(state))
        positives, negatives = (
            ops.convert_to_numpy(part).astype("float64")
            for part in (drawn.positives, drawn.negatives)
        )
        points = roc_points if self.curve == "roc" else precision_recall_points
        curves: dict[str, Any] = {}
        marked: dict[str, float] = {}
        for row, name in rows.items():
            label = f"{name}: {each[0, row]:.4f}" if len(rows) > 1 else name
            edge = edges[min(ids[row], len(edges) - 1)]
            curves[label] = points(positives[row], negatives[row], edge)
            marked[label] = float(thresholds[row])
        whole = each[:, next(iter(rows))]
        if len(rows) > 1:
            whole = ops.convert_to_numpy(self._averaged(histogram))
        draw = plots.roc if self.curve == "roc" else plots.precision_recall
        return draw(
            curves,
            thresholds=marked,
            at_least=self.at_least,
            title=self._title(whole, exact=histogram.exact),
            ax=ax,
        )

    def _drawn(
        self, class_names: Sequence[str] | None, column: int | None
    ) -> tuple[Sequence[int], dict[int, str]]:
        """Return the class of each ranking, and the name of each that is drawn."""
        record = self.record
        if self._scores.task.micro:
            if column is not None:
                raise ArgumentError(
                    f"column= wants one curve a class, but {self.name} ranks all "
                    "scores together. Leave it out."
                )
            return (0,), {0: "all classes"}
        both = (1,) if record.kind == "binary" else range(record.columns)
        ids = record.chosen or both
        kind = "label " if record.kind == "multilabel" else "class "
        return ids, choose_columns(ids, record.columns, class_names, column, kind)

    def _title(self, whole: Array, *, exact: bool) -> str:
        """Return the name with the value and its bounds, if it is one value."""
        if whole.ndim > 1:
            return str(self.name)
        value, low, high = (float(number) for number in whole)
        title = f"{self.name} {value:.4f}"
        if exact or np.isnan(value):
            return title
        smallest, largest = self.value_range
        low, high = (float(end) for end in _widened(np.array(low), np.array(high)))
        low, high = max(low, smallest), min(high, largest)
        return f"{title}\nbetween {low:.4f} and {high:.4f}"

    def chosen(self, histogram: Histogram) -> Histogram:
        """Return the rankings that `classes=` names, in its order, or all."""
        classes = self.record.chosen
        if classes is None or self._scores.task.micro:
            return histogram
        positives, negatives = histogram.positives, histogram.negatives
        undefined = histogram.undefined
        if self.record.kind == "binary":  # The negative class ranks the other way.
            flipped = ops.flip(negatives, axis=-1), ops.flip(positives, axis=-1)
            positives = ops.concatenate([flipped[0], positives])
            negatives = ops.concatenate([flipped[1], negatives])
            undefined = ops.concatenate([undefined, undefined])
        positives, negatives, undefined = (
            ops.take(each, list(classes), axis=0)
            for each in (positives, negatives, undefined)
        )
        return dataclasses.replace(
            histogram, positives=positives, negatives=negatives, undefined=undefined
        )

    def _values(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return values and bounds `(3, columns)`, positives and negatives."""
        values = ops.clip(ops.stack(list(self.score(histogram))), *self.value_range)
        return values, total(histogram.positives), total(histogram.negatives)

    def _lacks_a_class(self, positives: Tensor, negatives: Tensor) -> Tensor:
        xp = namespace(positives)
        lacking = xp.equal(positives, 0.0)
        if self.needs_negatives:
            lacking = xp.logical_or(lacking, xp.equal(negatives, 0.0))
        return lacking

    def _each_value(self, histogram: Histogram) -> Tensor:
        """Return values and bounds, `(3, columns)`, NaN where there are none."""
        values, positives, negatives = self._values(histogram)
        return self._defined(values, positives, negatives, histogram.undefined)

    def _defined(
        self, values: Tensor, positives: Tensor, negatives: Tensor, broken: Tensor
    ) -> Tensor:
        xp = namespace(values)
        one_class = self._lacks_a_class(positives, negatives)
        undefined = xp.logical_or(one_class, broken > 0.0)
        return xp.where(undefined, float("nan"), values)

    def _averaged(self, histogram: Histogram) -> Tensor:
        """Return value and bounds, `(3,)` or `(3, columns)`."""
        histogram = self.chosen(histogram)
        return self._average(*self._values(histogram), histogram.undefined)

    def _average(
        self, values: Tensor, positives: Tensor, negatives: Tensor, broken: Tensor
    ) -> Tensor:
        """Return value and bounds of `(3, columns)` and what each column holds."""
        if self._each:
            return self._defined(values, positives, negatives, broken)
        xp = namespace(values)
        one_class = self._lacks_a_class(positives, negatives)
        weights = xp.ones_like(positives)
        if self.average == "weighted":
            weights = positives
        weights = xp.where(one_class, 0.0, weights)
        values = xp.where(one_class, 0.0, values)
        sums = xp.sum(values * weights, axis=-1)
        whole = xp.sum(weights)
        if isinstance(whole, np.generic) and whole:
            averages = sums / whole
        else:
            totals = xp.broadcast_to(whole, sums.shape)
            averages = ratio(sums, totals, float("nan"))
        return xp.where(xp.any(broken > 0.0), float("nan"), averages)

    def _look_at_bounds(self, histogram: Histogram, low: Tensor, high: Tensor) -> None:
        """Warn once where the values are known: outside of a compiled step."""
        if not self._looks_at_bounds():
            return
        try:
            gaps = ops.convert_to_numpy(high - low)
            scores = float(ops.convert_to_numpy(ops.sum(histogram.positives)))
            scores += float(ops.convert_to_numpy(ops.sum(histogram.negatives)))
        except (AttributeError, NotImplementedError, TypeError):
            # A tracer of JAX, a symbolic tensor of TensorFlow, a meta one of torch.
            return
        self._warn_if_wide(mean_gap(gaps), scores)

    def _looks_at_bounds(self) -> bool:
        """Return whether the value that is being computed may bring a warning.

        Values are known once an epoch on JAX and TensorFlow, when Keras asks for the
        logs. On torch it is each batch; only a few are checked, because that takes
        time.
        """
        self._calls += 1
        call = self._calls
        return call > 0 and (call & (call - 1) == 0 or call % 256 == 0)

    def _warn_if_wide(self, gap: float, scores: float) -> None:
        if gap > self.wide and scores >= ENOUGH:
            self._calls = -(1 << 62)  # Warn once.
            warn(
                f"{self.name} may be off by {gap:.2g}: many of the {scores:.0f} scores "
                "share a bin; bounds() gives what is certain, and capacity=N keeps N "
                "scores and is exact.",
                WideBoundsWarning,
            )


def choose_bits(
    task: ScoreTask, num_bins: int | None, max_state_mb: float | None
) -> int:
    """Return the bits of the bins that the arguments of a constructor ask for."""
    columns, logits = task.columns, task.from_logits
    if num_bins is not None:
        if max_state_mb is not None:
            raise ArgumentError(
                f"max_state_mb={max_state_mb!r} chooses the number of bins, and so "
                f"does num_bins={num_bins!r}. Leave one of them out."
            )
        return most_bits(as_integer("num_bins", num_bins, 2), logits=logits)
    bits = BITS
    if max_state_mb is None:
        max_state_mb = MAX_STATE_MB
        # The time of a result grows with the number of cells.
        bits -= math.ceil(math.log2(max(columns / FINEST_COLUMNS, 1.0)))
        bits = max(bits, WIDEST_BITS)
    if not is_real(max_state_mb) or not max_state_mb > 0:
        raise ArgumentError(
            f"max_state_mb= wants a number above 0, not {max_state_mb!r}."
        )
    room = max_state_mb * 1e6 / (BYTES_PER_BIN * columns)
    return min(bits, most_bits(room, logits=logits))


def _widened(low: Tensor, high: Tensor) -> list[Tensor]:
    """Return bounds with room for roundings, which grow with values above 1."""
    xp = namespace(low)
    return [
        low - ROUNDING * xp.maximum(low, 1.0),
        high + ROUNDING * xp.maximum(high, 1.0),
    ]


def mean_gap(gaps: Array) -> float:
    """Return the mean of the gaps between bounds, without those of no value."""
    known = gaps[~np.isnan(gaps)]
    return float(np.mean(known)) if known.size else 0.0


def as_floats(values: Tensor) -> Any:
    """Copy a tensor of shape `(n,)` to n floats, one of `(n, columns)` to arrays."""
    array = ops.convert_to_numpy(values)
    if array.ndim == 1:
        return tuple(float(value) for value in array)
    return tuple(array)
