"""The promises of metrics over counts, with scikit-learn as the oracle."""

import types

import numpy as np
import sklearn.metrics
from support.contracts import MetricContract

CASES = {
    "binary": {"task": "binary"},
    "binary-logits": {"task": "binary", "from_logits": True, "threshold": 0.3},
    "binary-ignore": {"task": "binary", "ignore_index": -1},
    "multiclass-macro": {"task": "multiclass", "num_classes": 5, "average": "macro"},
    "multiclass-micro": {"task": "multiclass", "num_classes": 5, "average": "micro"},
    "multiclass-weighted": {
        "task": "multiclass",
        "num_classes": 5,
        "average": "weighted",
    },
    "multiclass-each": {"task": "multiclass", "num_classes": 5, "average": None},
    "multiclass-absent": {"task": "multiclass", "num_classes": 9, "average": "macro"},
    "multiclass-ignore": {
        "task": "multiclass",
        "num_classes": 5,
        "average": "macro",
        "ignore_index": 2,
    },
    "multiclass-3000": {"task": "multiclass", "num_classes": 3000, "average": "micro"},
    "multiclass-300": {
        "task": "multiclass",
        "num_classes": 300,
        "average": "macro",
        "zero_division": float("nan"),
    },
    "multilabel-macro": {"task": "multilabel", "num_labels": 4, "average": "macro"},
    "multilabel-micro": {
        "task": "multilabel",
        "num_labels": 4,
        "average": "micro",
        "threshold": 0.7,
    },
    "multilabel-each": {
        "task": "multilabel",
        "num_labels": 4,
        "average": None,
        "from_logits": True,
        "zero_division": 1.0,
    },
}
# The counting is the same for all; one metric goes through every case.
FEW = {
    case: CASES[case]
    for case in (
        "binary-ignore",
        "multiclass-weighted",
        "multiclass-absent",
        "multiclass-ignore",
        "multilabel-each",
    )
}


def draw(rng, n, arguments):
    """Draw labels and scores that agree more often than chance."""
    task = arguments["task"]
    if task == "multiclass":
        classes = min(arguments["num_classes"], 5)  # The rest stays absent.
        if arguments["num_classes"] >= 300:
            classes = arguments["num_classes"]
        y_true = rng.integers(0, classes, n)
        y_pred = rng.normal(size=(n, arguments["num_classes"]))
        y_pred[:, classes:] = -99
        y_pred[np.arange(n), y_true] += 1.5
        return y_true, y_pred.astype("float32")
    shape = (n,) if task == "binary" else (n, arguments["num_labels"])
    y_true = rng.integers(0, 2, shape)
    logits = rng.normal(size=shape) + y_true - 0.5
    y_pred = logits if arguments.get("from_logits") else 1 / (1 + np.exp(-logits))
    if "ignore_index" in arguments:
        y_true[rng.random(shape) < 0.2] = arguments["ignore_index"]
    return y_true, y_pred.astype("float32")


def hard(y_pred, arguments):
    """Turn scores into predictions in float64."""
    if arguments["task"] == "multiclass":
        return y_pred.argmax(-1)
    scores = y_pred.astype("float64")
    if arguments.get("from_logits"):
        scores = 1 / (1 + np.exp(-scores))
    return (scores > arguments.get("threshold", 0.5)).astype(int)


class CountContract(MetricContract):
    """A metric over tp, fp, tn, fn, with a function of scikit-learn as its oracle."""

    cases = FEW

    def sample(self, rng, n, arguments):
        return draw(rng, n, arguments)

    def score(self, y_true, y_pred, sample_weight, **arguments):
        """Call scikit-learn on hard predictions."""
        raise NotImplementedError

    def oracle(self, y_true, y_pred, sample_weight=None, **arguments):
        y_pred = hard(y_pred, arguments)
        zero_division = arguments.get("zero_division", 0.0)
        settings = {"zero_division": zero_division, "average": "binary"}
        keep = np.ones(len(y_true), bool)
        if arguments["task"] == "multiclass":
            settings["average"] = self.make(**arguments).get_config()["average"]
            if arguments.get("ignore_index") is not None:
                keep = y_true != arguments["ignore_index"]
                seen = np.union1d(y_true[keep], y_pred[keep])
                settings["labels"] = seen[seen != arguments["ignore_index"]]
            elif settings["average"] is None:
                settings["labels"] = np.arange(arguments["num_classes"])
        elif arguments["task"] == "multilabel":
            settings["average"] = self.make(**arguments).get_config()["average"]
        elif arguments.get("ignore_index") is not None:
            keep = y_true != arguments["ignore_index"]
        if sample_weight is not None:
            sample_weight = sample_weight[keep].astype("float64")
        return self.score(y_true[keep], y_pred[keep], sample_weight, **settings)


class ColumnContract(CountContract):
    """The oracle is NumPy on scikit-learn's confusion matrix of each column."""

    def fraction(self, counts):
        """Give numerator and denominator, in float64."""
        raise NotImplementedError

    def score(self, y_true, y_pred, sample_weight, *, average, zero_division, **rest):
        if average == "binary":
            rest, average = {"labels": [0, 1]}, "binary"
        table = sklearn.metrics.multilabel_confusion_matrix(
            y_true, y_pred, sample_weight=sample_weight, **rest
        ).astype("float64")
        tn, fp, fn, tp = table.reshape(-1, 4).T
        if average == "binary":
            tn, fp, fn, tp = tn[1], fp[1], fn[1], tp[1]
        counts = types.SimpleNamespace(tp=tp, fp=fp, tn=tn, fn=fn)
        numerator, denominator = np.array(self.fraction(counts))
        if average == "micro":
            numerator, denominator = numerator.sum(), denominator.sum()
        with np.errstate(invalid="ignore"):
            each = np.where(denominator > 0, numerator / denominator, zero_division)
        if average == "weighted":
            return np.average(each, weights=tp + fn)
        return each if average is None else each.mean()
