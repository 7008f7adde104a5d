"""One way to check and to keep the arguments of every metric's constructor.

A constructor's signature is written out, so that `help` and an IDE show it. Wrapping it
here gives unknown arguments an error with the right name, and makes the signature the
config, without a line in the constructors.
"""

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from multiback.errors import ArgumentError
from multiback.metrics.inputs.arguments import as_plain

Init = TypeVar("Init", bound=Callable[..., None])

# Keras's, torchmetrics' and scikit-learn's names of an argument.
HABITS = {
    "class_id": "classes",
    "ignore_class": "ignore_index",
    "k": "top_k",
    "label_smoothing": "soft_labels",
    "labels": "classes",
    "num_bins": "n_bins",
    "num_thresholds": "num_bins",
    "pos_label": "classes",
    "target_class_ids": "classes",
    "thresholds": "threshold",
    "top_k": "k",
}
# Advice for an argument that the class does not have.
ADVICE = {
    "beta": "FBetaScore has it.",
    "capacity": "Metrics of ranked scores, such as AUROC, have it.",
    "classes": "It has no value a class; F1Score, Recall and AUROC have one, and take "
    "classes=.",
    "class_weight": "Give sample_weight to update_state(), or compile with "
    "weighted_metrics=.",
    "curve": "AUROC and AveragePrecision are metrics of their own, and "
    "AUROC().roc_curve() and precision_recall_curve() return curves.",
    "include_background": "Pass classes=[1, 2, ...] to leave class 0 out of the value.",
    "intervals": "It has no interval: to draw rows again takes a weight for each, and "
    "its value is no share or mean of rows.",
    "multi_label": 'Pass task="multilabel", num_labels=N.',
    "multidim_average": "SamplewiseDice and SamplewiseJaccardIndex average samples.",
    "sample_weight": "Give it to update_state(), or compile with weighted_metrics=.",
    "soft_labels": "Give class ids, as y_true.argmax(-1); LogLoss, BrierScore and "
    "Perplexity take soft labels as they are.",
    "sparse_y_pred": "y_pred may be class ids or scores.",
    "sparse_y_true": "y_true may be class ids or one-hot rows.",
    "squared": "RootMeanSquaredError is a metric of its own.",
    "subset_accuracy": "ExactMatch is a metric of its own.",
    "top_k": "TopKAccuracy(num_classes=N, top_k=k) has it.",
}


def checked(init: Init) -> Init:
    """Wrap a constructor: unknown arguments raise, and the outermost ones are kept."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def check_and_init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            _raise_readable(type(self), signature, kwargs, error)
        # A base's constructor is called from inside, with its own arguments.
        if "_arguments" not in vars(self):
            bound.apply_defaults()
            self._arguments = _kept(signature, bound.arguments)
        init(self, *args, **kwargs)

    return check_and_init  # type: ignore[return-value]  # the same signature


def _kept(signature: inspect.Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a config can hold, other than name and dtype."""
    given: dict[str, Any] = {}
    for name, value in list(arguments.items())[1:]:  # The first one is self.
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            given.update(value)
        elif kind is not inspect.Parameter.VAR_POSITIONAL:
            given[name] = value
    plain = as_plain({k: v for k, v in given.items() if k not in ("name", "dtype")})
    return {name: value for name, value in plain.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(each) for each in value)
    if isinstance(value, Mapping):
        return all(_is_plain(each) for pair in value.items() for each in pair)
    return value is None or isinstance(value, bool | int | float | str)


def _raise_readable(
    cls: type,
    signature: inspect.Signature,
    given: Mapping[str, Any],
    error: TypeError,
) -> None:
    """Raise an ArgumentError that says which argument is wrong and what to do."""
    parameters = signature.parameters
    known = [
        name
        for name, each in list(parameters.items())[1:]
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    unknown = next((name for name in given if name not in known), None)
    by_name = [n for n in known if parameters[n].kind is inspect.Parameter.KEYWORD_ONLY]
    too_many = str(error).startswith("too many positional")
    if unknown is None and too_many and by_name:
        first = ", ".join(n for n in known if n not in by_name)
        raise ArgumentError(
            f"{cls.__name__} takes {first or 'nothing'} by position. Write the others "
            f"by name, such as {by_name[0]}=: {', '.join(by_name)}."
        ) from None
    if unknown is None:
        raise ArgumentError(f"{cls.__name__}: {error}. It has {', '.join(known)}.")
    raise ArgumentError(
        f"{cls.__name__} has no argument {unknown}=. {_advice(cls, unknown, known)}"
    ) from None


def _advice(cls: type, unknown: str, known: list[str]) -> str:
    """Return advice for an argument that a class does not have."""
    name = HABITS.get(unknown, unknown)
    if unknown in known or name in known:
        return f"Did you mean {name}=?"
    own: Mapping[str, str] = cls.instead  # type: ignore[attr-defined]  # of Metric
    for each in (unknown, name):
        if each in own or (each in ADVICE and (each != "classes" or "task" in known)):
            return own.get(each) or ADVICE[each]
    near = difflib.get_close_matches(unknown, known, n=1)
    return f"Did you mean {near[0]}=?" if near else f"It has {', '.join(known)}."
