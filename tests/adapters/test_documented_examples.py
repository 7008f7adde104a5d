"""No false alarm on what Keras documents; where that lies, the number that is right."""

import inspect

import keras
import numpy as np
import pytest
from support.audited.docstrings import DOCSTRINGS, NO_COMPILE, NOT_MEASURES
from support.audited.guides import BINARY, GUIDES, IDS, LABELS, ONE_HOT, ROWS, X
from support.audited.planted import model_of

from multiback.adapters.torchmetrics import audit

# Keras's own IoU metrics ask JAX for int64.
pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")

COUNTS = np.random.default_rng(3).poisson(3.0, (ROWS, 1)).astype("float32")
SHARES = np.random.default_rng(3).dirichlet([1.0, 2.0, 3.0], ROWS).astype("float32")
# The units, the last layer's activation, and the labels.
FORMS = {
    "yes_no": (1, "sigmoid", BINARY),
    "logit": (1, None, BINARY),
    "one_hot": (3, "softmax", ONE_HOT),
    "ids": (3, "softmax", IDS),
    "several": (3, "sigmoid", LABELS),
    "number": (1, None, 2 * X[:, :1] + 0.5),
    "vector": (3, None, X + 1),
    "shares": (3, "softmax", SHARES),
    "counts": (1, "exponential", COUNTS),
    "plus_minus": (1, "tanh", 2 * BINARY - 1),
}
SHOWN = DOCSTRINGS | NO_COMPILE

# Where a documented example lies: what it gives, and what it should give.
TRUE, FOUND = BINARY[:, 0].astype(bool), 2 * X[:, 0] > 0
NONE = np.zeros(ROWS, bool)  # Scores below 1 as class ids.


def iou(true, found):
    return (true & found).sum() / (true | found).sum()


def both(true, found):
    return (iou(true, found) + iou(~true, ~found)) / 2


DOCSTRINGS_THAT_LIE = {
    "Accuracy": (0.0, np.mean(TRUE == FOUND)),
    "IoU": (iou(~TRUE, ~NONE), iou(~TRUE, ~FOUND)),
    "MeanIoU": (both(TRUE, NONE), both(TRUE, FOUND)),
}


def threshold_of_logits(scores, name):
    right = (scores > np.array([0.5, 0.0])) == BINARY
    return {name: tuple(right.mean(axis=0))}


def weighted_accuracy(scores):
    right, weights = scores.argmax(axis=1) == IDS, np.array([1.0, 1.0, 2.0])[IDS]
    return {
        "sparse_categorical_accuracy": (
            right.mean(),
            np.average(right, weights=weights),
        )
    }


def weighted_counts(scores):
    found, true = scores[:, 0] > 0.5, TRUE
    fn, fp = (true & ~found).sum(), (~true & found).sum()
    tn, tp = (~true & ~found).sum(), (true & found).sum()
    precision = tp / (tp + fp), 0.8 * tp / (0.8 * tp + 0.2 * fp)
    # Recall looks at one class only, and is the same.
    return {
        "fn": (fn, 0.8 * fn),
        "fp": (fp, 0.2 * fp),
        "tn": (tn, 0.2 * tn),
        "tp": (tp, 0.8 * tp),
        "precision": precision,
    }


GUIDES_THAT_LIE = {
    "transfer_learning": lambda s: threshold_of_logits(s, "binary_accuracy"),
    "images_from_scratch": lambda s: threshold_of_logits(s, "acc"),
    "class_weights": weighted_accuracy,
    "imbalanced_with_class_weights": weighted_counts,
}


def check(found, expected):
    """Compare an audit with what is known: nothing, or numbers by name."""
    assert [one.name for one in found] == list(expected), str(found)
    for one in found:
        numbers = one.gives, one.should
        assert numbers == pytest.approx(expected[one.name], rel=1e-5), str(found)


def of_one_model():
    """Group what can be compiled into one model: JAX compiles for a second each."""
    groups = {}
    for name, (form, loss, _) in SHOWN.items():
        loss_name = loss if isinstance(loss, str) else "loss"
        groups.setdefault(f"{form}-{loss_name}", []).append(name)
    return groups


@pytest.mark.parametrize("names", of_one_model().values(), ids=of_one_model())
def test_what_a_docstring_compiles_has_a_finding_only_where_it_is_wrong(names):
    form, loss, _ = SHOWN[names[0]]
    units, activation, y = FORMS[form]
    metrics = [SHOWN[name][2]() for name in names]
    loss = loss if isinstance(loss, str) else loss()
    found = audit(model_of(units, activation, loss, metrics), (X, y))
    named = zip(names, metrics, strict=True)
    lies = {m.name: DOCSTRINGS_THAT_LIE.get(name) for name, m in named}
    check(found, {name: numbers for name, numbers in lies.items() if numbers})


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.__name__)
def test_what_a_guide_compiles_has_a_finding_only_where_it_is_wrong(guide):
    keras.utils.set_random_seed(5)
    model, arguments = guide()
    lies = GUIDES_THAT_LIE.get(guide.__name__)
    known = lies(model.predict(arguments["data"][0], verbose=0)) if lies else {}
    check(audit(model, **arguments), known)


def test_every_metric_of_keras_is_among_them():
    kinds = {
        name
        for name, kind in vars(keras.metrics).items()
        if inspect.isclass(kind) and kind.__name__ == name
    }
    shown = {name.removesuffix(" of logits") for name in SHOWN}
    assert kinds == shown | NOT_MEASURES
