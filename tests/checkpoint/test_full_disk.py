"""A disk that is really full, after any number of pages of what `fit` saves on it.

MULTIBACK_PAGES is by how many more pages there are each time; a torture session tries
each number, and saves that training waits for too.
"""

import json
import os
import re

import pytest
from support.small_disk import run_apart

STEP = int(os.environ.get("MULTIBACK_PAGES", "8"))
WHERE = ["background", "here"] if STEP == 1 else ["background"]
pytestmark = pytest.mark.torture


def tried(folder, *arguments):
    """Train in a child; return what became of each epoch with a full disk."""
    printed = run_apart("fitting.full_fit", folder, *arguments, str(STEP))
    return [json.loads(line) for line in printed.splitlines()]


def check(full, run):
    """Look at the epochs that found a full disk, each with a little more room."""
    failed = [each for each in full if each["told"]]
    assert failed == full[: len(failed)]
    assert 0 < len(failed) < len(full)
    for each in failed:
        found = re.search(
            rf"could not write \d+ bytes at position \d+ of {run}/checkpoints/\S+: No "
            rf"space left on device. Free some space",
            each["told"],
        )
        assert found, each
        assert each["there"] == each["before"] == [each["epoch"] - 1], each
    for each in full[len(failed) :]:
        assert each["there"] == [each["epoch"]], each


@pytest.mark.parametrize("where", WHERE)
def test_training_continues_if_asked_to_and_saves_again_once_there_is_room(
    tmp_path, where
):
    epochs = tried(tmp_path, "warn", where)
    check([each for each in epochs if each["pages"] is not None], tmp_path / "run")
    roomy = [each for each in epochs if each["pages"] is None]
    assert len(roomy) == len(epochs) // 2 + 1
    for each in roomy:
        assert each["there"] == [each["epoch"]], each
        assert each["told"] == "", each


@pytest.mark.parametrize("where", WHERE)
def test_otherwise_it_is_an_error_and_a_resumed_training_loses_nothing(tmp_path, where):
    check(tried(tmp_path, "raise", where), tmp_path / "run")
