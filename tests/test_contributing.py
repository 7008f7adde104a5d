"""A metric is added by the steps of CONTRIBUTING.md: four files change by hand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("adapters", "multiback", "tests")
CLASS = '''"""A metric that a test adds to a copy of the tree."""

from typing import ClassVar

import keras

from multiback.metrics.base.count_metric import RatioMetric
from multiback.metrics.inputs.task import Task


@keras.saving.register_keras_serializable("multiback")
class ToyRate(RatioMetric):
    """False discovery rate: `fp / (fp + tp)`."""

    direction: ClassVar = "min"

    def __init__(
        self,
        task=None,
        *,
        num_classes=None,
        num_labels=None,
        average="macro",
        classes=None,
        threshold=0.5,
        from_logits=False,
        ignore_index=None,
        zero_division=0.0,
        name="toy_rate",
        dtype=None,
    ):
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        super().__init__(
            record, average=average, zero_division=zero_division, name=name, dtype=dtype
        )

    def fraction(self, table):
        return table.fp, table.fp + table.tp
'''
TOY = "multiback/metrics/classification/toy_rate.py"
EXPORT = "from multiback.metrics.classification.toy_rate import ToyRate\n"
# By file: what a person inserts, and behind which line.
INSERTED = {
    "multiback/metrics/__init__.py": (
        ("from multiback.metrics.base.metric import Metric\n", EXPORT),
        ('    "Sum",\n', '    "ToyRate",\n'),
    ),
    "adapters/torchmetrics/translation/table.py": (
        (
            "METRICS: dict[str, Row] = {\n",
            '    "ToyRate": Row(sklearn=Score("precision_score", inverted=True)),\n',
        ),
    ),
    "tests/support/oracles.py": (
        ("RATES = {\n", '    "ToyRate": lambda tp, fp, _tn, _fn: (fp, fp + tp),\n'),
    ),
}
# The command of the last step, and tests; in one process, which imports Keras once.
WRITE_AND_TEST = """
import runpy, sys, pytest
runpy.run_module("support.oracles", run_name="__main__")
sys.exit(pytest.main(sys.argv[1:]))
"""
CATALOGUE = "tests/metrics/test_whole_catalogue.py"
TABLE = "tests/adapters/test_equivalents.py"
CHECKS = (
    "tests/metrics/test_ratios.py::TestToyRate",
    f"{CATALOGUE}::test_the_stored_values_are_those_of_the_oracle",
    f"{CATALOGUE}::test_every_metric_goes_through_the_contract",
    f"{TABLE}::test_the_table_covers_every_metric_of_multiback",
)


@pytest.fixture
def copy(tmp_path):
    """Copy what the steps touch, laid out as it is installed."""
    plain = shutil.ignore_patterns("__pycache__")
    # A link in a checkout may lead to the adapters.
    ours = shutil.ignore_patterns("__pycache__", "adapters")
    for folder, skip in (("adapters", plain), ("multiback", ours), ("tests", plain)):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "multiback" / "adapters").symlink_to(tmp_path / "adapters")
    return tmp_path


def steps(heading):
    """Return the first path that each step below a heading of CONTRIBUTING names."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    numbered = re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]
    texts = [step.split("\n\n")[0] for step in numbered]  # The last has more behind it.
    return [re.findall(r"`(\w+/[\w./]*)`", text)[:1] for text in texts]


def contents(root):
    """Return the bytes of every file by its path; no link is followed."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and (root / "multiback" / "adapters") not in path.parents
    }


def changed(before, after):
    return {path for path in after if before.get(path) != after[path]}


def insert(path, behind, line):
    text = path.read_text()
    assert text.count(behind) == 1, behind
    path.write_text(text.replace(behind, behind + line))


def run(copy, program, *arguments):
    here = (str(copy), str(copy / "tests"), os.environ.get("PYTHONPATH", ""))
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(here)},
        timeout=500,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_steps_name_the_files_that_the_toy_changes():
    (first,), *others = [place for place in steps("Add a metric") if place]
    assert TOY.startswith(first)
    assert [place for (place,) in others] == list(INSERTED)


@pytest.mark.parametrize("what", ["metric", "slot", "store", "logger"])
def test_each_guide_has_five_steps(what):
    assert len(steps(f"Add a {what}")) == 5


def test_a_metric_takes_four_files_and_passes_its_contract(copy):
    before = contents(copy)
    (copy / TOY).write_text(CLASS)
    for path, lines in INSERTED.items():
        for behind, line in lines:
            insert(copy / path, behind, line)
    by_hand = changed(before, contents(copy))
    assert by_hand == {TOY, *INSERTED}
    assert len(by_hand) == 4
    chosen = ("-k", "not TestToyRate or weighted or binary")
    said = run(copy, WRITE_AND_TEST, "-q", "-p", "no:cacheprovider", *CHECKS, *chosen)
    written = changed(before, contents(copy)) - by_hand
    assert written == {"tests/metrics/stored_values.json"}
    assert int(re.search(r"(\d+) passed", said)[1]) > 20
