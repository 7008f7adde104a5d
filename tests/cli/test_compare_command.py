"""`multiback compare`: the same words as `mb.compare`."""

import keras
import numpy as np
import pytest

import multiback as mb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3)).astype("float32")
Y = (X[:, 0] + RNG.normal(size=120) > 0).astype("int32")


@pytest.fixture
def pair(tmp_path):
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    metrics = [mb.metrics.Accuracy(), mb.metrics.F1Score()]
    made.compile("sgd", "binary_crossentropy", metrics=metrics)
    keep = {"mode": "max", "save_top_k": 2, "filename": "{epoch:03d}"}
    with mb.Checkpointer(tmp_path / "run", "f1", **keep) as checkpointer:
        for score in (0.5, 0.6):
            weights = np.array([3.0, score / 10, 0.0])[:, None]
            made.set_weights([weights, np.zeros(1)])
            checkpointer.step(made, {"f1": score})
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    np.savez(tmp_path / "groups.npz", x=X, y=Y, groups=np.repeat(np.arange(30), 4))
    return [tmp_path / "run" / "checkpoints" / f"epoch=00{i}" for i in (1, 2)]


def test_it_says_which_differences_the_rows_do_not_show(call, pair, tmp_path):
    out = tmp_path / "predictions.npz"
    given = [*pair, "--data", tmp_path / "data.npz", "--replicates", 20]
    said = call("compare", *given, "--predictions", out)
    assert said.code == 0
    assert "cannot be told apart by these 120 rows" in " ".join(said.out.split())
    with np.load(out) as arrays:
        assert arrays["a"].shape == arrays["b"].shape == (120, 1)
    found = call("compare", *given, "--json").json
    assert [one["metric"] for one in found["differences"]] == ["accuracy", "f1_score"]
    assert found["differences"][0]["better"] is None
    assert found["differences"][0]["difference"]["level"] == 0.95


def test_the_file_may_say_which_rows_belong_together(call, pair, tmp_path):
    given = [*pair, "--data", tmp_path / "groups.npz", "--replicates", 20]
    found = call("compare", *given, "--json").json
    assert found["groups"] == 30
    assert found["differences"][0]["difference"]["method"] == "bootstrap"


def test_a_run_and_the_beginning_of_a_name_are_a_path_too(call, pair, tmp_path):
    run = tmp_path / "run"
    more = ["--data", tmp_path / "data.npz", "--json"]
    found = call("compare", run / "epoch=001", run / "best", *more).json
    assert (found["a"], found["b"]) == ("epoch=001", "epoch=002")
    long = call("compare", *pair, *more).json
    assert found["differences"] == long["differences"]
    python = mb.compare(run / "epoch=001", run / "best", (X, Y)).to_dict()
    assert python["differences"] == found["differences"]
