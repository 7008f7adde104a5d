"""Adapters take Keras's shapes: channels last, sequences, unknown sizes, logits."""

import warnings

import keras
import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from support.backends import BACKEND
from support.translated import streamed
from torchmetrics import audio, classification, image, segmentation, text
from torchmetrics.detection import PanopticQuality

from multiback.adapters import sklearn
from multiback.adapters.torchmetrics import as_keras
from multiback.errors import ArgumentError, GuessedLogitsWarning

# Torchmetrics says what memory it takes and which class a batch lacks.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics.*")


def first(array):
    """Return a torch tensor with the last axis in the second place."""
    return torch.tensor(np.moveaxis(array, -1, 1))


def alone(metric, target, preds):
    metric.update(preds, target)
    return metric.compute().numpy()


def images(rng, shape, dtype="float32"):
    ramp = np.linspace(0.2, 1, shape[1]).reshape(-1, *[1] * (len(shape) - 2))
    true = rng.random(shape) * ramp
    noise = true + 0.1 * rng.normal(size=shape)
    return true.astype(dtype), noise.clip(0, 1).astype(dtype)


@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize(
    "make",
    [
        lambda: image.StructuralSimilarityIndexMeasure(data_range=1.0),
        lambda: image.PeakSignalNoiseRatio(data_range=1.0),
        image.SpectralAngleMapper,
        image.ErrorRelativeGlobalDimensionlessSynthesis,
        image.UniversalImageQualityIndex,
        image.SpectralDistortionIndex,
        image.SpatialCorrelationCoefficient,
    ],
)
@pytest.mark.parametrize("size", [(16, 20), (20, 20)])
def test_images_have_their_channels_last(rng, make, channels, size):
    true, noisy = images(rng, (4, *size, channels))
    given = alone(make(), first(true), first(noisy))
    got = streamed(as_keras(make()), true, noisy)
    np.testing.assert_allclose(got, given, rtol=1e-4)


def test_grey_images_need_no_channel_axis(rng):
    true, noisy = images(rng, (4, 16, 20))
    make = lambda: image.StructuralSimilarityIndexMeasure(data_range=1.0)  # noqa: E731 - one line
    right = alone(make(), torch.tensor(true)[:, None], torch.tensor(noisy)[:, None])
    for y, p in ((true, noisy), (true, noisy[..., None]), (true[..., None],) * 2):
        want = 1.0 if y is p else right
        assert streamed(as_keras(make()), y, p) == pytest.approx(want, rel=1e-5)


def test_a_keras_that_has_channels_first_keeps_them_there(rng, monkeypatch):
    true, noisy = images(rng, (4, 3, 16, 20))
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    make = image.SpectralAngleMapper
    right = alone(make(), torch.tensor(true), torch.tensor(noisy))
    assert streamed(as_keras(make()), true, noisy) == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("classes", [3, 6])
@pytest.mark.parametrize("wanted", ["one-hot", "index", "mixed"])
@pytest.mark.parametrize(
    "cls",
    [segmentation.DiceScore, segmentation.GeneralizedDiceScore, segmentation.MeanIoU],
)
def test_segments_are_ids_scores_or_one_hot_rows_with_classes_last(
    rng, cls, wanted, classes
):
    true = rng.integers(0, classes, (6, 6, 9))
    guess = np.where(
        rng.random(true.shape) < 0.7, true, rng.integers(0, classes, true.shape)
    )
    eye = np.eye(classes, dtype="int32")
    scores = (eye[guess] + 0.4 * rng.random((*guess.shape, classes))).astype("float32")

    def make():
        return cls(num_classes=classes, input_format=wanted)

    target, preds = first(eye[true]), first(eye[guess])
    if wanted != "one-hot":
        target = torch.tensor(true)
    if wanted == "index":
        preds = torch.tensor(guess)
    right = alone(make(), target, preds)
    labels = (true, true[..., None].astype("float32"), eye[true])
    for y in labels:
        got = streamed(as_keras(make()), y, scores)
        np.testing.assert_allclose(got, right, rtol=1e-5)
    got = streamed(as_keras(make()), eye[true], eye[guess])
    if wanted != "index":
        np.testing.assert_allclose(got, right, rtol=1e-5)
    if wanted == "index":
        got = streamed(as_keras(make()), true.astype("int32"), guess.astype("int32"))
        np.testing.assert_allclose(got, right, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        audio.ScaleInvariantSignalNoiseRatio,
        audio.SignalNoiseRatio,
        audio.ScaleInvariantSignalDistortionRatio,
    ],
)
def test_sound_has_its_channels_last(rng, make):
    for channels in (1, 2):
        true = rng.normal(size=(4, 50, channels)).astype("float32")
        noisy = true + 0.1 * rng.normal(size=true.shape).astype("float32")
        right = alone(make(), first(true), first(noisy))
        assert streamed(as_keras(make()), true, noisy) == pytest.approx(right, rel=1e-4)
        if channels == 1:
            flat = streamed(as_keras(make()), true[..., 0], noisy)
            assert flat == pytest.approx(right, rel=1e-4)


def test_speakers_are_in_the_last_axis(rng):
    true = rng.normal(size=(4, 50, 2)).astype("float32")
    mixed = true[..., ::-1] + 0.1 * rng.normal(size=true.shape).astype("float32")
    from torchmetrics.functional.audio import scale_invariant_signal_noise_ratio as snr

    make = lambda: audio.PermutationInvariantTraining(snr)  # noqa: E731 - one line
    right = alone(make(), first(true), first(mixed))
    assert right > 10
    assert streamed(as_keras(make()), true, mixed) == pytest.approx(right, rel=1e-4)


def test_panoptic_pairs_stay_in_the_last_axis(rng):
    true = rng.integers(0, 2, (4, 5, 6, 2)).astype("int32")
    guess = np.where(rng.random(true.shape) < 0.9, true, 0).astype("int32")
    make = lambda: PanopticQuality(things={0, 1}, stuffs=set())  # noqa: E731 - one line
    right = alone(make(), torch.tensor(true).long(), torch.tensor(guess).long())
    assert streamed(as_keras(make()), true, guess) == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_perplexity_is_of_tokens_whatever_their_dtype(rng, dtype):
    ids = rng.integers(0, 4, (6, 5))
    logits = rng.normal(size=(6, 5, 4)).astype("float32")
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    right = alone(text.Perplexity(), torch.tensor(ids), torch.tensor(logits))
    for scores, from_logits in ((logits, None), (logits, True), (shares, False)):
        metric = as_keras(text.Perplexity(), from_logits=from_logits)
        got = streamed(metric, ids.astype(dtype), scores)
        assert got == pytest.approx(right, rel=1e-4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (text.WordErrorRate, "takes strings"),
        (text.BLEUScore, "takes strings"),
        (image.SpatialDistortionIndex, "takes dictionaries"),
        (image.QualityWithNoReference, "takes dictionaries"),
    ],
)
def test_what_takes_no_arrays_is_refused_at_once(make, says):
    with pytest.raises(ArgumentError, match=says):
        as_keras(make())


@pytest.mark.parametrize(
    ("metric", "shape", "labels"),
    [
        (classification.MulticlassF1Score(4), (2, 4, 6, 5), (2, 6, 5)),
        (classification.MulticlassF1Score(4), (2, 4, 6, 4), (2, 6, 4)),
        (classification.MulticlassJaccardIndex(3), (2, 3, 7), (2, 7)),
        (classification.MultilabelF1Score(3), (2, 3, 7), (2, 3, 7)),
        (segmentation.DiceScore(4), (2, 4, 6, 5), (2, 4, 6, 5)),
    ],
)
def test_scores_with_classes_first_say_to_move_the_axis(metric, shape, labels):
    with pytest.raises(ArgumentError, match="Move the axis"):
        as_keras(metric).update_state(np.zeros(labels), np.full(shape, 0.5, "float32"))


def test_a_number_of_classes_that_differs_is_an_error():
    metric = as_keras(classification.MulticlassF1Score(4))
    with pytest.raises(ArgumentError, match="num_classes=4 scores in the last axis"):
        metric.update_state(np.zeros(6), np.full((6, 5), 0.2, "float32"))
    one = as_keras(segmentation.DiceScore(1))
    with pytest.raises(ArgumentError, match="at least 2 classes"):
        one.update_state(np.ones((2, 4, 4, 1)), np.full((2, 4, 4, 1), 0.2, "float32"))


def sure(rng, n=200):
    """Labels and logits; many logits lie in [0, 1]."""
    y = (rng.random(n) < 0.5).astype("float32")
    return y, (y + 0.8 * rng.normal(size=n)).astype("float32")[:, None]


def said(metric):
    """Return what a result warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        metric.result()
    return "".join(
        str(one.message) for one in caught if one.category is GuessedLogitsWarning
    )


@pytest.mark.parametrize("batch", [2, 7, 200])
def test_logits_that_are_said_to_be_logits_are_right_in_every_batch(rng, batch):
    y, logits = sure(rng)
    metric = as_keras(classification.BinaryAUROC(), from_logits=True)
    f1 = as_keras(classification.BinaryF1Score(), from_logits=True)
    for start in range(0, len(y), batch):
        for each in (metric, f1):
            each.update_state(y[start : start + batch], logits[start : start + batch])
    right = sk.roc_auc_score(y, logits[:, 0])
    assert float(metric.result()) == pytest.approx(right, rel=1e-5)
    right = sk.f1_score(y, logits[:, 0] > 0)
    assert float(f1.result()) == pytest.approx(right, rel=1e-5)
    again = type(metric).from_config(metric.get_config())
    assert again.from_logits is True


@pytest.mark.parametrize("classes", [3, 5])
def test_logits_of_classes_and_labels_are_made_probabilities(rng, classes):
    logits = 2 * rng.normal(size=(60, classes)).astype("float32")
    ids = (logits + rng.normal(size=logits.shape)).argmax(1)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    metric = as_keras(classification.MulticlassAUROC(classes), from_logits=True)
    right = sk.roc_auc_score(ids, shares, multi_class="ovr")
    assert streamed(metric, ids, logits) == pytest.approx(right, rel=1e-5)
    labels = (logits + rng.normal(size=logits.shape) > 0).astype("int32")
    metric = as_keras(classification.MultilabelF1Score(classes), from_logits=True)
    right = sk.f1_score(labels, logits > 0, average="macro")
    assert streamed(metric, labels, logits) == pytest.approx(right, rel=1e-5)


def test_a_guess_warns_once_and_probabilities_never(rng):
    y, logits = sure(rng)
    guessed = as_keras(classification.BinaryAUROC())
    guessed.update_state(y, logits)
    assert "from_logits=True" in said(guessed)
    guessed.update_state(y, logits)
    with warnings.catch_warnings():
        warnings.simplefilter("error", GuessedLogitsWarning)
        guessed.result()
        clean = as_keras(classification.BinaryAUROC())
        streamed(clean, y, 1 / (1 + np.exp(-logits)))
        largest = as_keras(classification.MulticlassAccuracy(2))
        streamed(largest, y, np.concatenate([-logits, logits], 1))


def test_logits_that_are_said_to_be_none_give_nan_and_a_warning(rng):
    y, logits = sure(rng)
    metric = as_keras(classification.BinaryAUROC(), from_logits=False)
    metric.update_state(y, logits)
    assert "outside of" in said(metric)
    assert np.isnan(float(metric.result()))
    metric.reset_state()
    near = np.array([[-1e-6], [1 + 1e-6], [0.2], [0.4]], "float32")
    metric.update_state(np.array([0, 1, 1, 0]), near)
    assert float(metric.result()) == pytest.approx(0.75)


def test_from_logits_is_of_metrics_that_classify():
    with pytest.raises(ArgumentError, match="from_logits="):
        as_keras(image.SpectralAngleMapper(), from_logits=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: classification.BinaryAUROC(ignore_index=-1),
        lambda: classification.BinaryF1Score(ignore_index=-1),
        lambda: classification.BinaryAveragePrecision(ignore_index=-1),
        lambda: classification.BinaryCalibrationError(ignore_index=-1),
    ],
)
def test_where_everything_is_ignored_the_number_is_no_error(make):
    metric = as_keras(make())
    metric.update_state(-np.ones(4, "int32"), np.full(4, 0.3, "float32"))
    value = float(metric.result())
    assert np.isnan(value) or value == 0.0
    metric.update_state(np.array([0, 1, 1]), np.array([0.2, 0.9, 0.4], "float32"))
    other = make()
    other.update(torch.tensor([0.2, 0.9, 0.4]), torch.tensor([0, 1, 1]))
    assert float(metric.result()) == pytest.approx(float(other.compute()), abs=1e-6)


# Unknown sizes ---------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    """Batches whose sequences have other lengths."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize("classes", [2, 4])
def test_sizes_that_tensorflow_does_not_know_while_it_traces(rng, classes):
    import multiback as mb

    batches = []
    for length in (5, 9, 7):
        ids = rng.integers(0, classes, (6, length))
        scores = rng.random((6, length, classes)).astype("float32")
        batches.append(((scores + np.eye(classes)[ids] / 2).astype("float32"), ids))
    task = {"task": "multiclass", "num_classes": classes}
    metrics = [
        as_keras(classification.MulticlassF1Score(classes), "torchmetrics"),
        sklearn.as_keras("f1_score", "labels", name="sklearn", average="macro"),
        mb.metrics.SamplewiseJaccardIndex(**task, name="samples"),
        mb.metrics.ExactMatch("multiclass", num_classes=classes, name="exact"),
    ]
    inputs = keras.Input((None, classes))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=metrics, jit_compile=False)
    found = model.evaluate(Batches(batches), verbose=0, return_dict=True)
    y = np.concatenate([ids.ravel() for _, ids in batches])
    guesses = [(ids, scores.argmax(-1)) for scores, ids in batches]
    p = np.concatenate([guess.ravel() for _, guess in guesses])
    right = sk.f1_score(y, p, average="macro")
    rows = [(a, b) for ids, guess in guesses for a, b in zip(ids, guess, strict=True)]
    assert found["torchmetrics"] == pytest.approx(right, rel=1e-5)
    assert found["sklearn"] == pytest.approx(right, rel=1e-5)
    exact = np.mean([(a == b).all() for a, b in rows])
    assert found["exact"] == pytest.approx(exact, abs=1e-6)
    samples = np.mean([sk.jaccard_score(a, b, average="macro") for a, b in rows])
    assert found["samples"] == pytest.approx(samples, rel=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only its tensors lose their rank")
def test_a_rank_that_is_unknown_is_read_when_the_batch_is_there(rng):
    import tensorflow as tf

    y, p = rng.integers(0, 2, 12), rng.random((12, 1)).astype("float32")
    metric = as_keras(classification.BinaryAccuracy())
    other = sklearn.as_keras("accuracy_score", "labels")

    @tf.function(input_signature=[tf.TensorSpec(None, tf.int64), tf.TensorSpec(None)])
    def update(labels, scores):
        metric.update_state(labels, scores)
        other.update_state(labels, scores)

    for each in (metric, other):
        each.update_state(y, p)
        each.reset_state()
    update(y, p)
    assert float(metric.result()) == pytest.approx(((p[:, 0] > 0.5) == y).mean())
    assert float(other.result()) == pytest.approx(((p[:, 0] > 0.5) == y).mean())
