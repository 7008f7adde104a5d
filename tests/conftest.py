"""Settings for every test; one process tests one backend, or what needs no Keras."""

import collections
import contextlib
import functools
import gc
import json
import os
import sys
import zlib
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
# Child processes find `support` too.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
).rstrip(os.pathsep)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

# How long a test takes says how busy the machine is. `nox -s docs` has no hypothesis.
with contextlib.suppress(ImportError):
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "busy",
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
        ],
    )
    settings.load_profile("busy")

if os.environ["KERAS_BACKEND"] == "jax":
    # A tenth of the time of a small function, and most of the memory of thousands. JAX
    # may be hidden, or have another way.
    with contextlib.suppress(ImportError, AttributeError):
        from jax._src.interpreters import mlir

        mlir.make_ir_context = functools.cache(mlir.make_ir_context)

# A test with fewer cases keeps each.
MANY = 4


def pytest_generate_tests(metafunc):
    """Give a contract's tests the cases that its subclass lists."""
    cases = getattr(metafunc.cls, "cases", None)
    if "arguments" in metafunc.fixturenames and cases is not None:
        metafunc.parametrize("arguments", cases.values(), ids=cases.keys())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Take one in so many of a test's cases, where the session asks for it.

    A backend may compute an operation in another way, and many cases have the same
    operations. Which cases are taken depends on the backend and on the file or class.
    """
    one_in = int(os.environ.get("MULTIBACK_ONE_CASE_IN", "1"))
    tests = collections.defaultdict(list)
    for item in items:
        tests[item.parent.nodeid, item.originalname].append(item)
    left_out = set()
    for (place, _), cases in tests.items():
        if len(cases) >= MANY and not cases[0].get_closest_marker("every_case"):
            first = zlib.crc32(f"{os.environ['KERAS_BACKEND']} {place}".encode())
            first %= min(one_in, len(cases))
            left_out.update(set(cases) - set(cases[first::one_in]))
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """Let the collector pass over what is imported.

    That is half a million objects, a full pass over them takes a quarter of a second,
    and tests cause one after the other.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Let the collector pass over the models and graphs that a file's tests left."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture
def rng():
    return np.random.default_rng(20261122)


class Result:
    """What a command did."""

    def __init__(self, code, captured):
        self.code, self.out, self.err = code, captured.out, captured.err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command as the shell would, 80 columns wide by default."""

    def run(*arguments, width=80):
        from multiback.cli import main

        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(sys, "argv", ["multiback", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        result = Result(code, capsys.readouterr())
        assert "Traceback" not in result.err
        return result

    return run
