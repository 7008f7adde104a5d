"""Train under TensorFlow as one of two: workers_child RANK CLUSTER FOLDER."""

import json
import os
import sys
from pathlib import Path

RANK, CLUSTER, ROOT = int(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": CLUSTER}, "task": {"type": "worker", "index": RANK}}
)

import tensorflow as tf

# Before anything else of TensorFlow.
strategy = tf.distribute.MultiWorkerMirroredStrategy()

from support.distributed.trained_model import X, Y, network, tell

import multiback as mb
from multiback.errors import ArgumentError

with strategy.scope():
    model = network()
tell(replicas=strategy.num_replicas_in_sync)
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
)
data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).with_options(options)
try:
    model.fit(data, verbose=0)
except ValueError as error:
    tell(fit=str(error))
else:
    tell(fit="it trained")
try:
    mb.Checkpointer(ROOT / "run").start()
except ArgumentError as error:
    tell(error=str(error))
with mb.Checkpointer(ROOT / str(RANK), distributed=False) as alone:
    alone.start()
tell(alone=True)
