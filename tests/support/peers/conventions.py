"""Where our answer differs from scikit-learn's by a convention, and what shows it.

Each is checked on the call itself: scikit-learn is asked for what ours is by that
convention, or the call's own data show that the case is there.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from support.peers.inputs import Classes, dense, weights_of

UNNAMED = "no convention"


@dataclasses.dataclass
class Difference:
    """Two answers to one call.

    Args:
        name: The function.
        given: Its arguments.
        theirs: scikit-learn's answer.
        ours: Our answer.
        agrees: Whether scikit-learn gives ours for changed arguments.
    """

    name: str
    given: dict[str, Any]
    theirs: Any
    ours: Any
    agrees: Callable[..., bool]


def _no_clipping(call):
    """A probability of 0 for the label costs infinity: the value is NaN, never best."""
    if call.name != "log_loss" or not np.isnan(call.ours):
        return False
    given = call.given
    scores = dense(given["y_pred" if given.get("y_proba") is None else "y_proba"])
    return bool(((scores == 0) | (scores == 1)).any())


def _one_sample(call):
    """The variance of one sample is unknown: NaN, as scikit-learn's R2 says too."""
    if call.name != "explained_variance_score" or len(dense(call.given["y_true"])) > 1:
        return False
    return bool(np.isnan(call.ours).all())


def _absent_class(call):
    """A class with neither a label nor a prediction leaves the macro average."""
    named = call.given.get("labels")
    if call.given.get("average") != "macro" or named is None:
        return False
    there = set(Classes(call.given).classes.tolist())
    return call.agrees(labels=[label for label in named if label in there])


def _no_positives(call):
    """Without positives the recall, and its area, are NaN and leave the average."""
    if call.name not in ("average_precision_score", "precision_recall_curve"):
        return False
    y_true = dense(call.given["y_true"])
    there = np.atleast_1d(y_true.any(0))
    if call.name == "precision_recall_curve":
        precision, recall = call.ours
        alike = np.array_equal(precision, call.theirs[0])
        return not there.any() and alike and bool(np.isnan(recall[:-1]).all())
    if not there.any():
        return bool(np.isnan(call.ours))
    if y_true.ndim == 1 or there.all():
        return False
    scores = dense(call.given["y_score"])
    return call.agrees(y_true=y_true[:, there], y_score=scores[:, there])


def _ties(call):
    """Of equal scores the first class is the larger; scikit-learn takes the last."""
    if call.name != "top_k_accuracy_score":
        return False
    scores = dense(call.given["y_score"])
    return call.agrees(y_score=scores - 1e-3 * np.arange(scores.shape[1]))


def _wide_weights(call):
    """Sums of weights are of floats; scikit-learn's of integers go round at 2^63."""
    weights = call.given.get("sample_weight")
    if weights is None or np.asarray(weights).dtype.kind != "i":
        return False
    wide = np.asarray(weights, "float64")
    return weights_of(call.given).sum() > 2.0**63 and call.agrees(sample_weight=wide)


def _float32(call):
    """Values are taken as float32; scikit-learn computes in the dtype given."""
    single = {
        key: dense(call.given[key]).astype("float32")
        for key in ("y_true", "y_pred", "y_score", "y_proba")
        if key in call.given and dense(call.given[key]).dtype in ("float16", "float64")
    }
    return bool(single) and call.agrees(**single)


CONVENTIONS = {
    "an absent class": _absent_class,
    "an infinite loss": _no_clipping,
    "one sample": _one_sample,
    "no positives": _no_positives,
    "equal scores": _ties,
    "sums of weights": _wide_weights,
    "float32": _float32,
}


def convention(call):
    """Return the name of the convention that explains a difference, or `UNNAMED`."""
    found = (name for name, explains in CONVENTIONS.items() if explains(call))
    return next(found, UNNAMED)
