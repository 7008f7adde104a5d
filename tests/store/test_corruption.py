import os
import random
import shutil

import pytest

from multiback.errors import CorruptCheckpointError, NoCheckpointError, StoreError
from multiback.store import RunDirectory, open_checkpoint
from multiback.store.disk.files import Files


def damaged_somewhere(checkpoint):
    """Notice damage as a user would: by listing, then verifying."""
    runs = RunDirectory(checkpoint.path.parent.parent)
    listed = runs.checkpoints()
    if not listed:
        return bool(runs.skipped)
    try:
        listed[0].verify()
    except CorruptCheckpointError:
        return True
    return False


@pytest.mark.parametrize(
    "name", ["state.safetensors", "trainer.json", "manifest.json", "architecture"]
)
def test_a_flipped_bit_anywhere_in_a_file_is_noticed(runs, commit, name):
    saved = commit(runs)
    path = saved.path / name
    if name == "architecture":
        path = runs.path / saved.architecture
    original = path.read_bytes()
    chosen = random.Random(0).sample(range(len(original)), min(150, len(original)))
    for position in chosen:
        for bit in (0, 5):
            changed = bytearray(original)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            assert damaged_somewhere(saved), (position, bit)
    path.write_bytes(original)
    assert not damaged_somewhere(saved)


@pytest.mark.parametrize("name", ["state.safetensors", "trainer.json", "manifest.json"])
@pytest.mark.parametrize("change", ["shorter", "longer", "empty", "gone"])
def test_a_file_of_another_size_is_noticed(runs, commit, name, change):
    saved = commit(runs)
    path = saved.path / name
    content = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"shorter": content[:-1], "longer": content + b"\0", "empty": b""}[change]
        )
    assert damaged_somewhere(saved)
    with pytest.raises(StoreError):
        saved.verify()


def test_the_error_names_the_file_what_was_wanted_and_what_came(runs, commit):
    saved = commit(runs)
    path = saved.path / "trainer.json"
    wanted = saved.files["trainer.json"]
    path.write_bytes(path.read_bytes().replace(b"3", b"4"))
    with pytest.raises(CorruptCheckpointError) as caught:
        saved.verify()
    for text in (str(path), wanted.xxh3, "but has", "Load another"):
        assert text in str(caught.value)
    with pytest.raises(CorruptCheckpointError):
        saved.document("trainer")


def test_tensors_notice_a_flipped_byte_without_verify(runs, commit):
    saved = commit(runs)
    path = saved.path / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError, match="checksum"):
        saved.tensors()


def test_asking_for_an_absent_document_lists_what_is_there(runs, commit):
    with pytest.raises(StoreError, match=r"trainer\.json"):
        commit(runs).document("absent")


@pytest.mark.parametrize("name", ["state.safetensors", "trainer.json", "manifest.json"])
def test_links_inside_a_checkpoint_are_refused(runs, commit, tmp_path, name):
    saved = commit(runs)
    moved = tmp_path / "elsewhere"
    (saved.path / name).rename(moved)
    (saved.path / name).symlink_to(moved)
    assert damaged_somewhere(saved)


def test_a_pipe_in_place_of_a_file_is_refused_and_does_not_block(runs, commit):
    saved = commit(runs)
    for name in ("trainer.json", "manifest.json"):
        (saved.path / name).unlink()
        os.mkfifo(saved.path / name)
        assert damaged_somewhere(saved)


def test_a_linked_checkpoint_directory_is_skipped_and_named(runs, commit, tmp_path):
    saved = commit(runs)
    saved.path.rename(tmp_path / "elsewhere")
    saved.path.symlink_to(tmp_path / "elsewhere")
    assert runs.checkpoints() == []
    assert runs.skipped == [(saved.path, "it is a symbolic link")]


def test_strangers_among_the_checkpoints_are_skipped_and_named(runs, commit):
    saved = commit(runs)
    (saved.path.parent / "Thumbs.db").write_bytes(b"x")
    (saved.path.parent / "empty").mkdir()
    (saved.path.parent / ".DS_Store").write_bytes(b"x")
    assert runs.checkpoints() == [saved]
    assert [path.name for path, _ in runs.skipped] == ["Thumbs.db", "empty"]
    commit(runs, "empty")
    assert [one.name for one in runs.checkpoints()] == ["one", "empty-v2"]


def test_a_copied_checkpoint_opens_by_its_path(runs, commit, tmp_path):
    saved = commit(runs, architecture=None)
    copy = tmp_path / "copy"
    shutil.copytree(saved.path, copy)
    opened = open_checkpoint(copy)
    opened.verify()
    assert opened.name == "copy"
    with pytest.raises(NoCheckpointError):
        open_checkpoint(tmp_path)


def test_a_manifest_that_changed_since_it_was_listed_is_noticed(runs, commit):
    saved = commit(runs)
    runs.remove(saved, run_id="a")
    commit(runs, value=2.0)
    with pytest.raises(CorruptCheckpointError, match="was read before"):
        saved.verify()


def test_a_checkpoint_removed_during_a_listing_is_just_absent(
    runs, commit, monkeypatch
):
    saved = commit(runs)
    entries = list(runs._listing._entries())
    runs.remove(saved, run_id="a")
    monkeypatch.setattr(runs._listing, "_entries", lambda: entries)
    assert runs.checkpoints() == []
    assert runs.skipped == []


def test_files_is_the_only_writer():
    """Everything that changes a disk is a method that tests can replace."""
    methods = {name for name in vars(Files) if not name.startswith("_")}
    assert methods == {
        "close",
        "create",
        "make_directory",
        "open_append",
        "remove_directory",
        "rename",
        "replace",
        "symlink",
        "sync",
        "sync_directory",
        "unlink",
        "write",
    }
