"""Arguments without a meaning are refused by name, with what was wanted.

No backend has a part in it.
"""

import inspect

import numpy as np
import pytest
from support.catalogue import NEEDED, public_names

import multiback as mb
from multiback.errors import ArgumentError

CLASSES = {"task": "multiclass", "num_classes": 5}
LABELS = {"task": "multilabel", "num_labels": 5}
ALWAYS = {"BoxMeanAveragePrecision": {"num_classes": 2}}
REFUSED = {
    "F1Score": [
        ({"task": "regression"}, r'task= wants "binary".*not .regression.'),
        ({"task": "multiclass"}, r"wants num_classes= as an integer .* not None"),
        ({"task": "multiclass", "num_classes": 1}, r"at least 2, not 1"),
        ({"task": "multilabel", "num_classes": 3}, r"num_labels"),
        ({"task": "binary", "num_classes": 3}, r"num_classes= has no meaning"),
        ({"num_classes": 3}, r'Pass task="multiclass", num_classes=3\.'),
        ({"num_labels": 3}, r'Pass task="multilabel", num_labels=3\.'),
        ({"average": "mean"}, r'average= wants "micro".* not .mean.'),
        ({"threshold": 1.5}, r"threshold= wants a probability"),
        ({"zero_division": 0.5}, r"zero_division= wants 0, 1 or"),
        ({"task": ["binary"]}, r"task= wants .* not \['binary'\]"),
        ({"threshold": True}, r"threshold= wants a probability .* not True"),
        ({"from_logits": "False"}, r"from_logits= wants True or False, not 'False'"),
        ({"ignore_index": True}, r"ignore_index= wants an integer .* not True"),
        ({"ignore_index": 2**40}, r"ignore_index= wants .* 2147483647, .* not 10995"),
        ({"ignore_index": []}, r"ignore_index= wants an integer .* not \[\]"),
        ({"ignore_index": [0, True]}, r"ignore_index= wants .* not \[0, True\]"),
        ({"zero_division": np.zeros(2)}, r"zero_division= wants 0, 1 or"),
        ({"average": np.array(["micro"])}, r"average= wants"),
        ({**CLASSES, "classes": [1, 5]}, r"integer from 0 to 4.* not \[1, 5\]"),
        ({**CLASSES, "classes": -1}, r"classes= wants an integer from 0 to 4.* not -1"),
        ({**CLASSES, "classes": []}, r"classes= wants .* not \[\]"),
        ({**CLASSES, "classes": [1, 1]}, r"classes= wants each id once"),
        ({**CLASSES, "classes": True}, r"classes= wants .* not True"),
        ({**CLASSES, "classes": 1.0}, r"classes= wants .* not 1\.0"),
        ({**CLASSES, "classes": "dog"}, r"classes= wants .* not 'dog'"),
        ({**LABELS, "classes": 5}, r"integer from 0 to 4"),
        ({"task": "binary", "classes": 2}, r"integer from 0 to 1.* not 2"),
        ({"classes": [1, 2]}, r'not \[1, 2\].*pass task="multiclass"'),
        ({**CLASSES, "classes": [1, 2], "ignore_index": 2}, r"both name 2"),
        ({**CLASSES, "classes": 1, "ignore_index": [0, 1]}, r"both name 1"),
        ({"classes": 0, "ignore_index": 0}, r"both name 0"),
    ],
    "FBetaScore": [
        ({"beta": "2"}, r"beta= wants a number above 0, not '2'"),
        ({"beta": True}, r"beta= wants a number above 0, not True"),
    ],
    "TopKAccuracy": [
        ({"num_classes": 3, "top_k": True}, r"top_k= wants an integer"),
        ({"num_classes": 9, "ignore_index": 0.5}, r"ignore_index= wants"),
        ({}, r"TopKAccuracy: missing .* .num_classes"),
    ],
    "AUROC": [
        ({"from_logits": None}, r"from_logits= wants True or False"),
        ({"task": "multiclass"}, "num_classes="),
        ({"capacity": 0}, "capacity= wants"),
        ({"num_bins": 1}, "num_bins= wants"),
        ({"average": "mean"}, "average= wants"),
    ],
    "LogLoss": [
        ({"from_logits": 1}, r"from_logits= wants True or False, not 1"),
        ({"task": "multilabel"}, "task= wants"),
    ],
    "PrecisionAtRecall": [({"recall": np.True_}, r"recall= wants a number")],
    "BoxMeanAveragePrecision": [
        ({"format": "xy"}, "format= wants one of xyxy"),
        ({"format": "rel_xyxy"}, r"image_size= wants \(height, width\)"),
        ({"image_size": (3, 4)}, "image_size= wants None"),
        ({"average": "micro"}, 'average= wants "macro" or None'),
    ],
    "CalibrationError": [
        ({"task": "multilabel"}, "task= wants"),
        ({"norm": "l3"}, "norm= wants"),
        ({"n_bins": 0}, "n_bins= wants"),
    ],
    "CohenKappa": [
        ({"weights": "cubic"}, "weights= wants"),
        ({"task": "multilabel"}, "side by side have such"),
        ({"task": "multilabel", "num_labels": 3}, "Give each label"),
        ({"task": "other"}, "task= wants .* not 'other'.$"),
        ({"regression": True}, "regression=True wants task="),
        ({"task": "binary", "regression": True}, "regression=True wants task="),
    ],
    "ConfusionMatrix": [
        ({"normalize": "rows"}, "normalize= wants"),
        ({"task": "multilabel"}, "num_labels="),
        ({"task": "multiclass"}, "num_classes="),
        ({"intervals": "bootstrap"}, "normalize="),
    ],
    "EqualErrorRate": [({"task": "binary", "classes": 0}, "classes= wants")],
    "GeneralizedDice": [({**CLASSES, "weight_type": "cubic"}, "weight_type= wants")],
    "HingeLoss": [
        ({"squared": "yes"}, "squared= wants True or False"),
        ({"task": "multilabel"}, "task= wants"),
    ],
    "HitRate": [({"k": 0}, "k= wants an integer of at least 1")],
    "Huber": [({"delta": 0}, "delta= wants")],
    "MatthewsCorrelation": [({"task": "multilabel"}, "num_labels=")],
    "MaxFBeta": [({"beta": 0}, "beta= wants")],
    "MeanAbsolutePercentageError": [
        ({"multioutput": "variance_weighted"}, "multioutput=")
    ],
    "MinkowskiDistance": [({"p": 0.5}, "p= wants")],
    "MultiScaleStructuralSimilarity": [({"betas": [1.0]}, "betas= wants")],
    "NDCG": [({"gain": "log"}, "gain= wants"), ({"top_k": 3}, "Did you mean k=")],
    "NormalizedRootMeanSquaredError": [
        ({"normalization": "max"}, "normalization= wants")
    ],
    "PinballLoss": [({"quantile": 1.0}, "quantile= wants")],
    "R2Score": [
        ({"num_outputs": 0}, "num_outputs="),
        ({"multioutput": "mean"}, "multioutput="),
        ({"adjusted": -1}, "adjusted="),
    ],
    "RelativeSquaredError": [({"squared": "no"}, "squared= wants")],
    "SamplewiseDice": [({"average": "weighted"}, "average= wants")],
    "StructuralSimilarity": [({"data_range": 0}, "data_range= wants")],
    "TweedieDeviance": [({"power": 0.5}, "power= wants")],
    "Lift": [
        ({"fraction": given}, "fraction= wants a share above 0")
        for given in (0, -1, 1.1, 10, "0.1", float("nan"))
    ],
}
REFUSED["AUROC"] += [
    ({"max_fpr": given}, "max_fpr= wants None or a rate")
    for given in (0, -0.1, 1.5, "0.1", True, float("nan"))
]
REFUSED["TopKAccuracy"] += [
    ({"num_classes": 3, "top_k": given}, "top_k= wants .* from 1 to num_classes=3")
    for given in (0, 4, 1.5)
]
WRONG_INTERVALS = ("delong", True, 200, {"seeds": 1}, {"replicates": 1}, {"seed": -1})
REFUSED["Accuracy"] = [
    ({"intervals": given}, "intervals=|replicates=|seed=") for given in WRONG_INTERVALS
]
REFUSED["F1Score"] += [
    ({"name": given}, "name= wants the name for Keras's logs")
    for given in (3, "", b"f")
]
for at, needed in NEEDED.items():
    if "At" in at and len(needed.keys() - {"k", "fraction"}):
        REFUSED.setdefault(at, []).extend(
            ({argument: given}, f"{argument}= wants")
            for argument in needed
            for given in (1.5, -0.1, "0.9", True)
        )
# Names that no metric takes, each given as an argument of 1.
UNKNOWN = [
    ("F1Score", "treshold", r"F1Score has no argument treshold=.* threshold=\?"),
    ("LogLoss", "num_labels", r"LogLoss has no argument num_labels=.* num_c"),
    ("AUROC", "num_thresholds", r"AUROC has no .* Did you mean num_bins=\?"),
    ("AUROC", "alpha", r"AUROC has no .* It has .*task, .*num_bins, "),
    ("R2Score", "adjust", r"R2Score has no argument .* mean adjusted=\?"),
    ("SamplewiseDice", "class_id", r"SamplewiseDice has no .* mean classes=\?"),
    ("F1Score", "thresholds", r"F1Score has no argument .* mean threshold=\?"),
    ("F1Score", "soft_labels", r"F1Score has no .* Give class ids, as y_true.arg"),
    ("AUROC", "label_smoothing", r"AUROC has no .* Perplexity take soft labels"),
    ("F1Score", "top_k", r"F1Score has no argument top_k=\. TopKAccuracy"),
    ("F1Score", "squared", r"F1Score has no argument squared=\. Root"),
    ("MeanSquaredError", "squared", r"MeanSquaredError has no .* RootMeanSquared"),
    ("CohenKappa", "weight", r"CohenKappa has no argument .* mean weights=\?"),
    ("CohenKappa", "num_labels", r"CohenKappa has no .* Give each label its own"),
    ("CohenKappa", "class_id", r"CohenKappa has no .* F1Score, Recall and AUROC"),
    ("TopKAccuracy", "k", r"TopKAccuracy has no argument k=\. .* mean top_k=\?"),
    ("CalibrationError", "nbins", r"CalibrationError has no .* mean n_bins=\?"),
    ("ExactMatch", "n_labels", r"ExactMatch has no .* mean num_labels=\?"),
    ("ConfusionMatrix", "normalise", r"ConfusionMatrix has no .* mean normalize="),
    ("Mean", "dtpe", r"Mean has no argument dtpe=\. Did you mean dtype=\?"),
    ("MatthewsCorrelation", "hits_only", r"MatthewsCorrelation has no argument"),
]


def metric_class(name):
    return getattr(mb.metrics, name)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [(name, *row) for name, rows in REFUSED.items() for row in rows],
)
def test_an_argument_without_a_meaning_says_what_was_wanted(name, arguments, words):
    with pytest.raises(ArgumentError, match=words):
        metric_class(name)(**ALWAYS.get(name, {}), **arguments)


@pytest.mark.parametrize(("name", "argument", "words"), UNKNOWN)
def test_an_unknown_argument_is_refused_by_the_name_of_the_metric(
    name, argument, words
):
    with pytest.raises(ArgumentError, match=words):
        metric_class(name)(**{argument: 1})


def test_too_many_arguments_by_their_place_are_refused():
    with pytest.raises(
        ArgumentError, match=r"F1Score takes task by position.* num_classes=:"
    ):
        mb.metrics.F1Score("multiclass", 3)


OF_TASKS = {
    name: given
    for name in public_names()
    if "task" in (given := inspect.signature(metric_class(name)).parameters)
}


@pytest.mark.parametrize("argument", ["num_classes", "num_labels"])
@pytest.mark.parametrize(
    "name", [name for name, given in OF_TASKS.items() if given["task"].default is None]
)
def test_a_number_of_columns_without_a_task_says_which_one(name, argument):
    with pytest.raises(ArgumentError, match=r"task=|no argument num_labels"):
        metric_class(name)(**NEEDED.get(name, {}), **{argument: 3})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Accuracy", CLASSES),
        ("Accuracy", {}),
        ("HammingDistance", {**CLASSES, "average": "micro"}),
        ("TopKAccuracy", {"num_classes": 5}),
        *((name, {}) for name, given in OF_TASKS.items() if "classes" not in given),
    ],
)
def test_a_metric_without_a_value_a_class_names_one_that_has_it(name, arguments):
    with pytest.raises(ArgumentError, match=r"classes=.*Recall"):
        metric_class(name)(**arguments, classes=[1])
