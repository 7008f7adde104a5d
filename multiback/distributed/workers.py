"""TensorFlow's workers: refused, because Keras 3 does not train on several.

Under `MultiWorkerMirroredStrategy` Keras's `fit` fails before it calls any callback
(Keras 3.15: "Attempt to convert a value (PerReplica..." in its symbolic build), and in
a user's own loop every worker would decide and write for itself. A test notices when
that changes.
"""

import json
from collections.abc import Mapping

from multiback.errors import ArgumentError

# The tasks of a cluster that run the training's own program.
_TRAINING = ("chief", "master", "worker")


def worker_count(environment: Mapping[str, str]) -> int:
    """Return how many processes train together according to TF_CONFIG.

    >>> worker_count({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}}'})
    2

    With parameter servers one process trains, and controls the others.

    >>> worker_count({"TF_CONFIG": '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}}'})
    1
    >>> worker_count({}), worker_count({"TF_CONFIG": "none"})
    (1, 1)
    """
    try:
        config = json.loads(environment.get("TF_CONFIG", "{}"))
    except ValueError:
        return 1
    cluster = config.get("cluster") if isinstance(config, dict) else None
    if not isinstance(cluster, dict) or cluster.get("ps"):
        return 1
    tasks = [cluster.get(kind) for kind in _TRAINING]
    return max(1, sum(len(one) for one in tasks if isinstance(one, list)))


def refuse_workers(backend: str, environment: Mapping[str, str]) -> None:
    """Raise if TensorFlow would train on several workers.

    Args:
        backend: Keras's.
        environment: The process's.

    Raises:
        ArgumentError: There are several workers.
    """
    count = worker_count(environment) if backend == "tensorflow" else 1
    if count > 1:
        raise ArgumentError(
            f"distributed=True wants processes that can agree on a checkpoint, but "
            f"TF_CONFIG names {count} workers, and Keras 3 does not train on several "
            f"under TensorFlow. Use the backend JAX or torch for several machines, or "
            f"MirroredStrategy on one; pass distributed=False where this process alone "
            f"trains or saves."
        )
