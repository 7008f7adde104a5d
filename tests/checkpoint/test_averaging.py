"""`mb.average`: the mean of the best checkpoints' weights."""

import keras
import numpy as np
import pytest

import multiback as mb
from multiback.store import open_checkpoint

RNG = np.random.default_rng(0)
X = RNG.normal(3.0, 2.0, size=(96, 4)).astype("float32")


def normalized(units=3):
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )


def plain(units=3):
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    )


def trained(path, made, scores, **arguments):
    """Save the model under each score with weights of its own; return these."""
    weights = []
    with mb.Checkpointer(
        path, "f1", mode="max", save_top_k=len(scores), **arguments
    ) as checkpointer:
        for score in scores:
            drawn = [abs(RNG.normal(size=w.shape)) for w in made.get_weights()]
            made.set_weights(drawn)
            weights.append(made.get_weights())
            checkpointer.step(made, {"f1": score})
    return weights


def test_the_weights_are_the_mean_of_the_best(tmp_path):
    weights = trained(tmp_path, plain(), [0.5, 0.9, 0.7, 0.8])
    averaged = mb.load(mb.average(tmp_path, k=3))
    for at, found in enumerate(averaged.get_weights()):
        expected = np.mean([weights[i][at] for i in (1, 2, 3)], axis=0)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_checkpoint_names_its_parents(tmp_path, call):
    trained(tmp_path, plain(), [0.5, 0.9, 0.7])
    path = mb.average(tmp_path, k=2)
    parents = open_checkpoint(path).extra["parents"]
    best = [mb.load(one["path"]).get_weights()[0] for one in parents]
    assert len(parents) == 2
    np.testing.assert_array_equal(best[0], mb.load_best(tmp_path).get_weights()[0])
    shown = call("show", path).out
    assert parents[0]["name"] in shown
    assert parents[1]["name"] in shown


def test_the_run_itself_stays_as_it_was(tmp_path, call):
    trained(tmp_path, plain(), [0.5, 0.9])
    before = sorted(one.name for one in (tmp_path / "checkpoints").iterdir())
    best = mb.load_best(tmp_path).get_weights()[0]
    mb.average(tmp_path, k=2)
    mb.average(tmp_path, k=2)
    assert before == sorted(one.name for one in (tmp_path / "checkpoints").iterdir())
    np.testing.assert_array_equal(mb.load_best(tmp_path).get_weights()[0], best)
    assert len(call("ls", tmp_path, "--json").json["checkpoints"]) == 2


def test_data_measures_batch_normalization_again(tmp_path):
    trained(tmp_path, normalized(), [0.5, 0.9])
    averaged = mb.load(mb.average(tmp_path, k=2, data=X))
    dense, norm = averaged.layers[:2]
    hidden = keras.ops.convert_to_numpy(dense(X))
    pieces = hidden.reshape(3, 32, -1)
    np.testing.assert_allclose(norm.moving_mean, hidden.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, pieces.var(1).mean(0), rtol=1e-4)
    assert norm.momentum == 0.99


def test_batches_and_a_tensor_may_be_given_too(tmp_path):
    trained(tmp_path, normalized(), [0.5, 0.9])
    pairs = [(X[i : i + 32], None) for i in range(0, 96, 32)]
    whole, *others = (
        mb.load(mb.average(tmp_path, k=2, data=data, into=tmp_path / name))
        for name, data in (("a", X), ("b", pairs), ("c", keras.ops.array(X)))
    )
    for other in others:
        for one, two in zip(whole.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6)


def test_labels_beside_the_inputs_are_refused(tmp_path):
    """Else they are the second batch, and an error of Keras's says their shape."""
    trained(tmp_path, normalized(), [0.5, 0.9])
    with pytest.raises(mb.errors.ArgumentError, match="Pass the inputs alone"):
        mb.average(tmp_path, k=2, data=(X, X[:, 0]))


def test_without_data_batch_normalization_is_reported(tmp_path):
    trained(tmp_path, normalized(), [0.5, 0.9])
    with pytest.raises(mb.errors.CheckpointWarning, match="batch normalization"):
        mb.average(tmp_path, k=2)


def test_layers_that_differ_are_one_error(tmp_path):
    slots = {"resume": "never"}
    trained(tmp_path, plain(3), [0.5, 0.9], **slots)
    trained(tmp_path, plain(5), [0.6], **slots)
    with pytest.raises(mb.errors.StateError, match="different layers") as caught:
        mb.average(tmp_path, k=3, run="all")
    assert "[4, 3]" in str(caught.value)
    assert "[4, 5]" in str(caught.value)


def test_arguments_that_cannot_be_are_refused(tmp_path):
    trained(tmp_path, plain(), [0.5, 0.9])
    with pytest.raises(mb.errors.ArgumentError, match="save_top_k=3"):
        mb.average(tmp_path)
    with pytest.raises(mb.errors.ArgumentError, match="k="):
        mb.average(tmp_path, k=1)
    with pytest.raises(mb.errors.ArgumentError, match="data="):
        mb.average(tmp_path, k=2, data=X)


def test_a_mapping_of_arrays_is_no_model(tmp_path):
    with mb.Checkpointer(tmp_path, "f1", mode="max", save_top_k=2) as checkpointer:
        for score in (0.5, 0.6):
            checkpointer.step({"w": np.ones(3)}, {"f1": score})
    with pytest.raises(mb.errors.StateError, match="mapping"):
        mb.average(tmp_path, k=2)


def test_whole_numbers_are_those_of_the_best(tmp_path):
    made = normalized()
    trained(tmp_path, made, [0.5, 0.9])
    averaged = mb.load(mb.average(tmp_path, k=2, data=X))
    kinds = [str(v.dtype) for v in averaged.variables]
    assert kinds == [str(v.dtype) for v in made.variables]
