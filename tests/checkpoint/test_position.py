"""A run that is resumed in the middle of an epoch, and one that cannot be.

`test_exact_resume.py` kills processes; here an error ends the training.
"""

import shutil

import keras
import pytest
import torch
from support.backends import BACKEND
from support.fitting.problem import VALIDATION, X, Y, fit, warns
from torchdata.stateful_dataloader import StatefulDataLoader

import multiback as mb
from multiback.errors import ArgumentError
from multiback.store import RunDirectory

BATCHES = 4


class Stops(keras.callbacks.Callback):
    """Note where each batch of each epoch begins; raise where it is asked for."""

    def __init__(self, at=None):
        super().__init__()
        self.at = at
        self.begun = []
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        if (self.epoch, batch) == self.at:
            raise ZeroDivisionError
        self.begun.append((self.epoch, batch))


def data(**arguments):
    return mb.data.Resumable(X[:32], Y[:32], **{"batch_size": 8, **arguments})


def loader(**arguments):
    """Make a loader whose generator has a past, and serves its sampler too."""
    rows = torch.utils.data.TensorDataset(*map(torch.from_numpy, (X[:32], Y[:32])))
    generator = torch.Generator().manual_seed(5)
    arguments = {"batch_size": 8, "shuffle": True, "generator": generator, **arguments}
    return mb.data.ResumableLoader(StatefulDataLoader(rows, **arguments))


def train(run, *, stops_at=None, epochs=3, made=None, known=True, **arguments):
    """Train for what is left of three epochs of four batches; save every second."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1, "sigmoid")]
    )
    steps = arguments.pop("gradient_accumulation_steps", None)
    in_fit = {k: arguments.pop(k) for k in ("steps_per_epoch",) if k in arguments}
    model.compile(
        keras.optimizers.Adam(0.1, gradient_accumulation_steps=steps),
        "binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(name="auc")],
        jit_compile=False,
    )
    made = data() if made is None else made
    rate = keras.callbacks.LearningRateScheduler(lambda _, rate: 0.5 * rate)
    callback = mb.ModelCheckpoint(
        run,
        **{
            "every_n_train_steps": 2,
            "resume": "auto",
            "data": made if known else None,
            **arguments,
        },
        callbacks=[rate],
    )
    stops = Stops(stops_at)
    found = {}
    try:
        found = model.fit(
            made,
            epochs=epochs,
            verbose=0,
            callbacks=[rate, callback, stops],
            **VALIDATION,
            **in_fit,
        ).history
    except ZeroDivisionError:
        assert stops_at is not None
        callback.wait()
    state = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    return found, [value.tolist() for value in state], stops.begun, callback


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))[:2]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Train once, and stop in the middle of the second epoch."""
    folder = tmp_path_factory.mktemp("parts")
    train(folder, stops_at=(1, 3), keep=[mb.All()])
    return folder


@pytest.fixture
def stopped(parts, tmp_path):
    """Copy the run that was stopped."""
    return shutil.copytree(parts, tmp_path / "run", symlinks=True)


@pytest.mark.parametrize("at", [(0, 2), (2, 2)])
def test_the_rest_of_the_epoch_and_the_next_one_are_as_they_would_have_been(
    tmp_path, whole, at
):
    train(tmp_path, stops_at=at)
    *found, begun, _ = train(tmp_path)
    # Keras counts from 0.
    assert begun[:3] == [*((at[0], b) for b in (0, 1)), (at[0] + 1, 0)][: len(begun)]
    assert len(begun) == BATCHES * (3 - at[0]) - 2
    assert tuple(found) == whole


@pytest.mark.parametrize("at", [(0, 3), (1, 2)])
def test_a_loader_of_torch_continues_by_its_own_state(tmp_path, at):
    expected = train(tmp_path / "whole", made=loader())[:2]
    train(tmp_path / "parts", stops_at=at, made=loader())
    *found, begun, _ = train(tmp_path / "parts", made=loader())
    assert len(begun) == BATCHES * (3 - at[0]) - 2
    assert tuple(found) == expected


def test_a_loader_of_torch_continues_at_the_end_of_an_epoch(tmp_path):
    expected = train(tmp_path / "whole", made=loader())[:2]
    arguments = {"every_n_train_steps": None}
    train(tmp_path / "parts", stops_at=(1, 2), made=loader(), **arguments)
    *found, begun, _ = train(tmp_path / "parts", made=loader(), **arguments)
    assert begun[0] == (1, 0)
    assert tuple(found) == expected


def test_a_loader_that_training_does_not_read_is_said_to_be_inexact(tmp_path):
    callback = mb.ModelCheckpoint(
        tmp_path, data=loader(), every_n_train_steps=1, monitor=None
    )
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=False)
    with warns("data= cannot say where training stands in it"):
        model.fit(data(), verbose=0, callbacks=[callback])


def test_accumulated_gradients_are_kept(tmp_path):
    # Four batches do not divide by three: gradients are under way at an epoch's end.
    arguments = {"gradient_accumulation_steps": 3}
    expected = train(tmp_path / "whole", **arguments)[:2]
    train(tmp_path / "parts", stops_at=(1, 2), **arguments)
    *found, begun, _ = train(tmp_path / "parts", **arguments)
    assert len(begun) == 6
    assert tuple(found[:2]) == expected


def test_the_clock_of_the_steps_and_the_record_continue(stopped, whole):
    *found, _, _ = train(stopped, keep=[mb.All()])
    assert tuple(found) == whole
    rows = [
        (one.epoch, one.document("trainer")["batch"], one.step)
        for one in RunDirectory(stopped).checkpoints()
    ]
    assert rows == [
        (0, 2, 2),
        (1, None, 4),
        (1, 2, 6),
        (2, None, 8),
        (2, 2, 10),
        (3, None, 12),
    ]
    record = [(one["epoch"], one["step"]) for one in mb.history(stopped)]
    assert record == [(1, 4), (2, 8), (3, 12)]


def test_a_second_stop_in_the_epoch_that_was_resumed_is_placed_rightly(stopped):
    train(stopped, stops_at=(1, 1), every_n_train_steps=1)
    newest = RunDirectory(stopped).checkpoints()[-1]
    facts = newest.document("trainer")
    assert (facts["epoch"], facts["batch"], facts["batches"]) == (1, 3, 7)


def test_data_that_is_not_named_resumes_at_the_end_of_an_epoch(stopped):
    *_, begun, _ = train(stopped, known=False)
    assert begun[0] == (1, 0)
    assert len(begun) == 2 * BATCHES


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"made": data(seed=3)}, "seed was 0, is 3.*begins at an epoch's end"),
        ({"made": data(batch_size=4)}, "batch_size was 8, is 4"),
    ],
)
def test_a_position_in_other_data_resumes_at_the_end_of_an_epoch_and_says_so(
    stopped, arguments, text
):
    with warns(text):
        *_, begun, _ = train(stopped, epochs=2, **arguments)
    assert begun[0] == (1, 0)
    assert len(begun) == len(arguments["made"])


def test_a_checkpoint_without_the_optimizer_cannot_be_resumed(tmp_path):
    arguments = {"save_weights_only": True}
    train(tmp_path, stops_at=(1, 3), **arguments)
    with warns("it holds the weights only"):
        *_, begun, _ = train(tmp_path, **arguments)
    assert begun[0] == (1, 0)


def test_a_path_begins_a_new_run_in_the_middle_of_an_epoch(stopped, whole):
    newest = RunDirectory(stopped).checkpoints()[-1]
    *found, begun, branch = train(stopped, resume=newest.path)
    assert branch.run_id != newest.run_id
    assert len(begun) == 6
    assert tuple(found) == whole


def test_a_damaged_checkpoint_is_passed_over_for_an_older_one(stopped, whole):
    file = RunDirectory(stopped).checkpoints()[-1].path / "state.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    with warns("Passed over"):
        *found, begun, _ = train(stopped)
    assert begun[0] == (1, 0)
    assert len(begun) == 8
    assert tuple(found) == whole


def test_what_cannot_begin_in_the_middle_is_no_data(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"data= has a ndarray.*mb.data.ResumableLoader"
    ):
        mb.ModelCheckpoint(tmp_path, data=X)


def test_other_steps_than_the_data_has_are_said_to_be_inexact(tmp_path):
    with warns("not be bit-exact: fit.. takes 3 batches for an epoch and data= has 4"):
        train(tmp_path, epochs=1, made=data(), known=True, steps_per_epoch=3)


def test_arrays_resume_exactly_at_the_end_of_an_epoch(tmp_path):
    def weights(folder, stops):
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Dropout(0.5), keras.layers.Dense(1, "sigmoid")]
        model = keras.Sequential([keras.Input((4,)), *layers])
        model.compile("adam", "binary_crossentropy", jit_compile=False)
        callback = mb.ModelCheckpoint(folder, resume="auto")
        history = fit(model, callback, stops, epochs=4, **VALIDATION).history
        return history, [weight.tolist() for weight in model.get_weights()]

    with pytest.raises(ZeroDivisionError):
        weights(tmp_path / "parts", Stops((2, 1)))
    found = weights(tmp_path / "parts", Stops())
    assert found == weights(tmp_path / "whole", Stops())


@pytest.mark.skipif(BACKEND != "tensorflow", reason="others build metrics in time")
def test_metrics_that_cannot_be_built_in_time_resume_at_the_end_of_an_epoch(
    stopped, monkeypatch
):

    def fails(*_):
        raise NotImplementedError

    monkeypatch.setattr(keras.Model, "test_on_batch", fails)
    with warns("metrics could not be built"):
        *_, begun, _ = train(stopped)
    assert begun[0] == (1, 0)
