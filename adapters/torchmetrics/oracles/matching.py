"""Rows that match as a whole, and labels among the best scores."""

from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import (
    Array,
    Elements,
    Samples,
    as_floats,
    counted,
)
from multiback.adapters.torchmetrics.libraries import (
    load_sklearn_metrics,
    run_torchmetrics,
)
from multiback.adapters.torchmetrics.oracles.counts import (
    ignored_class,
    ignores_a_class,
)
from multiback.adapters.torchmetrics.oracles.decisions import decided
from multiback.adapters.torchmetrics.oracles.equivalent import (
    NO_CLASSES,
    NO_WEIGHTS,
    Convention,
    Equivalent,
    NoEquivalent,
)
from multiback.adapters.torchmetrics.oracles.scores import mean
from multiback.adapters.torchmetrics.translation.torchmetrics import decided_score, make


def exact_match(config: dict[str, Any], samples: Samples) -> Equivalent | NoEquivalent:
    """Translate `multiback.metrics.ExactMatch`."""
    if samples.masked and config["task"] == "multiclass":
        return NoEquivalent("neither library knows partly masked rows")
    elements = decided(config, samples)
    if config["task"] == "multiclass":  # A row is everything but the first axis.
        shape = (len(samples.y_true), -1)
        elements = Elements(
            elements.labels.reshape(shape),
            elements.predictions.reshape(shape),
            None if elements.weights is None else elements.weights.reshape(shape),
        )
    matters = counted(elements.labels, config["ignore_index"])
    rows = matters.any(axis=1)
    right = ((elements.labels == elements.predictions) | ~matters).all(axis=1)[rows]

    def sklearn() -> Any:
        if not right.size:
            return config["zero_division"]
        weights = None if elements.weights is None else elements.weights[rows, 0]
        return load_sklearn_metrics().accuracy_score(  # type: ignore[union-attr]  # judged only with scikit-learn
            np.ones(right.size), right, sample_weight=weights
        )

    weighted = samples.sample_weight is not None
    theirs = decided_score("ExactMatch", config, elements.labels, elements.predictions)
    return Equivalent(
        None if weighted else theirs,
        sklearn,
        convention=Convention(
            "ignored elements",
            "a row with everything ignored does not count here, and an "
            "ignored element never spoils its row; torchmetrics decides otherwise",
            sklearn if load_sklearn_metrics() is not None else None,
        )
        if config["ignore_index"] is not None
        else None,
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def top_k_accuracy(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.TopKAccuracy`."""
    classes, top_k = config["num_classes"], config["top_k"]
    ignored, average = config["ignore_index"], config["average"]
    chosen = config.get("classes")
    labels = decided(
        {"task": "multiclass"}, Samples(samples.y_true, samples.y_pred, None, 1)
    ).labels
    scores = as_floats(samples.y_pred).reshape(-1, classes)
    weights = decided({"task": "multiclass"}, samples).weights
    kept = counted(labels, ignored)
    ids = np.arange(classes) if chosen is None else np.atleast_1d(chosen)

    def scored(hits: Any) -> Any:
        """Average a share of hits, given as a function of the selected rows."""
        if average in ("micro", "weighted"):
            rows = kept & np.isin(labels, ids)
            return hits(rows) if rows.any() else config["zero_division"]
        present = [kept & (labels == c) for c in ids]
        values = [hits(of) if of.any() else config["zero_division"] for of in present]
        if average is None:
            return np.asarray(
                values if chosen is None or np.ndim(chosen) else values[0]
            )
        occurs = np.array([float(of.any()) for of in present])
        return mean(values, occurs, config["zero_division"])

    def by_sklearn(rows: Array) -> Any:
        # For two classes scikit-learn wants one score, and a binary label.
        two = classes == 2  # noqa: PLR2004 - two classes
        if two and top_k == 2:  # noqa: PLR2004 - all of them
            return 1.0
        return load_sklearn_metrics().top_k_accuracy_score(  # type: ignore[union-attr]  # as above
            labels[rows],
            (scores[rows, 1] > scores[rows, 0]) * 1.0 if two else scores[rows],
            k=top_k,
            labels=np.arange(classes),
            sample_weight=None if weights is None else weights[rows],
        )

    def by_rank(rows: Array) -> Any:
        order = np.argsort(-scores[rows], axis=1, kind="stable")[:, :top_k]
        hits = (order == labels[rows, None]).any(axis=1)
        return np.average(hits, weights=None if weights is None else weights[rows])

    def theirs() -> Any:
        metric = make("TopKAccuracy", config)
        return run_torchmetrics(metric, y_true=labels, y_pred=scores)

    convention = Convention(
        "ties and absent classes",
        "of equal scores the first class ranks best here, the last in scikit-learn "
        "and any in torchmetrics, which also keeps a predicted class without a "
        "label in the mean",
        lambda: scored(by_rank),
    )
    if ignores_a_class({**config, "task": "multiclass"}):
        convention = ignored_class(lambda: scored(by_rank))
    note = NO_WEIGHTS if weights is not None else ""
    if chosen is not None:
        note = NO_CLASSES
    return Equivalent(
        None if note else theirs,
        lambda: scored(by_sklearn),
        convention=convention,
        columns=classes,
        additions=0 if weights is None else samples.additions,
        note=note,
    )
