"""One of two processes that share metrics over gloo, started by a test.

python -m support.distributed.synced_metrics RANK FILE
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
import torch.distributed as dist

import multiback as mb
from multiback.adapters.torchmetrics import as_torchmetric

rank = int(sys.argv[1])
dist.init_process_group(
    "gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2
)
rng = np.random.default_rng(4)
scores = rng.random(120).astype("float32")
labels = (rng.random(120) < scores).astype("int32")
mine = slice(0, 80) if rank == 0 else slice(80, 120)
f1 = as_torchmetric(mb.metrics.F1Score(), compute_with_cache=False)
pearson = as_torchmetric(mb.metrics.PearsonCorrelation())
largest = as_torchmetric(mb.metrics.Max())
accuracy = as_torchmetric(keras.metrics.BinaryAccuracy())
parts = torch.tensor(scores[mine]).split(20), torch.tensor(labels[mine]).split(20)
for preds, target in zip(*parts, strict=True):
    f1.update(preds, target)
    pearson.update(preds, target.float())
    largest.update(preds)
    accuracy.update(preds, target)
together = [float(m.compute()) for m in (f1, pearson, largest, accuracy)]
dist.destroy_process_group()
print(*together, float(f1.compute()))
