"""What `import multiback` loads, registers with Keras and says of a missing backend."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys

import keras
import pytest

import multiback as mb
from multiback.keras_import import _KerasFinder


def run(code, *arguments, **env):
    """Run code in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, **env},
        timeout=300,
    )


def imported_by(code, **env):
    """Return the top-level modules that some code loads."""
    report = "import sys; print(*{m.split('.')[0] for m in sys.modules})"
    result = run(f"{code}\n{report}", **env)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.splitlines()[-1].split())


OPTIONAL = {"jax", "lightning", "sklearn", "tensorflow", "torch", "torchmetrics"}


@pytest.mark.parametrize("program", ["multiback", "train.py", "-c"])
def test_import_multiback_loads_neither_keras_nor_numpy_whatever_runs(program):
    loaded = imported_by(f"import sys; sys.argv[0] = {program!r}; import multiback")
    assert not loaded & {*OPTIONAL, "keras", "numpy"}


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_the_public_names_load_no_library_that_keras_did_not_load(backend):
    code = (
        "import keras, sys\n"
        f"names = {sorted(OPTIONAL)}\n"
        "for _ in range(2):\n"
        "    print([name for name in names if name in sys.modules])\n"
        "    from multiback import *\n"
    )
    result = run(code, KERAS_BACKEND=backend, MULTIBACK_TEST_HIDDEN="")
    alone, with_ours = result.stdout.splitlines()
    assert backend in alone
    assert with_ours == alone


def test_the_import_check_can_fail():
    assert "sklearn" in imported_by("import multiback, sklearn")


def test_keras_is_found_where_multiback_was_imported_twice(monkeypatch):
    finders = [_KerasFinder(), _KerasFinder()]
    monkeypatch.setattr(sys, "meta_path", [*finders, *sys.meta_path])
    for finder in finders:
        assert finder.find_spec("keras", None).name == "keras"


ORDERS = {
    "ours first": "import multiback, keras",
    "keras first": "import keras, multiback",
    # Other code asks whether Keras is installed, and a thread imports it.
    "a module of ours first": """
import importlib.util, threading
from multiback.checkpoint import Best
assert importlib.util.find_spec("keras")
def load():
    import keras
thread = threading.Thread(target=load)
thread.start()
thread.join()
import keras
""",
}
LOAD = """
import sys, inspect
assert inspect.getsource(keras)
assert keras.__loader__ is keras.__spec__.loader
for one in (keras.__loader__, *sys.meta_path):
    assert "multiback" not in type(one).__module__
model = keras.saving.load_model(sys.argv[1])
print([type(m).__module__ for m in model._compile_metrics._user_metrics])
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "m.keras"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[mb.metrics.F1Score()])
    model.save(path)
    return path


@pytest.mark.parametrize("order", ORDERS)
def test_a_saved_model_with_our_metric_loads_after_either_import_order(saved, order):
    result = run(ORDERS[order] + LOAD, saved)
    assert result.returncode == 0, result.stderr
    assert "multiback.metrics.classification.f_score" in result.stdout


def test_that_check_can_fail(saved):
    result = run("import keras" + LOAD, saved)
    assert "Could not locate class 'F1Score'" in result.stderr


HIDDEN = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
MISSING = {
    "import multiback as mb; mb.ModelCheckpoint": ["torch"],
    "from multiback.metrics import F1Score": [],
    "import multiback, keras": ["torch"],
    "from multiback.cli import main; import sys; sys.argv[1:] = ['demo']; main()": [],
}


@pytest.mark.parametrize("code", MISSING)
def test_a_missing_backend_is_one_sentence_that_says_what_to_type(code):
    hidden = {"jax", "tensorflow", "torch", *HIDDEN} - set(MISSING[code])
    env = {"MULTIBACK_TEST_HIDDEN": ",".join(hidden), "KERAS_BACKEND": "tensorflow"}
    lines = run(code, **env).stderr.splitlines()
    assert "MissingPackageError: Keras is set by KERAS_BACKEND to 'te" in lines[-1]
    assert 'type pip install "multiback[tensorflow]"' in lines[-1].lower()
    assert ("Set KERAS_BACKEND=torch" in lines[-1]) == bool(MISSING[code])
    assert len(lines) <= (1 if "cli" in code else 25)


@pytest.mark.parametrize("backend", ["", "nonsense"])
def test_a_backend_that_is_set_elsewhere_or_is_unknown_is_named(backend, tmp_path):
    hidden = {"jax", "tensorflow", "openvino", *HIDDEN} - {"torch"}
    env = {"MULTIBACK_TEST_HIDDEN": ",".join(hidden), "KERAS_BACKEND": backend}
    result = run("import multiback.metrics", KERAS_HOME=str(tmp_path), **env)
    last = result.stderr.splitlines()[-1]
    if backend:
        assert f"KERAS_BACKEND is '{backend}', and multiback wants one of jax" in last
    else:
        assert "Keras is set by keras.json, or by default, to 'tensorflow'" in last
    assert "installed: torch" in last


@pytest.mark.skipif(
    "MULTIBACK_TEST_INSTALLED" not in os.environ,
    reason="nox sets it where the wheel is installed",
)
def test_the_version_is_that_of_the_package():
    assert mb.__version__ == importlib.metadata.version("multiback")


def test_python_m_multiback_is_the_command():
    child = [sys.executable, "-m", "multiback", "--version"]
    result = subprocess.run(
        child, capture_output=True, text=True, check=True, timeout=300
    )
    assert result.stdout.strip() == f"multiback {mb.__version__}"
