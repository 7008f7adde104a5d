"""One model with two outputs, each with a metric and a best of its own.

python two_outputs.py
"""

import keras
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

import multiback as mb

keras.utils.set_random_seed(1)
x, progression = load_diabetes(return_X_y=True)
x, grows = scale(x).astype("float32"), (progression > 200).astype("int32")
progression = scale(progression).astype("float32")
y = {"grows": grows[:300], "amount": progression[:300]}
yv = {"grows": grows[300:], "amount": progression[300:]}

inputs = keras.Input((10,))
hidden = keras.layers.Dense(16, "relu")(inputs)
model = keras.Model(
    inputs,
    {
        "grows": keras.layers.Dense(1, "sigmoid")(hidden),
        "amount": keras.layers.Dense(1)(hidden),
    },
)
model.compile(
    "adam",
    {"grows": "binary_crossentropy", "amount": "mse"},
    metrics={"grows": [mb.metrics.F1Score()], "amount": [mb.metrics.R2Score()]},
)
ckpt = mb.ModelCheckpoint(
    "runs/two",
    keep=[mb.Best("val_grows_f1_score"), mb.Best("val_amount_r2_score")],
)
history = model.fit(
    x[:300], y, validation_data=(x[300:], yv), epochs=6, callbacks=[ckpt], verbose=0
)

for name in ("val_grows_f1_score", "val_amount_r2_score"):
    best = mb.load_best("runs/two", monitor=name)
    again = best.evaluate(x[300:], yv, verbose=0, return_dict=True)
    score = again[name.removeprefix("val_")]
    print(f"best {name}: {score}")
    assert abs(score - max(history.history[name])) < 1e-5
