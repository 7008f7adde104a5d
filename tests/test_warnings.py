"""Warnings have a class of ours, few words, and the user's line."""

import ast
import inspect
import sys
import types
import warnings
from pathlib import Path

import pytest

import multiback
from multiback import errors
from multiback.errors import CheckpointWarning, MultibackWarning
from multiback.warn import warn

HERE = Path(multiback.__file__).parent
FILES = [
    *HERE.rglob("*.py"),
    *Path(__import__("multiback.adapters").adapters.__file__).parent.rglob("*.py"),
]
TREES = {path: ast.parse(path.read_text()) for path in FILES}
CATEGORIES = {
    name
    for name, one in vars(errors).items()
    if inspect.isclass(one) and issubclass(one, MultibackWarning)
}


def calls(name):
    """Return every call of a function or method of this name in the source."""
    return [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))
    ]


def literal(node):
    """Return the words of a text, without what is filled in."""
    constants = [one for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return "".join(one.value for one in constants if isinstance(one.value, str))


def test_nothing_warns_but_through_the_one_function_that_finds_the_users_line():
    found = {path.name for path, node in calls("warn_explicit")}
    assert found == {"warn.py"}
    for path, node in calls("warn"):
        assert getattr(node.func, "id", None) == "warn", f"{path}:{node.lineno}"
    assert len(calls("warn")) > 8
    assert len(CATEGORIES) > 4


def test_each_warning_has_a_class_of_ours_and_few_words():
    for path, node in calls("warn"):
        where = f"{path}:{node.lineno}"
        text, category = node.args
        assert category.id in CATEGORIES, where
        assert len(literal(text)) <= 200, where


def as_module(name, code, **names):
    """Run code as a module of this name would."""
    module = types.ModuleType(name)
    vars(module).update(names)
    exec(compile(code, f"/lib/{name}.py", "exec"), vars(module))  # noqa: S102 - as a library
    return module


@pytest.mark.parametrize("depth", [0, 3])
@pytest.mark.parametrize("library", ["keras.src.trainer", "lightning.pytorch.loops"])
def test_a_warning_points_at_the_users_line(library, depth):
    ours = as_module(
        "multiback.checkpoint.x",
        "def step(): warn('The disk is slow.', CheckpointWarning)",
        warn=warn,
        CheckpointWarning=CheckpointWarning,
    )
    call = ours.step
    for _ in range(depth):
        call = as_module(library, "def fit(): call()", call=call).fit
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call()
        line = sys._getframe().f_lineno - 1
    [one] = told
    assert (one.filename, one.lineno) == (__file__, line)
    assert one.category is CheckpointWarning


def test_a_warning_of_a_thread_of_ours_does_not_fail():
    ours = as_module(
        "multiback.store.x",
        "import threading\n"
        "def step():\n"
        "    t = threading.Thread(target=lambda: warn('x', C)); t.start(); t.join()",
        warn=warn,
        C=CheckpointWarning,
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ours.step()
    assert [str(one.message) for one in told] == ["x"]


def test_a_warning_is_said_once_a_line():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            warn("x", CheckpointWarning)
    assert len(told) == 1
