"""The data of the page: plain ones, and odd ones on which libraries differ."""

import numpy as np

ROWS, FEW = 400, 64
# Metrics whose formula takes numbers above 0, or is compared best on such.
OF_POSITIVE = (
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "NormalizedRootMeanSquaredError",
    "RootMeanSquaredLogarithmicError",
    "SymmetricMeanAbsolutePercentageError",
    "TweedieDeviance",
    "WeightedMeanAbsolutePercentageError",
)
INFINITE = "an infinite loss is NaN here, which is never the best"
# Where the reason is not one that crosscheck knows.
WHY = {
    "AveragePrecision": "Keras interpolates between 200 thresholds",
    "JaccardIndex": "Keras takes a score at the threshold for positive",
    "LogLoss": INFINITE,
    "Perplexity": INFINITE,
}


def plain():
    """Return fixed data for each task that has labels, and targets with guesses."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, ROWS)
    y_pred = (0.6 * rng.random(ROWS) + 0.4 * y_true).round(3).astype("float32")
    ids = rng.integers(0, 4, ROWS)
    scores = rng.random((ROWS, 4))
    scores[np.arange(ROWS), ids] += 0.5
    scores = (scores / scores.sum(1, keepdims=True)).astype("float32")
    labels = rng.integers(0, 2, (ROWS, 3))
    several = (0.6 * rng.random((ROWS, 3)) + 0.4 * labels).astype("float32")
    target = rng.normal(size=ROWS).astype("float32")
    guess = (target + 0.5 * rng.normal(size=ROWS)).astype("float32")
    relevance = rng.integers(0, 2, (ROWS, 6))
    ranked = (0.1 + 0.6 * rng.random((ROWS, 6)) + 0.2 * relevance).astype("float32")
    return {
        "binary": (y_true, y_pred),
        "multiclass": (ids, scores),
        "multilabel": (labels, several),
        "regression": (target, guess),
        "queries": (relevance, ranked),
        "positive": (np.exp(target), np.exp(guess)),
        "numbers": (guess,),
    }


def odd():
    """Return labels and scores by case and task; each score is exact in float32."""
    rng = np.random.default_rng(1)
    binary = rng.integers(0, 2, FEW)
    ids = rng.integers(0, 4, FEW)
    labels = rng.integers(0, 2, (FEW, 3))
    labels[:2] = [[0], [1]]
    fine = {
        "binary": (binary, _two_class_scores(rng, binary)),
        "multiclass": (ids, _class_scores(rng, ids)),
        "multilabel": (labels, _two_class_scores(rng, labels)),
    }
    rough = {
        task: (true, _rough(task, scores)) for task, (true, scores) in fine.items()
    }
    one = {task: (np.ones_like(true), scores) for task, (true, scores) in fine.items()}
    absent = ids % 3
    lacking = labels.copy()
    lacking[:, -1] = 0
    return {
        "equal scores": rough,
        "one class only": one,
        "an absent class, predicted at times": {
            "multiclass": (absent, fine["multiclass"][1]),
            "multilabel": (lacking, fine["multilabel"][1]),
        },
        "an absent class, never predicted": {
            "multiclass": (absent, _never_last(_class_scores(rng, absent))),
        },
    }


def _two_class_scores(rng, labels):
    fine = rng.permutation(labels.size).reshape(labels.shape) / labels.size
    return (0.625 * fine + 0.25 * labels + 1 / 1024).astype("float32")


def _class_scores(rng, ids):
    parts = rng.integers(1, 200, (len(ids), 4))
    parts[np.arange(len(ids)), ids] += 120
    parts[:, 0] += 1024 - parts.sum(1) % 1024
    return (parts / parts.sum(1, keepdims=True)).astype("float32")


def _never_last(scores):
    scores = scores.copy()
    scores[:, 0] += scores[:, -1] - 1 / 1024
    scores[:, -1] = 1 / 1024
    return scores


def _rough(task, scores):
    if task != "multiclass":
        return np.clip(np.round(scores * 4) / 4, 0.25, 0.75)
    best = np.argsort(-scores, axis=1)[:, :2]  # The two best of four are equal.
    equal = np.zeros_like(scores)
    np.put_along_axis(equal, best, 0.5, axis=1)
    return equal
