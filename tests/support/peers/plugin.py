"""A pytest plugin: each call of scikit-learn's functions is answered by ours as well.

Use: `pytest -p support.peers.plugin --pyargs sklearn.metrics.tests.test_common`, with
MULTIBACK_PEERS naming a JSON file for the counts.
"""

import functools
import inspect
import json
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import sklearn.metrics
from support.peers.answers import ANSWERS, ASKED
from support.peers.conventions import UNNAMED, Difference, convention
from support.peers.inputs import NotApplicableError

from multiback.errors import ArgumentError

TOLERANCE = {"rtol": 4e-6, "atol": 4e-6, "equal_nan": True}


class Judge:
    """Counts how calls ended, by function."""

    def __init__(self):
        self.counts = Counter()
        self.examples = {}  # Differences that no convention explains.
        self.test = ""
        self.inside = False  # scikit-learn's functions call each other.

    def note(self, name, verdict, reason="", example=""):
        self.counts[name, verdict, reason] += 1
        if reason == UNNAMED:
            shown = f"{self.test}: {example}"[:1000]
            self.examples.setdefault(name, []).append(shown)


judge = Judge()


def same(ours, theirs):
    """Return whether two answers are one, within float32."""
    if isinstance(theirs, tuple):
        return all(
            same(a, b)
            for a, b in zip(ours, theirs, strict=False)
            if a is not None and b is not None
        )
    theirs, ours = np.asarray(theirs, "float64"), np.asarray(ours, "float64")
    return theirs.shape == ours.shape and np.allclose(ours, theirs, **TOLERANCE)


def compare(name, original, given, theirs):
    """Judge one call."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if name in ASKED:
                theirs = original(**given | ASKED[name])
            ours = ANSWERS[name](given)
    except NotApplicableError as reason:
        judge.note(name, "not applicable", str(reason))
        return
    except (ArgumentError, ValueError, TypeError, KeyError, IndexError) as error:
        judge.note(name, "differs", UNNAMED, repr(error))
        return
    if same(ours, theirs):
        judge.note(name, "agrees")
        return

    def agrees(**changed):
        return same(ours, original(**given | changed))

    reason = convention(Difference(name, given, theirs, ours, agrees))
    judge.note(name, "differs", reason, f"{ours!r} for {theirs!r} of {given!r}")


def replaced(name, original):
    """Return a function that asks both."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def both(*args, **kwargs):
        theirs = original(*args, **kwargs)
        if judge.inside:
            return theirs
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        judge.inside = True
        try:
            compare(name, original, dict(bound.arguments), theirs)
        finally:
            judge.inside = False
        return theirs

    return both


def without_answer(name, original):
    """Return a function that is counted as not applicable."""

    @functools.wraps(original)
    def counted(*args, **kwargs):
        value = original(*args, **kwargs)
        if not judge.inside:
            judge.note(name, "not applicable", "no answer is written")
        return value

    return counted


def pytest_configure():
    """Put ours beside scikit-learn's, before its tests import them.

    Its own modules keep the originals.
    """
    for name in sklearn.metrics.__all__:
        original = getattr(sklearn.metrics, name)
        parts = ("_classification", "_ranking", "_regression")
        if not inspect.isfunction(original) or not original.__module__.endswith(parts):
            continue
        make = replaced if name in ANSWERS else without_answer
        setattr(sklearn.metrics, name, make(name, original))


def pytest_runtest_setup(item):
    judge.test = item.name


def pytest_sessionfinish():
    """Write the counts."""
    counts = [[*key, count] for key, count in sorted(judge.counts.items())]
    out = os.environ.get("MULTIBACK_PEERS")
    if out:
        text = {"counts": counts, "examples": judge.examples}
        Path(out).write_text(json.dumps(text, indent=1))
