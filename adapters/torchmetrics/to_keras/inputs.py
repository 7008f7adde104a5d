"""Convert Keras's labels and predictions for a torchmetrics metric.

Keras puts classes, labels and channels last, gives a column where numbers are wanted,
and targets as floats; torchmetrics wants classes and channels in the second axis, plain
numbers, and integers to classify. Each package of torchmetrics has its own layout.
"""

from typing import Any, Literal

import keras

from multiback.errors import ArgumentError

Tensor = Any
Domain = Literal[
    "audio",
    "binary",
    "image",
    "multiclass",
    "multilabel",
    "other",
    "panoptic",
    "perplexity",
    "segmentation",
]
TASKS = ("binary", "multiclass", "multilabel")
_PACKAGES: dict[str, Domain] = {
    "audio": "audio",
    "image": "image",
    "segmentation": "segmentation",
}
_CLASSES: dict[str, Domain] = {
    "ComplexScaleInvariantSignalNoiseRatio": "other",  # Its last axis is the last.
    "ModifiedPanopticQuality": "panoptic",
    "PanopticQuality": "panoptic",
    "Perplexity": "perplexity",
}
_DICTIONARIES = ("QualityWithNoReference", "SpatialDistortionIndex")
# Here torchmetrics takes the largest of several scores, at any scale.
_LARGEST = (
    "MulticlassConfusionMatrix",
    "MulticlassExactMatch",
    "MulticlassStatScores",
)
# How far rounding may move a probability out of [0, 1].
OUTSIDE = 1e-3


class Inputs:
    """How one metric of torchmetrics takes Keras's arrays.

    `from_logits=None` leaves it to torchmetrics, which guesses for each batch.
    """

    def __init__(self, metric: Any, from_logits: bool | None = None) -> None:
        self.name = type(metric).__name__
        self.domain, self.metric = _domain_of(metric)
        self.from_logits = from_logits
        classified = self.domain in TASKS or self.domain == "perplexity"
        if from_logits is not None and not classified:
            raise ArgumentError(
                f"from_logits= wants a metric that classifies scores, not {self.name}. "
                "Leave it out."
            )
        largest = {base.__name__ for base in type(self.metric).__mro__}
        self.guesses = self.domain in TASKS and not largest.intersection(_LARGEST)

    def arrange(  # noqa: PLR0911 - a table
        self, y_true: Tensor, y_pred: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return `(target, preds)` as torchmetrics wants them, of torch tensors.

        For classes, targets are ids, or rows as long as those of the scores, whose
        largest element is the class.
        """
        match self.domain:
            case "multiclass" if y_pred.is_floating_point():
                self._check_last(y_true, y_pred, "num_classes")
                return _class_ids(y_true, y_pred), _second(self._scores(y_pred))
            case "multiclass" if self._are_rows(y_true, y_pred):
                return y_true.long().argmax(-1), y_pred.long().argmax(-1)
            case "binary" | "multiclass":
                y_true, y_pred = _same_rank(y_true, y_pred)
                return _integers(y_true), self._scores(y_pred)
            case "multilabel":
                self._check_last(y_true, y_pred, "num_labels")
                return _second(_integers(y_true)), _second(self._scores(y_pred))
            case "image":
                return _images(y_true, y_pred)
            case "audio":
                y_true, y_pred = _same_rank(y_true, y_pred)
                return _second(y_true), _second(y_pred)
            case "segmentation":
                return self._segments(y_true, y_pred)
            case "panoptic":
                return _integers(y_true), _integers(y_pred)
            case "perplexity":
                return self._sequences(y_true, y_pred)
        return _same_rank(y_true, y_pred)

    def check_rows(self, y_true: Tensor, y_pred: Tensor) -> None:
        """Raise if rows that are read as one-hot are not: they may be class ids."""
        if (
            self.domain != "multiclass"
            or y_pred.is_floating_point()
            or not self._are_rows(y_true, y_pred)
        ):
            return
        for name, rows in (("y_true", y_true), ("y_pred", y_pred)):
            if not bool(
                ((rows == 0) | (rows == 1)).all() and (rows.sum(-1) == 1).all()
            ):
                raise ArgumentError(
                    f"as_keras({self.name}) wants one-hot rows where the last axis of "
                    f"both has num_classes={rows.shape[-1]} integers, but {name} has "
                    "others. Give class ids a last axis of 1."
                )

    def outside(self, preds: Tensor) -> int:
        """Count the scores that are not probabilities, where torchmetrics guesses."""
        if not self.guesses or self.from_logits or not preds.is_floating_point():
            return 0
        return int(((preds < -OUTSIDE) | (preds > 1 + OUTSIDE)).sum())

    def _scores(self, scores: Tensor) -> Tensor:
        """Convert logits to probabilities; keep rounded ones in [0, 1]."""
        if not scores.is_floating_point() or self.from_logits is None:
            return scores
        if not self.from_logits:
            near = (scores >= -OUTSIDE) & (scores <= 1 + OUTSIDE)
            return scores.clamp(0, 1).where(near, scores)
        if self.domain == "multiclass":
            return scores.softmax(-1)
        return scores.sigmoid()

    def _check_last(self, y_true: Tensor, y_pred: Tensor, argument: str) -> None:
        """Raise unless the last axis of the scores has one entry a class."""
        count = getattr(self.metric, argument, None)
        shape, labels = tuple(y_pred.shape), tuple(y_true.shape)
        if len(shape) > 2 and shape[1] == count:  # noqa: PLR2004 - classes in the second axis
            # Sizes may be equal by chance: then the labels' shape decides.
            of_ids = shape[-1] == count and len(labels) == len(shape) - 1
            if shape[-1] != count or (
                of_ids and labels[1:] == shape[2:] != shape[1:-1]
            ):
                raise ArgumentError(
                    f"as_keras({self.name}) wants scores with the {count} classes "
                    f"last, not of shape {shape}. Move the axis: "
                    "keras.ops.moveaxis(y_pred, 1, -1), or channels_last in the model."
                )
        if count is not None and len(shape) > 1 and shape[-1] != count:
            raise ArgumentError(
                f"as_keras({self.name}) wants {argument}={count} scores in the last "
                f"axis, not shape {shape}. Give {argument}= the number of scores."
            )

    def _are_rows(self, y_true: Tensor, y_pred: Tensor) -> bool:
        """Return whether labels and integer predictions are one-hot rows.

        By their shapes alone, as multiback's metrics read them.
        """
        count = getattr(self.metric, "num_classes", None)
        return bool(y_true.shape == y_pred.shape and y_pred.ndim > 1) and (
            y_pred.shape[-1] == count
        )

    def _segments(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return one-hot channels or class ids, as `input_format=` wants them."""
        wanted = getattr(self.metric, "input_format", "one-hot")
        count = getattr(self.metric, "num_classes", None)
        scored = y_pred.is_floating_point() and y_pred.ndim > y_true.ndim
        one_hot = y_true.shape == y_pred.shape and (
            wanted != "index" or y_pred.is_floating_point()
        )
        column = y_true.shape == (*y_pred.shape[:-1], 1) and y_pred.shape[-1] != 1
        if column:
            y_true = y_true[..., 0]
        if not (scored or one_hot or column or y_pred.ndim == y_true.ndim + 1):
            y_true, y_pred = _same_rank(y_true, y_pred)
            if wanted == "index":
                return _integers(y_true), _integers(y_pred)
        count = y_pred.shape[-1] if count is None else count
        if y_pred.shape[-1] != count:
            move = (
                "Move the axis: keras.ops.moveaxis(y_pred, 1, -1)."
                if y_pred.shape[1:2] == (count,)
                else 'For class ids say input_format="index".'
            )
            raise ArgumentError(
                f"as_keras({self.name}) wants the {count} classes in the last axis, "
                f"not shape {tuple(y_pred.shape)}. {move}"
            )
        if count == 1 and y_pred.is_floating_point():
            raise ArgumentError(
                f"as_keras({self.name}) wants a score for each of at least 2 classes: "
                "the largest of one score is always that one. Give two channels, or "
                "use multiback.metrics.JaccardIndex or Dice."
            )
        if y_true.shape != y_pred.shape:
            if y_true.shape != y_pred.shape[:-1]:
                raise ArgumentError(
                    f"as_keras({self.name}) wants y_true of shape "
                    f"{tuple(y_pred.shape[:-1])} or {tuple(y_pred.shape)}, not "
                    f"{tuple(y_true.shape)}."
                )
            ids = _integers(y_true)
            y_true = ids.new_zeros((*ids.shape, count))
            y_true = y_true.scatter_(-1, ids.unsqueeze(-1), 1)
        if wanted == "index":
            return y_true.argmax(-1), y_pred.argmax(-1)
        target = y_true.argmax(-1) if wanted == "mixed" else _second(_integers(y_true))
        preds = y_pred if y_pred.is_floating_point() else y_pred.long()
        return target, _second(preds)

    def _sequences(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return class ids `(B, T)` and logits `(B, T, classes)`."""
        ids = _class_ids(y_true, y_pred)
        # torchmetrics takes the softmax of its input: log p gives p.
        scores = y_pred.log() if self.from_logits is False else y_pred
        if scores.ndim == 2:  # noqa: PLR2004 - a mask has made one row of each element
            return ids.reshape(1, -1), scores[None]
        return ids, scores


def _domain_of(metric: Any) -> tuple[Domain, Any]:
    """Return the domain of a metric, or of its inner metric, and that metric."""
    found: dict[Domain, Any] = {}
    for module in metric.modules():
        domain = _domain_of_class(type(module))
        if domain != "other":
            found.setdefault(domain, module)
    return next(iter(found.items())) if len(found) == 1 else ("other", metric)


def _domain_of_class(cls: type) -> Domain:
    for base in cls.__mro__:
        library, _, package = base.__module__.partition(".")
        package = package.partition(".")[0]
        if library != "torchmetrics":
            continue
        if base.__name__ in _CLASSES:
            return _CLASSES[base.__name__]
        if package in ("detection", "text") or base.__name__ in _DICTIONARIES:
            wants = {"detection": "boxes in dictionaries", "text": "strings"}
            raise ArgumentError(
                "as_keras() wants a metric of arrays of predictions and targets, but "
                f"{cls.__name__} takes {wants.get(package, 'dictionaries')}. Compute "
                "it outside of compile()."
            )
        if package == "classification":
            for task in TASKS:
                if base.__name__.lower().startswith(task):
                    return task  # type: ignore[return-value]  # each is a domain
        if package in _PACKAGES:
            return _PACKAGES[package]
    return "other"


def _same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Drop a last axis of length 1."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_pred = y_pred[..., 0]
    elif y_true.ndim == y_pred.ndim > 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
        if y_pred.shape[-1] == 1:  # Else several predictions of one number.
            y_pred = y_pred[..., 0]
    return y_true, y_pred


def _images(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with channels in the second axis and of one dtype."""
    if y_true.ndim == y_pred.ndim - 1 and y_pred.shape[-1] == 1:
        y_true = y_true[..., None]
    elif y_pred.ndim == y_true.ndim - 1 and y_true.shape[-1] == 1:
        y_pred = y_pred[..., None]
    y_true = y_true.to(y_pred.dtype)
    if y_pred.ndim == 3:  # noqa: PLR2004 - (batch, height, width)
        return y_true[:, None], y_pred[:, None]
    if keras.config.image_data_format() == "channels_first":
        return y_true, y_pred
    return _second(y_true), _second(y_pred)


def _class_ids(y_true: Tensor, y_pred: Tensor) -> Tensor:
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == y_pred.shape[-1]:
        return y_true.argmax(-1)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    return _integers(y_true)


def _second(tensor: Tensor) -> Tensor:
    """Move the last axis, of classes or channels, to the second place."""
    return tensor.movedim(-1, 1) if tensor.ndim > 2 else tensor  # noqa: PLR2004


def _integers(labels: Tensor) -> Tensor:
    if not labels.is_floating_point():
        return labels.long()
    ids = labels.long()
    if not bool((ids == labels).all()):
        wrong = labels[ids != labels].flatten()[0].item()
        raise ArgumentError(
            f"y_true wants class ids or 0 and 1, but holds {wrong}: metrics of "
            "torchmetrics.classification know no soft labels."
        )
    return ids
