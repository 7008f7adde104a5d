"""What detections found, accumulated, with their scores in bins."""

import abc
import dataclasses
from typing import Any, ClassVar

from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.detection import boxes, matching, precision
from multiback.metrics.detection.boxes import COORDINATES, PADDING
from multiback.metrics.detection.matching import AREAS, IOUS, MOST, Matches
from multiback.metrics.inputs.batch import Given
from multiback.metrics.inputs.causes import NUMBER, count_each
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.numeric.by_id import count_ids
from multiback.metrics.statistics.score_bins import bin_ids, number_of_bins
from multiback.metrics.statistics.statistic import PairStatistic, State, Tensor

# The found objects that recall wants: of the best 1, 10 and 100 detections, and of the
# best 100 of each size.
RECALLS = ((1, 0), (10, 0), (MOST, 0), (MOST, 1), (MOST, 2), (MOST, 3))


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """A batch with corners, and what can be used of it."""

    truths: Tensor
    real: Tensor
    crowd: Tensor
    found: Tensor
    counts: Tensor
    causes: dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class BoxStatistic(PairStatistic):
    """Count objects, and those that were found, of K classes.

    The state has "objects", int32 `(K, A)`, and "found", int32 `(6, K, T)`.
    `image_size` is height and width, for a relative format.
    """

    words_of: ClassVar[dict[str, str]] = {
        "nan_label": "broken_box",
        "nan_score": "broken_detection",
        "outside_score": "outside_confidence",
        "unknown_prediction": "unknown_class",
        "unknown_label": "unknown_class_of_box",
        "beyond_capacity": "detections_beyond_capacity",
    }
    probabilities: ClassVar[bool] = False

    num_classes: int
    format: str = "xyxy"
    image_size: tuple[int, int] | None = None

    def init(self) -> State:
        """Return the state of no data."""
        return {
            **self.init_scores(),
            "objects": ops.zeros((self.num_classes, len(AREAS)), dtype="int32"),
            "found": ops.zeros((len(RECALLS), self.num_classes, IOUS), dtype="int32"),
            "unusable": self.no_causes(),
        }

    @abc.abstractmethod
    def init_scores(self) -> State:
        """Return the part of the state that holds scores, of no data."""

    @abc.abstractmethod
    def add_scores(self, state: State, matches: Matches) -> State:
        """Return that part with the detections of a batch in it."""

    @abc.abstractmethod
    def merge_scores(self, a: State, b: State) -> State:
        """Return that part of two states together."""

    @abc.abstractmethod
    def average_precision(self, state: State, area: int, share: str) -> Tensor:
        """Return the average precision of each class and overlap, float32 `(K, T)`.

        Of one of `AREAS`; `precision.of_bins` says what `share` is.
        """

    def packed(self, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
        """Return objects and detections as one array each."""
        return (
            boxes.pack(y_true, "y_true", ("is_crowd", "iscrowd", "crowd")),
            boxes.pack(y_pred, "y_pred", ("confidence", "scores")),
        )

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        ready = self._prepare(given)
        found = matching.match(
            ready.truths, ready.real, ready.crowd, ready.found, ready.counts
        )
        counts = ops.logical_and(found.counts, found.rank < MOST)
        found = dataclasses.replace(found, counts=counts)
        after = {
            **state,
            **self.add_scores(state, found),
            "objects": state["objects"] + self._objects(ready),
            "found": state["found"] + self._found(found),
        }
        odd = ops.any(ops.stack([ops.any(x) for x in ready.causes.values()]))
        return after, odd

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        return {
            **self.merge_scores(a, b),
            "objects": a["objects"] + b["objects"],
            "found": a["found"] + b["found"],
            "unusable": exact.merge_counts(a["unusable"], b["unusable"]),
        }

    def causes(self, given: Given) -> Tensor:
        """Count the boxes of a batch that have each cause."""
        ready = self._prepare(given)
        totals = [count_each({name: column}) for name, column in ready.causes.items()]
        return ops.cast(ops.sum(ops.stack(totals), axis=0), "int32")

    def explain_labels(self) -> str:
        """Describe the classes."""
        return f"class ids from 0 to {self.num_classes - 1}, or -1 for padding"

    def broken(self, state: State) -> Tensor:
        """Return whether something leaves no value."""
        xp = namespace(state["unusable"])
        of = ["unknown_label", "nan_label", "nan_score"]
        of += ["outside_score"] if self.probabilities else []
        counts = xp.take(state["unusable"], [NUMBER[name] for name in of], axis=1)
        return xp.any(counts > 0)

    def average_recall(self, state: State) -> Tensor:
        """Return the recall of each of `RECALLS` and class, `(6, K)`, or NaN."""
        xp = namespace(state["objects"])
        areas = [area for _, area in RECALLS]
        objects = xp.transpose(xp.take(state["objects"], areas, axis=1))
        found = xp.mean(precision.cast(state["found"], "float32"), axis=-1)
        return ratio(found, precision.cast(objects, "float32"), float("nan"))

    def _prepare(self, given: Given) -> _Prepared:
        if given.sample_weight is not None:
            raise ArgumentError(
                "sample_weight= wants None: COCO's average precision has no weights. "
                "Compile the metric under metrics=."
            )
        truths, found = (
            ops.pad(packed, [(0, 0), (0, 1), (0, 0)])  # Never empty.
            for packed in self.packed(given.y_true, given.y_pred)
        )
        padded, unseen = (
            ops.logical_or(_is_last(x), ops.equal(x[..., COORDINATES], PADDING))
            for x in (truths, found)
        )
        if given.mask is not None:
            out = ops.logical_not(ops.cast(given.mask, "bool"))
            if len(out.shape) == 1:
                padded = ops.logical_or(padded, out[:, None])
                unseen = ops.logical_or(unseen, out[:, None])
            else:
                unseen = ops.logical_or(unseen, ops.pad(out, [(0, 0), (0, 1)]))
        real, counts = ops.logical_not(padded), ops.logical_not(unseen)
        finite, usable = (ops.all(ops.isfinite(x), axis=-1) for x in (truths, found))
        known, class_known = (self._is_known(x) for x in (truths, found))
        score = found[..., -1]
        outside = ops.logical_or(score < 0.0, score > 1.0)
        causes = {
            "nan_label": both(real, ops.logical_not(finite)),
            "unknown_label": both(real, both(finite, ops.logical_not(known))),
            "nan_score": both(counts, ops.logical_not(usable)),
            "unknown_prediction": both(
                counts, both(usable, ops.logical_not(class_known))
            ),
        }
        if self.probabilities:
            causes["outside_score"] = both(counts, both(usable, outside))
        real = both(real, both(finite, known))
        counts = both(counts, both(usable, class_known))
        truths, found = (self._with_corners(x) for x in (truths, found))
        # A value of padding may be NaN.
        truths = ops.where(real[..., None], truths, -1.0)
        found = ops.where(counts[..., None], found, -1.0)
        crowd = both(real, truths[..., -1] > 0.0)
        return _Prepared(truths, real, crowd, found, counts, causes)

    def _is_known(self, packed: Tensor) -> Tensor:
        ids = packed[..., COORDINATES]
        inside = ops.logical_and(ids >= 0.0, ids < float(self.num_classes))
        return both(inside, ops.equal(ids, ops.floor(ids)))

    def _with_corners(self, packed: Tensor) -> Tensor:
        corners = boxes.to_corners(
            packed[..., :COORDINATES], self.format, self.image_size
        )
        return ops.concatenate([corners, packed[..., COORDINATES:]], axis=-1)

    def _objects(self, ready: _Prepared) -> Tensor:
        """Count the objects of each class and area."""
        corners = ready.truths[..., :COORDINATES]
        counted = both(ready.real, ops.logical_not(ready.crowd))
        counted = both(
            counted[..., None], ops.logical_not(matching.out_of_range(corners))
        )
        classes = ops.cast(ready.truths[..., COORDINATES, None], "int32")
        areas = ops.arange(len(AREAS), dtype="int32")
        size = self.num_classes * len(AREAS)
        total = count_where(classes * len(AREAS) + areas, counted, size)
        return ops.reshape(total, (self.num_classes, len(AREAS)))

    def _found(self, found: Matches) -> Tensor:
        """Count the found objects of each of `RECALLS`, class and overlap."""
        columns = [
            both((found.rank < most)[..., None], found.true[..., area])
            for most, area in RECALLS
        ]
        true = both(ops.stack(columns, axis=2), found.counts[..., None, None])
        kinds = ops.arange(len(RECALLS), dtype="int32")[:, None]
        ids = kinds * self.num_classes + found.classes[..., None, None]
        ids = ids * IOUS + ops.arange(IOUS, dtype="int32")
        shape = (len(RECALLS), self.num_classes, IOUS)
        total = count_where(ids, true, shape[0] * shape[1] * shape[2])
        return ops.reshape(total, shape)


@dataclasses.dataclass(frozen=True)
class BoxHistogram(BoxStatistic):
    """Count the scores of right and of wrong detections in bins.

    "scores" is int32 `(2, K, A, T, bins)`: right, wrong.
    """

    probabilities: ClassVar[bool] = True

    bits: int = 7

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the counts."""
        bins = number_of_bins(self.bits, logits=False)
        return (2, self.num_classes, len(AREAS), IOUS, bins)

    def init_scores(self) -> State:
        """Return the counts of no data."""
        return {"scores": ops.zeros(self.shape, dtype="int32")}

    def add_scores(self, state: State, matches: Matches) -> State:
        """Count the scores of a batch."""
        _, classes, areas, ious, bins = self.shape
        place = bin_ids(ops.clip(matches.scores, 0.0, 1.0), self.bits, logits=False)
        wrong = ops.cast(ops.logical_not(matches.true), "int32")
        ids = wrong * classes + matches.classes[..., None, None]
        ids = ids * areas + ops.arange(areas, dtype="int32")
        ids = ids * ious + ops.arange(ious, dtype="int32")[:, None]
        ids = ids * bins + ops.cast(place, "int32")[..., None, None]
        counted = both(
            matches.counts[..., None, None], ops.logical_not(matches.ignored)
        )
        total = count_where(ids, counted, 2 * classes * areas * ious * bins)
        return {"scores": state["scores"] + ops.reshape(total, self.shape)}

    def merge_scores(self, a: State, b: State) -> State:
        """Add the counts."""
        return {"scores": a["scores"] + b["scores"]}

    def average_precision(self, state: State, area: int, share: str) -> Tensor:
        """Return the average precision of each class and overlap."""
        scores = state["scores"][:, :, area]
        return precision.of_bins(scores[0], scores[1], state["objects"][:, area], share)


def both(a: Tensor, b: Tensor) -> Tensor:
    """Return where both are True."""
    return ops.logical_and(a, b)


def _is_last(packed: Tensor) -> Tensor:
    """Return for each row of `(B, N, 6)` whether it is the last one, `(1, N)`."""
    number = ops.shape(packed)[1]
    return ops.equal(ops.arange(number, dtype="int32"), number - 1)[None]


def count_where(ids: Tensor, counted: Tensor, length: int) -> Tensor:
    """Count the ids where `counted` is True, int32 `(length,)`."""
    ids = ops.where(counted, ids, length)
    return count_ids(ops.reshape(ops.cast(ids, "int32"), (-1,)), length + 1)[:length]
