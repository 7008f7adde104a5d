"""Every detection, kept."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
from keras import ops

from multiback.metrics.detection import precision
from multiback.metrics.detection.counts import BoxStatistic
from multiback.metrics.detection.matching import AREAS, IOUS, Matches
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.statistic import State, Tensor


@dataclasses.dataclass(frozen=True)
class BoxBuffer(BoxStatistic):
    """Keep every detection.

    "scores" is float32 `(capacity,)`, "matches" int32 `(1 + A, capacity)`: the class,
    then for each area a bit an overlap where it is right, and then where it is ignored.
    "used", int32 `(1,)`, counts the places, and grows past the capacity.
    """

    adds: ClassVar[bool] = False

    capacity: int = 1

    def init_scores(self) -> State:
        """Return an empty buffer."""
        return {
            "scores": ops.zeros((self.capacity,), dtype="float32"),
            "matches": ops.zeros((1 + len(AREAS), self.capacity), dtype="int32"),
            "used": ops.zeros((1,), dtype="int32"),
        }

    def add_scores(self, state: State, matches: Matches) -> State:
        """Append the detections of a batch."""
        bit = ops.convert_to_tensor((2 ** np.arange(IOUS, dtype="int32"))[:, None])
        true, ignored = (
            ops.sum(ops.cast(x, "int32") * bit, axis=2)
            for x in (matches.true, matches.ignored)
        )
        words = ops.cast(true + ignored * 2**IOUS, "int32")
        rows = ops.concatenate([matches.classes[..., None], words], axis=-1)
        rows = ops.transpose(ops.reshape(rows, (-1, 1 + len(AREAS))))
        keep = ops.reshape(matches.counts, (-1,))
        return self._append(state, ops.reshape(matches.scores, (-1,)), rows, keep)

    def merge_scores(self, a: State, b: State) -> State:
        """Append one buffer to the other."""
        keep = ops.arange(self.capacity, dtype="int32") < b["used"]
        # Detections that did not fit into b are missing here too.
        after = self._append(a, b["scores"], b["matches"], keep)
        return {**after, "used": a["used"] + b["used"]}

    def unusable(self, state: dict[str, Any]) -> dict[str, int]:
        """Return the number of boxes with each cause, and of those without room."""
        missing = int(state["used"].max()) - self.capacity
        more = {"beyond_capacity": missing} if missing > 0 else {}
        return {**super().unusable(state), **more}

    def broken(self, state: State) -> Tensor:
        """Return whether something leaves no value."""
        xp = namespace(state["used"])
        full = xp.any(state["used"] > self.capacity)
        return xp.logical_or(super().broken(state), full)

    def average_precision(self, state: State, area: int, share: str) -> Tensor:
        """Return the average precision of each class and overlap."""
        del share  # There is one order.
        xp = namespace(state["used"])
        kept = xp.arange(self.capacity, dtype="int32") < state["used"]
        classes = xp.where(kept, state["matches"][0], self.num_classes)
        order = _stable_order(xp.where(kept, -state["scores"], float("inf")))
        order = xp.take(order, _stable_order(xp.take(classes, order)))
        classes = xp.take(classes, order)
        words = xp.take(state["matches"][1 + area], order)[:, None]
        place = xp.arange(IOUS, dtype="int32")
        true = xp.bitwise_and(xp.right_shift(words, place), 1)
        ignored = xp.bitwise_and(xp.right_shift(words, place + IOUS), 1)
        counted = precision.cast(classes < self.num_classes, "int32")[:, None]
        counted = counted * (1 - ignored)
        return precision.of_sorted(
            true * counted, (1 - true) * counted, classes, state["objects"][:, area]
        )

    def _append(
        self, state: State, scores: Tensor, rows: Tensor, keep: Tensor
    ) -> State:
        kept = ops.cast(keep, "int32")
        place = state["used"] + ops.cast(ops.cumsum(kept), "int32") - kept
        # The place behind the last one takes what is dropped.
        place = ops.where(keep, ops.clip(place, 0, self.capacity), self.capacity)
        place = place[:, None]
        scores = ops.scatter_update(ops.pad(state["scores"], [(0, 1)]), place, scores)
        matches = ops.scatter_update(
            ops.pad(ops.transpose(state["matches"]), [(0, 1), (0, 0)]),
            place,
            ops.transpose(rows),
        )
        used = state["used"] + ops.cast(ops.sum(kept), "int32")
        return {
            "scores": scores[: self.capacity],
            "matches": ops.transpose(matches[: self.capacity]),
            "used": used,
        }


def _stable_order(values: Tensor) -> Tensor:
    if isinstance(values, np.ndarray):
        return np.argsort(values, kind="stable")
    return ops.argsort(values)
