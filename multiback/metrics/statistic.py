"""A statistic: the numbers that a metric accumulates, apart from its formula."""

import abc
from typing import Any

Tensor = Any
State = dict[str, Tensor]


class Statistic(abc.ABC):
    """Describe what is accumulated; subclasses are frozen dataclasses.

    Four pure functions, none of which branches in Python on a tensor's values,
    so that each runs under `jax.jit`, `tf.function(jit_compile=True)` and eager
    PyTorch alike. Equal statistics accumulate equal numbers.
    """

    @abc.abstractmethod
    def init(self) -> State:
        """Return the state of no data: the identity of `merge`."""

    @abc.abstractmethod
    def update(
        self,
        state: State,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""

    @abc.abstractmethod
    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""

    @abc.abstractmethod
    def invalid(self, state: State) -> Tensor:
        """Return how many elements had a label that the task does not know."""

    @abc.abstractmethod
    def explain_invalid(self, y_true: Tensor, y_pred: Tensor) -> str:
        """Say which labels of a batch that counted as invalid are wrong."""
