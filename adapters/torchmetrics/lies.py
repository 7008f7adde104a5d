"""Numbers that lie by the way in which they are added up or fed.

Each function looks at one metric and returns a finding or None. A finding needs two
different numbers on these data: what could lie and does not is left in peace.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

import multiback.metrics

from . import keras_private
from .areas import binned_area
from .arrays import as_floats, pair
from .check import replacement, weights_are_mangled
from .evidence import Evidence, are_different, are_integers, loss_takes_logits
from .findings import Finding, Kind
from .report import Value
from .spelling import is_function, kind_of, spell
from .streaming import plan

Check = Callable[[Evidence], Finding | None]

# An epsilon in a denominator, or a sum in another order, may leave [0, 1] by less.
OUTSIDE = 1e-3
# Pairs of a positive and a negative that thresholds cannot tell apart, and the area
# that this costs, from which on an AUC is called saturated.
TIED, LOST = 0.1, 0.01
THRESHOLD_KINDS = (
    "BinaryAccuracy",
    "BinaryIoU",
    "FBetaScore",
    "F1Score",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "TrueNegatives",
    "TruePositives",
)
PROBABILITY_KINDS = (
    "AUC",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "KlDivergence",
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SparseCategoricalCrossentropy",
    "SpecificityAtSensitivity",
)
ONE_HOT_KINDS = (
    "AUC",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "F1Score",
    "FBetaScore",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Precision",
    "Recall",
    "TopKCategoricalAccuracy",
    "BinaryAccuracy",
)
SPARSE_KINDS = (
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
)


def _finding(
    kind: Kind, of: Evidence, should: Value | None, reason: str, change: str
) -> Finding:
    return Finding(kind, of.subject.name, of.subject.value, should, reason, change)


def _instead(of: Evidence, new: str) -> str:
    return f"{spell(of.metric)}  →  {new}"


def broadcast_labels(of: Evidence) -> Finding | None:
    """Labels (N,) and predictions (N, 1) become (N, N) in a function."""
    if not is_function(of.metric) or of.y_true.shape == of.y_pred.shape:
        return None
    if of.y_true.size != of.y_pred.size or len(of.y_true) < 2:  # noqa: PLR2004 - a pair
        return None
    function, arguments = keras_private.wrapped_function(of.metric)
    rows = slice(0, 2)
    values = function(
        *map(ops.convert_to_tensor, (of.y_true[rows], of.y_pred[rows])), **arguments
    )
    if np.size(ops.convert_to_numpy(values)) <= of.y_pred[rows].size:
        return None
    should = of.value(y_true=of.y_true.reshape(of.y_pred.shape))
    shapes = f"{of.y_true.shape} and {of.y_pred.shape}"
    return _finding(
        "broadcast labels",
        of,
        should,
        f"labels and predictions of shapes {shapes} broadcast to every pair of rows",
        f"y  →  y.reshape{(-1, *of.y_pred.shape[1:])}",
    )


def averaged(of: Evidence) -> Finding | None:
    """A function of a batch that is no mean over samples."""
    subject = of.subject
    if of.is_ours or weights_are_mangled(subject):
        return None
    rows = len((subject.unmasked or subject.samples).y_true)
    should = subject.at_once()
    cuts = plan((subject.cuts[0].batch_size,), 1, rows)
    gives = [subject.value, *map(subject.stream, cuts)]
    wrong = [value for value in gives if are_different(value, should)]
    if not wrong:
        return None
    known = replacement(subject).removeprefix("use ")
    if is_function(of.metric):
        reason = (
            "Keras averages a function over batches, and this is no mean of samples"
        )
    else:
        reason = "the value depends on how the rows are cut into batches"
    return Finding(
        "averaged over batches",
        subject.name,
        wrong[0],
        should,
        reason,
        _instead(of, known)
        if known
        else f"{spell(of.metric)}: return one value a sample, or write a "
        "keras.metrics.Metric that keeps sums and divides in result()",
    )


def ignored_weights(of: Evidence) -> Finding | None:
    """`metrics=` never receives weights."""
    if of.weights is None or of.subject.weighted:
        return None
    should = of.value(sample_weight=of.weights)
    if not of.differs(should):
        return None
    return _finding(
        "ignores weights",
        of,
        should,
        "there are weights, and Keras gives them to weighted_metrics= only",
        f"metrics=[{spell(of.metric)}]  →  weighted_metrics=[{spell(of.metric)}]",
    )


def ignored_mask(of: Evidence) -> Finding | None:
    """A metric of Keras's that counts what the model masks."""
    if of.subject.unmasked is None or of.subject.weighted or of.is_ours:
        return None
    should = of.value()
    if not of.differs(should):
        return None
    ours = f"multiback.metrics.{kind_of(of.metric)}"
    exists = kind_of(of.metric) in multiback.metrics.__all__
    return _finding(
        "ignores the mask",
        of,
        should,
        "the model has a mask, and this metric counts what it leaves out",
        _instead(of, f"{ours}(...)") if exists else "pass the mask as sample_weight",
    )


def logits(of: Evidence) -> Finding | None:
    """Logits given to a metric of probabilities, or the other way round."""
    scores = of.y_pred
    if scores.dtype.kind != "f" or not are_integers(of.y_true) or of.y_true.min() < 0:
        return None
    config = of.metric.get_config()
    by_loss = loss_takes_logits(of.loss)
    outside = scores.min() < -OUTSIDE or scores.max() > 1 + OUTSIDE
    if config.get("from_logits"):
        if by_loss is not False or outside or of.is_categorical:
            return None
        should = of.value(of.like(from_logits=False))
        kind: Kind = "probabilities as logits"
        reason = "the loss takes probabilities, so this metric's logits are none"
        change = _instead(of, spell(of.like(from_logits=False)))
    else:
        if not (outside or by_loss) or not _takes_probabilities(of, config):
            return None
        should = of.value(y_pred=of.probabilities())
        kind = "logits as probabilities"
        reason = "the predictions are logits, and this metric takes probabilities"
        change = _instead(of, _of_logits(of, config))
    return _finding(kind, of, should, reason, change) if of.differs(should) else None


def _takes_probabilities(of: Evidence, config: dict[str, Any]) -> bool:
    if of.is_ours:
        return config.get("from_logits") is False
    kind = kind_of(of.metric)
    if is_function(of.metric):
        _, config = keras_private.wrapped_function(of.metric)
        if config.get("from_logits"):
            return False
    if kind not in THRESHOLD_KINDS:
        return kind in PROBABILITY_KINDS
    threshold = config.get("thresholds", config.get("threshold"))
    if kind in ("F1Score", "FBetaScore") and threshold is None:
        return False  # The largest score wins, whatever the scores are.
    return threshold is None or bool(np.all(np.asarray(threshold) == 0.5))  # noqa: PLR2004 - the default


def _of_logits(of: Evidence, config: dict[str, Any]) -> str:
    kind = kind_of(of.metric)
    if "from_logits" in config:
        return spell(of.metric, from_logits=True)
    if is_function(of.metric):
        argument = "threshold=0.0" if "Accuracy" in kind else "from_logits=True"
        return f"keras.metrics.{kind}({argument})"
    if kind == "BinaryAccuracy":
        return spell(of.metric, threshold=0.0)
    if kind in ("F1Score", "FBetaScore"):  # Keras refuses a threshold of 0 there.
        return f"multiback.metrics.{kind}(..., from_logits=True)"
    if kind in THRESHOLD_KINDS and kind != "BinaryIoU":
        return spell(of.metric, thresholds=0.0)
    return "a last layer with a sigmoid or softmax"


def one_column(of: Evidence) -> Finding | None:
    """The largest of one score is always that one."""
    kind = kind_of(of.metric)
    if of.y_pred.ndim < 2 or of.y_pred.shape[-1] != 1:  # noqa: PLR2004 - rows and columns
        return None
    if (
        kind in ("F1Score", "FBetaScore")
        and of.metric.get_config()["threshold"] is None
    ):
        fixed = of.like(threshold=0.5)
    elif kind in ("CategoricalAccuracy", "SparseCategoricalAccuracy"):
        fixed = keras.metrics.BinaryAccuracy()
    else:
        return None
    should = of.value(fixed)
    if not of.differs(should):
        return None
    return _finding(
        "one column",
        of,
        should,
        "the largest score of one column is always that one, so every row is positive",
        _instead(of, spell(fixed)),
    )


def labels_of_another_form(of: Evidence) -> Finding | None:
    """Class ids where one-hot rows are taken for granted, or the other way round."""
    kind, classes = kind_of(of.metric), of.y_pred.shape[-1]
    if kind in ONE_HOT_KINDS and of.holds_ids():
        ids = of.y_true.reshape(of.y_pred.shape[:-1]).astype("int64")
        one_hot = np.eye(classes, dtype="float32")[ids]
        reason = "the labels are class ids, and this metric takes one-hot rows"
        change = f"y  →  keras.utils.to_categorical(y, {classes})"
        should = of.value(y_true=one_hot)
        if kind in ("BinaryAccuracy", "CategoricalAccuracy"):
            fixed = keras.metrics.SparseCategoricalAccuracy()
            change, should = _instead(of, spell(fixed)), of.value(fixed)
    elif kind in SPARSE_KINDS and of.is_one_hot():
        should = of.value(y_true=of.y_true.argmax(axis=-1))
        reason = "the labels are one-hot rows, and this metric takes class ids"
        name = kind.removeprefix("Sparse")
        change = _instead(of, f"keras.metrics.{name}()")
    elif (
        kind == "BinaryAccuracy"
        and classes > 2  # noqa: PLR2004 - with two classes both are right or wrong
        and of.is_one_hot()
        and of.is_distribution()
    ):
        fixed = keras.metrics.CategoricalAccuracy()
        should = of.value(fixed)
        reason = (
            f"each of {classes} classes is scored as a yes or no, most are easy noes"
        )
        change = _instead(of, spell(fixed))
    else:
        return None
    if not of.differs(should):
        return None
    return _finding("labels of another form", of, should, reason, change)


def compared_scores(of: Evidence) -> Finding | None:
    """`Accuracy` or an IoU that compares a score with a class id."""
    kind = kind_of(of.metric)
    if not are_integers(of.y_true) or are_integers(of.y_pred):
        return None
    config = of.metric.get_config()
    if kind == "Accuracy":
        fixed: Any = keras.metrics.BinaryAccuracy()
        if of.y_pred.ndim > 1 and of.y_pred.shape[-1] > 1 and of.is_one_hot():
            fixed = keras.metrics.CategoricalAccuracy()
        elif of.holds_ids():
            fixed = keras.metrics.SparseCategoricalAccuracy()
    elif kind in ("IoU", "MeanIoU") and config.get("sparse_y_pred"):
        if of.y_pred.shape[-1] != config["num_classes"]:
            return None
        fixed = of.like(sparse_y_pred=False, sparse_y_true=not of.is_one_hot())
    else:
        return None
    should = of.value(fixed)
    if not of.differs(should):
        return None
    return _finding(
        "compares scores with classes",
        of,
        should,
        "a score is compared with a class id, and hardly ever equals it",
        _instead(of, spell(fixed)),
    )


def saturated(of: Evidence) -> Finding | None:
    """An AUC whose thresholds cannot tell positives from negatives."""
    metric = of.metric
    if type(metric) is not keras.metrics.AUC:
        return None
    config = metric.get_config()
    if config["multi_label"] or config["label_weights"] is not None:
        return None
    elements = pair(of.samples)
    labels, scores = elements.labels.astype(bool), as_floats(elements.predictions)
    if labels.all() or not labels.any() or scores.min() < 0 or scores.max() > 1:
        return None  # No area, or logits: another finding.
    edges = np.unique(scores).astype("float32")
    exact = binned_area(
        {**config, "thresholds": (edges[:-1] / 2 + edges[1:] / 2)[1 - edges.size :]},
        labels,
        scores,
        elements.weights,
    )
    count = config["num_thresholds"] - 1
    if config.get("thresholds") is not None:
        bins = np.searchsorted(np.asarray(config["thresholds"]), scores)
    else:
        bins = np.ceil(scores * count).clip(1)
    tied = np.mean(bins[labels][:, None] == bins[~labels][None, :])
    same = np.mean(scores[labels][:, None] == scores[~labels][None, :])
    if tied - same < TIED or abs(float(np.ravel(of.subject.value)[0]) - exact) < LOST:
        return None
    ours = "AUROC" if config["curve"].upper() == "ROC" else "AveragePrecision"
    return _finding(
        "too few thresholds",
        of,
        exact,
        f"{tied:.0%} of the pairs of a positive and a negative lie between the same "
        f"two of {count + 1} thresholds",
        _instead(of, f"multiback.metrics.{ours}()"),
    )


# In this order: the first that finds something explains the number.
CHECKS: tuple[Check, ...] = (
    broadcast_labels,
    averaged,
    labels_of_another_form,
    compared_scores,
    one_column,
    logits,
    saturated,
    ignored_mask,
)
