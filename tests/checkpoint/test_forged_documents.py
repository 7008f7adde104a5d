"""A checkpoint whose checksums fit but whose documents were forged.

Loading and resuming give a model or an error of multiback, never another exception.
"""

import contextlib
import json
import shutil
import warnings

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fitting.problem import fit, model, warns
from support.hostile import BAD, damaged, examples, forge, mutated, sealed

import multiback as mb
from multiback.errors import CheckpointWarning, MultibackError, StateError
from multiback.state import rebuild
from multiback.state.bounds import Room, check_bounds
from multiback.state.portable import objects_in
from multiback.store import RunDirectory

pytestmark = pytest.mark.torture

# A size that a hostile architecture asks for is allocated by Keras, not by us.
SMALL = [value for value in BAD if type(value) is not int or abs(value) < 10]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("forged") / "run"
    callback = mb.ModelCheckpoint(path, "loss", mode="min", save_top_k=1)
    fit(model("accuracy"), callback, epochs=1)
    return path


@pytest.fixture
def forged(folder, tmp_path):
    def forge_copy(name, content):
        """Copy the run and change a file of its checkpoint."""
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy, symlinks=True)
        [checkpoint] = RunDirectory(copy).checkpoints()
        forge(checkpoint, name, content)
        return copy

    return forge_copy


@contextlib.contextmanager
def ours_or_none():
    """Let errors and warnings of ours pass, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with contextlib.suppress(MultibackError):
            yield


def original(folder, name):
    [checkpoint] = RunDirectory(folder).checkpoints()
    return json.loads((checkpoint.path / name).read_bytes())


@pytest.mark.parametrize("name", ["trainer.json", "variables.json"])
@given(data=st.data())
@examples(20)
def test_a_forged_document_loads_resumes_or_is_refused(folder, forged, name, data):
    document = data.draw(mutated(original(folder, name)))
    path = forged(name, json.dumps(document).encode())
    for read in (mb.load_best, mb.load_last):
        with ours_or_none():
            read(path)
    with ours_or_none():
        fit(model("accuracy"), mb.ModelCheckpoint(path, resume="must"), epochs=1)


@pytest.mark.parametrize("hint", ["shape", "dtype"])
def test_a_variable_without_a_hint_loads_all_the_same(folder, forged, hint):
    document = original(folder, "variables.json")
    for entry in document[::2]:
        del entry[hint]
    expected = mb.load_last(folder).get_weights()
    found = mb.load_last(forged("variables.json", json.dumps(document).encode()))
    assert all(map(np.array_equal, found.get_weights(), expected))


@given(data=st.data())
@examples(30)
def test_a_forged_score_ranks_or_is_refused(forged, data):
    path = forged("trainer.json", b"{}")
    [checkpoint] = RunDirectory(path).checkpoints()
    manifest = checkpoint.path / "manifest.json"
    fields = json.loads(manifest.read_bytes())
    del fields["checksum"]
    fields["extra"] = data.draw(mutated(fields["extra"]))
    if not isinstance(fields["extra"], dict):
        return
    manifest.write_bytes(sealed(fields))
    for monitor in (None, "loss", "accuracy"):
        with ours_or_none():
            mb.load_best(path, monitor)
    with ours_or_none():
        mb.Checkpointer(path, "loss", mode="min", resume="auto").start()


@given(data=st.data())
@examples(20)
def test_a_forged_architecture_is_built_or_refused(folder, data):
    [checkpoint] = RunDirectory(folder).checkpoints()
    config = data.draw(mutated(checkpoint.architecture_document(), bad=SMALL))
    with ours_or_none():
        rebuild(config)


@given(data=st.data())
@examples(30)
def test_a_forged_history_is_passed_over_where_it_is_none(forged, data):
    path = forged("trainer.json", b"{}")
    journal = path / "history.jsonl"
    line = journal.read_bytes().splitlines()[0]
    changed = json.dumps(data.draw(mutated(json.loads(line)))).encode()
    journal.write_bytes(data.draw(st.just(changed) | damaged(line)) + b"\n" + line)
    for record in mb.history(path):
        assert set(record) >= {"run_id", "epoch", "step", "time"}


@pytest.mark.parametrize("name", ["state.safetensors", "trainer.json"])
def test_resuming_falls_back_to_the_newest_intact_one_with_a_warning(tmp_path, name):
    first = mb.ModelCheckpoint(tmp_path, keep=[mb.All()])
    fit(model("accuracy"), first, epochs=3)
    newest = RunDirectory(tmp_path).checkpoints()[-1].path / name
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    made = model("accuracy")
    with warns("Passed over epoch=003.*checksum"):
        fit(made, mb.ModelCheckpoint(tmp_path, resume="must"), epochs=2)
    assert made.optimizer.iterations.numpy() == 4


def grow_metric(config, name, **arguments):
    metric = keras.saving.serialize_keras_object(getattr(mb.metrics, name)(**arguments))
    config["compile_config"]["metrics"] = [metric]
    return metric


@pytest.mark.parametrize(
    ("name", "size"),
    [("ConfusionMatrix", "num_classes"), ("MatthewsCorrelation", "num_classes")],
)
def test_metrics_that_ask_for_gigabytes_are_refused(folder, name, size):
    config = json.loads(json.dumps(architecture_of(folder)))
    metric = grow_metric(config, name, task="multiclass", num_classes=3)
    metric["config"][size] = 30_000
    with pytest.raises(StateError, match=rf"6.7 GiB, most of it for {name}.*compile="):
        check_bounds(config, [])
    check_bounds({**config, "compile_config": None}, [])
    metric["config"][size] = 3_000
    check_bounds(config, [])


@pytest.mark.parametrize("key", ["units", "filters"])
def test_a_layer_larger_than_each_saved_weight_is_refused(folder, key):
    config = json.loads(json.dumps(architecture_of(folder)))
    (layer,) = [
        one for one in config["config"]["layers"] if "Dense" in one["class_name"]
    ]
    layer["config"][key] = 100_000
    index = [{"shape": [4, 100]}]
    with pytest.raises(
        StateError, match=r"Dense of size 100000.*more than 100.*bounded=False"
    ):
        check_bounds(config, index)
    check_bounds(config, [{"shape": [4, 100_000]}])


def architecture_of(folder):
    [checkpoint] = RunDirectory(folder).checkpoints()
    return checkpoint.architecture_document()


def test_a_sparse_file_is_refused_before_it_is_read(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    [checkpoint] = RunDirectory(copy).checkpoints()
    state = checkpoint.path / "state.safetensors"
    content = state.read_bytes()
    size = 1 << 38  # Reading it would take hours.
    with state.open("r+b") as stream:
        stream.truncate(size)
    manifest = json.loads((checkpoint.path / "manifest.json").read_bytes())
    del manifest["checksum"]
    manifest["files"]["state.safetensors"]["size"] = size
    (checkpoint.path / "manifest.json").write_bytes(sealed(manifest))
    made = model("accuracy")
    for read in (
        lambda: mb.load_best(copy),
        lambda: mb.load(checkpoint.path),
        lambda: mb.restore(made, copy),
    ):
        with pytest.raises(StateError, match=r"256.00 GiB and take.*bounded=False"):
            read()
    # A cut file is no forgery: the next checkpoint is tried.
    state.write_bytes(content[:9])
    with pytest.raises(CheckpointWarning, match="Passed over"):
        mb.restore(made, copy)


def test_weights_of_another_shape_are_refused_before_any_array_is_read(
    folder, tmp_path
):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    [checkpoint] = RunDirectory(copy).checkpoints()
    (checkpoint.path / "state.safetensors").unlink()
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(StateError, match=r"shape \[4, 3\] in the model, \[4, 1\] in"):
        mb.restore(other, copy)
    with pytest.raises(CheckpointWarning, match="Passed over"):
        mb.restore(other, copy, strict=False)


@keras.saving.register_keras_serializable("forged")
class Wide(keras.layers.Layer):
    """A layer of the user's own; `scale` is in no list of sizes."""

    def __init__(self, scale, **arguments):
        super().__init__(**arguments)
        self.scale = scale

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.scale))

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("forged")
class Table(keras.metrics.Mean):
    """A metric of the user's own, as wide."""

    def __init__(self, scale=1, **arguments):
        super().__init__(**arguments)
        self.scale = scale
        self.table = self.add_variable((scale, scale), "zeros", name="table")

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@pytest.mark.parametrize("kind", ["Wide", "Table"])
def test_own_classes_get_no_more_memory_than_the_files_are_worth(tmp_path, kind):
    built = keras.Sequential([keras.Input((3,)), Wide(4), keras.layers.Dense(1)])
    built.compile("sgd", "mse", metrics=[Table()])
    with mb.Checkpointer(tmp_path, "loss", mode="min") as checkpointer:
        checkpointer.step(built, {"loss": 1.0})
    assert isinstance(mb.load_best(tmp_path), keras.Model)
    [file] = tmp_path.glob("arch-*.json")
    config = json.loads(file.read_bytes())
    for node in objects_in(config):
        if node["class_name"].endswith(kind):
            node["config"]["scale"] = 10**9 if kind == "Wide" else 10**5
    [checkpoint] = RunDirectory(tmp_path).checkpoints()
    settings = {"custom_objects": None, "room": Room(checkpoint.stored_bytes()[1])}
    before = keras.Variable.__init__
    with pytest.raises(StateError, match=r"000\).*bounded=False"):
        rebuild(config, **settings)
    assert keras.Variable.__init__ is before
