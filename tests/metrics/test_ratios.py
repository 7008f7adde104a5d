"""Other formulas over the same counts.

What is compiled are the counts, which test_classification.py tests under each backend
with the F1 score; the formula of each class is in test_whole_catalogue.py. So these run
once.
"""

import sklearn.metrics
from support.counting import ColumnContract, CountContract
from support.oracles import RATES

import multiback as mb


class TestPrecision(CountContract):
    def make(self, **arguments):
        return mb.metrics.Precision(**arguments)

    def score(self, y_true, y_pred, sample_weight, **settings):
        return sklearn.metrics.precision_score(
            y_true, y_pred, sample_weight=sample_weight, **settings
        )


class TestRecall(CountContract):
    def make(self, **arguments):
        return mb.metrics.Recall(**arguments)

    def score(self, y_true, y_pred, sample_weight, **settings):
        return sklearn.metrics.recall_score(
            y_true, y_pred, sample_weight=sample_weight, **settings
        )


def contract_of(rate, formula):
    """Make the contract of a rate: its formula over scikit-learn's counts."""

    class Contract(ColumnContract):
        def make(self, **arguments):
            return getattr(mb.metrics, rate)(**arguments)

        def fraction(self, counts):
            return formula(counts.tp, counts.fp, counts.tn, counts.fn)

    return Contract


globals().update({f"Test{rate}": contract_of(rate, RATES[rate]) for rate in RATES})


class TestFBetaScore(CountContract):
    def make(self, **arguments):
        return mb.metrics.FBetaScore(beta=2.0, **arguments)

    def score(self, y_true, y_pred, sample_weight, **settings):
        return sklearn.metrics.fbeta_score(
            y_true, y_pred, sample_weight=sample_weight, beta=2.0, **settings
        )


class TestJaccardIndex(ColumnContract):
    def make(self, **arguments):
        return mb.metrics.JaccardIndex(**arguments)

    def fraction(self, counts):
        return counts.tp, counts.tp + counts.fp + counts.fn


class TestDice(CountContract):
    def make(self, **arguments):
        return mb.metrics.Dice(**arguments)

    def score(self, y_true, y_pred, sample_weight, **settings):
        return sklearn.metrics.f1_score(
            y_true, y_pred, sample_weight=sample_weight, **settings
        )
