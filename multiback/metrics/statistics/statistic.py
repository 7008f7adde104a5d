"""A statistic: the numbers that a metric accumulates, apart from its formula."""

import abc
from typing import Any, ClassVar

from keras import ops

from multiback.metrics.inputs.batch import Batch, Given, Values, value_batch
from multiback.metrics.inputs.causes import (
    CAUSES,
    NUMBER,
    OF_LABELS,
    count_causes,
    count_value_causes,
    explain,
    suspicious,
)
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import cond, namespace

Tensor = Any
State = dict[str, Tensor]

# The version of the layout and the meaning of every state. Raise it if either changes:
# state that was saved in the middle of an epoch is then not restored, and the metric
# warns.
STATE_VERSION = 3

_NOTHING = bytes(2 * 4 * len(CAUSES))


class Statistic(abc.ABC):
    """Describe what is accumulated; subclasses are frozen dataclasses.

    Four pure functions, without branches in Python on a tensor's values, so each runs
    under `jax.jit`, `tf.function(jit_compile=True)` and eager PyTorch alike. Equal
    statistics accumulate equal numbers.

    Attributes:
        adds: Adding two states element by element is a valid `merge`. If not, a metric
            keeps one state a replica; see `replicas`.
    """

    adds: ClassVar[bool] = True

    @abc.abstractmethod
    def init(self) -> State:
        """Return the state of no data: the identity of `merge`, all zeros."""

    @abc.abstractmethod
    def update(self, state: State, *args: Any, **kwargs: Any) -> State:
        """Return the state with one more batch in it.

        Subclasses take `y_true, y_pred`, or `values`, and then `sample_weight` and
        `mask`.
        """

    @abc.abstractmethod
    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""


class CountsCauses(Statistic):
    """A statistic that counts what it cannot use, by cause.

    Its state has "unusable", a count of `exact` of elements that cannot be used, one a
    cause of `inputs.causes`. Causes are distinguished only if there are any: a good
    batch takes no extra time.

    Attributes:
        words_of: Causes for which a warning has other words than usual.
    """

    words_of: ClassVar[dict[str, str]] = {}

    @abc.abstractmethod
    def causes(self, given: Any) -> Tensor:
        """Count the elements of a batch that have each cause, int32."""

    def note(self, state: State, given: Any, odd: Tensor) -> Tensor:
        """Return the count of causes with those of a batch in it."""
        unusable = state["unusable"]
        # Read the original input: otherwise values that XLA fused would have to be
        # stored.
        return cond(
            odd,
            lambda: exact.add_to_count(unusable, self.causes(given)),
            lambda: unusable,
        )

    @abc.abstractmethod
    def explain_labels(self) -> str:
        """Describe the labels or targets that can be used."""

    def unusable(self, state: dict[str, Any]) -> dict[str, int]:
        """Return the number of elements by cause, for host arrays."""
        counts = state["unusable"]
        if counts.tobytes() == _NOTHING:  # Takes a tenth of the time of `any`.
            return {}
        numbers = counts[0].astype("int64") * exact.COUNT_BASE + counts[1]
        return {
            cause: int(number)
            for cause, number in zip(CAUSES, numbers, strict=True)
            if number
        }

    def explain(self, name: str, cause: str, count: int) -> str:
        """Return the sentence of a warning about a cause."""
        words = self.words_of.get(cause, cause)
        return explain(name, count, words, self.explain_labels())

    def no_causes(self) -> Tensor:
        """Return the count of causes of no data."""
        return ops.zeros((2, len(CAUSES)), dtype="int32")


class SumStatistic(CountsCauses):
    """A statistic whose state is sums, float32 in the words of `exact`, and causes.

    "sums" is of shape `(2, 5)`, as `sums_for_mean` returns them, unless it says more.
    """

    def init(self) -> State:
        """Return the state of no data."""
        sums = ops.zeros((2, 5), dtype="float32")
        return {"sums": sums, "unusable": self.no_causes()}

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        merged = {k: exact.merge_sums(a[k], b[k]) for k in a if k != "unusable"}
        return {**merged, "unusable": exact.merge_counts(a["unusable"], b["unusable"])}


class PairStatistic(CountsCauses):
    """A statistic of labels or targets against predictions."""

    def update(
        self,
        state: State,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        given = Given(y_true, y_pred, sample_weight, mask)
        after, odd = self.add(state, given)
        return {**after, "unusable": self.note(state, given, odd)}

    @abc.abstractmethod
    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable.

        The second one is a scalar, which may be True for a batch that is not.
        """


class TargetStatistic(PairStatistic):
    """A statistic of numbers and their predictions, together or each output alone."""

    words_of: ClassVar[dict[str, str]] = {"nan_label": "nan_target"}
    negative_weights: ClassVar[bool] = True
    num_outputs: int | None = None
    ignore_nan: bool

    def values(self, given: Given) -> Values:
        """Bring a batch to one shape."""
        return value_batch(
            (given.y_true, given.y_pred),
            given.sample_weight,
            given.mask,
            num_outputs=self.num_outputs,
            ignore_nan=self.ignore_nan,
        )

    def explain_labels(self) -> str:
        """Name the targets."""
        return "finite numbers"

    def causes(self, given: Given) -> Tensor:
        """Count targets, predictions and weights that cannot be used."""
        return count_value_causes(
            self.values(given), negative_weights=self.negative_weights
        )


class LabelStatistic(PairStatistic):
    """A statistic of labels, which can recognise invalid labels.

    Attributes:
        negative_weights: Negative weights mean something.
    """

    negative_weights: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def probabilities(self) -> bool:
        """Whether the value depends on scores that are to lie in [0, 1]."""

    @abc.abstractmethod
    def prepare(self, given: Given) -> Batch:
        """Bring a batch to one shape."""

    def is_odd(self, batch: Batch) -> Tensor:
        """Return whether any element of a batch has a cause."""
        return suspicious(
            batch,
            probabilities=self.probabilities,
            negative_weights=self.negative_weights,
        )

    def causes(self, given: Given) -> Tensor:
        """Count the elements of a batch that have each cause."""
        return count_causes(
            self.prepare(given),
            probabilities=self.probabilities,
            negative_weights=self.negative_weights,
        )

    def invalid(self, state: State) -> Tensor:
        """Return how many elements had an unusable label."""
        counts = state["unusable"][:, OF_LABELS]
        return exact.count_to_float(namespace(counts).sum(counts, axis=1))

    def has_invalid(self, state: dict[str, Any]) -> bool:
        """Return whether a label was unusable, for host arrays."""
        return bool(self.unusable(state)) and bool(self.invalid(state) > 0)

    def unrankable(self, state: State) -> Tensor:
        """Return how many labels or weights leave no ranking."""
        weights = state["unusable"][:, NUMBER["unusable_weight"]]
        return self.invalid(state) + exact.count_to_float(weights)


def explain_classes(num_classes: int | None) -> str:
    """Name the labels of a task."""
    if num_classes is None:
        return "0 or 1"
    return f"class ids from 0 to {num_classes - 1} or one-hot rows"
