"""Read the Keras masks of a model's outputs.

`model.predict` drops the mask, so the model is called once more to read it.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from multiback import keras_private
from multiback.adapters.torchmetrics.arrays import Array, Samples
from multiback.errors import ArgumentError


def output_masks(
    model: Any, container: Any, x: Any, batch_size: int
) -> list[Array | None]:
    """Return one mask an output, or None for an output without one."""

    def masks_of(start: int) -> list[Array | None]:
        batch = keras.tree.map_structure(
            lambda array: ops.convert_to_tensor(array[start : start + batch_size]), x
        )
        outputs = keras_private.flatten_outputs(container, model(batch, training=False))
        return [
            None if mask is None else np.asarray(ops.convert_to_numpy(mask), bool)
            for mask in map(keras_private.get_keras_mask, outputs)
        ]

    first = masks_of(0)
    if all(mask is None for mask in first):
        return first
    rows = len(keras.tree.flatten(x)[0])
    batches = [first, *map(masks_of, range(batch_size, rows, batch_size))]
    return [
        None if masks[0] is None else np.concatenate(masks)
        for masks in zip(*batches, strict=True)
    ]


def without_masked(samples: Samples, mask: Array) -> Samples:
    """Keep the unmasked elements, one row an element."""
    arrays = {"y_true": samples.y_true, "y_pred": samples.y_pred}
    if samples.sample_weight is not None:
        weight = samples.sample_weight
        if weight.ndim == 1 or weight.shape[1:] == (1,):
            each = weight.reshape(-1, *[1] * (mask.ndim - 1))
            weight = np.broadcast_to(each, mask.shape)
        arrays["sample_weight"] = weight
    for name, array in arrays.items():
        if array.shape[: mask.ndim] != mask.shape:
            raise ArgumentError(
                f"data: {name} wants one row an element of the model's mask, whose "
                f"shape is {mask.shape}, not {array.shape}."
            )
    kept = {name: array[mask] for name, array in arrays.items()}
    return Samples(
        kept["y_true"],
        kept["y_pred"],
        kept.get("sample_weight"),
        samples.batch_size,
        masked=True,
    )
