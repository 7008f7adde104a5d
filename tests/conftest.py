"""Settings for every test; one process tests one backend."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

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
