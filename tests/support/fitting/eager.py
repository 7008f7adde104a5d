"""To trace a few steps takes TensorFlow longer than to make them."""

import os

import pytest

# The step itself matters there: where it resumes, and what a loaded model does.
GRAPHS = {"test_accumulation", "test_loading", "test_position", "test_round_trip"}


@pytest.fixture(scope="module", autouse=True)
def eager_steps(request):
    """Let Keras's steps run eagerly under TensorFlow, whatever compile() was told.

    For tests of names, choices and files. The record of compile() stays as it is.
    """
    if os.environ["KERAS_BACKEND"] != "tensorflow" or request.path.stem in GRAPHS:
        yield
        return
    import keras

    with pytest.MonkeyPatch.context() as patch:
        eager = property(lambda _: True, lambda *_: None)
        patch.setattr(keras.Model, "run_eagerly", eager)
        yield
