"""Fine-tuning in two phases: the head alone, then the whole net, slower.

python two_phases.py
"""

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import multiback as mb

keras.utils.set_random_seed(1)
x, y = load_digits(return_X_y=True)
x, xv, y, yv = train_test_split(x / 16, y, test_size=0.4, random_state=0)

base = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, "relu")])
base.trainable = False
model = keras.Sequential([keras.Input((64,)), base, keras.layers.Dense(10, "softmax")])


def compiled(rate):
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=[mb.metrics.F1Score(task="multiclass", num_classes=10)],
    )


compiled(0.01)
head = mb.ModelCheckpoint("runs/phases", monitor="val_f1_score")
model.fit(x, y, validation_data=(xv, yv), epochs=3, callbacks=[head], verbose=0)

base.trainable = True
compiled(0.001)
whole = mb.ModelCheckpoint(
    "runs/phases",
    monitor="val_f1_score",
    resume=head.best_model_path,  # Weights, epoch and history of the first phase,
    resume_optimizer=False,  # but not its optimizer: more layers are trained now.
)
model.fit(x, y, validation_data=(xv, yv), epochs=6, callbacks=[whole], verbose=0)

print("the head alone:  ", head.best_model_score)
print("the whole network:", whole.best_model_score)
best = mb.load_best("runs/phases", run="all")  # Of both phases.
again = best.evaluate(xv, yv, verbose=0, return_dict=True)
assert whole.best_model_score > head.best_model_score
assert abs(again["f1_score"] - whole.best_model_score) < 1e-6
