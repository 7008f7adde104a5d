"""Train under JAX with keras.distribution on four devices, and without it.

parallel_child RANK FOLDER prints the curves, the weights and what a resume gives.
"""

import os
import sys
from pathlib import Path

FLAGS = " --xla_force_host_platform_device_count=4"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + FLAGS

import keras
import numpy as np
from support.distributed.trained_model import tell

import multiback as mb

m = mb.metrics
ROOT = Path(sys.argv[2])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype("float32")
Y = (X[:, :1] + RNG.normal(size=(64, 1)) > 0).astype("float32")
EPOCHS = 3


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, "relu", name="wide"),
            keras.layers.Dense(1, "sigmoid", name="out"),
        ]
    )
    metrics = [m.F1Score(), m.AUROC(), m.LogLoss(), m.MeanSquaredError()]
    model.compile(
        keras.optimizers.Adam(0.01),
        "binary_crossentropy",
        metrics=metrics,
        weighted_metrics=[m.Accuracy()],
    )
    return model


def model_parallel():
    mesh = keras.distribution.DeviceMesh((2, 2), ["batch", "model"])
    layout = keras.distribution.LayoutMap(mesh)
    layout["wide/kernel"] = (None, "model")
    layout["out/kernel"] = ("model", None)
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def train(name, distribution, epochs=EPOCHS, resume="never"):
    """Fit; return the curves and the weights."""
    keras.distribution.set_distribution(distribution)
    model = network()
    history = model.fit(
        X,
        Y,
        batch_size=16,
        epochs=epochs,
        validation_data=(X[:48], Y[:48]),
        sample_weight=np.linspace(0.5, 1.5, 64),
        callbacks=[mb.ModelCheckpoint(ROOT / name, "val_auroc", resume=resume)],
        shuffle=False,
        verbose=0,
    )
    weights = [np.asarray(weight).tolist() for weight in model.get_weights()]
    shards = len(model.get_layer("wide").kernel.value.sharding.device_set)
    return {"curves": history.history, "weights": weights, "devices": shards}


tell(alone=train("alone", None))
tell(data=train("data", keras.distribution.DataParallel()))
tell(model=train("model", model_parallel()))
tell(longer=train("longer", None, EPOCHS + 1))
tell(resumed=train("model", model_parallel(), EPOCHS + 1, "must"))
