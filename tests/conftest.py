"""Settings for every test; one process tests one backend, or what needs no Keras."""

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

# A class with so many cases tests each of them under every backend.
FEW = 4


def pytest_generate_tests(metafunc):
    """Give a contract's tests the cases that its subclass lists."""
    cases = getattr(metafunc.cls, "cases", None)
    if "arguments" in metafunc.fixturenames and cases is not None:
        cases = to_compile(cases, metafunc.cls.__name__)
        metafunc.parametrize("arguments", cases.values(), ids=cases.keys())


def to_compile(cases, owner):
    """Leave out cases where each of them is compiled, but for one in three.

    A backend may compute an operation in another way, and many cases have the same
    operations. PyTorch, which compiles nothing, takes all; so does each backend in the
    sessions `floor` and `newest`. Which ones are left depends on the class.
    """
    compiled = os.environ["KERAS_BACKEND"] != "torch"
    if not compiled or len(cases) <= FEW or os.environ.get("MULTIBACK_ALL_CASES"):
        return cases
    first = zlib.crc32(owner.encode()) % 3
    return dict(list(cases.items())[first::3])


def pytest_collection_finish():
    """Let the collector pass over what is imported.

    That is half a million objects, a full pass over them takes a quarter of a second,
    and tests cause one after the other.
    """
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
