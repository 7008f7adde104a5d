"""`diff`."""

import keras
import numpy as np

import multiback as mb


def trained(folder, units=4, metrics=()):
    """Train a model as a program of its own would; return its newest checkpoint."""
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(units), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile("adam", "mse", metrics=list(metrics))
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    checkpoint = mb.ModelCheckpoint(folder, monitor="loss", mode="min")
    model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[checkpoint])
    return checkpoint.last_model_path


def test_a_checkpoint_does_not_differ_from_itself(call, run):
    path = run / "checkpoints" / "epoch=001"
    result = call("diff", path, path, "--exit-code")
    assert result.code == 0
    assert "All 1 variable are the same, bit for bit." in result.out
    assert call("diff", path, path, "--json").json["same"]


def test_two_checkpoints_have_norms_and_the_largest_change(call, run):
    pair = [run / "checkpoints" / f"epoch=00{n}" for n in (1, 3)]
    result = call("diff", *pair)
    assert result.code == 0
    assert call("diff", *pair, "--exit-code").code == 3
    assert max(map(len, result.out.splitlines()[2:])) <= 80
    [line] = [line for line in result.out.splitlines() if "net/dense/kernel" in line]
    assert line.split() == ["net/dense/kernel", "2.45", "7.35", "4.9", "2"]
    found = call("diff", *pair, "--json").json
    [one] = found["variables"]
    assert (one["key"], one["path"]) == ("weights/0000", "net/dense/kernel")
    np.testing.assert_allclose(one["norms"], [6**0.5, 3 * 6**0.5])
    np.testing.assert_allclose([one["change"], one["largest"]], [2 * 6**0.5, 2.0])
    assert found["fields"] == {"epoch": [1, 3], "step": [10, 30]}
    assert found["metrics"]["val_f1"] == [0.5, 0.8]


def test_another_architecture_and_other_metrics_are_shown(call, tmp_path):
    small = trained(tmp_path / "small")
    large = trained(tmp_path / "large", units=5, metrics=["mae"])
    result = call("diff", small, large)
    assert result.code == 0
    assert "units: 4 → 5" in result.out
    assert "(reshaped: [3, 4] → [3, 5])" in " ".join(result.out.split())
    found = call("diff", small, large, "--json").json
    assert found["metrics"]["mae"][0] is None
    verdicts = {one["verdict"] for one in found["variables"]}
    assert "reshaped" in verdicts


def test_a_damaged_checkpoint_is_exit_code_1(call, run):
    pair = [run / "checkpoints" / f"epoch=00{n}" for n in (1, 2)]
    state = pair[1] / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"x")
    result = call("diff", *pair)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("CorruptCheckpointError")
