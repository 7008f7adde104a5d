"""Why an element cannot be used: the causes that metrics count, and the cure of each.

Values never raise: a compiled step cannot, and one script should behave alike on all
backends. They are counted by cause, and a result outside of a compiled step warns.
"""

from typing import Any

from keras import ops

from multiback.metrics.inputs.batch import Batch, Values, is_float

Tensor = Any


# The order is that of the state.
CAUSES = (
    "unknown_label",
    "nan_label",
    "soft_label",
    "nan_score",
    "outside_score",
    "unknown_prediction",
    "unusable_weight",
    "infinite",
)
NUMBER = {name: index for index, name in enumerate(CAUSES)}
# A right value needs a usable label.
OF_LABELS = slice(0, 3)

# What was found, after its number, and the cure: one sentence together.
WORDS = {
    "unknown_label": (
        "labels are not {known}",
        "correct them, or pass ignore_index= for one that should not count",
    ),
    "nan_label": (
        "labels are NaN",
        "give them an id such as -1 and pass it as ignore_index=",
    ),
    "nan_target": (
        "targets are NaN",
        "pass ignore_nan=True to leave them out",
    ),
    "soft_label": (
        "labels are soft (not whole)",
        "give class ids (y_true.argmax(-1)), or use LogLoss, BrierScore or Perplexity",
    ),
    "share": (
        "labels are shares that are negative or do not add up to 1",
        "normalise y_true=",
    ),
    "nan_score": (
        "predictions are NaN",
        "check the model's inputs, or give such rows sample_weight=0",
    ),
    "nan_value": (
        "values are NaN",
        "check what computes them, or give such values sample_weight=0",
    ),
    "outside_score": (
        "scores are outside of [0, 1]",
        "pass from_logits=True if the model returns logits, or give probabilities",
    ),
    "outside_domain": (
        "elements have no error by this formula, which takes {known}",
        "clip y_true= and y_pred=, or take another metric",
    ),
    "unknown_prediction": (
        "predictions are not {known}",
        "give y_pred= as these, or as scores of each class",
    ),
    "unusable_weight": (
        "weights are NaN or infinite",
        "check what computes sample_weight=, or give 0 to leave rows out",
    ),
    "negative_weight": (
        "weights are negative, which a ranking has no meaning for, or not finite",
        "give sample_weight= finite numbers of at least 0",
    ),
    "infinite": (
        "values are infinite, or the logarithm of 0",
        "clip y_pred=, or check the data",
    ),
    "equal_images": (
        "images equal their targets, so that their ratio is infinite",
        "give such images sample_weight=0",
    ),
    "beyond_capacity": (
        "scores had no room",
        "give a larger capacity=, or leave it out to count scores in bins",
    ),
    "broken_box": (
        "objects have a box or class that is NaN or infinite",
        "correct y_true=, or give padding the class -1",
    ),
    "unknown_class_of_box": (
        "classes of objects are not {known}",
        "correct y_true=, or give num_classes= the largest id plus 1",
    ),
    "unknown_class": (
        "classes of detections are not {known}",
        "correct y_pred=, or give num_classes= the largest id plus 1",
    ),
    "broken_detection": (
        "detections have a box or confidence that is NaN or infinite",
        "check the model, or give padding the class -1",
    ),
    "outside_confidence": (
        "confidences are outside of [0, 1]",
        "apply a sigmoid, or pass capacity=N, which takes any",
    ),
    "detections_beyond_capacity": (
        "detections had no room",
        "give a larger capacity=, or leave it out to count them in bins",
    ),
    "values_beyond_capacity": (
        "elements had no room",
        "give capacity= the number of all elements",
    ),
}


def explain(name: str, count: int, words: str, known: str) -> str:
    """Return the sentence of a warning: `words` is a key of `WORDS`."""
    found, cure = WORDS[words]
    return f"{name}: {count} {found.format(known=known)}; {cure}."


def suspicious(batch: Batch, *, probabilities: bool, negative_weights: bool) -> Tensor:
    """Return whether any element of a batch has a cause, in few operations.

    With `probabilities` the value depends on scores that are to lie in [0, 1].
    """
    bad = ops.logical_and(_bad_scores(batch, probabilities), batch.valid)
    bad = ops.logical_or(bad, batch.wrong)
    if batch.weights is not None:
        unusable = _unusable_weights(batch.weights, negative_weights)
        unusable = ops.logical_and(unusable, _any_of_row(batch.valid, unusable))
        return ops.logical_or(ops.any(bad), ops.any(unusable))
    return ops.any(bad)


def _unusable_weights(weights: Tensor, negative_weights: bool) -> Tensor:
    unusable = ops.logical_not(ops.isfinite(weights))
    if negative_weights:
        return unusable
    return ops.logical_or(unusable, weights < 0.0)


def _bad_scores(batch: Batch, probabilities: bool) -> Tensor:
    """Return which elements have a score or prediction that cannot be used."""
    if batch.scores is None:
        return batch.hopeless
    bad = ops.isnan(batch.scores)
    if probabilities:
        # Neither is a NaN inside.
        inside = ops.logical_and(batch.scores >= 0.0, batch.scores <= 1.0)
        bad = ops.logical_not(inside)
    return _any_of_row(bad, batch.valid)


def _any_of_row(bad: Tensor, like: Tensor) -> Tensor:
    return ops.any(bad, axis=-1) if len(bad.shape) > len(like.shape) else bad


def count_causes(
    batch: Batch, *, probabilities: bool, negative_weights: bool
) -> Tensor:
    """Count the elements of a batch that have each cause, `(len(CAUSES),)` int32."""
    wrong, valid = batch.wrong, batch.valid
    none = ops.zeros_like(wrong)
    of_nan = fractional = none
    if is_float(batch.raw_labels):
        raw = batch.raw_labels
        of_nan, fractional = ops.isnan(raw), ops.not_equal(raw, ops.floor(raw))
        if batch.one_hot:
            of_nan, fractional = (ops.any(x, axis=-1) for x in (of_nan, fractional))
        of_nan, fractional = (
            ops.reshape(x, ops.shape(wrong)) for x in (of_nan, fractional)
        )
    nan_label = ops.logical_and(wrong, of_nan)
    soft = ops.logical_and(ops.logical_and(wrong, fractional), ops.logical_not(of_nan))
    unknown = ops.logical_and(
        wrong, ops.logical_not(ops.logical_or(of_nan, fractional))
    )
    nan_score = unknown_prediction = outside = weight = none
    if batch.scores is None and batch.by_id:
        unknown_prediction = ops.logical_and(batch.hopeless, valid)
    elif batch.scores is None:
        nan_score = ops.logical_and(batch.hopeless, valid)
    else:
        missing = _any_of_row(ops.isnan(batch.scores), valid)
        nan_score = ops.logical_and(missing, valid)
        if probabilities:
            outside = ops.logical_or(batch.scores < 0.0, batch.scores > 1.0)
            outside = ops.logical_and(_any_of_row(outside, valid), valid)
    if batch.weights is not None:
        weight = _unusable_weights(batch.weights, negative_weights)
        weight = ops.logical_and(weight, _any_of_row(valid, weight))
    columns = (
        unknown,
        nan_label,
        soft,
        nan_score,
        outside,
        unknown_prediction,
        weight,
    )
    return _totals([*columns, none])


def _totals(columns: list[Tensor]) -> Tensor:
    return ops.stack([ops.sum(ops.cast(column, "int32")) for column in columns])


def count_value_causes(batch: Values, *, negative_weights: bool = True) -> Tensor:
    """Count targets, predictions and weights that are NaN or infinite."""
    true, predicted = batch.columns
    nan_true, nan_predicted = ops.isnan(true), ops.isnan(predicted)
    infinite = ops.logical_or(ops.isinf(true), ops.isinf(predicted))
    columns = {"nan_label": nan_true, "nan_score": nan_predicted, "infinite": infinite}
    return count_each({**columns, **_of_weights(batch, negative_weights)})


def _of_weights(batch: Values, negative: bool) -> dict[str, Tensor]:
    """Return which weights cannot be used, by cause."""
    if batch.weights is None:
        return {}
    return {"unusable_weight": _unusable_weights(batch.weights, negative)}


def count_each(columns: dict[str, Tensor]) -> Tensor:
    """Count where each cause holds, `(len(CAUSES),)` int32; a missing one nowhere."""
    none = ops.zeros_like(next(iter(columns.values())))
    return _totals([columns.get(name, none) for name in CAUSES])


def count_number_causes(batch: Values, *, infinite: bool) -> Tensor:
    """Count weights and numbers that are NaN or, if asked for, infinite."""
    (values,) = batch.columns
    columns = {"nan_score": ops.isnan(values), **_of_weights(batch, negative=True)}
    if infinite:
        columns["infinite"] = ops.isinf(values)
    return count_each(columns)
