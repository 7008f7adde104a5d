"""What users of Lightning's ModelCheckpoint expect, row by row of docs/lightning.md."""

import argparse
import datetime as dt
import time
import warnings

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from support.lightning_line import SCORES, Module, fit, loader_of

import multiback as mb
from multiback.adapters.lightning import ModelCheckpoint, load_from_checkpoint, restore
from multiback.errors import ArgumentError, CheckpointWarning, MonitorError

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def loader():
    # Eight batches of two.
    return loader_of(batch_size=2)


def saved(folder):
    """Return the epoch and the step of each checkpoint, oldest first."""
    found = mb.store.open_run_directory(folder).checkpoints()
    return [(one.epoch, one.step) for one in found]


class Stepped(Module):
    """It logs the loss of each step, and a validation's score without a prefix."""

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        super().validation_step(batch, index)
        self.log("charm", self.scores[self.current_epoch])


def test_every_n_train_steps_saves_each_so_many_optimizer_steps(tmp_path, loader):
    checkpoint = ModelCheckpoint(
        tmp_path, every_n_epochs=0, every_n_train_steps=4, save_top_k=-1
    )
    fit(Module(), loader, checkpoint, epochs=2, validate=False)
    assert saved(tmp_path) == [(0, 4), (0, 8), (1, 12), (1, 16)]


def test_steps_are_those_of_the_optimizer_under_accumulation(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, every_n_train_steps=2, save_top_k=-1)
    more = {"accumulate_grad_batches": 2, "validate": False}
    fit(Module(), loader, checkpoint, epochs=1, **more)
    assert saved(tmp_path) == [(0, 2), (0, 4)]


def test_a_score_of_training_is_compared_after_each_so_many_steps(tmp_path, loader):
    checkpoint = ModelCheckpoint(
        tmp_path, "train_loss", mode="min", every_n_train_steps=4, save_top_k=2
    )
    fit(Stepped(), loader, checkpoint, epochs=2)
    rows = mb.history(tmp_path)
    assert [row["step"] for row in rows] == [4, 8, 12, 16]
    assert all("charm" not in row for row in rows)
    assert checkpoint.best_model_score == min(row["train_loss"] for row in rows)


@pytest.mark.parametrize("sanity", [0, 2])
@pytest.mark.parametrize("monitor", ["val_charm", "charm"])
def test_a_score_of_validation_is_never_taken_for_a_later_step(
    tmp_path, loader, monitor, sanity
):
    checkpoint = ModelCheckpoint(
        tmp_path, monitor, mode="max", every_n_train_steps=4, save_top_k=-1
    )
    fit(Stepped(), loader, checkpoint, num_sanity_val_steps=sanity)
    found = mb.store.open_run_directory(tmp_path).checkpoints()
    scores = {(one.epoch, one.step): one.metrics.get(monitor) for one in found}
    wanted = {(epoch + 1, 8 * (epoch + 1)): x for epoch, x in enumerate(SCORES)}
    assert {at: x for at, x in scores.items() if x is not None} == wanted
    # Between two validations a state is saved all the same.
    assert (1, 12) in scores


def test_a_name_that_no_validation_logged_is_an_error_after_a_step(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "chram", mode="max", every_n_train_steps=4)
    with pytest.raises(MonitorError, match=r"'charm'.*self\.log\(\)"):
        fit(Stepped(), loader, checkpoint, epochs=2)


@pytest.mark.parametrize("every", [4, 6])
def test_a_run_resumes_from_a_step_as_the_uninterrupted_one(tmp_path, loader, every):
    whole, second = Module(), Module()
    fit(whole, loader, epochs=3)
    first = ModelCheckpoint(
        tmp_path, every_n_train_steps=every, save_on_exception=False
    )
    with pytest.raises(RuntimeError, match="struck"):
        fit(Module(fail_at=every * 2 + 1), loader, first, epochs=3)
    assert saved(tmp_path)[-1][1] == every * 2
    again = ModelCheckpoint(tmp_path, every_n_train_steps=every, resume="must")
    trainer = fit(second, loader, again, epochs=3)
    assert (trainer.current_epoch, trainer.global_step) == (3, 24)
    if every == 4:  # The end of an epoch; within one Lightning reads the data again.
        assert torch.equal(whole.line.weight, second.line.weight)


def test_train_time_interval_saves_once_so_long_a_time_has_passed(
    tmp_path, loader, monkeypatch
):
    clock = iter(range(0, 10_000, 7))
    now = time.monotonic
    module = "multiback.adapters.lightning.schedule.time"
    monkeypatch.setattr(module, type("Clock", (), {"monotonic": lambda: next(clock)}))
    assert time.monotonic is now
    checkpoint = ModelCheckpoint(
        tmp_path, train_time_interval=dt.timedelta(seconds=30), save_top_k=-1
    )
    fit(Module(), loader, checkpoint, epochs=2, validate=False)
    steps = [step for _, step in saved(tmp_path)]
    # Seven seconds a look, a look a step, and one at each save.
    assert steps == [5, 10, 15, 16]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"every_n_epochs": -3}, "every_n_epochs"),
        ({"every_n_train_steps": -3}, "every_n_train_steps"),
        ({"every_n_train_steps": 2.5}, "every_n_train_steps"),
        ({"train_time_interval": 60}, "train_time_interval"),
        ({"train_time_interval": dt.timedelta()}, "train_time_interval"),
        ({"save_on_train_epoch_end": "yes"}, "save_on_train_epoch_end"),
        ({"save_top_k": -3}, "save_top_k"),
        ({"save_top_k": 3}, "monitor="),
        ({"save_top_k": 0, "save_last": False}, "save_top_k=0"),
        ({"save_last": "yes"}, "save_last="),
        ({"mode": "unknown_option"}, "mode="),
        ({"dirpath": None, "resume": "auto"}, "dirpath="),
    ],
)
def test_an_unusable_argument_is_an_error_that_names_it(tmp_path, arguments, name):
    with pytest.raises(ArgumentError, match=name):
        ModelCheckpoint(**{"dirpath": tmp_path, **arguments})


def test_zero_switches_a_trigger_off(tmp_path, loader):
    checkpoint = ModelCheckpoint(
        tmp_path, every_n_train_steps=0, every_n_epochs=0, save_top_k=-1
    )
    fit(Module(), loader, checkpoint, epochs=2)
    # The state that training ends with, and no score.
    assert saved(tmp_path) == [(2, 16)]
    assert mb.history(tmp_path) == []


def test_save_on_train_epoch_end_scores_epochs_without_a_validation(tmp_path, loader):
    checkpoint = ModelCheckpoint(
        tmp_path, "train_loss", mode="min", save_on_train_epoch_end=True, save_top_k=-1
    )
    fit(Stepped(), loader, checkpoint, check_val_every_n_epoch=3)
    rows = mb.history(tmp_path)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert [row["epoch"] for row in rows if "charm" in row] == [3]


def test_save_on_train_epoch_end_false_scores_when_the_validation_ends(
    tmp_path, loader
):
    checkpoint = ModelCheckpoint(
        tmp_path, "charm", mode="max", save_on_train_epoch_end=False, save_top_k=-1
    )
    fit(Stepped(), loader, checkpoint, epochs=2)
    rows = mb.history(tmp_path)
    # The epoch is not over when its validation is.
    assert [(row["epoch"], row["step"]) for row in rows] == [(0, 8), (1, 16)]


@pytest.mark.parametrize(("monitor", "best"), [("epoch", [4, 3]), ("step", [32, 24])])
def test_epoch_and_step_can_be_monitored(tmp_path, loader, monitor, best):
    checkpoint = ModelCheckpoint(tmp_path, monitor, mode="max", save_top_k=2)
    fit(Module(), loader, checkpoint)
    assert list(checkpoint.best_k_models.values()) == best


def test_the_newest_steps_are_kept_by_monitoring_the_step(tmp_path, loader):
    checkpoint = ModelCheckpoint(
        tmp_path,
        "step",
        mode="max",
        save_top_k=2,
        every_n_train_steps=1,
        filename="{step}",
    )
    fit(Module(), loader, checkpoint, epochs=1)
    assert saved(tmp_path) == [(0, 7), (0, 8)]


@pytest.mark.parametrize("version", [None, 1, "awesome"])
def test_without_dirpath_a_run_lies_in_the_loggers_folder(tmp_path, loader, version):
    logger = pl.loggers.CSVLogger(tmp_path, version=version)
    checkpoint = ModelCheckpoint(monitor="val_charm", mode="max")
    assert checkpoint.dirpath == ""
    fit(Module(), loader, checkpoint, epochs=1, logger=logger)
    assert checkpoint.dirpath == logger.log_dir
    assert mb.history(logger.log_dir)[0]["val_charm"] == 0.5
    assert checkpoint.best_model_path.startswith(logger.log_dir)


def test_without_dirpath_and_logger_a_run_lies_in_default_root_dir(tmp_path, loader):
    checkpoint = ModelCheckpoint()
    fit(Module(), loader, checkpoint, epochs=1, default_root_dir=tmp_path)
    assert checkpoint.dirpath == str(tmp_path / "checkpoints")
    assert len(saved(checkpoint.dirpath)) == 1


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ModelCheckpoint("~/runs").dirpath == str(tmp_path / "runs")


class Tunable(Module):
    """A module with hyperparameters."""

    def __init__(self, width, rate=0.1, names=("a", None), metric=None):
        super().__init__(width=width)
        self.save_hyperparameters()
        self.rate, self.names, self.metric = rate, names, metric


def test_a_module_is_made_with_its_saved_hyperparameters(tmp_path, loader):
    module = Tunable(3, rate=0.25)
    checkpoint = ModelCheckpoint(tmp_path, "val_loss")
    fit(module, loader, checkpoint, epochs=1)
    for path in (checkpoint.best_model_path, tmp_path):
        again = load_from_checkpoint(Tunable, path, names=["b"])
        assert (again.rate, again.names, again.hparams.width) == (0.25, ["b"], 3)
        assert torch.equal(again.line.weight, module.line.weight)


def test_hyperparameters_may_be_one_argument(tmp_path, loader):
    class Arguments(Module):
        def __init__(self, hparams):
            super().__init__(width=hparams.width)
            self.save_hyperparameters(hparams)

    hparams = argparse.Namespace(width=3, rate=np.float32(0.5), path=tmp_path)
    fit(Arguments(hparams), loader, ModelCheckpoint(tmp_path), epochs=1)
    again = load_from_checkpoint(Arguments, tmp_path, which="last")
    found = again.hparams
    assert (found.width, found.rate, found.path) == (3, 0.5, str(tmp_path))


def test_a_hyperparameter_that_cannot_be_stored_is_named(tmp_path, loader):
    module = Tunable(3, metric=argparse.Namespace)
    with pytest.raises(CheckpointWarning, match="'metric'"):
        fit(module, loader, ModelCheckpoint(tmp_path), epochs=1)


def test_a_module_that_noted_no_hyperparameters_asks_for_them(tmp_path, loader):
    class Asking(Module):
        def __init__(self, breadth):
            super().__init__(width=breadth)

    fit(Asking(3), loader, ModelCheckpoint(tmp_path), epochs=1)
    with pytest.raises(ArgumentError, match=r"breadth=.*save_hyperparameters"):
        load_from_checkpoint(Asking, tmp_path, which="last")
    again = load_from_checkpoint(Asking, tmp_path, which="last", breadth=3)
    assert again.line.in_features == 3


def test_nan_is_never_best_however_it_comes(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        fit(Module((np.nan, 0.5, 0.75, 0.25)), loader, checkpoint)
    assert checkpoint.best_model_score == 0.75
    checkpoint = ModelCheckpoint(tmp_path / "only", "val_charm", mode="max")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        fit(Module((np.nan,)), loader, checkpoint, epochs=1)
    assert checkpoint.best_model_score is None
    assert checkpoint.last_model_path


def test_save_top_k_zero_keeps_the_last_only(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, save_top_k=0)
    fit(Module(), loader, checkpoint, epochs=2)
    assert saved(tmp_path) == [(2, 16)]
    assert (checkpoint.best_model_path, checkpoint.best_k_models) == ("", {})


def test_without_a_monitor_all_are_kept_and_none_is_best(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, save_top_k=-1)
    fit(Module(), loader, checkpoint, epochs=2)
    assert saved(tmp_path) == [(1, 8), (2, 16)]
    assert (checkpoint.best_model_path, checkpoint.best_model_score) == ("", None)
    assert checkpoint.last_model_path


@pytest.mark.parametrize("every", [1, 2, 3])
def test_every_n_epochs_scores_each_so_many_epochs(tmp_path, loader, every):
    checkpoint = ModelCheckpoint(tmp_path, every_n_epochs=every, save_top_k=-1)
    fit(Module(), loader, checkpoint)
    scored = [row["epoch"] for row in mb.history(tmp_path)]
    assert scored == [epoch for epoch in range(1, 5) if epoch % every == 0]
    assert saved(tmp_path)[-1] == (4, 32)


def test_a_metric_with_a_slash_makes_no_folder(tmp_path, loader):
    class Slashed(Module):
        def validation_step(self, batch, index):
            del index
            self.log("val/loss", self.loss(batch))

    checkpoint = ModelCheckpoint(
        tmp_path, "val/loss", filename="{epoch}-{val/loss:.2f}"
    )
    fit(Slashed(), loader, checkpoint, epochs=1)
    (best,) = (tmp_path / "checkpoints").iterdir()
    assert best.name.startswith("epoch=1-val_loss=")


def test_a_taken_name_gets_a_number_and_no_run_touches_another(tmp_path, loader):
    for _ in range(2):
        checkpoint = ModelCheckpoint(
            tmp_path, "epoch", mode="max", save_top_k=-1, filename="{epoch}"
        )
        fit(Module(), loader, checkpoint, epochs=2)
    names = {one.name for one in (tmp_path / "checkpoints").iterdir()}
    assert names == {"epoch=1", "epoch=2", "epoch=1-v2", "epoch=2-v2"}


def test_a_finished_run_adds_nothing_when_it_is_resumed(tmp_path, loader):
    for _ in range(3):
        checkpoint = ModelCheckpoint(tmp_path, "val_loss", resume="auto", save_top_k=-1)
        trainer = fit(Module(), loader, checkpoint, epochs=1)
        assert (trainer.current_epoch, trainer.global_step) == (1, 8)
    assert saved(tmp_path) == [(1, 8)]


def test_a_run_from_a_checkpoint_leaves_the_old_folder_alone(tmp_path, loader):
    first = ModelCheckpoint(tmp_path / "old", "val_loss")
    fit(Module(), loader, first, epochs=1)
    before = sorted(tmp_path.joinpath("old").rglob("*"))
    more = ModelCheckpoint(tmp_path / "new", "val_loss", resume=first.best_model_path)
    trainer = fit(Module(), loader, more, epochs=2)
    assert trainer.global_step == 16
    assert sorted(tmp_path.joinpath("old").rglob("*")) == before


def test_several_callbacks_each_keep_their_own(tmp_path, loader):
    best = ModelCheckpoint(tmp_path / "best", "val_charm", mode="max")
    loss = ModelCheckpoint(tmp_path / "loss", "val_loss")
    trainer = fit(Module(), loader, best, loss)
    assert trainer.checkpoint_callbacks == [best, loss]
    assert best.best_model_score == 0.875
    assert loss.best_model_score == min(
        r["val_loss"] for r in mb.history(tmp_path / "loss")
    )


def test_the_best_weights_are_tested_after_restore(tmp_path, loader):
    class Tested(Module):
        def test_step(self, batch, index):
            del index
            self.log("test_loss", self.loss(batch))

    checkpoint = ModelCheckpoint(tmp_path, "val_loss")
    module = Tested()
    trainer = fit(module, loader, checkpoint)
    restore(module, tmp_path)
    (logs,) = trainer.test(module, loader, verbose=False)
    assert logs["test_loss"] == pytest.approx(checkpoint.best_model_score, rel=1e-6)


def test_a_monitor_that_never_came_is_reported_in_lightnings_words(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max")
    with pytest.raises(CheckpointWarning, match="check_val_every_n_epoch="):
        fit(Module(), loader, checkpoint, epochs=1, validate=False)
