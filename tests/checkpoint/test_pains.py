"""What users of Keras's ModelCheckpoint suffer from, and that ours does not.

Here Keras 3.15 does it first, where that takes a moment; when one of these fails on
Keras's side, Keras has mended it. The rest has its tests where the topic is:

 1 a missing monitor             test_monitored_names: misspelt_name_fails
 2 epochs without validation     test_monitored_names: epochs_without_validation
 3 steps and stale scores        test_triggers: steps_save_the_state
 4 best forgotten at restart     test_runs: resumed_run_keeps_its_best
                                 test_runs: new_run_never_touches
                                 test_monitored_names: worse_fold_replaces_nothing
 5 NaN first                     test_monitored_names: nan_is_never_best
                                 test_scores: infinities_rank_as_they_should
 6 mode="auto"                   test_monitored_names: outputs_have_names
                                 test_monitored_names: metrics_of_every_kind
 7 names with numbers            test_monitored_names: rebuilt_model_may_have_numbers
                                 test_names: could_be_several_is_an_error
 8 two metrics of one name       test_monitored_names: name_of_two_metrics
                                 test_monitored_names: hides_a_compiled_one
 9 vectors                       test_monitored_names: vectors_are_refused
10 a custom train_step           test_monitored_names: names_of_a_custom_train_step
11 BackupAndRestore              test_runs: finished_runs_no_epoch
                                 test_runs: error_in_a_resumed_fit
                                 test_exact_resume: kills_at_random_steps
12 no callback on an error       test_triggers: error_under_with_saves
                                 test_triggers: signal_lets_the_step_end
13 save_last means two things    test_retention: save_last_keeps_the_newest
   ties are refused              test_retention: where_lightning_drops
   a changed directory           test_resuming: path_starts_a_new_run
   -v1 and "/" in names          test_runs: new_run_never_touches
                                 test_filenames: template_is_filled
   best evicts the latest        test_retention: slots_are_independent
   a path that was deleted       test_runs: links_lead_to_the_best
   ranks disagree                test_lightning: two_processes_agree (nox -s adapters)
"""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from support.fitting.problem import Says, X, Y, fit, model, telling

import multiback as mb
from multiback.errors import MonitorError

SCORE = mb.Monitor("score", mode="max", early=False)
NAN = float("nan")


def epoch_in(made):
    """Return the epoch that a model was saved after."""
    return int(made.optimizer.iterations.numpy()) // 2


def keras_keeps(folder, *before, monitor="score", **arguments):
    """Train with Keras's callback; return the epoch that is in its file."""
    file = folder / "best.keras"
    theirs = keras.callbacks.ModelCheckpoint(
        file, monitor, mode="max", save_best_only=True
    )
    with telling():
        fit(model(), *before, theirs, **arguments)
    return epoch_in(keras.models.load_model(file))


def ours_keeps(folder, *before, **arguments):
    """Train with ours; return the epoch that is best."""
    ours = mb.ModelCheckpoint(folder / "run", SCORE)
    with telling():
        fit(model(), *before, ours, **arguments)
    return epoch_in(mb.load_best(folder / "run"))


def test_1_a_misspelt_name_overwrites_the_best_there_and_raises_here(tmp_path):
    says = Says(score=[0.9, 0.2, 0.1])
    assert keras_keeps(tmp_path, says, monitor="scroe") == 3
    misspelt = mb.Monitor("scroe", mode="max", early=False)
    with pytest.raises(MonitorError, match="Did you mean 'score'"):
        fit(model(), says, mb.ModelCheckpoint(tmp_path / "run", misspelt))
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize(
    ("scores", "theirs", "ours"),
    [([0.9, None, 0.1], 2, 1), ([NAN, 0.9, 0.1], 1, 2), ([0.5, 0.9, 0.9], 2, 2)],
    ids=["2-absent", "5-nan-first", "as-it-should-be"],
)
def test_2_and_5_a_score_that_is_absent_or_nan(tmp_path, scores, theirs, ours):
    assert keras_keeps(tmp_path, Says(score=scores)) == theirs
    assert ours_keeps(tmp_path, Says(score=scores)) == ours


def test_4_a_callback_that_is_used_again_saves_nothing_there(tmp_path):
    folds = [Says(score=[0.9, 0.8]), Says(score=[0.5, 0.6])]
    file = tmp_path / "best.keras"
    theirs = keras.callbacks.ModelCheckpoint(
        file, "score", mode="max", save_best_only=True
    )
    ours = mb.ModelCheckpoint(tmp_path / "run", SCORE)
    kept = []
    for fold in folds:
        file.unlink(missing_ok=True)
        fit(model(), fold, theirs, ours, epochs=2)
        runs = mb.Checkpointer(tmp_path / "run").directory
        saved = runs.checkpoints(ours.run_id)
        kept.append((file.exists(), max(one.metrics["score"] for one in saved)))
    assert kept == [(True, 0.9), (False, 0.6)]
    # What the callback says is of all its fits.
    assert ours.best_model_score == 0.9


def test_7_a_partial_gets_a_number_and_is_found_all_the_same(tmp_path):
    import functools

    error = functools.partial(keras.losses.huber, delta=0.5)
    made = model(error, error)
    ours = mb.ModelCheckpoint(tmp_path, "partial_1", mode="min")
    with telling() as told:
        history = fit(made, ours, epochs=1).history
    assert any("Cannot serialize object functools.partial" in text for text in told)
    assert {"partial", "partial_1"} <= set(history)
    one = model(keras.metrics.MeanMetricWrapper(error, name="partial_4"))
    ours = mb.ModelCheckpoint(tmp_path, "partial", mode="min")
    with telling():
        history = fit(one, ours, epochs=1).history
    assert ours.best_model_score == history["partial_4"][0]


def test_10_a_functions_mean_over_batches_is_no_score_of_the_epoch():
    """Which is why there is `mb.metrics`: examples/custom_f1_function.py."""

    def precision(y_true, y_pred):
        hits = keras.ops.sum(y_true * keras.ops.round(y_pred))
        return hits / (keras.ops.sum(keras.ops.round(y_pred)) + 1e-7)

    made = model(precision, mb.metrics.Precision(name="exact"))
    logs = made.evaluate(X[:40], Y[:40], batch_size=16, verbose=0, return_dict=True)
    predicted = np.round(made.predict(X[:40], verbose=0))[:, 0]
    exact = (predicted * Y[:40]).sum() / predicted.sum()
    assert abs(logs["exact"] - exact) < 1e-6
    assert abs(logs["precision"] - exact) > 1e-3


def test_11_weights_loaded_before_the_optimizer_is_built_lose_it_there(tmp_path):
    made = model()
    fit(made, mb.ModelCheckpoint(tmp_path / "run"))
    made.save_weights(tmp_path / "all.weights.h5")
    theirs, ours = model(), model()
    with telling():
        theirs.load_weights(tmp_path / "all.weights.h5")
    mb.restore(ours, tmp_path / "run", which="last")
    assert (epoch_in(theirs), epoch_in(ours)) == (0, 3)


def test_12_keras_calls_no_callback_on_an_error(tmp_path):
    class Fails(keras.callbacks.Callback):
        ended = False

        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            if epoch == 2:
                raise ZeroDivisionError

        def on_train_end(self, logs=None):  # noqa: ARG002 - Keras's signature
            self.ended = True

    fails = Fails()
    ours = mb.ModelCheckpoint(tmp_path, keep=[mb.Every(epochs=9)])
    with pytest.raises(ZeroDivisionError), ours:
        fit(model(), fails, ours)
    assert not fails.ended
    assert epoch_in(mb.load_last(tmp_path)) == 2


def test_each_pain_has_the_tests_that_are_named_above():
    listed = re.findall(r"(test_\w+): (\w+)", __doc__)
    assert len(listed) > 20
    tests = Path(__file__).parents[1]
    for file, words in listed:
        texts = [path.read_text() for path in tests.glob(f"*/{file}.py")]
        named = re.compile(rf"def test_\w*{words}\w*\(")
        assert any(map(named.search, texts)), (file, words)
