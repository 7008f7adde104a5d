"""The area under a ROC or precision-recall curve.

Keras counts at fixed thresholds, the others at every score. Whether that
explains a difference is not guessed: Keras's own rule, in float64, must give
Keras's number.
"""

from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import (
    Array,
    Samples,
    as_floats,
    pair,
    sigmoid,
)
from multiback.adapters.torchmetrics.libraries import (
    load_sklearn_metrics,
    run_torchmetrics,
)
from multiback.adapters.torchmetrics.oracles.equivalent import (
    NO_WEIGHTS,
    Convention,
    Equivalent,
    NoEquivalent,
)
from multiback.adapters.torchmetrics.translation.keras import CURVES
from multiback.adapters.torchmetrics.translation.torchmetrics import make


def area(config: dict[str, Any], samples: Samples) -> Equivalent | NoEquivalent:
    """Translate `keras.metrics.AUC`."""
    if config["multi_label"] or config["label_weights"] is not None:
        return NoEquivalent("AUC over labels weighs them in a way of its own")
    curve = config["curve"].upper()
    if curve not in CURVES:
        return NoEquivalent(f"only Keras knows the curve {curve}")
    elements = pair(samples)
    labels = elements.labels.astype(bool)
    scores = as_floats(elements.predictions)
    probabilities = sigmoid(scores) if config["from_logits"] else scores
    weights = elements.weights

    def theirs() -> Any:
        metric = make(CURVES[curve], {"task": "binary"})
        return run_torchmetrics(
            metric, y_true=labels.astype("int64"), y_pred=probabilities
        )

    def sklearn() -> Any:
        metrics = load_sklearn_metrics()
        name = {"ROC": "roc_auc_score", "PR": "average_precision_score"}[curve]
        return getattr(metrics, name)(labels, scores, sample_weight=weights)

    one_class = labels.all() or not labels.any()
    return Equivalent(
        None if one_class or weights is not None else theirs,
        None if one_class else sklearn,
        convention=Convention(
            "fixed thresholds",
            f"Keras counts at {_thresholds(config).size} fixed thresholds"
            + (" and interpolates between them" if curve == "PR" else "")
            + "; the others use every score",
            lambda: binned_area(config, labels, probabilities, weights),
        ),
        # Each threshold adds a term to the area, rounded like a batch.
        additions=samples.additions + _thresholds(config).size,
        note="one class only: the area is undefined"
        if one_class
        else (NO_WEIGHTS if weights is not None else ""),
    )


def _thresholds(config: dict[str, Any]) -> Array:
    inner = config.get("thresholds")
    if inner is None:
        n = config["num_thresholds"]
        inner = np.arange(1, n - 1) / (n - 1)
    return np.array([-1e-7, *inner, 1 + 1e-7]).astype("float32")


def binned_area(
    config: dict[str, Any], labels: Array, probabilities: Array, weights: Array | None
) -> float:
    """Repeat Keras's area in float64, from counts above each threshold."""
    scores = probabilities.astype("float32")
    weights = np.ones(len(scores)) if weights is None else weights
    thresholds = _thresholds(config)
    if config.get("thresholds") is None:
        steps = np.float32(len(thresholds) - 1)
        above = np.ceil(scores * steps).astype("int64").clip(1)
    else:
        above = np.searchsorted(thresholds, scores, side="left")
    tp, fp = (
        np.bincount(above[of], weights[of], len(thresholds) + 1)[::-1].cumsum()[::-1][
            1:
        ]
        for of in (labels, ~labels)
    )
    positives, negatives = weights[labels].sum(), weights[~labels].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, fall_out = tp / positives, fp / negatives
        precision = np.nan_to_num(tp / (tp + fp), posinf=0.0)
        if config["curve"].upper() == "PR":
            if config["summation_method"] == "interpolation":
                return _interpolated(tp, tp + fp) / float(positives)
            x, y = recall, precision
        else:
            x, y = fall_out, recall
    heights = {
        "interpolation": (y[:-1] + y[1:]) / 2,
        "minoring": np.minimum(y[:-1], y[1:]),
        "majoring": np.maximum(y[:-1], y[1:]),
    }[config["summation_method"]]
    return float(np.sum((x[:-1] - x[1:]) * heights))


def _interpolated(tp: Array, predicted: Array) -> float:
    """Integrate precision over recall as Davis and Goadrich (2006) draw it."""
    tp_step, step = tp[:-1] - tp[1:], predicted[:-1] - predicted[1:]
    slope = np.divide(tp_step, step, out=np.zeros_like(tp_step), where=step > 0)
    both = (predicted[:-1] > 0) & (predicted[1:] > 0)
    growth = np.divide(
        predicted[:-1], predicted[1:], out=np.ones_like(tp_step), where=both
    )
    intercept = tp[1:] - slope * predicted[1:]
    return float(np.sum(slope * (tp_step + intercept * np.log(growth))))
