"""What Lightning's own ModelCheckpoint wrote is read as it was meant."""

import subprocess
import sys

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from multiback.adapters.lightning.own_files.directory import LightningDirectory

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SCORES = (0.5, 0.90625, 0.75, 0.90625)


class Module(pl.LightningModule):
    """A straight line, with scores that the test decides."""

    def __init__(self, rate=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.rate = rate
        self.line = torch.nn.Linear(3, 1)

    def training_step(self, batch, index):
        del index
        return self.line(batch[0]).square().mean()

    def validation_step(self, batch, index):
        del batch, index
        self.log("val_f1", SCORES[self.current_epoch])
        self.log("val/loss", 1 - SCORES[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.rate)


def fit(*callbacks, root=None):
    rows = torch.utils.data.TensorDataset(torch.ones(8, 3))
    loader = torch.utils.data.DataLoader(rows, 4)
    trainer = pl.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False if root is None else pl.loggers.CSVLogger(root),
        default_root_dir=root,
        callbacks=[*callbacks, pl.callbacks.EarlyStopping("val_f1", patience=9)],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Module()
    trainer.fit(module, loader, loader)
    return module


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two trainings with two callbacks each, as users write them."""
    root = tmp_path_factory.mktemp("lightning")
    pairs = []
    for _ in range(2):
        best = ModelCheckpoint(
            monitor="val_f1",
            mode="max",
            save_top_k=2,
            save_last=True,
            filename="{epoch}-{step}-{val_f1:.1f}",
        )
        least = ModelCheckpoint(root / "flat", "{epoch}", "val/loss", save_top_k=-1)
        fit(best, least, root=root)
        pairs.append((best, least))
    return root, pairs


def test_each_version_is_a_run_with_the_scores_that_the_callback_has(trained):
    root, pairs = trained
    runs = LightningDirectory(root / "lightning_logs")
    for version, (best, _) in enumerate(pairs):
        found = runs.checkpoints(f"version_{version}/checkpoints")
        scores = {str(one.path): one.extra["scores"]["val_f1"] for one in found}
        last = scores.pop(best.last_model_path)
        assert last == SCORES[3]
        assert scores == {k: v.item() for k, v in best.best_k_models.items()}
        marked = {mark: str(one.path) for one in found for mark in one.marks}
        assert marked == {"best": best.best_model_path, "last": best.last_model_path}
        assert {one.extra["modes"]["val_f1"] for one in found} == {"max"}
        assert [one.damage() for one in found] == [[]] * 3
    assert runs.skipped == []


def test_epoch_step_and_variables_are_those_that_torch_loads(trained):
    root, _ = trained
    found = LightningDirectory(root).checkpoints()
    assert len(found) == 2 * (3 + 4)
    for one in found:
        whole = torch.load(one.path, weights_only=True)
        assert (one.epoch, one.step) == (whole["epoch"], whole["global_step"])
        assert [v["path"] for v in one.variables] == list(whole["state_dict"])
        assert [v["shape"] for v in one.variables] == [[1, 3], [1]]
        assert one.versions == {"lightning": pl.__version__}


def test_two_trainings_in_one_folder_keep_their_own_scores(trained):
    root, pairs = trained
    found = LightningDirectory(root / "flat").checkpoints()
    assert [one.name for one in found[4:]] == [f"epoch={i}-v1.ckpt" for i in range(4)]
    for one in found:
        assert one.metrics["val/loss"] == 1 - SCORES[one.epoch]
    [best] = [one for one in found if "best" in one.marks]
    assert str(best.path) == pairs[1][1].best_model_path


def test_what_save_last_link_and_weights_only_leave_is_read(tmp_path):
    linked = ModelCheckpoint(
        tmp_path, "{epoch}-{val_f1:.2f}", "val_f1", mode="max", save_last="link"
    )
    fit(linked)
    [one] = LightningDirectory(tmp_path).checkpoints()
    assert str(one.path) == linked.best_model_path
    assert "best" in one.marks
    weights = ModelCheckpoint(
        tmp_path / "w",
        "{epoch}-{val_f1:.2f}",
        "val_f1",
        mode="max",
        save_weights_only=True,
    )
    fit(weights)
    [one] = LightningDirectory(tmp_path / "w").checkpoints()
    assert (one.metrics, one.extra, one.epoch) == ({"val_f1": 0.91}, {}, 1)


def test_the_command_prints_the_best_in_a_real_process(trained):
    root, pairs = trained
    child = [sys.executable, "-m", "multiback", "best", root / "lightning_logs"]
    done = subprocess.run(child, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == pairs[1][0].best_model_path
