"""The house stays one that a newcomer can read: no circles, and small folders."""

from collections import Counter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
# The rules of docs/architecture.md; the commands are one file each.
MOST_FILES = 16
LARGER = {"multiback/cli/commands": 20}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("multiback", cache_dir=None)


def test_no_modules_import_each_other_in_a_circle(graph):
    left = {one: graph.find_modules_directly_imported_by(one) for one in graph.modules}
    # A module that imports nothing that is left is in no circle.
    while done := {one for one, imported in left.items() if not imported & left.keys()}:
        left = {one: imported for one, imported in left.items() if one not in done}
    assert sorted(left) == []


def test_the_graph_sees_the_adapters(graph):
    assert "multiback.adapters.torchmetrics.checking.check" in graph.modules
    imported = graph.find_modules_directly_imported_by("multiback.checkpoint.callback")
    assert "multiback.checkpoint.checkpointer" in imported


def test_no_folder_has_more_files_than_a_reader_takes_in_at_once():
    files = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for folder in ("multiback", "adapters")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    )
    assert len(files) > 30
    crowded = {
        folder: count
        for folder, count in files.items()
        if count > LARGER.get(folder, MOST_FILES)
    }
    assert crowded == {}
