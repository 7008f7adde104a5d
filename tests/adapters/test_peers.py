"""What `nox -s peers` compares: calls of scikit-learn's functions and our answers."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from support.peers import page, plugin
from support.peers.answers import ANSWERS

RNG = np.random.default_rng(0)
IDS, GUESSES = RNG.integers(0, 3, (2, 24))
LABELS, SEVERAL = RNG.integers(0, 2, (2, 24, 3))
SCORES = RNG.random((24, 3)) + np.eye(3)[IDS]
SCORES /= SCORES.sum(1, keepdims=True)
TARGETS, PREDICTIONS = RNG.normal(size=(2, 24))
ARGUMENTS = {
    "average_precision_score": (LABELS, SCORES),
    "brier_score_loss": (IDS > 1, SCORES[:, 0]),
    "explained_variance_score": (TARGETS, PREDICTIONS),
    "fbeta_score": (IDS > 1, GUESSES > 1, {"beta": 2.0}),
    "log_loss": (IDS, SCORES),
    "precision_recall_curve": (IDS > 1, SCORES[:, 2]),
    "roc_auc_score": (LABELS, SCORES),
    "roc_curve": (IDS > 1, SCORES[:, 2]),
    "top_k_accuracy_score": (IDS, SCORES),
}
OF_ERRORS = ("mean_absolute_error", "mean_squared_error", "root_mean_squared_error")
ARGUMENTS |= dict.fromkeys((*OF_ERRORS, "r2_score"), (TARGETS, PREDICTIONS))
POSITIVE = np.exp(TARGETS), np.exp(PREDICTIONS)
OF_POSITIVES = (
    "mean_absolute_percentage_error",
    "mean_gamma_deviance",
    "mean_poisson_deviance",
    "mean_squared_log_error",
    "root_mean_squared_log_error",
)
ARGUMENTS |= dict.fromkeys(OF_POSITIVES, POSITIVE)
ARGUMENTS |= {
    "mean_pinball_loss": (TARGETS, PREDICTIONS, {"alpha": 0.9}),
    "mean_tweedie_deviance": (*POSITIVE, {"power": 1.5}),
    "ndcg_score": (LABELS, SCORES, {"k": 2}),
}
OF_ROWS = (
    "coverage_error",
    "label_ranking_average_precision_score",
    "label_ranking_loss",
)
ARGUMENTS |= dict.fromkeys(OF_ROWS, (LABELS, SCORES))
OF_TWO = ("f1_score", "jaccard_score", "precision_score", "recall_score")
ARGUMENTS |= dict.fromkeys(OF_TWO, (IDS > 1, GUESSES > 1))


@pytest.fixture
def judge(monkeypatch):
    judge = plugin.Judge()
    monkeypatch.setattr(plugin, "judge", judge)
    return judge


def ask(name, *given, **arguments):
    return plugin.replaced(name, getattr(sklearn.metrics, name))(*given, **arguments)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_call_is_answered_by_a_metric_of_ours_that_agrees(judge, name):
    *given, more = (*ARGUMENTS.get(name, (IDS, GUESSES)), {})[:3]
    ask(name, *given, **more)
    assert dict(judge.counts) == {(name, "agrees", ""): 1}


def test_a_wrong_answer_has_no_convention(judge, monkeypatch):
    monkeypatch.setitem(ANSWERS, "f1_score", lambda _: 0.25)
    ask("f1_score", IDS > 1, GUESSES > 1)
    assert dict(judge.counts) == {("f1_score", "differs", "no convention"): 1}
    assert list(judge.examples) == ["f1_score"]


@pytest.mark.parametrize(
    ("named", "name", "given"),
    [
        ("an infinite loss", "log_loss", ([0, 1, 1], [0.5, 1.0, 0.0])),
        ("one sample", "explained_variance_score", ([1.0], [2.0])),
        ("no positives", "average_precision_score", ([0, 0], [0.1, 0.2])),
        ("equal scores", "top_k_accuracy_score", ([0, 0, 1, 2], np.ones((4, 3)))),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_difference_by_convention_is_named(judge, named, name, given):
    more = {"k": 1} if name == "top_k_accuracy_score" else {}
    ask(name, *given, **more)
    assert dict(judge.counts) == {(name, "differs", named): 1}


def test_the_page_refuses_differences_between_backends_and_without_a_convention(
    tmp_path,
):
    def write(backend, counts, **examples):
        path = tmp_path / f"{backend}.json"
        path.write_text(json.dumps({"counts": counts, "examples": examples}))
        return str(path)

    agreed = [["f1_score", "agrees", "", 3]]
    page.main(tmp_path / "page.md", write("torch", agreed), write("jax", agreed))
    assert "| `f1_score` | 3 |  |  |" in (tmp_path / "page.md").read_text()
    with pytest.raises(SystemExit, match="Backends differ"):
        page.read([write("torch", agreed), write("jax", [])])
    with pytest.raises(SystemExit, match="f1_score differs without a convention"):
        page.read([write("torch", agreed, f1_score=["0.25 for 0.5"])])


def test_the_page_has_every_function_that_has_an_answer():
    text = (Path(__file__).parents[2] / "docs" / "peers.md").read_text()
    assert [name for name in ANSWERS if f"| `{name}` |" not in text] == []
    functions = inspect.getmembers(sklearn.metrics, inspect.isfunction)
    assert set(ANSWERS) <= {name for name, _ in functions}
