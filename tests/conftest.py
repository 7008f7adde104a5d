"""Settings for every test; one process tests one backend, or what needs no Keras."""

import importlib.util
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if importlib.util.find_spec("keras") is None:
    # What the command is called: `multiback` loads nothing that needs Keras then.
    sys.argv[0] = "multiback"

import numpy as np
import pytest


def pytest_generate_tests(metafunc):
    """Give a contract's tests the cases that its subclass lists."""
    cases = getattr(metafunc.cls, "cases", None)
    if "arguments" in metafunc.fixturenames and cases is not None:
        metafunc.parametrize("arguments", cases.values(), ids=cases.keys())


@pytest.fixture
def rng():
    return np.random.default_rng(20261122)
