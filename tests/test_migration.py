"""docs/migration.md has a row for each argument of what people come from."""

import inspect
import re
from pathlib import Path

import keras
import pytest

import multiback as mb

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text()

# `inspect.signature` of Lightning 2.6.6's ModelCheckpoint; CI has no Lightning.
LIGHTNING = """
    dirpath filename monitor verbose save_last save_top_k save_on_exception
    save_weights_only mode auto_insert_metric_name every_n_train_steps
    train_time_interval every_n_epochs save_on_train_epoch_end enable_version_counter
"""


def rows(heading):
    """Return the first and the second cells of the tables under a heading."""
    _, _, rest = PAGE.partition(f"## From `{heading}`")
    section = rest.partition("\n## ")[0]
    cells = [line.split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [(row[0], row[1]) for row in cells[2:]]


def arguments_of(kind):
    """Return the names of a class's arguments."""
    return [name for name in inspect.signature(kind).parameters if name != "self"]


def names(cell):
    """Return the words inside a cell's code."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", cell))))


@pytest.mark.parametrize(
    "argument",
    arguments_of(keras.callbacks.ModelCheckpoint)
    + arguments_of(keras.callbacks.BackupAndRestore),
)
def test_each_argument_of_keras_has_its_row(argument):
    found = rows("keras.callbacks.ModelCheckpoint")
    assert any(argument in names(theirs) for theirs, _ in found)


@pytest.mark.parametrize("argument", LIGHTNING.split())
def test_each_argument_of_lightning_has_its_row(argument):
    found = rows("lightning.pytorch.callbacks.ModelCheckpoint")
    assert any(argument in names(theirs) for theirs, _ in found)


def test_what_the_page_says_to_write_is_there():
    known = {*arguments_of(mb.ModelCheckpoint), *arguments_of(mb.Monitor), *mb.__all__}
    known |= {*arguments_of(mb.restore), *arguments_of(mb.load_best)}
    known |= {name for name in dir(mb.ModelCheckpoint) if not name.startswith("_")}
    sections = ("keras.callbacks.ModelCheckpoint",)
    sections += ("lightning.pytorch.callbacks.ModelCheckpoint",)
    for _, ours in [row for each in sections for row in rows(each)]:
        arguments = re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", ours))
        called = re.findall(r"(?:multiback\.|^`)(\w+)\(", ours)
        assert set(arguments + called) <= known, ours


def test_each_row_of_lightnings_own_tests_names_a_test_of_ours():
    here = Path(__file__).parent
    page = (here.parent / "docs" / "lightning.md").read_text()
    files = (here / "integrations").glob("test_lightning*.py")
    ours = {
        name
        for file in files
        for name in re.findall(r"^def test_(\w+)\(", file.read_text(), re.MULTILINE)
    }
    table = [line.split(" | ") for line in page.splitlines() if line.startswith("|")]
    for _, here_or_not, why, shown in table[2:]:
        assert here_or_not == "same" or (here_or_not == "different" and why), shown
        named = names(shown)
        assert named, why
        assert named <= ours, named - ours
