"""The engine in a loop of the user's own, with a model or any mapping of arrays."""

import keras
import numpy as np
import pytest
from support.backends import BACKEND
from support.fitting.problem import X, Y, model

import multiback as mb
from multiback.errors import ArgumentError, MonitorError, StateError
from multiback.store import RunDirectory


def test_a_tree_of_numpy_arrays_is_kept_and_comes_back(tmp_path):
    with mb.Checkpointer(tmp_path, "f1", mode="max") as ckpt:
        for epoch, f1 in enumerate([0.1, 0.9, 0.5]):
            tree = {"layers": [{"w": np.full(2, epoch)}], "step": np.array(epoch)}
            ckpt.step(tree, {"f1": f1})
    best = mb.load_best(tmp_path)
    assert best["layers"][0]["w"].tolist() == [1, 1]
    assert mb.load_last(tmp_path)["step"] == 2
    again = mb.restore(tree, tmp_path)
    assert again["layers"][0]["w"].tolist() == [1, 1]


def test_a_function_is_called_only_to_save(tmp_path):
    calls = []

    def arrays():
        calls.append(1)
        return {"w": np.ones(1)}

    ckpt = mb.Checkpointer(tmp_path, "f1", mode="max", save_last=False)
    saved = [ckpt.step(arrays, {"f1": f1}) for f1 in (0.5, 0.4, 0.6)]
    assert saved == [True, False, True]
    assert len(calls) == 2


@pytest.mark.skipif(BACKEND != "torch", reason="a torch state_dict needs torch")
def test_a_torch_state_dict_comes_back_as_it_was(tmp_path):
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    ckpt = mb.Checkpointer(tmp_path, "loss")
    ckpt.step(net.state_dict(), {"loss": 0.5})
    ckpt.step(net.state_dict, {"loss": 0.4})
    with pytest.raises(ArgumentError, match="wants a Keras model, or a mapping"):
        ckpt.step(net, {"loss": 0.3})
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        net[0].weight.add_(1)
    net.load_state_dict(mb.restore(net.state_dict(), tmp_path))
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.skipif(BACKEND != "jax", reason="a JAX pytree needs JAX")
def test_a_jax_pytree_comes_back_as_it_was(tmp_path):
    import jax
    import jax.numpy as jnp

    params = {"dense": (jnp.ones((2, 3)), None), "scale": jnp.bfloat16(0.5)}
    ckpt = mb.Checkpointer(tmp_path, "loss")
    ckpt.step(params, {"loss": 0.5})
    again = mb.restore(params, tmp_path)
    assert jax.tree.structure(again) == jax.tree.structure(params)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), again, params)
    assert all(jax.tree.leaves(same))


def test_a_hand_written_loop_with_a_keras_model(tmp_path):
    made = model("accuracy")
    with mb.Checkpointer(tmp_path, "accuracy", save_top_k=2) as ckpt:
        seen = []
        for _ in range(3):
            made.train_on_batch(X, Y)
            logs = made.evaluate(X, Y, verbose=0, return_dict=True)
            ckpt.step(made, logs)
            seen.append(logs["accuracy"])
    assert ckpt.best_model_score == max(seen)
    [*_, last] = RunDirectory(tmp_path).checkpoints()
    assert (last.epoch, last.step) == (3, 3)


def test_a_name_that_is_missing_touches_nothing(tmp_path):
    ckpt = mb.Checkpointer(tmp_path, "score", mode="max")
    ckpt.step({"w": np.ones(1)}, {"score": 0.5})
    ckpt.wait()
    before = sorted(tmp_path.rglob("checkpoints/*"))
    fresh = mb.Checkpointer(tmp_path, "scores", mode="max")
    with pytest.raises(MonitorError, match="Did you mean 'score'"):
        fresh.step({"w": np.ones(1)}, {"score": 0.9})
    assert sorted(tmp_path.rglob("checkpoints/*")) == before


def test_a_block_that_ends_well_says_if_a_name_never_came(tmp_path):
    with (
        pytest.warns(UserWarning, match="never in the logs"),
        mb.Checkpointer(tmp_path, "val_f1", mode="max") as ckpt,
    ):
        ckpt.step({"w": np.ones(1)}, {"loss": 0.5})


def test_a_small_improvement_replaces_nothing(tmp_path):
    monitor = mb.Monitor("f1", mode="max", min_delta=0.1)
    slots = [mb.Best(monitor), mb.Every(epochs=2)]
    ckpt = mb.Checkpointer(tmp_path, keep=slots)
    best = []
    for f1 in (0.5, 0.55, 0.62, 0.63):
        ckpt.step({"w": np.array(f1)}, {"f1": f1})
        best.append(ckpt.best_model_score)
    assert best == [0.5, 0.5, 0.62, 0.62]
    assert mb.load_best(tmp_path)["w"] == 0.62
    resumed = mb.Checkpointer(tmp_path, keep=slots, resume="must")
    resumed.start()
    assert resumed.best_model_score == 0.62


def test_infinities_rank_as_they_should_and_come_back(tmp_path):
    ckpt = mb.Checkpointer(tmp_path, "loss", save_top_k=3)
    for number, loss in enumerate((1.0, float("-inf"), float("inf"))):
        ckpt.step({"w": np.array(number)}, {"loss": loss})
    assert ckpt.best_model_score == float("-inf")
    assert mb.load_best(tmp_path)["w"] == 1


def test_two_runs_at_once_do_not_touch_each_other(tmp_path):
    one, two = (mb.Checkpointer(tmp_path, "f1", mode="max") for _ in range(2))
    for f1 in (0.1, 0.9, 0.5):
        one.step({"w": np.array(f1)}, {"f1": f1})
        two.step({"w": np.array(-f1)}, {"f1": -f1})
    assert mb.load_best(tmp_path, run=one.run_id)["w"] == 0.9
    assert mb.load_best(tmp_path, run=two.run_id)["w"] == -0.1


def pair():
    """Two models and their optimizers, as a GAN's loop has them."""
    layers = [keras.Input((2,)), keras.layers.Dense(2)]
    parts = {"G": keras.Sequential(layers), "D": keras.Sequential(layers[:1])}
    parts["D"] = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for name in ("G", "D"):
        parts[f"{name}_optimizer"] = keras.optimizers.Adam(0.1)
        parts[f"{name}_optimizer"].build(parts[name].trainable_variables)
    return {**parts, "noise": np.arange(3.0), "best": [0.5, None, "fid"]}


def train_pair(parts, steps):
    """Make steps; the second optimizer makes none."""
    weights = parts["G"].trainable_variables
    gradients = [keras.ops.ones(v.shape) for v in weights]
    for _ in range(steps):
        parts["G_optimizer"].apply(gradients, weights)


def state_of(parts):
    names = ("G", "D", "G_optimizer", "D_optimizer")
    variables = [v for name in names for v in parts[name].variables]
    return [keras.ops.convert_to_numpy(v) for v in variables]


def test_several_models_and_optimizers_are_one_checkpoint(tmp_path):
    parts = pair()
    train_pair(parts, 2)
    ckpt = mb.Checkpointer(tmp_path, "fid", mode="min")
    ckpt.step(parts, {"fid": 1.0})
    ckpt.finish()
    assert ckpt.directory.checkpoints()[-1].step == 2
    other = pair()
    other["noise"] = np.zeros(3)
    for back in (
        mb.restore(other, tmp_path),
        mb.Checkpointer(tmp_path, resume="must").resume(pair()),
    ):
        assert back["noise"].tolist() == [0.0, 1.0, 2.0]
        assert back["best"] == [0.5, None, "fid"]
        for here, there in zip(state_of(back), state_of(parts), strict=True):
            np.testing.assert_array_equal(here, there)
    assert back["G"] is not other["G"]
    assert list(mb.load_best(tmp_path)["G"]["weights"]) == ["0000", "0001"]


def test_a_list_of_models_is_a_tree_too(tmp_path):
    one, two = pair()["G"], pair()["D"]
    with mb.Checkpointer(tmp_path) as ckpt:
        ckpt.step([one, two], {}, epoch=1)
    again = [pair()["G"], pair()["D"]]
    mb.restore(again, tmp_path, which="last")
    np.testing.assert_array_equal(again[1].get_weights()[0], two.get_weights()[0])


def test_nothing_of_several_models_changes_where_one_does_not_fit(tmp_path):
    parts = pair()
    with mb.Checkpointer(tmp_path) as ckpt:
        ckpt.step(parts, {}, epoch=1)
    other = {
        **pair(),
        "G": keras.Sequential([keras.Input((2,)), keras.layers.Dense(5)]),
    }
    before = state_of(other)
    with pytest.raises(StateError, match="sequential"):
        mb.restore(other, tmp_path, which="last")
    for here, there in zip(state_of(other), before, strict=True):
        np.testing.assert_array_equal(here, there)


def train_and_fail(ckpt, parts):
    ckpt.step(parts, {"fid": 1.0}, epoch=1)
    ckpt.step(parts, {"fid": 2.0}, epoch=2)
    train_pair(parts, 1)
    raise ZeroDivisionError


def judge_and_fail(ckpt):
    ckpt.step({"w": np.ones(1)}, {"f1": 0.9}, epoch=1)
    ckpt.step({"w": np.full(1, 2.0)}, {"f1": 0.5}, epoch=2)
    raise ZeroDivisionError


@pytest.mark.parametrize("wanted", [True, False])
def test_an_error_in_the_block_saves_what_has_been_trained(tmp_path, wanted):
    parts = pair()
    with (
        pytest.raises(ZeroDivisionError),
        mb.Checkpointer(tmp_path, "fid", mode="min", save_last=wanted) as ckpt,
    ):
        train_and_fail(ckpt, parts)
    found = ckpt.directory.checkpoints()[-1]
    assert not found.extra["boundary"]
    back = mb.restore(pair(), found.path)
    for here, there in zip(state_of(back), state_of(parts), strict=True):
        np.testing.assert_array_equal(here, there)


def test_an_error_saves_a_tree_that_no_slot_wanted(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        mb.Checkpointer(tmp_path, "f1", mode="max", save_last=False) as ckpt,
    ):
        judge_and_fail(ckpt)
    assert mb.load_last(tmp_path)["w"].tolist() == [2.0]


def test_logs_of_none_are_empty_as_in_keras(tmp_path):
    with mb.Checkpointer(tmp_path) as ckpt:
        assert ckpt.step({"w": np.ones(2)}, None)
    assert ckpt.epoch == 1
