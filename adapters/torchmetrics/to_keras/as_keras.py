"""Any torchmetrics metric as a Keras metric: `as_keras`."""

import inspect
import re
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np

from multiback.adapters.bridge import Accumulator, HostMetric, Spec
from multiback.adapters.torchmetrics.libraries import load_torchmetrics
from multiback.adapters.torchmetrics.to_keras.config import from_config, to_config
from multiback.adapters.torchmetrics.to_keras.inputs import Inputs
from multiback.adapters.torchmetrics.to_keras.results import flatten, layout
from multiback.errors import ArgumentError

# What torchmetrics raises for data that it does not take.
_REFUSALS = (IndexError, KeyError, RuntimeError, TypeError, ValueError)
# torchmetrics' names for targets and predictions: the usual ones, and the exceptions.
_NAMES = (("target", "preds"), ("targets", "preds"), ("p", "q"))


class TorchAccumulator(Accumulator):
    """A torchmetrics metric, used and not copied, that takes Keras's arrays."""

    takes_weights = False

    def __init__(self, metric: Any, from_logits: bool | None = None) -> None:
        self.metric = metric
        self.what = type(metric).__name__
        self._inputs = Inputs(metric, from_logits)
        self._names = _argument_names(metric)
        self._width = 1
        self._counts = False
        self._outside = 0

    def layout(self, y_true: Spec, y_pred: Spec) -> tuple[str, ...]:
        """Name each number that `compute` returns."""
        found = layout(self.metric, self._update, self._inputs, y_true, y_pred)
        self._width = len(found)
        return found

    def update(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> None:
        """Add one batch."""
        del sample_weight  # `takes_weights` excludes weights.
        import torch

        # Detached, so that no update builds a graph.
        y_true = torch.as_tensor(y_true).detach()
        y_pred = torch.as_tensor(y_pred).detach()
        if y_pred.device != self.metric.device:
            # On PyTorch the predictions define the device.
            if keras.backend.backend() == "torch":
                self.metric.to(y_pred.device)
            y_true = y_true.to(self.metric.device)
            y_pred = y_pred.to(self.metric.device)
        if mask is not None:
            keep = torch.as_tensor(mask).to(y_pred.device).bool()
            y_true, y_pred = y_true[keep], y_pred[keep]
        if not y_pred.numel():
            return
        self._inputs.check_rows(y_true, y_pred)
        target, preds = self._inputs.arrange(y_true, y_pred)
        ignored = getattr(self._inputs.metric, "ignore_index", None)
        self._counts = (
            self._counts or ignored is None or bool((target != ignored).any())
        )
        self._outside += self._inputs.outside(preds)
        try:
            self._update(self.metric, target, preds)
        except ArgumentError:
            raise
        except _REFUSALS as error:
            both = (("y_true", y_true), ("y_pred", y_pred))
            given = " and ".join(
                f"{name} {tuple(x.shape)} of {str(x.dtype).removeprefix('torch.')}"
                for name, x in both
            )
            raise self._refused(f"did not take {given}", error) from error

    def _refused(self, what: str, error: Exception) -> ArgumentError:
        """Return the error of torchmetrics with what was given and what to look at."""
        said = str(error).strip().split("\n")[0] or type(error).__name__
        return ArgumentError(
            f"{self.what}, a metric of torchmetrics in as_keras(), {what}: {said} "
            "Compare its task=, num_classes= and the like with these."
        )

    def _update(self, metric: Any, target: Any, preds: Any) -> None:
        # By keyword: torchmetrics takes predictions first, Keras targets.
        metric.update(**dict(zip(self._names, (target, preds), strict=True)))

    def compute(self) -> Any:
        """Return the numbers for all batches since the last reset.

        NaN if everything was ignored and the metric has no number for that, and if
        logits came in spite of `from_logits=False`.
        """
        import torch

        if self._outside and self._inputs.from_logits is False:
            return np.full(self._width, np.nan)
        try:
            with torch.no_grad():
                numbers = [number for _, number in flatten(self.metric.compute())]
        except _REFUSALS as error:
            if self._counts:
                raise self._refused("had no result for its data", error) from error
            return np.full(self._width, np.nan)
        return np.array([float(number) for number in numbers])

    def doubt(self) -> str:
        """Return a sentence if scores were not probabilities, else ""."""
        if not self._outside:
            return ""
        says = "guesses for each batch whether they are logits"
        if self._inputs.from_logits is False:
            says = "would take them for logits"
        return (
            f"{self.what} was given {self._outside} scores outside of [0, 1], and "
            f"{says}. Say as_keras(..., from_logits=True)."
        )

    def reset(self) -> None:
        """Forget all batches."""
        self.metric.reset()
        self._counts, self._outside = False, 0


def _argument_names(metric: Any) -> tuple[str, str]:
    """Return the names of the target and the predictions in `update`."""
    parameters = inspect.signature(type(metric).update).parameters.values()
    required = {
        each.name
        for each in parameters
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    } - {"self"}
    wraps = any(each.kind == each.VAR_KEYWORD for each in parameters)
    for names in _NAMES:
        if required == set(names) or (wraps and not required):
            return names
    raise ArgumentError(
        f"as_keras() wants a metric of predictions and targets, but "
        f"{type(metric).__name__}.update takes {', '.join(sorted(required)) or 'else'}."
    )


@keras.saving.register_keras_serializable("multiback")
class TorchMetric(HostMetric):
    """A Keras metric that torchmetrics computes; `as_keras` makes it of a copy."""

    def __init__(
        self,
        metric: Any,
        name: str,
        compute_every: int | None = None,
        from_logits: bool | None = None,
    ) -> None:
        metric = metric.clone()
        direction = {True: "max", False: "min"}.get(metric.higher_is_better)
        super().__init__(
            TorchAccumulator(metric, from_logits),
            name=name,
            direction=direction,  # type: ignore[arg-type]  # mypy widens the literals
            compute_every=compute_every,
        )
        self._metric = metric
        self.from_logits = from_logits

    @property
    def hosted(self) -> Any:
        """The torchmetrics metric that computes."""
        self._tally.add_waiting()
        return self._metric

    def written(self) -> str:
        """Return the metric's source text, for messages."""
        written = f"{type(self._metric).__name__}(...)"
        if self.from_logits is None:
            return written
        return f"{written}, from_logits={self.from_logits}"

    def changed(self, **arguments: Any) -> "TorchMetric":
        """Make the metric again with other attributes, or `from_logits=`."""
        from_logits = arguments.pop("from_logits", self.from_logits)
        metric = self._metric
        if arguments:
            config = to_config(metric)
            config["arguments"].update(arguments)
            metric = from_config(config)
        return TorchMetric(metric, self.name, self.compute_every, from_logits)

    def get_config(self) -> dict[str, Any]:
        """Return the class and the arguments that make this metric again."""
        return {
            "metric": to_config(self._metric),
            "name": self.name,
            "compute_every": self.compute_every,
            "from_logits": self.from_logits,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the metric."""
        return cls(**{**config, "metric": from_config(config["metric"])})


def as_keras(
    metric: Any,
    name: str | None = None,
    *,
    from_logits: bool | None = None,
    compute_every: int | None = None,
) -> Any:
    """Make a torchmetrics metric one that Keras can compile, on any backend.

    It streams: torchmetrics keeps the state, Keras resets it, and nothing is averaged
    over batches. Within an epoch the logs show the last computed value (NaN before the
    first time), because to compute an exact AUROC after every batch takes far longer
    than to update it; the value at the epoch's end is of all batches. So is that of
    `evaluate`; your own `train_step`, `train_on_batch` and similar callers see only
    each batch's logs and need `compute_every=1`.

    Keras's conventions are translated: `(y_true, y_pred)` for `(preds, target)`, a
    column `(N, 1)` for numbers `(N,)`, classes, labels and channels in the last axis
    (of images where `keras.config.image_data_format()` says so), one-hot rows for class
    ids, whole numbers in a float `y_true`. Masked elements do not count. torchmetrics
    has no sample weights: under `weighted_metrics=` any weights raise an error.

    A model that is compiled with it can be saved and loaded (import this module
    first) if torchmetrics stores the arguments of the metric's class, as it does for
    nearly all; otherwise saving says so. The state itself is in no checkpoint.

    On TensorFlow the step must not be compiled by XLA: `jit_compile=False`.

    Args:
        metric: A torchmetrics metric of predictions and targets, which is copied, or
            a `MetricCollection` of them. Its members are kept apart: torchmetrics
            merges those whose values happen to be equal after the first batch.
        name: Name in Keras's logs; by default the class's, in snake case. For a
            collection what stands before each member's own key. A result of several
            numbers is logged under `name_0`, `name_1`, ... or `name_key`; to monitor
            one of these needs `mode=`.
        from_logits: Whether the scores are logits. Without it torchmetrics guesses for
            each batch, by whether a score lies outside of [0, 1]; the first result
            that rests on such a guess warns.
        compute_every: Compute after every so many batches too.

    Returns:
        A Keras metric, whose `direction` is torchmetrics' `higher_is_better`; for a
        collection a list of Keras metrics.

    Raises:
        ArgumentError: The metric takes something else than predictions and targets;
            or, when Keras first uses it, its result has no fixed shape.
        MissingPackageError: torchmetrics or torch is not installed.

    Examples:
        >>> from torchmetrics.classification import BinaryAUROC
        >>> auroc = as_keras(BinaryAUROC(), name="auroc")
        >>> auroc.update_state([0, 1, 1], [0.3, 0.2, 0.9])
        >>> auroc.update_state([0, 1], [0.8, 0.7])
        >>> round(float(auroc.result()), 6), auroc.direction
        (0.5, 'max')
    """
    torchmetrics = load_torchmetrics("as_keras()")
    if isinstance(metric, torchmetrics.MetricCollection):
        prefix = "" if name is None else f"{name}_"
        members: Mapping[str, Any] = dict(metric.items(copy_state=False))
        return [
            TorchMetric(member, f"{prefix}{key}", compute_every, from_logits)
            for key, member in members.items()
        ]
    if not isinstance(metric, torchmetrics.Metric):
        raise ArgumentError(
            "as_keras() wants a torchmetrics metric or a MetricCollection, not "
            f"{metric!r}."
        )
    name = name or snake_case(type(metric).__name__)
    return TorchMetric(metric, name, compute_every, from_logits)


def snake_case(name: str) -> str:
    """Write a class's name as Keras writes names.

    >>> snake_case("BinaryAUROC"), snake_case("MulticlassF1Score")
    ('binary_auroc', 'multiclass_f1_score')
    """
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
