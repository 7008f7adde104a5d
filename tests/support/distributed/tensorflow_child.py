"""Train under TensorFlow with two replicas: tensorflow_child 0 FOLDER."""

import sys
from pathlib import Path

import tensorflow as tf

[device] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    device, [tf.config.LogicalDeviceConfiguration()] * 2
)

from support.distributed.trained_model import X, Y, network, numbers_of, state_of, tell

import multiback as mb

REPLICAS = ["CPU:0", "CPU:1"]


def train(folder, epochs, model):
    checkpoint = mb.ModelCheckpoint(
        folder, monitor="loss", mode="min", resume="auto", every_n_train_steps=1
    )
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    history = model.fit(data, epochs=epochs, verbose=0, callbacks=[checkpoint])
    return history.history["loss"]


def replicated():
    strategy = tf.distribute.MirroredStrategy(REPLICAS)
    with strategy.scope():
        return strategy, network()


root = Path(sys.argv[2])
strategy, model = replicated()
tell(replicas=strategy.num_replicas_in_sync)
whole = train(root / "whole", 4, model)
tell(whole=whole, state=state_of(model))

strategy, model = replicated()
train(root / "run", 2, model)
half = state_of(model)
# A new strategy, as after a restart.
strategy, model = replicated()
with strategy.scope():
    mb.restore(model, root / "run", which="last")
tell(restored=state_of(model) == half)
with strategy.scope():
    loaded = mb.load_last(root / "run")
tell(loaded=state_of(loaded) == half)
strategy, model = replicated()
resumed = train(root / "run", 4, model)
tell(resumed=resumed, resumed_state=state_of(model), resumed_numbers=numbers_of(model))

# Without a strategy what was written under one, and the other way round.
alone = network()
mb.restore(alone, root / "run", which="last")
tell(alone=state_of(alone) == state_of(model))
with mb.Checkpointer(root / "alone") as checkpointer:
    checkpointer.step(alone, {})
strategy, model = replicated()
with strategy.scope():
    mb.restore(model, root / "alone", which="last")
tell(under=state_of(model) == state_of(alone))
