"""Small models compiled as in Keras's guides and code examples.

Each function has the name of its guide's subject, and returns the model and the
arguments of `audit`. Data are few random numbers; nothing is trained.
"""

import keras
import numpy as np
from keras import layers, ops
from support.audited import planted
from support.audited.planted import early_stopping

K, L = keras.metrics, keras.losses
RNG = np.random.default_rng(7)
# Two batches of one shape: JAX compiles each operation for each shape.
ROWS = 64
BINARY, IDS, LABELS, ONE_HOT, X = (
    rows[:ROWS]
    for rows in (
        planted.BINARY,
        planted.IDS,
        planted.LABELS,
        planted.ONE_HOT,
        planted.X,
    )
)
IMAGES = RNG.random((ROWS, 4, 4, 1), "float32")
PIXELS = RNG.integers(0, 3, (ROWS, 4, 4))
STEPS = RNG.normal(size=(ROWS, 6, 1)).astype("float32")
TOKENS = RNG.integers(1, 9, (ROWS, 6)).astype("int32")
LENGTHS = np.arange(1, 7).repeat(11)[:ROWS]
PADDED = np.where(np.arange(6) < LENGTHS[:, None], TOKENS, 0)
CALLBACKS = {
    "callbacks": [
        keras.callbacks.EarlyStopping("val_loss", min_delta=1e-2, patience=2),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=20),
        keras.callbacks.ModelCheckpoint("best.keras", "val_loss", save_best_only=True),
    ]
}


def compiled(model, loss, metrics, y, x=X, **given):
    """Compile eagerly, so that models share what is compiled for an operation."""
    weighted = given.pop("weighted_metrics", None)
    model.compile(
        "sgd", loss, metrics=metrics, weighted_metrics=weighted, run_eagerly=True
    )
    return model, {"data": (x, y), **given}


def stack(shape, *stacked, dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stacked])


def tower():
    """An image's features: two of about 2."""
    convolution = layers.Conv2D(2, 2, activation="relu", kernel_initializer="ones")
    return convolution, layers.GlobalAveragePooling2D()


def logit(weight):
    """A score between the thresholds of a logit, 0, and of a probability, 0.5."""
    return layers.Dense(1, kernel_initializer=keras.initializers.Constant(weight))


def digits_with_a_convnet():
    model = stack((4, 4, 1), *tower(), layers.Dense(3, "softmax"))
    return compiled(model, "categorical_crossentropy", ["accuracy"], ONE_HOT, IMAGES)


def training_and_evaluation():
    model = stack((3,), layers.Dense(4, "relu"), layers.Dense(3, "softmax"))
    metrics = [K.SparseCategoricalAccuracy()]
    loss = L.SparseCategoricalCrossentropy()
    return compiled(model, loss, metrics, IDS, **CALLBACKS)


class RightOnes(K.Metric):
    """A count that a guide writes as its first custom metric."""

    def __init__(self, name="right_ones", **given):
        super().__init__(name=name, **given)
        self.count = self.add_variable((), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        found = ops.argmax(y_pred, axis=1)
        hits = ops.equal(ops.cast(y_true, "int32"), ops.cast(found, "int32"))
        hits = ops.cast(hits, "float32")
        if sample_weight is not None:
            hits = hits * ops.cast(sample_weight, "float32")
        self.count.assign_add(ops.sum(hits))

    def result(self):
        return self.count + 0.0


def a_metric_of_ones_own():
    model = stack((3,), layers.Dense(3, "softmax"))
    return compiled(model, "sparse_categorical_crossentropy", [RightOnes()], IDS)


def two_inputs_and_two_outputs():
    image = keras.Input((4, 4, 1), name="image")
    series = keras.Input((6, 1), name="series")
    features = layers.Concatenate()(
        [
            layers.GlobalMaxPooling2D()(layers.Conv2D(2, 2)(image)),
            layers.GlobalMaxPooling1D()(layers.Conv1D(2, 2)(series)),
        ]
    )
    score = layers.Dense(1, name="score")(features)
    kind = layers.Dense(3, name="kind")(features)
    model = keras.Model([image, series], [score, kind])
    losses = [L.MeanSquaredError(), L.CategoricalCrossentropy(from_logits=True)]
    errors = [K.MeanAbsolutePercentageError(), K.MeanAbsoluteError()]
    metrics = [errors, [K.CategoricalAccuracy()]]
    return compiled(model, losses, metrics, [X[:, :1], ONE_HOT], [IMAGES, STEPS])


def two_outputs_by_name():
    inputs = keras.Input((3,))
    outputs = {
        "priority": layers.Dense(1, "sigmoid", name="priority")(inputs),
        "department": layers.Dense(3, "softmax", name="department")(inputs),
    }
    losses = {
        "priority": "binary_crossentropy",
        "department": "categorical_crossentropy",
    }
    metrics = {"priority": ["accuracy"], "department": ["accuracy"]}
    y = {"priority": BINARY, "department": ONE_HOT}
    return compiled(keras.Model(inputs, outputs), losses, metrics, y)


def class_weights_for_weighted_metrics():
    model = stack((3,), layers.Dense(3, "softmax"))
    return compiled(
        model,
        "sparse_categorical_crossentropy",
        None,
        IDS,
        weighted_metrics=["sparse_categorical_accuracy"],
        class_weight={0: 1.0, 1: 1.0, 2: 2.0},
    )


def class_weights():
    model = stack((3,), layers.Dense(3, "softmax"))
    return compiled(
        model,
        "sparse_categorical_crossentropy",
        ["sparse_categorical_accuracy"],
        IDS,
        class_weight={0: 1.0, 1: 1.0, 2: 2.0},
    )


def imbalanced_with_class_weights():
    counts = [K.FalseNegatives, K.FalsePositives, K.TrueNegatives, K.TruePositives]
    named = zip(counts, ("fn", "fp", "tn", "tp"), strict=True)
    metrics = [kind(name=name) for kind, name in named]
    metrics += [K.Precision(name="precision"), K.Recall(name="recall")]
    model = stack((3,), layers.Dense(1, "sigmoid"))
    weights = {"class_weight": {0: 0.2, 1: 0.8}}
    return compiled(model, "binary_crossentropy", metrics, BINARY, **weights)


def masking_and_padding():
    model = stack(
        (6,),
        layers.Embedding(9, 2, mask_zero=True),
        layers.GlobalAveragePooling1D(),  # It reads the mask, as an LSTM does.
        layers.Dense(1, "sigmoid"),
        dtype="int32",
    )
    return compiled(model, "binary_crossentropy", ["accuracy"], BINARY, PADDED)


def a_train_step_of_ones_own():
    class Own(keras.Model):
        def train_step(self, *given, **named):
            return super().train_step(*given, **named)

    inputs = keras.Input((3,))
    model = Own(inputs, layers.Dense(1)(inputs))
    return compiled(model, "mse", ["mae"], X[:, :1])


def transfer_learning():
    base = stack((4, 4, 1), *tower())
    base.trainable = False
    inputs = keras.Input((4, 4, 1))
    scores = logit(0.1)(base(inputs, training=False))
    model = keras.Model(inputs, scores)
    loss = L.BinaryCrossentropy(from_logits=True)
    return compiled(model, loss, [K.BinaryAccuracy()], BINARY, IMAGES)


def images_from_scratch():
    model = stack((4, 4, 1), layers.Rescaling(2.0), *tower(), logit(0.05))
    loss = L.BinaryCrossentropy(from_logits=True)
    return compiled(model, loss, [K.BinaryAccuracy(name="acc")], BINARY, IMAGES)


def text_from_scratch():
    model = stack(
        (6,),
        layers.Embedding(9, 2),
        layers.Conv1D(2, 3, activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(1, "sigmoid", name="predictions"),
        dtype="int32",
    )
    return compiled(model, "binary_crossentropy", ["accuracy"], BINARY, TOKENS)


def series_classification():
    model = stack(
        (6, 1),
        layers.Conv1D(2, 3, padding="same"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(3, "softmax"),
    )
    metrics = ["sparse_categorical_accuracy"]
    loss = "sparse_categorical_crossentropy"
    return compiled(model, loss, metrics, IDS, STEPS, **CALLBACKS)


def series_forecast():
    model = stack((6, 1), layers.SimpleRNN(2), layers.Dense(1))
    return compiled(model, "mse", ["mae"], STEPS[:, 0], STEPS)


def segmentation():
    model = stack(
        (4, 4, 1),
        layers.Conv2D(2, 3, padding="same"),
        layers.Conv2D(3, 3, activation="softmax", padding="same"),
    )
    metrics = [K.MeanIoU(3, sparse_y_pred=False)]
    return compiled(model, "sparse_categorical_crossentropy", metrics, PIXELS, IMAGES)


def segmentation_from_logits():
    model = stack((4, 4, 1), layers.Conv2D(3, 3, padding="same"))
    loss = L.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(model, loss, ["accuracy"], PIXELS[..., None], IMAGES)


def several_labels_at_once():
    model = stack((3,), layers.Dense(3, "sigmoid"))
    return compiled(model, "binary_crossentropy", ["binary_accuracy"], LABELS)


def autoencoder():
    model = stack(
        (4, 4, 1),
        layers.Conv2D(2, 3, activation="relu", padding="same"),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    )
    return compiled(model, "binary_crossentropy", ["mse"], IMAGES, IMAGES)


def sequence_to_sequence():
    # One recurrent step of the cheapest kind stands for an LSTM's many.
    recurrent = layers.SimpleRNN(2, return_sequences=True)
    model = stack((6, 1), recurrent, layers.Dense(3, "softmax"))
    y = np.eye(3, dtype="float32")[TOKENS % 3]
    return compiled(model, "categorical_crossentropy", ["accuracy"], y, STEPS)


def tables():
    model = stack((3,), layers.Normalization(), layers.Dense(1))
    y = X @ np.array([1.0, -2.0, 0.5], "float32")
    return compiled(model, "mse", ["mae"], y, **early_stopping("val_mae"))


def distillation_and_transformers():
    model = stack((3,), layers.Dense(3))
    metrics = [
        K.SparseCategoricalAccuracy(name="accuracy"),
        K.SparseTopKCategoricalAccuracy(2, name="top-2-accuracy"),
    ]
    loss = L.SparseCategoricalCrossentropy(from_logits=True)
    given = early_stopping("val_accuracy", mode="max")
    return compiled(model, loss, metrics, IDS, **given)


GUIDES = (
    digits_with_a_convnet,
    training_and_evaluation,
    a_metric_of_ones_own,
    two_inputs_and_two_outputs,
    two_outputs_by_name,
    class_weights_for_weighted_metrics,
    class_weights,
    imbalanced_with_class_weights,
    masking_and_padding,
    a_train_step_of_ones_own,
    transfer_learning,
    images_from_scratch,
    text_from_scratch,
    series_classification,
    series_forecast,
    segmentation,
    segmentation_from_logits,
    several_labels_at_once,
    autoencoder,
    sequence_to_sequence,
    tables,
    distillation_and_transformers,
)
