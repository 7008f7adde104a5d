"""A run that is resumed with another monitor keeps what was best."""

import re
import types

import numpy as np
import pytest
from support.fitting.problem import telling

import multiback as mb
from multiback.checkpoint import Checkpointer
from multiback.checkpoint.loading.documents import recorded_earlier_scores

SCORES = (0.1, 0.9, 0.2)


def by(quantity, mode="max", **arguments):
    return mb.Monitor(quantity, mode, early=False, **arguments)


def trained(folder, monitor, *logs, **arguments):
    """Continue a loop; return its writer, its warnings and the epochs on the disk."""
    arguments = {"resume": "auto", "filename": "e{epoch}", **arguments}
    arguments["auto_insert_metric_name"] = False
    with telling() as texts, Checkpointer(folder, monitor, **arguments) as writer:
        writer.start()
        for each in logs:
            epoch = writer.epoch + 1
            writer.step({"w": np.full(1, epoch)}, each, step=epoch)
    found = mb.store.open_run_directory(folder).checkpoints()
    return writer, texts, [one.epoch for one in found]


def path_of(folder, epoch):
    return str(folder / "checkpoints" / f"e{epoch}")


def best_epoch(folder):
    return int(mb.load_best(folder)["w"][0])


@pytest.fixture
def run(tmp_path):
    """A run of three epochs, best by A in the second; the third is the last."""
    *_, epochs = trained(tmp_path, by("A"), *({"A": a, "C": 1 - a} for a in SCORES))
    assert epochs == [2, 3]
    return tmp_path


def score(logs):
    return logs["A"]


@pytest.mark.parametrize(
    ("monitor", "best"),
    [(by(score), 2), (by("A / 2"), 2), (by("C"), 3), (by("A", where="C > .5"), 3)],
)
def test_a_monitor_is_applied_to_what_was_recorded(run, monitor, best):
    for number in (4, 5):
        logs = {"A": 0.1, "C": 0.7}
        writer, texts, epochs = trained(run, monitor, logs)
        assert texts == []
        assert epochs == [best, number]
        assert writer.best_model_path == path_of(run, best)
        assert best_epoch(run) == best


def test_a_function_with_the_name_of_another_judges_what_was_recorded(run):
    for sign in (1, -1):
        monitor = by(lambda logs, sign=sign: sign * logs["A"])
        writer, texts, _ = trained(run, monitor, {"A": 0.5})
        assert texts == []
    # Those of A = 0.9, 0.5 and 0.5 were there; that of 0.2 was removed before.
    assert writer.best_model_score == -0.5
    assert best_epoch(run) == 4


def failing(logs):
    return logs["D"] if "D" in logs else logs["A"].nothing


UNKNOWN = {
    "smoothing": (by("A", smooth=0.5), "no curve"),
    "a name": (by("D"), "'D' was not recorded"),
    "an expression": (by("A + D"), "'D' was not recorded"),
    "a condition": (by("A", where="D > 0"), "'D' was not recorded"),
    "a function": (by(lambda logs: logs["D"]), "'D' was not recorded"),
    "an error": (by(failing), "'failing' failed: .* no attribute 'nothing'"),
    "a front": ([mb.Pareto(by("A"), by("D")), mb.Last()], "'D' was not recorded"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_a_monitor_cannot_score_stays_with_one_warning(run, what):
    monitor, why = UNKNOWN[what]
    arguments = {}
    if what == "a front":
        monitor, arguments = None, {"keep": monitor}
    logs = [{"A": a, "D": a} for a in (0.3, 0.4, 0.1)]
    writer, [text], epochs = trained(run, monitor, *logs, **arguments)
    assert epochs == [2, 3, 5, 6]
    expected = rf"Kept e2 and 1 more, which the monitor cannot score: .*{why}.*prune"
    assert re.match(expected, text)
    if what != "a front":
        assert writer.best_model_path == path_of(run, 5)
        assert best_epoch(run) == 5
    # They stay once more; what was saved since is judged as ever.
    *_, epochs = trained(run, monitor, {"A": 0.2, "D": 0.2}, **arguments)
    assert epochs == [2, 3, 5, 7]


@pytest.mark.parametrize("mode", ["min", "auto"])
def test_nothing_is_removed_before_the_first_score(tmp_path, mode):
    """As by a save in the middle of an epoch, or an epoch without a validation."""
    trained(tmp_path, by("A"), *({"A": a, "val_loss": 1 - a} for a in SCORES))
    writer = Checkpointer(tmp_path, by("val_loss", mode), resume="must")
    with telling() as texts, writer:
        writer.start()
        writer.save({"w": np.full(1, 3)}, step=4, batch=1, asked=False)
        writer.wait()
        writer.step({"w": np.full(1, 4)}, {"loss": 0.1}, step=5)
        writer.step({"w": np.full(1, 5)}, {"loss": 0.1, "val_loss": 0.5}, step=6)
    assert texts == []
    assert writer.best_model_path == path_of(tmp_path, 2)
    assert [one.epoch for one in writer.directory.checkpoints()] == [2, 5]


def test_an_unchanged_monitor_keeps_no_more_than_before(run):
    _, texts, epochs = trained(run, by("A"), {"A": 0.3}, {"A": 0.4})
    assert (texts, epochs) == ([], [2, 5])


@pytest.mark.parametrize("forged", [7, {"e2": 7}, {"e2": {"A": "large"}}])
def test_forged_scores_of_earlier_checkpoints_are_skipped(forged):
    judged = types.SimpleNamespace(extra={"earlier_scores": forged})
    assert recorded_earlier_scores(judged) == {}
