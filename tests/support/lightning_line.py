"""A small LightningModule whose scores a test decides, and how to train it."""

import lightning.pytorch as pl
import numpy as np
import torch

SCORES = (0.5, 0.875, 0.75, 0.875)  # Lightning keeps float32.


class Module(pl.LightningModule):
    """A straight line, with scores that the test decides."""

    def __init__(self, scores=SCORES, scheduler="step", fail_at=None, width=3):
        super().__init__()
        torch.manual_seed(7)
        self.line = torch.nn.Linear(width, 1)
        self.scores, self.scheduler, self.fail_at = scores, scheduler, fail_at

    def loss(self, batch):
        return (self.line(batch[0]) - batch[1]).square().mean()

    def training_step(self, batch, index):
        del index
        if self.global_step == self.fail_at:
            raise RuntimeError("lightning struck")
        return self.loss(batch)

    def validation_step(self, batch, index):
        del index
        self.log("val_loss", self.loss(batch))
        self.log("val_charm", self.scores[self.current_epoch])

    def configure_optimizers(self):
        adam = torch.optim.Adam(self.parameters(), 0.1)
        if self.scheduler == "plateau":
            rate = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, patience=0)
            return {
                "optimizer": adam,
                "lr_scheduler": {"scheduler": rate, "monitor": "val_charm"},
            }
        return [adam], [torch.optim.lr_scheduler.StepLR(adam, 1, 0.5)]


def loader_of(batch_size=8):
    """Return sixteen rows, in batches."""
    rng = np.random.default_rng(3)
    x = torch.tensor(rng.normal(size=(16, 3)).astype("float32"))
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), batch_size=batch_size
    )


def fit(module, loader, *callbacks, epochs=4, validate=True, **arguments):
    """Train, and return the trainer."""
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        # Lightning's own would write into the working directory.
        enable_checkpointing=any(
            isinstance(one, pl.callbacks.Checkpoint) for one in callbacks
        ),
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"logger": False, **arguments},
    )
    trainer.fit(module, loader, loader if validate else None)
    return trainer
