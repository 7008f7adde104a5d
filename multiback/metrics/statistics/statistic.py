"""A statistic: the numbers that a metric accumulates, apart from its formula."""

import abc
from typing import Any, ClassVar

Tensor = Any
State = dict[str, Tensor]


class Statistic(abc.ABC):
    """Describe what is accumulated; subclasses are frozen dataclasses.

    Four pure functions, none of which branches in Python on a tensor's values,
    so that each runs under `jax.jit`, `tf.function(jit_compile=True)` and eager
    PyTorch alike. Equal statistics accumulate equal numbers.

    Attributes:
        adds: Adding two states element by element is a valid `merge`. Where it is
            not, a metric keeps one state a replica; see `replicas`.
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
        """Return the state of both states' data together."""


class LabelStatistic(Statistic):
    """A statistic of labels, of which it knows which there are."""

    @abc.abstractmethod
    def invalid(self, state: State) -> Tensor:
        """Return how many elements had a label that the task does not know."""

    @abc.abstractmethod
    def explain_invalid(self, y_true: Tensor, y_pred: Tensor) -> str:
        """Say which labels of a batch that counted as invalid are wrong."""
