"""`multiback crosscheck` reads a checkpoint and an archive, and exits as it finds."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import multiback as mb


@keras.saving.register_keras_serializable("tests.cli")
def batch_maximum(y_true, y_pred):
    return keras.ops.max(y_pred) + 0 * y_true


def save_model(directory, metrics, *, named=False):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((3,), name="a")
    outputs = keras.layers.Dense(1, "sigmoid", name="b")(inputs)
    model = keras.Model(
        *(({"a": inputs}, {"b": outputs}) if named else (inputs, outputs))
    )
    if metrics is not None:
        model.compile("sgd", "binary_crossentropy", metrics=metrics)
    else:
        model.compile("sgd", "binary_crossentropy")
    checkpoint = mb.ModelCheckpoint(directory, monitor="loss")
    x, y = ({"a": arrays()[0]}, {"b": arrays()[1]}) if named else arrays()
    model.fit(x, y, epochs=1, batch_size=60, verbose=0, callbacks=[checkpoint])
    return checkpoint.best_model_path


def arrays():
    x = np.random.default_rng(1).normal(size=(60, 3)).astype("float32")
    return x, (x.sum(1, keepdims=True) > 0).astype("float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crosscheck")
    x, y = arrays()
    np.savez(folder / "data.npz", x=x, y=y)
    return folder


@pytest.fixture(scope="module")
def right(folder):
    return save_model(folder / "right", ["accuracy", mb.metrics.F1Score()])


@pytest.fixture(scope="module")
def wrong(folder):
    return save_model(folder / "wrong", ["accuracy", batch_maximum])


def test_right_metrics_exit_with_0_and_a_table(call, folder, right):
    done = call("crosscheck", right, "--data", folder / "data.npz")
    assert done.code == 0, done.err
    assert "60 samples in batches of 32, then shuffled batches of 29" in done.out
    assert done.out.count("agrees") == 2


def test_a_wrong_metric_exits_with_4_and_says_why(call, folder, wrong):
    arguments = ("crosscheck", wrong, "--data", folder / "data.npz")
    done = call(*arguments, "--json", "--batch-size", 16, "--batch-size", 7)
    assert done.code == 4
    assert done.json["cuts"] == ["batches of 7", "shuffled batches of 16"]
    rows = {row["name"]: row["verdict"] for row in done.json["rows"]}
    assert rows == {"accuracy": "agrees", "batch_maximum": "wrong"}


def test_several_inputs_and_outputs_have_names_in_the_archive(call, folder):
    named = save_model(folder / "named", {"b": ["accuracy"]}, named=True)
    x, y = arrays()
    np.savez(folder / "named.npz", **{"x/a": x, "y/b": y})
    done = call("crosscheck", named, "--data", folder / "named.npz", "--json")
    assert done.code == 0, done.err
    assert done.json["samples"] == 60


def test_what_cannot_be_checked_exits_with_1(call, folder, right):
    bare = save_model(folder / "bare", None)
    done = call("crosscheck", bare, "--data", folder / "data.npz")
    assert (done.code, "compiled with metrics" in done.err) == (1, True)
    np.savez(folder / "other.npz", inputs=np.ones(3))
    np.savez(folder / "pickle.npz", x=np.array([{}], dtype=object))
    np.save(folder / "one.npy", np.ones(3))
    for name, words in (
        ("other.npz", "holds inputs"),
        ("pickle.npz", "cannot be read"),
        ("one.npy", "holds one array"),
        ("none.npz", "No such file"),
    ):
        done = call("crosscheck", right, "--data", folder / name)
        assert (done.code, words in done.err) == (1, True), done.err


def test_audit_exits_with_4_and_the_line_to_change(call, folder, wrong, right):
    done = call("audit", wrong, "--data", folder / "data.npz")
    assert done.code == 4, done.err
    assert "batch_maximum: averaged over batches" in done.out
    assert "change: batch_maximum: return one value a sample" in done.out
    done = call("audit", right, "--data", folder / "data.npz", "--json")
    assert (done.code, done.json["findings"]) == (0, [])
    assert done.json["checked"] == ["accuracy", "f1_score"]


def test_a_model_with_what_the_adapters_host_needs_no_import(folder):
    classification = pytest.importorskip("torchmetrics.classification")
    from multiback.adapters.torchmetrics import as_keras

    x, y = arrays()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    hosted = as_keras(classification.BinaryRecall(), "recall")
    model.compile("sgd", "binary_crossentropy", metrics=[hosted], jit_compile=False)
    checkpoint = mb.ModelCheckpoint(folder / "hosted", monitor="loss")
    model.fit(x, y, epochs=1, batch_size=60, verbose=0, callbacks=[checkpoint])
    code = (
        "import sys; from multiback.cli import main;"
        f"sys.argv[1:] = ['crosscheck', {str(checkpoint.best_model_path)!r},"
        f" '--data', {str(folder / 'data.npz')!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "agrees" in done.stdout


def test_a_function_of_yours_names_the_option_that_brings_it(call, folder, wrong):
    unknown = keras.saving.get_registered_name(batch_maximum)
    found = keras.saving.get_custom_objects().pop(unknown)
    try:
        done = call("crosscheck", wrong, "--data", folder / "data.npz")
    finally:
        keras.saving.get_custom_objects()[unknown] = found
    assert done.code == 1
    assert "--import the module" in done.err.replace("\n", " ")


def test_a_file_that_is_not_an_archive_is_not_to_be_unpickled(call, folder, right):
    (folder / "notes.npz").write_text("no archive\n")
    done = call("crosscheck", right, "--data", folder / "notes.npz")
    assert done.code == 1
    assert "numpy.savez" in done.err
    assert "pickle" not in done.err


@pytest.mark.usefixtures("right")
def test_a_report_with_data_shows_the_tables(call, folder):
    run = folder / "right"
    data = folder / "data.npz"
    done = call("report", run, "--data", data, "-o", folder / "report.html")
    assert done.code == 0, done.err
    page = (folder / "report.html").read_text()
    assert "Is the number right? (crosscheck)" in page
    assert "60 samples in batches of 32" in page
    assert "2 metrics checked, 0 findings" in page


@pytest.mark.parametrize("command", ["crosscheck", "audit"])
def test_arrays_that_the_model_does_not_take_are_one_sentence(
    call, right, tmp_path, command
):
    x, y = arrays()
    np.savez(tmp_path / "wide.npz", x=np.hstack([x, x]), y=y)
    result = call(command, right, "--data", tmp_path / "wide.npz")
    assert result.code == 1
    assert "--data wants arrays that the model takes" in " ".join(result.err.split())
    assert "(60, 6)" in result.err or "(32, 6)" in result.err
    assert "Traceback" not in result.err
