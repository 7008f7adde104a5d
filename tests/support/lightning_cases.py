"""What Lightning keeps of a history of scores, as Lightning 2.6.6 itself did it.

The tests read the tables; CI has no Lightning. Where it is installed,

    PYTHONPATH=tests python -m support.lightning_cases

trains with its own Trainer and `ModelCheckpoint(monitor=, save_top_k=, mode=,
save_last=)`, one validation an epoch, and compares the files that remain. Epochs
count from 0.
"""

import math

INF, NAN = math.inf, math.nan

# Scores, save_top_k, mode; the epochs whose files remain, here as there.
SAME = [
    ([0.1, 0.5, 0.3], 1, "max", [1]),
    ([0.1, 0.5, 0.3], 1, "min", [0]),
    ([0.1, 0.5, 0.3], 2, "max", [1, 2]),
    ([0.1, 0.5, 0.3], 2, "min", [0, 2]),
    ([0.1, 0.5, 0.3], -1, "max", [0, 1, 2]),
    ([0.1, 0.5, 0.3], 0, "max", []),
    ([0.1, 0.5, 0.3], 5, "max", [0, 1, 2]),
    ([0.5, 0.4, 0.3, 0.2], 2, "max", [0, 1]),
    ([0.5, 0.4, 0.3, 0.2], 2, "min", [2, 3]),
    ([0.5, 0.5, 0.5], 1, "max", [0]),
    ([0.5, 0.5, 0.5], 2, "min", [0, 1]),
    ([0.2, 0.9, 0.9, 0.2], 1, "max", [1]),
    ([INF, 0.5, 0.4], 1, "min", [2]),
    ([-INF, 0.5, INF], 1, "max", [2]),
    ([3, 1, 2, 0, 4], 3, "min", [1, 2, 3]),
    ([NAN, 0.5, 0.4], 1, "max", [1]),
    ([0.5, NAN, 0.4], 1, "max", [0]),
    ([NAN, 0.5, 0.4], 2, "min", [1, 2]),
    ([0.5, NAN, 0.4], 2, "max", [0, 2]),
]

# The same, where we differ on purpose: what remains there, and what remains here.
DIFFERENT = [
    # Lightning drops the earliest of equals in the last place once a better comes.
    ([1, 2, 2, 3, 2], 2, "max", [2, 3], [1, 3]),
    ([2, 1, 2, 1, 3], 2, "max", [2, 4], [0, 4]),
    # It fills free places with NaN.
    ([NAN, NAN], 1, "max", [0], []),
    ([NAN, NAN, NAN], 2, "max", [0, 1], []),
    ([0.5, NAN, NAN], 3, "max", [0, 1, 2], [0]),
]

# With save_last=True: the epoch that last.ckpt is of. It is a copy of what was
# written last, so not of the newest epoch, unless the newest was among the best.
LAST = [([0.1, 0.5, 0.3], 1, "max", 1), ([0.5, 0.4, 0.3, 0.2], 1, "max", 0)]


def remaining(scores, k, mode, *, save_last=None):
    """Train with Lightning; return the epochs whose files remain, and last's."""
    import logging
    import tempfile
    import warnings
    from pathlib import Path

    import lightning.pytorch as pl
    import torch
    from lightning.pytorch.callbacks import ModelCheckpoint

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, _):
            return self.layer(batch[0]).sum()

        def validation_step(self, *_):
            self.log("f1", torch.tensor(float(scores[self.current_epoch])))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.zeros(1, 1))
    )
    with tempfile.TemporaryDirectory() as folder:
        callback = ModelCheckpoint(
            folder,
            monitor="f1",
            save_top_k=k,
            mode=mode,
            save_last=save_last,
            filename="{epoch}",
        )
        trainer = pl.Trainer(
            max_epochs=len(scores),
            callbacks=[callback],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            num_sanity_val_steps=0,
        )
        trainer.fit(Module(), loader, loader)
        epochs = sorted(
            int(path.stem.removeprefix("epoch="))
            for path in Path(folder).glob("epoch=*.ckpt")
        )
        last = Path(folder, "last.ckpt")
        of = torch.load(last, weights_only=False)["epoch"] if last.exists() else None
        return epochs, of


if __name__ == "__main__":
    for scores, k, mode, epochs in SAME:
        assert remaining(scores, k, mode) == (epochs, None), (scores, k, mode)
    for scores, k, mode, theirs, _ in DIFFERENT:
        assert remaining(scores, k, mode) == (theirs, None), (scores, k, mode)
    for scores, k, mode, epoch in LAST:
        found = remaining(scores, k, mode, save_last=True)[1]
        assert found == epoch, (scores, k, mode, found)
    print(f"{len(SAME) + len(DIFFERENT) + len(LAST)} cases are as Lightning does.")
