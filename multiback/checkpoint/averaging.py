"""Average the weights of a run's best checkpoints."""

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np

from multiback.checkpoint.arguments import expanded
from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.choosing.slots import check_number
from multiback.checkpoint.loading.documents import variables_of
from multiback.checkpoint.loading.find import PathLike, checkpoints_of, rank
from multiback.checkpoint.loading.load import load
from multiback.checkpoint.saving.snapshots import draft, versions
from multiback.errors import ArgumentError, CheckpointWarning, StateError
from multiback.keras_private import layers_of
from multiback.state import restore
from multiback.store import Checkpoint, open_run_directory
from multiback.warn import warn

BATCH = 32
Entries = Mapping[str, Mapping[str, Any]]


def average(
    dirpath: PathLike,
    k: int = 3,
    *,
    monitor: str | None = None,
    mode: Mode | Literal["auto"] = "auto",
    run: str | None = None,
    data: Any = None,
    into: PathLike | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> str:
    """Average the weights of the best k checkpoints of a run, under any backend.

    Averaged weights often generalise better than those of any single epoch. Floats are
    averaged in float64; whole numbers, such as counters, are those of the best
    checkpoint. The statistics of batch normalization belong to the weights that they
    were measured with: with `data` they are measured again, batch by batch.

    Args:
        dirpath: The run directory, or its URL.
        k: How many of the best checkpoints, at least 2. The run must have kept them:
            `save_top_k=k`, or `Best(..., k=k)`.
        monitor: What to be best by; by default the run's monitor.
        mode: "max", "min" or "auto", for such a monitor.
        run: A run's id; the run that started last by default.
        data: Training inputs for batch normalization: one array (cut into batches of
            32), or an iterable of batches `x` or `(x, ...)`.
        into: The run directory to write into; by default RUN/average.
        custom_objects: Your own classes and functions by name, as Keras takes them.

    Returns:
        The path of the new checkpoint, for `multiback.load`. Its manifest names its
        parents, and it has no optimizer state.

    Raises:
        ArgumentError: An argument is not usable, or there are fewer checkpoints.
        StateError: The checkpoints' layers differ, or hold no model.
        NoCheckpointError: No checkpoint has a score.

    Source: Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, Averaging weights leads
    to wider optima and better generalization (2018); PyTorch's `swa_utils.update_bn`
    for the statistics.

    Examples:
        >>> import keras, numpy as np, tempfile, multiback as mb
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> folder = tempfile.TemporaryDirectory()
        >>> keep = {"save_top_k": 2, "mode": "max"}
        >>> with mb.Checkpointer(folder.name, monitor="f1", **keep) as checkpointer:
        ...     for f1, weight in ((0.7, 1.0), (0.8, 3.0)):
        ...         model.set_weights([np.full((2, 1), weight), np.zeros(1)])
        ...         saved = checkpointer.step(model, {"f1": f1})
        >>> averaged = mb.load(mb.average(folder.name, k=2))
        >>> float(averaged.get_weights()[0][0, 0])
        2.0
        >>> folder.cleanup()
    """
    dirpath = expanded("dirpath=", dirpath)
    check_number("k=", k, 2)
    ordered = rank(checkpoints_of(dirpath, run), monitor, mode)
    if len(ordered) < k:
        raise ArgumentError(
            f"k= wants at most the {len(ordered)} checkpoints with a score that the "
            f"run has kept, not {k}. Train with save_top_k={k}, or pass less."
        )
    parents = ordered[:k]
    index = [one for one in variables_of(parents[0]) if one["group"] != "optimizer"]
    arrays = _averaged(parents)
    model = load(parents[0].location, custom_objects=custom_objects)
    restore(model, arrays, index, optimizer=False)
    _measure_again(model, data)
    place = f"{dirpath}/average" if into is None else expanded("into=", into)
    return _written(model, parents, place).location


def _averaged(parents: Sequence[Checkpoint]) -> dict[str, np.ndarray]:
    """Return the mean of the parents' weights, and all other arrays of the first."""
    best = parents[0]
    wanted = _weights(best)
    arrays = best.tensors()
    sums = {
        key: arrays[key].astype(np.float64)
        for key in wanted
        if _is_float(arrays[key].dtype)
    }
    for other in parents[1:]:
        _check_same(best, wanted, other, _weights(other))
        further = other.tensors()
        for key in sums:
            sums[key] += further[key].astype(np.float64)
    means = {k: (v / len(parents)).astype(arrays[k].dtype) for k, v in sums.items()}
    return {**arrays, **means}


def _is_float(dtype: np.dtype[Any]) -> bool:
    # NumPy's kind of ml_dtypes' bfloat16 and float8 is "V".
    return dtype.kind in "fV"


def _weights(checkpoint: Checkpoint) -> dict[str, Mapping[str, Any]]:
    """Return the index of a model's weights, by key."""
    index = variables_of(checkpoint)
    if any(entry["group"] == "tree" for entry in index):
        raise StateError(
            f"{checkpoint.name} holds a mapping of arrays, not a model. Average its "
            "arrays yourself: multiback.load(path) returns them."
        )
    return {entry["key"]: entry for entry in index if entry["group"] == "weights"}


def _check_same(best: Checkpoint, a: Entries, other: Checkpoint, b: Entries) -> None:
    """Raise unless two models have the same weights."""
    for key in dict.fromkeys([*a, *b]):
        one, two = (
            None
            if key not in entries
            else (entries[key].get("shape"), entries[key].get("dtype"))
            for entries in (a, b)
        )
        if one != two:
            path = (a.get(key) or b[key])["path"]
            raise StateError(
                f"{best.name} and {other.name} have different layers: {path!r} is "
                f"{_shown(one)} in the first and {_shown(two)} in the second. Average "
                "checkpoints of one model only: pass run= with one run's id."
            )


def _shown(kind: tuple[Any, Any] | None) -> str:
    return "missing" if kind is None else f"{kind[1]} of shape {kind[0]}"


def _measure_again(model: keras.Model, data: Any) -> None:
    """Measure the statistics of batch normalization, as an average over batches."""
    kind = keras.layers.BatchNormalization
    layers = [layer for layer in layers_of(model) if isinstance(layer, kind)]
    layers = [layer for layer in layers if layer.trainable]
    if data is None:
        if layers:
            warn(
                "The average has statistics of batch normalization that no data was "
                "measured with. Pass data= with training inputs to measure them again.",
                CheckpointWarning,
            )
        return
    if not layers:
        raise ArgumentError(
            "data= measures batch normalization again, and the model has no such "
            "layer that is trainable. Leave it out."
        )
    moving = {
        id(variable)
        for layer in layers
        for variable in (layer.moving_mean, layer.moving_variance)
    }
    # A pass in training mode also moves seeds and other layers' statistics.
    others = [v for v in model.non_trainable_variables if id(v) not in moving]
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in others]
    momenta = [layer.momentum for layer in layers]
    batches = 0
    try:
        for batch in _batches(data):
            for layer in layers:
                layer.momentum = batches / (batches + 1.0)
            model(batch, training=True)
            batches += 1
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for variable, value in zip(others, before, strict=True):
            variable.assign(value)
    if not batches:
        raise ArgumentError("data= wants at least one batch, and has no batch.")


def _batches(data: Any) -> Iterator[Any]:
    """Yield the inputs of each batch."""
    if isinstance(data, np.ndarray) or keras.ops.is_tensor(data):
        for start in range(0, len(data), BATCH):
            yield data[start : start + BATCH]
        return
    # A tuple is `(x, y)`, whose labels are no batch of inputs.
    if not isinstance(data, Iterable) or isinstance(data, tuple):
        raise ArgumentError(
            "data= wants an array of training inputs or an iterable of batches, not "
            f"{type(data).__name__}. Pass the inputs alone."
        )
    for batch in data:
        yield batch[0] if isinstance(batch, tuple) else batch


def _written(
    model: keras.Model, parents: Sequence[Checkpoint], place: PathLike
) -> Checkpoint:
    """Commit the model to a run of its own."""
    directory = open_run_directory(place)
    now = time.strftime("%Y%m%d-%H%M%S")
    run_id = f"average-{now}-{secrets.token_hex(3)}"
    named = [
        {"name": one.name, "run_id": one.run_id, "path": one.location}
        for one in parents
    ]
    directory.start_run(
        run_id,
        {
            "monitors": [],
            "versions": versions(),
            "backend": keras.backend.backend(),
            "parents": named,
        },
    )
    try:
        made = draft(
            f"average-of-{len(parents)}",
            model,
            weights_only=True,
            metric_states=False,
            trainer={},
            arrays={},
            into=lambda kinds, _: {k: np.empty(s, d) for k, (d, s) in kinds.items()},
            scratch=lambda: directory.scratch(run_id),
            run_id=run_id,
            epoch=parents[0].epoch,
            step=parents[0].step,
            metrics={},
            extra={
                **RecordedScores().fields(),
                "boundary": True,
                "asked": True,
                "weights_only": True,
                "parents": named,
            },
        )
        try:
            checkpoint = directory.commit(made.request)
        finally:
            made.cleanup()
        directory.point("last", checkpoint)
    finally:
        directory.end_run(run_id)
    return checkpoint
