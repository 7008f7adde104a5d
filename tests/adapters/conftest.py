"""scikit-learn's real data, and scores of a plain model on them."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression


@pytest.fixture(scope="session")
def breast_cancer():
    """569 patients: standardised features, 1 for a malignant tumour."""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    return x.astype("float32"), (1 - data.target).astype("int32")


def _binary(x, y):
    """Labels, and probabilities of a model that saw two features: many are wrong."""
    model = LogisticRegression().fit(x[:, 1:3] ** 2, y)
    return y, model.predict_proba(x[:, 1:3] ** 2)[:, 1].astype("float32")


def _digits():
    """1797 digits: labels, and probabilities of a model that saw little of each."""
    data = load_digits()
    x = data.data[:, 20:30] / 16
    model = LogisticRegression(max_iter=200, C=0.05).fit(x[:200], data.target[:200])
    return data.target.astype("int32"), model.predict_proba(x).astype("float32")


def _labels(y, scores):
    """Five labels that may hold at once: properties of each digit."""
    of_digit = np.array(
        [
            [d % 2, d > 4, d in (2, 3, 5, 7), d in (0, 6, 8, 9), d == 1]
            for d in range(10)
        ]
    )
    return of_digit[y].astype("int32"), (scores @ of_digit).clip(0, 1).astype("float32")


@pytest.fixture(scope="session")
def real(breast_cancer):
    """Map a task to real labels and real scores."""
    digits = _digits()
    return {
        "binary": _binary(*breast_cancer),
        "multiclass": digits,
        "multilabel": _labels(*digits),
    }


@pytest.fixture
def identity_model():
    """Return a function that compiles a model which predicts its input and stays so."""

    def build(columns=1, loss="mse", **compiled):
        layer = keras.layers.Dense(
            columns, use_bias=False, kernel_initializer="identity"
        )
        model = keras.Sequential([keras.Input((columns,)), layer])
        model.compile(keras.optimizers.SGD(0.0), loss, **compiled)
        return model

    return build


@pytest.fixture
def scored():
    """Scores of 100 samples as Keras gets them, `(N, 1)`, and labels, `(N,)`."""
    rng = np.random.default_rng(5)
    scores = rng.random((100, 1)).astype("float32")
    return scores, (rng.random(100) < scores[:, 0]).astype("int32")
