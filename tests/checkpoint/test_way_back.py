"""Every way back brings all of the state: restore, resume=, restore_best= and load."""

import io
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from support.backends import BACKEND
from support.fitting.problem import Says, X, Y, fit, telling, warns
from support.hostile import forge

import multiback as mb
from multiback.errors import CorruptCheckpointError, StateError
from multiback.store import RunDirectory


@keras.saving.register_keras_serializable("multiback-tests")
class Scaled(keras.layers.Layer):
    """A layer whose factor is no variable."""

    refused = None

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.factor = np.ones(1, "float32")

    def build(self, input_shape):  # noqa: ARG002 - Keras's signature
        self.built = True

    def call(self, inputs):
        return inputs * float(self.factor[0])

    def save_own_variables(self, store):
        store["factor"] = self.factor

    def load_own_variables(self, store):
        self.factor = np.array(store["factor"])
        if float(self.factor[0]) == self.refused:
            raise ValueError("not mine")


def scaled(factor=1.0):
    keras.utils.set_random_seed(2)
    made = keras.Sequential([keras.Input((4,)), Scaled(), keras.layers.Dense(1)])
    made.layers[0].factor[:] = factor
    made.compile("adam", "mse", jit_compile=False)
    return made


def factor_of(made):
    return float(made.layers[0].factor[0])


@keras.saving.register_keras_serializable("multiback-tests")
class Words(keras.layers.Layer):
    """A layer that keeps a file beside its variables."""

    words = ()

    def build(self, input_shape):  # noqa: ARG002 - Keras's signature
        self.built = True

    def call(self, inputs):
        return inputs

    def save_assets(self, dir_path):
        Path(dir_path, "words.txt").write_text("\n".join(self.words))

    def load_assets(self, dir_path):
        self.words = Path(dir_path, "words.txt").read_text().split()


def with_words(*words):
    keras.utils.set_random_seed(2)
    layers = [keras.Input((4,)), Words(), keras.layers.Dense(1)]
    made = keras.Sequential(layers)
    made.layers[0].words = list(words)
    made.compile("adam", "mse", jit_compile=False)
    return made


def words_of(made):
    return made.layers[0].words


def with_lookup(*words):
    made = with_words()
    made.lookup = keras.layers.StringLookup()
    if words:
        made.lookup.adapt(np.array(words))
    return made


def vocabulary_of(made):
    return list(map(str, made.lookup.get_vocabulary()))


CASES = {
    "a layer's own state": (lambda: scaled(3.0), scaled, factor_of),
    "a layer's own file": (lambda: with_words("p", "q"), with_words, words_of),
}
if BACKEND == "tensorflow":
    # Keras's lookup layers run on it.
    CASES["a vocabulary"] = (
        lambda: with_lookup("p", "q", "q"),
        lambda: with_lookup("a"),
        vocabulary_of,
    )
    CASES["a vocabulary into an empty one"] = (
        lambda: with_lookup("p", "q", "q"),
        with_lookup,
        vocabulary_of,
    )


@pytest.mark.parametrize("case", CASES)
def test_state_outside_of_variables_comes_back_every_way(tmp_path, case):
    saved_one, another, read = CASES[case]
    saved = saved_one()
    fit(saved, mb.ModelCheckpoint(tmp_path, "loss"), epochs=1)
    restored = another()
    assert not mb.restore(restored, tmp_path).left_out
    resumed = another()
    fit(resumed, mb.ModelCheckpoint(tmp_path, "loss", resume="auto"), epochs=2)
    # An attribute of a Sequential is in no config, so nothing makes it again.
    loaded = [] if hasattr(saved, "lookup") else [mb.load_best(tmp_path)]
    for one in (restored, resumed, *loaded):
        assert read(one) == read(saved)
    predicted = [m.predict(X, verbose=0) for m in (restored, saved)]
    np.testing.assert_allclose(*predicted, rtol=1e-6)


def test_the_best_comes_back_with_what_it_kept_outside_of_variables(tmp_path):
    class Drift(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            self.model.layers[0].factor = np.full(1, epoch + 2.0, "float32")

    made = scaled()
    score = mb.Monitor("score", mode="max", early=False)
    keep = mb.ModelCheckpoint(tmp_path, score, restore_best=True)
    fit(made, Drift(), Says(score=[0.1, 0.9, 0.5]), keep, epochs=3)
    assert factor_of(made) == 3.0


def test_state_that_the_checkpoint_lacks_is_named_and_warned_of(tmp_path):
    plain = keras.Sequential(
        [keras.Input((4,)), keras.layers.Activation("linear"), keras.layers.Dense(1)]
    )
    plain.compile("adam", "mse", jit_compile=False)
    fit(plain, mb.ModelCheckpoint(tmp_path, "loss", export_best=False), epochs=1)
    made = scaled(5.0)
    with warns("layers/0"):
        report = mb.restore(made, tmp_path)
    assert "layers/0" in report.left_out[0]
    assert factor_of(made) == 5.0


def in_config(layer):
    return lambda *given: keras.Sequential(
        [keras.Input((4,)), layer(*given), keras.layers.Dense(1)]
    )


def normalized(mean):
    return keras.layers.Normalization(mean=mean, variance=1.0)


def in_bins(edge):
    return keras.layers.Discretization(bin_boundaries=[0.0, edge])


def adapted_to(values):
    layer = keras.layers.Discretization(num_bins=3)
    layer.adapt(np.array(values, "float32"))
    return layer


def looked_up(first):
    return keras.layers.IntegerLookup(vocabulary=[first, 8, 9])


IN_CONFIG = {
    "a mean": (normalized, 1.0, 2.0),
    "boundaries": (in_bins, 1.0, 2.0),
}
if BACKEND == "tensorflow":
    IN_CONFIG["learned boundaries"] = (adapted_to, [1, 2, 3, 4, 5], [5, 6, 7, 8, 9])
    IN_CONFIG["a vocabulary"] = (looked_up, 5, 7)


@pytest.mark.parametrize("case", IN_CONFIG)
def test_other_values_in_a_layer_s_config_are_named_and_warned_of(tmp_path, case):
    layer, saved, other = IN_CONFIG[case]
    build = in_config(layer)
    with mb.Checkpointer(tmp_path, "score", mode="max") as ckpt:
        ckpt.step(build(saved), {"score": 1.0})
    assert not mb.restore(build(saved), tmp_path).left_out
    mb.load_best(tmp_path)
    with warns("layers/0.*saved with another vocabulary, mean or"):
        report = mb.restore(build(other), tmp_path)
    assert len(report.left_out) == 1
    # The same layer in another place is the same layer.
    moved = build(saved)
    outer = keras.Sequential([keras.Input((4,)), *moved.layers])
    assert not mb.restore(outer, tmp_path, strict=False).left_out


def test_a_layer_that_refuses_its_state_leaves_the_model_as_it_was(tmp_path):
    fit(scaled(3.0), mb.ModelCheckpoint(tmp_path, "loss"), epochs=1)
    made = scaled()
    made.layers[0].refused = 3.0
    before = [weight + 1 for weight in made.get_weights()]
    made.set_weights(before)
    with pytest.raises(StateError, match="not mine"):
        mb.restore(made, tmp_path, optimizer=False)
    assert factor_of(made) == 1.0
    np.testing.assert_array_equal(made.get_weights()[0], before[0])


@pytest.mark.filterwarnings("ignore:Passed over")
@pytest.mark.parametrize(
    "read",
    [lambda _, path: mb.load(path), mb.restore],
    ids=["load", "restore"],
)
def test_a_keras_file_that_unpacks_to_more_than_it_has_is_refused(tmp_path, read):
    made = scaled()
    with mb.Checkpointer(tmp_path, monitor=None) as checkpointer:
        checkpointer.step(made, {})
    [checkpoint] = RunDirectory(tmp_path).checkpoints()
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(checkpoint.path / "model.keras") as whole,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
        archive.writestr("assets/words.txt", bytes(16 << 20))
    forge(checkpoint, "model.keras", packed.getvalue())
    with pytest.raises(CorruptCheckpointError, match=r"unpack to 16\d+"):
        read(made, checkpoint.path)


def test_a_stateful_layer_is_reported_at_the_save_and_at_the_restore(tmp_path):
    def recurrent():
        inputs = keras.Input((2, 2), batch_size=4)
        hidden = keras.layers.SimpleRNN(2, stateful=True, name="memory")(inputs)
        made = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        made.compile("sgd", "mse", jit_compile=False)
        return made

    made = recurrent()
    keep = mb.Checkpointer(tmp_path)
    with warns("stateful layer 'memory'"):
        keep.step(made, {}, epoch=1)
    keep.finish()
    with warns("stateful layer 'memory'"):
        mb.restore(recurrent(), tmp_path, which="last")


def test_an_adapted_layer_resumes_with_its_constants(tmp_path):
    def adapted(shift):
        keras.utils.set_random_seed(2)
        layer = keras.layers.Normalization()
        layer.adapt(X + shift)
        made = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
        made.compile("sgd", "mse", jit_compile=False)
        return made

    saved = adapted(3.0)
    fit(saved, mb.ModelCheckpoint(tmp_path, "loss"), epochs=1, shuffle=False)
    other = adapted(0.0)
    other.predict(X, verbose=0)
    again = mb.ModelCheckpoint(tmp_path, "loss", resume="auto")
    fit(other, again, epochs=2, shuffle=False)
    fit(saved, epochs=1, shuffle=False)
    predicted = [m.predict(X, verbose=0) for m in (saved, other)]
    np.testing.assert_allclose(*predicted, rtol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="a torch module")
def test_the_buffers_of_a_torch_module_come_back(tmp_path):
    import torch

    def made():
        net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
        layer = keras.layers.TorchModuleWrapper(net, output_shape=(None, 3))
        whole = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
        whole.compile("adam", "mse", jit_compile=False)
        return whole, net[1]

    saved, norm = made()
    keep = mb.ModelCheckpoint(tmp_path, "loss", export_best=False)
    fit(saved, keep, epochs=2)
    other, other_norm = made()
    mb.restore(other, tmp_path, which="last")
    np.testing.assert_array_equal(other_norm.running_mean, norm.running_mean)
    loss = [m.evaluate(X, Y, verbose=0) for m in (saved, other)]
    np.testing.assert_allclose(*loss, rtol=1e-6)


@keras.saving.register_keras_serializable("multiback-tests")
class Two(keras.Model):
    """A model with a second optimizer, as a GAN or an actor and its critic have."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.head = keras.layers.Dense(1, name="head")
        self.second = keras.optimizers.Adam(0.01)

    def build(self, input_shape):
        self.head.build(input_shape)
        self.built = True

    def call(self, inputs):
        return self.head(inputs)


def two(*, trained=False):
    keras.utils.set_random_seed(4)
    made = Two()
    made.build((None, 4))
    made.compile("sgd", "mse", jit_compile=False)
    if trained:
        made.second.build(made.head.trainable_variables)
        gradients = [keras.ops.ones(v.shape) for v in made.head.trainable_variables]
        made.second.apply(gradients, made.head.trainable_variables)
    return made


def second_of(made):
    return [keras.ops.convert_to_numpy(v) for v in made.second.variables]


def test_an_optimizer_that_is_an_attribute_comes_back_every_way(tmp_path):
    saved = two(trained=True)
    fit(saved, mb.ModelCheckpoint(tmp_path, "loss"), epochs=1)
    restored, resumed = two(), two()
    assert not mb.restore(restored, tmp_path).left_out
    fit(resumed, mb.ModelCheckpoint(tmp_path, "loss", resume="auto"), epochs=2)
    for one in (restored, resumed, mb.load_best(tmp_path)):
        assert len(second_of(one)) == len(second_of(saved)) > 2
        for there, here in zip(second_of(saved), second_of(one), strict=True):
            np.testing.assert_array_equal(there, here)
    facts = [json.loads(f.read_text()) for f in tmp_path.glob("*/*/trainer.json")]
    assert [one["iterations"] for one in facts] == [{"optimizer": 4, "second": 1}]


def classifier(rate, *, frozen=False, optimizer=None):
    first = keras.layers.Dense(3, trainable=not frozen)
    made = keras.Sequential([keras.Input((4,)), first, keras.layers.Dense(1)])
    made.compile(optimizer or keras.optimizers.Adam(rate), "mse", jit_compile=False)
    return made


def rate_of(made):
    return float(keras.ops.convert_to_numpy(made.optimizer.learning_rate))


def test_a_layer_that_was_unfrozen_resumes_with_a_fresh_optimizer(tmp_path):
    fit(classifier(1e-2, frozen=True), mb.ModelCheckpoint(tmp_path, "loss"), epochs=2)
    made = classifier(1e-4)
    with telling() as said:
        history = fit(made, mb.ModelCheckpoint(tmp_path, resume="auto"), epochs=3)
    (text,) = {text for text in said if "optimizer" in text}
    assert "starts fresh" in text
    assert len(text) <= 200
    assert history.epoch == [0, 1, 2]
    assert int(made.optimizer.iterations.numpy()) == 2
    assert rate_of(made) == pytest.approx(1e-4)


@pytest.mark.parametrize("momentum", [(0.0, 0.9), (0.9, 0.0)])
def test_momentum_that_only_one_side_has_starts_fresh_and_says_so(tmp_path, momentum):
    saved, other = (
        keras.optimizers.SGD(0.01, momentum=each, name="sgd") for each in momentum
    )
    fit(
        classifier(0.01, optimizer=saved),
        mb.ModelCheckpoint(tmp_path, "loss"),
        epochs=2,
    )
    made = classifier(0.01, optimizer=other)
    with warns("starts fresh"):
        fit(made, mb.ModelCheckpoint(tmp_path, "loss", resume="auto"), epochs=3)
    assert int(made.optimizer.iterations.numpy()) == 2


def test_a_lower_learning_rate_is_said_or_kept(tmp_path):
    fit(classifier(1e-2), mb.ModelCheckpoint(tmp_path, "loss"), epochs=1)
    made = classifier(1e-4)
    with warns('learning_rate="compiled"'):
        fit(made, mb.ModelCheckpoint(tmp_path, "loss", resume="auto"), epochs=2)
    assert rate_of(made) == pytest.approx(1e-2)
    made = classifier(1e-4)
    keep = mb.ModelCheckpoint(tmp_path, "loss", resume="auto", learning_rate="compiled")
    fit(made, keep, epochs=3)
    assert rate_of(made) == pytest.approx(1e-4)
    assert int(made.optimizer.iterations.numpy()) == 6


def test_a_resume_can_leave_the_optimizer_and_take_a_new_head(tmp_path):
    fit(classifier(1e-2), mb.ModelCheckpoint(tmp_path, "loss"), epochs=1)
    made = classifier(1e-2)
    keep = mb.ModelCheckpoint(tmp_path, "loss", resume="auto", resume_optimizer=False)
    fit(made, keep, epochs=2)
    assert int(made.optimizer.iterations.numpy()) == 2
    layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1, name="x")]
    wider = keras.Sequential([*layers[:2], keras.layers.Dense(2), layers[2]])
    wider.compile("adam", "mse", jit_compile=False)
    with pytest.raises(StateError, match="strict=False"):
        fit(wider, mb.ModelCheckpoint(tmp_path, "loss", resume="auto"), epochs=3)
    keep = mb.ModelCheckpoint(tmp_path, "loss", resume="auto", strict=False)
    with warns("kept their values"):
        fit(wider, keep, epochs=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", "new"), ("strict", "no"), ("resume_optimizer", 1)],
)
def test_a_word_that_is_not_known_is_refused(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name}= wants"):
        mb.ModelCheckpoint(tmp_path, **{name: value})
