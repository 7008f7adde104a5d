"""The code on the pages runs as it stands, block after block."""

import keras
import numpy as np
import pytest
from support.pages import ROOT, run_page

import multiback as mb


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_start_page_trains_loads_and_checks(tmp_path, call):
    names = run_page(ROOT / "docs/start.md", call=call)
    assert names["report"].ok
    assert (tmp_path / "runs" / "tumour" / "best.keras").is_file()
    again = names["best"].evaluate(names["xv"], names["yv"], verbose=0)
    assert np.isfinite(again).all()


def test_every_block_of_the_readme_runs(rng, call):
    x = rng.normal(size=(64, 3)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    names = {"x": x, "y": y, "xv": x, "yv": y, "model": model, "keras": keras}
    short = model.fit
    model.fit = lambda *args, **options: short(*args, **{**options, "epochs": 2})
    run_page(ROOT / "README.md", names, call)
    assert names["ckpt"].best_model_score is not None


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="DCP is torch's")
def test_the_migration_page_reads_a_dcp_folder_with_torch_alone():
    weights = np.arange(6, dtype="float32").reshape(2, 3)
    tree = {"net": {"w": keras.ops.convert_to_tensor(weights)}}
    with mb.Checkpointer("runs/tumour", "loss", mode="min", format="dcp") as ckpt:
        ckpt.step(tree, {"loss": 0.5})
    state = run_page(ROOT / "docs/migration.md")["state"]
    assert list(state) == ["net/w"]
    np.testing.assert_array_equal(state["net/w"], weights)
