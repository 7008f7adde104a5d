"""The private names of Keras that the callback needs, in one place.

Keras offers a callback no public way to move the epoch at which `fit` starts.
`tests/checkpoint/test_keras_private.py` notices when that changes.
"""

import keras


def set_first_epoch(model: keras.Model, epoch: int | None) -> None:
    """Let the `fit` that is about to start begin at an epoch; None lets it be."""
    model._initial_epoch = epoch  # noqa: SLF001 - the only way, see above
