"""Other formulas over the same counts.

What is compiled are the counts, which test_classification.py tests under each backend
with the F1 score; the formula of each class is in test_whole_catalogue.py. So these run
once.
"""

import functools

import sklearn.metrics
from support.counting import ColumnContract, CountContract
from support.oracles import RATES, RATIOS

import multiback as mb

BETA = {"FBetaScore": {"beta": 2.0}}
SCIKIT_LEARN = {
    "Dice": sklearn.metrics.f1_score,
    "FBetaScore": functools.partial(sklearn.metrics.fbeta_score, beta=2.0),
    "Precision": sklearn.metrics.precision_score,
    "Recall": sklearn.metrics.recall_score,
}
FORMULAS = {**RATES, "JaccardIndex": RATIOS["JaccardIndex"]}


def contract_of(name):
    """Make the contract of a metric: scikit-learn's, or a formula over its counts."""
    parent = CountContract if name in SCIKIT_LEARN else ColumnContract

    class Contract(parent):
        def make(self, **arguments):
            return getattr(mb.metrics, name)(**BETA.get(name, {}), **arguments)

        def score(self, y_true, y_pred, sample_weight, **settings):
            if name not in SCIKIT_LEARN:
                return super().score(y_true, y_pred, sample_weight, **settings)
            weight = {"sample_weight": sample_weight}
            return SCIKIT_LEARN[name](y_true, y_pred, **weight, **settings)

        def fraction(self, counts):
            return FORMULAS[name](counts.tp, counts.fp, counts.tn, counts.fn)

    return Contract


NAMES = (*SCIKIT_LEARN, *FORMULAS)
globals().update({f"Test{name}": contract_of(name) for name in NAMES})
