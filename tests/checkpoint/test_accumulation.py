import keras
import numpy as np

import multiback as mb


def test_gradients_may_be_accumulated_over_steps(tmp_path):
    """Keras then computes `iterations`, which is no variable any more."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.01, gradient_accumulation_steps=2)
    model.compile(optimizer, "mse")
    x = np.ones((8, 2), "float32")
    callback = mb.ModelCheckpoint(tmp_path, "loss")
    model.fit(x, x[:, :1], batch_size=2, epochs=2, verbose=0, callbacks=[callback])
    assert callback.best_model_path
    mb.load_best(tmp_path).fit(x, x[:, :1], verbose=0)
