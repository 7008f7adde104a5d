"""A Keras or multiback metric as a real `torchmetrics.Metric`.

All of the state is one tensor of bytes. A statistic merges as a whole, but
torchmetrics reduces one tensor at a time; bytes keep counts and sums exact whatever
dtype a module is moved to. The name of the state says what it accumulates, because a
`MetricCollection` shares states that have the same name and happen to be equal after
the first batch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import torch
import torchmetrics

from multiback.adapters.torchmetrics.to_torchmetrics.functional import (
    Functional,
    functional,
)
from multiback.metrics import Metric as OurMetric

Tensor = Any
State = dict[str, Tensor]


class _Packing:
    """Write a state, with the shapes and dtypes of all states, as bytes, and back."""

    def __init__(self, state: State) -> None:
        self.layout = [
            (key, tuple(tensor.shape), tensor.dtype) for key, tensor in state.items()
        ]

    def pack(self, state: State) -> Tensor:
        """Return uint8 of shape `(bytes,)`."""
        return torch.cat(
            [
                state[key].detach().to(dtype).reshape(-1).view(torch.uint8)
                for key, _, dtype in self.layout
            ]
        )

    def unpack(self, packed: Tensor) -> State:
        """Return the state."""
        return dict(self._parts(packed))

    def _parts(self, packed: Tensor) -> Iterator[tuple[str, Tensor]]:
        start = 0
        for key, shape, dtype in self.layout:
            size = torch.Size(shape).numel() * dtype.itemsize
            # Copy: a view of another dtype needs aligned bytes.
            part = packed[start : start + size].clone().view(dtype).reshape(shape)
            yield key, part
            start += size


class _Merging:
    """Merge packed states, stacked as torchmetrics stacks those of processes."""

    def __init__(self, functional: Functional, packing: _Packing) -> None:
        self.functional = functional
        self.packing = packing

    def __call__(self, stacked: Tensor) -> Tensor:
        """Return one packed state of shape `(bytes,)` for `(processes, bytes)`."""
        with keras.device(_name(stacked.device)):
            merged, *others = map(self.packing.unpack, stacked)
            for each in others:
                merged = self.functional.merge(merged, each)
            return self.packing.pack(merged)


class ForeignMetric(torchmetrics.Metric):  # type: ignore[misc]  # untyped
    """A metric of Keras or multiback; `as_torchmetric` makes it.

    Args:
        metric: The metric; its own state is neither read nor changed.
        **arguments: Arguments of every torchmetrics metric.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, metric: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._functional = functional(metric)
        with keras.device("cpu"):
            state = self._functional.init()
        self._packing = _Packing(state)
        self._state = f"state_{self._functional.identity}"
        self.add_state(
            self._state,
            self._packing.pack(state),
            dist_reduce_fx=_Merging(self._functional, self._packing),
        )

    @property
    def foreign(self) -> Any:
        """The metric of Keras or multiback that computes."""
        return self._functional.metric

    @property
    def higher_is_better(self) -> bool | None:
        """Which way is better, if known."""
        metric = self._functional.metric
        if not isinstance(metric, OurMetric):
            return None
        return {"max": True, "min": False}.get(metric.direction or "")

    def _add(self, *batch: Tensor, sample_weight: Tensor | None) -> None:
        with keras.device(_name(self.device)):
            before = self._packing.unpack(getattr(self, self._state))
            after = self._functional.update(before, *batch, sample_weight=sample_weight)
            setattr(self, self._state, self._packing.pack(after))

    def compute(self) -> Tensor:
        """Return the value of all batches since the last reset."""
        with keras.device(_name(self.device)):
            return self._functional.compute(
                self._packing.unpack(getattr(self, self._state))
            )

    def plot(
        self,
        val: Any = None,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw what was added since the last reset, as the metric's own `plot` does.

        Args:
            val: A value, or a list of values of several steps, to draw in place of it,
                as torchmetrics does.
            ax: Axes of matplotlib to draw on; None makes a figure.
            class_names: A name for each class or label; see `multiback.Metric.plot`.
            column: The one class or label to draw; None draws all.

        Returns:
            `(figure, axes)` of matplotlib.
        """
        metric = self._functional.metric
        if val is not None or not isinstance(metric, OurMetric):
            return self._plot(val, ax)  # type: ignore[no-any-return]  # untyped
        with keras.device(_name(self.device)):
            state = self._packing.unpack(getattr(self, self._state))
            return metric.plot_state(state, ax, class_names=class_names, column=column)

    def set_dtype(self, dst_type: str | torch.dtype) -> "ForeignMetric":  # noqa: ARG002
        """Leave the state as it is: it is exact."""
        return self


class ForeignPairMetric(ForeignMetric):
    """A metric of predictions against targets."""

    def update(
        self, preds: Tensor, target: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add one batch.

        Args:
            preds: Predictions, shaped as the metric takes `y_pred` in Keras.
            target: Targets, shaped as the metric takes `y_true` in Keras.
            sample_weight: One number a sample or an element, or None.
        """
        self._add(target, preds, sample_weight=sample_weight)


class ForeignValueMetric(ForeignMetric):
    """A metric of plain values."""

    def update(self, values: Tensor, sample_weight: Tensor | None = None) -> None:
        """Add one batch.

        Args:
            values: Numbers.
            sample_weight: One number a sample or an element, or None.
        """
        self._add(values, sample_weight=sample_weight)


def as_foreign(metric: Any, **arguments: Any) -> ForeignMetric:
    """Choose the class by the metric's arguments."""
    cls = ForeignPairMetric if functional(metric).pairs else ForeignValueMetric
    return cls(metric, **arguments)


def _name(device: torch.device) -> str:
    return str(device)
