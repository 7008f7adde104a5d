"""A Lightning trainer keeps its checkpoints through ours."""

import doctest
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from support.lightning_line import SCORES, Module, fit, loader_of

import multiback as mb
from multiback.adapters.lightning import ModelCheckpoint, restore
from multiback.adapters.lightning.library import library
from multiback.adapters.torchmetrics import as_torchmetric
from multiback.errors import (
    ArgumentError,
    MissingPackageError,
    MonitorError,
    StateError,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def loader():
    return loader_of()


def test_the_best_epoch_is_kept_and_loads_into_a_new_module(tmp_path, loader):
    module = Module()
    seen = []

    class Look(pl.Callback):
        def on_validation_end(self, trainer, pl_module):
            if not trainer.sanity_checking:
                seen.append(pl_module.line.weight.detach().clone())

    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max", save_top_k=2)
    trainer = fit(module, loader, Look(), checkpoint)
    assert trainer.checkpoint_callback is checkpoint
    assert checkpoint.best_model_score == 0.875  # The earliest of equals.
    assert [
        one.epoch for one in mb.store.open_run_directory(tmp_path).checkpoints()
    ] == [2, 4]
    assert list(checkpoint.best_k_models.values()) == [0.875, 0.875]
    other = restore(Module(), tmp_path)
    torch.testing.assert_close(other.line.weight, seen[1], rtol=0, atol=0)
    tree = mb.load_best(tmp_path)
    np.testing.assert_array_equal(tree["state_dict"]["line.weight"], seen[1].numpy())
    assert [row["val_charm"] for row in mb.history(tmp_path)] == list(SCORES)
    assert [row["step"] for row in mb.history(tmp_path)] == [2, 4, 6, 8]


@pytest.mark.parametrize("scheduler", ["step", "plateau"])
def test_a_resumed_run_makes_the_same_weights_bit_for_bit(tmp_path, loader, scheduler):
    whole = Module(scheduler=scheduler)
    fit(whole, loader)
    fit(
        Module(scheduler=scheduler),
        loader,
        ModelCheckpoint(tmp_path, "val_charm", mode="max"),
        epochs=2,
    )
    second = Module(scheduler=scheduler)
    again = ModelCheckpoint(tmp_path, "val_charm", mode="max", resume="must")
    trainer = fit(second, loader, again)
    assert (trainer.current_epoch, trainer.global_step) == (4, 8)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, rtol=0, atol=0)
    assert [row["epoch"] for row in mb.history(tmp_path)] == [1, 2, 3, 4]
    assert len({row["run_id"] for row in mb.history(tmp_path)}) == 1
    assert again.best_model_score == 0.875


def test_two_callbacks_of_one_directory_may_not_resume(tmp_path, loader):
    pair = [
        ModelCheckpoint(tmp_path, "val_charm", mode=mode, resume="auto")
        for mode in ("max", "min")
    ]
    with pytest.raises(ArgumentError, match=r"directory of its own"):
        fit(Module(), loader, *pair, epochs=2)
    assert list(tmp_path.iterdir()) == []


def test_early_stopping_counts_on_after_a_resume(tmp_path, loader):
    def stopper():
        return pl.callbacks.EarlyStopping("val_charm", patience=2, mode="max")

    scores = (0.75, 0.5, 0.5, 0.5, 0.5)
    fit(Module(scores), loader, stopper(), ModelCheckpoint(tmp_path), epochs=2)
    resumed = ModelCheckpoint(tmp_path, resume="auto")
    trainer = fit(Module(scores), loader, stopper(), resumed, epochs=5)
    assert trainer.current_epoch == 3


def test_an_error_saves_the_state_and_a_resume_begins_the_epoch_again(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max")
    with pytest.raises(RuntimeError, match="lightning struck"):
        fit(Module(fail_at=3), loader, checkpoint)
    last = mb.store.open_checkpoint(checkpoint.last_model_path)
    assert (last.epoch, last.step, last.extra["boundary"]) == (1, 3, False)
    trainer = fit(Module(), loader, ModelCheckpoint(tmp_path, resume="must"), epochs=2)
    assert (trainer.current_epoch, trainer.global_step) == (2, 4)


def test_a_misspelt_monitor_is_an_error_with_the_name_that_was_meant(tmp_path, loader):
    with pytest.raises(MonitorError, match="val_charm"):
        fit(Module(), loader, ModelCheckpoint(tmp_path, "val_chram", mode="max"))
    assert mb.store.open_run_directory(tmp_path).checkpoints() == []


def test_a_name_without_a_direction_asks_for_one(tmp_path, loader):
    with pytest.raises(MonitorError, match="mode="):
        fit(Module(), loader, ModelCheckpoint(tmp_path, "val_charm"))


def test_nothing_is_saved_by_a_sanity_check_or_a_fast_dev_run(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max")
    fit(Module(), loader, checkpoint, epochs=0)
    fit(Module(), loader, checkpoint, fast_dev_run=True)
    assert mb.store.open_run_directory(tmp_path).checkpoints() == []


def test_without_validation_each_epoch_is_judged(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path)
    fit(Module(), loader, checkpoint, validate=False, epochs=2)
    assert [row["epoch"] for row in mb.history(tmp_path)] == [1, 2]


def test_only_what_was_validated_is_judged(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max")
    fit(Module(), loader, checkpoint, check_val_every_n_epoch=2)
    rows = mb.history(tmp_path)
    assert [(row["epoch"], row["val_charm"]) for row in rows] == [
        (2, 0.875),
        (4, 0.875),
    ]


@pytest.mark.parametrize("sanity", [0, 2])
def test_an_epoch_before_the_first_validation_is_not_judged(tmp_path, loader, sanity):
    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max", save_top_k=-1)
    more = {"check_val_every_n_epoch": 2, "num_sanity_val_steps": sanity}
    fit(Module(), loader, checkpoint, epochs=3, **more)
    assert [row["epoch"] for row in mb.history(tmp_path)] == [2]
    # What the last epoch left is kept, without a score.
    assert epochs_of(tmp_path) == [2, 3]
    assert Path(checkpoint.best_model_path).name.startswith("epoch=002")


def epochs_of(folder):
    return [one.epoch for one in mb.store.open_run_directory(folder).checkpoints()]


class StopAfter(pl.Callback):
    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step >= 3


ENDS = {
    "max_steps in the first epoch": ({"max_steps": 1}, 1, 0),
    "max_steps in a later epoch": ({"max_steps": 3}, 3, 1),
    # Lightning validates before it stops, so this one is judged.
    "should_stop": ({"callbacks": [StopAfter()]}, 3, 2),
    "every_n_epochs": ({"every": 3}, 8, 4),
    "no validation in the last epoch": ({"check_val_every_n_epoch": 3}, 8, 4),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_training_ends_with_is_kept_wherever_it_ends(tmp_path, loader, end):
    options, step, epoch = ENDS[end]
    options = dict(options)
    others = options.pop("callbacks", [])
    every = options.pop("every", 1)
    checkpoint = ModelCheckpoint(
        tmp_path, "val_charm", mode="max", every_n_epochs=every
    )
    module = Module()
    trainer = fit(module, loader, *others, checkpoint, min_epochs=0, **options)
    [*_, last] = mb.store.open_run_directory(tmp_path).checkpoints()
    assert trainer.global_step == last.step == step
    assert last.epoch == epoch
    assert checkpoint.last_model_path == last.location
    again = restore(Module(), tmp_path, which="last")
    assert torch.equal(again.line.weight, module.line.weight)
    if epoch == 1:
        resumed = ModelCheckpoint(
            tmp_path, "val_charm", mode="max", resume="must", every_n_epochs=every
        )
        assert fit(Module(), loader, resumed).global_step >= 7


def test_no_second_checkpoint_where_the_last_epoch_was_judged(tmp_path, loader):
    fit(Module(), loader, ModelCheckpoint(tmp_path, "val_loss", save_top_k=-1))
    assert epochs_of(tmp_path) == [1, 2, 3, 4]


class Counting(Module):
    """A module that keeps something in its own hooks."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.seen, self.notes = torch.zeros(()), {}

    def training_step(self, batch, index):
        self.seen = self.seen + len(batch[0])
        return super().training_step(batch, index)

    def on_save_checkpoint(self, checkpoint):
        checkpoint["seen"] = self.seen
        checkpoint["notes"] = {"by": "me", "at": [1, 2.5]}

    def on_load_checkpoint(self, checkpoint):
        self.seen, self.notes = checkpoint["seen"], checkpoint["notes"]


def test_what_the_modules_hooks_keep_comes_back(tmp_path, loader):
    for epochs in (2, 4):
        module = Counting()
        fit(module, loader, ModelCheckpoint(tmp_path, resume="auto"), epochs=epochs)
    assert float(module.seen) == 4 * 16
    assert module.notes == {"by": "me", "at": [1, 2.5]}
    assert float(restore(Counting(), tmp_path, which="last").seen) == 4 * 16


def test_averaged_weights_are_saved_as_they_were_scored(tmp_path, loader):
    average = pl.callbacks.EMAWeightAveraging
    checkpoint = ModelCheckpoint(tmp_path, "val_loss")
    fit(Module(), loader, average(decay=0.9), checkpoint)
    best = restore(Module(), tmp_path)
    with torch.no_grad():
        scores = [float(best.loss(batch)) for batch in loader]
    assert np.isclose(np.mean(scores), checkpoint.best_model_score, rtol=1e-5)


def test_a_resumed_run_with_averages_continues_as_the_uninterrupted_one(
    tmp_path, loader
):
    average = pl.callbacks.EMAWeightAveraging
    whole, module = Module(), Module()
    fit(whole, loader, average(decay=0.9))
    for epochs, one in ((2, Module()), (4, module)):
        checkpoint = ModelCheckpoint(tmp_path, "val_loss", resume="auto")
        fit(one, loader, average(decay=0.9), checkpoint, epochs=epochs)
    assert torch.equal(whole.line.weight, module.line.weight)


class Partial(Module):
    """A module whose backbone is in no checkpoint."""

    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Linear(3, 3)
        self.strict_loading = False

    def state_dict(self, *arguments, **options):
        state = super().state_dict(*arguments, **options)
        return {name: one for name, one in state.items() if "backbone" not in name}


def test_strict_loading_false_resumes_and_restores(tmp_path, loader):
    for epochs in (1, 2):
        module = Partial()
        fit(module, loader, ModelCheckpoint(tmp_path, resume="auto"), epochs=epochs)
    again = restore(Partial(), tmp_path, which="last")
    assert torch.equal(again.line.weight, module.line.weight)


def test_the_callback_pickles_and_takes_what_a_launcher_sets(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "val_charm", mode="max")
    other = pickle.loads(pickle.dumps(checkpoint))  # noqa: S301 - our own
    fit(Module(), loader, other)
    checkpoint.best_model_path = other.best_model_path
    for name in ("best_model_path", "best_model_score", "last_model_path"):
        assert getattr(checkpoint, name) == getattr(other, name)
    assert checkpoint.best_k_models == other.best_k_models
    checkpoint.best_model_path = ""
    assert checkpoint.best_model_score is None


def test_several_validations_in_an_epoch_are_judged_each(tmp_path, loader):
    checkpoint = ModelCheckpoint(tmp_path, "val_loss", save_top_k=-1)
    fit(Module(), loader, checkpoint, val_check_interval=0.5, epochs=2)
    assert [row["step"] for row in mb.history(tmp_path)] == [1, 2, 3, 4]


def test_another_modules_checkpoint_changes_nothing(tmp_path, loader):
    fit(Module(), loader, ModelCheckpoint(tmp_path), epochs=1)
    wide = Module(width=5)
    before = wide.line.weight.detach().clone()
    with pytest.raises(StateError, match=r"line\.weight"):
        restore(wide, tmp_path, which="last")
    assert wide.line.weight.equal(before)


def test_a_strategy_that_divides_the_model_is_refused(tmp_path):
    class Divided:
        """Stands for FSDP, which needs a GPU."""

    trainer = pl.Trainer(accelerator="cpu", logger=False, barebones=False)
    trainer._accelerator_connector.strategy = Divided()
    with pytest.raises(ArgumentError, match="Divided"):
        ModelCheckpoint(tmp_path).setup(trainer, Module(), "fit")


def test_another_lightnings_trainer_is_refused(tmp_path):
    import pytorch_lightning

    trainer = pytorch_lightning.Trainer(accelerator="cpu", logger=False)
    with pytest.raises(ArgumentError, match="pytorch_lightning"):
        ModelCheckpoint(tmp_path).setup(trainer, Module(), "fit")


def test_without_lightning_the_error_holds_the_line_to_type(monkeypatch):
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError) as caught:
        library()
    assert 'pip install "multiback[lightning]"' in str(caught.value).splitlines()


@pytest.mark.parametrize(("name", "examples"), [("callback", 4), ("logs", 3)])
def test_the_examples_run(tmp_path, monkeypatch, name, examples):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"multiback.adapters.lightning.{name}")
    assert doctest.testmod(module) == (0, examples)


def test_the_folder_has_its_public_names_and_no_others():
    assert ModelCheckpoint.__module__ == "multiback.adapters.lightning.callback"
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        from multiback.adapters.lightning import Nothing  # noqa: F401


def test_lightning_logs_our_metric_by_epoch():
    generator = torch.Generator().manual_seed(3)
    preds = torch.rand(200, generator=generator)
    target = (preds > torch.rand(200, generator=generator)).int()
    dataset = torch.utils.data.TensorDataset(preds, target)

    class Scored(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.auroc = as_torchmetric(mb.metrics.AUROC())

        def validation_step(self, batch, index):
            """Log the object, as Lightning wants it."""
            del index
            self.auroc.update(*batch)
            self.log("auroc", self.auroc)

    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = torch.utils.data.DataLoader(dataset, batch_size=32)
    (logs,) = trainer.validate(Scored(), loader, verbose=False)
    assert logs["auroc"] == pytest.approx(roc_auc_score(target, preds), rel=1e-3)


DISTRIBUTED = """
import os, sys, warnings
warnings.simplefilter("ignore")
import lightning.pytorch as pl, torch
from multiback.adapters.lightning import ModelCheckpoint

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(3, 1)
    def training_step(self, batch, index):
        return self.line(batch[0]).square().mean()
    def validation_step(self, batch, index):
        self.log("val_charm", float(self.current_epoch), sync_dist=True)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

def tell(*words):
    # In one piece: the other process writes too.
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())

def fit(monitor, epochs, resume="never"):
    rows = torch.utils.data.TensorDataset(torch.ones(8, 3))
    loader = torch.utils.data.DataLoader(rows, 2)
    checkpoint = ModelCheckpoint(sys.argv[1], monitor, mode="max", resume=resume)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=2, strategy="ddp", logger=False,
        callbacks=[checkpoint], enable_progress_bar=False, enable_model_summary=False,
    )
    module = Module()
    trainer.fit(module, loader, loader)
    return trainer, checkpoint, module

fit("val_charm", 1)
trainer, checkpoint, module = fit("val_charm", 2, "must")
told = [trainer.global_rank, trainer.current_epoch, trainer.global_step]
told += [checkpoint.best_model_path, module.line.weight.sum().item()]
tell("RANK", *told)
try:
    fit("val_chram", 1)
except Exception as error:
    told = [type(error).__name__, "val_charm" in str(error)]
    tell("ERROR", trainer.global_rank, *told)
"""


def test_two_processes_agree_and_one_of_them_writes(tmp_path):
    # Lightning starts the second process with the same words: a file.
    script = tmp_path / "fit.py"
    script.write_text(DISTRIBUTED)
    child = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(
        child, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=180
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    ranks = sorted(row[1:] for row in rows if row[:1] == ["RANK"])
    assert [row[:3] for row in ranks] == [["0", "2", "4"], ["1", "2", "4"]]
    assert ranks[0][3:] == ranks[1][3:]
    assert Path(ranks[0][3]).samefile(tmp_path / "run" / "best")
    assert [row["epoch"] for row in mb.history(tmp_path / "run")][:2] == [1, 2]
    errors = sorted(row[1:] for row in rows if row[:1] == ["ERROR"])
    assert errors == [["0", "MonitorError", "True"], ["1", "MultibackError", "True"]]
