"""torchmetrics' names for multiback's metrics, and vice versa."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.libraries import (
    load_torchmetrics,
    run_torchmetrics,
)
from multiback.adapters.torchmetrics.translation.spec import (
    SIZES,
    UNKNOWN_SIZE,
    MetricSpec,
    NoEquivalentError,
)
from multiback.adapters.torchmetrics.translation.table import CLASSES, no_torchmetrics
from multiback.adapters.torchmetrics.translation.unmatched import OF_TORCHMETRICS

GUESSES = (
    "torchmetrics guesses for each batch whether scores are logits; give it "
    "probabilities"
)


# The packages of torchmetrics with equivalents; segmentation is read apart.
HOMES = ("aggregation", "classification", "regression", "retrieval")
# What torchmetrics calls the value of a query without relevant items.
_EMPTY_QUERIES = {0.0: "neg", 1.0: "pos", "nan": "skip"}
# torchmetrics keeps all values for these; multiback as many as `capacity=` says.
KEEPING = ("KendallTau", "SpearmanCorrelation")
CAPACITY = 2**16
# multiback's metrics take the number of labels from the data.
LABEL_RANKING = ("CoverageError", "LabelRankingAveragePrecision", "LabelRankingLoss")
OPERATING_POINTS = (
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
)
TAKES_ZERO_DIVISION = [
    kind for kind, each in CLASSES.items() if "zero_division" in each.arguments
]
_TASKED = re.compile("(Binary|Multiclass|Multilabel)(.+)")
# What the class of a task does not take.
_NOT_PASSED = {
    "binary": ("average",),
    "multiclass": ("threshold", "max_fpr"),
    "multilabel": ("max_fpr",),
}
_NOT_BACK = ("BalancedAccuracy", "Dice", "RootMeanSquaredError", "TopKAccuracy")


def make(
    kind: str,
    config: Mapping[str, Any],
    who: str = "crosscheck",
    more: Mapping[str, Any] | None = None,
) -> Any:
    """Make the metric of torchmetrics for a key of `CLASSES`, of multiback's arguments.

    `who` needs torchmetrics, for the error without it; `more` are arguments of
    torchmetrics.
    """
    package = load_torchmetrics(who)
    found = CLASSES[kind]
    task = "multiclass" if kind == "TopKAccuracy" else config.get("task", "")
    task = "multilabel" if kind in LABEL_RANKING else task
    passed = dict(found.arguments)
    if task and kind not in LABEL_RANKING:
        passed["ignore_index"] = "ignore_index"
    if task in SIZES:
        passed[SIZES[task]] = SIZES[task]
    for argument in _NOT_PASSED.get(task, ()):
        passed.pop(argument, None)
    arguments = {theirs: config[own] for own, theirs in passed.items() if own in config}
    if "empty_target_action" in arguments:
        empty = arguments["empty_target_action"]
        empty = "nan" if math.isnan(empty) else float(empty)
        arguments["empty_target_action"] = _EMPTY_QUERIES[empty]
    name = task.capitalize() + found.name
    homes = [getattr(package, home) for home in HOMES]
    cls = next(getattr(home, name) for home in homes if hasattr(home, name))
    return cls(**arguments, **found.constants, **(more or {}))


def decided_score(
    kind: str, config: Mapping[str, Any], y_true: np.ndarray, y_pred: np.ndarray
) -> Callable[[], Any]:
    """Defer a metric of torchmetrics over decided classes.

    It gets decided classes, never scores: given a score outside of [0, 1] it would
    apply a sigmoid, batch by batch.
    """
    config = {k: v for k, v in config.items() if k != "threshold"}

    def compute() -> Any:
        return run_torchmetrics(
            make(kind, config),
            y_true=y_true.astype("int64"),
            y_pred=y_pred.astype("int64"),
        )

    return compute


def to_torchmetrics(of: MetricSpec) -> Any:
    """Make the metric of torchmetrics, or raise NoEquivalentError."""
    load_torchmetrics("equivalents")
    _refuse(of)
    return make(of.kind, of.config, "equivalents")


def _is_retrieval(kind: str) -> bool:
    return kind in CLASSES and CLASSES[kind].name.startswith("Retrieval")


def _refuse(of: MetricSpec) -> None:
    """Raise if torchmetrics' class of that name gives another number."""
    kind, average, zero = of.kind, of.get("average"), of.get("zero_division", 0.0)
    size = SIZES.get(of.task or "")
    ignored, classes = of.get("ignore_index", -1), of.get("num_classes", 0)
    several_ignored, ignored = bool(np.ndim(ignored)), np.max(ignored, initial=-1)
    if _is_retrieval(kind):
        zero = 0.0  # It has a word for each.
    several = of.get("num_outputs", 1) != 1 and of.get("multioutput") != "raw_values"
    for holds, reason in (
        (kind not in CLASSES, no_torchmetrics(kind)),
        (of.get("from_logits"), GUESSES),
        (of.config.get("classes") is not None, "torchmetrics chooses no classes"),
        (several_ignored, "torchmetrics ignores one label, not several"),
        (size and of.get(size) is None, UNKNOWN_SIZE),
        (math.isnan(zero), "torchmetrics takes zero_division 0 or 1, not NaN"),
        (
            zero != 0 and kind not in TAKES_ZERO_DIVISION,
            f"torchmetrics' {kind} has no zero_division",
        ),
        (
            zero != 0 and of.task != "binary",
            "torchmetrics averages zero_division by a rule of its own",
        ),
        (
            kind == "BalancedAccuracy" and of.task != "multiclass",
            "torchmetrics has it of class ids only, as a macro MulticlassAccuracy",
        ),
        (
            kind in OPERATING_POINTS and of.task != "binary" and average,
            "torchmetrics gives one number a class; average them",
        ),
        (
            kind in ("AUROC", "AveragePrecision")
            and (of.task, average) == ("multiclass", "micro"),
            f"torchmetrics has no micro average of Multiclass{kind}",
        ),
        (of.get("regression"), "torchmetrics does not round a regressed number"),
        (
            of.get("max_fpr") is not None and of.task != "binary",
            "torchmetrics has max_fpr= of two classes only",
        ),
        (
            kind in LABEL_RANKING,
            "torchmetrics wants num_labels=, which this metric does not know",
        ),
        (of.get("gain") == "exponential", "torchmetrics has no exponential gain"),
        (of.get("ignore_nan"), "torchmetrics leaves no NaN out; drop such rows"),
        (
            of.get("num_outputs", 1) != 1
            and "num_outputs" not in CLASSES[kind].arguments,
            "torchmetrics takes all outputs together",
        ),
        (
            several and "num_outputs" in CLASSES[kind].arguments,
            "torchmetrics gives one number an output; average them",
        ),
    ):
        if holds:
            raise NoEquivalentError(reason)
    if of.task == "multiclass" and 0 <= ignored < classes:
        _refuse_ignored(kind, average)


def spec_from_torchmetrics(metric: Any, count: int | None) -> MetricSpec:
    """Read a metric of torchmetrics, or raise NoEquivalentError."""
    segments = type(metric).__module__.startswith("torchmetrics.segmentation")
    return _of_segments(metric) if segments else _of_others(metric, count)


def _of_others(metric: Any, count: int | None) -> MetricSpec:
    """Read a metric of classification, regression or numbers."""
    kind, task = _kind(metric)
    _refuse_options(metric, kind)
    if kind in LABEL_RANKING:
        return MetricSpec(kind, {"ignore_index": metric.ignore_index})
    config: dict[str, Any] = {
        own: getattr(metric, theirs)
        for own, theirs in CLASSES[kind].arguments.items()
        if hasattr(metric, theirs)
    }
    if task and kind != "TopKAccuracy":
        config["task"] = task
    if kind in OPERATING_POINTS:
        config["average"] = "none"
    for argument in ("average", "normalize"):
        if config.get(argument) == "none":
            config[argument] = None
    for argument in _NOT_PASSED.get(task, ()):
        config.pop(argument, None)
    if task in SIZES:
        config[SIZES[task]] = getattr(metric, SIZES[task], None) or count
    if task:
        config["ignore_index"] = metric.ignore_index
    ignored, classes = config.get("ignore_index"), config.get("num_classes")
    if ignored is not None and 0 <= ignored < (classes or 0):
        _refuse_ignored(kind, config.get("average"))
    return MetricSpec(kind, {**config, **_of_values(kind, config)})


def _of_values(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a metric of numbers that torchmetrics has otherwise."""
    more: dict[str, Any] = {}
    if kind in KEEPING:
        more["capacity"] = CAPACITY
    if _is_retrieval(kind):
        words: dict[Any, Any] = {word: value for value, word in _EMPTY_QUERIES.items()}
        more["zero_division"] = float(words[config["zero_division"]])
    if "variant" in config:
        more["variant"] = str(getattr(config["variant"], "value", config["variant"]))
    if config.get("num_outputs", 1) != 1:  # It gives one number an output.
        more["multioutput"] = "raw_values"
    return more


def _of_segments(metric: Any) -> MetricSpec:
    """Read a metric of torchmetrics.segmentation."""
    name, classes = type(metric).__name__, getattr(metric, "num_classes", None)
    if name not in ("DiceScore", "GeneralizedDiceScore", "MeanIoU"):
        outlines = "the others measure no distance between outlines"
        no = outlines if name == "HausdorffDistance" else f"the others have no {name}"
        raise NoEquivalentError(no)
    if classes is None:
        raise NoEquivalentError(UNKNOWN_SIZE)
    config: dict[str, Any] = {"task": "multiclass", "num_classes": classes}
    if not metric.include_background:
        config["classes"] = list(range(1, classes))
    if name == "GeneralizedDiceScore":
        if metric.per_class:
            raise NoEquivalentError(
                "with per_class=True the weights cancel; it is the Dice of each sample"
            )
        return MetricSpec(
            "GeneralizedDice", {**config, "weight_type": metric.weight_type}
        )
    if name == "MeanIoU":
        if not metric.per_class:
            raise NoEquivalentError(
                "torchmetrics averages the means of batches, so its value depends on "
                "their sizes; per_class=True does not"
            )
        return MetricSpec("SamplewiseJaccardIndex", {**config, "average": None})
    config["average"] = None if metric.average == "none" else metric.average
    if metric.aggregation_level == "global":
        return MetricSpec("Dice", config)
    if metric.average == "weighted":
        raise NoEquivalentError("the others do not weigh the classes of each sample")
    return MetricSpec("SamplewiseDice", config)


def _refuse_ignored(kind: str, average: str | None) -> None:
    """Raise where an ignored class leaves another number in torchmetrics than here."""
    if not (
        kind in ("AveragePrecision", "CalibrationError")
        or (kind == "AUROC" and average == "weighted")
        or (kind == "JaccardIndex" and average != "micro")
    ):
        raise NoEquivalentError(
            "torchmetrics counts predictions of an ignored class by its own rule"
        )


def _kind(metric: Any) -> tuple[str, str]:
    """Return multiback's name of a class, and its task."""
    name, home = type(metric).__name__, type(metric).__module__.split(".")[1]
    if home not in HOMES:
        raise NoEquivalentError(f"the others have no metric of torchmetrics.{home}")
    task = ""
    tasked = _TASKED.fullmatch(name)
    if tasked is not None:
        task, name = tasked[1].lower(), tasked[2]
    if name in OF_TORCHMETRICS:
        raise NoEquivalentError(OF_TORCHMETRICS[name])
    if name == "MeanSquaredError" and not metric.squared:
        return "RootMeanSquaredError", task
    if name == "Accuracy" and getattr(metric, "top_k", 1) != 1:
        return "TopKAccuracy", task
    for kind, each in CLASSES.items():
        if each.name == name and kind not in _NOT_BACK:
            return kind, task
    raise NoEquivalentError(f"nothing is known to be {type(metric).__name__}")


def _refuse_options(metric: Any, kind: str) -> None:
    """Raise if an option is set that the others do not have."""
    name = type(metric).__name__
    for option, usual in (
        ("adaptive_k", (False,)),
        ("aggregation", ("mean",)),
        ("empty_target_action", ("neg", "pos", "skip")),
        ("max_fpr", (None,)),
        ("multiclass_mode", ("crammer-singer",)),
        ("multidim_average", ("global",)),
        ("squared", (True, False) if name == "MeanSquaredError" else (True,)),
        ("top_k", (1,)),
    ):
        value = getattr(metric, option, usual[0])
        # A count of best items has its place in these.
        takes = option in CLASSES[kind].arguments.values()
        if value not in usual and not takes:
            raise NoEquivalentError(
                f"no other library has {name} with {option}={value!r}"
            )
    if getattr(metric, "thresholds", None) is not None:
        raise NoEquivalentError(f"no other library has the bins that {name} was given")
    if kind in ("HitRate", "PrecisionAtK", "RecallAtK") and metric.top_k is None:
        raise NoEquivalentError(
            "without top_k= it takes all items of a query; multiback's wants k="
        )
    if kind == "CosineSimilarity" and metric.reduction != "mean":
        raise NoEquivalentError('Keras averages: its equal has reduction="mean"')
    if kind in ("KLDivergence", "LogCoshError", "MeanAbsoluteError") and (
        getattr(metric, "log_prob", False)
        or getattr(metric, "reduction", "mean") != "mean"
        or getattr(metric, "num_outputs", 1) != 1
    ):
        raise NoEquivalentError(f"no other library has {name} with these arguments")
    if kind in ("MeanSquaredError", "RootMeanSquaredError") and metric.num_outputs != 1:
        raise NoEquivalentError(f"the others average {name} over outputs")
