"""Our answer to a call of each function of scikit-learn that we have a metric for."""

from types import MappingProxyType

import numpy as np
from sklearn.utils.multiclass import type_of_target
from support.peers.inputs import (
    Classes,
    NotApplicableError,
    dense,
    stream,
    value_of,
    weights_of,
)


def _zero(given):
    value = given.get("zero_division", "warn")
    if isinstance(value, str):
        return 0.0
    if value not in (0, 1) and value == value:  # noqa: PLR0124 - NaN
        raise NotApplicableError(f"zero_division={value}")
    return float(value)


def ratio(name, samplewise=None):
    """Answer for precision, recall, F-scores and the Jaccard index."""

    def answer(given):
        average, chosen = given["average"], given.get("labels")
        more = {"beta": float(given["beta"])} if "beta" in given else {}
        if more and not 0 < more["beta"] < np.inf:
            raise NotApplicableError("beta of 0 or infinity")
        more["zero_division"] = _zero(given)
        if average == "binary":
            return _of_two(name, given, more)
        classes = Classes(given, chosen)
        if average == "samples":
            if samplewise is None or not classes.several or chosen is not None:
                raise NotApplicableError('average="samples" of this function')
            zero_division = more["zero_division"]
            return classes.value(
                samplewise, average="micro", zero_division=zero_division
            )
        # Only classes that occur: the spare one would be one more.
        ids = classes.places(classes.classes if chosen is None else chosen)
        if not classes.several and len(classes.classes) == classes.columns:
            ids = None if chosen is None else ids
        if classes.several and chosen is None:
            ids = None
        return classes.value(name, average=average, classes=ids, **more)

    return answer


def _of_two(name, given, more):
    y_true, y_pred = (np.ravel(dense(given[key])) for key in ("y_true", "y_pred"))
    positive = given["pos_label"]
    return value_of(
        stream(
            name,
            (y_true == positive).astype("int32"),
            (y_pred == positive).astype("float32"),
            weights_of(given),
            task="binary",
            **more,
        )
    )


def scores_of_all(given):
    """Answer for `precision_recall_fscore_support`."""
    average = given["average"]
    f_beta = ratio("FBetaScore")(given)
    rest = {key: value for key, value in given.items() if key != "beta"}
    parts = [ratio(name)(rest) for name in ("Precision", "Recall")]
    if average is not None:
        return (*parts, f_beta, None)
    classes = Classes(given, given.get("labels"))
    chosen = given.get("labels")
    ids = classes.places(classes.classes if chosen is None else chosen)
    counts = classes.value("StatScores", average=None)
    return (*parts, f_beta, counts[list(ids), -1])


def accuracy(given, *, wrong=False):
    classes = Classes(given)
    share = classes.value("ExactMatch" if classes.several else "Accuracy")
    share = 1.0 - share if wrong else share
    return share if given["normalize"] else share * classes.total


def zero_one(given):
    return accuracy(given, wrong=True)


def hamming(given):
    return Classes(given).value("HammingDistance", average="micro")


def balanced_accuracy(given):
    if given["adjusted"]:
        raise NotApplicableError("adjusted=True")
    return Classes(given).value("BalancedAccuracy")


def matthews(given):
    return Classes(given).value("MatthewsCorrelation")


def kappa(given):
    named = given.get("labels")
    renamed = {"y_true": given["y1"], "y_pred": given["y2"]}
    classes = Classes({**given, **renamed}, named)
    if named is not None:
        _all_named(classes, named)
        if classes.places(named) != tuple(range(len(named))):
            raise NotApplicableError("labels= in another order than the ids'")
    return classes.value(
        "CohenKappa",
        weights=given["weights"],
        zero_division=_zero({"zero_division": given.get("replace_undefined_by", 0.0)}),
    )


def _all_named(classes, named):
    if len(named) < len(classes.classes):
        raise NotApplicableError("labels= that leave out rows")


def confusion(given):
    named, normalize = given.get("labels"), given["normalize"]
    classes = Classes(given, named)
    if named is not None and normalize is not None:
        _all_named(classes, named)
    ids = classes.places(classes.classes if named is None else named)
    return classes.value("ConfusionMatrix", normalize=normalize)[np.ix_(ids, ids)]


def confusion_of_labels(given):
    if given["samplewise"]:
        raise NotApplicableError("samplewise=True")
    named = given.get("labels")
    classes = Classes(given, named)
    ids = classes.places(classes.classes if named is None else named)
    tp, fp, tn, fn, _ = classes.value("StatScores", average=None)[list(ids)].T
    return np.moveaxis(np.array([[tn, fp], [fn, tp]]), -1, 0)


def _probabilities(given, key):
    """Return ids of sorted labels, scores, and the columns."""
    y_true, scores = dense(given["y_true"]), dense(given[key])
    if y_true.ndim > 1 and y_true.shape[1] > 1:
        raise NotApplicableError("several labels at once")
    y_true, named = y_true.ravel(), given.get("labels")
    classes = np.unique(y_true if named is None else np.asarray(named))
    ids = np.searchsorted(classes, y_true).astype("int32")
    if scores.ndim == 1 or scores.shape[1] == 1:
        if named is None:
            ids = (y_true == _positive(given, y_true)).astype("int32")
        return ids, scores.astype("float32").ravel(), {"task": "binary"}
    task = {"task": "multiclass", "num_classes": scores.shape[1]}
    return ids, scores.astype("float32"), task


def _total(given, rows):
    weights = weights_of(given)
    return rows if weights is None else weights.sum()


def log_loss(given):
    key = "y_proba" if "y_proba" in given and given["y_proba"] is not None else "y_pred"
    ids, scores, task = _probabilities(given, key)
    value = value_of(stream("LogLoss", ids, scores, weights_of(given), **task))
    return value if given["normalize"] else value * _total(given, len(ids))


def brier(given):
    ids, scores, task = _probabilities(given, "y_proba")
    value = value_of(stream("BrierScore", ids, scores, weights_of(given), **task))
    half = given["scale_by_half"]
    if half == "auto":
        half = task["task"] == "binary" or task["num_classes"] == 2
    # Ours is from 0 to 1 for one score, and from 0 to 2 for a score a class.
    return value * (1.0 if half else 2.0) / (1.0 if task["task"] == "binary" else 2.0)


def _positive(given, y_true):
    """Return the positive label: by default 1, or the larger of two."""
    positive = given.get("pos_label")
    if positive is not None:
        return positive
    labels = np.unique(y_true)
    return 1 if set(labels.tolist()) <= {-1, 0, 1} else labels[-1]


def _inside(scores):
    """Return scores as they are, or their ranks where they are no probabilities."""
    scores = np.asarray(scores)
    if (
        np.isfinite(scores).all()
        and scores.size
        and scores.min() >= 0
        and scores.max() <= 1
    ):
        return scores.astype("float32")
    _, ranks = np.unique(scores, return_inverse=True)
    return (ranks.reshape(scores.shape) / max(ranks.max(), 1)).astype("float32")


def area(name):
    """Answer for the two areas under curves."""

    def answer(given):
        some = given.get("max_fpr")
        more = {} if some in (None, 1) else {"max_fpr": float(some)}
        average = given["average"]
        if average == "samples":
            raise NotApplicableError('average="samples" of this function')
        y_true, scores = dense(given["y_true"]), dense(given["y_score"])
        weights, kind = weights_of(given), type_of_target(y_true)
        capacity = 16 * -(-len(y_true) // 16)  # Few sizes: JAX compiles each.
        if y_true.ndim == 2 and y_true.shape[1] == 1:
            y_true = y_true.ravel()
        if scores.ndim == 2 and scores.shape[1] == 1:
            scores = scores.ravel()
        if y_true.ndim == 1 and scores.ndim == 1:
            y_true = (y_true == _positive(given, y_true)).astype("int32")
            task = {"task": "binary", "capacity": capacity, **more}
            return value_of(stream(name, y_true, _inside(scores), weights, **task))
        if kind == "multiclass" or (kind == "binary" and y_true.ndim == 1):
            if given.get("multi_class") == "ovo":
                raise NotApplicableError('multi_class="ovo"')
            named = given.get("labels")
            classes = np.unique(y_true if named is None else np.asarray(named))
            y_true = np.searchsorted(classes, y_true).astype("int32")
            task = {"task": "multiclass", "num_classes": scores.shape[1]}
        else:
            task = {"task": "multilabel", "num_labels": y_true.shape[1]}
            y_true = y_true.astype("int32")
        if average == "micro":
            capacity *= scores.shape[1]
        task |= {"average": average, "capacity": capacity, **more}
        return value_of(stream(name, y_true, _inside(scores), weights, **task))

    return answer


def top_k(given):
    scores, named = dense(given["y_score"]), given.get("labels")
    if scores.ndim == 1 or scores.shape[1] == 1:
        raise NotApplicableError("top-k of one score, with a threshold at 0 or 0.5")
    y_true = np.ravel(dense(given["y_true"]))
    classes = np.unique(y_true if named is None else np.asarray(named))
    ids = np.searchsorted(classes, y_true).astype("int32")
    size = scores.shape[1]
    task = {"num_classes": size, "top_k": min(int(given["k"]), size)}
    scores = scores.astype("float32")
    share = value_of(stream("TopKAccuracy", ids, scores, weights_of(given), **task))
    return share if given["normalize"] else share * _total(given, len(ids))


def _curve(name, method, given):
    y_true, scores = np.ravel(dense(given["y_true"])), np.ravel(dense(given["y_score"]))
    metric = stream(
        name,
        (y_true == _positive(given, y_true)).astype("int32"),
        _inside(scores),
        weights_of(given),
        task="binary",
        capacity=16 * -(-len(y_true) // 16),
    )
    # A threshold has another convention: `score > threshold`.
    return getattr(metric, method)()[:2]


def roc(given):
    return _curve("AUROC", "roc_curve", given)


def precision_recall(given):
    return _curve("AveragePrecision", "precision_recall_curve", given)


def regression(name, *, moments=False, named=MappingProxyType({}), **constants):
    """Answer for the errors and, of moments, the shares of variance.

    Args:
        name: Our class.
        moments: It is a share of variance.
        named: Our argument by scikit-learn's name.
        **constants: More arguments of ours.
    """

    def answer(given):
        y_true, y_pred = (
            dense(given[key]).astype("float32") for key in ("y_true", "y_pred")
        )
        how, weights = given.get("multioutput", "uniform_average"), weights_of(given)
        more = {ours: float(given[theirs]) for ours, theirs in named.items()}
        more |= constants
        if given.get("force_finite", True) is False:
            raise NotApplicableError("force_finite=False")
        y_true, y_pred = (x.reshape(len(x), -1) for x in (y_true, y_pred))
        outputs = y_true.shape[1]
        if moments and isinstance(how, str):
            more = {"num_outputs": outputs, "multioutput": how}
            value = value_of(stream(name, y_true, y_pred, weights, **more))
            return value.reshape(outputs) if how == "raw_values" else value
        if moments:
            more = {"num_outputs": outputs, "multioutput": "raw_values"}
            each = value_of(stream(name, y_true, y_pred, weights, **more))
            return np.average(each, weights=how)
        if isinstance(how, str) and how == "uniform_average" and "Root" not in name:
            return value_of(stream(name, y_true, y_pred, weights, **more))
        each = [
            value_of(stream(name, y_true[:, i], y_pred[:, i], weights, **more))
            for i in range(outputs)
        ]
        if isinstance(how, str):
            return np.asarray(each) if how == "raw_values" else np.mean(each)
        return np.average(each, weights=how)

    return answer


def items(name, **arguments):
    """Answer for ranked items and labels, one row a query."""

    def answer(given):
        if given.get("ignore_ties"):
            raise NotApplicableError("ignore_ties=True")
        y_true, scores = dense(given["y_true"]), dense(given["y_score"])
        more = dict(arguments)
        if given.get("k") is not None:
            more["k"] = int(given["k"])
        scores = scores.astype("float32")
        return value_of(stream(name, y_true, scores, weights_of(given), **more))

    return answer


_DEVIANCE = "TweedieDeviance"
ANSWERS = {
    "accuracy_score": accuracy,
    "average_precision_score": area("AveragePrecision"),
    "balanced_accuracy_score": balanced_accuracy,
    "brier_score_loss": brier,
    "cohen_kappa_score": kappa,
    "confusion_matrix": confusion,
    "coverage_error": items("CoverageError"),
    "explained_variance_score": regression("ExplainedVariance", moments=True),
    "f1_score": ratio("F1Score", "SamplewiseDice"),
    "fbeta_score": ratio("FBetaScore"),
    "hamming_loss": hamming,
    "jaccard_score": ratio("JaccardIndex", "SamplewiseJaccardIndex"),
    "label_ranking_average_precision_score": items("LabelRankingAveragePrecision"),
    "label_ranking_loss": items("LabelRankingLoss"),
    "log_loss": log_loss,
    "matthews_corrcoef": matthews,
    "mean_absolute_error": regression("MeanAbsoluteError"),
    "mean_absolute_percentage_error": regression("MeanAbsolutePercentageError"),
    "mean_gamma_deviance": regression(_DEVIANCE, power=2.0),
    "mean_pinball_loss": regression("PinballLoss", named={"quantile": "alpha"}),
    "mean_poisson_deviance": regression(_DEVIANCE, power=1.0),
    "mean_squared_error": regression("MeanSquaredError"),
    "mean_squared_log_error": regression("MeanSquaredLogarithmicError"),
    "mean_tweedie_deviance": regression(_DEVIANCE, named={"power": "power"}),
    "multilabel_confusion_matrix": confusion_of_labels,
    "ndcg_score": items("NDCG", ignore_index=None),
    "precision_recall_curve": precision_recall,
    "precision_recall_fscore_support": scores_of_all,
    "precision_score": ratio("Precision"),
    "r2_score": regression("R2Score", moments=True),
    "recall_score": ratio("Recall"),
    "roc_auc_score": area("AUROC"),
    "roc_curve": roc,
    "root_mean_squared_error": regression("RootMeanSquaredError"),
    "root_mean_squared_log_error": regression("RootMeanSquaredLogarithmicError"),
    "top_k_accuracy_score": top_k,
    "zero_one_loss": zero_one,
}
# What scikit-learn is asked for in place of what the call says: ours keeps every point.
ASKED = {
    "roc_curve": {"drop_intermediate": False},
    "precision_recall_curve": {"drop_intermediate": False},
}
