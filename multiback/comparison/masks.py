"""Read the Keras masks of a model's outputs.

`model.predict` drops the mask, so the model is called once more to read it.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from multiback import keras_private
from multiback.metrics.intervals.interval import Array


def output_masks(
    model: Any, flattened: Callable[[Any], list[Any]], x: Any, batch_size: int
) -> list[Array | None]:
    """Return one mask an output, or None for an output without one.

    `flattened` lists the outputs of what the model returns.
    """

    def masks_of(start: int) -> list[Array | None]:
        batch = keras.tree.map_structure(
            lambda array: ops.convert_to_tensor(array[start : start + batch_size]), x
        )
        outputs = flattened(model(batch, training=False))
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
