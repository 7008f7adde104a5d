"""Exact scores in a buffer of fixed size, for data that binning cannot rank."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
from keras import ops

from multiback.metrics.inputs.batch import Batch, Given
from multiback.metrics.inputs.scores import BINARY, ScoreTask
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.by_id import places_in_buffer, sum_by_id
from multiback.metrics.statistics.score_histogram import Histogram
from multiback.metrics.statistics.statistic import LabelStatistic, State, Tensor

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class ScoreBuffer(LabelStatistic):
    """Keep every score and its label.

    The state is "scores" and "signed", `(columns, capacity)` float32: `signed` is the
    weight of a positive and minus that of a negative, 0 where a place is free. "used"
    counts the places, `(columns,)` int32, and grows past the capacity: then scores
    are missing, and what is read is undefined. "unusable" counts causes.

    Args:
        capacity: Number of scores of one ranking; an element that is masked, ignored
            or of weight 0 takes no place.
        task: Which scores.
    """

    adds: ClassVar[bool] = False
    words_of: ClassVar[dict[str, str]] = {"unusable_weight": "negative_weight"}
    negative_weights: ClassVar[bool] = False

    capacity: int
    task: ScoreTask = BINARY

    def init(self) -> State:
        """Return the state of no data."""
        shape = (self.task.columns, self.capacity)
        return {
            "scores": ops.zeros(shape, dtype="float32"),
            "signed": ops.zeros(shape, dtype="float32"),
            "used": ops.zeros((self.task.columns,), dtype="int32"),
            "unusable": self.no_causes(),
        }

    @property
    def probabilities(self) -> bool:
        """Whether scores must be probabilities."""
        return not self.task.from_logits

    def prepare(self, given: Given) -> Batch:
        """Flatten to one row an element."""
        return self.task.prepare(given)

    def explain_labels(self) -> str:
        """Name the labels that the task knows."""
        return self.task.explain_labels()

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        batch = self.prepare(given)
        odd = self.is_odd(batch)
        scores = self._ranked_scores(batch.predictions)
        batch = self.task.ranked(dataclasses.replace(batch, predictions=scores))
        scores, keep = ops.cast(batch.predictions, "float32"), batch.valid
        signed = ops.where(ops.equal(batch.labels, 1), 1.0, -1.0)
        signed = ops.cast(signed, "float32")
        if batch.weights is not None:
            keep = ops.logical_and(keep, ops.not_equal(batch.weights, 0.0))
            signed = signed * batch.weights
        rows = (-1, self.task.columns)
        scores, signed, keep = (
            ops.transpose(ops.reshape(part, rows)) for part in (scores, signed, keep)
        )
        return self._append(state, scores, signed, keep), odd

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        places = ops.arange(self.capacity, dtype="int32")
        keep = places < ops.expand_dims(b["used"], -1)
        merged = self._append(a, b["scores"], b["signed"], keep)
        # Values that did not fit into b are missing here too.
        return {
            **merged,
            "used": a["used"] + b["used"],
            "unusable": exact.merge_counts(a["unusable"], b["unusable"]),
        }

    def unusable(self, state: dict[str, Any]) -> dict[str, int]:
        """Return the number of elements with each cause, and of those without room."""
        missing = int(state["used"].max()) - self.capacity
        more = {"beyond_capacity": missing} if missing > 0 else {}
        return {**super().unusable(state), **more}

    def read(self, state: State) -> Histogram:
        """Sort the scores; each distinct one becomes a bin."""
        order = ops.argsort(state["scores"], axis=-1)
        scores = ops.take_along_axis(state["scores"], order, axis=-1)
        signed = ops.take_along_axis(state["signed"], order, axis=-1)
        first = ops.cast(ops.not_equal(scores[:, 1:], scores[:, :-1]), "int32")
        ids = ops.pad(ops.cumsum(first, axis=-1), [(0, 0), (1, 0)])
        columns = ops.arange(self.task.columns, dtype="int32") * self.capacity
        ids = ops.reshape(ids + ops.expand_dims(columns, -1), (-1,))
        size = self.task.columns * self.capacity

        def add_up(weights: Tensor) -> Tensor:
            sums = sum_by_id(ids, ops.reshape(weights, (-1,)), size)
            return ops.reshape(sums, (self.task.columns, self.capacity))

        gone = ops.logical_or(
            ops.any(ops.isnan(scores + signed), axis=-1),
            state["used"] > self.capacity,
        )
        return Histogram(
            negatives=add_up(ops.maximum(-signed, 0.0)),
            positives=add_up(ops.maximum(signed, 0.0)),
            undefined=ops.cast(gone, "float32") + self.unrankable(state),
            weighted=ops.sum(ops.abs(signed - ops.round(signed))),
            exact=True,
        )

    def edges(self, state: State) -> Array:
        """Return the score of each bin in float64, `(columns, capacity)`."""
        scores = ops.convert_to_numpy(state["scores"]).astype("float64")
        edges = np.full(scores.shape, np.inf)
        for row, column in zip(edges, scores, strict=True):
            distinct = np.unique(column)
            row[: distinct.size] = distinct
        return edges

    def _ranked_scores(self, scores: Tensor) -> Tensor:
        if not self.task.from_logits:
            outside = ops.logical_or(scores < 0.0, scores > 1.0)
            scores = ops.where(outside, float("nan"), scores)
        elif self.task.num_classes is not None:
            scores = ops.softmax(scores, axis=-1)
        # -0 and 0 are the same score.
        return ops.where(ops.equal(scores, 0.0), ops.zeros_like(scores), scores)

    def _append(
        self, state: State, scores: Tensor, signed: Tensor, keep: Tensor
    ) -> State:
        """Append the kept values, `(columns, N)`, to the used ones."""
        room = self.capacity + 1  # The last place takes dropped values.
        place, used = places_in_buffer(state["used"], keep, self.capacity)
        columns = ops.arange(self.task.columns, dtype="int32") * room
        place = ops.reshape(place + ops.expand_dims(columns, -1), (-1, 1))

        def put(buffer: Tensor, values: Tensor) -> Tensor:
            flat = ops.reshape(ops.pad(buffer, [(0, 0), (0, 1)]), (-1,))
            flat = ops.scatter_update(flat, place, ops.reshape(values, (-1,)))
            return ops.reshape(flat, (self.task.columns, room))[:, : self.capacity]

        return {
            **state,
            "scores": put(state["scores"], scores),
            "signed": put(state["signed"], signed),
            "used": used,
        }
