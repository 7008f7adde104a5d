"""The global random generators, which Keras does not save.

Python's and NumPy's always; torch's if torch was imported, because its data loaders
shuffle under every backend; Keras's own if any code draws without a seed.
"""

import random
import sys
from collections.abc import Mapping

import numpy as np

from multiback.keras_private import global_seed_state


def generator_states() -> dict[str, np.ndarray]:
    """Copy the state of each global generator, as arrays by name."""
    _, python, python_next = random.getstate()
    _, numpy, position, has_next, numpy_next = np.random.get_state()  # noqa: NPY002 - the global one
    states = {
        "python": np.array(python, "uint32"),
        "python/next": np.array(np.nan if python_next is None else python_next),
        "numpy": np.array(numpy, "uint32"),
        "numpy/next": np.array([position, has_next, numpy_next], "float64"),
    }
    keras_state = global_seed_state()
    if keras_state is not None:
        states["keras"] = np.array(keras_state.numpy())
    if "torch" in sys.modules:
        from multiback.checkpoint.fit.torch import torch_generators  # noqa: PLC0415 - optional

        states |= torch_generators()
    return states


def restore_generators(states: Mapping[str, np.ndarray]) -> None:
    """Restore the states; a generator that was not saved stays as it is."""
    if "keras" in states:
        # First: creating it draws from Python's generator.
        state = global_seed_state(create=True)
        state.assign(np.array(states["keras"]).astype(str(state.dtype)))
    if "python" in states:
        following = float(states["python/next"])
        python = tuple(int(word) for word in states["python"])
        random.setstate((3, python, None if np.isnan(following) else following))
    if "numpy" in states:
        position, has_next, numpy_next = states["numpy/next"].tolist()
        words = np.array(states["numpy"])
        np.random.set_state(  # noqa: NPY002 - the global one
            ("MT19937", words, int(position), int(has_next), numpy_next)
        )
    if "torch" in states and "torch" in sys.modules:
        from multiback.checkpoint.fit.torch import restore_torch_generators  # noqa: PLC0415 - optional

        restore_torch_generators(dict(states))
