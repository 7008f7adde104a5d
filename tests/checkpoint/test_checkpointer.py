"""The engine in a loop of the user's own, with a model or any mapping of arrays."""

import numpy as np
import pytest
from support.backends import BACKEND
from support.fitting.problem import X, Y, model

import multiback as mb
from multiback.errors import ArgumentError, MonitorError
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
    with pytest.raises(ArgumentError, match="must be a keras"):
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
        pytest.raises(MonitorError, match="never in the logs"),
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
