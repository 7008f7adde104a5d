"""The best of a directory: several fits, callbacks and models in one place."""

import copy
import os
import pathlib

import keras
import numpy as np
import pytest
from support.fitting.problem import VALIDATION, Says, X, Y, fit, model, telling, warns

import multiback as mb
from multiback.errors import ArgumentError, MonitorError, NoCheckpointError
from multiback.metrics import AUROC, F1Score, LogLoss


def by(name, tmp_path, **arguments):
    monitor = mb.Monitor(name, mode="max", early=False)
    return mb.ModelCheckpoint(tmp_path, monitor, **arguments)


def epoch_of(made):
    return int(made.optimizer.iterations.numpy()) // 2


def test_a_worse_second_fit_replaces_nothing_that_the_callback_says(tmp_path):
    ckpt = by("a", tmp_path, save_top_k=2)
    fit(model(), Says(a=[0.5, 0.9, 0.7]), ckpt)
    best, score = ckpt.best_model_path, ckpt.best_model_score
    keras_file = (tmp_path / "best.keras").read_bytes()
    fit(model(), Says(a=[0.1, 0.2]), ckpt, epochs=2)
    assert (ckpt.best_model_path, ckpt.best_model_score) == (best, score) == (best, 0.9)
    assert list(ckpt.best_k_models.values()) == [0.9, 0.7]
    assert (tmp_path / "best").resolve() == pathlib.Path(best).resolve()
    assert (tmp_path / "best.keras").read_bytes() == keras_file
    fit(model(), Says(a=[0.95]), ckpt, epochs=1)
    assert ckpt.best_model_score == 0.95
    assert (tmp_path / "best.keras").read_bytes() != keras_file


def test_the_best_of_all_runs_is_loaded_where_it_is_asked_for(tmp_path):
    fit(model(), Says(a=[0.5, 0.9, 0.7]), by("a", tmp_path))
    fit(model(), Says(a=[0.3]), by("a", tmp_path), epochs=1)
    with warns("is better by 'a'.*run=\"all\""):
        assert epoch_of(mb.load_best(tmp_path)) == 1
    with telling() as texts:
        assert epoch_of(mb.load_best(tmp_path, run="all")) == 2
        assert epoch_of(mb.load_best(tmp_path, run="latest", mode="max")) == 1
    assert len(texts) == 1
    first = mb.history(tmp_path, run="all")[0]["run_id"]
    assert epoch_of(mb.load_best(tmp_path, run=first)) == 2
    assert len(mb.history(tmp_path, run="all")) == 4
    assert len(mb.history(tmp_path, run="latest")) == len(mb.history(tmp_path)) == 1


def test_a_monitor_with_a_condition_finds_the_best_after_the_fact(tmp_path):
    logs = {"a": [0.5, 0.9, 0.7], "b": [1.0, 0.1, 0.8]}
    fit(model(), Says(**logs), by("a", tmp_path, save_top_k=-1))
    wanted = mb.Monitor("a", mode="max", where="b >= 0.5")
    assert epoch_of(mb.load_best(tmp_path, wanted)) == 3
    assert epoch_of(mb.load_best(tmp_path, mb.Monitor("a"), mode="min")) == 1
    total = mb.Monitor(lambda logs: logs["a"] + logs["b"], mode="max")
    assert epoch_of(mb.load_best(tmp_path, total)) == 1
    nothing = mb.Monitor(lambda logs: logs["c"], mode="max")
    with pytest.raises(NoCheckpointError, match="has a score"):
        mb.load_best(tmp_path, nothing)
    with pytest.raises(MonitorError, match="smooth="):
        mb.load_best(tmp_path, mb.Monitor("a", smooth=0.9, mode="max"))


def test_a_better_or_other_model_gives_no_warning(tmp_path):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    other.compile("adam", "mse", jit_compile=False)
    y = np.repeat(Y[:32, None], 2, axis=1)
    callbacks = [Says(a=[0.95]), by("a", tmp_path)]
    other.fit(X[:32], y, batch_size=16, verbose=0, callbacks=callbacks)
    fit(model(), Says(a=[0.9]), by("a", tmp_path), epochs=1)
    with telling() as texts:
        assert mb.load_best(tmp_path).count_params() == 5
    assert not texts
    assert mb.load_best(tmp_path, run="all").count_params() == 10
    with warns("1 better checkpoints of other runs do not fit"):
        mb.restore(model(), tmp_path, run="all")


def test_runs_that_were_judged_by_different_things_are_listed(tmp_path):
    fit(model(), Says(a=[0.9, 0.1]), by("a", tmp_path), epochs=2)
    fit(model(), Says(a=[0.2], b=[0.5]), by("b", tmp_path), epochs=1)
    with pytest.raises(MonitorError, match=r"different things: .* by a .* by b .*Pass"):
        mb.load_best(tmp_path, run="all")
    assert epoch_of(mb.load_best(tmp_path, monitor="a", mode="max", run="all")) == 1


def test_numbers_that_keras_adds_to_names_do_not_tell_runs_apart(tmp_path):
    for values in ([0.9], [0.5]):
        made = model(keras.metrics.AUC())
        ckpt = mb.ModelCheckpoint(tmp_path, monitor="val_auc")
        fit(made, ckpt, epochs=len(values), **VALIDATION)
    assert mb.load_best(tmp_path, run="all") is not None
    assert mb.load_best(tmp_path, monitor="val_auc", run="all") is not None


def test_two_callbacks_in_one_fit_are_two_runs_and_the_links_are_of_the_first(tmp_path):
    first, second = by("a", tmp_path), by("b", tmp_path)
    says = Says(a=[0.9, 0.1, 0.2], b=[0.1, 0.9, 0.2])
    with telling() as texts:
        fit(model(), says, first, second)
    assert len([text for text in texts if "keep=[Best(a), Best(b)]" in text]) == 1
    best = pathlib.Path(first.best_model_path).resolve()
    assert (tmp_path / "best").resolve() == best
    found = keras.saving.load_model(tmp_path / "best.keras")
    wanted = mb.load(first.best_model_path)
    np.testing.assert_array_equal(found.get_weights()[0], wanted.get_weights()[0])
    best_by_a = mb.load_best(tmp_path, monitor="a", mode="max", run="all")
    assert epoch_of(best_by_a) == 1


def test_a_copy_of_the_callback_as_tuners_make_it_is_found_by_the_directory(tmp_path):
    held = by("a", tmp_path)
    for values in ([0.9], [0.4]):
        fit(model(), Says(a=values), copy.deepcopy(held), epochs=1)
    assert held.best_model_path == ""
    with warns('run="all"'):
        mb.load_best(tmp_path)


def two_outputs():
    inputs = keras.Input((4,))
    outputs = {
        name: keras.layers.Dense(1, "sigmoid", name=name)(inputs) for name in "ab"
    }
    made = keras.Model(inputs, outputs)
    metrics = {
        "a": [F1Score(task="binary")],
        "b": [F1Score(task="binary"), LogLoss(task="binary", name="nll")],
    }
    made.compile("adam", "binary_crossentropy", metrics=metrics, jit_compile=False)
    return made


def test_directions_are_recorded_for_several_outputs_and_own_names(tmp_path):
    y = {"a": Y[:, None], "b": Y[:, None]}
    ckpt = mb.ModelCheckpoint(tmp_path, monitor="val_a_f1_score", save_top_k=-1)
    made = two_outputs()
    made.fit(X, y, validation_data=(X, y), epochs=3, verbose=0, callbacks=[ckpt])
    rows = mb.history(tmp_path)
    for name, choose in (
        ("val_b_f1_score", max),
        ("val_b_nll", min),
        ("val_loss", min),
        ("val_a_loss", min),
        ("val_a_f1_score + val_b_f1_score", max),
    ):
        best = mb.load_best(tmp_path, monitor=name)
        epoch = int(best.optimizer.iterations.numpy()) // 2
        values = [mb.Monitor(name).measure(one) for one in rows]
        assert values[epoch - 1] == choose(values), name


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("s3:/bucket/run", "s3://bucket/run"),
        ("s3:bucket/run", "s3://bucket/run"),
        ("file:/runs/a", "Write '/runs/a'"),
        ("dbfs:/runs/a", "/dbfs/runs/a"),
        ("~nobody-has-this-name/run", "home folder that is known"),
        ("  ", "directory's path"),
        pytest.param(
            r"C:\runs\a",
            "one of Windows",
            marks=pytest.mark.skipif(os.name == "nt", reason="there it is right"),
        ),
        ("best.keras", "directory of a run"),
        (
            "models/{epoch:02d}-{loss:.2f}.keras",
            r"filename='\{epoch:02d\}-\{loss:.2f\}'",
        ),
        ("run.weights.h5", "directory of a run"),
        ("ftp://host/run", "listed and written"),
        ("https://host/run", "listed and written"),
    ],
)
def test_a_place_that_is_not_a_directory_gets_the_answer_that_helps(place, text):
    with pytest.raises(ArgumentError, match=text):
        mb.ModelCheckpoint(place, "loss")


@pytest.mark.parametrize("place", ["ftp://me:secret@host/run", "s3://me:secret@b/m.h5"])
def test_the_answer_hides_the_password(place):
    with pytest.raises(ArgumentError) as caught:
        mb.ModelCheckpoint(place, "loss")
    assert "secret" not in str(caught.value)
    assert "://***@" in str(caught.value)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    fit(model(), mb.ModelCheckpoint("~/runs/a", "loss"), epochs=1)
    assert (tmp_path / "runs" / "a" / "best.keras").is_file()
    assert mb.load_best("~/runs/a").count_params() == 5
    assert len(mb.history("~/runs/a")) == 1
    assert mb.load("~/runs/a/best.keras").count_params() == 5
    branch = mb.ModelCheckpoint("~/runs/b", "loss", resume="~/runs/a/best")
    assert fit(model(), branch, epochs=2).epoch == [0, 1]
    with pytest.raises(ArgumentError, match="home folder that is known"):
        mb.Checkpointer("~/runs/b", resume="~nobody-of-that-name/runs")


def test_the_batch_may_be_in_the_name(tmp_path):
    ckpt = mb.ModelCheckpoint(
        tmp_path, filename="{epoch}-{batch}", every_n_train_steps=1, save_top_k=-1
    )
    fit(model(), ckpt, epochs=1)
    names = sorted(one.name for one in (tmp_path / "checkpoints").iterdir())
    assert "epoch=0-batch=1" in names
    assert "epoch=1-batch=0" in names


def test_a_callback_that_adds_the_name_too_late_is_named(tmp_path):
    with pytest.raises(MonitorError, match="Says stands behind ModelCheckpoint"):
        fit(model(), by("mine", tmp_path), Says(mine=[0.5]), epochs=1)


def test_a_callback_that_adds_a_name_of_validation_too_late_is_named(tmp_path):
    with warns("never in the logs.*Says stands behind ModelCheckpoint"):
        fit(model(), by("val_mine", tmp_path), Says(val_mine=[0.5]), epochs=1)


def test_verbose_prints_one_line_a_decision(tmp_path, capsys):
    ckpt = by("a", tmp_path, verbose=1, save_last=False)
    fit(model(AUROC(task="binary")), Says(a=[0.5, 0.4, 0.75]), ckpt)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines == [
        "Epoch 1: a improved to 0.5; saved.",
        "Epoch 2: a did not improve from 0.5; not saved.",
        "Epoch 3: a improved from 0.5 to 0.75; saved.",
    ]


def test_verbose_names_the_condition_that_does_not_hold(tmp_path, capsys):
    monitor = mb.Monitor("a", mode="max", where="b >= 0.9", early=False)
    ckpt = mb.ModelCheckpoint(tmp_path, monitor=monitor, verbose=1)
    fit(model(), Says(a=[0.7, 0.5, 0.6], b=[0.875, 0.9, 0.25]), ckpt, epochs=3)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    name = "a where b >= 0.9"
    assert lines == [
        f"Epoch 1: {name} has no best value yet; b is 0.875; saved.",
        f"Epoch 2: {name} improved to 0.5; saved.",
        f"Epoch 3: {name} did not improve from 0.5; b is 0.25; saved.",
    ]


def test_verbose_says_where_a_resumed_run_continues(tmp_path, capsys):
    for epochs in (2, 3):
        ckpt = mb.ModelCheckpoint(tmp_path, resume="auto", verbose=1)
        fit(model(), ckpt, epochs=epochs)
    lines = capsys.readouterr().out.splitlines()
    continues = [line for line in lines if "continues" in line]
    assert continues == [f"The run {ckpt.run_id} continues after epoch 2."]
